"""How time and memory grow, each point in a process of its own: `python -m bench.scaling` writes bench/scaling.json.

Networks are the laptop's, untrained: what they predict does not matter to the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from genens import attribution, codes, files, jacobians, provenance, store
from genens.ensemble import Ensemble
from genens.recipe import Recipe
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens.training import Trainer
from genens.unet import UNetConfig, build
from genens_book.measures import machine

FILE = store.home() / "bench" / "scaling.json"
LEAST = 1.0  # seconds: a shorter call is repeated


def members(n: int, side: int = 28) -> Ensemble:
    """Untrained members for images of side x side pixels."""
    return Ensemble(
        [build(machine.LAPTOP, i) for i in range(n)], np.ones((1, n), bool), (1, side, side), engine="openvino"
    )


def draw(n: int = 4, B: int = 16, S: int = 4, side: int = 28) -> Callable[[], object]:
    """B samples of an ensemble of n in S steps."""
    ensemble = members(n, side)
    return lambda: sample(ensemble, Noise(0, range(B), ensemble.shape, S), schedule(S))


def differentiate(n: int, per_step: int | None) -> Callable[[], object]:
    """Two samples' Jacobian in three steps."""
    ensemble = members(n)
    noise = Noise(0, range(2), ensemble.shape, 3)
    return lambda: jacobians.jacobian(ensemble, noise, schedule(3), None, per_step, "differences")


def search(N: int, n: int = 36, B: int = 4) -> Callable[[], object]:
    """The 100 most influential of N codes for B samples."""
    columns = np.random.default_rng(0).normal(size=(B, n, 400))
    parts = [codes.scattered(range(a, min(a + 10**6, N)), n, n // 2, 0).bits for a in range(0, N, 10**6)]
    G, packed = columns @ columns.transpose(0, 2, 1), codes.Packed(np.concatenate(parts), n, n // 2)
    return lambda: attribution.top_k(G, packed, 100)


def train(width: int) -> tuple[Callable[[], object], int]:
    """A training step of 16 digits, on one core; and the network's parameters."""
    torch.set_num_threads(1)
    unet = {"width": width, "multipliers": [2, 3], "attention": [], "blocks": 1, "skip": True}
    images = torch.zeros(64, 1, 28, 28, dtype=torch.uint8)
    trainer = Trainer(images, Recipe("mnist", steps=1000, n=2, h=1, batch=16, unet=unet), 0)
    return trainer.advance, sum(p.numel() for p in build(UNetConfig(**unet), 0).parameters())


# what grows: (the points, what is timed at each, what theory says of the exponent)
CURVES: dict[str, tuple[tuple[int, ...], Callable, float]] = {
    "sampling, members": ((4, 8, 16, 32, 64), lambda x: draw(n=x), 1),
    "sampling, samples": ((8, 16, 32, 64, 128, 256), lambda x: draw(B=x), 1),
    "sampling, steps": ((2, 4, 8, 16, 32), lambda x: draw(S=x), 1),
    "sampling, side of an image": ((16, 32, 64, 128), lambda x: draw(side=x, B=8, S=2), 2),
    "exact Jacobian, members": ((4, 8, 16, 32), lambda x: differentiate(x, None), 2),
    "rotating Jacobian, members": ((4, 8, 16, 32, 64), lambda x: differentiate(x, 2), 1),
    "search, images": ((10**4, 10**5, 10**6, 10**7), search, 1),
    "training step, parameters": ((8, 16, 32, 64), train, 1),
}


def measure(curve: str, x: int) -> dict[str, float]:
    """One point: {"x", "seconds" of a call, "megabytes": the peak of this process}."""
    made = CURVES[curve][1](x)
    call, x = made if isinstance(made, tuple) else (made, x)
    call()
    took = []
    while sum(took) < LEAST or len(took) < 2:
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return {"x": x, "seconds": min(took), "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CURVES)
    parser.add_argument("--point", type=int, help="measure this one, in this process, and print it")
    given = parser.parse_args()
    if given.point is not None:
        print(json.dumps(measure(given.only, given.point)))
        return
    found = json.loads(FILE.read_text()) if FILE.exists() else {"curves": {}}
    for name, (points, _, theory) in CURVES.items():
        if given.only not in (None, name):
            continue
        rows = []
        for x in points:
            command = [sys.executable, "-m", "bench.scaling", "--only", name, "--point", str(x)]
            rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
            print(name, rows[-1], file=sys.stderr)
        found["curves"][name] = {"theory": theory, "points": rows}
        found |= {"machine": machine.describe(), "made": provenance.describe()}
        files.atomic_write(FILE, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
