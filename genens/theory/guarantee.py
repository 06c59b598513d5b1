"""What the codes promise, computed on the codes themselves (Theorem 1, part 1).

Theorem 1, part 1 of the paper: remove every member that has seen x, and whatever other image x' you ask for,
some member that is left has seen it. Such a member, which holds x' but not x, is called a *witness* here. Part 2 (the
bias) is in `bias`, Theorem 2 in `designs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from genens.codes import MAX_MEMBERS

LATTICE_MEMBERS = 26  # the lattice of subsets then has 2^26 points, 256 MiB of int32
BLOCK = 1 << 22  # code pairs, or lattice points, looked at together


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

    The pair (x, x') has no witness exactly when the members of x' are among those of x. With n <= 26, the
    number of codes inside every one of the 2^n member sets is summed over the lattice of subsets in n passes;
    every code contains itself, and each further code it contains is a violation. Above n = 26, pairs are
    compared in blocks.

    Raises ValueError when n exceeds 64. Source: paper, Theorem 1, part 1.
    """
    keys, n = _keys(codes)
    if n <= LATTICE_MEMBERS:
        inside = _codes_inside(keys, n)[keys]
    else:
        inside = np.concatenate([contained.sum(axis=1) for contained in _containment(keys)])
    violations = int(inside.sum(dtype=np.int64)) - len(keys)
    return Guarantee(violations == 0, len(keys) * (len(keys) - 1), violations, _first(keys, inside))


def witnesses(codes: np.ndarray) -> np.ndarray:
    """How many ordered pairs (x, x') of different images have exactly m witnesses: int64 (h + 1,), m = 0..h.

    For codes of one weight h, half of the bits in which x and x' differ are witnesses, so the distance
    distribution of the codes says it all. It is read off the power spectrum of their indicator function on
    the 2^n bit vectors (a Walsh-Hadamard transform; MacWilliams's identity), without looking at pairs.

    Raises ValueError when n exceeds 26 or the codes differ in weight.
    """
    keys, n = _keys(codes)
    weights = np.unique(np.sum(codes, axis=1))
    if n > LATTICE_MEMBERS or len(weights) != 1:
        raise ValueError(
            f"expected codes of one weight and at most {LATTICE_MEMBERS} members, "
            f"got weights {weights.tolist()}, n = {n}"
        )
    power = _power_by_weight(keys, n)
    pairs = [sum(p * _krawtchouk(d, w, n) for w, p in enumerate(power)) >> n for d in range(0, n + 1, 2)]
    pairs[0] -= len(keys)  # every image with itself
    h = int(weights[0])
    return np.array((pairs + [0] * h)[: h + 1], dtype=np.int64)


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
    if codes.ndim != 2 or not 1 <= codes.shape[1] <= MAX_MEMBERS or not len(codes):
        raise ValueError(f"expected codes (N, n) with n in 1..{MAX_MEMBERS}, got shape {codes.shape}")
    padded = np.zeros((len(codes), MAX_MEMBERS), dtype=bool)
    padded[:, : codes.shape[1]] = codes
    return np.packbits(padded, axis=1, bitorder="little").view("<u8")[:, 0], codes.shape[1]


def _codes_inside(keys: np.ndarray, n: int) -> np.ndarray:
    """For each of the 2^n sets of members, how many codes lie inside it: int32 (2^n,)."""
    count = np.zeros(1 << n, dtype=np.int32)
    np.add.at(count, keys, 1)
    for i in range(n):  # after pass i, the codes that differ from the set in bits 0..i only
        halves = count.reshape(-1, 2, 1 << i)
        halves[:, 1] += halves[:, 0]
    return count


def _containment(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of rows of the N x N table: is code x' (column) inside code x (row)?"""
    rows = max(1, BLOCK // len(keys))
    for start in range(0, len(keys), rows):
        yield (keys & ~keys[start : start + rows, None]) == 0


def _first(keys: np.ndarray, inside: np.ndarray) -> tuple[int, int] | None:
    crowded = np.flatnonzero(inside > 1)
    if not len(crowded):
        return None
    x = int(crowded[0])
    within = np.flatnonzero((keys & ~keys[x]) == 0)
    return x, int(within[within != x][0])


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
