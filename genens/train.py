"""Trains the members of encoded ensembles, a process each, and writes the ensembles.

    python -m genens.train book/profiles/laptop.yml --out weights     # every ensemble that the file lists
    python -m genens.train book/profiles/paper.yml --only cifar20 --members 0-4 --device cuda
    python -m genens.train --list                      # what was trained on this machine, and what of it is unfinished
    python -m genens.train --delete paper/cifar20      # one of these

A run that is stopped and started again goes on from its checkpoints (`training`).
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from tqdm import tqdm

from genens import codes as coding
from genens import data, ensemble, files, provenance, store
from genens.recipe import Recipe, recipes
from genens.training import SAVE_EVERY, expected_seconds, train_member
from genens.unet import UNetConfig


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
    runs = store.trained() / "checkpoints" / f"{folder.name}-{files.digest(asdict(recipe))[:16]}"
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
            "made": provenance.describe(),
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
        there = [file for file in path.rglob("*") if file.is_file()]
        megabytes = sum(file.stat().st_size for file in there) / 1e6
        when = (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(max(file.stat().st_mtime for file in there)))
            if there
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


def _is_there(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder holds what this recipe makes."""
    return (folder / "manifest.json").is_file() and Recipe(**files.read_folder(folder)["recipe"]) == recipe


def _train(given: argparse.Namespace) -> None:
    """All that the command line asks for. Raises as `recipes` and `train_ensemble`."""
    if given.recipes is None:
        raise ValueError("expected a file that lists recipes, such as book/profiles/laptop.yml, got none")
    wanted, out = recipes(given.recipes), given.out or store.trained() / given.recipes.stem
    if given.only and given.only not in wanted:
        raise ValueError(f"expected one of {given.recipes}'s {', '.join(wanted)}; got {given.only}")
    for name, recipe in wanted.items():
        if given.only not in (None, name) or (given.missing and _is_there(out / name, recipe)):
            continue
        ensemble.check_precision(recipe.precision, torch.device(given.device).type)
        _announce(name, recipe, given.device, given.workers)
        if not train_ensemble(recipe, out / name, given.members, given.device, given.workers):
            print(f"genens.train: {name} waits for its other members", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser("python -m genens.train", description="Train the ensembles that a file lists.")
    parser.add_argument("recipes", type=Path, nargs="?", help="the file, for instance book/profiles/laptop.yml")
    parser.add_argument("--out", type=Path, help="where the ensembles' folders go (default: trained/<the file's name>)")
    parser.add_argument("--only", help="one ensemble of the file")
    parser.add_argument("--members", type=_members, help="a member, or a range: 0-3")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, help="members trained side by side (default: one a core)")
    parser.add_argument("--missing", action="store_true", help="leave out ensembles that are there already")
    parser.add_argument("--list", action="store_true", help="list what was trained on this machine, and train nothing")
    parser.add_argument("--delete", metavar="NAME", help="delete one of these, and train nothing")
    given = parser.parse_args(arguments)
    try:
        if given.list:
            _list()
        elif given.delete:
            _delete(given.delete)
        else:
            _train(given)
    except (ValueError, OSError) as error:
        print(f"genens.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genens.train: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
