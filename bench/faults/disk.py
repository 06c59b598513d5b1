"""Disks that are full, disks that may not be written to, and two processes that write to one: one clear line, nothing
half-written, and all goes on once there is room.

A disk is a small file system in memory, which takes the right to mount one (root has it, a container's root may not).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bench.faults import books, kills, processes
from bench.faults.kills import SAMPLING, TRAINING, Work
from bench.faults.report import Report, timed
from bench.faults.subjects import make_ensemble

ROOMY = 256 * 2**20  # bytes
PAGE = 4096


# ---------------------------------------------------------------- disks


def _mount(*words: str) -> str:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def may_not(root: Path) -> str:
    """Why this process may not mount a disk; nothing, if it may."""
    if shutil.which("mount") is None:
        return "no command to mount a disk"
    root.mkdir(parents=True, exist_ok=True)
    if problem := _mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(root)):
        return problem
    subprocess.run(["umount", root], check=True)
    return ""


@contextmanager
def disk(folder: Path, size: int = ROOMY) -> Iterator[None]:
    """A disk of so many bytes at a folder. OSError where it cannot be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    if problem := _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        raise OSError(f"expected to mount a disk at {folder}, got {problem}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def change(folder: Path, options: str) -> None:
    """Give a disk another size (size=BYTES), or say whether it may be written to (ro, rw). OSError where it cannot."""
    if problem := _mount("-o", f"remount,{options}", str(folder)):
        raise OSError(f"expected to mount {folder} again with {options}, got {problem}")


def used(folder: Path) -> int:
    """Bytes of the files below a folder, in whole pages."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


# ---------------------------------------------------------------- what is wrong with a refusal


def complaint(code: int | None, said: Path, place: Path, words: str) -> str:
    """What is wrong with the end of work that could not write at a place; nothing, if it ended itself and said why in
    one line, its last, with the place and these words."""
    line = processes.last_line(said)
    if code is None:
        return f"it hangs: {line}"
    if code == 0:
        return "it ended as if it had written all"
    if "Traceback" in said.read_text(errors="replace"):
        return f"a traceback: {line}"
    return "" if words in line and str(place) in line else f"no clear line: {line}"


def half_written(root: Path) -> str:
    """What is left of files that were not finished."""
    left = [path.relative_to(root).as_posix() for path in root.rglob(".*")]
    return f"half-written: {', '.join(left)}" if left else ""


# ---------------------------------------------------------------- the campaigns


def full(report: Report, work: Work, root: Path, count: int) -> None:
    """So many disks, too small for what the work writes, then large."""
    expected, _ = kills.undisturbed(work, root / f"{work.name}-whole")
    needed, draw = used(root / f"{work.name}-whole"), np.random.default_rng(report.seed)
    for number in tqdm(range(count), f"full disks, {work.name}", unit="disk"):
        place, size = root / f"{work.name}-full-{number}", int(draw.integers(PAGE, needed))
        with disk(place, size):
            code, _ = processes.run(lambda at=place: work.do(at), kills.said_by(place))
            wrong = complaint(code, kills.said_by(place), place, "No space left on device") or half_written(place)
            change(place, f"size={ROOMY}")
            code, line = processes.run(lambda at=place: work.do(at), kills.said_by(place))
            wrong = wrong or (f"does not go on: {line}" if code else kills.judged(work, place, expected))
            report.count(f"{work.name}, full disk", "one line, then the same", wrong and f"{size:,} bytes: {wrong}")


def read_only(report: Report, work: Work, root: Path) -> None:
    """A disk on which all is there is read; an empty one is refused in one line until it may be written to."""
    expected, _ = kills.undisturbed(work, root / f"{work.name}-whole-ro")
    place = root / f"{work.name}-read-only"
    with disk(place):
        change(place, "ro")
        code, _ = processes.run(lambda: work.do(place), kills.said_by(place))
        wrong = complaint(code, kills.said_by(place), place, "Read-only file system")
        report.count(f"{work.name}, read-only disk", "one line", wrong)
        change(place, "rw")
        code, line = processes.run(lambda: work.do(place), kills.said_by(place))
        wrong = f"does not go on: {line}" if code else kills.judged(work, place, expected)
        report.count(f"{work.name}, read-only disk", "then the same", wrong)
        change(place, "ro")
        code, line = processes.run(lambda: work.do(place), kills.said_by(place))
        report.count(f"{work.name}, read-only disk", "read when all is there", f"not read: {line}" if code else "")


def read_only_weights(report: Report, root: Path) -> None:
    """Weights on a disk that may not be written to are sampled from; training that would put them there says so."""
    expected, _ = kills.undisturbed(SAMPLING, root / "sampled")
    place = root / "sampled-read-only"
    with disk(place / "members"):
        made = make_ensemble(root / "made")
        shutil.copytree(made, place / "members", dirs_exist_ok=True)
        change(place / "members", "ro")
        code, line = processes.run(lambda: SAMPLING.do(place), kills.said_by(place))
        wrong = f"exit code {code}: {line}" if code else kills.judged(SAMPLING, place, expected)
        report.count("read-only weights", "sampled from", wrong)
    place = root / "trained-read-only"
    expected, _ = kills.undisturbed(TRAINING, root / "trained")
    with disk(place / "weights"):
        change(place / "weights", "ro")
        code, _ = processes.run(lambda: TRAINING.do(place), kills.said_by(place))
        wrong = complaint(code, kills.said_by(place), place, "Read-only file system")
        report.count("read-only weights", "one line", wrong)
        change(place / "weights", "rw")
        code, line = processes.run(lambda: TRAINING.do(place), kills.said_by(place))
        wrong = f"does not go on: {line}" if code else kills.judged(TRAINING, place, expected)
        report.count("read-only weights", "then the same", wrong)


def full_books(report: Report, root: Path, count: int) -> None:
    """So many disks, too small for a build, then large; and one that may not be written to."""
    root.mkdir(parents=True)
    tiny, expected, _ = books.undisturbed(root)
    needed, draw = used(root / "whole"), np.random.default_rng(report.seed)
    for number in tqdm(range(count + 1), "full disks, builds", unit="disk"):
        out, said = root / f"full-{number}", root / f"full-{number}.txt"
        is_full, size = number < count, int(draw.integers(PAGE, needed))
        with disk(out, size if is_full else ROOMY):
            if not is_full:
                change(out, "ro")
            code = books.finish(books.start(tiny.root, said, out))
            wrong = complaint(code, said, out, "No space left on device" if is_full else "Read-only file system")
            change(out, f"size={ROOMY},rw")
            code = books.finish(books.start(tiny.root, said, out))
            again = f"does not go on: {processes.last_line(said)}" if code else books.judged(out, expected)
            name = "full disk" if is_full else "read-only disk"
            report.count(
                f"build, {name}", "one line, then the same", (wrong or again) and f"{size:,}: {wrong or again}"
            )


def at_once(report: Report, work: Work, root: Path, count: int) -> None:
    """Two processes that do the same work in one place, so many times."""
    expected, _ = kills.undisturbed(work, root / f"{work.name}-alone")
    for number in tqdm(range(count), f"two at once, {work.name}", unit="pair"):
        place = root / f"{work.name}-pair-{number}"
        place.mkdir()
        said = [place.with_name(f"{place.name}-{k}.txt") for k in range(2)]
        pair = [processes.start(lambda at=place: work.do(at), file) for file in said]
        codes = [processes.finish(process) for process in pair]
        wrong = "" if codes == [0, 0] else f"exit codes {codes}: {' / '.join(map(processes.last_line, said))}"
        report.count(f"{work.name}, two at once", "both right", wrong or kills.judged(work, place, expected))


def run(root: Path, seed: int, disks: int, builds: int, pairs: int) -> Report:
    """So many full disks for training and for sampling, so many for builds, none if 0, and so many pairs."""
    report = Report("disks", "a disk that is full, one that may not be written to, and two processes at once", seed)
    with timed(report):
        for work in (TRAINING, SAMPLING):
            at_once(report, work, root, pairs)
        if builds:
            books.at_once(report, root / "books")
        if why := may_not(root / "try"):
            report.not_run.append(f"disks that are full or read-only: {why}")
            return report
        for work in (TRAINING, SAMPLING):
            full(report, work, root, disks)
            read_only(report, work, root)
        read_only_weights(report, root)
        if builds:
            full_books(report, root / "full-books", builds)
    return report
