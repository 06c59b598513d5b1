"""Fine-tunes: a network goes on with the images of a split, by gradient descent that is the same for every member.

Gradients are summed over images, and divided by numbers that only the base's own images decide, so that what an image
adds to a short fine-tune hardly depends on who else is there; with common random numbers, only the images tell members
apart. Both are what makes a decoder's work easy (`recipe.FineTune` has the settings).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from genens import data, ensemble, files, graphs, store
from genens.finetunes import Subspace
from genens.recipe import FineTune, Recipe, recipe_of, trained_on
from genens.schedules import alpha_bars
from genens.seeds import generator
from genens.training import at_quantile, batches, loss
from genens.unet import UNet

PART = 64  # images of a step in memory at a time, on a CPU
TUNING = 0x7E57  # apart from the draws of ordinary training


def base_of(recipe: FineTune, folder: Path) -> ensemble.Ensemble:
    """The network that fine-tunes in `folder` start from, beside it or shipped, as an ensemble of one. Raises
    ValueError for one of several networks, and as `ensemble.load`."""
    beside, shipped = folder.parent / recipe.base, store.home() / "weights" / recipe.base
    base = ensemble.load(beside if beside.is_dir() else shipped)
    if base.n != 1:
        raise ValueError(f"expected one network in {recipe.base}, the base of {folder.name}; got {base.n}: train n: 1")
    return base


def scale_of(base: ensemble.Ensemble, rank: int, file: Path) -> Tensor:
    """`gradient_scale` of a base by the images it was trained on, (Q,), kept in a file. Raises ValueError for a damaged
    one, and as `recipe.trained_on`."""
    if not file.exists():
        images, recipe = trained_on(base.manifest).images, recipe_of(base.manifest)
        scale = gradient_scale(base.models[0], Subspace(base.models[0], rank), images, recipe)
        files.atomic_write(file, to_bytes({"scale": scale}))
    with files.expecting("the scale of gradients", file, "delete it"):
        return from_bytes(file.read_bytes())["scale"]


def gradient_scale(base: UNet, subspace: Subspace, images: Tensor, recipe: Recipe, steps: int = 64) -> Tensor:
    """What fine-tunes of a network divide gradients by: the root mean square of each number's gradient over `steps`
    minibatches of the images that the network was trained on, plus the median of all these, (Q,)."""
    model = copy.deepcopy(base).requires_grad_(True)
    bars, total = torch.from_numpy(alpha_bars(model.config.T)).float(), 0
    for step, rows in zip(range(steps), batches(len(images), recipe.batch, True, recipe.seed, TUNING), strict=False):
        draw = generator(recipe.seed, TUNING, 2, step)
        x = data.to_unit(images[rows])
        t, noise = torch.randint(model.config.T, (len(x),), generator=draw), torch.randn(x.shape, generator=draw)
        value = loss(model, x, t, noise, bars, weight=recipe.weight)
        total += subspace.of(torch.autograd.grad(value, [*model.parameters()])).square()
    size = (total / steps).sqrt()
    return size + size.median()


def tuning_draws(
    N: int, shape: Sequence[int], recipe: FineTune, member: int, T: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of every step the times, int64 (N,), and the noise (N, *shape) of N images: with `common` the same whoever asks.

    Over the steps an image's times are one from each of equally probable parts, in an order of its own, so that what it
    teaches depends little on the draw.
    """
    key = 0 if recipe.common else member + 1
    draw = generator(recipe.seed, TUNING, 3, key)
    part = torch.stack([torch.randperm(recipe.steps, generator=draw) for _ in range(N)], dim=1)
    quantile = (part + torch.rand(part.shape, generator=draw, dtype=torch.float64)) / recipe.steps
    for step in range(recipe.steps):
        noise = torch.randn((N, *shape), generator=generator(recipe.seed, TUNING, 4, key, step))
        yield (T * at_quantile(quantile[step], recipe.times)).long().clamp(max=T - 1), noise


def tune_member(
    images: data.Rows,
    recipe: FineTune,
    member: int,
    base: UNet,
    scale: Tensor,
    report: Callable[[int], None] | None = None,
    device: str = "cpu",
) -> tuple[Tensor, float]:
    """Fine-tune a base on one member's images, scale (Q,) as from `gradient_scale`; returns how its weights changed,
    (Q,), and the mean loss of the steps' last fifth."""
    graphs.exact()  # effects of single images are small differences
    base, scale = copy.deepcopy(base).to(device), scale.to(device)
    model, subspace = copy.deepcopy(base).requires_grad_(True), Subspace(base, recipe.rank)
    bars, N = torch.from_numpy(alpha_bars(model.config.T)).float().to(device), len(images.images)
    x, losses = data.to_unit(images[torch.arange(len(images))]).to(device), []
    size = PART if scale.device.type == "cpu" else len(x)
    change, velocity = torch.zeros_like(scale), torch.zeros_like(scale)
    for step, drawn in enumerate(tuning_draws(N, x.shape[1:], recipe, member, model.config.T)):
        t, noise = (value[images.rows].to(device) for value in drawn)
        model.zero_grad()
        value = torch.zeros((), device=device)
        for part in zip(*(side.split(size) for side in (x, t, noise)), strict=True):
            share = loss(model, *part, bars, weight=recipe.weight) * (len(part[0]) / N)
            share.backward()
            value += share.detach()
        gradient = subspace.of([weight.grad for weight in model.parameters()]) / scale
        velocity = recipe.momentum * velocity + gradient
        change -= recipe.lr * velocity
        with torch.no_grad():
            moves = subspace.change(change).values()
            for weight, start, move in zip(model.parameters(), base.parameters(), moves, strict=True):
                weight.copy_(start + move)
        losses.append(value * N / len(x))
        if report is not None:
            report(step + 1)
    return change.cpu(), torch.stack(losses[-(len(losses) // 5 + 1) :]).mean().item()
