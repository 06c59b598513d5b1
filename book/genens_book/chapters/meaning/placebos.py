"""Placebos: ablations that unlearn nothing, beside those that unlearn a class or an image.

Of the C(7, 3) triples of the class ensemble's members seven are the codes of classes; taking away any other triple
leaves as small an ensemble, and no class is gone. Of the C(16, 8) codes of the ensemble of all digits, those that no
image has are as good as the others to ablate, and ablating one unlearns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from math import comb

import numpy as np
import torch
from scipy import stats as scipy_stats

from genens import codes as coding
from genens.theory.identification import overlap
from genens_book.measures import classifier, stats
from genens_book.measures.distances import euclidean
from genens_book.measures.judges import Judge
from genens_book.measures.stats import Interval


def removals(n: int, h: int) -> np.ndarray:
    """Every way of taking h of n members away, as codes: bool (C(n, h), n)."""
    return coding.unrank(range(comb(n, h)), n, h)


def measure(y: np.ndarray, judge: Judge) -> dict[str, np.ndarray]:
    """To be stored: the predicted class of each image, (B, 1 + V), and the Euclidean distance of each counterfactual
    from its original, (B, V); y (B, 1 + V, C, H, W)."""
    y = torch.as_tensor(y)
    labels = classifier.predict(judge, y.flatten(0, 1))[0].view(y.shape[:2])
    return {"labels": labels, "distance": euclidean(y[:, :1], y[:, 1:])}


@dataclass(frozen=True)
class Dose:
    """What becomes of samples whose own class keeps a share `left` of the members' weight: how often their class
    changes, how far they move; `real` ablations (a class's code) or placebos."""

    left: float
    real: bool
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
        real = np.isin(coding.rank(mixtures == 0), coding.rank(codes))
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

    measured as from `measure`; row (B,) as from `classifier.row_of`; mixtures (V, n). Bootstrap over samples.
    """
    kept, found = _Kept.of(measured, row, mixtures, class_codes), []
    for share in np.unique(kept.left):
        for real in (True, False):
            chosen = (kept.left == share) & (kept.real == real)
            if chosen.any():
                each = [stats.bootstrap(kept.mean(side, chosen), seed=seed) for side in (kept.changed, kept.distance)]
                found.append(Dose(float(share), real, *each))
    return found


def beyond_placebos(
    measured: Mapping[str, np.ndarray], row: np.ndarray, mixtures: np.ndarray, class_codes: np.ndarray, seed: int
) -> tuple[Interval, int]:
    """How much more often the code of another class changes the class of a sample than placebos do that leave its class
    the same weight, by bootstrap over samples; and of how many classes the samples change less often by it. As
    `doses`."""
    kept, of = _Kept.of(measured, row, mixtures, class_codes), row[row >= 0]
    other = kept.real & (kept.left > 0)
    alike = ~kept.real & np.isin(kept.left, kept.left[other])
    apart = kept.mean(kept.changed, other) - kept.mean(kept.changed, alike)
    return stats.bootstrap(apart, seed=seed), sum(bool(apart[of == c].mean() < 0) for c in np.unique(of))


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


def standing(distance: np.ndarray, row: np.ndarray, class_codes: np.ndarray) -> Standing:
    """Of distances (B, V) of the counterfactuals without each of the triples, by rank; row as in `doses`.

    Classes without a sample are left out of `together`, and have place 0, p and q 1.
    """
    k, V = len(class_codes), distance.shape[1]
    own, n = coding.rank(class_codes), np.array([(row == c).sum() for c in range(k)])
    mean = np.stack([distance[row == c].mean(0) if n[c] else np.zeros(V) for c in range(k)])
    place = np.array([(mean[c] >= mean[c, own[c]]).sum() if n[c] else 0 for c in range(k)])
    p = np.where(n > 0, place / V, 1.0)
    lines = _orders(class_codes)
    total = (n * mean[np.arange(k), lines]).sum(1)
    q = scipy_stats.false_discovery_control(p) if k > 1 else p
    return Standing(place, p, q, n, float((total >= total[0] * (1 - 1e-12)).mean()), len(lines))


def _orders(class_codes: np.ndarray) -> np.ndarray:
    """The ranks of the classes' codes, for every order in which the members could stand: (orders, k), as they do stand
    first."""
    orders = np.array([*permutations(range(class_codes.shape[1]))])
    return np.stack([coding.rank(code[orders]) for code in class_codes], axis=1)


@dataclass(frozen=True)
class Contrast:
    """A number that every triple has: its mean over the classes' codes, and over placebos; p_more and p_less, the share
    of the orders of the members in which the classes' mean is as large, as small. Many orders give the same triples:
    there are `designs` different sets of them, so no p is below one over that."""

    classes: float
    placebos: float
    p_more: float
    p_less: float
    designs: int


def contrast(values: np.ndarray, class_codes: np.ndarray) -> Contrast:
    """Of values (V,) of the triples, by rank, under the hypothesis that it makes no difference which are codes."""
    orders = _orders(class_codes)
    means = values[orders].mean(1)
    others = np.delete(values, coding.rank(class_codes)).mean()
    near = 1e-12 * np.abs(means).max()
    more, less = (means >= means[0] - near).mean(), (means <= means[0] + near).mean()
    designs = len(np.unique(np.sort(orders, 1), axis=0))
    return Contrast(float(means[0]), float(others), float(more), float(less), designs)


# ---------------------------------------------------------------- images


@dataclass(frozen=True)
class Comparison:
    """A difference, as a share of the mean of what is compared, and whether it is nothing.

    difference: with its 95 % interval; p: two-sided, of no difference; equivalent: p of the hypothesis that it is as
    large as `margin` either way (two one-sided tests); bound: the smallest margin at which that would be refused at
    5 %; seen: the smallest difference that would be seen with power 80 % at 5 %.
    """

    difference: Interval
    p: float
    equivalent: float
    margin: float
    bound: float
    seen: float


def _compared(value: float, error: float, n: int, margin: float, spread: scipy_stats.rv_continuous) -> Comparison:
    reach = spread.isf(0.025) * error
    return Comparison(
        Interval(value, value - reach, value + reach, n),
        float(2 * spread.sf(abs(value) / error)),
        float(max(spread.sf((margin + value) / error), spread.sf((margin - value) / error))),
        margin,
        float(abs(value) + spread.isf(0.05) * error),
        stats.smallest_seen(error, 2),
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
    distance: np.ndarray, influence: np.ndarray, codes: np.ndarray, rows: np.ndarray, margin: float
) -> Comparison:
    """The same of true distances (B, K) of counterfactuals of B samples, ablating rows (B, K) of codes (N, n) and, from
    N on, of those that are `unassigned`: the first half of each sample's are of images, the others of none. The mean of
    the samples' differences, by Student's t over samples.

    influence (B, M), of all codes by rank, serves as a control variate: a difference of the mean influences of the
    codes that were drawn, less that of all codes of the two kinds, is luck, and is taken off times the slope of
    distance on influence (within samples, all together).
    """
    taken, of_images = rows.shape[1] // 2, in_use(codes)
    place = coding.rank(np.concatenate([codes, unassigned(codes)]))
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


def predicted(N: int, n: int, h: int) -> tuple[float, float]:
    """By how much, as a share, codes that images have should move samples further than codes that none has, were the
    images alike and training free of noise: if their effects have no common direction, and if they have no other.

    By the moments of the overlaps (`identification.overlap`). Without a common direction the mean squared estimate is
    A (1 + (N - 1) rho_2) with an own effect A, and N rho_2 A without. With one, it is the square of the sum of the
    overlaps with all codes in use, or as all overlaps sum to 0, with all that are not.
    """
    moments, unused = overlap(n, h), comb(n, h) - N
    apart = (1 + (N - 1) * moments.square) / (N * moments.square)
    own, other = (count * (moments.square + (count - 1) * moments.cross) for count in (unused, N))
    return tuple(float(np.sqrt(ratio) - 1) for ratio in (apart, own / other))


def unassigned(codes: np.ndarray) -> np.ndarray:
    """The codes of the same length and weight that no image has: bool (M - N, n)."""
    return removals(codes.shape[1], int(codes[0].sum()))[~in_use(codes)]


def in_use(codes: np.ndarray) -> np.ndarray:
    """Which of all codes of their length and weight, by rank, are among these (N, n): bool (M,)."""
    used = np.zeros(comb(codes.shape[1], int(codes[0].sum())), bool)
    used[coding.rank(codes)] = True
    return used


def drawn(N: int, count: int, samples: int, seed: int) -> np.ndarray:
    """`count` rows of N at random for each of some samples: int64 (samples, count)."""
    return np.stack([np.random.default_rng([seed, b]).choice(N, count, replace=False) for b in range(samples)])
