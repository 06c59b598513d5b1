"""Builds of a tiny book: they are killed, and two of them run at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from bench.faults import processes
from bench.faults.kills import sums
from bench.faults.project import GLUE, STORED, Tiny, build_environment
from bench.faults.report import Report

LIMIT = 180.0  # seconds after which a build is taken to hang


def start(home: Path, said: Path, out: Path | None = None, store: Path | None = None) -> subprocess.Popen:
    """A build in a process group of its own; all that it prints goes to a file."""
    command = [sys.executable, "-m", "genens_book.press.build", *(["--out", str(out)] if out else [])]
    with said.open("wb") as file:
        return subprocess.Popen(
            command, stdout=file, stderr=file, env=build_environment(store, home), start_new_session=True
        )


def finish(build: subprocess.Popen, limit: float = LIMIT) -> int | None:
    """The exit code of a build; None for one that hangs, and is killed."""
    with suppress(subprocess.TimeoutExpired):
        return build.wait(limit)
    processes.end(build.pid)
    build.wait()
    return None


def pages(out: Path) -> dict[str, str]:
    """The sha256 of every finished page, and of what lies beside it: all are the same in every build."""
    return sums(out, "html/**/*")


def judged(out: Path, expected: dict[str, str]) -> str:
    """What is wrong with a finished book; nothing, if it is what was expected, and all that there is."""
    found = pages(out)
    if found != expected:
        return f"not what an undisturbed build makes: {sorted(found.items() ^ expected.items())[0][0]}"
    left = [path.name for folder in (out, out / "store") for path in folder.glob(".*")]
    return f"left behind: {', '.join(left)}" if left else ""


def undisturbed(root: Path) -> tuple[Tiny, dict[str, str], float]:
    """A project, the pages of an undisturbed build of it, and the seconds that it took. RuntimeError where it fails."""
    tiny, said = Tiny(root / "home"), root / "whole.txt"
    tiny.write(f"{GLUE}\n{STORED}")
    began = perf_counter()
    if finish(start(tiny.root, said, root / "whole")) != 0:
        raise RuntimeError(f"the tiny book does not build: {processes.last_line(said)}")
    return tiny, pages(root / "whole"), perf_counter() - began


# ---------------------------------------------------------------- the campaigns


def killed(report: Report, root: Path, count: int) -> None:
    """Kill builds at least `count` times in all, each until it is done. The kernels end by themselves."""
    root.mkdir(parents=True)
    tiny, expected, took = undisturbed(root)
    draw, kills, runs = np.random.default_rng(report.seed), 0, 0
    with tqdm(total=count, desc="killing builds", unit="kill") as bar:
        while kills < count:
            out, runs = root / f"out{runs}", runs + 1
            struck, wrong = until_done(tiny.root, out, took, draw, count - kills)
            kills += len(struck)
            bar.update(len(struck))
            wrong = wrong or judged(out, expected)
            for victim in struck[:-1] if wrong else struck:
                report.count("book build", f"{victim} killed, the same in the end")
            if wrong:
                report.count("book build", "", f"run {runs}, after {len(struck)} kills: {wrong}")
            shutil.rmtree(out)


def until_done(home: Path, out: Path, took: float, draw: np.random.Generator, most: int) -> tuple[list[str], str]:
    """Start a build that takes so many seconds again and again, and kill it; what was killed each time, and what was
    wrong."""
    struck, said = [], out.with_suffix(".txt")
    while len(struck) < most:
        build = start(home, said, out)
        if finish_in_time(build, draw.uniform(0, took)):
            break
        struck.append(("process", "group")[draw.integers(2)])
        if struck[-1] == "group":
            processes.end(build.pid)
        else:
            build.kill()
        build.wait()
        if not processes.gone(lambda: processes.marked(f"GENENS_HOME={home}")):
            return struck, f"a process stays when the {struck[-1]} is killed"
    else:
        build = start(home, said, out)
    code = finish(build)
    return struck, "" if code == 0 else f"exit code {code} when started again: {processes.last_line(said)}"


def finish_in_time(build: subprocess.Popen, seconds: float) -> bool:
    """Whether a build ends within so many seconds."""
    with suppress(subprocess.TimeoutExpired):
        return build.wait(seconds) is not None
    return False


def at_once(report: Report, root: Path) -> None:
    """Two builds into one folder, and two into folders of their own with one store."""
    root.mkdir(parents=True)
    tiny, expected, _ = undisturbed(root)
    for subject, outs in (("two builds, one folder", ("a", "a")), ("two builds, one store", ("b", "c"))):
        shared = root / f"{outs[0]}-store"
        builds = [start(tiny.root, root / f"said{k}.txt", root / out, shared) for k, out in enumerate(outs)]
        codes = [finish(build) for build in builds]
        wrong = "" if codes == [0, 0] else f"exit codes {codes}: {processes.last_line(root / 'said1.txt')}"
        wrong = wrong or next(filter(None, (judged(root / out, expected) for out in outs)), "")
        report.count(subject, "both right", wrong)
