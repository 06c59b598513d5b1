"""Your own images: a small encoded ensemble trained on a folder of them, so that a chapter can search it.

    folder = own.trained("folder:holidays", side=24, n=None, steps=1200)
    members = ensemble.load(folder)

The network and its training are those of the laptop's MNIST members (`bench/networks.py`), for as many colours as the
images have. One ensemble is kept, where `store.trained` says, for each set of images and settings, wherever the folder
lies.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from math import comb
from pathlib import Path

import numpy as np

from genens import codes as coding
from genens import data, files, store
from genens.ensemble import Ensemble
from genens.recipe import Recipe
from genens.train import train_ensemble
from genens_book.measures import gallery, machine
from genens_book.measures.gallery import Gallery
from genens_book.measures.terminal import announced
from genens_book.pages import markup

SMALLEST = 24  # images: with fewer, a list of ten would hold most of them
FEWEST = 8  # members
UNET = {"width": 16, "multipliers": [2, 3], "attention": [], "blocks": 1, "skip": True}
TRAINING = {"batch": 32, "lr": 0.003, "ema": 0.998, "weight": "v"}
STRIDE = 4  # the network halves an image twice


def members_for(N: int) -> int:
    """The smallest even number of members n, at least FEWEST, with a code of weight n/2 for each of N images."""
    return next(n for n in range(FEWEST, coding.MAX_RANKED + 1, 2) if comb(n, n // 2) >= N)


def recipe(spec: str, side: int, n: int | None, steps: int, seed: int = 0) -> tuple[Recipe, data.Dataset]:
    """How an ensemble is trained on the images of `spec` ("folder:PATH"), and the images, side x side pixels.

    n: members, by default as few as `members_for` gives. Raises ValueError, in one line, for another kind of dataset,
    a folder that is too small or holds an unreadable image, and a side or n that cannot be; FileNotFoundError for a
    folder that is not there or holds no images.
    """
    if not spec.startswith("folder:"):
        raise ValueError(f"expected dataset as folder:PATH, a folder of your own png or jpg images; got {spec!r}")
    if side < 2 * STRIDE or side % STRIDE:
        raise ValueError(f"expected a side that is a multiple of {STRIDE}, at least {2 * STRIDE} pixels; got {side}")
    place = f"folder:{Path(spec.partition(':')[2]).expanduser().absolute()}"
    images = data.load(place, size=side)
    if len(images) < SMALLEST:
        raise ValueError(f"expected at least {SMALLEST} images to search, got {len(images)} in {spec}: add some")
    n = members_for(len(images)) if n is None else n
    if not 4 <= n <= coding.MAX_RANKED or comb(n, n // 2) < len(images):
        raise ValueError(
            f"expected between {members_for(len(images))} and {coding.MAX_RANKED} members, so that each of "
            f"{len(images):,} images has a code of its own; got n = {n}"
        )
    unet = {**UNET, "channels": images.images.shape[1]}
    return Recipe(place, steps=steps, n=n, h=n // 2, seed=seed, size=side, unet=unet, **TRAINING), images


def home(made: Recipe, images: data.Dataset) -> Path:
    """Where the ensemble of a recipe is kept: a name made of the recipe and the images, not of where they lie."""
    settings = {name: value for name, value in asdict(made).items() if name != "dataset"}
    return store.trained() / f"own-{files.digest({**settings, 'images': images.digest})[:12]}"


def foretold(spec: str, side: int, n: int | None, steps: int) -> dict | None:
    """What the ensemble's manifest will say, as far as that is known before an image is read: images in colour, as many
    as there are files. None where they are too few, of which `recipe` says more."""
    if (N := gallery.counted(spec)) < SMALLEST:
        return None
    return {
        "n": members_for(N) if n is None else n,
        "images": N,
        "shape": (3, side, side),
        "unet": {**UNET, "channels": 3},
        "recipe": {"dataset": spec, "steps": steps, **TRAINING},
    }


def trained(
    spec: str,
    side: int,
    n: int | None,
    steps: int,
    seed: int = 0,
    fits: Callable[..., None] = lambda **manifests: None,
    workers: int | None = None,
) -> Path:
    """The folder of an ensemble trained on your images; what was trained before is used again, what was
    stopped goes on.

    fits: asked before any image is read or any minute trained, with as much as is known of the ensemble's manifest
    (`ledger.Run.fits`): what it refuses is not trained. An estimate of the time comes first. Raises as `recipe`.
    """
    if known := foretold(spec, side, n, steps):
        fits(weights=known)
    made, images = recipe(spec, side, n, steps, seed)
    folder, workers = home(made, images), workers or os.cpu_count() or 1
    with announced() as out:
        if (folder / "manifest.json").is_file():
            print(f"{len(images):,} images; their {made.n} members were trained before, in {folder.name}", file=out)
            return folder
        resumed = any(store.trained().glob(f"checkpoints/{folder.name}*"))
        print(
            f"{len(images):,} images of {side} x {side} pixels: training {made.n} members, {steps:,} steps each, "
            f"{min(workers, made.n)} at a time.",
            file=out,
        )
        expected = markup.duration(machine.training_seconds(made, images, min(workers, made.n)))
        less = ", less what an earlier run has done" if resumed else ""
        print(
            f"This takes about {expected} on this machine, as busy as it is now{less}. Stop it at any moment: the same "
            "command goes on.",
            file=out,
        )
        train_ensemble(made, folder, workers=workers)
    return folder


def database(members: Ensemble, thumbnails: Path) -> Gallery:
    """The images that the members were trained on, as far as they are at hand, row x of the codes being image x.

    Raises as `gallery.at_hand`, and ValueError when images share a code.
    """
    images = gallery.at_hand(members.manifest, thumbnails)
    if len(np.unique(members.codes, axis=0)) < len(images):
        raise ValueError(
            "expected an ensemble with a code for every image; these members have a code for every class, "
            "which is chapter 2's subject: give other weights"
        )
    return images
