"""What can be asked of top lists: are they right, do they stand out, are they copies; and the plain route to them.

The search orders a database by a linear approximation (`attribution.top_k`). Here its lists are compared with one
another, with the samples pixel by pixel, and with the true distances of the counterfactuals of their images and of as
many drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens.attribution import Top, repeated, ridge, top_k
from genens.jacobians import linear_counterfactual
from genens_book.measures import stats
from genens_book.measures.distances import euclidean, every_pair
from genens_book.measures.gallery import Gallery
from genens_book.measures.not_run import NotRun

EQUAL = 1e-10  # how far two routes to the same number may lie apart in double precision
COPY = 1 / 3  # nearer than a third of the way to the next nearest image: a copy


def plain_influence(J: Tensor | np.ndarray, codes: np.ndarray) -> np.ndarray:
    """||J (u_-x - u_0)|| of every image, J itself multiplied with every change of mixture: float64 (B, N).

    J (B, n, C, H, W); codes (N, n). The route that the Gram matrix shortens (`attribution.influence`), sample by
    sample.
    """
    moves = torch.from_numpy(coding.ablations(codes) - coding.uniform(codes.shape[1]))
    return np.stack([(moves @ one.double().flatten(1)).norm(dim=1).numpy() for one in torch.as_tensor(J)])


def disagreement(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two sets of influences, as a share of the largest influence."""
    return float(np.abs(one - other).max() / np.abs(other).max())


def routes_apart(influence: np.ndarray, J: Tensor | np.ndarray, codes: np.ndarray) -> float:
    """`disagreement` of influences (B, N), which came through the Gram matrix, with the plain route. ValueError when it
    is more than rounding."""
    error = disagreement(influence, plain_influence(J, codes))
    if not error < EQUAL:
        raise ValueError(f"expected the two routes to agree to {EQUAL:g} in float64; they differ by {error:.1e}")
    return error


def _as_it_is(gram: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return gram


DECODERS = {"matched filter": _as_it_is, "ridge regression": ridge}


def decoder(name: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """What is done to the Gram matrices before they are searched, given them and the codes. ValueError for a name that
    is not in DECODERS."""
    if name not in DECODERS:
        raise ValueError(f"expected decoder as one of {', '.join(DECODERS)}; got {name!r}")
    return DECODERS[name]


def stands_out(influence: np.ndarray) -> float:
    """How many times the influence of a sample's median image its most influential one has; the median over samples."""
    return float(np.median(influence.max(axis=1) / np.median(influence, axis=1)))


def random_rows(N: int, listed: np.ndarray, seed: int) -> np.ndarray:
    """As many images as each list has, drawn at random among those not in it: int64 (B, k).

    Where fewer than k are left the draw takes from them again. Raises ValueError when a list holds every image.
    """
    found = []
    for b, row in enumerate(np.asarray(listed)):
        rest = np.setdiff1d(np.arange(N), row)
        if not len(rest):
            raise ValueError(f"expected lists shorter than the database of {N} images, got one of {len(row)}: lower k")
        rng = np.random.default_rng([seed, b])
        found.append(rng.choice(rest, len(row), replace=len(rest) < len(row)))
    return np.stack(found)


def beats_random(listed: np.ndarray, random: np.ndarray, seed: int) -> stats.Interval:
    """How often an image of a list moves its sample further than one drawn at random: true distances (B, k) and (B, r).

    One half: the lists are no better than chance. Ties count half; the interval draws samples again.
    """
    one, other = listed[:, :, None], random[:, None, :]
    wins = (one > other).mean((1, 2)) + (one == other).mean((1, 2)) / 2
    return stats.bootstrap(wins, seed=seed)


@dataclass(frozen=True)
class Discounted:
    """Top lists without generally influential images; `removed`, the images taken out in each round."""

    top: Top
    removed: list[np.ndarray]


def discounted(gram: np.ndarray, codes: np.ndarray, k: int) -> Discounted | NotRun:
    """The top k with every image removed that is in more than one list, until no image is (paper, Figure 6d).

    After every removal the lists are filled up with the next most influential images. A NotRun where the database runs
    out before the lists differ: too many samples, or two alike.
    """
    removed: list[np.ndarray] = []
    while True:
        gone = np.concatenate([np.zeros(0, np.int64), *removed])
        if len(codes) - len(gone) < k:
            return NotRun(
                f"removing what the lists share used up the database of {len(codes):,} images before "
                f"{len(gram)} lists of {k} were left that share none"
            )
        top = top_k(gram, codes, k, gone)
        shared = repeated(top)
        if not len(shared):
            return Discounted(top, removed)
        removed.append(shared)


@dataclass(frozen=True)
class Likeness:
    """How much listed images look like their samples, by the Euclidean distance between pixels.

    `place` (B, k): where each listed image stands when the database is sorted by distance to the sample, 1 the nearest;
    `nearest` (B,): the nearest image; `in_list` (B,): whether it is listed.
    """

    place: np.ndarray
    nearest: np.ndarray
    in_list: np.ndarray


def likeness(y: np.ndarray, images: Gallery, top: Top) -> Likeness | NotRun:
    """Samples y (B, C, H, W) in [-1, 1] and the database, of at least 2; see `Likeness`. NotRun where not all of it is
    at hand."""
    if not images.whole:
        return NotRun(f"it takes all images of {images.name}, which are not at hand")
    apart = every_pair(y, images[:])
    order = apart.argsort(axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(1, apart.shape[1] + 1)[None], 1)
    nearest = order[:, 0]
    in_list = (top.rows == nearest[:, None]).any(1)
    return Likeness(np.take_along_axis(place, top.rows, 1), nearest, in_list)


def copies(y: np.ndarray, images: Gallery) -> stats.Interval | NotRun:
    """The share of samples (B, C, H, W) whose nearest image of the database, of at least 2, is less than COPY as far
    away as the second nearest; Wilson's interval. NotRun where not all of it is at hand."""
    if not images.whole:
        return NotRun(f"it takes all images of {images.name}, which are not at hand")
    first, second = np.partition(every_pair(y, images[:]), 1, axis=1)[:, :2].T
    return stats.proportion(int((first < COPY * second).sum()), len(y))


def cut_off(y: np.ndarray, J: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The predicted distance of each listed image's counterfactual when both images are clamped to [-1, 1]: (B, k).

    y (B, C, H, W) before the clamp and J (B, n, C, H, W) as from `jacobians.jacobians`; rows (B, k) of the codes (N,
    n).
    """
    found = []
    for b, row in enumerate(rows):
        predicted = linear_counterfactual(y[b : b + 1], J[b : b + 1], coding.ablations(codes[row]))[:, 0]
        found.append(euclidean(predicted, torch.as_tensor(y[b]).clamp(-1, 1)))
    return np.stack([np.asarray(one) for one in found])


def likeness_of_scores(influence: np.ndarray) -> float:
    """The mean rank correlation, over all pairs of samples, of the influences (B, N) of the database on them; 0 for
    one."""
    one, other = np.triu_indices(len(influence), 1)
    return float(stats.spearman(influence[one], influence[other]).mean()) if len(one) else 0.0


def beyond_chance(top: Top, N: int, seed: int, trials: int = 2000) -> stats.Interval:
    """How many more images are in several of the lists (B, k) than if every list were drawn at random from N images.

    The interval holds 95 % of the differences over `trials` such draws: above 0, the lists share more than chance has
    them.
    """
    B, k = top.rows.shape
    rng, found = np.random.default_rng(seed), len(repeated(top))

    def by_chance() -> int:
        lists = np.stack([rng.choice(N, k, replace=False) for _ in range(B)])
        return len(repeated(Top(lists, np.zeros(lists.shape))))

    drawn = np.array([by_chance() for _ in range(trials)])
    low, high = found - np.quantile(drawn, [0.975, 0.025])
    return stats.Interval(float(found - drawn.mean()), float(low), float(high), B)


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


def rerank(top: Top, distances: np.ndarray) -> Reranked:
    """The short lists (B, k) sorted again by the true distances (B, k) of their counterfactuals, which also break the
    ties of complementary codes. Raises ValueError for another shape, or numbers that are not finite."""
    distances = np.asarray(distances, dtype=np.float64)
    if distances.shape != top.rows.shape or not np.isfinite(distances).all():
        raise ValueError(f"expected finite distances of shape {top.rows.shape}, got shape {distances.shape}")
    order = np.argsort(-distances, axis=1, kind="stable")
    again = Top(np.take_along_axis(top.rows, order, 1), np.take_along_axis(distances, order, 1))
    moved, same_first = (order != np.arange(order.shape[1])).mean(), (order[:, 0] == 0).mean()
    return Reranked(again, float(moved), float(same_first), stats.spearman(top.influence, distances))


# ---------------------------------------------------------------- ties, and what lists share


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
    twin = coding.complements(codes)[top.rows]
    both = (twin[:, :, None] == top.rows[:, None, :]).any(axis=2)
    return Ties(int(both.sum()), int(((twin >= 0) & ~both).sum()), int((twin < 0).sum()))


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


def savings(shape: tuple[int, int, int], n: int, N: int) -> list[Saving]:
    """Of the paper's three experiments, and of this run: images of `shape`, n members, a database of N."""
    return [*map(saving, SHAPES), Saving("this run", prod(shape), n, N)]
