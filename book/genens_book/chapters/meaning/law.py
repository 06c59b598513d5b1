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

    signal: n r of one image; members: how many it would take to find one; group, copies: the smallest group that n
    members find, if its images' effects are at right angles, and if they all point one way.
    """

    database: str
    N: int
    n: int
    signal: float
    members: float
    group: float
    copies: float


def plans(noise: float, d: float, alpha: float = 0.05, power: float = 0.8) -> list[Plan]:
    """Of DATABASES; noise: the part of the members' variance that is due to training, over the part due to images; d:
    effective dimension."""
    found = []
    for name, (N, n) in DATABASES.items():
        r = 1 / (N - 1 + noise * N)
        members = identification.members_needed(r, N, d, alpha, power)
        group, copies = (
            identification.group_needed(n, N, noise, d, alpha, power, aligned) for aligned in (False, True)
        )
        found.append(Plan(name, N, n, n * r, members, group, copies))
    return found


def fitted_noise(noisy_truth: bool = False, published: dict[int, float] = PUBLISHED, N: int = PUBLISHED_N) -> float:
    """The noise s with which the law's LDS is nearest to a published curve, by least squares of logarithms.
    noisy_truth: what the estimates are set against is one training of each half, which takes (1 + s)^(-1/2) off."""

    def off(log_noise: float) -> float:
        noise = np.exp(log_noise)
        truth = (1 + noise) ** -0.5 if noisy_truth else 1
        ratios = [truth * identification.lds(n, N, noise) / lds for n, lds in published.items()]
        return float(np.square(np.log(ratios)).sum())

    return float(np.exp(optimize.minimize_scalar(off, bounds=(-5, 8), method="bounded").x))


def growth(values: dict[int, float]) -> float:
    """The power of n with which values grow: the least-squares slope in logarithms."""
    return float(np.polyfit(np.log([*values]), np.log([*values.values()]), 1)[0])


def binned(x: np.ndarray, values: Sequence[np.ndarray], edges: np.ndarray) -> list[np.ndarray]:
    """The mean of x and of each of `values`, all (probes, ...), in the bins of x between `edges`, bins of fewer than 5
    left out; NaNs too.

    Returns [x, *values, standard error of the first of them, counts], each (bins,). What one probe gives is not
    independent: the error is that of the mean of the probes' means, 0 where a bin has only one probe's."""
    probe = np.broadcast_to(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)), x.shape)
    there = np.isfinite(x) & np.isfinite(values[0])
    which = np.digitize(x[there], edges)
    kept = [b for b in np.unique(which) if (which == b).sum() >= 5]
    means = [np.array([side[there][which == b].mean() for b in kept]) for side in (x, *values)]
    error, seen, of = [], values[0][there], probe[there]
    for b in kept:
        each = [seen[(which == b) & (of == one)].mean() for one in np.unique(of[which == b])]
        error.append(np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0)
    return [*means, np.array(error), np.array([(which == b).sum() for b in kept])]
