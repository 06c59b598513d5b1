"""The training images that matter most to a sample: every code's influence, top k, general influencers.

The influence of image x on sample y is ||J (u_-x - u_0)||, the length of the approximate counterfactual's
change (paper, Section 3.3). Through the Gram matrix it takes n^2 numbers a sample where the Jacobian has m x
n. Nothing here holds samples x images at once, but `influence` itself, which returns that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genens import codes as coding

BLOCK = 4096  # images whose influence is worked out at once


# ---------------------------------------------------------------- influence


def influence(gram: np.ndarray, codes: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """||J (u_-x - u_0)|| of every image x on every sample: float64 (B, N), in units of [-1, 1] pixels.

    gram (B, n, n) as from `jacobians.gram` at u_0; codes bool (N, n). Images whose u_-x - u_0 are each other's
    negatives (complementary codes of weight n/2) come out equal to the last bit.
    Raises ValueError when the two are of different ensembles, or the Gram matrix is not finite.
    """
    return np.concatenate([scores for _, scores in _streamed(gram, codes, block)], axis=1)


def _streamed(gram: np.ndarray, codes: np.ndarray, block: int = BLOCK) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, influence of `block` images), block by block."""
    gram, codes = _checked(gram, codes)
    for start in range(0, len(codes), block):
        moves = coding.ablations(codes[start : start + block]) - coding.uniform(codes.shape[1])
        yield start, _lengths(gram, moves)


def _lengths(gram: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """sqrt(d' G d) for every G (B, n, n) and d (N, n): (B, N).

    Term by term, as a matrix product would not: its rounding depends on where in the matrix a row stands, and
    then ties would be decided by it.
    """
    squares = np.zeros((len(gram), len(moves)))
    for i in range(moves.shape[1]):
        for j in range(i + 1):
            twice = gram[:, i, j] + gram[:, j, i] if i != j else gram[:, i, i]
            squares += twice[:, None] * (moves[:, i] * moves[:, j])
    return np.sqrt(squares.clip(min=0))  # a length of 0 may come out as -1e-17


def _checked(gram: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gram, codes = np.asarray(gram, dtype=np.float64), np.asarray(codes)
    if gram.ndim != 3 or gram.shape[1] != gram.shape[2]:
        raise ValueError(f"expected Gram matrices (B, n, n), got shape {gram.shape}")
    if codes.ndim != 2 or codes.shape[1] != gram.shape[1]:
        n, shape = gram.shape[1], codes.shape
        raise ValueError(f"expected codes (N, {n}), of the ensemble that the Gram matrix is of; got shape {shape}")
    if not np.isfinite(gram).all():
        raise ValueError("expected finite Gram matrices, got NaN or infinity; check the weights and Jacobians")
    return gram, codes


# ---------------------------------------------------------------- the top k


@dataclass(frozen=True)
class Top:
    """The most influential images of every sample: rows of the database and influences, both (B, k)."""

    rows: np.ndarray
    influence: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def top_k(gram: np.ndarray, codes: np.ndarray, k: int, excluded: np.ndarray | None = None, block: int = BLOCK) -> Top:
    """The k most influential images of every sample, streamed; a tie goes to the earlier row.

    excluded: rows that are passed over. Raises ValueError for k outside 1..N (less the excluded), and as `influence`.
    """
    N, excluded = len(codes), np.unique(np.asarray([] if excluded is None else excluded, dtype=np.int64))
    if not 1 <= k <= N - len(excluded):
        left = f", less {len(excluded)} excluded" if len(excluded) else ""
        raise ValueError(f"expected k in 1..{N - len(excluded)} (a database of {N} images{left}), got {k}")
    rows, best = np.zeros((len(gram), 0), np.int64), np.zeros((len(gram), 0))
    for start, scores in _streamed(gram, codes, block):
        here = np.arange(start, start + scores.shape[1])
        kept = ~np.isin(here, excluded)
        rows = np.concatenate([rows, np.broadcast_to(here[kept], (len(gram), kept.sum()))], axis=1)
        best = np.concatenate([best, scores[:, kept]], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        rows, best = np.take_along_axis(rows, order, 1), np.take_along_axis(best, order, 1)
    return Top(rows, best)


def repeated(top: Top, times: int = 2) -> np.ndarray:
    """The images in at least `times` lists, ascending: "generally influential" (paper, Section 3.3)."""
    rows, counts = np.unique(top.rows, return_counts=True)
    return rows[counts >= times]
