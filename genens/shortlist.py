"""What can be asked of top lists: are they right, do they stand out, are they copies; and the plain route to them.

`search` orders a database by a linear approximation. Here the counterfactuals of a short list are regenerated, beside
those of as many images drawn at random, and the lists are compared with the samples pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens import metrics, stats
from genens.ensemble import Members
from genens.jacobian import linear_counterfactual
from genens.metrics import NotRun
from genens.sample import Noise, sample
from genens.schedule import schedule
from genens.search import Discounted, Top, discount, repeated

COPY = 1 / 3  # nearer than a third of the way to the next nearest image: a copy


def plain_influence(J: Tensor | np.ndarray, codes: np.ndarray) -> np.ndarray:
    """||J (u_-x - u_0)|| of every image, J itself multiplied with every change of mixture: float64 (B, N).

    J (B, n, C, H, W); codes (N, n). The route that the Gram matrix shortens (`search.influence`), sample by sample.
    """
    moves = torch.from_numpy(coding.ablations(codes) - coding.uniform(codes.shape[1]))
    return np.stack([(moves @ one.double().flatten(1)).norm(dim=1).numpy() for one in torch.as_tensor(J)])


def disagreement(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two sets of influences, as a share of the largest influence."""
    return float(np.abs(one - other).max() / np.abs(other).max())


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


def regenerate(
    indices: Sequence[int],
    rows: Sequence[Sequence[int]],
    seed: int,
    steps: int,
    sampler: str,
    variance: str,
    members: Members,
    codes: np.ndarray,
) -> dict[str, Tensor]:
    """{"y": (B, k + 1, C, H, W)}: the samples `indices`, and each one's counterfactuals without the k images of its
    row.

    rows (all samples, k): row i is sample i's list. float32 in [-1, 1]. Raises ValueError for codes of another
    ensemble.
    """
    if np.ndim(codes) != 2 or np.shape(codes)[1] != members.n:
        raise ValueError(f"expected codes (N, {members.n}), of these members; got shape {np.shape(codes)}")
    listed = np.asarray(rows)[list(indices)]
    whole = np.broadcast_to(coding.uniform(members.n), (1, len(listed), members.n))
    without = coding.ablations(codes[listed.T.ravel()]).reshape(*listed.T.shape, members.n)
    noise = Noise(seed, indices, members.shape, steps)
    y = sample(members, noise, np.concatenate([whole, without]), schedule(steps, sampler, variance))
    return {"y": y.transpose(0, 1)}


def distances(y: np.ndarray) -> np.ndarray:
    """How far each counterfactual lies from its sample: y (B, k + 1, C, H, W) as from `regenerate`, result (B, k)."""
    return metrics.euclidean(y[:, 1:], y[:, :1])


def beats_random(listed: np.ndarray, random: np.ndarray, seed: int) -> metrics.Interval:
    """How often an image of a list moves its sample further than one drawn at random: true distances (B, k) and (B, r).

    One half: the lists are no better than chance. Ties count half; the interval draws samples again.
    """
    wins = (listed[:, :, None] > random[:, None, :]).mean((1, 2)) + (listed[:, :, None] == random[:, None, :]).mean(
        (1, 2)
    ) / 2
    return stats.bootstrap(wins, seed=seed)


def discounted(gram: np.ndarray, codes: np.ndarray, k: int) -> Discounted | NotRun:
    """`search.discount`, or why it found no end: a small database runs out of images before the lists differ."""
    try:
        return discount(gram, codes, k)
    except ValueError as problem:
        if "ran out" not in str(problem):
            raise
        return NotRun(
            f"removing what the lists share used up the database of {len(codes):,} images before "
            f"{len(gram)} lists of {k} were left that share none"
        )


@dataclass(frozen=True)
class Likeness:
    """How much listed images look like their samples, by the Euclidean distance between pixels.

    `place` (B, k): where each listed image stands when the database is sorted by distance to the sample, 1 the nearest;
    `nearest` (B,): the nearest image; `in_list` (B,): whether it is listed; `copied` (B,): whether it is listed and
    less than COPY as far away as the next nearest image.
    """

    place: np.ndarray
    nearest: np.ndarray
    in_list: np.ndarray
    copied: np.ndarray


def likeness(y: np.ndarray, images: np.ndarray, top: Top) -> Likeness:
    """Samples y (B, C, H, W) and the database (N, C, H, W), both in [-1, 1], N at least 2; see `Likeness`."""
    y, flat = (torch.as_tensor(side).float().flatten(1) for side in (y, images))
    apart = torch.cdist(y, flat, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    order = apart.argsort(axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(1, apart.shape[1] + 1)[None], 1)
    nearest = order[:, 0]
    first, second = np.take_along_axis(apart, order[:, :2], 1).T
    in_list = (top.rows == nearest[:, None]).any(1)
    return Likeness(np.take_along_axis(place, top.rows, 1), nearest, in_list, in_list & (first < COPY * second))


def cut_off(y: np.ndarray, J: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The predicted distance of each listed image's counterfactual when both images are clamped to [-1, 1]: (B, k).

    y (B, C, H, W) before the clamp and J (B, n, C, H, W) as from `jacobian.draw`; rows (B, k) of the codes (N, n).
    """
    found = []
    for b, row in enumerate(rows):
        predicted = linear_counterfactual(y[b : b + 1], J[b : b + 1], coding.ablations(codes[row]))[:, 0]
        found.append(metrics.euclidean(predicted, torch.as_tensor(y[b]).clamp(-1, 1)))
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
    drawn = np.array(
        [
            (
                np.unique(np.concatenate([rng.choice(N, k, replace=False) for _ in range(B)]), return_counts=True)[1]
                > 1
            ).sum()
            for _ in range(trials)
        ]
    )
    low, high = found - np.quantile(drawn, [0.975, 0.025])
    return stats.Interval(float(found - drawn.mean()), float(low), float(high), B)


def measured_on(searched: str, dataset: str, value: object, why: str = "") -> object:
    """A claim's value if it is about the dataset that was searched, else a NotRun that says so."""
    if searched == dataset:
        return value
    return NotRun(why or f"this run searched {'your own images' if searched.startswith('folder:') else searched}")
