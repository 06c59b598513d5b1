"""What the chapter on codes counts beside `genens.theory.guarantee`: who is left, and what chance would give."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb, sqrt

import numpy as np


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


def coins_sd(N: int, n: int, h: int) -> float:
    """The standard deviation of a split's size if every image were given to a member by a coin with chance h/n."""
    return sqrt(N * h / n * (1 - h / n))


def complements_expected(N: int, n: int, h: int) -> float:
    """How many of N images have their complement in use, on average over uniform draws of codes with n = 2h.

    Each image has one complementary code, which is among the N - 1 other draws out of C(n, h) - 1 codes.
    """
    return N * (N - 1) / (comb(n, h) - 1)


def farthest(strips: Mapping[str, Mapping[str, np.ndarray]]) -> float:
    """The largest distance from the mean in all of {dataset: {source: z-scores (n,)}}."""
    return max(float(np.abs(z).max()) for sources in strips.values() for z in sources.values())
