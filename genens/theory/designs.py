"""Theorem 2: codes that stay perfectly even after any ablation, and how many members they take.

A family of sets is *balanced* when every point lies in z1 of them and every two points lie together in z2. Points are
images, sets are members. Fisher's inequality: with more than one set there are at least as many sets as points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from genens import codes as coding


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
    if len(set(family)) < len(family):
        raise ValueError(
            f"expected different sets, got {len(family)} of which {len(set(family))} differ: drop the rest"
        )
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


def as_sets(table: np.ndarray) -> list[frozenset[int]]:
    """The columns of an incidence table, bool (points, sets), as sets of points."""
    return [frozenset(np.flatnonzero(column).tolist()) for column in table.T]


def complement(table: np.ndarray) -> np.ndarray:
    """Every set of a table (points, sets) replaced by the points outside it: balanced again,
    with z1' = sets - z1, z2' = sets - 2 z1 + z2."""
    return ~table


def sylvester(points: int) -> np.ndarray:
    """The Hadamard design of Sylvester's matrix: points = 3, 7 (the Fano plane), 15, 31, 63...; bool, symmetric.

    Raises ValueError unless points + 1 is a power of two.
    """
    return coding.walsh(points + 1)


def paley(points: int) -> np.ndarray:
    """The Hadamard design of the squares modulo a prime that is 3 modulo 4: set m holds m + x^2 for x = 1..(p-1)/2.

    Raises ValueError for any other number. Source: Paley 1933.
    """
    prime = points > 2 and all(points % d for d in range(2, int(points**0.5) + 1))
    if not prime or points % 4 != 3:
        raise ValueError(f"expected a prime that is 3 modulo 4, such as 7, 11, 19 or 23; got {points}")
    squares = {x * x % points for x in range(1, points)}
    return incidence([[(m + q) % points for q in squares] for m in range(points)], points)


def all_of_size(points: int, k: int) -> np.ndarray:
    """The trivial design (points, sets): every set of k points; k = 1 gives the singletons, k = points one set."""
    return incidence(list(combinations(range(points), k)), points)


def hadamard_designs(points: int = 64) -> dict[str, np.ndarray]:
    """All designs of Sylvester's and Paley's type on at most so many points, by name: tables (points, sets)."""
    found = {f"Sylvester {2**k - 1}": sylvester(2**k - 1) for k in range(2, 12) if 2**k - 1 <= points}
    primes = (p for p in range(3, points + 1, 4) if all(p % d for d in range(2, int(p**0.5) + 1)))
    return found | {f"Paley {p}": paley(p) for p in primes}


def exhaustive(points: int) -> tuple[int, int, int]:
    """Every family of non-empty sets of so many points (at most 4): how many there are, how many are balanced, and how
    many of those contradict Theorem 2. ValueError for more points."""
    if not 1 <= points <= 4:
        raise ValueError(f"expected 1 to 4 points (the families are then 2^15 at most), got {points}")
    sets = np.arange(1, 1 << points)
    families = (np.arange(1 << len(sets))[:, None] >> np.arange(len(sets))) & 1
    holds = (sets[:, None] >> np.arange(points)) & 1
    z1 = families @ holds
    together = [holds[:, a] * holds[:, b] for a, b in combinations(range(points), 2)]
    z2 = families @ np.stack(together, axis=1) if together else np.zeros((len(families), 1), int)
    even = (z1 == z1[:, :1]).all(axis=1) & (z2 == z2[:, :1]).all(axis=1)
    size = families.sum(axis=1)
    return len(families), int(even.sum()), int((even & (size > 1) & (size < points)).sum())
