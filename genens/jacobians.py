"""dy/dv, the derivative of a sample by the members' weights, in forward mode along the trajectory.

A denoising step x' = a x + b sum_i v_i f_i(x) + c z carries the derivative J = dx/dv (n columns) along as

    J' = a J + b (F + D J),

F the n predictions and D = sum_i v_i df_i/dx the mixture's input Jacobian (paper, Section 2.4 and Appendix
B.3). D J takes n x n tangent passes a step; taken from k of the members in turn (`per_step=k`), it takes k x
n. A tangent pass is one of forward-mode differentiation (`tangents="forward"`, exact, by PyTorch), or the difference
of two ordinary passes (`tangents="differences"`, which any engine computes).

The image y and its J are those of the last step, before the clamp to [-1, 1]: `linear_counterfactual` clamps
the prediction instead, which brings it no further from any clamped image. `of_clamped` gives the Jacobian of
the clamped image, whose saturated pixels do not move; the paper's released code differentiates that one.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, jvp, vmap

from genens import codes as coding
from genens import graphs
from genens.engines import filled
from genens.ensemble import Members
from genens.finetunes import Averaged
from genens.sampling import Noise, drawing, exogenous, predictions, side_by_side
from genens.schedules import Schedule
from genens.unet import UNet

Array = Tensor | np.ndarray
BLOCK = {"forward": 8, "differences": 16}  # samples at a time, with n tangents each
CHUNK = 16  # members whose weights' tangents are pushed at once
TANGENTS = ("forward", "differences")
STEP = 3e-4  # of the differences: how far they move the image, root mean square over its pixels


@functools.cache
def prepare() -> None:
    """Have torch load its forward-mode rules, for which it calls a part of itself that it warns against."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", FutureWarning)
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


def push(members: Members, x: Tensor, t: int, i: int, tangents: Tensor) -> tuple[Tensor, Tensor]:
    """f_i(x) (B, C, H, W), and its input Jacobian times every one of the tangents (n, B, C, H, W)."""

    def along(tangent: Tensor) -> tuple[Tensor, Tensor]:
        return jvp(lambda image: members.plain(image, t, i), (x,), (tangent,))

    return vmap(along, out_dims=(None, 0))(tangents)


def push_weights(members: Averaged, network: UNet, x: Tensor, t: int, J: Tensor) -> tuple[Tensor, Tensor]:
    """Where a mixture is one network of weights theta(v) = theta_0 + sum_i v_i d_i: its f(x) (B, C, H, W), and by every
    v_i the derivative df/dtheta d_i + df/dx J_i, (n, B, C, H, W)."""
    state = dict(network.named_parameters())

    def along(tangent: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
        def predict(image: Tensor, weights: dict[str, Tensor]) -> Tensor:
            return functional_call(network, weights, (image, torch.full((1,), int(t), device=x.device)))

        return jvp(predict, (x, state), (tangent, members.subspace.change(difference.to(x))))

    parts = zip(J.split(CHUNK), members.differences.split(CHUNK), strict=True)
    predicted, moved = zip(*(vmap(along, out_dims=(None, 0))(*part) for part in parts), strict=True)
    return predicted[0], torch.cat(moved)


def difference_images(x: Tensor, J: Tensor) -> tuple[Tensor, Tensor]:
    """The images whose predictions give D J, (n + 2, B, C, H, W), x itself first; and the steps taken, (n + 1, B, 1, 1,
    1).

    The columns' mean is one direction of its own and taken off the others: it is most of their length, and no change of
    mixture sees it. Each direction is scaled to STEP a pixel, so that its error is in proportion to its own length.
    """
    mean = J.mean(0, keepdim=True)
    directions = torch.cat([J - mean, mean])
    length = directions.square().mean((2, 3, 4), keepdim=True).sqrt()
    h = STEP / length.clamp(min=torch.finfo(x.dtype).tiny)
    return torch.cat([x[None], x + h * directions]), h


def differences(predicted: Tensor, h: Tensor) -> Tensor:
    """D J (n, B, C, H, W), from what one member predicts in `difference_images`."""
    along = (predicted[1:] - predicted[0]) / h
    return along[:-1] + along[-1:]


def turn(step: int, members: Sequence[int], per_step: int) -> list[int]:
    """Which of the members lend their input Jacobian at a step: `per_step` of them, going round."""
    return [members[(step * per_step + j) % len(members)] for j in range(per_step)]


def jacobian(
    members: Members,
    noise: Noise | Tensor,
    steps: Schedule,
    mixture: np.ndarray | None = None,
    per_step: int | None = None,
    tangents: str = "forward",
) -> tuple[Tensor, Tensor]:
    """y (B, C, H, W), before the clamp, and dy/dv at a mixture (n,), by default u_0: (B, n, C, H, W).

    per_step: how many members' input Jacobians stand for the mixture's at each step, going round, weighted in
    proportion: n (the default) is exact, 0 leaves the term out. Members without weight are passed over. tangents:
    "forward", or "differences", which is right to about a thousandth in float32 (on a GPU, bench/gpu.json, to some
    thousandths). A sample's result does not depend on
    the others. Members may compute in bfloat16 (`Ensemble`'s precision); x and J stay in the noise's type, and
    autocast, under which tangents and weights get different types, is not for this. Raises ValueError for a single
    member, a per_step outside 0..n, unknown tangents, and noise or a mixture of another shape.
    """
    weights = _weights(members.n, mixture)
    if isinstance(members, Averaged) and (per_step not in (None, members.n) or tangents != "forward"):
        raise ValueError(
            f"expected per_step {members.n} and tangents forward of members whose weights are averaged, which have no "
            f"cheaper rule; got {per_step} and {tangents!r}"
        )
    per_step = members.n if per_step is None else per_step
    if not 0 <= per_step <= members.n:
        raise ValueError(f"expected per_step in 0..{members.n}, members used a step; got {per_step}")
    if tangents not in TANGENTS:
        raise ValueError(f"expected tangents as one of {', '.join(TANGENTS)}; got {tangents!r}")
    if tangents == "differences":
        _check_precision(members, noise)
    drawing(noise, steps)
    prepare()
    size = BLOCK[tangents]
    blocks = [noise[b : b + size] for b in range(0, len(noise), size)]
    parts = [_block(members, block, steps, weights, per_step, tangents) for block in blocks]
    y, J = (torch.cat(side) for side in zip(*parts, strict=True))
    return y, J


def _check_precision(members: Members, noise: Noise | Tensor) -> None:
    """ValueError where rounding would drown differences: in bfloat16, and on a GPU whose convolutions round to TF32."""
    models = getattr(members, "models", ())
    coarse = any(weight.itemsize < 4 for model in models for weight in model.parameters())
    if coarse or (isinstance(noise, Tensor) and noise.device.type != "cpu" and graphs.is_rounded()):
        raise ValueError(
            "expected members of float32 or float64 for tangents differences, which coarser rounding (bfloat16, a "
            "GPU's TF32: see graphs.exact) would drown: set tangents to forward"
        )


def _weights(n: int, mixture: np.ndarray | None) -> list[float]:
    """The mixture, checked, as floats."""
    if n < 2:
        raise ValueError(f"expected an ensemble of at least 2 members, whose weights can be traded; got {n}")
    weights = coding.uniform(n) if mixture is None else np.asarray(mixture, dtype=np.float64)
    if weights.shape != (n,) or (weights < 0).any() or not np.isclose(weights.sum(), 1):
        raise ValueError(
            f"expected a mixture of {n} non-negative weights that sum to 1; got shape "
            f"{weights.shape} and sum {weights.sum():g}"
        )
    return weights.tolist()


@torch.no_grad()
def _block(
    members: Members, noise: Noise | Tensor, steps: Schedule, weights: list[float], per_step: int, tangents: str
) -> tuple[Tensor, Tensor]:
    """`jacobian` of at most BLOCK samples. In forward mode there are always as many: one shape, so that a sample's
    result does not depend on how many there are."""
    draw, size = drawing(noise, steps), BLOCK["forward"] if tangents == "forward" else 1
    alive = [i for i in range(members.n) if weights[i]]
    x = filled(draw(0), size)
    J = x.new_zeros(members.n, *x.shape)
    network = members.network(weights) if isinstance(members, Averaged) else None
    for k in range(len(steps)):
        using = turn(k, alive, min(per_step, len(alive))) if k else []  # J is 0 before the first step
        if network is not None:
            eps, moved = push_weights(members, network, x, steps.t[k], J)
        else:
            F, DJ = _predictions(members, x, steps.t[k], J, weights, using, tangents)
            eps, moved = sum(w * f for w, f in zip(weights, F, strict=True)), F + DJ
        J = steps.a[k] * J + steps.b[k] * moved
        x = steps.a[k] * x + steps.b[k] * eps
        if steps.c[k]:
            x += steps.c[k] * filled(draw(k + 1), size)
    return x[: len(noise)], J.transpose(0, 1)[: len(noise)]


def _predictions(
    members: Members, x: Tensor, t: int, J: Tensor, weights: list[float], using: list[int], tangents: str
) -> tuple[Tensor, Tensor]:
    """F, every member's prediction, and D J with D from the members `using`: both (n, B, C, H, W)."""
    F, DJ, share = torch.zeros_like(J), torch.zeros_like(J), sum(weights[i] for i in using)
    differs, h = difference_images(x, J) if using and tangents == "differences" else (x[None], None)
    asked = {i: differs if i in using else x[None] for i in range(members.n) if i not in using or h is not None}
    with side_by_side(x.device) as run:
        seen = predictions(members, {i: images.flatten(0, 1) for i, images in asked.items()}, t, run)
    for i, predicted in seen.items():
        F[i] = predicted[: len(x)]
    for i in using:
        if h is None:  # one after the other, on all cores: torch counts its forward-mode levels for all threads at once
            F[i], moved = push(members, x, t, i, J)
        else:
            moved = differences(seen[i].unflatten(0, differs.shape[:2]), h)
        DJ += weights[i] / share * moved
    return F, DJ


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
    prepare()
    start = drawing(noise, steps)(0)
    here, along = (torch.from_numpy(v).to(start) for v in (coding.uniform(members.n), direction))
    return jvp(lambda weights: trajectory(members, noise, steps, weights), (here,), (along,))[1]


def gram(J: Array) -> np.ndarray:
    """J'J of every sample, all that ||J d||^2 needs: J (B, n, C, H, W), result float64 (B, n, n)."""
    columns = torch.as_tensor(J).double().flatten(2)
    return (columns @ columns.transpose(1, 2)).cpu().numpy()


def linear_counterfactual(
    y: Array, J: Array, mixtures: np.ndarray, base: np.ndarray | None = None, clamp: bool = True
) -> Tensor:
    """y + J (v - u_0) for every mixture v: (V, B, C, H, W), clamped to [-1, 1] by default (paper, Eq. 4).

    y (B, C, H, W) and J (B, n, C, H, W) as from `jacobian` at the mixture `base` (by default u_0); mixtures
    (V, n). Raises ValueError when the mixtures are of another number of members than J.
    """
    y, J = torch.as_tensor(y), torch.as_tensor(J)
    mixtures = np.asarray(mixtures, dtype=np.float64)
    if mixtures.ndim != 2 or mixtures.shape[1] != J.shape[1]:
        raise ValueError(f"expected mixtures of shape (V, {J.shape[1]}), J's members; got {mixtures.shape}")
    moves = torch.as_tensor(mixtures - (coding.uniform(J.shape[1]) if base is None else base)).to(J)
    approximate = y + torch.einsum("vn,bnchw->vbchw", moves, J)
    return approximate.clamp(-1, 1) if clamp else approximate


def centred(J: Array) -> Tensor:
    """J (B, n, C, H, W) less the mean of its columns: all of J that a change from one mixture to another sees.

    The weights of a mixture sum to 1, so J times a change of mixture is the same with any image added to every
    column. What the columns share is how y grows with the sum of the weights, and can be most of J: compare two
    Jacobians, an exact and an approximate one for instance, by their centred parts.
    """
    J = torch.as_tensor(J)
    return J - J.mean(dim=1, keepdim=True)


def of_clamped(y: Array, J: Array) -> Tensor:
    """The Jacobian of y.clamp(-1, 1): J (B, n, C, H, W) with the rows of saturated pixels 0."""
    y, J = torch.as_tensor(y), torch.as_tensor(J)
    return J * (y.abs() <= 1)[:, None]


def jacobians(
    indices: Sequence[int],
    members: Members,
    seed: int,
    steps: Schedule,
    per_step: int | None = None,
    tangents: str = "forward",
) -> dict[str, Tensor]:
    """To be stored (`store.chunked`), at u_0, float32: {"y": (B, C, H, W) before the clamp, "jacobian": (B, n, C, H,
    W)}, of the samples `indices` of a seed."""
    noise = exogenous(indices, members, seed, steps)
    y, J = jacobian(members, noise, steps, None, per_step, tangents)
    return {"y": y, "jacobian": J.contiguous()}
