"""What the paper's own sizes take: every stage of book/profiles/paper.yml, for a few steps at its true shapes.

    python -m bench.paper                # all of them, tens of minutes; --only celeba24 for one ensemble

A stage runs in a process of its own, on all cores, and says its peak of memory, the seconds of one unit (a training
step, a member's pass of one image, ...) and the floating-point operations of it; what the whole takes is these times
the number of units. Images are noise: nothing depends on what they show. The table is written to bench/paper.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from genens import attribution, codes, engines, files, jacobians, provenance, store
from genens.ensemble import Ensemble
from genens.recipe import Recipe, recipes
from genens.training import Trainer
from genens.unet import UNet, UNetConfig, build
from genens_book.chapters.search.analysis import SHAPES
from genens_book.pages import claims, parameters
from genens_book.pages.markup import DATASETS

FILE = store.home() / "bench" / "paper.json"
LONG = 20  # seconds; a call that takes longer is timed once, setting up included


@dataclass(frozen=True)
class Size:
    """One of the paper's ensembles, and how much of it is in memory at a time here.

    part: training images; images: those of a pass; tangents: how many of the n of a sample's Jacobian.
    """

    name: str
    recipe: Recipe
    N: int
    part: int
    images: int
    tangents: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of its images."""
        return SHAPES[self.recipe.dataset]

    @property
    def with_jacobian(self) -> int:
        """How many of its samples have a Jacobian in the paper (Section 3.3)."""
        return int(claims.load()[f"s3.3-samples-{self.recipe.dataset}"].value)

    @property
    def config(self) -> UNetConfig:
        """Of its networks."""
        return UNetConfig(**self.recipe.unet)


def sizes() -> dict[str, Size]:
    """The three ensembles of the paper whose images have codes of their own."""
    paper = recipes(parameters.profile_file("paper"))
    held = {"mnist16": (128, 64, 16), "cifar20": (128, 64, 20), "celeba24": (4, 4, 4)}
    return {name: Size(name, paper[name], codes.PAPER[paper[name].dataset][0], *held[name]) for name in held}


def noise(*shape: int) -> torch.Tensor:
    """Normal noise of a shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# ---------------------------------------------------------------- the stages: what one unit is, and how many there are


def train(size: Size) -> tuple[Callable[[], object], float, float]:
    """A training step of a member."""
    images = (noise(size.recipe.batch, *size.shape) * 40 + 128).clamp(0, 255).to(torch.uint8)
    trainer = Trainer(images, size.recipe, 0, part=size.part)
    return trainer.advance, 1, size.recipe.steps * size.recipe.n


def network(size: Size) -> UNet:
    """An untrained member."""
    return build(size.config, 0).eval().requires_grad_(False)


def sample(size: Size) -> tuple[Callable[[], object], float, float]:
    """A member's pass of some images; 10,000 samples of the ensemble and of each member take 2 n S such passes each."""
    model, x = network(size), noise(size.images, *size.shape)
    given = parameters.load("paper")["03_fid"]
    passes = 2 * size.recipe.n * given["steps"] * given["n_samples"]
    return lambda: engines.plain(model, x, 500), size.images, passes


def fid(size: Size) -> tuple[Callable[[], object], float, float]:
    """Inception's features of some images, with weights drawn at random; all samples and the training set have some."""
    from torchvision.models import Inception3

    model, x = Inception3(init_weights=False).eval().requires_grad_(False), noise(16, 3, 299, 299)
    given = parameters.load("paper")["03_fid"]
    return lambda: model(x), 16, (1 + size.recipe.n) * given["n_samples"] + size.N


def jacobian(size: Size) -> tuple[Callable[[], object], float, float]:
    """A member's input Jacobian times some directions in one image; the exact recurrence takes n of n a step."""
    member, x = Ensemble([network(size)], np.ones((1, 1), bool), size.shape), noise(1, *size.shape)
    J = noise(size.tangents, 1, *size.shape)
    n, given = size.recipe.n, parameters.load("paper")["05_jacobian"]
    jacobians.prepare()
    return (lambda: jacobians.push(member, x, 500, 0, J), size.tangents, size.with_jacobian * given["steps"] * n * n)


def search(size: Size) -> tuple[Callable[[], object], float, float]:
    """A sample's influence on every image of the database, through its Gram matrix; ten samples, as in Figure 6."""
    n = size.recipe.n
    J = noise(1, n, 64)
    gram, given = jacobians.gram(J[:, :, :, None, None]), codes.constant_weight(size.N, n, size.recipe.h, 0)
    return lambda: attribution.top_k(gram, given, 10), 1, parameters.load("paper")["06_search"]["n_samples"]


STAGES = {stage.__name__: stage for stage in (train, sample, fid, jacobian, search)}


def measure(size: Size, stage: str) -> dict[str, float]:
    """One stage: {"seconds", "flops": of a unit, "units", "gigabytes": the peak of the process}."""
    call, units, total = STAGES[stage](size)
    with torch.no_grad() if stage != "train" else torch.enable_grad():
        began, calls = time.perf_counter(), 1
        with FlopCounterMode(display=False) as counter:  # and the first call, which sets things up
            call()
        if time.perf_counter() - began < LONG:
            began, calls = time.perf_counter(), 0
            while calls < 2 or time.perf_counter() - began < 2:
                call()
                calls += 1
        seconds = (time.perf_counter() - began) / calls / units
    flops = counter.get_total_flops() / units
    if (
        stage == "jacobian"
    ):  # the counter does not see tangents: a pass carries the image, and as much for each direction
        with FlopCounterMode(display=False) as counter:
            engines.plain(network(size), noise(1, *size.shape), 500)
        flops = counter.get_total_flops() * (1 + units) / units
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": seconds, "flops": flops, "units": float(total), "gigabytes": peak}


# ---------------------------------------------------------------- the command


def row(size: Size) -> dict:
    """All that is known of an ensemble but its stages."""
    parameters_ = sum(p.numel() for p in build(size.config, 0).parameters())
    return {
        "name": size.name,
        "dataset": DATASETS[size.recipe.dataset],
        "n": size.recipe.n,
        "N": size.N,
        "shape": list(size.shape),
        "parameters": parameters_,
        "batch": size.recipe.batch,
        "part": size.part,
        "disk_gigabytes": {
            "members": 4 * parameters_ * size.recipe.n / 1e9,
            "checkpoint": 16 * parameters_ / 1e9,  # weights, their average, two moments
            "samples": 4 * np.prod(size.shape) * 10_000 * (1 + size.recipe.n) / 1e9,
            "jacobians": 4 * np.prod(size.shape) * size.recipe.n * size.with_jacobian / 1e9,
        },
        "stages": {},
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench.paper", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sizes(), help="one ensemble")
    parser.add_argument("--stage", choices=STAGES, help="measure this one, in this process, and print it")
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(measure(sizes()[given.only], given.stage)))
        return
    known = {one["name"]: one for one in json.loads(FILE.read_text())["rows"]} if FILE.exists() else {}
    for name, size in sizes().items():
        if given.only in (None, name):
            known[name] = row(size)
            for stage in STAGES:
                command = [sys.executable, "-m", "bench.paper", "--only", name, "--stage", stage]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
                if done.returncode:
                    known[name]["stages"][stage] = {"failed": f"exit code {done.returncode}"}
                else:
                    known[name]["stages"][stage] = json.loads(done.stdout)
                print(name, stage, known[name]["stages"][stage], file=sys.stderr)
                files.atomic_write(
                    FILE, json.dumps({"rows": [*known.values()], "made": provenance.describe()}, indent=1) + "\n"
                )


if __name__ == "__main__":
    main()
