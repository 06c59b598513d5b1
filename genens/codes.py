"""Codes: which member of the ensemble sees which image, and the mixtures that follow from it.

A code is a row of n bits; bit i of image x is 1 when member i is trained on x (paper, Section 2.3).
The codes of a dataset are one bool array (N, n). A mixture is n non-negative float64 weights summing to 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.linalg import hadamard

# (N, n, h) of the paper's experiments with a code for every image, Section B.1
PAPER = {"mnist": (10_000, 16, 8), "cifar10": (60_000, 20, 10), "celeba": (202_599, 24, 12)}
MAX_RANKED = 64  # members: C(64, 32) still fits an int64, C(68, 34) does not
MAX_MEMBERS = 4096


def constant_weight(N: int, n: int, h: int, seed: int) -> np.ndarray:
    """Draw N different codes of n bits and weight h: bool (N, n), row x is the code of image x.

    Every ordered assignment of C(n, h) codes to N images is equally likely: N ranks are drawn uniformly
    without replacement from 0..C(n, h)-1, in random order, and unranking is a bijection. Ranks of more than 64 bits
    are not drawn: each code is a random set of h bits, drawn again where an earlier image has it.

    Raises ValueError when n, h or N is out of range; N may be as large as C(n, h). Source: paper, Sections 2.3 and B.1.
    """
    _check_weight(n, h)
    M = comb(n, h)
    if not 1 <= N <= M:
        raise ValueError(f"expected 1 <= N <= C({n}, {h}) = {M} codes, got N = {N}: take fewer images or more members")
    rng = np.random.default_rng(seed)
    if n <= MAX_RANKED:
        return unrank(rng.choice(M, N, replace=False), n, h)
    codes, new = np.zeros((N, n), bool), np.arange(N)
    while len(new):
        codes[new] = rng.permuted(np.tile(np.arange(n) < h, (len(new), 1)), axis=1)
        new = np.setdiff1d(np.arange(N), np.unique(codes, axis=0, return_index=True)[1])  # not the first of its kind
    return codes


def unrank(ranks: np.ndarray | Sequence[int], n: int, h: int) -> np.ndarray:
    """The codes with the given ranks among the C(n, h) codes of weight h: bool (len(ranks), n).

    Codes are counted like binary numbers whose bit c is worth 2^c, so rank 0 has its first h bits set.
    A code whose highest set bit is c comes after the C(c, k) codes with all k bits below c.

    Raises ValueError when n or h is out of range, or a rank is not in 0..C(n, h)-1.
    """
    _check_weight(n, h, MAX_RANKED)
    rest = np.array(ranks, dtype=np.int64)
    if rest.ndim != 1 or rest.size and not (0 <= rest.min() and rest.max() < comb(n, h)):
        raise ValueError(f"expected a list of ranks in 0..{comb(n, h) - 1}, got {np.asarray(ranks)}")
    codes = np.zeros((len(rest), n), dtype=bool)
    ones_left = np.full(len(rest), h)
    for c in reversed(range(n)):
        skipped = np.array([comb(c, k) for k in range(h + 1)], dtype=np.int64)[ones_left]
        codes[:, c] = rest >= skipped
        rest -= np.where(codes[:, c], skipped, 0)
        ones_left -= codes[:, c]
    return codes


def rank(codes: np.ndarray) -> np.ndarray:
    """The inverse of `unrank`: the rank of each of the codes (N, n) among all of their weight, int64 (N,).

    Raises ValueError for codes of several weights, or of more than 64 bits.
    """
    codes = _as_codes(codes)
    if codes.shape[1] > MAX_RANKED or np.ptp(codes.sum(axis=1)):
        raise ValueError(f"expected codes of one weight and at most {MAX_RANKED} bits, got shape {codes.shape}")
    n = codes.shape[1]
    below = np.array([[comb(c, k) for k in range(n + 1)] for c in range(n)])
    return (codes * below[np.arange(n), codes.cumsum(axis=1)]).sum(axis=1)


@dataclass(frozen=True)
class Packed:
    """Codes of weight h and length n, eight bits to a byte, the first bit the lowest: uint8 (N, ceil(n / 8)).

    For databases that do not fit into memory: bits may be a memory map of a file that `scattered` filled.
    """

    bits: np.ndarray
    n: int
    h: int

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, rows: slice) -> Packed:
        return Packed(self.bits[rows], self.n, self.h)

    def unpacked(self) -> np.ndarray:
        """bool (N, n)."""
        return np.unpackbits(np.asarray(self.bits), axis=1, count=self.n, bitorder="little").astype(bool)


def pack(codes: np.ndarray) -> Packed:
    """Codes bool (N, n) eight bits to a byte. Raises ValueError unless all have one weight."""
    codes = _as_codes(codes)
    h = weights(codes)
    if (h != h[0]).any():
        raise ValueError(f"expected codes of one weight, got weights from {h.min()} to {h.max()}")
    return Packed(np.packbits(codes, axis=1, bitorder="little"), codes.shape[1], int(h[0]))


def weights(codes: np.ndarray | Packed) -> np.ndarray:
    """How many members hold each image: int64 (N,)."""
    return np.full(len(codes), codes.h) if isinstance(codes, Packed) else _as_codes(codes).sum(axis=1)


def scattered(rows: range, n: int, h: int, seed: int) -> Packed:
    """The codes of some rows of a database of up to C(n, h), each worked out by itself: billions need not be drawn, or
    held, to know one.

    Row x has the rank p(x), p a permutation of 0..C(n, h)-1 that depends on the seed: a Feistel network of four rounds,
    walked along until it comes back into the range (Black and Rogaway 2002). `constant_weight` draws from all
    assignments alike; this one only looks as if it did. Raises ValueError as `constant_weight`.
    """
    _check_weight(n, h, MAX_RANKED)
    M = comb(n, h)
    if not 0 <= rows.start <= rows.stop <= M or rows.step != 1:
        raise ValueError(f"expected rows in 0..C({n}, {h}) = {M}, one after the other, got {rows}")
    half = np.uint64(((M - 1).bit_length() + 1) // 2)
    low, keys = np.uint64((1 << int(half)) - 1), np.random.default_rng(seed).integers(0, 1 << 63, 4, dtype=np.uint64)

    def step(x: np.ndarray) -> np.ndarray:
        left, right = x >> half, x & low
        for key in keys:
            mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ (mixed >> np.uint64(32) & low)
        return left << half | right

    bits = np.empty((len(rows), -(-n // 8)), np.uint8)
    for start in range(0, len(rows), block := 1 << 14):  # what a core's cache holds
        ranks = step(np.arange(rows.start, rows.stop, dtype=np.uint64)[start : start + block])
        while len(outside := np.flatnonzero(ranks >= M)):
            ranks[outside] = step(ranks[outside])
        found = unrank(ranks.astype(np.int64), n, h)
        bits[start : start + block] = np.packbits(found, axis=1, bitorder="little")
    return Packed(bits, n, h)


def walsh(order: int) -> np.ndarray:
    """The Walsh code: bool (order - 1, order - 1), each row of weight order/2 - 1, any two rows alike.

    Sylvester's matrix of +1 and -1 without its first row and column, with -1 written as 0. Any two rows share
    exactly order/4 - 1 ones. walsh(8) is the class code of the paper (Section B.1, Equation 42).

    Raises ValueError unless order is a power of two, at least 4.
    """
    if order < 4 or order & (order - 1):
        raise ValueError(f"expected an order that is a power of two, at least 4, got {order}")
    return hadamard(order)[1:, 1:] > 0


def by_class(class_codes: np.ndarray, labels: Sequence[int], classes: Sequence[int]) -> np.ndarray:
    """Give every image the code of its class: bool (len(labels), n).

    class_codes: bool (len(classes), n), row k for the images labelled classes[k].
    Images of one class share a code, so they form one "super sample" (paper, Section 2.3).

    Raises ValueError when there is not one code a class, or a label has no class.
    """
    class_codes, labels, classes = _as_codes(class_codes), np.asarray(labels), np.asarray(classes)
    if len(class_codes) != len(classes) or len(set(classes.tolist())) != len(classes):
        raise ValueError(f"expected one code for each class, got {len(class_codes)} codes for {classes.tolist()}")
    others = sorted(set(labels.tolist()) - set(classes.tolist()))
    if others:
        raise ValueError(f"expected labels among {classes.tolist()}, got {others}: select those classes first")
    order = np.argsort(classes)
    return class_codes[order[np.searchsorted(classes[order], labels)]]


def super_samples(labels: Sequence[int], groups: Sequence[int]) -> np.ndarray:
    """The number of every image's super sample, int64 (len(labels),): images of a label in `groups` are one together,
    every other image is one by itself (paper, Section 2.3). Those by themselves are counted first, in their order.

    Raises ValueError for a group without an image.
    """
    labels, groups = np.asarray(labels), np.asarray(groups, np.int64)
    if absent := sorted({*groups.tolist()} - {*labels.tolist()}):
        raise ValueError(f"expected groups among the labels {sorted({*labels.tolist()})}, got {absent}")
    alone, order = ~np.isin(labels, groups), np.argsort(groups)
    found = np.cumsum(alone) - 1
    found[~alone] = alone.sum() + order[np.searchsorted(groups[order], labels[~alone])]
    return found


def splits(codes: np.ndarray) -> list[np.ndarray]:
    """The training set of every member: n arrays of int64 row indices, ascending (paper, Section 2.3)."""
    return [np.flatnonzero(column).astype(np.int64) for column in _as_codes(codes).T]


def split_sizes(codes: np.ndarray) -> np.ndarray:
    """How many images each member is trained on: int64 (n,)."""
    return _as_codes(codes).sum(axis=0, dtype=np.int64)


def uniform(n: int) -> np.ndarray:
    """The mixture u_0 of the whole ensemble: float64 (n,), every weight 1/n. ValueError for n < 1."""
    if n < 1:
        raise ValueError(f"expected at least one member, got n = {n}")
    return np.full(n, 1 / n)


def ablated(codes: np.ndarray, which: int | Sequence[int] | np.ndarray) -> np.ndarray:
    """The mixture u_-x: float64 (n,), equal weights on the members that hold none of `which`, 0 on the rest.

    which: one row index, a sequence of row indices, or a bool mask of length N; with several rows (a super
    sample, a class) every member that holds any of them goes.

    Raises ValueError when `which` is empty or out of range, or no member would be left.
    Source: paper, Section 2.3 and Equation 2.
    """
    codes = _as_codes(codes)
    rows = _rows(which, len(codes))
    stays = ~codes[rows].any(axis=0)
    if not stays.any():
        raise ValueError(
            f"expected at least one member that holds none of the {len(rows)} ablated rows, "
            f"but they remove all {codes.shape[1]}: ablate fewer rows at a time"
        )
    return stays / stays.sum()


def ablations(codes: np.ndarray) -> np.ndarray:
    """The mixture u_-x of every row x: float64 (N, n). Raises ValueError if a row removes every member."""
    stays = ~_as_codes(codes)
    left = stays.sum(axis=1, keepdims=True)
    if not left.all():
        row = int(np.flatnonzero(left == 0)[0])
        raise ValueError(f"expected a 0 in every code, but row {row} is held by all {stays.shape[1]} members")
    return stays / left


def complements(codes: np.ndarray) -> np.ndarray:
    """The row that holds each row's complementary code, -1 where none does: int64 (N,).

    With codes of weight n/2, u_-x - u_0 is then the other's negative: the linear approximation cannot tell
    the two images apart. Codes of another weight have no complement among them.
    """
    codes = _as_codes(codes)
    keys, wanted = ([row.tobytes() for row in np.packbits(side, axis=1)] for side in (codes, ~codes))
    where = {key: row for row, key in reversed(list(enumerate(keys)))}  # of equal codes, the first
    return np.array([where.get(key, -1) for key in wanted], dtype=np.int64)


def digest(codes: np.ndarray) -> str:
    """Hex sha256 of the shape and the bits of codes (N, n)."""
    codes = _as_codes(codes)
    header = f"codes {codes.shape[0]}x{codes.shape[1]}\n".encode()
    return hashlib.sha256(header + np.packbits(codes).tobytes()).hexdigest()


def _check_weight(n: int, h: int, most: int = MAX_MEMBERS) -> None:
    if not 2 <= n <= most:
        raise ValueError(f"expected between 2 and {most} members, got n = {n}")
    if not 1 <= h <= n - 1:
        raise ValueError(f"expected a weight h in 1..{n - 1} (n = {n}), got h = {h}")


def _as_codes(codes: np.ndarray) -> np.ndarray:
    """The same codes as bool (N, n); 0/1 integers are accepted."""
    array = np.asarray(codes)
    if array.ndim != 2 or 0 in array.shape or not (array.dtype == bool or np.isin(array, (0, 1)).all()):
        raise ValueError(f"expected codes as a bool array (N, n), got shape {array.shape} of {array.dtype}")
    return array.astype(bool, copy=False)


def _rows(which: int | Sequence[int] | np.ndarray, N: int) -> np.ndarray:
    rows = np.atleast_1d(np.asarray(which))
    if rows.dtype == bool and rows.shape == (N,):
        rows = np.flatnonzero(rows)
    if rows.size == 0:
        raise ValueError("expected at least one row to ablate, got none")
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= N:
        raise ValueError(f"expected row indices in 0..{N - 1}, got {which}")
    return rows
