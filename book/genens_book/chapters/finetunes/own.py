"""Your own pictures as the private ones: fine-tunes of the book's base on a folder of them.

    folder = own.trained("folder:holidays", "weights/signs")
    members = finetunes.load(folder)

The base draws grey pictures of 28 x 28 pixels, so yours are made such, and kept beside the fine-tunes, from which they
can be removed again (`python -m genens.unlearn`). Steps, rate and rank are those of the shipped fine-tunes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from genens import codes as coding
from genens import data, files, store, tuning
from genens.data import Dataset
from genens.recipe import FineTune, recipe_of
from genens.train import train_ensemble
from genens_book.measures import archive, gallery
from genens_book.measures.terminal import announced
from genens_book.pages import markup

FEWEST, MOST = 20, 500  # pictures
SIDE = 28  # pixels
MEMBERS = 64, 512  # at least and at most, where their number is not given: twice as many as pictures between these
PARTS = 16  # a picture is in all members but one of so many parts of them
LEAST = 48  # with codes for as many pictures, and as many to spare
LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601: how bright colours are


def members_for(N: int) -> int:
    """How many fine-tunes for N pictures, where nobody says: a multiple of PARTS."""
    return min(max(MEMBERS[0], PARTS * -(-2 * N // PARTS)), MEMBERS[1])


def grey(spec: str) -> Dataset:
    """The pictures of folder:PATH cut to squares, SIDE pixels wide, in grey. Raises ValueError for another dataset, and
    for too few or too many pictures; otherwise as `data.load`."""
    kind, _, path = spec.partition(":")
    if kind != "folder" or not path:
        raise ValueError(f"expected dataset as folder:PATH, a folder of your own png or jpg images; got {spec!r}")
    found = data.load(f"folder:{Path(path).expanduser().absolute()}", size=SIDE)
    if not FEWEST <= len(found) <= MOST:
        raise ValueError(f"expected {FEWEST} to {MOST} pictures to fine-tune on, got {len(found):,} in {spec}")
    images = found.images
    if images.shape[1] == 3:
        images = (images.float() * LUMA.view(3, 1, 1)).sum(1, keepdim=True).round().to(torch.uint8)
    return replace(found, images=images)


def _packed(images: Dataset) -> bytes:
    """The pictures as an archive in which each has the place it has here."""
    names = [f"{int(label):03d}-{images.classes[label] or 'all'}/{k:04d}" for k, label in enumerate(images.labels)]
    return archive.packed(dict(zip(names, images.images[:, 0].numpy(), strict=True)))


def foretold(spec: str, like: FineTune, manifest: dict, n: int | None) -> dict | None:
    """What the ensemble's manifest will say, as far as that is known before a picture is read; None where that is too
    little, of which `trained` says more."""
    if not FEWEST <= (N := gallery.counted(spec)) <= MOST:
        return None
    n = n or members_for(N)
    recipe = {**asdict(like), "dataset": spec, "batch": N - N // PARTS}
    same = {key: manifest[key] for key in ("unet", "base")}
    return {"n": n, "images": N, "shape": [1, SIDE, SIDE], "recipe": recipe, **same}


def trained(
    spec: str,
    like: Path,
    n: int | None = None,
    seed: int = 0,
    fits: Callable[..., None] = lambda **manifests: None,
    workers: int | None = None,
) -> Path:
    """The folder of fine-tunes on your pictures, with the settings of those in the folder `like`; what was trained
    before is used again, what was stopped goes on.

    fits: as for `search.own.trained`. n: members, by default `members_for`. An estimate of the time comes first. Raises
    ValueError, in one line, for a number of members that cannot be, and as `grey`.
    """
    manifest = files.read_folder(like)[0]
    tuned = recipe_of(manifest)
    if known := foretold(spec, tuned, manifest, n):
        fits(weights=known)
    images = grey(spec)
    n, N = n or members_for(len(images)), len(images)
    if n % PARTS or not LEAST <= n <= coding.MAX_MEMBERS:
        raise ValueError(
            f"expected a number of members that is a multiple of {PARTS}, {LEAST} to {coding.MAX_MEMBERS:,}; got {n}"
        )
    named = files.digest(
        {"images": images.digest, "n": n, "seed": seed, "base": manifest["base"], "like": asdict(tuned)}
    )
    folder, workers = store.trained() / f"own-signs-{named[:12]}", workers or os.cpu_count() or 1
    kept = folder.with_suffix(".zip")
    if not kept.is_file():
        files.atomic_write(kept, _packed(images))
    coded = {"n": n, "h": n - n // PARTS, "code_seed": 0, "classes": (), "only": (), "groups": ()}
    recipe = replace(tuned, dataset=f"folder:{kept}", seed=seed, limit=0, size=0, root="", **coded)
    with announced() as out:
        if (folder / "manifest.json").is_file():
            print(f"{N} pictures; their {n} fine-tunes were trained before, in {folder.name}", file=out)
            return folder
        expected = markup.duration(seconds(recipe, folder, min(workers, n)))
        print(
            f"{N} pictures, made grey and {SIDE} x {SIDE} pixels: {n} fine-tunes of {recipe.steps} steps, "
            f"{N - N // PARTS} pictures in each. This takes about {expected} on this machine, as busy as it is now. "
            "Stop it at any moment: the same command goes on.",
            file=out,
        )
        train_ensemble(recipe, folder, workers=workers)
    return folder


def seconds(recipe: FineTune, folder: Path, workers: int) -> float:
    """How long fine-tuning takes with so many members side by side, from one step of one of them."""
    images = recipe.images()
    base = tuning.base_of(recipe, folder).models[0]
    split = data.Rows(images.images, torch.from_numpy(coding.splits(recipe.codes(images))[0]))
    threads, one = torch.get_num_threads(), replace(recipe, steps=1)
    scale = torch.ones(sum(tuning.Subspace(base, recipe.rank).sizes)) * np.inf  # which nothing moves by
    torch.set_num_threads(1)  # as each of the workers has
    try:
        began = time.perf_counter()
        tuning.tune_member(split, one, 0, base, scale)
        return (time.perf_counter() - began) * recipe.steps * -(-recipe.n // workers)
    finally:
        torch.set_num_threads(threads)
