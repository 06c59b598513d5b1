"""Trains the members of encoded ensembles, a process each, and writes the ensembles.

    python -m genens.train book/profiles/laptop.yml --out weights     # every ensemble that the file lists
    python -m genens.train book/profiles/paper.yml --only cifar20 --members 0-4 --device cuda
    torchrun --nproc-per-node=8 --max-restarts=3 -m genens.train book/profiles/paper.yml --missing --device cuda

A run that is stopped and started again goes on from its checkpoints (`training`). A member that is done is kept by
itself from then on, so that training that takes days can be kept, or moved, member by member (`--checkpoints`).
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor
from tqdm import tqdm

from genens import codes as coding
from genens import data, ensemble, files, finetunes, pictures, provenance, ranks, store, tuning
from genens.recipe import FineTune, Recipe, recipe_of, recipes
from genens.training import NOTED, SAVE_EVERY, opened, train_member
from genens.unet import UNetConfig

WEIGHTS, SCALE = "weights.safetensors", "scale.safetensors"
AGAIN = "restore it, or delete it to train this member again"


def train_ensemble(
    recipe: Recipe | FineTune,
    folder: Path,
    members: Sequence[int] | None = None,
    device: str = "cpu",
    workers: int | None = None,
    save_every: float = SAVE_EVERY,
    checkpoints: Path | None = None,
    part: int | None = None,
) -> bool:
    """Train the members of `recipe` and write the ensemble to `folder` once all are there; True when it was written.

    Checkpoints lie in `checkpoints`, by default beside trained ensembles (`store.trained`), in a folder named by the
    recipe, and the ensemble's go once it is written. Several machines that share it can each train some `members`, and
    the processes that torchrun started take every so-manieth, one at a time; those that another process is training are
    waited for, and who is done last writes the ensemble. part: see `training.Trainer`. Fine-tunes start from the
    network in the folder that they name, beside `folder` or shipped; they are short, begin anew when they are stopped,
    and have no use for `part`. Raises ValueError for a recipe's precision that this machine has no hardware for, for a
    finished member that is not as it was written, and for a base of several networks; ChildProcessError when a worker
    was killed.
    """
    base = tuning.base_of(recipe, folder) if isinstance(recipe, FineTune) else None
    if base is None:
        ensemble.check_precision(recipe.precision, torch.device(device).type)
    rank, size = ranks.started()
    images, workers = recipe.images(), workers or (1 if size > 1 else os.cpu_count() or 1)
    codes = recipe.codes(images)
    if odd := {*(members or ())} - {*recipe.members}:
        raise ValueError(f"expected members of {folder.name}, {_listed(recipe.members)}; got {_listed(sorted(odd))}")
    runs = _runs(recipe, base, folder, checkpoints)
    paths = {i: runs / f"member_{i:02d}" for i in recipe.members}
    runs.mkdir(parents=True, exist_ok=True)
    wait = partial(_wait, folder.name)
    with ExitStack() as held:
        for i in (wanted := sorted({*(members or recipe.members)})[rank::size]):
            held.enter_context(files.locked(runs.with_name(f"{runs.name}.{i:02d}.lock"), wait))
        todo = {i: paths[i] for i in wanted if not _is_done(paths[i])}
        if todo and runs.is_dir():
            place = ranks.device(device)
            work = partial(_work, recipe, place, save_every, part)
            if base:
                work = partial(_tune, recipe, base, tuning.scale_of(base, recipe.rank, runs / SCALE), place)
            _train_members(folder.name, recipe.steps, todo, work, workers)
        held.enter_context(files.locked(runs.with_name(f"{runs.name}.lock"), wait))  # one of several writes it
        if not runs.is_dir():  # another process that trained these members was done first, and has written it
            return True
        if not all(map(_is_done, paths.values())):
            return False
        notes, states = zip(*map(_done, paths.values()), strict=True)
        codes = codes[:, list(recipe.members)]
        network = base.models[0].config if base else UNetConfig(**recipe.unet)
        manifest = {
            "recipe": asdict(recipe),
            "unet": network.to_dict(),
            "shape": list(images.images.shape[1:]),
            "data": images.digest,
            "images": len(images),
            "split_sizes": coding.split_sizes(codes).tolist(),
            "member_wall_seconds": [note["wall"] for note in notes],
            "member_cpu_seconds": [note["cpu"] for note in notes],  # one thread: its wall time when undisturbed
            "member_loss": [note["loss"] for note in notes],
            "workers": workers,
            "device": ranks.called(device),
            "made": provenance.describe(),
        }
        if base:
            differences = torch.stack([state[finetunes.CHANGE] for state in states])
            finetunes.save(folder, base, differences, codes, manifest, recipe.rank)
        else:
            ensemble.save(folder, states, codes, manifest)
        files.remove_folder(runs)
    return True


def _runs(recipe: Recipe | FineTune, base: ensemble.Ensemble | None, folder: Path, checkpoints: Path | None) -> Path:
    """Where an ensemble's checkpoints lie."""
    made = asdict(recipe) | ({"of": base.digest} if base else {})
    return (checkpoints or store.trained() / "checkpoints") / f"{folder.name}-{files.digest(made)[:16]}"


def _tidy(recipe: Recipe | FineTune, runs: Path) -> None:
    """Remove the checkpoints of an ensemble that is written, which a process that was killed just then has left."""
    if not list(runs.parent.glob(f"*{runs.name}*")):
        return
    with suppress(OSError), ExitStack() as held:  # another process trains it again, or the disk may not be written to
        locks = [runs.with_name(f"{runs.name}.{part}lock") for part in [*(f"{i:02d}." for i in recipe.members), ""]]
        if all([held.enter_context(files.locked(lock)) for lock in locks]):
            files.sweep(runs.parent)
            files.remove_folder(runs)


def _wait(name: str, who: str) -> None:
    print(f"{name}: {who} is training it; waiting for what it does", file=sys.stderr)


# A member in training is its checkpoint, `member_00.safetensors`; one that is done is a folder, `member_00`.


def _is_done(path: Path) -> bool:
    return path.is_dir()


def _done(path: Path) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Of a member that is done, its seconds and loss, and its weights."""
    note, contents = files.read_folder(path, remedy=AGAIN)
    with files.expecting("a member that is done", path, AGAIN):
        return {name: float(note[name]) for name in ("wall", "cpu", "loss")}, from_bytes(contents[WEIGHTS])


def _checkpoint(path: Path) -> Path:
    return path.with_suffix(".safetensors")


def _note(checkpoint: Path) -> dict[str, float]:
    """Of a member in training: step, wall and processor seconds, loss; step 0 before its first checkpoint."""
    if not checkpoint.exists():
        return {"step": 0}
    with opened(checkpoint) as file:
        return {name: float(file.metadata()[name]) for name in NOTED}


def _train_members(
    name: str, steps: int, todo: Mapping[int, Path], work: Callable[[int, Path], int | None], workers: int
) -> None:
    """Have members trained to the end, {member: its place}, under one bar; no process outlives this one.
    ChildProcessError when one of them was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__spec__.name])  # PyTorch is imported once, whatever the number of workers
    progress = context.Array("q", max(todo) + 1, lock=False)  # steps behind each member
    for i, path in todo.items():
        progress[i] = int(_note(_checkpoint(path))["step"])
    pool = futures.ProcessPoolExecutor(min(workers, len(todo)), context, _start_worker, (progress,))
    try:
        jobs = [pool.submit(work, i, path) for i, path in todo.items()]
        total, peaks = steps * len(todo), []
        others = ranks.started()[0] > 0  # whose bars would be in the way of the first one's
        with tqdm(desc=name, total=total, initial=sum(progress), unit="step", smoothing=0.02, disable=others) as bar:
            while jobs:
                finished, unfinished = futures.wait(jobs, timeout=0.5)
                bar.update(sum(progress) - bar.n)
                peaks += [job.result() for job in finished]
                jobs = list(unfinished)
    except BaseException as problem:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        if isinstance(problem, futures.BrokenExecutor):
            said = f"a process that trained members of {name} was killed, perhaps for want of memory"
            raise ChildProcessError(f"{said}; the same command goes on from the last checkpoints") from problem
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    if known := [peak for peak in peaks if peak]:
        print(f"{name}: at most {max(known) / 1e6:,.0f} MB of memory for each member in training", file=sys.stderr)


def _start_worker(progress: object) -> None:
    """One thread a worker: the members share the cores, and the sums of a run do not depend on how many there are."""
    torch.set_num_threads(1)
    pictures.PROGRESS_FROM = sys.maxsize  # whoever started this has shown the reading of the images
    ranks.follow_parent()
    global _progress
    _progress = progress


def _report(member: int, step: int) -> None:
    _progress[member] = step


def _split(recipe: Recipe | FineTune, member: int) -> data.Rows:
    images = recipe.images()
    return data.Rows(images.images, torch.from_numpy(coding.splits(recipe.codes(images))[member]))


def _work(recipe: Recipe, device: str, save_every: float, part: int | None, member: int, path: Path) -> int | None:
    """Train one member, in a process of its own; returns the most memory that it took, in bytes."""
    gc.collect()  # of the member before, which PyTorch's optimisers hold in a cycle, with its own view of the images
    checkpoint, report = _checkpoint(path), partial(_report, member)
    state = train_member(_split(recipe, member), recipe, member, checkpoint, report, device, save_every, part)
    files.write_folder(path, {WEIGHTS: ensemble.to_file(state)}, _note(checkpoint))
    checkpoint.unlink()
    return provenance.peak_memory()


def _tune(recipe: FineTune, base: ensemble.Ensemble, scale: Tensor, device: str, member: int, path: Path) -> int | None:
    """The same for a fine-tune, which takes seconds and has no checkpoints."""
    wall, cpu = time.perf_counter(), time.process_time()
    change, value = tuning.tune_member(
        _split(recipe, member), recipe, member, base.models[0], scale, partial(_report, member), device
    )
    note = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "loss": value}
    files.write_folder(path, {WEIGHTS: to_bytes({finetunes.CHANGE: change})}, {k: round(v, 5) for k, v in note.items()})
    return provenance.peak_memory()


def announce(name: str, recipe: Recipe | FineTune, device: str, side: int) -> None:
    """Say what will be trained, in which precision, and how many members (`side`) at a time."""
    each = f"{recipe.steps:,} steps of "
    if isinstance(recipe, FineTune):
        each += f"a whole split, from {recipe.base}"
    else:
        each += f"{recipe.batch} images each, in {recipe.precision}"
    print(f"{name}: {len(recipe.members)} members, {each}, {side} at a time", file=sys.stderr)


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _listed(members: Sequence[int]) -> str:
    return ", ".join(map(str, members))


def _is_there(folder: Path, recipe: Recipe) -> bool:
    """Whether a folder holds what this recipe makes."""
    return (folder / "manifest.json").is_file() and recipe_of(files.read_folder(folder)[0]) == recipe


def _train(given: argparse.Namespace, say: Callable[[str, Recipe, str, int], None]) -> None:
    """All that the command line asks for. Raises as `recipes` and `train_ensemble`."""
    if given.recipes is None:
        raise ValueError("expected a file that lists recipes, such as book/profiles/laptop.yml, got none")
    wanted, out = recipes(given.recipes), given.out or store.trained() / given.recipes.stem
    if given.only and given.only not in wanted:
        raise ValueError(f"expected one of {given.recipes}'s {', '.join(wanted)}; got {given.only}")
    for name, recipe in wanted.items():
        if given.only not in (None, name):
            continue
        if given.missing and _is_there(out / name, recipe):
            base = tuning.base_of(recipe, out / name) if isinstance(recipe, FineTune) else None
            _tidy(recipe, _runs(recipe, base, out / name, given.checkpoints))
            continue
        if isinstance(recipe, Recipe):
            ensemble.check_precision(recipe.precision, torch.device(given.device).type)
        rank, size = ranks.started()
        if rank == 0:
            side = size if size > 1 else given.workers or os.cpu_count() or 1
            say(name, recipe, given.device, min(side, len(recipe.members)))
        written = train_ensemble(
            recipe,
            out / name,
            given.members,
            given.device,
            given.workers,
            checkpoints=given.checkpoints,
            part=given.part,
        )
        if not written and size == 1:  # of several processes the last one writes it
            print(f"genens.train: {name} waits for its other members", file=sys.stderr)


def main(arguments: Sequence[str] | None = None, say: Callable[[str, Recipe, str, int], None] | None = None) -> int:
    """The command line; see the module. `say`, by default `announce`, is called before each ensemble."""
    parser = argparse.ArgumentParser("python -m genens.train", description="Train the ensembles that a file lists.")
    parser.add_argument("recipes", type=Path, nargs="?", help="the file, for instance book/profiles/laptop.yml")
    parser.add_argument("--out", type=Path, help="where the ensembles' folders go (default: trained/<the file's name>)")
    parser.add_argument("--only", help="one ensemble of the file")
    parser.add_argument("--members", type=_range, help="a member, or a range: 0-3")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, help="members trained side by side (default: one a core)")
    parser.add_argument("--checkpoints", type=Path, help="where members in training and members that are done lie")
    parser.add_argument("--part", type=int, help="images of a minibatch in memory at a time, for large networks")
    parser.add_argument("--missing", action="store_true", help="leave out ensembles that are there already")
    try:
        _train(parser.parse_args(arguments), say or announce)
    except (ValueError, OSError) as error:
        print(f"genens.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genens.train: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
