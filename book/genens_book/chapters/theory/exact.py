"""Theorem 1, part 2, in exact arithmetic: what `genens.theory.bias` computes in floating point, as fractions.

The sharp bound, the f that attains it, the bias of any f whatever, and the law of a member's training set, by its
formula and by going through every assignment. All values are in units of C, as there; for small settings only.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import comb, perm

import numpy as np

from genens import codes as coding
from genens.theory.bias import urn

MAX_IMAGES = 2000
MAX_ASSIGNMENTS = 2_000_000


def set_gaps(N: int, n: int, h: int, statement: int = 1) -> list[Fraction]:
    """For one set of each size 0..N (0..N-1 for statement 2): its probability as a member's training set, less that
    under the coins. Raises ValueError for N above 2000, and as `bias.bias_bound` does."""
    draws, total, inside = urn(N, n, h, statement)
    if N > MAX_IMAGES:
        raise ValueError(f"expected at most {MAX_IMAGES} images for exact arithmetic, got N = {N}")
    whole, coins = perm(total, draws), Fraction(1, 1 << draws)
    # In any order of the images: the codes of those in the set out of the marked ones, the others' out of the rest.
    return [Fraction(perm(inside, s) * perm(total - inside, draws - s), whole) - coins for s in range(draws + 1)]


def bound(N: int, n: int, h: int, statement: int = 1) -> Fraction:
    """The sharp bound. Raises ValueError as `set_gaps` does."""
    gaps = set_gaps(N, n, h, statement)
    return sum((comb(len(gaps) - 1, s) * abs(gap) for s, gap in enumerate(gaps)), start=Fraction(0))


def worst_f(N: int, n: int, h: int, statement: int = 1) -> np.ndarray:
    """The f, bounded by 1, whose bias is the sharp bound: int8, one value for each size of the training set, 0..N
    (0..N-1 for statement 2); 1 where the codes make that size likelier than the coins do, else -1.

    Raises ValueError as `set_gaps` does.
    """
    return np.array([1 if gap > 0 else -1 for gap in set_gaps(N, n, h, statement)], dtype=np.int8)


def bias(f: np.ndarray, n: int, h: int, statement: int = 1) -> Fraction:
    """E f^_e - f_e for any f whatever, given by its value on each training set: (2^N,), set k holds image x when bit x
    of k is 1 (for statement 2 the images other than the ablated one: 2^(N-1) values).

    The probability of every set is exact; the values of f are taken as the fractions that they are.
    Raises ValueError when their number is no power of two, and as `set_gaps` does.
    """
    draws = len(f).bit_length() - 1
    gaps = set_gaps(draws + statement - 1, n, h, statement)
    if len(f) != 1 << draws:
        raise ValueError(f"expected a value for each of 2^N sets, got {len(f)} values")
    return sum((gaps[k.bit_count()] * Fraction(value) for k, value in enumerate(np.asarray(f).tolist())), Fraction(0))


def enumerated(N: int, n: int, h: int, statement: int = 1) -> list[Fraction]:
    """The law of a member's training set by going through every assignment of codes to images: 2^N probabilities
    (2^(N-1) for statement 2, where the ablated image is the last one), all members in it counted alike.

    A slow, obvious oracle. Raises ValueError when there are more than two million assignments.
    """
    draws, _, _ = urn(N, n, h, statement)
    M = comb(n, h)
    if perm(M, N) > MAX_ASSIGNMENTS:
        raise ValueError(f"expected at most {MAX_ASSIGNMENTS:,} assignments, got {perm(M, N):,}: take fewer images")
    book = [tuple(row) for row in coding.unrank(range(M), n, h).astype(int).tolist()]
    count = [0] * (1 << draws)
    for assigned in permutations(book, N):
        for i in range(n):
            if statement == 1 or not assigned[-1][i]:
                count[sum(assigned[x][i] << x for x in range(draws))] += 1
    return [Fraction(k, sum(count)) for k in count]


def collision(N: int, M: int) -> float:
    """The chance that N uniform draws out of M, with replacement, are not all different. Source: paper, Eq. 13.

    Raises ValueError unless 1 <= N <= M.
    """
    if not 1 <= N <= M:
        raise ValueError(f"expected 1 <= N <= M draws, got N = {N}, M = {M}")
    return float(-np.expm1(np.log1p(-np.arange(N) / M).sum()))
