"""What the codes promise, computed on the codes themselves (Theorem 1, part 1).

Theorem 1, part 1 of the paper: remove every member that has seen x, and whatever other image x' you ask for,
some member that is left has seen it. Such a member, which holds x' but not x, is called a *witness* here. Part 2 (the
bias) is in `bias`, Theorem 2 in `designs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from genens.codes import MAX_RANKED

LATTICE_MEMBERS = 26  # the lattice of subsets then has 2^26 points, 256 MiB of int32
BLOCK = 1 << 22  # code pairs looked at together


@dataclass(frozen=True)
class Guarantee:
    """Whether every ordered pair (x, x') of different images has a witness.

    pairs: how many ordered pairs were decided; violations: how many of them have none;
    first: the first pair (x, x') without a witness, by x, then x', or None.
    """

    holds: bool
    pairs: int
    violations: int
    first: tuple[int, int] | None


def guarantee(codes: np.ndarray) -> Guarantee:
    """Decide Theorem 1, part 1 for any codes, bool (N, n), over all N (N - 1) ordered pairs, exactly.

    The pair (x, x') has no witness exactly when the members of x' are among those of x. With n <= 26, the number of
    codes inside every one of the 2^n member sets is summed over the lattice of subsets in n passes; every code contains
    itself, and each further code it contains is a violation. Above n = 26, pairs are compared in blocks.

    Raises ValueError when n exceeds 64. Source: paper, Theorem 1, part 1.
    """
    keys, n = _keys(codes)
    inside = _by_lattice(keys, n) if n <= LATTICE_MEMBERS else _by_pairs(keys)
    violations = int(inside.sum(dtype=np.int64)) - len(keys)
    return Guarantee(violations == 0, len(keys) * (len(keys) - 1), violations, _first(keys, inside))


def members_for_guarantee(N: int) -> int:
    """The smallest n for which any n-bit codes can give N images the guarantee.

    Codes with the guarantee are an antichain of subsets, and by Sperner's theorem the largest antichain of n
    members has C(n, n // 2) sets: codes of weight n // 2 are the most frugal of all. Raises ValueError for N < 1.
    """
    if N < 1:
        raise ValueError(f"expected at least one image, got N = {N}")
    n = 1
    while comb(n, n // 2) < N:
        n += 1
    return n


def _keys(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Every code as one uint64, bit i for member i; and n."""
    codes = np.asarray(codes, dtype=bool)
    if codes.ndim != 2 or not 1 <= codes.shape[1] <= MAX_RANKED or not len(codes):
        raise ValueError(f"expected codes (N, n) with n in 1..{MAX_RANKED}, got shape {codes.shape}")
    padded = np.zeros((len(codes), MAX_RANKED), dtype=bool)
    padded[:, : codes.shape[1]] = codes
    return np.packbits(padded, axis=1, bitorder="little").view("<u8")[:, 0], codes.shape[1]


def _by_lattice(keys: np.ndarray, n: int) -> np.ndarray:
    """How many codes lie inside each code, int32 (N,), from how many lie inside each of the 2^n sets of members."""
    count = np.zeros(1 << n, dtype=np.int32)
    np.add.at(count, keys, 1)
    for i in range(n):  # after pass i, the codes that differ from the set in bits 0..i only
        halves = count.reshape(-1, 2, 1 << i)
        halves[:, 1] += halves[:, 0]
    return count[keys]


def _by_pairs(keys: np.ndarray) -> np.ndarray:
    """The same, int64 (N,), in blocks of rows of the N x N table: is code x' (column) inside code x (row)?"""
    rows = max(1, BLOCK // len(keys))
    blocks = (keys[start : start + rows, None] for start in range(0, len(keys), rows))
    return np.concatenate([((keys & ~block) == 0).sum(axis=1) for block in blocks])


def _first(keys: np.ndarray, inside: np.ndarray) -> tuple[int, int] | None:
    if not (inside > 1).any():
        return None
    x = int((inside > 1).argmax())
    within = np.flatnonzero((keys & ~keys[x]) == 0)
    return x, int(within[within != x][0])
