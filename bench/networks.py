"""Choosing the laptop network: candidates trained on one split for the same processor time, one thread each.

    python bench/networks.py --seconds 300 --only A B --out networks

For each: held-out noise-prediction loss (the images of no split member, fixed times and noise), digit-feature FID and
share of confident samples (256 of 25 steps), and the time of a forward pass. bench/networks.json holds what was found
on two Xeon cores with `--seconds 200` (A and B: 280) when the shipped network was chosen.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from genens import codes as coding
from genens import data
from genens.ensemble import Ensemble
from genens.recipe import Recipe
from genens.sampling import samples as samples_of
from genens.schedules import schedule
from genens.seeds import generator
from genens.training import Trainer, loss
from genens.unet import UNet, parameter_count
from genens_book.measures import classifier, fid

BASE = dict(dataset="mnist", n=16, h=8, steps=1000)
A = dict(width=16, multipliers=[2, 3], blocks=1)
NARROW = dict(unet=A | dict(skip=True, attention=[]), weight="v", batch=64, ema=0.9975, lr=4e-3)
CANDIDATES = {
    "A: patch 2, 32-48": dict(unet=A),
    "B: patch 4, 64": dict(unet=dict(width=16, multipliers=[4], attention=[0], blocks=1, patch=4)),
    "C: patch 4, 48, deeper": dict(unet=dict(width=16, multipliers=[3], attention=[0], blocks=2, patch=4)),
    "D: patch 2, 16-48, deeper": dict(unet=dict(width=16, multipliers=[1, 3], blocks=2)),
    "G: A with skip": dict(unet=A | dict(skip=True)),
    "H: A with skip, v weights": dict(unet=A | dict(skip=True), weight="v"),
    "I: H, batch 64": dict(unet=A | dict(skip=True), weight="v", batch=64, ema=0.9975),
    "J: H, twice the rate": dict(unet=A | dict(skip=True), weight="v", lr=4e-3),
    "L: I, batch 32, lr 3e-3": dict(unet=A | dict(skip=True), weight="v", batch=32, ema=0.998, lr=3e-3),
    "M: I, twice the rate": dict(unet=A | dict(skip=True), weight="v", batch=64, ema=0.9975, lr=4e-3),
    "N: M, lr 7e-3": dict(unet=A | dict(skip=True), weight="v", batch=64, ema=0.9975, lr=7e-3),
    "O: M, attention in the middle only": NARROW,
    "P: O, logit-normal times": NARROW | dict(times=(-0.5, 0.8)),
    "Q: P, Muon": NARROW | dict(times=(-0.5, 0.8), optimizer="muon", lr=5e-3),
    "R: Q, narrower times, lr 7e-3": NARROW | dict(times=(-0.65, 0.35, 0.25), optimizer="muon", lr=7e-3),
}


def held_out(model: UNet, images: torch.Tensor, trainer: Trainer) -> float:
    """Mean loss over images the member never saw, each once, at evenly spread times."""
    x = data.to_unit(images)
    t = torch.arange(len(x)) * 997 % trainer.config.T
    noise = torch.randn(x.shape, generator=generator(99))
    with torch.no_grad():
        parts = [loss(model, *(v[i : i + 250] for v in (x, t, noise)), trainer.bars) for i in range(0, len(x), 250)]
    return torch.stack(parts).mean().item()


def judge(model: UNet, samples: int = 256) -> dict[str, float]:
    """Digit-feature FID of samples against all of MNIST's test split, and the share the classifier is sure of."""
    member = Ensemble([model], np.ones((1, 1), bool), (1, 28, 28), engine="openvino")
    y = samples_of(range(samples), member, 0, schedule(25), np.ones((1, 1)))["y"][:, 0]
    digits = classifier.load()
    real = classifier.read(digits, data.to_unit(data.load("mnist").images))["features"]
    return {
        "fid": fid.fid(classifier.read(digits, y)["features"], real),
        "confident": (classifier.predict(digits, y)[1] > 0.9).float().mean().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("networks"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(exist_ok=True)
    for name, change in CANDIDATES.items():
        letter = name.partition(":")[0]
        if given.only and letter not in given.only:
            continue
        recipe = Recipe(**BASE | change)
        images = recipe.images()
        codes = recipe.codes(images)
        split = images.images[coding.splits(codes)[0]]
        probe = Trainer(split, recipe, 0)
        for _ in range(5):
            probe.advance()
        began = time.process_time()
        for _ in range(20):
            probe.advance()
        recipe = dataclasses.replace(recipe, steps=int(given.seconds / (time.process_time() - began) * 20))
        trainer, began = Trainer(split, recipe, 0), time.process_time()
        while trainer.step < recipe.steps:
            value = trainer.advance()
            if trainer.step % 100 == 0:
                print(letter, trainer.step, recipe.steps, f"{value:.4f}", flush=True)
        spent = time.process_time() - began
        model = UNet(trainer.config)
        model.load_state_dict(trainer.state())
        model.requires_grad_(False).eval()
        low, x = UNet(trainer.config).bfloat16().requires_grad_(False), torch.randn(64, 1, 28, 28).bfloat16()
        times = []
        for _ in range(12):
            began = time.process_time()
            low(x, torch.full((64,), 500))
            times.append(time.process_time() - began)
        row = {
            "name": name,
            "parameters": parameter_count(model),
            "steps": recipe.steps,
            "seconds": spent,
            "held_out": held_out(model, images.images[~codes[:, 0]], trainer),
            "forward_64_ms": min(times) * 1e3,
            "recipe": dataclasses.asdict(recipe),
        }
        row |= judge(model)
        save_file(trainer.state(), given.out / f"{letter}.safetensors", {"row": json.dumps(row)})
        (given.out / f"{letter}.json").write_text(json.dumps(row, indent=1))
        print(json.dumps({k: v for k, v in row.items() if k != "recipe"}), flush=True)


if __name__ == "__main__":
    main()
