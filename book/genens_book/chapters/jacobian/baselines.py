"""Around the linear approximation: the paper's two baselines, the path from u_0 to u_-x, the second order.

Baselines (paper, Section 3.3 and Figure 5): `last_step` ablates in the final denoising step only; `individual_models`
turns round the residuals of the ablated members' own samples. Beyond the paper: `error_order` says with which power of
the distance an approximation goes wrong, and `curvature` gives the next term of the Taylor series.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens.ensemble import Members
from genens.sampling import Noise, drawing, sample
from genens.schedules import Schedule


@torch.no_grad()
def last_step(members: Members, noise: Noise | Tensor, steps: Schedule, mixtures: np.ndarray) -> Tensor:
    """The image of u_0, but with the mixture v in the final denoising step: (V, B, C, H, W) in [-1, 1].

    The paper's baseline "last step predicted noise". It needs one trajectory, whatever V is. mixtures (V, n).
    Raises ValueError for noise or mixtures of another shape.
    """
    mixtures = np.asarray(mixtures, dtype=np.float64)
    if mixtures.ndim != 2 or mixtures.shape[1] != members.n:
        raise ValueError(f"expected mixtures of shape (V, {members.n}), got {mixtures.shape}")
    last = len(steps) - 1
    x = sample(members, noise, steps, stop=last, clamp=False)[0]
    F = members(x, steps.t[last])
    eps = torch.einsum("vn,nbchw->vbchw", torch.from_numpy(mixtures).to(F), F)
    y = steps.a[last] * x + steps.b[last] * eps
    if steps.c[last]:
        y += steps.c[last] * drawing(noise, steps)(last + 1)
    return y.clamp(-1, 1)


def individual_models(y: Tensor, singles: Tensor, mixtures: np.ndarray) -> Tensor:
    """y plus the mean of all members' residuals, those of ablated members negated: (V, B, C, H, W).

    The paper's baseline "individual models", as printed and therefore not clamped. y (B, C, H, W) the
    ensemble's image, singles (n, B, C, H, W) its members'; a member is ablated by mixtures
    (V, n) where its weight is 0. Raises ValueError when the numbers of members differ.
    """
    y, singles, mixtures = torch.as_tensor(y), torch.as_tensor(singles), np.asarray(mixtures)
    if mixtures.ndim != 2 or mixtures.shape[1] != len(singles):
        raise ValueError(
            f"expected mixtures of shape (V, {len(singles)}), as many members as samples of "
            f"single members; got {mixtures.shape}"
        )
    signs = torch.from_numpy(np.where(mixtures == 0, -1.0, 1.0) / len(singles)).to(singles)
    return y + torch.einsum("vn,nbchw->vbchw", signs, singles - y)


def error_order(distances: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """p in error ~ distance^p, by least squares in logarithms: errors (K, ...), result (...).

    Equation 4 promises 2 for the linear approximation near u_0. distances (K,), positive.
    Raises ValueError for fewer than two distances, or values that have no logarithm.
    """
    distances, errors = np.asarray(distances, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if distances.ndim != 1 or len(distances) < 2 or errors.shape[:1] != distances.shape:
        raise ValueError(
            f"expected one row of errors for each of at least 2 distances, got {errors.shape} and {distances.shape}"
        )
    if not ((distances > 0).all() and (errors > 0).all() and np.isfinite(errors).all()):
        raise ValueError("expected positive distances and errors; leave out the point u_0 itself")
    x, y = np.log(distances), np.log(errors)
    x -= x.mean()
    return np.tensordot(x, y - y.mean(axis=0), axes=(0, 0)) / (x @ x)


def curvature(
    members: Members, noise: Noise | Tensor, steps: Schedule, directions: np.ndarray, reach: float = 0.1
) -> tuple[Tensor, Tensor]:
    """The first and second derivative of y(u_0 + s d) by s at 0, for every direction d: two (V, B, C, H, W).

    Of the image before the clamp, by central differences of the samples at s = reach and -reach: right to
    O(reach^2), and steadier than nested derivatives, which torch lacks for SiLU. y + first + second / 2 is
    the second-order image at u_0 + d. Two trajectories a direction are no short cut to a counterfactual,
    which takes one: this measures what the linear approximation leaves out. With codes of weight n/2 and
    reach 1, the two are the true counterfactuals of complementary codes. directions (V, n), each summing to
    0, for instance u_-x - u_0. Raises ValueError for directions of another shape, and where u_0 +- reach d is
    no mixture.
    """
    directions = np.asarray(directions, dtype=np.float64)
    if directions.ndim != 2 or directions.shape[1] != members.n or abs(directions.sum(axis=1)).max() > 1e-9:
        raise ValueError(
            f"expected directions of shape (V, {members.n}) that each sum to 0, as u_-x - u_0; got {directions.shape}"
        )
    here = coding.uniform(members.n)[None]
    walked = np.concatenate([here, here + reach * directions, here - reach * directions])
    y = sample(members, noise, steps, walked, clamp=False)
    ahead, behind = y[1:].chunk(2)
    return (ahead - behind) / (2 * reach), (ahead - 2 * y[0] + behind) / reach**2
