"""Exogenous noise, and Algorithm 2 of Ho et al. (2020) under any mixture of members; counterfactuals.

    y = sample(members, Noise(seed, range(8), members.shape, len(steps)), mixtures, steps)

The same noise under the ablated mixture u_-x is the counterfactual sample in which x was never trained on
(paper, Sections 2.2 and 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from genens.ensemble import Members
from genens.schedules import Schedule, schedule
from genens.seeds import generator

PART = 32  # images that a core takes at a time


@dataclass(frozen=True)
class Noise:
    """The exogenous noise of the samples `indices`: standard normal, a function of (seed, index, step).

    It is drawn when asked for, so that a thousand steps of large images need not lie in memory at once.
    """

    seed: int
    indices: Sequence[int]
    shape: tuple[int, int, int]
    steps: int

    def __len__(self) -> int:
        return len(self.indices)

    def draw(self, step: int) -> Tensor:
        """(B, C, H, W): for step 0 the starting image, for 1..steps the noise that denoising step adds."""
        keys = [(self.seed, i, step) for i in self.indices]
        return torch.stack([torch.randn(self.shape, generator=generator(*key)) for key in keys])

    def tensor(self) -> Tensor:
        """All of it: (B, steps + 1, C, H, W)."""
        return torch.stack([self.draw(step) for step in range(self.steps + 1)], dim=1)

    def __getitem__(self, rows: slice) -> Noise:
        """The noise of some of the samples."""
        return replace(self, indices=self.indices[rows])


@contextmanager
def side_by_side(device: torch.device) -> Iterator[Callable[..., Iterable]]:
    """A `map` that runs forward passes one a core: passes this small gain little from several threads each.

    Elsewhere than on a CPU it is the ordinary `map`.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield map
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)


def predictions(
    members: Members, images: Mapping[int, Tensor], t: int, run: Callable[..., Iterable] = map
) -> dict[int, Tensor]:
    """What member i predicts in images[i] (B_i, C, H, W), for all those asked; `run` as from `side_by_side`."""
    parts = [(i, part) for i, x in images.items() for part in x.split(PART)]
    found: dict[int, list[Tensor]] = {i: [] for i in images}
    for (i, _), result in zip(parts, run(lambda job: members(job[1], t, [job[0]])[0], parts), strict=True):
        found[i].append(result)
    return {i: torch.cat(results) for i, results in found.items()}


def mixed(members: Members, x: Tensor, t: int, mixture: Tensor, run: Callable[..., Iterable] = map) -> Tensor:
    """The noise every mixture predicts: x (V, B, C, H, W), its own images, or (1, B, C, H, W), the same for all;
    mixture (V, B, n); result (V, B, C, H, W).

    (f_e . v)(x, t) = sum_i v_i f(x, t, theta_i), paper Eq. 3. A member is evaluated only in the images to which
    it gives weight.
    """
    weighed = [mixture[..., i] != 0 for i in range(members.n)]
    shared = len(x) == 1
    asked = {i: rows.any(0, keepdim=True) if shared else rows for i, rows in enumerate(weighed) if rows.any()}
    predicted = predictions(members, {i: x[rows] for i, rows in asked.items()}, t, run)
    total = x.new_zeros(*mixture.shape[:2], *x.shape[2:])
    for i, f in predicted.items():
        rows = weighed[i]
        if shared:  # from the images that were looked at to the mixtures that look
            f = torch.zeros_like(x).masked_scatter_(asked[i].view(*asked[i].shape, 1, 1, 1), f).expand_as(total)[rows]
        total[rows] += mixture[..., i][rows].to(x.dtype).view(-1, 1, 1, 1) * f
    return total


def drawing(noise: Noise | Tensor, steps: Schedule) -> Callable[[int], Tensor]:
    """step -> (B, C, H, W), as `Noise.draw`, for either kind of noise. ValueError unless made for `steps`."""
    made = noise.steps if isinstance(noise, Noise) else noise.shape[1] - 1
    if made != len(steps):
        raise ValueError(f"expected noise for {len(steps)} steps (and the start); got {made}")
    return noise.draw if isinstance(noise, Noise) else lambda step: noise[:, step]


def _mixtures(mixture: np.ndarray | Tensor, n: int, start: Tensor) -> Tensor:
    """The mixtures as (V, B, n), checked."""
    mixture, B = torch.as_tensor(np.asarray(mixture)), len(start)
    if mixture.ndim not in (2, 3) or mixture.shape[-1] != n or mixture.shape[1:-1] not in ((), (B,)):
        raise ValueError(
            f"expected mixtures (V, {n}), one weight a member, or (V, {B}, {n}), each sample its own; "
            f"got shape {tuple(mixture.shape)}"
        )
    if (mixture < 0).any() or not torch.allclose(mixture.sum(-1), torch.ones(1, dtype=mixture.dtype)):
        raise ValueError("expected every mixture to be non-negative and to sum to 1; got one that is not")
    mixture = mixture[:, None].expand(-1, B, -1) if mixture.ndim == 2 else mixture
    return mixture.to(start.device)


@torch.no_grad()
def sample(
    members: Members,
    noise: Noise | Tensor,
    mixture: np.ndarray | Tensor,
    steps: Schedule,
    stop: int | None = None,
    clamp: bool = True,
) -> Tensor:
    """y(v, noise) for every mixture v: (V, B, C, H, W) in [-1, 1] (paper, Section 2.4; Ho et al., Alg. 2).

    noise: a `Noise`, or a tensor (B, S + 1, C, H, W); its type and device are those of the computation.
    mixture: (V, n), each row non-negative and summing to 1; or (V, B, n), another one for every sample. stop:
    take only the first `stop` steps, and return the image reached. clamp=False leaves the image as the last
    step made it, a smooth function of the mixture, which may leave [-1, 1]. Raises ValueError for noise or a
    mixture of another shape, and for weights that are no mixture.
    """
    draw = drawing(noise, steps)
    start = draw(0)
    mixture = _mixtures(mixture, members.n, start)
    x = start.expand(len(mixture), *start.shape).clone()
    with side_by_side(x.device) as run:
        for k in range(len(steps) if stop is None else stop):
            seen = x if k else x[:1]  # all mixtures start from the same images, which are looked at once
            x = steps.a[k] * x + steps.b[k] * mixed(members, seen, steps.t[k], mixture, run)
            if steps.c[k]:
                x += steps.c[k] * draw(k + 1)
    return x.clamp(-1, 1) if clamp else x


def draw(
    indices: Sequence[int],
    seed: int,
    mixtures: Sequence[Sequence[float]],
    steps: int,
    sampler: str,
    variance: str,
    members: Members,
    device: str = "cpu",
) -> dict[str, Tensor]:
    """What the chapters store: {"y": (B, V, C, H, W)}, the samples `indices` under every mixture, float32."""
    taken = schedule(steps, sampler, variance)
    noise = Noise(seed, indices, members.shape, steps)
    exogenous = noise if device == "cpu" else noise.tensor().to(device)
    return {"y": sample(members, exogenous, np.asarray(mixtures), taken).transpose(0, 1)}
