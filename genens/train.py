"""Algorithm 1 of Ho et al. (2020) for the members of an encoded ensemble: deterministic, resumable, one process each.

    python -m genens.train --profile laptop            # every ensemble of the profile, into weights/
    python -m genens.train --profile paper --only cifar20 --members 0-4 --device cuda
    python -m genens.train --list                      # what was trained on this machine, and what of it is unfinished
    python -m genens.train --delete paper/cifar20      # one of these

Every draw (batch, times, noise, dropout) is a function of (seed, member, step), so a run that is stopped and started
again continues from its last checkpoint and ends with the weights of one that was not.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from tqdm import tqdm

from genens import classifier, data, ensemble, store
from genens import codes as coding
from genens.recipe import Recipe, recipes
from genens.schedule import alpha_bars
from genens.seeds import generator
from genens.unet import UNet, UNetConfig, build

SAVE_EVERY = 20.0  # seconds between checkpoints


def learning_rate(step: int, recipe: Recipe) -> float:
    """The rate at a step; one-cycle climbs for a tenth of the steps, then falls to zero along a cosine."""
    if recipe.schedule == "constant":
        return recipe.lr
    climb = max(1, recipe.steps // 10)
    if step < climb:
        return recipe.lr * (step + 1) / climb
    return recipe.lr * 0.5 * (1 + np.cos(np.pi * (step - climb) / max(1, recipe.steps - climb)))


def batches(N: int, size: int, replace: bool, seed: int, member: int, start: int = 0) -> Iterator[Tensor]:
    """Rows of the training set, int64 (size,), from batch `start` on: independent draws, or one shuffled epoch after
    another, so that every image is seen equally often."""

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
    m, s, share = (*logit, 0.0)[:3]
    spread = round(share * size)
    uniform, quantile = (
        (torch.rand(1, generator=draw, dtype=torch.float64) + torch.arange(k)) / k for k in (spread, size - spread)
    )
    normal = torch.sigmoid(m + s * torch.special.ndtri(quantile))
    return (T * torch.cat([uniform, normal])).long().clamp(max=T - 1)


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


class Trainer:
    """One member in training: weights, their average, and the optimisers' moments; all of it goes to disk."""

    def __init__(self, images: Tensor, recipe: Recipe, member: int, device: str = "cpu"):
        self.images, self.recipe, self.member, self.device, self.step = images, recipe, member, device, 0
        self.config = UNetConfig(**recipe.unet)
        self.model = build(self.config, recipe.seed * 1000 + member).to(device)
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self._make_optimizers()
        self.bars = torch.from_numpy(alpha_bars(self.config.T)).float().to(device)
        self.rows = batches(len(images), recipe.batch, recipe.replace, recipe.seed, member)
        self.losses: list[float] = []

    def _make_optimizers(self) -> None:
        """Muon takes the 3x3 convolutions between head and tail, as matrices (Jordan et al. 2024), AdamW the rest."""
        self.matrices: dict[str, nn.Parameter] = {}
        rate, others = self.recipe.lr, dict(self.model.named_parameters())
        if self.recipe.optimizer == "muon":
            inner = [
                name for name, p in others.items() if p.shape[2:] == (3, 3) and not name.startswith(("head.", "tail."))
            ]
            self.matrices = {
                name: nn.Parameter(others.pop(name).detach().flatten(1)) for name in inner
            }  # the same memory
        adam = torch.optim.Adam if self.recipe.optimizer == "adam" else torch.optim.AdamW
        self.optimizers = [adam(others.values(), lr=rate, fused=True)]
        if self.matrices:
            muon = torch.optim.Muon(self.matrices.values(), rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
            self.optimizers.append(muon)
        # Their states are made now, so that a checkpoint has one shape from the first step on.
        self.moments = {
            name: {
                "step": torch.tensor(0.0, device=self.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
            for name, p in others.items()
        }
        self.moments |= {name: {"momentum_buffer": torch.zeros_like(p)} for name, p in self.matrices.items()}
        self.optimizers[0].state.update({p: self.moments[name] for name, p in others.items()})
        self.optimizers[-1].state.update({p: self.moments[name] for name, p in self.matrices.items()})

    def advance(self) -> float:
        """One step of Algorithm 1; returns the loss."""
        recipe, draw = self.recipe, generator(self.recipe.seed, self.member, 2, self.step)
        x = data.to_unit(self.images[next(self.rows)])
        t = training_times(len(x), self.config.T, recipe.times, draw)
        noise = torch.randn(x.shape, generator=draw)
        if recipe.flip:
            x = torch.where(torch.rand((len(x), 1, 1, 1), generator=draw) < 0.5, x.flip(-1), x)
        x, t, noise = (value.to(self.device) for value in (x, t, noise))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(self.step, recipe)
        with torch.random.fork_rng(enabled=self.config.dropout > 0):
            if self.config.dropout > 0:  # dropout has no generator argument: seed the global one, then put it back
                torch.manual_seed(draw.initial_seed())
            value = loss(self.model, x, t, noise, self.bars, recipe.precision, recipe.weight)
        self.model.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        for name, matrix in self.matrices.items():
            matrix.grad = self.model.get_parameter(name).grad.flatten(1)
        for optimizer in self.optimizers:
            optimizer.step()
        # Early on the average would be of the starting weights: its memory grows with the number of steps.
        decay = min(recipe.ema, (self.step + 1) / (self.step + 10))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.model.parameters()], 1 - decay)
        self.step += 1
        return value.item()

    def state(self) -> dict[str, Tensor]:
        """The averaged weights, which are the member."""
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
        note = {
            "step": str(self.step),
            "wall": f"{wall:.1f}",
            "cpu": f"{cpu:.1f}",
            "loss": f"{np.mean(self.losses[-200:]):.5f}",
        }
        store.atomic_write(path, to_bytes({k: v.cpu().contiguous() for k, v in self._tensors().items()}, note))

    def resume(self, path: Path) -> tuple[float, float]:
        """Continue from a checkpoint; returns the wall and the processor seconds already spent."""
        with safe_open(path, "pt") as file:
            note = file.metadata()
            for name, tensor in self._tensors().items():
                tensor.copy_(file.get_tensor(name))
        self.step = int(note["step"])
        self.losses = [float(note["loss"])]
        self.rows = batches(
            len(self.images), self.recipe.batch, self.recipe.replace, self.recipe.seed, self.member, self.step
        )
        return float(note["wall"]), float(note["cpu"])


def train_member(
    images: Tensor,
    recipe: Recipe,
    member: int,
    checkpoint: Path | None = None,
    report: Callable[[int], None] | None = None,
    device: str = "cpu",
    save_every: float = SAVE_EVERY,
) -> dict[str, Tensor]:
    """Train one member on its split, uint8 (M, C, H, W); returns its averaged weights.

    With `checkpoint`, the state is written there every `save_every` seconds and at the end, and read back first.
    """
    trainer = Trainer(images, recipe, member, device)
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


TRIED = 6  # training steps that an estimate of the time is taken from


def expected_seconds(recipe: Recipe, images: data.Dataset, workers: int) -> float:
    """How long training on a CPU takes with so many members side by side, from a few steps of one member."""
    split = coding.splits(recipe.codes(images))[0]
    threads, trainer = torch.get_num_threads(), Trainer(images.images[split], recipe, 0)
    torch.set_num_threads(1)  # as each of the workers has
    try:
        trainer.advance()  # the first one sets things up
        began = time.perf_counter()
        for _ in range(TRIED):
            trainer.advance()
        each = (time.perf_counter() - began) / TRIED
    finally:
        torch.set_num_threads(threads)
    n = recipe.n or len(recipe.classes)
    return each * recipe.steps * math.ceil(n / workers)


# ---------------------------------------------------------------- all members, side by side


def _start_worker(progress: object, parent: int) -> None:
    """One thread a worker: the members share the cores, and the sums of a run do not depend on how many there are."""
    torch.set_num_threads(1)
    data.PROGRESS_FROM = sys.maxsize  # whoever started this has shown the reading of the images
    global _progress, _parent
    _progress, _parent = progress, parent


def _work(recipe: Recipe, member: int, checkpoint: Path, device: str, save_every: float) -> None:
    def report(step: int) -> None:
        _progress[member] = step
        if os.getppid() != _parent:  # whoever started this is gone; do not train on unseen
            sys.exit("the process that started this training is gone")

    images = recipe.images()
    split = coding.splits(recipe.codes(images))[member]
    train_member(images.images[split], recipe, member, checkpoint, report, device, save_every)


def _done(path: Path) -> tuple[int, dict]:
    """How many steps a checkpoint has behind it, and its note."""
    if not path.exists():
        return 0, {}
    with safe_open(path, "pt") as file:
        note = file.metadata()
    return int(note["step"]), note


def train_ensemble(
    recipe: Recipe,
    folder: Path,
    members: Sequence[int] | None = None,
    device: str = "cpu",
    workers: int | None = None,
    save_every: float = SAVE_EVERY,
) -> bool:
    """Train the members of `recipe` and write the ensemble to `folder` once all are there; True when it was written.

    Checkpoints lie beside trained ensembles (`store.trained`), in a folder named by the recipe, and go once the
    ensemble is written. Several machines that share the store can each train some `members`. Raises ValueError for a
    recipe's precision that this machine has no hardware for.
    """
    ensemble.check_precision(recipe.precision, torch.device(device).type)
    images = recipe.images()
    codes = recipe.codes(images)
    n = codes.shape[1]
    runs = store.trained() / "checkpoints" / f"{folder.name}-{store.digest(asdict(recipe))[:16]}"
    paths = [runs / f"member_{i:02d}.safetensors" for i in range(n)]
    todo = [i for i in (range(n) if members is None else members) if _done(paths[i])[0] < recipe.steps]
    context = multiprocessing.get_context("spawn")
    progress = context.Array("q", [_done(path)[0] for path in paths], lock=False)
    pool = ProcessPoolExecutor(
        min(workers or os.cpu_count() or 1, max(1, len(todo))), context, _start_worker, (progress, os.getpid())
    )
    try:
        jobs = [pool.submit(_work, recipe, i, paths[i], device, save_every) for i in todo]
        with tqdm(
            desc=folder.name,
            total=recipe.steps * len(todo),
            initial=sum(progress[i] for i in todo),
            unit="step",
            smoothing=0.02,
        ) as bar:
            while jobs:
                finished, unfinished = wait(jobs, timeout=0.5)
                bar.update(sum(progress[i] for i in todo) - bar.n)
                for job in finished:
                    job.result()
                jobs = list(unfinished)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    notes = [_done(path) for path in paths]
    if any(steps < recipe.steps for steps, _ in notes):
        return False
    states = []
    for path in paths:
        with safe_open(path, "pt") as file:
            names = file.keys()
            states.append(
                {name.removeprefix("average."): file.get_tensor(name) for name in names if name.startswith("average.")}
            )
    ensemble.save(
        folder,
        states,
        codes,
        {
            "recipe": asdict(recipe),
            "unet": UNetConfig(**recipe.unet).to_dict(),
            "shape": list(images.images.shape[1:]),
            "data": images.digest,
            "images": len(images),
            "split_sizes": coding.split_sizes(codes).tolist(),
            "member_wall_seconds": [float(note["wall"]) for _, note in notes],
            "member_cpu_seconds": [
                float(note["cpu"]) for _, note in notes
            ],  # one thread: its wall time when undisturbed
            "member_loss": [float(note["loss"]) for _, note in notes],
            "workers": workers or os.cpu_count(),
            "device": device,
            "made": store.provenance(),
        },
    )
    shutil.rmtree(runs)
    return True


def trained() -> dict[str, Path]:
    """What was trained on this machine beside the shipped ensembles: {name: folder}, checkpoints of unfinished ones
    too."""
    found = sorted(path.parent for path in store.trained().rglob("manifest.json"))
    unfinished = sorted(path for path in store.trained().glob("checkpoints/*") if path.is_dir())
    return {path.relative_to(store.trained()).as_posix(): path for path in [*found, *unfinished]}


def _list() -> None:
    print(f"in {store.trained()}:")
    for name, path in trained().items():
        files = [file for file in path.rglob("*") if file.is_file()]
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        when = (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(max(file.stat().st_mtime for file in files)))
            if files
            else "-"
        )
        print(f"{name:<44} {megabytes:8.1f} MB   {when}{'   unfinished' if name.startswith('checkpoints/') else ''}")


def _delete(name: str) -> None:
    """One trained ensemble, by name. ValueError for a name that is not in the list."""
    if name not in (known := trained()):
        raise ValueError(
            f"expected the name of a trained ensemble to delete, one of {', '.join(known) or '(none)'}; got {name!r}"
        )
    shutil.rmtree(known[name])
    print(f"deleted {known[name]}")


def _announce(name: str, recipe: Recipe, device: str, workers: int | None) -> None:
    """What will be trained, in which precision, and about how long it takes here."""
    n = recipe.n or len(recipe.classes)
    side = min(workers or os.cpu_count() or 1, n)
    print(
        f"{name}: {n} members, {recipe.steps:,} steps of {recipe.batch} images each, in {recipe.precision}, {side} at "
        "a time",
        file=sys.stderr,
    )
    if device == "cpu":
        minutes = math.ceil(expected_seconds(recipe, recipe.images(), side) / 60)
        spell = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        print(
            f"{name}: up to about {spell} on this machine as busy as it is now, less what an earlier run has done; "
            "stop it at any moment, the same command goes on",
            file=sys.stderr,
        )


def _members(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _is_there(folder: Path, recipe: Recipe | None) -> bool:
    """Whether a folder holds what this recipe makes; the classifier has none and only needs to be there."""
    if not (folder / "manifest.json").is_file():
        return False
    return recipe is None or Recipe(**store.read_folder(folder)["recipe"]) == recipe


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m genens.train", description="Train the ensembles of a profile.")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--only", help="one ensemble of the profile")
    parser.add_argument("--members", type=_members, help="a member, or a range: 0-3")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, help="members trained side by side (default: one a core)")
    parser.add_argument("--missing", action="store_true", help="leave out ensembles that are there already")
    parser.add_argument("--list", action="store_true", help="list what was trained on this machine, and train nothing")
    parser.add_argument("--delete", metavar="NAME", help="delete one of these, and train nothing")
    given = parser.parse_args(arguments)
    try:
        if given.list or given.delete:
            _delete(given.delete) if given.delete else _list()
            return 0
        wanted: dict[str, Recipe | None] = {"digits": None, **recipes(given.profile)}
        if given.only and given.only not in wanted:
            raise ValueError(f"expected one of profile {given.profile}'s {', '.join(wanted)}; got {given.only}")
        for name, recipe in wanted.items():
            folder = ensemble.locate(name, given.profile)
            if given.only not in (None, name) or (given.missing and _is_there(folder, recipe)):
                continue
            if recipe is None:  # the classifier that judges samples: seconds to minutes
                classifier.build(folder, profile=given.profile)
                continue
            ensemble.check_precision(recipe.precision, torch.device(given.device).type)
            _announce(name, recipe, given.device, given.workers)
            if not train_ensemble(recipe, folder, given.members, given.device, given.workers):
                print(f"genens.train: {name} waits for its other members", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"genens.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genens.train: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
