"""Two chapters one after the other on all cores, or side by side on half of them each: `python -m bench.side_by_side`.

Each way begins with an empty store. It writes bench/side_by_side.json, from which the book's page on speed is made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from genens import files, provenance, store
from genens_book.measures import machine

FILE = store.home() / "bench" / "side_by_side.json"


def start(chapter: str, folder: Path, cores: list[int]) -> subprocess.Popen:
    """Execute a chapter of the laptop book on some cores, its results and its copy in a folder."""
    book = store.home() / "book"
    environment = os.environ | {"OMP_NUM_THREADS": str(len(cores)), "GENENS_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", book / f"{chapter}.ipynb"]
    return subprocess.Popen(
        [*command, folder / f"{chapter}.ipynb"],
        cwd=book,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(started: list[subprocess.Popen]) -> None:
    """Wait for chapters. RuntimeError when one failed."""
    if any([one.wait() for one in started]):
        raise RuntimeError("a chapter failed: execute it with papermill to see why")


def seconds(chapters: list[str], together: bool) -> float:
    """How long two chapters take from an empty store, on all cores in turn or side by side on half of them each."""
    cores = sorted(os.sched_getaffinity(0))
    halves = [cores[: len(cores) // 2], cores[len(cores) // 2 :]]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        if together:
            finish([start(chapter, Path(folder), half) for chapter, half in zip(chapters, halves, strict=True)])
        else:
            for chapter in chapters:
                finish([start(chapter, Path(folder), cores)])
        return time.perf_counter() - began


def main() -> None:
    """Both ways, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", default=["02_class_ablation", "04_convergence"], help="two chapters")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    took: dict[str, list[float]] = {"in turn": [], "side by side": []}
    for _ in range(given.rounds):
        for way in took:
            took[way].append(seconds(given.chapters, way == "side by side"))
            print(f"{way:<14} {took[way][-1]:6.1f} s", flush=True)
    found = {"made": provenance.describe(), "machine": machine.describe(), "chapters": given.chapters, "seconds": took}
    files.atomic_write(FILE, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
