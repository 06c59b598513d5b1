"""What the Jacobian chapter draws: baselines, timed Jacobians, the path to a counterfactual, a check in float64.

`trajectory` is Algorithm 2 written plainly, under weights of any sum; `dual` differentiates it with dual numbers, one
direction at a time: the obvious way, which `jacobians.jacobian` is checked against (`check`) and which gives `walk` the
exact slope of a few directions for less than all n columns cost (paper, Section 2.4 and Appendix B.3).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from genens import codes as coding
from genens import jacobians
from genens.ensemble import Ensemble, Members
from genens.sampling import Noise, drawing, sample
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


def last_step(
    indices: Sequence[int],
    seed: int,
    mixtures: Sequence[Sequence[float]],
    steps: int,
    sampler: str,
    variance: str,
    members: Members,
) -> dict[str, Tensor]:
    """The baseline `baselines.last_step`, to be stored: {"y": (B, V, C, H, W)}."""
    noise = Noise(seed, indices, members.shape, steps)
    y = baselines.last_step(members, noise, np.asarray(mixtures), schedule(steps, sampler, variance))
    return {"y": y.transpose(0, 1).contiguous()}


def timed(
    indices: Sequence[int],
    seed: int,
    steps: int,
    sampler: str,
    variance: str,
    per_step: int,
    tangents: str,
    members: Members,
) -> dict[str, object]:
    """`jacobians.draw`, and what it took: also {"seconds": (B,)}, processor seconds a sample, the same for all.

    Of all cores together: unlike wall-clock time, it does not grow when the machine does other things as well.
    """
    jacobians.prepare()
    began = time.process_time()
    found = jacobians.draw(indices, seed, steps, sampler, variance, members, per_step, tangents=tangents)
    each = (time.process_time() - began) / len(indices)
    return {**found, "seconds": np.full(len(indices), each)}


def walk(
    indices: Sequence[int],
    seed: int,
    mixtures: Sequence[Sequence[float]],
    shares: Sequence[float],
    reach: float,
    steps: int,
    sampler: str,
    variance: str,
    members: Members,
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
    taken, noise = schedule(steps, sampler, variance), Noise(seed, indices, members.shape, steps)
    here = coding.uniform(members.n)
    directions = mixtures - here
    on_the_way = (here + shares[:, None] * directions[:, None]).reshape(-1, members.n)
    walked = sample(members, noise, np.vstack([here, on_the_way]), taken, clamp=False)
    second = baselines.curvature(members, noise, taken, directions, reach)[1]
    first = torch.stack([dual(members, noise, taken, direction) for direction in directions])
    return {
        "start": walked[0],
        "true": walked[1:].unflatten(0, (len(mixtures), len(shares))).permute(2, 0, 1, 3, 4, 5).contiguous(),
        "first": first.transpose(0, 1).contiguous(),
        "second": second.transpose(0, 1).contiguous(),
    }


# ---------------------------------------------------------------- the plain way


def trajectory(members: Members, noise: Noise | Tensor, steps: Schedule, weights: Tensor) -> Tensor:
    """Algorithm 2 as printed, under weights (n,) of any sum: the image before the clamp, (B, C, H, W)."""
    draw = drawing(noise, steps)
    x = draw(0)
    for k in range(len(steps)):
        eps = sum(w * members.plain(x, steps.t[k], i) for i, w in enumerate(weights))
        x = steps.a[k] * x + steps.b[k] * eps
        if steps.c[k]:
            x = x + steps.c[k] * draw(k + 1)
    return x


@torch.no_grad()
def dual(members: Members, noise: Noise | Tensor, steps: Schedule, direction: np.ndarray) -> Tensor:
    """dy(u_0 + s d)/ds at s = 0, d = direction (n,), by dual numbers through the whole trajectory: (B, C, H, W).

    The members compute in the precision they have. Raises ValueError for a direction of another ensemble.
    """
    direction = np.asarray(direction, dtype=np.float64)
    if direction.shape != (members.n,):
        raise ValueError(f"expected a direction of {members.n} numbers, one a member; got shape {direction.shape}")
    jacobians.prepare()
    start = drawing(noise, steps)(0)
    here, along = (torch.from_numpy(v).to(start) for v in (coding.uniform(members.n), direction))
    return jvp(lambda weights: trajectory(members, noise, steps, weights), (here,), (along,))[1]


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
        ahead, behind = (trajectory(members, noise, taken, here + h * axis) for h in (STEP, -STEP))
        others = {"differences": (ahead - behind) / (2 * STEP), "dual": dual(members, noise, taken, axis.numpy())}
        for name, other in others.items():
            found[name].append(float((J[:, j] - other).norm() / other.norm()))
    return {name: np.array(errors) for name, errors in found.items()}
