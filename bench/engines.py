"""What the forward pass, the tangent pass and the training step of a laptop member take by each engine that was tried,
and how far each is from the best matrix product of the same cores: `make bench-engines`.

`--avx2` does it with PyTorch and oneDNN held to AVX2, as many processors have no more, and writes engines_avx2.json.
Ways of one kind alternate, round by round, so that a machine that slows down slows all of them; each number is the
median of the rounds, with the fastest and the slowest. Before a way is timed, its result is compared with eager
PyTorch's. The table is written to bench/engines.json.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from genens import engines, ensemble, files, jacobians, provenance, sampling, store
from genens.ensemble import Ensemble
from genens.recipe import recipes
from genens.training import Trainer
from genens_book.measures import machine
from genens_book.pages import parameters

OUT = Path(__file__).with_name("engines.json")
IMAGES, T = 64, 500
ROUNDS = 7


def rounds(ways: dict[str, Callable[[], object]], least: float = 0.3) -> dict[str, list[float]]:
    """Seconds of a call of every way, ROUNDS each, in turns; each round repeats a way for at least `least` seconds."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            calls, began = 0, time.perf_counter()
            while (spent := time.perf_counter() - began) < least or not calls:
                way()
                calls += 1
            took[name].append(spent / calls)
    return took


def flops(call: Callable[[], object]) -> int:
    """Floating-point operations of a call, as torch counts those of products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def product(n: int = 1024) -> tuple[Callable[[], object], int]:
    """The yardstick: a product of two n x n matrices of float32, and its floating-point operations."""
    a, b = torch.randn(2, n, n)
    return lambda: a @ b, 2 * n**3


def side_by_side(members: Ensemble, images: torch.Tensor) -> Callable[[], object]:
    """A pass on every core at once, as sampling runs them; one call is as many passes as there are cores."""
    asked = dict.fromkeys(range(torch.get_num_threads()), images)

    def call() -> None:
        with sampling.side_by_side(images.device) as run, torch.no_grad():
            sampling.predictions(members, asked, T, run)

    return call


class Forward(Ensemble):
    """An ensemble whose members' passes are a function's, whole blocks at a time."""

    def __init__(self, members: Ensemble, make: Callable):
        super().__init__(members.models, members.codes, members.shape)
        self._passes = [make(model) for model in self.models]


def channels_last(model: torch.nn.Module) -> Callable:
    """Weights and images with their channels last."""
    model = copy.deepcopy(model).to(memory_format=torch.channels_last)
    return lambda x, t: engines.eager(model, x.contiguous(memory_format=torch.channels_last), t)


def frozen(model: torch.nn.Module) -> Callable:
    """Traced, frozen and optimised by torch.jit."""
    example = torch.zeros(engines.BLOCK, 1, 28, 28), torch.zeros(1, dtype=torch.int64)
    traced = torch.jit.freeze(torch.jit.trace(model.eval(), example))
    return lambda x, t: engines.eager(traced, x, t)


def compiled(model: torch.nn.Module) -> Callable:
    """torch.compile, which wants a C++ compiler."""
    made = torch.compile(model)
    return lambda x, t: engines.eager(made, x, t)


def forward_passes(members: Ensemble, report: dict) -> None:
    """The table of the forward pass."""
    images = torch.randn(IMAGES, *members.shape, generator=torch.Generator().manual_seed(0))
    cores = torch.get_num_threads()
    few = Ensemble(members.models[:cores], members.codes[:, :cores], members.shape)
    fast = Ensemble(members.models[:cores], members.codes[:, :cores], members.shape, engine="openvino")
    found = {
        "eager": few,
        "eager, channels last": Forward(few, channels_last),
        "torch.jit, frozen": Forward(few, frozen),
        "torch.compile": Forward(few, compiled),
        "openvino": fast,
    }
    expected, ways, apart = few(images, T, [0]), {}, {}
    for name, one in found.items():
        try:
            with torch.no_grad():
                apart[name] = float((one(images, T, [0]) - expected).abs().max())
        except Exception as problem:  # noqa: BLE001, whatever a machine lacks for it is said in the table
            report[name] = {"not run": str(problem).strip().splitlines()[0][:120]}
            continue
        if not apart[name] < 1e-4:
            report[name] = {"not run": f"its result and eager PyTorch's differ by {apart[name]:.1g}"}
            continue
        ways[name] = side_by_side(one, images)
    one_pass = flops(lambda: engines.plain(few.models[0], images, T))
    yardstick, operations = product()
    took = rounds(ways | {"matrix product": yardstick})
    best = operations / min(took.pop("matrix product"))
    for name, seconds in took.items():
        each = np.array(seconds) / cores
        report[name] = row(each, one_pass, best) | {"differs": apart[name]}


def row(seconds: np.ndarray, operations: int, best: float) -> dict[str, float]:
    """A line of the table: milliseconds, median and range, GFLOP/s, and the share of the best matrix product."""
    middle = float(np.median(seconds))
    return {
        "ms": 1e3 * middle,
        "ms_low": 1e3 * float(min(seconds)),
        "ms_high": 1e3 * float(max(seconds)),
        "gflop": operations / 1e9,
        "gflops": operations / middle / 1e9,
        "share": operations / middle / best,
    }


def tangent_passes(members: Ensemble, fast: Ensemble, report: dict) -> None:
    """n tangents of one member at 8 images: forward mode, and differences through either engine."""
    draws = torch.Generator().manual_seed(0)
    x, J = torch.randn(8, *members.shape, generator=draws), torch.randn(members.n, 8, *members.shape, generator=draws)

    def differences(ensemble: Ensemble) -> Callable[[], torch.Tensor]:
        def call() -> torch.Tensor:
            images, h = jacobians.difference_images(x, J)
            with sampling.side_by_side(x.device) as run, torch.no_grad():
                seen = sampling.predictions(ensemble, {0: images.flatten(0, 1)}, T, run)[0]
            return jacobians.differences(seen.unflatten(0, images.shape[:2]), h)

        return call

    def central() -> torch.Tensor:
        images, h = jacobians.difference_images(x, J)
        both = torch.cat([images[1:], 2 * images[:1] - images[1:]])
        with sampling.side_by_side(x.device) as run, torch.no_grad():
            seen = sampling.predictions(fast, {0: both.flatten(0, 1)}, T, run)[0].unflatten(0, both.shape[:2])
        along = (seen[: len(h)] - seen[len(h) :]) / (2 * h)
        return along[:-1] + along[-1:]

    jacobians.prepare()
    with torch.no_grad():
        ways = {
            "forward mode": lambda: jacobians.push(members, x, T, 0, J)[1],
            "one-sided differences, eager": differences(members),
            "one-sided differences, openvino": differences(fast),
            "central differences, openvino": central,
        }
        exact = ways["forward mode"]()
        apart = {name: float((way() - exact).norm() / exact.norm()) for name, way in ways.items()}
        took = rounds(ways)
    for name, seconds in took.items():
        report[name] = {
            "ms": 1e3 * float(np.median(seconds)),
            "ms_low": 1e3 * min(seconds),
            "ms_high": 1e3 * max(seconds),
            "relative_error": apart[name],
        }


def training_steps(report: dict) -> None:
    """A step of the shipped recipe on one core, and on all."""
    recipe = dataclasses.replace(recipes(parameters.profile_file("laptop"))["mnist16"], precision="float32")
    images, cores = recipe.images().images[:5000], torch.get_num_threads()
    operations = flops(Trainer(images, recipe, 0).advance)
    for threads in sorted({1, cores}):
        torch.set_num_threads(threads)
        plain, last = Trainer(images, recipe, 0), Trainer(images, recipe, 0)
        last.model.to(memory_format=torch.channels_last)
        yardstick, product_operations = product()
        took = rounds({"as it is": plain.advance, "channels last": last.advance, "product": yardstick})
        best = product_operations / min(took.pop("product"))
        for name, seconds in took.items():
            report[f"{name}, {threads} thread{'s' * (threads > 1)}"] = row(np.array(seconds), operations, best)
    torch.set_num_threads(cores)


def operators(call: Callable[[], object], most: int = 5) -> list[dict[str, object]]:
    """Where a call's time goes, on one core: the operators that take most of it by themselves, with their share of it
    and how often they run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        call()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
            call()
    finally:
        torch.set_num_threads(threads)
    found = sorted(seen.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in found)
    return [{"operator": one.key, "share": one.self_cpu_time_total / total, "calls": one.count} for one in found[:most]]


def where_time_goes(members: Ensemble) -> dict[str, list]:
    """The operators of a pass and of a training step, by PyTorch."""
    images = torch.randn(IMAGES, *members.shape, generator=torch.Generator().manual_seed(0))
    recipe = dataclasses.replace(recipes(parameters.profile_file("laptop"))["mnist16"], precision="float32")
    with torch.no_grad():
        forward = operators(lambda: engines.plain(members.models[0], images, T))
    return {"forward": forward, "training": operators(Trainer(recipe.images().images[:5000], recipe, 0).advance)}


def main() -> None:
    """Prints the three tables and writes them."""
    parser = argparse.ArgumentParser("python -m bench.engines", description=__doc__.splitlines()[0])
    parser.add_argument("--avx2", action="store_true", help="hold everything to AVX2")
    if parser.parse_args().avx2 and os.environ.get("ATEN_CPU_CAPABILITY") != "avx2":
        held = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
        sys.exit(subprocess.run([sys.executable, "-m", "bench.engines", "--avx2"], env=os.environ | held).returncode)
    # torch.compile takes, and crashes on, what it made for another processor.
    with tempfile.TemporaryDirectory() as kept:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = kept
        measure()


def measure() -> None:
    """The tables."""
    warnings.simplefilter("ignore")
    folder = store.home() / "weights" / "mnist16"
    members, fast = ensemble.load(folder), ensemble.load(folder, engine="openvino")
    found: dict = {
        "machine": machine.describe(),
        "made": provenance.describe(),
        "forward": {},
        "tangents": {},
        "training": {},
        "operators": where_time_goes(members),
    }
    forward_passes(members, found["forward"])
    tangent_passes(members, fast, found["tangents"])
    training_steps(found["training"])
    for part, what in (
        ("forward", f"a member's pass of {IMAGES} digits, a pass a core"),
        ("tangents", f"{members.n} tangents of a member at 8 digits, all cores"),
        ("training", "a training step of 64 digits"),
    ):
        print(f"\n{what}")
        for name, one in found[part].items():
            if "not run" in one:
                print(f"  {name:<34} not run: {one['not run']}")
                continue
            share = (
                f"{one['gflop']:6.1f} GFLOP, {one['share']:4.0%} of the best matrix product"
                if "share" in one
                else (f"relative error {one['relative_error']:.1e}")
            )
            print(f"  {name:<34} {one['ms']:7.1f} ms ({one['ms_low']:.1f} to {one['ms_high']:.1f})   {share}")
    for part, shares in found["operators"].items():
        most = ", ".join(f"{one['operator']} {one['share']:.0%}" for one in shares)
        print(f"\n{part}: {most}")
    out = OUT.with_stem("engines_avx2") if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2" else OUT
    files.atomic_write(out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
