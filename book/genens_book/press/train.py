"""Trains what a profile of the book needs, the classifier that judges samples and the ensembles, and keeps house.

    python -m genens_book.press.train --profile laptop --missing
    python -m genens_book.press.train --list                      # what was trained on this machine, finished or not
    python -m genens_book.press.train --delete paper/cifar20      # one of these

Whatever else is given goes to `python -m genens.train`.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from genens import store, train
from genens.recipe import Recipe
from genens_book.measures import classifier, machine
from genens_book.pages import parameters


def announce(name: str, recipe: Recipe, device: str, side: int) -> None:
    """What `train.announce` says, and about how long it will take here."""
    train.announce(name, recipe, device, side)
    if device == "cpu":
        minutes = math.ceil(machine.training_seconds(recipe, recipe.images(), side) / 60)
        spell = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        print(
            f"{name}: up to about {spell} on this machine as busy as it is now, less what an earlier run has done; "
            "stop it at any moment, the same command goes on",
            file=sys.stderr,
        )


def trained() -> dict[str, Path]:
    """What was trained on this machine beside the shipped ensembles: {name: folder}, checkpoints of unfinished ones
    too."""
    there = (path.parent for path in store.trained().rglob("manifest.json"))
    found = sorted(path for path in there if not any(part.suffix == ".tmp" for part in path.parents))
    unfinished = sorted(path for path in store.trained().glob("checkpoints/*") if path.is_dir())
    return {path.relative_to(store.trained()).as_posix(): path for path in [*found, *unfinished]}


def show() -> None:
    """Print what was trained, with its size and its date."""
    print(f"in {store.trained()}:")
    for name, path in trained().items():
        there = [file.stat() for file in path.rglob("*") if file.is_file()]
        megabytes = sum(file.st_size for file in there) / 1e6
        last = max((file.st_mtime for file in there), default=None)
        when = "-" if last is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(last))
        print(f"{name:<44} {megabytes:8.1f} MB   {when}{'   unfinished' if name.startswith('checkpoints/') else ''}")


def delete(name: str) -> None:
    """One trained ensemble, by name. ValueError for a name that is not in the list."""
    if name not in (known := trained()):
        raise ValueError(
            f"expected the name of a trained ensemble to delete, one of {', '.join(known) or '(none)'}; got {name!r}"
        )
    shutil.rmtree(known[name])
    print(f"deleted {known[name]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m genens_book.press.train", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default=parameters.SHIPPED)
    parser.add_argument("--missing", action="store_true", help="leave out what is there already")
    parser.add_argument("--list", action="store_true", help="list what was trained on this machine, and train nothing")
    parser.add_argument("--delete", metavar="NAME", help="delete one of these, and train nothing")
    given, others = parser.parse_known_args(arguments)
    try:
        if given.list or given.delete:
            delete(given.delete) if given.delete else show()
            return 0
        file, judge = parameters.profile_file(given.profile), parameters.folder("digits", given.profile)
        if not (given.missing and (judge / "manifest.json").is_file()):
            classifier.build(judge, profile=given.profile)
    except (ValueError, OSError) as problem:
        print(f"genens_book.press.train: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genens_book.press.train: stopped; the same command goes on from there", file=sys.stderr)
        return 130
    missing = ["--missing"] if given.missing else []
    return train.main([str(file), "--out", str(judge.parent), *missing, *others], announce)


if __name__ == "__main__":
    sys.exit(main())
