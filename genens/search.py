"""The training images that matter most to a sample: every code's influence, top k, general influencers.

The influence of image x on sample y is ||J (u_-x - u_0)||, the length of the approximate counterfactual's
change (paper, Section 3.3). Through the Gram matrix it takes n^2 numbers a sample where the Jacobian has m x
n (`saving`). Nothing here holds samples x images at once, but `influence` itself, which returns that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from torch import Tensor

from genens import codes as coding
from genens import metrics
from genens.ensemble import Members
from genens.sample import Noise, sample
from genens.schedule import Schedule

BLOCK = 4096  # images whose influence is worked out at once
Truth = Callable[[np.ndarray], np.ndarray]  # rows of images (B, k) -> true distances (B, k)


# ---------------------------------------------------------------- influence


def influence(gram: np.ndarray, codes: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """||J (u_-x - u_0)|| of every image x on every sample: float64 (B, N), in units of [-1, 1] pixels.

    gram (B, n, n) as from `jacobian.gram` at u_0; codes bool (N, n). Images whose u_-x - u_0 are each other's
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
        raise ValueError(
            f"expected codes (N, {gram.shape[1]}), of the ensemble that the Gram matrix is of; got shape {codes.shape}"
        )
    if not np.isfinite(gram).all():
        raise ValueError("expected finite Gram matrices, got NaN or infinity; check the weights and Jacobians")
    return gram, codes


def check_codes(codes: np.ndarray, expected: str) -> None:
    """ValueError unless the codes have this digest, for instance the one in the weights' manifest."""
    got = coding.digest(codes)
    if got != expected:
        raise ValueError(
            f"expected the codes the members were trained with (digest {expected[:12]}), got "
            f"{got[:12]}; take the codes from the weights' folder"
        )


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

    excluded: rows that are passed over. Raises ValueError for k outside 1..N (less the excluded), and as
    `influence`.
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


def complements(codes: np.ndarray) -> np.ndarray:
    """The row that holds each row's complementary code, -1 where none does: int64 (N,).

    With codes of weight n/2, u_-x - u_0 is then the other's negative: the linear approximation cannot tell
    the two images apart. Codes of another weight have no complement among them.
    """
    codes = np.asarray(codes, dtype=bool)
    keys, wanted = ([row.tobytes() for row in np.packbits(side, axis=1)] for side in (codes, ~codes))
    where = {key: row for row, key in reversed(list(enumerate(keys)))}  # of equal codes, the first
    return np.array([where.get(key, -1) for key in wanted], dtype=np.int64)


@dataclass(frozen=True)
class Ties:
    """Entries of top lists by where their complement is: in the same list, outside it, nowhere."""

    both: int
    cut: int
    single: int

    def __str__(self) -> str:
        return (
            f"{self.both} entries stand beside the complementary image they tie with, {self.cut} have "
            f"theirs outside the list, {self.single} have none"
        )


def ties(top: Top, codes: np.ndarray) -> Ties:
    """How the ties of complementary codes fell out in the lists; the three counts add up to B x k."""
    twin = complements(codes)[top.rows]
    both = (twin[:, :, None] == top.rows[:, None, :]).any(axis=2)
    return Ties(int(both.sum()), int(((twin >= 0) & ~both).sum()), int((twin < 0).sum()))


# ---------------------------------------------------------------- images in many lists


def repeated(top: Top, times: int = 2) -> np.ndarray:
    """The images in at least `times` lists, ascending: "generally influential" (paper, Section 3.3)."""
    rows, counts = np.unique(top.rows, return_counts=True)
    return rows[counts >= times]


@dataclass(frozen=True)
class Discounted:
    """Top lists without generally influential images; `removed`, the images taken out in each round."""

    top: Top
    removed: list[np.ndarray]


def discount(gram: np.ndarray, codes: np.ndarray, k: int = 10) -> Discounted:
    """The top k with every image removed that is in more than one list, until no image is (paper, Figure 6d).

    After every removal the lists are filled up with the next most influential images. Raises ValueError when
    the database runs out before the lists differ: too many samples, or two alike.
    """
    removed: list[np.ndarray] = []
    while True:
        gone = np.concatenate([np.zeros(0, np.int64), *removed])
        if len(codes) - len(gone) < k:
            raise ValueError(
                f"expected {len(gram)} lists of {k} that share no image, but the database of "
                f"{len(codes)} images ran out: ask for fewer samples or a smaller k"
            )
        top = top_k(gram, codes, k, gone)
        shared = repeated(top)
        if not len(shared):
            return Discounted(top, removed)
        removed.append(shared)


@dataclass(frozen=True)
class Concentration:
    """How few images the lists share.

    `distinct` of `entries`; `by_chance`, the distinct ones if each list were drawn at random; the most lists
    that one image is in; `effective`, the number of equally frequent images (1 / sum p^2).
    """

    entries: int
    distinct: int
    by_chance: float
    most: int
    effective: float


def concentration(top: Top, N: int) -> Concentration:
    """How concentrated the lists are on a few of the N images of the database."""
    B, k = top.rows.shape
    counts = np.unique(top.rows, return_counts=True)[1]
    by_chance = N * (1 - (1 - k / N) ** B)
    share = counts / counts.sum()
    return Concentration(B * k, len(counts), by_chance, int(counts.max()), float(1 / (share**2).sum()))


# ---------------------------------------------------------------- the second stage


@dataclass(frozen=True)
class Reranked:
    """A short list in the order of the true counterfactuals' distances, and how that order differs.

    `moved`: the share of entries at another place than before; `same_first`: of lists whose first image
    stayed first; `correlation` (B,): rank correlation of the two orders within each list.
    """

    top: Top
    moved: float
    same_first: float
    correlation: np.ndarray


def rerank(top: Top, truth: Truth) -> Reranked:
    """The short lists sorted again by the true distance, which truth(rows (B, k)) gives as (B, k).

    `truth` regenerates the counterfactuals (see `regenerated`), which also breaks the ties of complementary
    codes. Raises ValueError when it returns another shape, or numbers that are not finite.
    """
    distances = np.asarray(truth(top.rows), dtype=np.float64)
    if distances.shape != top.rows.shape or not np.isfinite(distances).all():
        raise ValueError(f"expected finite distances of shape {top.rows.shape}, got shape {distances.shape}")
    order = np.argsort(-distances, axis=1, kind="stable")
    again = Top(np.take_along_axis(top.rows, order, 1), np.take_along_axis(distances, order, 1))
    moved, same_first = (order != np.arange(order.shape[1])).mean(), (order[:, 0] == 0).mean()
    return Reranked(again, float(moved), float(same_first), metrics.spearman(top.influence, distances))


def regenerated(members: Members, noise: Noise | Tensor, steps: Schedule, codes: np.ndarray) -> Truth:
    """The `truth` of `rerank`: the distance of each listed image's true counterfactual from the sample.

    It takes k + 1 trajectories a sample: the sample, and one for each entry of its list. Raises ValueError
    when the codes are of another ensemble, or the lists are not of the noise's samples.
    """
    if np.ndim(codes) != 2 or np.shape(codes)[1] != members.n:
        raise ValueError(f"expected codes (N, {members.n}), of these members; got shape {np.shape(codes)}")

    def truth(rows: np.ndarray) -> np.ndarray:
        if len(rows) != len(noise):
            raise ValueError(f"expected one list for each of the noise's {len(noise)} samples, got {len(rows)}")
        whole = np.broadcast_to(coding.uniform(members.n), (1, len(rows), members.n))
        without = coding.ablations(codes[rows.T.ravel()]).reshape(*rows.T.shape, members.n)
        y = sample(members, noise, np.concatenate([whole, without]), steps)
        return metrics.euclidean(y[1:], y[0]).T

    return truth


# ---------------------------------------------------------------- what the Gram matrix saves


SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "celeba": (3, 128, 128)}


@dataclass(frozen=True)
class Saving:
    """Numbers kept a sample, and multiplications to search the database for it, by both routes."""

    dataset: str
    m: int
    n: int
    N: int

    @property
    def jacobian(self) -> tuple[int, int]:
        """m x n numbers; m x n and m more for the length, for each image."""
        return self.m * self.n, self.N * (self.m * self.n + self.m)

    @property
    def gram(self) -> tuple[int, int]:
        """n^2 numbers; n^2 and n more, for each image, after n^2 m once for the Gram matrix itself."""
        return self.n**2, self.N * (self.n**2 + self.n) + self.n**2 * self.m

    @property
    def factors(self) -> tuple[float, float]:
        """How many times fewer numbers and multiplications the Gram route takes."""
        return tuple(j / g for j, g in zip(self.jacobian, self.gram, strict=True))

    def __str__(self) -> str:
        kept, work = self.factors
        return (
            f"{self.dataset}: {self.gram[0]:,} numbers a sample instead of {self.jacobian[0]:,} ({kept:.0f} "
            f"times fewer), {self.gram[1]:.3g} multiplications a search instead of {self.jacobian[1]:.3g} "
            f"({work:.0f} times fewer)"
        )


def saving(dataset: str) -> Saving:
    """What the Gram matrix saves in the paper's experiment on "mnist", "cifar10" or "celeba"; print it."""
    if dataset not in SHAPES:
        raise ValueError(f"expected a dataset among {', '.join(SHAPES)}, got {dataset!r}")
    N, n, _ = coding.PAPER[dataset]
    return Saving(dataset, prod(SHAPES[dataset]), n, N)
