"""Growing ensembles, measured: digits on the way, images that come back, and how far the law holds (see `growing`).

Throughout, y is (B, n, C, H, W): each sample's images under 1 to n members, the last under all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from genens_book.chapters.convergence import growing
from genens_book.chapters.convergence.growing import Fit, by_one, law, law_by_one, nested, to_full
from genens_book.measures import classifier, stats
from genens_book.measures.classifier import CrossFitted
from genens_book.measures.distances import euclidean
from genens_book.measures.judges import Judge
from genens_book.measures.stats import Interval

FEWEST = 8  # samples that a group must have for its curve to be set against the law


def read(y: np.ndarray, judge: Judge | CrossFitted) -> dict[str, torch.Tensor]:
    """The class that a judge sees in every image and how sure it is: (B, n) each."""
    labels, confidence = classifier.predict(judge, y)
    return {"labels": labels, "confidence": confidence}


# ---------------------------------------------------------------- the paper's statements


def decreasing(distances: np.ndarray) -> bool:
    """Whether the median of distances (B, K) falls with every member added (Figure 4a)."""
    return bool((np.diff(np.median(distances, axis=0)) < 0).all())


def falls_words(distances: np.ndarray) -> str:
    """Whether the median falls with every member added, as a sentence that names the sizes at which it does not."""
    if decreasing(distances):
        return "It falls with every member added"
    rises = 1 + np.flatnonzero(np.diff(np.median(distances, axis=0)) >= 0)
    return f"It does not fall with every member added: not from {sizes(rises)} to one more"


def rise(distances: np.ndarray, seed: int, n_boot: int = 2000) -> tuple[int, Interval]:
    """The member added (from 1) after which the median of distances (B, K) rises most or falls least, and by how much
    it rises, with a bootstrap over samples, each of which keeps its two distances together."""
    k = int(np.diff(np.median(distances, axis=0)).argmax())

    def change(values: np.ndarray, axis: int) -> np.ndarray:
        before, after = np.moveaxis(np.median(values, axis=axis), -1, 0)
        return after - before

    return k + 1, stats.bootstrap(distances[:, k : k + 2], change, n_boot, seed)


def trend(distances: np.ndarray, seed: int, n_boot: int = 2000) -> Interval:
    """Spearman's correlation of size and median distance (B, K), with a bootstrap over samples (Figure 4b)."""
    sizes = np.arange(distances.shape[1])

    def correlation(values: np.ndarray, axis: int) -> np.ndarray:
        return stats.spearman(sizes, np.median(values, axis=axis))

    return stats.bootstrap(distances, correlation, n_boot, seed)


def came_back(y: np.ndarray, labels: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Where a sample goes to another digit and comes back: bool (B, n - 2), True at k (from 0) when y_{k+2} is nearer
    to y_k than `share` of either step between them, as `growing.returns` counts it, and shows the digit of y_k
    again after another one (Figure 4c)."""
    y, labels, step = torch.as_tensor(y), np.asarray(labels), by_one(y)
    near = euclidean(y[:, 2:], y[:, :-2]) < share * np.minimum(step[:, 1:], step[:, :-1])
    return near & (labels[:, 2:] == labels[:, :-2]) & (labels[:, 1:-1] != labels[:, :-2])


def alternating(back: np.ndarray, returns: np.ndarray, k: int) -> np.ndarray:
    """The k samples that come back most often, with their digit (B, n - 2) or without (B,), the first ones in a tie."""
    return np.lexsort((np.arange(len(back)), -np.asarray(returns), -back.sum(axis=1)))[:k]


# ---------------------------------------------------------------- digits on the way


def settled(labels: np.ndarray) -> list[Interval]:
    """For k = 1..n-1, the share of samples (B, n) whose digit under k members is that under all n."""
    right = (labels[:, :-1] == labels[:, -1:]).sum(axis=0)
    return [stats.proportion(int(count), len(labels)) for count in right]


def constant(labels: np.ndarray) -> np.ndarray:
    """The samples (B, n) that show one digit from the first member to the last: bool (B,)."""
    return (labels == labels[:, :1]).all(axis=1)


# ---------------------------------------------------------------- the law


def linear(y: np.ndarray, J: np.ndarray, order: np.ndarray) -> np.ndarray:
    """What the images would be if y followed its tangent: y + J (v_k - u_0), clamped, float32 (B, n, C, H, W).

    y (B, C, H, W) before the clamp and J (B, n, C, H, W) as from `jacobians.jacobian`; order (B, n).
    """
    y, J = torch.as_tensor(y), torch.as_tensor(J)
    moves = torch.as_tensor(nested(order) - 1 / order.shape[1]).to(J)
    return (y[:, None] + torch.einsum("kbn,bnchw->bkchw", moves, J)).clamp(-1, 1).numpy()


def fits(y: np.ndarray, labels: np.ndarray, sigma2: np.ndarray, seed: int, n_boot: int = 400) -> dict[str, Fit | None]:
    """The law against the distances to the full ensemble ("full"), with the variance of the Jacobian's columns sigma2
    (S,) of the first S samples and nothing fitted ("jacobian"), the same with each of those samples in units of its own
    variance, so that all count alike ("own"), from one size to the next ("step"), and for the samples whose digit stays
    ("stays") and changes ("changes"); None for a group of fewer than FEWEST."""
    distances, n, stays = to_full(y), y.shape[1], constant(labels)
    first = distances[: len(sigma2)]

    def of(rows: np.ndarray) -> Fit | None:
        return growing.fit(rows, law(n), None, seed, n_boot) if len(rows) >= FEWEST else None

    return {
        "full": growing.fit(distances, law(n), None, seed, n_boot),
        "jacobian": growing.fit(first, law(n), sigma2, seed, n_boot),
        "own": growing.fit(first / np.sqrt(sigma2)[:, None], law(n), np.ones(len(sigma2)), seed, n_boot),
        "step": growing.fit(by_one(y), law_by_one(n), None, seed, n_boot),
        "stays": of(distances[stays]),
        "changes": of(distances[~stays]),
    }


def sizes(found: Sequence[int]) -> str:
    """Sizes as prose has them: "1, 4 to 7 and 9"; "no size" for none."""
    found = sorted(int(k) for k in found)
    runs: list[list[int]] = []
    for k in found:
        if runs and k == runs[-1][-1] + 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "no size"


def holding(fit: Fit, fitted: bool = True) -> str:
    """The sizes whose ratio's interval contains 1, in words; the last is left out where the law was fitted there."""
    last = len(fit.ratio)
    return sizes([k for k in fit.holds if not (fitted and k == last)])


def law_words(fits: Mapping[str, Fit | None]) -> dict[str, str | int]:
    """Where the law holds and where it is furthest off, for each fit that the prose goes through (see `fits`)."""
    found: dict[str, str | int] = {}
    for name in ("full", "step", "own"):
        fit = fits[name]
        found[f"holds_{name}"] = holding(fit, fitted=name != "own")
        found[f"worst_{name}"] = fit.worst
        found[f"ratio_{name}"] = str(fit.ratio[fit.worst - 1])
    return found


def group_words(fits: Mapping[str, Fit | None]) -> dict[str, str]:
    """The law's ratio at one member for samples whose digit stays and whose digit changes, as prose has it."""
    return {
        f"ratio_{name}": f"the ratio at one member is {fits[name].ratio[0]}"
        if fits[name]
        else f"there are too few samples to say, fewer than {FEWEST}"
        for name in ("stays", "changes")
    }
