"""Inception FIDs of any trained ensemble, images of any kind: what chapter 3 does for digits, as a command.

    python -m genens_book.chapters.fid --profile paper --weights cifar20 --inception inception_v3_google-0cc3c7bd.pth

draws samples of the ensemble and of each member, and prints their FIDs to the training set with intervals, and whether
the ensemble's is below the largest of its members' (paper, Section 3.2 and Figure 3a).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genens import codes, ensemble, recipe, sampling, store
from genens.schedules import Schedule, schedule
from genens_book.chapters.fid import analysis
from genens_book.measures import fid, gallery, imagenet
from genens_book.measures.not_run import NotRun
from genens_book.pages import parameters

CHUNK = 64  # samples drawn at a time


def measure(
    members: ensemble.Ensemble,
    seed: int,
    steps: Schedule,
    n_samples: int,
    n_boot: int,
    inception: Path | None,
    layer: str = "fc",
) -> list[fid.Estimate] | NotRun:
    """The FIDs of the ensemble, of each member, and of training images drawn again; NotRun without Inception's weights.

    Raises as `recipe.trained_on` and `analysis.through_inception`; nothing is drawn before the weights are there.
    """
    missing = imagenet.find_inception(inception)
    if isinstance(missing, NotRun):
        return missing
    images = gallery.of(recipe.trained_on(members.manifest))
    mixtures = np.vstack([codes.uniform(members.n), np.eye(members.n)])
    drawn = store.chunked(
        sampling.samples, n_samples, CHUNK, members=members, seed=seed, steps=steps, mixtures=mixtures
    )
    return analysis.fids(*analysis.through_inception(drawn["y"], images, inception, layer), seed, n_boot)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.chapters.fid", description="Inception FIDs of a trained ensemble."
    )
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--weights", required=True, help="an ensemble of the profile, or the path of a folder with one")
    parser.add_argument("--inception", type=Path, help="a file of Inception v3 weights (default: the torch cache)")
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-boot", type=int, default=20)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--engine", default="openvino")
    given = parser.parse_args(arguments)
    try:
        members = ensemble.load(parameters.folder(given.weights, given.profile), given.precision, given.engine)
        found = measure(members, given.seed, schedule(given.steps), given.samples, given.n_boot, given.inception)
        if isinstance(found, NotRun):
            raise ValueError(f"not run: {found.reason}")
    except (ValueError, OSError) as problem:
        print(f"genens_book.chapters.fid: {problem}", file=sys.stderr)
        return 1
    names = ["ensemble", *(f"member {i + 1}" for i in range(members.n)), "training images"]
    for name, one in zip(names, found, strict=True):
        print(f"{name:<16} FID {one.spread}, extrapolated {one.infinite}")
    print(f"ensemble less the largest of its members: {fid.below_largest(found[0], found[1:-1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
