"""What a GPU does with the same code: `python -m bench.gpu`, or `make bench DEVICE=cuda`.

Small members first: a training step launched kernel by kernel, and recorded as a graph; sampling by a loop over
members, by all members in one batch, recorded, and in bfloat16; how far each way's results are from the plain one's
stands beside its times; and the Jacobian, exact and by differences, also where cuDNN rounds to TF32. Then the paper's
own networks: seconds and peak memory of a unit of each stage. All of it is written to bench/gpu.json, with the GPU's
name; without a GPU nothing is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.flop_counter import FlopCounterMode

from bench import paper
from genens import engines, ensemble, files, graphs, jacobians, provenance, store
from genens.ensemble import Ensemble
from genens.recipe import Recipe, recipes
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens.training import Trainer
from genens_book.pages import parameters

FILE = store.home() / "bench" / "gpu.json"
MNIST16 = store.home() / "weights" / "mnist16"
LEAST = 1.0  # seconds of calls that are timed
PARTS = {"mnist16": 128, "cifar20": 128, "celeba24": 32}  # training images in memory at a time
DEVICE = "cuda"


def timed(call: Callable[[], object], least: float = LEAST) -> float:
    """Seconds of a call, the median of ten groups of calls."""
    for _ in range(2):
        call()
    torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    torch.cuda.synchronize()
    calls = max(1, int(least / 10 / (time.perf_counter() - began)))
    seconds = []
    for _ in range(10 if calls > 1 else 3):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
        seconds.append((time.perf_counter() - began) / calls)
    return float(np.median(seconds))


# ---------------------------------------------------------------- small members


def eager(trainer: Trainer) -> Trainer:
    """The same, whose steps are launched kernel by kernel."""
    trainer._learn = trainer._descend
    return trainer


def training(recipe: Recipe) -> dict:
    """Steps a second of a member in training, kernel by kernel and recorded."""
    images = recipe.images().images[:5000]
    plain, fast = eager(Trainer(images, recipe, 0, DEVICE)), Trainer(images, recipe, 0, DEVICE)
    losses = torch.stack([torch.stack([one.advance() for _ in range(20)]) for one in (plain, fast)])
    return {
        "apart": float(((losses[0] - losses[1]).abs() / losses[0]).max()),
        "kernel by kernel": 1 / timed(plain.advance),
        "recorded": 1 / timed(fast.advance),
    }


@torch.no_grad()
def sampling(samples: int = 64, S: int = 10) -> dict:
    """Seconds for samples of MNIST's 16 members, and how far each way's pixels are from those of the plain loop."""
    members, steps = ensemble.load(MNIST16, device=DEVICE), schedule(S)
    noise = Noise(0, range(samples), members.shape, S).tensor().to(DEVICE)
    base, weights = members.models[0], stack_module_state(members.models)

    def all_at_once(x: Tensor, t: Tensor) -> Tensor:
        one = lambda state: functional_call(base, state, (x, t))  # noqa: E731
        return vmap(one)(weights)

    def steps_of(predict: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        x = noise[:, 0]
        for k in range(S):
            t = torch.full((1,), int(steps.t[k]), device=DEVICE)
            x = steps.a[k] * x + steps.b[k] * predict(x, t).mean(0)
            if steps.c[k]:
                x = x + steps.c[k] * noise[:, k + 1]
        return x.clamp(-1, 1)

    def loop(x: Tensor, t: Tensor) -> Tensor:
        return torch.stack([model(x, t) for model in members.models])

    def low(predict: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        def run(x: Tensor, t: Tensor) -> Tensor:
            with torch.autocast(DEVICE, torch.bfloat16):
                return predict(x, t).float()

        return run

    ways = {
        "the core's": lambda: sample(members, noise, steps)[0],
        "a loop over members": lambda: steps_of(loop),
        "all members in one batch": lambda: steps_of(all_at_once),
    }
    for name, way in (("the loop, recorded", loop), ("the loop in bfloat16, recorded", low(loop))):
        once = graphs.recorded(way, lambda: [])
        ways[name] = lambda once=once: steps_of(once)
    expected, found = steps_of(loop), {}
    for name, way in ways.items():
        try:
            y = way()
            found[name] = {"seconds": timed(way), "apart": float((y - expected).abs().max())}
        except RuntimeError as problem:
            found[name] = {"failed": f"{problem}"[:200]}
        print("sampling", name, found[name], file=sys.stderr, flush=True)
    return {"samples": samples, "steps": S, "ways": found}


def jacobian(samples: int = 4, S: int = 10) -> dict:
    """Seconds for the Jacobians of some samples of MNIST's 16 members, all members at every step, and how far each
    way's is from the exact one's: |J - J'| / |J|."""
    members, steps = ensemble.load(MNIST16, device=DEVICE), schedule(S)
    noise, found, exact = Noise(0, range(samples), members.shape, S).tensor().to(DEVICE), {}, None
    u = [1 / members.n] * members.n
    jacobians.prepare()
    for name, tangents, rounded in (
        ("exact", "forward", False),
        ("differences", "differences", False),
        ("differences, in TF32", "differences", True),
    ):
        torch.backends.cudnn.allow_tf32 = rounded
        began = time.perf_counter()
        # The public function refuses differences in TF32.
        J = jacobians._block(members, noise, steps, u, members.n, tangents)[1]
        torch.cuda.synchronize()
        exact = J if exact is None else exact
        found[name] = {"seconds": time.perf_counter() - began, "apart": float((J - exact).norm() / exact.norm())}
        print("jacobian", name, found[name], file=sys.stderr, flush=True)
    graphs.exact()
    return {"samples": samples, "steps": S, "ways": found}


# ---------------------------------------------------------------- the paper's networks


def train(size: paper.Size, precision: str = "float32") -> tuple[Callable[[], object], float, float]:
    """A training step of a member."""
    recipe = dataclasses.replace(size.recipe, precision=precision)
    images = (paper.noise(recipe.batch, *size.shape) * 40 + 128).clamp(0, 255).to(torch.uint8)
    return Trainer(images, recipe, 0, DEVICE, PARTS[size.name]).advance, 1, recipe.steps * recipe.n


def train_low(size: paper.Size) -> tuple[Callable[[], object], float, float]:
    """The same in bfloat16."""
    return train(size, "bfloat16")


def train_rounded(size: paper.Size) -> tuple[Callable[[], object], float, float]:
    """The same in float32 whose convolutions round to TF32, which the core does not let them."""
    made = train(size)
    torch.backends.cudnn.allow_tf32 = True
    return made


def passes(size: paper.Size) -> tuple[Callable[[], object], float, float]:
    """A member's pass of some images; 10,000 samples of the ensemble and of each member take 2 n S such passes each."""
    model, x = paper.network(size).to(DEVICE), paper.noise(size.images, *size.shape).to(DEVICE)
    given = parameters.load("paper")["03_fid"]
    return lambda: engines.plain(model, x, 500), size.images, 2 * size.recipe.n * given["steps"] * given["n_samples"]


def with_tangents(size: paper.Size) -> tuple[Callable[[], object], float, float]:
    """A member's input Jacobian times all n directions in one image."""
    n, given = size.recipe.n, parameters.load("paper")["05_jacobian"]
    member = Ensemble([paper.network(size)], np.ones((1, 1), bool), size.shape).to(DEVICE)
    x, J = paper.noise(1, *size.shape).to(DEVICE), paper.noise(n, 1, *size.shape).to(DEVICE)
    return lambda: jacobians.push(member, x, 500, 0, J), n, size.with_jacobian * given["steps"] * n * n


STAGES = {
    "train": train,
    "train, TF32": train_rounded,
    "train, bfloat16": train_low,
    "sample": passes,
    "jacobian": with_tangents,
}


def stage(size: paper.Size, name: str) -> dict[str, float]:
    """One stage: {"seconds", "flops": of a unit, "units", "gigabytes": the most GPU memory}."""
    graphs.exact()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with torch.enable_grad() if name.startswith("train") else torch.no_grad():
        call, units, total = STAGES[name](size)
        if name.startswith("train"):
            call()  # records
        seconds = timed(call) / units
    found = {"seconds": seconds, "units": float(total), "gigabytes": torch.cuda.max_memory_allocated() / 2**30}
    if name == "sample":
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            call()
        found["flops"] = counter.get_total_flops() / units
    return found


def name() -> str:
    """The GPU's. Ends the program without one."""
    if not torch.cuda.is_available():
        sys.exit("bench.gpu: expected a GPU that PyTorch can use, found none; nothing was measured")
    return torch.cuda.get_device_name()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    laptop = recipes(parameters.profile_file("laptop"))["mnist16"]
    found: dict = {"gpu": name(), "made": provenance.describe(), "paper": {}}

    def keep() -> None:
        files.atomic_write(given.out, json.dumps(found, indent=1) + "\n")

    def tried(call: Callable[[], dict]) -> dict:
        try:
            return call()
        except RuntimeError as problem:  # which CUDA's errors are
            return {"failed": f"{problem}"[:200]}

    found["training"] = tried(lambda: training(laptop))
    print("training", found["training"], file=sys.stderr, flush=True)
    keep()
    found["sampling"] = tried(sampling)
    keep()
    found["jacobian"] = tried(jacobian)
    keep()
    for which, size in paper.sizes().items():
        found["paper"][which] = {}
        for one in STAGES:
            found["paper"][which][one] = tried(lambda size=size, one=one: stage(size, one))
            print(which, one, found["paper"][which][one], file=sys.stderr, flush=True)
            keep()


if __name__ == "__main__":
    main()
