"""Placebos: ablations that unlearn nothing, beside those that unlearn a class or an image.

Of the C(7, 3) triples of the class ensemble's members seven are the codes of classes; taking away any other triple
leaves as small an ensemble, and no class is gone. Of the C(16, 8) codes of the ensemble of all digits, those that no
image has are as good as the others to ablate, and ablating one unlearns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import comb

import numpy as np
import torch
from scipy import stats as scipy_stats

from genens import codes as coding
from genens_book.measures import classifier, stats
from genens_book.measures.distances import euclidean
from genens_book.measures.judges import Judge
from genens_book.measures.stats import Interval

SMALLEST = scipy_stats.norm.isf(0.025) + scipy_stats.norm.isf(0.2)  # standard errors: seen with power 80 %


def removals(n: int, h: int) -> np.ndarray:
    """Every way of taking h of n members away, as codes: bool (C(n, h), n)."""
    return coding.unrank(range(comb(n, h)), n, h)


def of_classes(class_codes: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Which row of `every` each class's code is: int64 (classes,)."""
    return np.array([int(np.flatnonzero((every == code).all(1))[0]) for code in class_codes])


def measure(y: np.ndarray, judge: Judge) -> dict[str, np.ndarray]:
    """To be stored: the predicted class of each image, (B, 1 + V), and the Euclidean distance of each counterfactual
    from its original, (B, V); y (B, 1 + V, C, H, W)."""
    y = torch.as_tensor(y)
    labels = classifier.predict(judge, y.flatten(0, 1))[0].view(y.shape[:2])
    return {"labels": labels, "distance": euclidean(y[:, :1], y[:, 1:])}


def rows(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Which of the classes each sample is said to have, -1 for none of them: int64 (B,)."""
    found = np.full(len(labels), -1)
    for number, one in enumerate(classes):
        found[np.asarray(labels) == one] = number
    return found


@dataclass(frozen=True)
class Dose:
    """What becomes of samples whose own class keeps a share `left` of the members' weight: how often their class
    changes, how far they move; n triples of members, `real` ones (a class's code) or placebos."""

    left: float
    real: bool
    n: int
    changed: Interval
    distance: Interval


def own_weight(mixtures: np.ndarray, class_codes: np.ndarray) -> np.ndarray:
    """The weight that each mixture (V, n) gives to the members that saw each class (k, n): float64 (k, V)."""
    return class_codes.astype(float) @ mixtures.T


@dataclass(frozen=True)
class _Kept:
    """The samples of the classes under every ablation: (B', V) each, and whether an ablation is a class's code (V,)."""

    left: np.ndarray
    changed: np.ndarray
    distance: np.ndarray
    real: np.ndarray

    @classmethod
    def of(cls, measured: Mapping[str, np.ndarray], row: np.ndarray, mixtures: np.ndarray, codes: np.ndarray) -> _Kept:
        kept = row >= 0
        changed = measured["labels"][kept, 1:] != measured["labels"][kept, :1]
        real = np.isin(np.arange(len(mixtures)), of_classes(codes, mixtures == 0))
        left = own_weight(mixtures, codes)[row[kept]].round(6)
        return cls(left, changed.astype(float), measured["distance"][kept], real)

    def mean(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Each sample's mean of values (B', V) over the `chosen` ones (B', V), of samples that have any."""
        there = chosen.any(1)
        return (values * chosen)[there].sum(1) / chosen[there].sum(1)


def doses(
    measured: Mapping[str, np.ndarray], row: np.ndarray, mixtures: np.ndarray, class_codes: np.ndarray, seed: int
) -> list[Dose]:
    """Real ablations and placebos by the weight that they leave on the sample's own class, from none up.

    measured as from `measure`; row (B,) as from `rows`; mixtures (V, n). Intervals by bootstrap over samples.
    """
    kept, found = _Kept.of(measured, row, mixtures, class_codes), []
    for share in np.unique(kept.left):
        for real in (True, False):
            chosen = (kept.left == share) & (kept.real == real)
            if chosen.any():
                each = [stats.bootstrap(kept.mean(side, chosen), seed=seed) for side in (kept.changed, kept.distance)]
                found.append(Dose(float(share), real, int(chosen.sum(1).max()), *each))
    return found


def by_placebo(
    measured: Mapping[str, np.ndarray], row: np.ndarray, mixtures: np.ndarray, class_codes: np.ndarray, seed: int
) -> tuple[Interval, Interval]:
    """How often a placebo changes the class of a sample, and how much more often the code of another class does than
    placebos that leave the sample's class the same weight; both by bootstrap over samples. As `doses`."""
    kept = _Kept.of(measured, row, mixtures, class_codes)
    other = kept.real & (kept.left > 0)
    alike = ~kept.real & np.isin(kept.left, kept.left[other])
    difference = kept.mean(kept.changed, other) - kept.mean(kept.changed, alike)
    placebos = np.broadcast_to(~kept.real, kept.left.shape)
    return stats.bootstrap(kept.mean(kept.changed, placebos), seed=seed), stats.bootstrap(difference, seed=seed)


@dataclass(frozen=True)
class Standing:
    """How the ablation of each class stands among all triples, for the samples of that class.

    place (k,): 1 if no other triple moves them as far on average; p (k,): place / triples, and q (k,), after Benjamini
    and Hochberg; n (k,): samples. together: the exact p of all classes at once, over the `orders` orders of the
    members, under the hypothesis that it makes no difference which members saw the class.
    """

    place: np.ndarray
    p: np.ndarray
    q: np.ndarray
    n: np.ndarray
    together: float
    orders: int


def standing(distance: np.ndarray, row: np.ndarray, class_codes: np.ndarray, every: np.ndarray) -> Standing:
    """Of distances (B, V) of the counterfactuals without each of the triples `every` (V, n); row as in `doses`.

    Classes without a sample are left out of `together`, and have place 0, p and q 1.
    """
    k, V = len(class_codes), len(every)
    own, n = of_classes(class_codes, every), np.array([(row == c).sum() for c in range(k)])
    mean = np.stack([distance[row == c].mean(0) if n[c] else np.zeros(V) for c in range(k)])
    place = np.array([(mean[c] >= mean[c, own[c]]).sum() if n[c] else 0 for c in range(k)])
    p = np.where(n > 0, place / V, 1.0)
    lines = _orders(class_codes, every)
    total = (n * mean[np.arange(k), lines]).sum(1)
    q = scipy_stats.false_discovery_control(p) if k > 1 else p
    return Standing(place, p, q, n, float((total >= total[0] * (1 - 1e-12)).mean()), len(lines))


def _orders(class_codes: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Which triples the codes of the classes are, for every order in which the members could stand: (orders, k), as
    they do stand first."""
    number = {code.tobytes(): v for v, code in enumerate(every)}
    orders = [*permutations(range(every.shape[1]))]
    return np.array([[number[code[list(order)].tobytes()] for code in class_codes] for order in orders])


@dataclass(frozen=True)
class Contrast:
    """A number that every triple has: its mean over the classes' codes, and over placebos; p_more and p_less, the share
    of the orders of the members in which the classes' mean is as large, as small."""

    classes: float
    placebos: float
    p_more: float
    p_less: float


def contrast(values: np.ndarray, class_codes: np.ndarray, every: np.ndarray) -> Contrast:
    """Of values (V,), one a triple, under the hypothesis that it makes no difference which triples are codes."""
    means = values[_orders(class_codes, every)].mean(1)
    others = np.delete(values, of_classes(class_codes, every)).mean()
    near = 1e-12 * np.abs(means).max()
    more, less = (means >= means[0] - near).mean(), (means <= means[0] + near).mean()
    return Contrast(float(means[0]), float(others), float(more), float(less))


# ---------------------------------------------------------------- images


@dataclass(frozen=True)
class Comparison:
    """A difference, as a share of the mean of what is compared, and whether it is nothing.

    difference: with its 95 % interval; p: two-sided, of no difference; equivalent: p of the hypothesis that it is as
    large as `margin` either way (two one-sided tests); seen: the smallest that would be seen with power 80 % at 5 %.
    """

    difference: Interval
    p: float
    equivalent: float
    margin: float
    seen: float


def _compared(value: float, error: float, n: int, margin: float, spread: scipy_stats.rv_continuous) -> Comparison:
    reach = spread.isf(0.025) * error
    return Comparison(
        Interval(value, value - reach, value + reach, n),
        float(2 * spread.sf(abs(value) / error)),
        float(max(spread.sf((margin + value) / error), spread.sf((margin - value) / error))),
        margin,
        float(SMALLEST * error),
    )


def assigned(values: np.ndarray, taken: np.ndarray, margin: float) -> Comparison:
    """The mean of values (M,), one a code, over the codes that images have (`taken`, bool) less that over the others.

    Under the hypothesis that it makes no difference which codes were dealt, the N taken are a random N of the M, from
    which the error follows exactly: S sqrt(M / (N (M - N))), S the deviation of all values.
    """
    M, N = len(values), int(taken.sum())
    middle = values.mean()
    value = (values[taken].mean() - values[~taken].mean()) / middle
    error = values.std(ddof=1) / middle * np.sqrt(M / (N * (M - N)))
    return _compared(float(value), float(error), M, margin, scipy_stats.norm())


def regenerated(
    distance: np.ndarray,
    influence: np.ndarray,
    every: np.ndarray,
    asked: np.ndarray,
    rows: np.ndarray,
    N: int,
    margin: float,
) -> Comparison:
    """The same of true distances (B, K) of counterfactuals of B samples, ablating rows (B, K) of the codes `asked` (Q,
    n), of which the first N are codes of images: the first half of each sample's are of those, the others of none. The
    mean of the samples' differences, by Student's t over samples.

    influence (B, M), of all codes `every` (M, n), serves as a control variate: a difference of the mean influences of
    the codes that were drawn, less that of all codes of the two kinds, is luck, and is taken off times the slope of
    distance on influence (within samples, all together).
    """
    taken = rows.shape[1] // 2
    number = {code.tobytes(): m for m, code in enumerate(every)}
    place = np.array([number[code.tobytes()] for code in asked])
    of_images = np.zeros(len(every), bool)
    of_images[place[:N]] = True
    scale = influence.mean(1, keepdims=True)
    x, middle = np.take_along_axis(influence, place[rows], 1) / scale, distance.mean(1, keepdims=True)
    y = distance / middle
    inside = [side - side.mean(1, keepdims=True) for side in (x, y)]
    slope = float((inside[0] * inside[1]).sum() / np.square(inside[0]).sum())
    all_codes = (influence[:, of_images].mean(1) - influence[:, ~of_images].mean(1)) / scale[:, 0]
    luck = x[:, :taken].mean(1) - x[:, taken:].mean(1) - all_codes
    each = y[:, :taken].mean(1) - y[:, taken:].mean(1) - slope * luck
    error = each.std(ddof=1) / np.sqrt(len(each))
    return _compared(float(each.mean()), float(error), len(each), margin, scipy_stats.t(len(each) - 1))


def predicted(N: int, n: int) -> float:
    """By how much, as a share, codes that images have should move samples further than codes that none has, were the
    images alike and training free of noise: their own effect adds to what the others' overlaps bring.

    The mean squared estimate is A + (N - 1) A / (n - 1) with an own effect, and about N A / (n - 1) without."""
    return float(np.sqrt(1 + (n - 2) / N) - 1)


def unassigned(codes: np.ndarray) -> np.ndarray:
    """The codes of the same length and weight that no image has: bool (M - N, n)."""
    every = removals(codes.shape[1], int(codes[0].sum()))
    return every[~among(every, codes)]


def among(every: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Which of the codes `every` (M, n) are among these (N, n): bool (M,)."""
    known = {code.tobytes() for code in codes}
    return np.array([code.tobytes() in known for code in every])


def drawn(N: int, count: int, samples: int, seed: int) -> np.ndarray:
    """`count` rows of N at random for each of some samples: int64 (samples, count)."""
    return np.stack([np.random.default_rng([seed, b]).choice(N, count, replace=False) for b in range(samples)])
