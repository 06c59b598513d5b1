"""Trains what a profile of the book needs: the classifier that judges samples, and the ensembles.

    python -m genens_book.press.train --profile laptop --missing

Whatever else is given goes to `python -m genens.train`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from genens import train
from genens_book.measures import classifier
from genens_book.pages import parameters


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m genens_book.press.train", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default=parameters.SHIPPED)
    parser.add_argument("--missing", action="store_true", help="leave out what is there already")
    given, others = parser.parse_known_args(arguments)
    try:
        file, judge = parameters.profile_file(given.profile), parameters.folder("digits", given.profile)
        if not (given.missing and (judge / "manifest.json").is_file()):
            classifier.build(judge, profile=given.profile)
    except (ValueError, OSError) as problem:
        print(f"genens_book.press.train: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("genens_book.press.train: stopped; the same command goes on from there", file=sys.stderr)
        return 130
    return train.main([str(file), "--out", str(judge.parent), *(["--missing"] if given.missing else []), *others])


if __name__ == "__main__":
    sys.exit(main())
