"""What the chapter on codes counts beside `genens.theory.guarantee`: who is left, and what chance would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from scipy import stats


def shared(codes: np.ndarray) -> np.ndarray:
    """How many members hold both of two images (or classes), for few codes (N, n): int (N, N)."""
    ones = codes.astype(int)
    return ones @ ones.T


def kept(codes: np.ndarray) -> np.ndarray:
    """[x, y]: how many of the members that are left when x is ablated hold y, for few codes (N, n): int (N, N)."""
    ones = codes.astype(int)
    return (1 - ones) @ ones.T


def apart(table: np.ndarray) -> np.ndarray:
    """The entries of a table (N, N) that are about two different images: (N (N - 1),)."""
    return table[~np.eye(len(table), dtype=bool)]


@dataclass(frozen=True)
class SplitLaw:
    """The sizes of n splits under the uniform assignment: their mean and standard deviation, in images."""

    n: int
    mean: float
    sd: float

    def z(self, sizes: np.ndarray) -> np.ndarray:
        """How many standard deviations each size lies from the mean: float64 (n,), as sizes.

        With every code in use there is no spread and every size is the mean: then z is in images.
        """
        return (np.asarray(sizes, dtype=np.float64) - self.mean) / (self.sd or 1)

    def p_value(self, sizes: np.ndarray) -> float:
        """The chance of n sizes at least as uneven as these.

        The sizes always add up to N h, so any two have correlation -1/(n - 1), and (n - 1)/n times the sum of
        the squared z is close to a chi-square with n - 1 degrees of freedom.
        """
        return float(stats.chi2.sf((self.n - 1) / self.n * np.sum(self.z(sizes) ** 2), self.n - 1))


def split_law(N: int, n: int, h: int) -> SplitLaw:
    """The law of a split's size: hypergeometric, N draws from M = C(n, h) codes, a share h/n of them inside.

    Source: paper, Section B.1 (the assignment; the law is ours)."""
    M, share = comb(n, h), h / n
    return SplitLaw(n, N * share, sqrt(N * share * (1 - share) * (M - N) / (M - 1)))


def coins_sd(N: int, n: int, h: int) -> float:
    """The standard deviation of a split's size if every image were given to a member by a coin with chance h/n."""
    return sqrt(N * h / n * (1 - h / n))


def expected_witnesses(n: int, h: int) -> np.ndarray:
    """The share of ordered pairs with m witnesses when codes are drawn uniformly: float64 (h + 1,), m = 0..h.

    Without replacement: of the C(n, h) - 1 other codes, C(h, m) C(n - h, m) differ in m of the h ones.
    """
    counts = np.array([0] + [comb(h, m) * comb(n - h, m) for m in range(1, h + 1)], dtype=np.float64)
    return counts / (comb(n, h) - 1)


def complements_expected(N: int, n: int, h: int) -> float:
    """How many of N images have their complement in use, on average over uniform draws of codes with n = 2h.

    Each image has one complementary code, which is among the N - 1 other draws out of C(n, h) - 1 codes.
    """
    return N * (N - 1) / (comb(n, h) - 1)


def farthest(strips: Mapping[str, Mapping[str, np.ndarray]]) -> float:
    """The largest distance from the mean in all of {dataset: {source: z-scores (n,)}}."""
    return max(float(np.abs(z).max()) for sources in strips.values() for z in sources.values())
