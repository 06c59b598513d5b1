"""The training images that matter most to a sample: every code's influence, top k, general influencers.

The influence of image x on sample y is ||J (u_-x - u_0)||, the length of the approximate counterfactual's
change (paper, Section 3.3). Through the Gram matrix it takes n^2 numbers a sample where the Jacobian has m x
n. Nothing here holds samples x images at once, but `influence` itself, which returns that.

With s = 2 b - 1 the signs of a code b of weight h, and G the Gram matrix of J's centred columns, the squared length is
s' G s / (2 (n - h))^2: a sum over pairs of bits, and so over pairs of fields of some bits, whose few values are worked
out once for a sample and then looked up for every image.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from genens import ranks
from genens.codes import Packed, constant_weight, unrank, weights
from genens.sampling import side_by_side

BLOCK = 1 << 15  # images whose influence is worked out at once
FIRST, TOGETHER = 32, 8  # the size of the first block, and how many large ones are set against the same bar
ENUMERATED = 1 << 22  # codes; of more, some are drawn
EQUAL = 1e-9  # how far rounding may take an influence from another way to it
PENALTIES = np.geomspace(1e-3, 1e4, 29)
FIELD = 4, 6  # bits that are looked up together in a small and in a large database: tables are to be smaller than it

Codes = np.ndarray | Packed


# ---------------------------------------------------------------- influence


class _Tables:
    """s' G s of every pair of fields of some bits, for all samples: float64 (P, 2^(2 bits), B)."""

    def __init__(self, gram: np.ndarray, bits: int):
        B, n, _ = gram.shape
        centred = gram - gram.mean(axis=1, keepdims=True)
        centred -= centred.mean(axis=2, keepdims=True)
        self.n, self.bits, self.fields = n, bits, max(2, -(-n // bits))
        padded = np.zeros((B, *[self.fields * bits] * 2))  # bits that are not there count for nothing
        padded[:, :n, :n] = (centred + centred.transpose(0, 2, 1)) / 2
        blocks = padded.reshape(B, self.fields, bits, self.fields, bits).transpose(1, 3, 2, 4, 0)
        signs = 2.0 * ((np.arange(1 << bits)[:, None] >> np.arange(bits)) & 1) - 1
        f, g = np.triu_indices(self.fields, 1)  # the pairs
        once, half = (_half(signs, X) for X in (blocks[range(self.fields), range(self.fields)], 2 * blocks[f, g]))
        own = sum(once[:, :, j] * signs[:, j, None] for j in range(bits)) / (self.fields - 1)
        both = sum(half[:, :, None, j] * signs[:, j, None] for j in range(bits)) + own[f][:, :, None] + own[g][:, None]
        self.values = both.reshape(len(f), -1, B)
        # The same in single precision, one below the other, and how far sums of them can be off.
        self.coarse = torch.from_numpy(self.values).float().flatten(0, 1)
        self.slack = 2 * len(f) * np.finfo(np.float32).eps * np.abs(self.values).max(axis=1).sum(axis=0)
        # A row of `coarse` is a linear function of the fields; in float32, which holds these small numbers exactly.
        self.first = torch.arange(len(f), dtype=torch.float32) * (1 << 2 * bits)
        self.to_row = torch.zeros(self.fields, len(f))
        self.to_row[f, range(len(f))], self.to_row[g, range(len(f))] = 1 << bits, 1

    def index(self, packed: np.ndarray) -> np.ndarray:
        """Which row of `coarse` each pair of fields of each code is, from packed bits (K, bytes): int32 (K, P)."""
        fields, columns = np.zeros((self.fields, len(packed)), np.float32), np.ascontiguousarray(packed.T)
        for f in range(self.fields):
            byte, shift = divmod(f * self.bits, 8)
            if byte < len(columns):
                word = columns[byte] >> shift
                if shift + self.bits > 8 and byte + 1 < len(columns):
                    word |= columns[byte + 1] << (8 - shift)
                fields[f] = word & ((1 << self.bits) - 1)
        return torch.addmm(self.first, torch.from_numpy(fields).T, self.to_row).int().numpy()

    def lengths(self, index: np.ndarray, left: np.ndarray, samples: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Influences of codes, `left` (K,) members not holding each image: float64 (K, B), or (K,), of one sample each.

        Always summed in one order, so that a code and its complement tie to the last bit.
        """
        values = self.values.reshape(-1, self.values.shape[-1])
        total = sum(values[rows, samples] for rows in index.T)
        left = left[:, None] if total.ndim == 2 else left
        return np.sqrt(total.clip(min=0)) / (2 * left)  # a length of 0 may come out as -1e-17

    def above(self, index: np.ndarray, left: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The codes of a block, and samples, whose influence may be above `least` (B,): two int64 (M,)."""
        coarse = embedding_bag(torch.from_numpy(index), self.coarse, mode="sum").numpy()
        left = left[:1] if (left == left[0]).all() else left
        bar = (2 * left[:, None] * least) ** 2 - self.slack
        return np.divmod(np.flatnonzero(coarse > bar.astype(np.float32)), len(least))


def _half(signs: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """s' X for all signs s (S, bits) and blocks X (P, bits, bits, B): (P, S, bits, B).

    Term by term, as a matrix product would not: its rounding depends on where in the matrix a row stands, and then ties
    would be decided by it.
    """
    return sum(signs[:, i, None, None] * blocks[:, None, i] for i in range(signs.shape[1]))


def influence(gram: np.ndarray, codes: Codes, block: int = BLOCK) -> np.ndarray:
    """||J (u_-x - u_0)|| of every image x on every sample: float64 (B, N), in units of [-1, 1] pixels.

    gram (B, n, n) as from `jacobians.gram` at u_0; codes bool (N, n), or `Packed`. Images whose u_-x - u_0 are each
    other's negatives (complementary codes of weight n/2) come out equal to the last bit.
    Raises ValueError when the two are of different ensembles, a code has no 0, or the Gram matrix is not finite.
    """
    tables = _Tables(_checked(gram, codes), FIELD[len(codes) >= BLOCK])
    found = [tables.lengths(*_looked_up(tables, codes, a, a + block)) for a in range(0, len(codes), block)]
    return np.concatenate(found).T


def _looked_up(tables: _Tables, codes: Codes, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Of some rows, the index into the tables and how many members do not hold each image."""
    part = codes[start:stop]
    left = tables.n - weights(part)
    if not left.all():
        row = start + int(np.flatnonzero(left == 0)[0])
        raise ValueError(f"expected a 0 in every code, but row {row} is held by all {tables.n} members")
    return tables.index(part.bits if isinstance(part, Packed) else np.packbits(part, 1, "little")), left


def _checked(gram: np.ndarray, codes: Codes) -> np.ndarray:
    gram = np.asarray(gram, dtype=np.float64)
    if gram.ndim != 3 or gram.shape[1] != gram.shape[2]:
        raise ValueError(f"expected Gram matrices (B, n, n), got shape {gram.shape}")
    n, shape = gram.shape[1], (len(codes), codes.n) if isinstance(codes, Packed) else np.shape(codes)
    if len(shape) != 2 or shape[1] != n:
        raise ValueError(f"expected codes (N, {n}), of the ensemble that the Gram matrix is of; got shape {shape}")
    if not np.isfinite(gram).all():
        raise ValueError("expected finite Gram matrices, got NaN or infinity; check the weights and Jacobians")
    return gram


# ---------------------------------------------------------------- the top k


@dataclass(frozen=True)
class Top:
    """The most influential images of every sample: rows of the database and influences, both (B, k)."""

    rows: np.ndarray
    influence: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def top_k(gram: np.ndarray, codes: Codes, k: int, excluded: np.ndarray | None = None, block: int = BLOCK) -> Top:
    """The k most influential images of every sample, streamed; a tie goes to the earlier row.

    Arguments as for `influence`; codes that do not fit into memory are `Packed` with a memory map. excluded: rows that
    are passed over. Exact: what single precision cannot tell from the k-th is worked out in double. In a group of
    processes (`ranks`) each looks through its share of the rows, and all return the same. Raises ValueError for k
    outside 1..N (less the excluded), and as `influence`.
    """
    N, excluded = len(codes), np.unique(np.asarray([] if excluded is None else excluded, dtype=np.int64))
    if not 1 <= k <= N - len(excluded):
        less = f", less {len(excluded)} excluded" if len(excluded) else ""
        raise ValueError(f"expected k in 1..{N - len(excluded)} (a database of {N} images{less}), got {k}")
    tables, B = _Tables(_checked(gram, codes), FIELD[len(codes) >= BLOCK]), len(gram)
    best = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)  # sample, row, score; the best so far
    rank, size = ranks.here()
    with side_by_side(torch.device("cpu")) if N > block else nullcontext(map) as run:
        for spans in _spans(N * rank // size, N * (rank + 1) // size, block):
            least = best[2][k - 1 :: k] if len(best[2]) == B * k else None
            for found in run(functools.partial(_candidates, tables, codes, excluded, least), spans):
                best = _first(*map(np.concatenate, zip(best, found, strict=True)), B, k)
    sample, row, score = _first(*map(np.concatenate, zip(*_everybodys(*best, B * k), strict=True)), B, k)
    return Top(row.reshape(B, k), score.reshape(B, k))


def _everybodys(sample: np.ndarray, row: np.ndarray, score: np.ndarray, most: int) -> list[tuple[np.ndarray, ...]]:
    """The best of every process, by rank, each at most so many."""
    whole, bits = torch.full((3, most), -1), score.astype(np.float64).view(np.int64)  # -1: there are fewer
    for line, values in zip(whole, (sample, row, bits), strict=True):
        line[: len(values)] = torch.from_numpy(values)
    every = [part[:, part[0] >= 0].numpy() for part in ranks.gather(whole)]
    return [(part[0], part[1], np.ascontiguousarray(part[2]).view(np.float64)) for part in every]


def _spans(start: int, N: int, block: int) -> Iterator[list[tuple[int, int]]]:
    """(first row, last row + 1) of blocks up to row N, in groups that are looked at side by side: a few rows first,
    whose best rule out most of the others."""
    size = min(FIRST, block)
    while start < N:
        group = [
            (a, min(a + size, N)) for a in range(start, min(start + (TOGETHER if size == block else 1) * size, N), size)
        ]
        yield group
        start, size = group[-1][1], min(4 * size, block)


def _candidates(
    tables: _Tables, codes: Codes, excluded: np.ndarray, least: np.ndarray | None, span: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, rows of a span that may have an influence above `least` (B,) on them (None: all), and the influences."""
    index, left = _looked_up(tables, codes, *span)
    B = tables.values.shape[-1]
    which, whose = np.divmod(np.arange(len(index) * B), B) if least is None else tables.above(index, left, least)
    if len(excluded):
        allowed = ~np.isin(span[0] + which, excluded)
        which, whose = which[allowed], whose[allowed]
    return whose, span[0] + which, tables.lengths(index[which], left[which], whose)


def _first(
    sample: np.ndarray, row: np.ndarray, score: np.ndarray, B: int, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of scores (M,), each of a row for a sample, at most the k largest of every sample, in order."""
    order = np.argsort(-score, kind="stable")  # rows ascend in every sample: of a tie the earlier stays first
    order = order[np.argsort(sample[order], kind="stable")]
    sample = sample[order]
    place = np.arange(len(sample)) - np.searchsorted(sample, np.arange(B))[sample]
    order = order[place < k]
    return sample[place < k], row[order], score[order]


def repeated(top: Top, times: int = 2) -> np.ndarray:
    """The images in at least `times` lists, ascending: "generally influential" (paper, Section 3.3)."""
    rows, counts = np.unique(top.rows, return_counts=True)
    return rows[counts >= times]


# ---------------------------------------------------------------- what a score means


@dataclass(frozen=True)
class Chance:
    """p (B, k): the share of codes with at least the influence of each image of a list; of so many `codes`, all there
    are (`exact`) or drawn at random."""

    p: np.ndarray
    codes: int
    exact: bool


def by_chance(gram: np.ndarray, top: Top, h: int, draws: int = 100_000, seed: int = 0) -> Chance:
    """How often chance gives an image the influence it has in its list.

    Were the codes dealt to the images anew, each of the C(n, h) as likely for an image as any other, the image would
    have so large an influence with probability p: a p-value under the hypothesis that which image a code belongs to
    makes no difference to the members. Exact while there are at most ENUMERATED codes, else by Monte Carlo, (1 + those
    of `draws` that reach it) / (1 + draws). gram as for `influence`, at u_0; top as from `top_k`.
    """
    n = gram.shape[1]
    M = comb(n, h)
    exact, K = M <= ENUMERATED, min(M, ENUMERATED if M <= ENUMERATED else draws)
    drawn = None if exact else constant_weight(K, n, h, seed)
    reached = np.zeros(top.rows.shape, np.int64)
    for start in range(0, K, BLOCK):
        rows = np.arange(start, min(start + BLOCK, K))
        found = np.sort(influence(gram, unrank(rows, n, h) if drawn is None else drawn[rows]), axis=1)
        bars = top.influence * (1 - EQUAL)  # an influence is itself among all, to rounding
        reached += len(rows) - np.stack([np.searchsorted(*pair) for pair in zip(found, bars, strict=True)])
    return Chance(reached / K if exact else (1 + reached) / (1 + K), K, exact)


# ---------------------------------------------------------------- codes that overlap


def ridge(gram: np.ndarray, codes: np.ndarray, penalty: float | None = None) -> np.ndarray:
    """The Gram matrix whose `influence` is that of a ridge regression of J's columns on the codes: (B, n, n).

    J (u_-x - u_0) is -h/n times the mean of the columns that saw x less the mean of the others, a matched filter, which
    counts for x what its code shares with others. Here that difference is the coefficient of x in the regression of
    the columns on all centred codes C (N, n) together, of one weight h; its dual has n unknowns:
    C (C'C + penalty)^-1 J'. Where N is far above n, C'C is nearly a multiple of the identity on what a change of
    mixture sees (of all C(n, h) codes, exactly), and both order images alike. penalty, in units of C'C's mean
    eigenvalue there: None takes the one that predicts left-out columns best, sample by sample.
    """
    codes = np.asarray(codes, dtype=bool)
    gram, h = _checked(gram, codes), int(codes[0].sum())
    n, centred = codes.shape[1], codes - h / codes.shape[1]
    values, vectors = np.linalg.eigh(centred.T @ centred - 1 / n)  # of the constant, which no change has: -1, the first
    values, vectors = values[1:].clip(min=0), vectors[:, 1:]
    inside = vectors.T @ gram @ vectors
    penalties = np.full(len(gram), penalty) if penalty is not None else _left_out(inside, values, vectors)
    scale = h * (n - h) / n / (values + penalties[:, None] * values.mean())  # (B, n - 1)
    return vectors @ (scale[:, :, None] * inside * scale[:, None, :]) @ vectors.T


def _left_out(inside: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The penalties (B,) of PENALTIES with the least squared error in predicting every column from the others."""
    errors = []
    for penalty in PENALTIES:
        kept = penalty * values.mean() / (values + penalty * values.mean())  # of each direction, by the residuals
        residuals = ((vectors * kept @ inside) * (vectors * kept)).sum(axis=2)  # squared lengths, (B, n)
        errors.append((residuals / np.square(np.square(vectors) @ kept)).sum(axis=1))  # over (1 - leverage)^2
    return PENALTIES[np.argmin(errors, axis=0)]
