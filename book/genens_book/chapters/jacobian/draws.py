"""What the Jacobian chapter draws: baselines, timed Jacobians, the path to a counterfactual, a check in float64.

`jacobians.trajectory` is Algorithm 2 written plainly; `jacobians.dual` differentiates it one direction at a time: the
obvious way, which `jacobians.jacobian` is checked against (`check`) and which gives `walk` the exact slope of a few
directions for less than all n columns cost (paper, Section 2.4 and Appendix B.3).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens import jacobians
from genens.ensemble import Ensemble, Members
from genens.sampling import Noise, exogenous, sample
from genens.schedules import Schedule, schedule
from genens.seeds import generator
from genens.unet import UNetConfig, build
from genens_book.chapters.jacobian import baselines

STEP = 1e-6  # of the central differences of `check`


def chosen(N: int, n_counterfactuals: int, seed: int) -> np.ndarray:
    """The training images that are ablated, one at a time: int64 (n_counterfactuals,), ascending, drawn uniformly.

    The paper does not say how it chose its 64. Raises ValueError for more than the N images there are.
    """
    if not 1 <= n_counterfactuals <= N:
        raise ValueError(
            f"expected between 1 and {N} counterfactuals, one for each training image at most; got {n_counterfactuals}"
        )
    return np.sort(np.random.default_rng(seed).choice(N, n_counterfactuals, replace=False))


# ---------------------------------------------------------------- what is stored


def last_step_samples(
    indices: Sequence[int], members: Members, seed: int, steps: Schedule, mixtures: np.ndarray
) -> dict[str, Tensor]:
    """The baseline `baselines.last_step`, to be stored: {"y": (B, V, C, H, W)}."""
    y = baselines.last_step(members, exogenous(indices, members, seed, steps), steps, mixtures)
    return {"y": y.transpose(0, 1).contiguous()}


def timed_jacobians(
    indices: Sequence[int], members: Members, seed: int, steps: Schedule, per_step: int, tangents: str
) -> dict[str, object]:
    """`jacobians.jacobians`, and what it took: also {"seconds": (B,)}, processor seconds a sample, the same for all.

    Of all cores together: unlike wall-clock time, it does not grow when the machine does other things as well.
    """
    jacobians.prepare()
    began = time.process_time()
    found = jacobians.jacobians(indices, members, seed, steps, per_step, tangents)
    each = (time.process_time() - began) / len(indices)
    return {**found, "seconds": np.full(len(indices), each)}


def walk(
    indices: Sequence[int],
    members: Members,
    seed: int,
    steps: Schedule,
    mixtures: np.ndarray,
    shares: Sequence[float],
    reach: float,
) -> dict[str, Tensor]:
    """The way from u_0 to every mixture, before the clamp, and the first two terms of its Taylor series at u_0.

    {"start": y(u_0) (B, C, H, W); "true": y(u_0 + s d) for d = u_-x - u_0 and every share s, (B, V, K, C, H, W);
    "first": the derivative by s, exact, by dual numbers, and "second", by central differences at s = +-reach, both
    (B, V, C, H, W)}. shares (K,) in 0..1. Near u_0 the errors are small: take members of full precision.
    Raises ValueError for shares outside 0..1.
    """
    mixtures, shares = np.asarray(mixtures, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if shares.ndim != 1 or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"expected shares of the way, between 0 and 1; got {shares.tolist()}")
    noise = exogenous(indices, members, seed, steps)
    here = coding.uniform(members.n)
    directions = mixtures - here
    on_the_way = (here + shares[:, None] * directions[:, None]).reshape(-1, members.n)
    walked = sample(members, noise, steps, np.vstack([here, on_the_way]), clamp=False)
    second = baselines.curvature(members, noise, steps, directions, reach)[1]
    first = torch.stack([jacobians.dual(members, noise, steps, direction) for direction in directions])
    return {
        "start": walked[0],
        "true": walked[1:].unflatten(0, (len(mixtures), len(shares))).permute(2, 0, 1, 3, 4, 5).contiguous(),
        "first": first.transpose(0, 1).contiguous(),
        "second": second.transpose(0, 1).contiguous(),
    }


# ---------------------------------------------------------------- a check


def tiny(n: int, side: int, seed: int) -> Ensemble:
    """n untrained networks with random weights in float64, for images of side x side: small, and smooth like others."""
    models = []
    for i in range(n):
        models.append(build(UNetConfig(width=8, multipliers=(1,), attention=(0,), blocks=1, skip=True), seed + i))
        for number, weight in enumerate(models[-1].parameters()):
            weight.data += 0.05 * torch.randn(weight.shape, generator=generator(seed, i, number))
    return Ensemble(models, coding.unrank(range(n), n, 1), (1, side, side), precision="float64")


@torch.no_grad()
def check(seed: int, n: int = 3, side: int = 8, steps: int = 3) -> dict[str, np.ndarray]:
    """The Jacobian of a tiny random ensemble in float64 against two independent ways to it.

    {"differences", "dual"}: float64 (n,), for every column the relative distance ||J_j - other|| / ||other|| from
    central finite differences of step `STEP`, and from plain dual numbers.
    """
    members, taken = tiny(n, side, seed), schedule(steps)
    noise = Noise(seed, range(2), members.shape, steps).tensor().double()
    here, J = torch.from_numpy(coding.uniform(n)), jacobians.jacobian(members, noise, taken)[1]
    found: dict[str, list[float]] = {"differences": [], "dual": []}
    for j, axis in enumerate(torch.eye(n, dtype=torch.float64)):
        ahead, behind = (jacobians.trajectory(members, noise, taken, here + h * axis) for h in (STEP, -STEP))
        others = {
            "differences": (ahead - behind) / (2 * STEP),
            "dual": jacobians.dual(members, noise, taken, axis.numpy()),
        }
        for name, other in others.items():
            found[name].append(float((J[:, j] - other).norm() / other.norm()))
    return {name: np.array(errors) for name, errors in found.items()}
