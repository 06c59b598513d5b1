"""Theorem 2: codes that stay perfectly even after any ablation, and how many members they take.

A family of sets is *balanced* when every point lies in z1 of them and every two points lie together in z2. Points are
images, sets are members. Fisher's inequality: with more than one set there are at least as many sets as points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Balance:
    """Whether a family is balanced, and what Theorem 2 says about it.

    z1, z2: how many sets hold a point, a pair of points; None where that differs (or there is no pair).
    rank: of the incidence matrix over the rationals; concludes: at most one set, or as many sets as points.
    """

    points: int
    sets: int
    balanced: bool
    z1: int | None
    z2: int | None
    rank: int

    @property
    def concludes(self) -> bool:
        """What the theorem promises of a balanced family."""
        return self.sets <= 1 or self.sets >= self.points

    @property
    def tight(self) -> bool:
        """Whether it has exactly as many sets as points: the equality case of Fisher's inequality."""
        return self.balanced and self.sets == self.points


def balanced(sets: Iterable[Iterable[int]], points: int | None = None) -> Balance:
    """Check the conditions of Theorem 2 on a family of different, non-empty sets of points 0..points-1.

    points: by default one more than the largest point in any set. With a single point the pair condition is empty.
    Raises ValueError for an empty set, a set that stands twice, or a point out of range.
    Source: paper, Theorem 2 (read, as its proof does, for two *different* points); Fisher 1940.
    """
    family = [frozenset(one) for one in sets]
    if empty := [k for k, one in enumerate(family) if not one]:
        raise ValueError(f"expected sets that are not empty, which Theorem 2 needs; set number {empty[0]} is: drop it")
    if (differ := len(set(family))) < len(family):
        raise ValueError(f"expected different sets, got {len(family)} of which {differ} differ: drop the rest")
    largest = max((max(one) for one in family), default=-1)
    points = largest + 1 if points is None else points
    if largest >= points or any(min(one) < 0 for one in family):
        raise ValueError(f"expected points in 0..{points - 1}, got sets that hold others, up to {largest}")
    return check(incidence(family, points))


def check(table: np.ndarray) -> Balance:
    """`balanced` for an incidence table, bool (points, sets): M' of Section A.2."""
    shared = table.astype(np.int64) @ table.T
    diagonal, pairs = np.unique(np.diag(shared)), np.unique(shared[~np.eye(len(shared), dtype=bool)])
    z1 = int(diagonal[0]) if len(diagonal) == 1 else None
    z2 = int(pairs[0]) if len(pairs) == 1 else None
    even = len(diagonal) <= 1 and len(pairs) <= 1
    return Balance(*table.shape, even, z1, z2, int(np.linalg.matrix_rank(shared)) if shared.size else 0)


def incidence(sets: Sequence[Iterable[int]], points: int) -> np.ndarray:
    """bool (points, sets): row e, column m is 1 when point e is in set m."""
    table = np.zeros((points, len(sets)), dtype=bool)
    for m, one in enumerate(sets):
        table[list(one), m] = True
    return table
