"""What machine this is, and how fast: what the builder says before it starts, and how long training will take.

python -m genens_book.measures.machine        # one line of JSON
"""

from __future__ import annotations

import json
import math
import time
from importlib.metadata import PackageNotFoundError, version

import torch

from genens import codes as coding
from genens import sampling
from genens.data import Dataset
from genens.engines import ENGINES
from genens.ensemble import Ensemble, has_bfloat16
from genens.recipe import Recipe
from genens.training import Trainer
from genens.unet import UNetConfig, build

LAPTOP = UNetConfig(width=16, multipliers=(2, 3), attention=(), blocks=1, skip=True)  # of the shipped members
SHAPE = (1, 28, 28)
TRIED = 6  # training steps that an estimate of the time is taken from


def pass_ms(engine: str, rounds: int = 10) -> float:
    """Milliseconds of the clock for a laptop member's forward pass of 64 digits, with a pass on every core at once."""
    members = Ensemble([build(LAPTOP, i) for i in range(2)], torch.zeros(1, 2).bool().numpy(), SHAPE, engine=engine)
    asked = dict.fromkeys(range(2), torch.randn(128, *SHAPE, generator=torch.Generator().manual_seed(0)))
    took = []
    with sampling.side_by_side(torch.device("cpu")) as run, torch.inference_mode():
        for _ in range(rounds):  # the first one compiles, and it takes some for a core to be at full speed
            began = time.perf_counter()
            sampling.predictions(members, asked, 500, run)
            took.append(1e3 * (time.perf_counter() - began) / 4)
    return min(took)


def training_seconds(recipe: Recipe, images: Dataset, workers: int) -> float:
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
    return each * recipe.steps * math.ceil(len(recipe.members) / workers)


def describe() -> dict[str, object]:
    """Cores, instruction set, whether bfloat16 is fast here, and the default engine with its milliseconds a pass."""
    engine = ENGINES[0]
    try:
        named = f"{engine} {version(engine)}"
    except PackageNotFoundError:
        named = f"{engine}, not installed"
    return {
        "cores": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": has_bfloat16(),
        "engine": named,
        "pass_ms": round(pass_ms(engine), 1),
    }


if __name__ == "__main__":
    print(json.dumps(describe()))
