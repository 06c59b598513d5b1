"""Processes killed at random moments and started again until they are done: what they make is what they would have made
undisturbed, and nothing else is left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
from tqdm import tqdm

from bench.faults import processes
from bench.faults.report import Report, timed
from bench.faults.subjects import RECIPE, make_ensemble
from genens import codes, ensemble, files, provenance, sampling, store, train
from genens.schedules import schedule

MOST = 12  # kills of one piece of work; then it is left in peace


# ---------------------------------------------------------------- work


@dataclass(frozen=True)
class Work:
    """do: the work, below a folder, which may be there in part; returns an exit code. made: the sha256 of each file
    that it made there."""

    name: str
    do: Callable[[Path], int]
    made: Callable[[Path], dict[str, str]]


def train_tiny(root: Path) -> int:
    """Four members of six digits by `python -m genens.train`, with checkpoints far oftener than it has them."""
    os.environ["GENENS_STORE"] = str(root / "store")
    train.train_ensemble = partial(train.train_ensemble, save_every=0.02)
    train.recipes = lambda _: {"tiny": replace(RECIPE, steps=16)}
    return train.main(["tiny.yml", "--out", str(root / "weights"), "--workers", "2", "--missing"])


def trained(root: Path) -> dict[str, str]:
    """The weights and the codes; ValueError for an ensemble that is not whole."""
    ensemble.load(root / "weights" / "tiny")
    return sums(root / "weights", "*/*.safetensors")


def sample_tiny(root: Path) -> int:
    """Samples of four members in chunks, each stored."""
    os.environ["GENENS_STORE"] = str(root / "store")
    folder = root / "members"
    try:
        members = ensemble.load(folder if folder.is_dir() else make_ensemble(root))
        given = {"members": members, "seed": 0, "steps": schedule(8), "mixtures": codes.uniform(4)[None]}
        store.chunked(sampling.samples, 8, 2, **given)
    except OSError as problem:
        print(problem)
        return 1
    return 0


def sampled(root: Path) -> dict[str, str]:
    """The chunks; ValueError for one that is not whole."""
    for folder in (root / "store").glob("samples-*"):
        files.read_folder(folder, name="meta.json")
    return sums(root / "store", "samples-*/*.safetensors")


def sums(folder: Path, pattern: str) -> dict[str, str]:
    """The sha256 of files, by their places below a folder."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): files.sha256(path.read_bytes()) for path in found}


TRAINING = Work("training", train_tiny, trained)
SAMPLING = Work("sampling", sample_tiny, sampled)


def said_by(root: Path) -> Path:
    """Where lies what the work below a folder prints: beside it."""
    return root.with_name(f"{root.name}.txt")


def undisturbed(work: Work, root: Path) -> tuple[dict[str, str], float]:
    """What work makes when nobody disturbs it, and the seconds that it takes. RuntimeError where it fails."""
    root.mkdir(parents=True)
    provenance.describe(), provenance.closure("genens.sampling")  # once, and not again in every process that is forked
    began = perf_counter()
    code, said = processes.run(lambda: work.do(root), said_by(root))
    if code != 0 or not work.made(root):
        raise RuntimeError(f"{work.name} fails undisturbed, with exit code {code}: {said}")
    return work.made(root), perf_counter() - began


def judged(work: Work, root: Path, expected: dict[str, str]) -> str:
    """What is wrong with what was made; nothing, if it is what was expected, and all that there is."""
    try:
        found = work.made(root)
    except (ValueError, OSError) as problem:
        return f"not whole: {problem}"
    if found != expected:
        return f"not what an undisturbed run makes: {sorted(found.items() ^ expected.items())[0][0]}"
    left = [path.relative_to(root).as_posix() for path in root.rglob(".*")]
    return f"left behind: {', '.join(left)}" if left else ""


# ---------------------------------------------------------------- the campaigns


def restarted(report: Report, work: Work, root: Path, count: int) -> None:
    """Kill work at least `count` times in all, each piece of it until it is done."""
    expected, took = undisturbed(work, root / f"{work.name}-whole")
    draw, kills, runs = np.random.default_rng(report.seed), 0, 0
    with tqdm(total=count, desc=f"killing {work.name}", unit="kill") as bar:
        while kills < count:
            place, runs = root / f"{work.name}-{runs}", runs + 1
            place.mkdir()
            struck, wrong = until_done(work, place, took, draw)
            wrong = wrong or judged(work, place, expected)
            kills += len(struck)
            bar.update(len(struck))
            for victim in struck[:-1] if wrong else struck:
                report.count(work.name, f"{victim} killed, the same in the end")
            if wrong:
                report.count(work.name, "", f"run {runs}, after {len(struck)} kills: {wrong}")
            shutil.rmtree(place)


def until_done(work: Work, root: Path, took: float, draw: np.random.Generator) -> tuple[list[str], str]:
    """Start work that takes so many seconds again and again, and kill it; what was killed each time, and what was
    wrong."""
    struck, groups = [], []
    while True:
        process = processes.start(lambda: work.do(root), said_by(root))
        process.join(draw.uniform(0, took))
        if process.exitcode is None and len(struck) < MOST:
            struck.append(processes.strike(process, draw))
            groups.append(process.pid)
            code = processes.finish(process)
            line = processes.last_line(said_by(root))
            if code is None:
                return struck, f"it hangs when its {struck[-1]} was killed: {line}"
            if "Traceback" in said_by(root).read_text(errors="replace"):
                return struck, f"a traceback when its {struck[-1]} was killed: {line}"
            continue
        code = processes.finish(process)
        line = processes.last_line(said_by(root))
        if not all(processes.gone(partial(processes.of_group, group)) for group in groups):
            return struck, "a child stays when its parent was killed"
        return struck, "" if code == 0 else f"exit code {code} when started again: {line}"


def write_for_ever(root: Path) -> None:
    """Folders that are replaced, folders that are kept, and a file, again and again."""
    k = 0
    while True:
        k = (k + 1) % 251
        content = {f"{i}.bin": bytes([k]) * 20_000 for i in range(k % 3 + 1)}
        files.write_folder(root / "replaced", content, {"k": k})
        files.write_folder(root / f"kept-{k}", content, {"k": k}, replace=False)
        files.atomic_write(root / "note.json", f"[{k}, {k}]")


def writers(report: Report, root: Path, count: int, write: Callable[[Path], None] = write_for_ever) -> None:
    """Kill a writer `count` times; what it wrote is whole, and nothing else is left once another writer has come."""
    draw, place = np.random.default_rng(report.seed), root / "written"
    place.mkdir(parents=True)
    for _ in tqdm(range(count), "killing a writer", unit="kill"):
        process = processes.start(lambda: write(place), root / "said.txt")
        sleep(draw.uniform(0, 0.1))
        process.kill()
        process.join()
        wrong = next(filter(None, map(_looked_at, place.iterdir())), "")
        files.atomic_write(place / "another.json", "{}")
        left = [path.name for path in place.iterdir() if path.name.startswith(".")]
        wrong = wrong or (f"{left[0]} was left" if left else "")
        report.count("writer", "process killed, all whole", wrong)
        for path in place.glob("kept-*"):
            shutil.rmtree(path)


def _looked_at(path: Path) -> str:
    """What is wrong with a file or folder of `write_for_ever`."""
    try:
        if path.is_dir() and not path.name.startswith("."):
            manifest, contents = files.read_folder(path)
            expected = {f"{i}.bin": bytes([manifest["k"]]) * 20_000 for i in range(manifest["k"] % 3 + 1)}
            return f"{path.name} is not what was written" if contents != expected else ""
        whole = path.name != "note.json" or len(set(json.loads(path.read_text()))) == 1
        return "" if whole else f"{path.name} is not what was written"
    except (OSError, ValueError) as problem:
        return str(problem)


def run(root: Path, seed: int, training: int, sampling: int, writing: int) -> Report:
    """So many kills of each."""
    what = "kill -9 at a random moment, and the same command again until it is done"
    report = Report("kills", what, seed)
    with timed(report):
        restarted(report, TRAINING, root, training)
        restarted(report, SAMPLING, root, sampling)
        writers(report, root, writing)
    return report
