"""The identification law in numbers: how many members it takes, and a published curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from genens.theory import identification

# The paper's three data sets with their members, and LAION-5B, which it cites, with as many as a machine of ours ranks.
DATABASES = {"MNIST": (10_000, 16), "CIFAR-10": (60_000, 20), "CelebA": (202_599, 24), "LAION-5B": (5_850_000_000, 64)}

# The linear datamodeling score of generation on CIFAR-2, by the mean in less the mean out over so many random halves,
# in the protocol of Zheng et al. (2024); known here at second hand.
PUBLISHED_N = 5_000
PUBLISHED = {64: 0.042, 128: 0.062, 256: 0.096, 512: 0.134}


@dataclass(frozen=True)
class Plan:
    """N images that are all alike, n members: what the law says of one image, and of groups under one code.

    signal: n r of one image; members: how many it would take to find one; group: the smallest that n members find.
    """

    database: str
    N: int
    n: int
    signal: float
    members: float
    group: float


def plans(noise: float, d: float, alpha: float = 0.05, power: float = 0.8) -> list[Plan]:
    """Of DATABASES; noise: the part of the members' variance that is due to training, over the part due to images; d:
    effective dimension."""
    found = []
    for name, (N, n) in DATABASES.items():
        r = 1 / (N - 1 + noise * N)
        members = identification.members_needed(r, N, d, alpha, power)
        group = identification.group_needed(n, N, noise, d, alpha, power)
        found.append(Plan(name, N, n, n * r, members, group))
    return found


def fitted_noise(published: dict[int, float] = PUBLISHED, N: int = PUBLISHED_N) -> float:
    """The noise with which the law's LDS is nearest to a published curve, by least squares of logarithms."""

    def off(log_noise: float) -> float:
        ratios = [identification.lds(n, N, np.exp(log_noise)) / lds for n, lds in published.items()]
        return float(np.square(np.log(ratios)).sum())

    return float(np.exp(optimize.minimize_scalar(off, bounds=(-5, 8), method="bounded").x))


def growth(values: dict[int, float]) -> float:
    """The power of n with which values grow: the least-squares slope in logarithms."""
    return float(np.polyfit(np.log([*values]), np.log([*values.values()]), 1)[0])


def binned(x: np.ndarray, values: Sequence[np.ndarray], edges: np.ndarray) -> list[np.ndarray]:
    """The mean of x and of each of `values` in the bins of x between `edges`, bins of fewer than 5 left out; NaNs too.

    Returns [x, *values, standard error of the first of them, counts], each (bins,)."""
    there = np.isfinite(x) & np.isfinite(values[0])
    which = np.digitize(x[there], edges)
    kept = [b for b in np.unique(which) if (which == b).sum() >= 5]
    means = [np.array([side[there][which == b].mean() for b in kept]) for side in (x, *values)]
    counts = np.array([(which == b).sum() for b in kept])
    error = np.array([values[0][there][which == b].std(ddof=1) for b in kept]) / np.sqrt(counts)
    return [*means, error, counts]
