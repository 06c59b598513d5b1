"""FID with its bias and its uncertainty; a plane to look at features in.

The FID of n samples is too large by about c / n (Chong and Forsyth 2020), so two FIDs at different n cannot
be compared, and the plain bootstrap, whose resamples hold fewer different images, adds as much bias again.
`estimate` gives the FID at n with the spread of other samples of that size around it, and FID_inf, the
straight line through FIDs at several n continued to 1/n = 0, with an interval whose resamples go through the
same extrapolation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genens_book.measures.stats import Interval, finite

# ---------------------------------------------------------------- the distance


class _Given(nn.Module):
    """Stands where torchmetrics expects a feature extractor: the features are already there."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, rows: Tensor) -> Tensor:
        return rows


def fid(features_a: object, features_b: object) -> float:
    """The Frechet distance between Gaussians fitted to two sets of features, (N, F) and (M, F).

    Through torchmetrics, accumulated in float64. Source: paper, Sections 3.2 and B.3.
    Raises ValueError for fewer than two rows in a set, different numbers of features, or features not finite.
    """
    a, b = (torch.as_tensor(side).double() for side in (features_a, features_b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(
            f"expected features (N, F) and (M, F) with at least 2 rows each, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("expected finite features, got NaN or infinity; check the weights and the samples")
    from torchmetrics.image.fid import FrechetInceptionDistance  # seconds to import, and not needed by every chapter

    metric = FrechetInceptionDistance(feature=_Given(a.shape[1])).to(a.device)
    metric.update(a, real=True)
    metric.update(b.to(a.device), real=False)
    return max(0.0, float(metric.compute()))  # equal sets come out at about -1e-14


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (F,) and covariance (F, F) of features (N, F)."""
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(values.clip(min=0)) @ vectors.T


class Reference:
    """What FIDs are measured against, for instance the training set: mean, covariance and its root, once.

    features (M, F), M >= 2, finite; or their moments alone (`of_moments`), with which features are None.
    """

    def __init__(self, features: object):
        self.features: np.ndarray | None = _features(features)
        self._keep(*_moments(self.features))

    @classmethod
    def of_moments(cls, mean: np.ndarray, covariance: np.ndarray) -> Reference:
        """Of a mean (F,) and a covariance (F, F). Raises ValueError when they do not fit or are not finite."""
        mean, covariance = (finite(np.asarray(side, dtype=np.float64), "moments") for side in (mean, covariance))
        if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
            raise ValueError(f"expected a mean (F,) and a covariance (F, F), got {mean.shape} and {covariance.shape}")
        found = cls.__new__(cls)
        found.features = None
        found._keep(mean, covariance)
        return found

    def _keep(self, mean: np.ndarray, covariance: np.ndarray) -> None:
        self.mean, self.covariance, self.root = mean, covariance, _root(covariance)

    def fid(self, features: np.ndarray) -> float:
        """`fid` of features (N, F) and the reference, for a symmetric eigenvalue problem as small as N and F allow."""
        mean = features.mean(axis=0)
        spread, apart = (features - mean) / np.sqrt(len(features) - 1), mean - self.mean
        turned = spread @ self.root  # the eigenvalues of root C root are those of this times its transpose, either way
        product = turned @ turned.T if len(turned) < turned.shape[1] else turned.T @ turned
        cross = np.sqrt(np.linalg.eigvalsh(product).clip(min=0)).sum()
        return float(apart @ apart + np.square(spread).sum() + np.trace(self.covariance) - 2 * cross)


def _features(features: object) -> np.ndarray:
    features = finite(torch.as_tensor(features).cpu().numpy(), "features")
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"expected features (N, F) with at least 2 rows, got {features.shape}")
    return features


def _line(sizes: Sequence[int], values: np.ndarray) -> tuple[float, float]:
    """FID_inf and c of FID = FID_inf + c / n, by least squares weighted by n."""
    slope, level = np.polyfit(1 / np.asarray(sizes, dtype=np.float64), values, 1, w=np.sqrt(sizes))
    return float(level), float(slope)


def _ladder(n: int, F: int, points: int) -> list[int]:
    """The sizes n, n/2, n/3 ..., evenly spaced in 1/n; after the second, none at or below F: it is no line
    there."""
    return [n // j for j in range(1, points + 1) if j <= 2 or n // j > F]


@dataclass(frozen=True)
class Estimate:
    """A FID and what can be said about it.

    value: at the n samples there are (through torchmetrics, where the reference has features); spread: where the FID of
    other n samples would fall, around `value`. bias: how much of `value` is owed to n, the extrapolation's c / n.
    infinite: FID_inf with its interval. sizes and curve: the points of the line. draws: the bootstrap's FIDs at n, and
    of FID_inf, less their means, (n_boot, 2).
    """

    value: float
    spread: Interval
    bias: float
    infinite: Interval
    sizes: np.ndarray
    curve: np.ndarray
    draws: np.ndarray


def _curve(
    reference: Reference, features: np.ndarray, sizes: Sequence[int], repeats: int, rng: np.random.Generator
) -> np.ndarray:
    """The mean FID of the disjoint random parts of each size: float64 (K,)."""
    values = []
    for size in sizes:
        tries = repeats if size < len(features) else 1
        mixed = (features[rng.permutation(len(features))] for _ in range(tries))
        starts = range(0, len(features) - size + 1, size)
        parts = (rows[start : start + size] for rows in mixed for start in starts)
        values.append(np.mean([reference.fid(rows) for rows in parts]))
    return np.array(values)


def estimate(
    features: object,
    reference: Reference,
    seed: int = 0,
    n_boot: int = 100,
    points: int = 3,
    repeats: int = 1,
    level: float = 0.95,
) -> Estimate:
    """The FID of features (n, F) to a reference: its spread at n, its bias, and FID_inf with an interval.

    A bootstrap resample is a sample of the empirical distribution, whose own FID to the reference is `value`.
    Its FID at n lies above `value` by about the bias, so the spread is of resamples less their mean; its
    extrapolation lies around `value`, as the extrapolation of the data around the truth, so FID_inf's
    interval is the reflected one, which takes what bias the extrapolation keeps back out. The reference is
    taken as given, as the training set is. It takes n_boot * (1 + 2 * repeats + 3 * repeats ...) FIDs; with a
    thousand features, at about half a second each, take n_boot small. Raises ValueError for fewer than 8
    rows, or n_boot, points or repeats too small.
    """
    features = _features(features)
    n, F = features.shape
    if n < 8 or n_boot < 2 or points < 2 or repeats < 1 or len(reference.mean) != F:
        raise ValueError(
            f"expected features (n >= 8, {len(reference.mean)}), n_boot >= 2, points >= 2 and "
            f"repeats >= 1; got {features.shape}, {n_boot}, {points} and {repeats}"
        )
    rng, sizes = np.random.default_rng(seed), _ladder(n, F, points)
    curve = _curve(reference, features, sizes, 4 * repeats, rng)
    infinite, slope = _line(sizes, curve)
    known = reference.features  # without them torchmetrics, which takes features, cannot be asked
    value, draws = reference.fid(features) if known is None else fid(features, known), []
    for _ in range(n_boot):
        again = _curve(reference, features[rng.integers(0, n, n)], sizes, repeats, rng)
        draws.append((again[0], _line(sizes, again)[0]))
    at_n, at_infinity = np.array(draws).T
    tails = (1 - level) / 2, (1 + level) / 2
    low, high = value + np.quantile(at_n - at_n.mean(), tails)
    high_off, low_off = np.quantile(at_infinity - value, tails)
    return Estimate(
        value,
        Interval(value, float(low), float(high), n, level),
        slope / n,
        Interval(infinite, float(infinite - low_off), float(infinite - high_off), n, level),
        np.array(sizes),
        curve,
        np.array(draws) - np.mean(draws, axis=0),
    )


def kid(features: np.ndarray, real: np.ndarray) -> float:
    """The kernel inception distance of features (n, F) to others (M, F): the squared maximum mean discrepancy under the
    kernel (x . y / F + 1)^3, without bias at any n, and so below 0 at times (Binkowski et al. 2018). ValueError for
    fewer than two rows of either."""
    x, r = (np.asarray(side, dtype=np.float64) for side in (features, real))
    if min(len(x), len(r)) < 2:
        raise ValueError(f"expected two images or more of each; got {len(x)} and {len(r)}")
    same = [(one @ one.T / one.shape[1] + 1) ** 3 for one in (x, r)]
    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in same)
    return float(within - 2 * ((x @ r.T / x.shape[1] + 1) ** 3).mean())


def below_largest(ensemble: Estimate, members: Sequence[Estimate], level: float = 0.95) -> Interval:
    """The FID of the ensemble less the largest of its members', all at one n (paper, Figure 3a).

    The paper's claim is that it is negative. Where the estimates were made with one seed and row i of every set came of
    the same noise, the bootstrap draws noises, each with its sample of either side: what they share cancels. Raises
    ValueError for no members, or FIDs at different n, which cannot be compared.
    """
    values, draws = _paired(ensemble, members)
    largest = 1 + values[1:].argmax()  # chosen once: the draws' own maximum would be biased
    value = float(values[0] - values[largest])
    low, high = value + np.quantile(draws[0] - draws[largest], [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), ensemble.spread.n, level)


def of_median(ensemble: Estimate, members: Sequence[Estimate], level: float = 0.95) -> Interval:
    """The FID of the ensemble as a multiple of the median of its members'; the interval and errors as in
    `below_largest`."""
    values, draws = _paired(ensemble, members)
    value = float(values[0] / np.median(values[1:]))
    again = (values[0] + draws[0]) / np.median(values[1:, None] + draws[1:], axis=0)
    low, high = np.quantile(again, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), ensemble.spread.n, level)


def _paired(ensemble: Estimate, members: Sequence[Estimate]) -> tuple[np.ndarray, np.ndarray]:
    """The FIDs (1 + n,) and their bootstrap's deviations at n samples (1 + n, draws), the ensemble's first."""
    if not members or {e.spread.n for e in members} != {ensemble.spread.n}:
        raise ValueError(
            f"expected at least one member with its FID at n = {ensemble.spread.n} too, got n = "
            f"{[e.spread.n for e in members]}"
        )
    everyone = (ensemble, *members)
    draws = min(len(e.draws) for e in everyone)
    return np.array([e.value for e in everyone]), np.stack([e.draws[:draws, 0] for e in everyone])


def plane(*sets: object) -> list[np.ndarray]:
    """Sets of features (N_i, F) in the plane of the first two principal components of all: (N_i, 2) each.

    Source: paper, Figure 3b. A component's sign is the one that makes its largest loading positive.
    Raises ValueError for sets with different numbers of features, or fewer than two.
    """
    sets = [_features(side) for side in sets]
    if not sets or len({side.shape[1] for side in sets}) != 1 or sets[0].shape[1] < 2:
        raise ValueError(
            f"expected sets with the same number of features, at least 2; got {[side.shape for side in sets]}"
        )
    joint = np.concatenate(sets)
    axes = np.linalg.eigh(np.cov(joint, rowvar=False))[1][:, [-1, -2]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return [(side - joint.mean(axis=0)) @ axes for side in sets]
