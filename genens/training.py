"""One member in training: Algorithm 1 of Ho et al. (2020), deterministic and resumable.

Every draw (batch, times, noise, dropout) is a function of (seed, member, step), so a run that is stopped and started
again continues from its last checkpoint and ends with the weights of one that was not.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from genens import data, files, graphs
from genens.muon import Muon
from genens.recipe import Recipe
from genens.schedules import alpha_bars
from genens.seeds import generator
from genens.unet import UNet, UNetConfig, build

SAVE_EVERY = 20.0  # seconds between checkpoints
FROM_START = "delete it to train this member from the start"
NOTED = ("step", "wall", "cpu", "loss")  # in a checkpoint, beside its tensors


def learning_rate(step: int, recipe: Recipe) -> float:
    """The rate at a step: a climb, then a fall to zero along a cosine or a line (see `Recipe`)."""
    if recipe.schedule == "constant":
        return recipe.lr
    climb = max(1, int(recipe.steps * recipe.climb))
    if step < climb:
        return recipe.lr * (step + 1) / climb
    fallen = (step - climb) / max(1, recipe.steps - climb)
    return recipe.lr * (1 - fallen if recipe.schedule == "linear" else 0.5 * (1 + np.cos(np.pi * fallen)))


def batches(N: int, size: int, replace: bool, seed: int, member: int, start: int = 0) -> Iterator[Tensor]:
    """Rows of the training set, int64 (size,), from batch `start` on: independent draws, or one shuffled epoch after
    another, so that every image is seen equally often."""

    @functools.lru_cache(maxsize=2)
    def epoch(e: int) -> Tensor:
        return torch.randperm(N, generator=generator(seed, member, 1, e))

    for step in itertools.count(start):
        if replace:
            yield torch.randint(N, (size,), generator=generator(seed, member, 1, step))
        else:
            first, last = step * size, (step + 1) * size
            rows = torch.cat([epoch(e) for e in range(first // N, (last - 1) // N + 1)])
            yield rows[first % N : first % N + size]


def training_times(size: int, T: int, logit: Sequence[float], draw: torch.Generator) -> Tensor:
    """The times of a minibatch, int64 (size,) in 0..T-1: drawn uniformly, or with logit = (m, s) or (m, s, share) a
    share of them uniformly and the others logit-normal (see `Recipe`), of either kind one from each of equally probable
    parts (the low-discrepancy sampler of Kingma et al. 2021)."""
    if not logit:
        return torch.randint(T, (size,), generator=draw)
    spread = round((*logit, 0.0)[2] * size)
    uniform, quantile = (
        (torch.rand(1, generator=draw, dtype=torch.float64) + torch.arange(k)) / k for k in (spread, size - spread)
    )
    return (T * torch.cat([uniform, at_quantile(quantile, logit[:2])])).long().clamp(max=T - 1)


def at_quantile(quantile: Tensor, logit: Sequence[float]) -> Tensor:
    """t / T at quantiles (B,) of its distribution: uniform, or logit-normal with logit = (m, s)."""
    if not logit:
        return quantile
    m, s = logit
    return torch.sigmoid(m + s * torch.special.ndtri(quantile))


def loss(
    model: UNet, x: Tensor, t: Tensor, noise: Tensor, bars: Tensor, precision: str = "float32", weight: str = "simple"
) -> Tensor:
    """Mean squared error of the noise predicted in sqrt(bar_t) x + sqrt(1 - bar_t) noise: the simple objective (Ho et
    al., Eq. 14), or with weight "v" each image's error over bar_t. x, noise: (B, C, H, W); t: int64 (B,)."""
    bar = bars[t].view(-1, 1, 1, 1)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        predicted = model(bar.sqrt() * x + (1 - bar).sqrt() * noise, t)
    error = (predicted.float() - noise).square()
    return (error / bar if weight == "v" else error).mean()


@contextlib.contextmanager
def opened(checkpoint: Path) -> Iterator[safe_open]:
    """A checkpoint's file. ValueError for one of something else, and for what is not of this recipe in it."""
    with files.expecting("a checkpoint of this recipe", checkpoint, FROM_START):
        if checkpoint.is_dir():
            raise ValueError("a folder")
        with safe_open(checkpoint, "pt") as file:
            yield file


def _sum(note: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Hex sha256 of what is in a checkpoint."""
    sha = hashlib.sha256(files.canonical(note).encode())
    for name, value in sorted(tensors.items()):
        sha.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        sha.update(value.numpy().tobytes())
    return sha.hexdigest()


def _is_matrix(weight: Tensor, recipe: Recipe) -> bool:
    """Whether Muon takes it."""
    if recipe.matrices == "3x3":
        return weight.shape[2:] == (3, 3)
    return weight.ndim > 1 and len(weight) <= weight[0].numel()


class Trainer:
    """One member in training: weights, their average, and the optimisers' moments; all of it goes to disk.

    part: how many images of a minibatch are in memory at a time, all of them if None; their gradients are added up.
    """

    def __init__(
        self, images: Tensor | data.Rows, recipe: Recipe, member: int, device: str = "cpu", part: int | None = None
    ):
        self.images, self.recipe, self.member, self.device, self.step = images, recipe, member, device, 0
        self.part = part or recipe.batch
        graphs.exact()
        self.config = UNetConfig(**recipe.unet)
        self.model = build(self.config, recipe.seed * 1000 + member).to(device)
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self._make_optimizers()
        self._learn = self._descend_with_dropout if self.config.dropout > 0 else self._descend
        if self.config.dropout == 0 and torch.device(device).type == "cuda":
            self._learn = graphs.recorded(self._descend, lambda: self._tensors().values())
        self.bars = torch.from_numpy(alpha_bars(self.config.T)).float().to(device)
        self.rows = batches(len(images), recipe.batch, recipe.replace, recipe.seed, member)
        self.losses: deque[Tensor] = deque(maxlen=200)

    def _make_optimizers(self) -> None:
        """Muon takes weights between head and tail, as matrices (Jordan et al. 2024; see `Recipe`), AdamW the rest."""
        self.matrices: dict[str, nn.Parameter] = {}
        self.rate = torch.tensor(self.recipe.lr, device=self.device)  # a tensor, which a recorded step reads anew
        others = dict(self.model.named_parameters())
        if self.recipe.optimizer == "muon":
            ends = ("head.", "tail.")
            inner = [name for name, p in others.items() if _is_matrix(p, self.recipe) and not name.startswith(ends)]
            # Matrices in the same memory as the convolutions' weights.
            self.matrices = {name: nn.Parameter(others.pop(name).detach().flatten(1)) for name in inner}
        adam = torch.optim.Adam if self.recipe.optimizer == "adam" else torch.optim.AdamW
        self.optimizers = [adam(others.values(), lr=self.rate, fused=True, capturable=self.device != "cpu")]
        if self.matrices:
            self.optimizers.append(Muon(self.matrices.values(), self.rate, 0.01, self.recipe.momentum))
        # Their states are made now, so that a checkpoint has one shape from the first step on.
        zero, zeros = partial(torch.zeros, (), device=self.device), torch.zeros_like
        self.moments = {
            name: {"step": zero(), "exp_avg": zeros(p), "exp_avg_sq": zeros(p)} for name, p in others.items()
        }
        self.moments |= {name: {"momentum_buffer": zeros(p)} for name, p in self.matrices.items()}
        self.optimizers[0].state.update({p: self.moments[name] for name, p in others.items()})
        self.optimizers[-1].state.update({p: self.moments[name] for name, p in self.matrices.items()})

    def advance(self) -> Tensor:
        """One step of Algorithm 1; returns the loss, (), on the device."""
        drawn = [graphs.sent(value, self.device) for value in self._drawn()]
        self.rate.fill_(learning_rate(self.step, self.recipe))
        value = self._learn(*drawn)
        # Early on the average would be of the starting weights: its memory grows with the number of steps.
        decay = min(self.recipe.ema, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.model.parameters()], 1 - decay)
        self.step += 1
        return value

    def _drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """The images of a step (B, C, H, W), their times (B,) and noise (B, C, H, W), drawn on the CPU."""
        recipe, draw = self.recipe, generator(self.recipe.seed, self.member, 2, self.step)
        x = data.to_unit(self.images[next(self.rows)])
        t = training_times(len(x), self.config.T, recipe.times, draw)
        noise = torch.randn(x.shape, generator=draw)
        if recipe.flip:
            x = torch.where(torch.rand((len(x), 1, 1, 1), generator=draw) < 0.5, x.flip(-1), x)
        return x, t, noise

    def _descend(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Move the weights by the gradient of the loss, which is returned."""
        self.model.zero_grad()
        value = torch.zeros((), device=self.device)
        for part in zip(*(side.split(self.part) for side in (x, t, noise)), strict=True):
            share = loss(self.model, *part, self.bars, self.recipe.precision, self.recipe.weight)
            share = share * (len(part[0]) / len(x))
            share.backward()
            value += share.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for name, matrix in self.matrices.items():
            matrix.grad = self.model.get_parameter(name).grad.flatten(1)
        for optimizer in self.optimizers:
            optimizer.step()
        return value

    def _descend_with_dropout(self, *drawn: Tensor) -> Tensor:
        """The same; dropout has no generator argument: the global one is seeded, then put back."""
        with torch.random.fork_rng():
            torch.manual_seed(generator(self.recipe.seed, self.member, 3, self.step).initial_seed())
            return self._descend(*drawn)

    def state(self) -> dict[str, Tensor]:
        """The averaged weights, which are the member: {name: tensor (as the network has it)}."""
        names = [name for name, _ in self.model.named_parameters()]
        return {name: value.cpu() for name, value in zip(names, self.average, strict=True)}

    def _tensors(self) -> dict[str, Tensor]:
        found = {}
        for (name, p), average in zip(self.model.named_parameters(), self.average, strict=True):
            found |= {f"weight.{name}": p.detach(), f"average.{name}": average}
            found |= {f"{moment}.{name}": value for moment, value in self.moments[name].items()}
        return found

    def save(self, path: Path, wall: float, cpu: float) -> None:
        """The whole state as one safetensors file, replaced atomically; `wall` and `cpu` seconds are noted in it."""
        recent = torch.stack([*self.losses]).mean()
        note = {"step": str(self.step), "wall": f"{wall:.1f}", "cpu": f"{cpu:.1f}", "loss": f"{recent:.5f}"}
        tensors = {name: value.cpu().contiguous() for name, value in self._tensors().items()}
        files.atomic_write(path, to_bytes(tensors, note | {"sha256": _sum(note, tensors)}))

    def resume(self, path: Path) -> tuple[float, float]:
        """Continue from a checkpoint; returns the wall and the processor seconds already spent. ValueError for a file
        that is none of this recipe."""
        with opened(path) as file:
            said = {name: file.metadata()[name] for name in NOTED}
            tensors = {name: file.get_tensor(name) for name in self._tensors()}
            # Those of earlier versions have no sha256.
            if file.metadata().get("sha256", found := _sum(said, tensors)) != found:
                raise ValueError("its sha256 is not the one in it")
            note = {name: float(value) for name, value in said.items()}
            for name, tensor in self._tensors().items():
                tensor.copy_(tensors[name])
            self.step = int(note["step"])
            self.losses.append(torch.tensor(note["loss"], device=self.device))
            recipe, N = self.recipe, len(self.images)
            self.rows = batches(N, recipe.batch, recipe.replace, recipe.seed, self.member, self.step)
            return note["wall"], note["cpu"]


def train_member(
    images: Tensor | data.Rows,
    recipe: Recipe,
    member: int,
    checkpoint: Path | None = None,
    report: Callable[[int], None] | None = None,
    device: str = "cpu",
    save_every: float = SAVE_EVERY,
    part: int | None = None,
) -> dict[str, Tensor]:
    """Train one member on its split, uint8 (M, C, H, W) or rows of a data set; returns its averaged weights.

    With `checkpoint`, the state is written there every `save_every` seconds and at the end, and read back first. part
    as for `Trainer`.
    """
    trainer = Trainer(images, recipe, member, device, part)
    wall, cpu = trainer.resume(checkpoint) if checkpoint is not None and checkpoint.exists() else (0.0, 0.0)
    saved = time.perf_counter()
    wall, cpu = saved - wall, time.process_time() - cpu  # from here on: when it would have begun, uninterrupted
    while trainer.step < recipe.steps:
        trainer.losses.append(trainer.advance())
        if report is not None:
            report(trainer.step)
        now, done = time.perf_counter(), trainer.step == recipe.steps
        if checkpoint is not None and (done or now - saved >= save_every):
            trainer.save(checkpoint, now - wall, time.process_time() - cpu)
            saved = now
    return trainer.state()
