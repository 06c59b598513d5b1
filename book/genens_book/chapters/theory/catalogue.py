"""Families of sets on which the theory chapter tries Theorem 2: Hadamard designs, trivial ones, all on a few points.

A table is an incidence table, bool (points, sets), as `genens.theory.designs.check` takes it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from genens import codes as coding
from genens.theory.designs import incidence


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
