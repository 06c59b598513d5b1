"""All campaigns, one after the other, and what they found, in bench/faults.json, of which a page of the book is made.

python -m bench.faults                    # about 15 minutes on two quiet cores
python -m bench.faults --only images      # one campaign; the others' results are kept
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from bench.faults import books, damage, disk, images, kills, parameters, pickles
from bench.faults.report import Report, timed
from genens import files, provenance, store
from genens_book.measures import machine

FILE = store.home() / "bench" / "faults.json"
KILLS = {"training": 0.32, "sampling": 0.28, "writing": 0.32}  # shares; the rest are builds, which take longest


def killed(root: Path, seed: int, count: int) -> list[Report]:
    """So many kills, shared out."""
    parts = {name: round(share * count) for name, share in KILLS.items()}
    report = kills.run(root / "work", seed, **parts)
    with timed(report):
        books.killed(report, root / "books", max(1, count - sum(parts.values())))
    return [report]


def campaigns(given: argparse.Namespace) -> dict[str, Callable[[Path], list[Report]]]:
    """Each by its name: what runs it below a folder."""
    seed = given.seed
    return {
        "mutations": lambda root: damage.run(root, seed, given.mutations),
        "kills": lambda root: killed(root, seed, given.kills),
        "disks": lambda root: [disk.run(root, seed, given.disks, max(1, given.disks // 4), max(1, given.disks // 2))],
        "parameters": lambda root: [parameters.run(root, seed, given.sets)],
        "images": lambda root: [images.run(root, seed, given.folders)],
        "pickles": lambda root: [pickles.run(root, seed)],
    }


def main() -> int:
    """The command line; 1 if anything went wrong."""
    parser = argparse.ArgumentParser("python -m bench.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=1000, help="of each kind of folder and file")
    parser.add_argument("--kills", type=int, default=220)
    parser.add_argument("--disks", type=int, default=12, help="full ones for each kind of work")
    parser.add_argument("--sets", type=int, default=1000, help="of parameters")
    parser.add_argument("--folders", type=int, default=1000, help="of pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one campaign")
    given = parser.parse_args()
    if given.only and given.only not in campaigns(given):
        parser.error(f"expected one of {', '.join(campaigns(given))}; got {given.only}")
    torch.set_num_threads(1)  # processes are forked, which copies no other thread, and the locks that it may hold
    tqdm.monitor_interval = 0
    found = json.loads(FILE.read_text()) if given.only and FILE.is_file() else {"campaigns": {}}
    wrong = []
    for name, run in campaigns(given).items():
        if given.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="faults-") as root:
                os.environ["GENENS_STORE"] = root
                reports = run(Path(root))
            found["campaigns"] |= {report.name: report.to_json() for report in reports}
            wrong += [line for report in reports for line in report.wrong]
            found |= {"machine": machine.describe(), "made": provenance.describe()}
            files.atomic_write(FILE, json.dumps(found, indent=1) + "\n")
            show(reports)
    print("\n".join(wrong) or "nothing went wrong")
    return bool(wrong)


def show(reports: list[Report]) -> None:
    """What was found, on the terminal."""
    for report in reports:
        print(f"{report.name}: {report.times:,} faults in {report.seconds:.0f} s, {len(report.wrong)} wrong")
        for subject, outcomes in report.outcomes.items():
            print(f"  {subject:<40}" + ", ".join(f"{times:,} {how}" for how, times in sorted(outcomes.items())))
        for line in report.not_run:
            print(f"  not run: {line}")


if __name__ == "__main__":
    sys.exit(main())
