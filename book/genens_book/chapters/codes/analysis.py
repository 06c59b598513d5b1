"""What the chapter on codes counts beside `genens.theory.guarantee`: who is left, and what chance would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
from scipy import stats

from genens.theory.guarantee import LATTICE_MEMBERS

BLOCK = 1 << 22  # lattice points looked at together


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


# ---------------------------------------------------------------- witnesses


def witnesses(codes: np.ndarray) -> np.ndarray:
    """How many ordered pairs (x, x') of different images have exactly m witnesses: int64 (h + 1,), m = 0..h.

    For codes of one weight h, half of the bits in which x and x' differ are witnesses, so the distance
    distribution of the codes says it all. It is read off the power spectrum of their indicator function on
    the 2^n bit vectors (a Walsh-Hadamard transform; MacWilliams's identity), without looking at pairs.

    Raises ValueError when n exceeds 26 or the codes differ in weight.
    """
    n, weights = codes.shape[1], np.unique(codes.sum(axis=1))
    if n > LATTICE_MEMBERS or len(weights) != 1:
        raise ValueError(
            f"expected codes of one weight and at most {LATTICE_MEMBERS} members, "
            f"got weights {weights.tolist()}, n = {n}"
        )
    power = _power_by_weight(codes @ (1 << np.arange(n)), n)
    pairs = [sum(p * _krawtchouk(d, w, n) for w, p in enumerate(power)) >> n for d in range(0, n + 1, 2)]
    pairs[0] -= len(codes)  # every image with itself
    h = int(weights[0])
    return np.array((pairs + [0] * h)[: h + 1], dtype=np.int64)


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


def _power_by_weight(keys: np.ndarray, n: int) -> list[int]:
    """The squared Walsh-Hadamard coefficients of the codes' indicator, summed by weight: n + 1 integers."""
    spectrum = np.zeros(1 << n, dtype=np.int32)
    np.add.at(spectrum, keys, 1)
    for i in range(n):
        halves = spectrum.reshape(-1, 2, 1 << i)
        low = halves[:, 0].copy()
        halves[:, 0] += halves[:, 1]
        np.subtract(low, halves[:, 1], out=halves[:, 1])
    weight = np.zeros(1, dtype=np.uint8)
    for _ in range(n):
        weight = np.concatenate([weight, weight + 1])
    power = np.zeros(n + 1)
    for start in range(0, 1 << n, BLOCK):
        here = slice(start, start + BLOCK)
        power += np.bincount(weight[here], weights=spectrum[here].astype(np.float64) ** 2, minlength=n + 1)
    return [int(p) for p in power]  # exact: all together they are 2^n N (Parseval), far below 2^53


def _krawtchouk(d: int, w: int, n: int) -> int:
    """The sum of (-1)^(u.z) over all z of weight d, for any u of weight w."""
    return sum((-1) ** j * comb(w, j) * comb(n - w, d - j) for j in range(min(d, w) + 1))
