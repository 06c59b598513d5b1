"""Shorter trainings of MNIST's 16 members beside the shipped one: `python -m bench.shorter FOLDER`.

    python -m genens.train bench/shorter.yml --out FOLDER --device cuda     # the ensembles: minutes on a GPU, or hours
    python -m bench.shorter FOLDER                                          # judges them: bench/shorter.json

Losses are paired with the shipped members' (the same images, times and noise), and so are FIDs and the share of digits
that the classifier is sure of (the same noise, resamples of the same rows). What was drawn is kept in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from genens import codes as coding
from genens import data, ensemble, files, provenance, store
from genens.recipe import Recipe, recipe_of, recipes, trained_on
from genens.sampling import samples
from genens.schedules import alpha_bars, schedule
from genens.seeds import generator
from genens.training import Trainer, training_times
from genens_book.measures import classifier, fid, machine
from genens_book.pages import parameters

FILE = store.home() / "bench" / "shorter.json"
YML = store.home() / "bench" / "shorter.yml"
SHIPPED = "mnist16"
DRAWN, STEPS, AT_ONCE, ROUNDS, RESAMPLES = 10_000, 20, 500, 60, 100
SURE = 0.9


def losses(members: ensemble.Ensemble, i: int, images: data.Dataset, seen: np.ndarray) -> np.ndarray:
    """A member's loss (weight v) in every image (N,), at times that it is trained at; seen: bool (N,), its split."""
    recipe, bars = recipe_of(members.manifest), torch.from_numpy(alpha_bars(members.models[i].config.T)).float()
    draw, x = generator(99, i), data.to_unit(images.images)
    t = training_times(len(x), len(bars), recipe.times, draw)[torch.randperm(len(x), generator=draw)]
    noise, found = torch.randn(x.shape, generator=draw), []
    for rows in torch.arange(len(x)).split(AT_ONCE):
        bar = bars[t[rows]].view(-1, 1, 1, 1)
        with torch.no_grad():
            predicted = members.models[i](bar.sqrt() * x[rows] + (1 - bar).sqrt() * noise[rows], t[rows])
        found.append(((predicted - noise[rows]).square() / bar).mean((1, 2, 3)))
    return torch.cat(found).numpy()


def drawn(members: ensemble.Ensemble, file: Path) -> np.ndarray:
    """The ensemble's samples, uint8 (DRAWN, C, H, W), kept in a file."""
    if not file.exists():
        parts, steps = [], schedule(STEPS)
        for start in tqdm(range(0, DRAWN, AT_ONCE), file.stem):
            y = samples(range(start, start + AT_ONCE), members, 0, steps, coding.uniform(members.n)[None])["y"][:, 0]
            parts.append((y * 127.5 + 127.5).round().to(torch.uint8).cpu())
        np.savez_compressed(fresh := file.with_suffix(".part.npz"), y=torch.cat(parts).numpy())
        fresh.replace(file)
    with np.load(file) as kept:
        return kept["y"]


def more(statistic: Callable[[np.ndarray], float], ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """By how much a statistic of rows is larger for ours than for theirs, and the standard error, by resampling rows of
    both together."""
    draw = np.random.default_rng(0)
    rows = [draw.integers(0, len(ours), len(ours)) for _ in range(RESAMPLES)]
    spread = np.std([statistic(ours[one]) - statistic(theirs[one]) for one in rows], ddof=1)
    return [float(statistic(ours) - statistic(theirs)), float(spread)]


def relative(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """The mean of ours over that of theirs, less 1, and its standard error, from pairs."""
    apart = ours - theirs
    return [float(apart.mean() / theirs.mean()), float(apart.std() / len(apart) ** 0.5 / theirs.mean())]


def seconds(recipe: Recipe, other: Recipe) -> tuple[float, float]:
    """Of a training step by two recipes, one after the other, while every other core does the same: medians."""
    images, kept = recipe.images().images[:5000], []
    torch.set_num_threads(1)
    trainers = [Trainer(images, one, 0) for one in (recipe, other)]
    for _ in range(ROUNDS):
        for trainer in trainers:
            began = time.perf_counter()
            trainer.advance()
            kept.append(time.perf_counter() - began)
    return float(np.median(kept[2::2])), float(np.median(kept[3::2]))


def judged(name: str, folder: Path, shipped: ensemble.Ensemble, device: str, kept: dict) -> dict:
    """An ensemble's row. kept: the shipped one's losses, by member, and features."""
    members = ensemble.load(folder / name if name != SHIPPED else parameters.folder(SHIPPED, "laptop"), device=device)
    manifest, images, recipe = members.manifest, trained_on(members.manifest), recipe_of(members.manifest)
    if name != SHIPPED and recipe != recipes(YML)[name]:
        raise ValueError(f"expected {name} as bench/shorter.yml has it, got another in {folder}: train it again")
    row: dict = {"name": name, "recipe": manifest["recipe"], "device": manifest["device"], "members": members.n}
    sides: dict[str, list] = {"seen": [], "held": []}
    members = members.to("cpu")
    for k, i in enumerate(recipe.members[:2]):
        seen = shipped.codes[:, i]
        if i not in kept:
            kept[i] = losses(shipped, i, images, seen)
        ours = losses(members, k, images, seen) if name != SHIPPED else kept[i]
        sides["seen"].append((ours[seen], kept[i][seen]))
        sides["held"].append((ours[~seen], kept[i][~seen]))
    row |= {side: relative(*map(np.concatenate, zip(*pairs, strict=True))) for side, pairs in sides.items()}
    if recipe.only:
        return row
    judge = classifier.load(parameters.folder("digits", "laptop"))
    read = classifier.read(judge, data.to_unit(torch.from_numpy(drawn(members.to(device), folder / f"{name}.npz"))))
    features, sure = read["features"].double().numpy(), (read["confidence"] > SURE).double().numpy()
    if "real" not in kept:
        real = classifier.read(judge, data.to_unit(images.images))["features"].double().numpy()
        kept |= {"real": fid.Reference(real), "features": features, "sure": sure}
    distance = kept["real"].fid
    return row | {
        "fid": distance(features),
        "fid_more": more(distance, features, kept["features"]),
        "sure": float(sure.mean()),
        "sure_more": more(lambda rows: float(rows.mean()), sure, kept["sure"]),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench.shorter", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the ensembles of bench/shorter.yml are")
    parser.add_argument("--device", default="cpu", help="where samples are drawn")
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    listed = recipes(YML)
    shipped = ensemble.load(parameters.folder(SHIPPED, "laptop"))
    cores = multiprocessing.cpu_count()
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        each = pool.starmap(seconds, [(listed["again1"], listed["short0"])] * cores)
    kept: dict = {}
    rows = [judged(name, given.folder, shipped, given.device, kept) for name in tqdm([SHIPPED, *listed])]
    found = {
        "made": provenance.describe(),
        "machine": machine.describe(),
        "cores": cores,
        "seconds": dict(zip(("again1", "short0"), np.mean(each, axis=0).tolist(), strict=True)),
        "drawn": {"samples": DRAWN, "steps": STEPS, "resamples": RESAMPLES},
        "rows": rows,
    }
    files.atomic_write(given.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
