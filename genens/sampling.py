"""Exogenous noise, and Algorithm 2 of Ho et al. (2020) under any mixture of members; counterfactuals.

    noise = Noise(seed, range(8), members.shape, len(steps))
    y = sample(members, noise, steps)[0]                                  # the whole ensemble's
    without = counterfactuals(members, noise, steps, members.codes, [42])[0]  # had image 42 not been there

The same noise under the ablated mixture u_-x is the counterfactual sample in which x was never trained on
(paper, Sections 2.2 and 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens.ensemble import Members
from genens.finetunes import Averaged
from genens.schedules import Schedule
from genens.seeds import generator

PART = 32  # images that a core takes at a time; a GPU takes all of a member's


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
    parts = [(i, part) for i, x in images.items() for part in (x.split(PART) if x.device.type == "cpu" else [x])]
    found: dict[int, list[Tensor]] = {i: [] for i in images}
    for (i, _), result in zip(parts, run(lambda job: members(job[1], t, [job[0]])[0], parts), strict=True):
        found[i].append(result)
    return {i: torch.cat(results) for i, results in found.items()}


class Share(NamedTuple):
    """What one member does in a step, for K of the images of all mixtures, which are counted through."""

    member: int
    looks: Tensor  # at which images, (M,)
    takes: Tensor  # which of its predictions in them, (K,)
    goes: Tensor  # into which mixtures' images, (K,)
    weight: Tensor  # times what, (K, 1, 1, 1)


def shares(mixture: Tensor, common: bool, like: Tensor) -> list[Share]:
    """Who does what for mixtures (V, B, n) on the CPU, once for many steps, so that a GPU's steps wait for nothing.

    common: whether all mixtures look at the same B images, or each at its own (V B). A member is evaluated only in the
    images to which it gives weight. Tensors are as `like`.
    """
    weights, B, found = mixture.flatten(0, 1), mixture.shape[1], []
    for i in range(mixture.shape[2]):
        if len(goes := weights[:, i].nonzero()[:, 0]):
            looks, takes = (goes % B if common else goes).unique(return_inverse=True)
            weight = weights[goes, i].to(like.dtype).view(-1, 1, 1, 1)
            found.append(Share(i, *(value.to(like.device) for value in (looks, takes, goes, weight))))
    return found


def mixed(
    members: Members, x: Tensor, t: int, given: Sequence[Share], V: int, run: Callable[..., Iterable] = map
) -> Tensor:
    """The noise that V mixtures predict: x (V, B, C, H, W), each in its own images, or (1, B, C, H, W), all in the
    same; result (V, B, C, H, W).

    (f_e . v)(x, t) = sum_i v_i f(x, t, theta_i), paper Eq. 3; given: the mixtures' `shares`.
    """
    images = x.flatten(0, 1)
    predicted = predictions(members, {one.member: images[one.looks] for one in given}, t, run)
    total = x.new_zeros(V * x.shape[1], *x.shape[2:])
    for one in given:
        total.index_add_(0, one.goes, one.weight * predicted[one.member][one.takes])
    return total.unflatten(0, (V, x.shape[1]))


def drawing(noise: Noise | Tensor, steps: Schedule) -> Callable[[int], Tensor]:
    """step -> (B, C, H, W), as `Noise.draw`, for either kind of noise. ValueError unless made for `steps`."""
    made = noise.steps if isinstance(noise, Noise) else noise.shape[1] - 1
    if made != len(steps):
        raise ValueError(f"expected noise for {len(steps)} steps (and the start); got {made}")
    return noise.draw if isinstance(noise, Noise) else lambda step: noise[:, step]


def _mixtures(mixture: np.ndarray | Tensor, n: int, B: int) -> Tensor:
    """The mixtures as (V, B, n) on the CPU, checked."""
    mixture = torch.as_tensor(np.asarray(mixture))
    if mixture.ndim not in (2, 3) or mixture.shape[-1] != n or mixture.shape[1:-1] not in ((), (B,)):
        raise ValueError(
            f"expected mixtures (V, {n}), one weight a member, or (V, {B}, {n}), each sample its own; "
            f"got shape {tuple(mixture.shape)}"
        )
    if (mixture < 0).any() or not torch.allclose(mixture.sum(-1), torch.ones(1, dtype=mixture.dtype)):
        raise ValueError("expected every mixture to be non-negative and to sum to 1; got one that is not")
    return mixture[:, None].expand(-1, B, -1) if mixture.ndim == 2 else mixture


@torch.no_grad()
def sample(
    members: Members,
    noise: Noise | Tensor,
    steps: Schedule,
    mixture: np.ndarray | Tensor | None = None,
    stop: int | None = None,
    clamp: bool = True,
) -> Tensor:
    """y(v, noise) for every mixture v: (V, B, C, H, W) in [-1, 1] (paper, Section 2.4; Ho et al., Alg. 2).

    noise: a `Noise`, or a tensor (B, S + 1, C, H, W); its type and device are those of the computation.
    mixture: (V, n), each row non-negative and summing to 1; or (V, B, n), another one for every sample; by default
    u_0 alone. stop: take only the first `stop` steps, and return the image reached. clamp=False leaves the image as
    the last step made it, a smooth function of the mixture, which may leave [-1, 1]. Raises ValueError for noise or a
    mixture of another shape, and for weights that are no mixture.
    """
    draw = drawing(noise, steps)
    start = draw(0)
    mixture = _mixtures(coding.uniform(members.n)[None] if mixture is None else mixture, members.n, len(start))
    if isinstance(members, Averaged):
        return _by_means(members, noise, steps, mixture, stop, clamp)
    x, V = start.expand(len(mixture), *start.shape).clone(), len(mixture)
    # All mixtures start from the same images, which are looked at once.
    first, then = (shares(mixture, common, start) for common in (True, False))
    with side_by_side(x.device) as run:
        for k in range(len(steps) if stop is None else stop):
            predicted = mixed(members, x if k else x[:1], steps.t[k], then if k else first, V, run)
            x = steps.a[k] * x + steps.b[k] * predicted
            if steps.c[k]:
                x += steps.c[k] * draw(k + 1)
    return x.clamp(-1, 1) if clamp else x


def _by_means(
    members: Averaged, noise: Noise | Tensor, steps: Schedule, mixture: Tensor, stop: int | None, clamp: bool
) -> Tensor:
    """`sample` where a mixture (V, B, n) is one network: each different one draws the samples that it is for."""
    different, which = mixture.flatten(0, 1).unique(dim=0, return_inverse=True)
    places = [torch.nonzero(which == v)[:, 0] for v in range(len(different))]

    def drawn(weights: Tensor, mine: Tensor) -> Tensor:
        return sample(members.mean(weights), _picked(noise, mine % len(noise)), steps, None, stop, clamp)[0]

    with side_by_side(noise.device if isinstance(noise, Tensor) else mixture.device) as run:
        y = torch.cat([*run(drawn, different, places)])
    return y[torch.cat(places).argsort()].unflatten(0, mixture.shape[:2])


def _picked(noise: Noise | Tensor, rows: Tensor) -> Noise | Tensor:
    if isinstance(noise, Tensor):
        return noise[rows]
    return replace(noise, indices=[noise.indices[i] for i in rows.tolist()])


def counterfactuals(
    members: Members, noise: Noise | Tensor, steps: Schedule, codes: np.ndarray, rows: np.ndarray | Sequence
) -> Tensor:
    """The same samples had image rows[k] never been trained on: (K, B, C, H, W) in [-1, 1] (paper, Section 3).

    codes: bool (N, n), of these members; rows: int (K,), the same images for every sample, or (B, K), each sample its
    own. Raises ValueError for codes of another ensemble, for rows that are not there or not of these samples, and for
    a row that every member holds.
    """
    codes, rows = np.asarray(codes, dtype=bool), np.asarray(rows)
    if codes.ndim != 2 or codes.shape[1] != members.n:
        raise ValueError(f"expected codes (N, {members.n}), of these members; got shape {codes.shape}")
    if rows.ndim not in (1, 2) or rows.shape[:-1] not in ((), (len(noise),)) or rows.dtype.kind not in "iu":
        raise ValueError(f"expected row numbers (K,), or ({len(noise)}, K), a list for each sample; got {rows.shape}")
    if rows.size and not (0 <= rows.min() and rows.max() < len(codes)):
        raise ValueError(f"expected rows in 0..{len(codes) - 1}, got {rows.min()} to {rows.max()}")
    without = coding.ablations(codes[rows.T.ravel()]).reshape(*rows.T.shape, members.n)
    return sample(members, noise, steps, without)


def samples(
    indices: Sequence[int], members: Members, seed: int, steps: Schedule, mixtures: np.ndarray
) -> dict[str, Tensor]:
    """To be stored (`store.chunked`): {"y": (B, V, C, H, W)}, the samples `indices` of a seed under every mixture."""
    return {"y": sample(members, exogenous(indices, members, seed, steps), steps, mixtures).transpose(0, 1)}


def counterfactual_samples(
    indices: Sequence[int], members: Members, seed: int, steps: Schedule, codes: np.ndarray, rows: np.ndarray
) -> dict[str, Tensor]:
    """To be stored: {"y": (B, K, C, H, W)}, the samples `indices` of a seed, each without the images rows[index] (of
    all samples, K), or without the same images rows (K,)."""
    mine = np.asarray(rows)[list(indices)] if np.ndim(rows) == 2 else rows
    y = counterfactuals(members, exogenous(indices, members, seed, steps), steps, codes, mine)
    return {"y": y.transpose(0, 1)}


def exogenous(indices: Sequence[int], members: Members, seed: int, steps: Schedule) -> Noise | Tensor:
    """The noise of these samples (B of them), on the device where the members are."""
    noise = Noise(seed, indices, members.shape, len(steps))
    device = getattr(members, "device", torch.device("cpu"))
    return noise if device.type == "cpu" else noise.tensor().to(device)
