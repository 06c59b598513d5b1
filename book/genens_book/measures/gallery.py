"""The training images of an ensemble, as far as they are at hand: all, or the thumbnails kept beside the weights.

Images that the book may not ship are the user's to bring (`data.load`). So that a reader without them sees the pictures
all the same, those that a chapter shows are kept in `weights/thumbnails/<ensemble>`, with the labels of all.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genens import data, files, pictures, provenance, recipe
from genens.data import Dataset

FILE = "thumbnails.safetensors"
ALIKE = 16.0  # grey levels: a picture and a JPEG of it differ by less on average, two pictures by several times that


@dataclass(frozen=True)
class Gallery:
    """Images of a data set of N. rows int64 (M,): which of them are at hand, ascending; images: uint8 (M, C, H, W);
    labels: int64 (N,), label k is called classes[k]; said: a sentence on where they come from; attributes: bool (N, A)
    of all, where known, and what they are called."""

    name: str
    classes: tuple[str, ...]
    labels: Tensor
    rows: Tensor
    images: Tensor
    said: str
    attributes: Tensor | None = None
    attribute_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def whole(self) -> bool:
        """Whether every image is at hand."""
        return len(self.rows) == len(self)

    @cached_property
    def _place(self) -> Tensor:
        """Where an image is among those at hand, -1 for one that is not: int64 (N,)."""
        place = torch.full((len(self),), -1)
        place[self.rows] = torch.arange(len(self.rows))
        return place

    def __getitem__(self, rows: int | Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """Images by their rows, any shape (...): float32 (..., C, H, W) in [-1, 1]; grey where one is not at hand."""
        place = self._place[rows if isinstance(rows, slice) else torch.as_tensor(np.asarray(rows))]
        found = data.to_unit(self.images[place.clamp(min=0)])
        return torch.where((place >= 0)[..., None, None, None], found, 0.0).numpy()

    def missing(self, rows: Sequence[int] | np.ndarray) -> int:
        """How many of the images that these rows name are not at hand."""
        return int((self._place[torch.as_tensor(np.unique(rows))] < 0).sum())


def counted(spec: str) -> int:
    """How many pictures folder:PATH has, by the names of its files: none is read."""
    place = Path(spec.partition(":")[2]).expanduser()
    names = zipfile.ZipFile(place).namelist() if zipfile.is_zipfile(place) else [*place.glob("*"), *place.glob("*/*")]
    return sum(str(name).lower().endswith(pictures.SUFFIXES) for name in names)


def of(images: Dataset, said: str = "") -> Gallery:
    """A data set that is at hand as a whole."""
    every, known = torch.arange(len(images)), (images.attributes, images.attribute_names)
    return Gallery(images.name, images.classes, images.labels, every, images.images, said, *known)


def at_hand(manifest: Mapping, thumbnails: str | Path) -> Gallery:
    """The images that an ensemble was trained on, from its manifest; without them, what the folder `thumbnails` keeps.

    The images may be from other files than those of the training (a JPEG's, for instance), if the thumbnails are there
    to tell that they are the same pictures. Raises FileNotFoundError when there is neither, ValueError when the images
    are other ones.
    """
    folder = Path(thumbnails)
    kept = load(folder) if (folder / "manifest.json").is_file() else None
    try:
        images = recipe.recipe_of(manifest).images()
    except FileNotFoundError:
        if kept is None:
            raise
        return kept
    if images.digest == manifest["data"]:
        return of(images, f"Shown are the images of {images.name} themselves.")
    if kept is not None and _alike(images, kept):
        return of(images, f"Shown are the images of {images.name}, from other files than those of the training.")
    return of(recipe.trained_on(manifest))  # which says what was expected, and what came


def _alike(images: Dataset, kept: Gallery) -> bool:
    """Whether images are the same pictures as the thumbnails, in the same rows, but for the way they were written."""
    if images.images.shape[1:] != kept.images.shape[1:] or not torch.equal(images.labels, kept.labels):
        return False
    apart = (images.images[kept.rows].float() - kept.images.float()).abs().mean((1, 2, 3))
    return bool((apart < ALIKE).all())


def keep(images: Dataset, rows: Sequence[int] | np.ndarray, folder: str | Path) -> None:
    """Write the thumbnails of a data set, those in `rows`, for `load`."""
    chosen = torch.from_numpy(np.unique(rows))
    arrays = {
        "labels": images.labels.numpy().astype(np.min_scalar_type(len(images.classes))),
        "rows": chosen.numpy().astype(np.int32),
        "images": images.images[chosen].numpy(),
    }
    if images.attributes is not None:
        arrays["attributes"] = np.packbits(images.attributes.numpy(), axis=1)
    manifest = {
        "name": images.name,
        "classes": images.classes,
        "attribute_names": images.attribute_names,
        "data": images.digest,
        "made": provenance.describe(),
    }
    files.write_folder(folder, {FILE: files.arrays_to_bytes(arrays)}, manifest)


def load(folder: str | Path) -> Gallery:
    """What `keep` wrote. Raises FileNotFoundError when a file is missing, ValueError, which names it, when one is
    damaged."""
    file = Path(folder) / FILE
    manifest, contents = files.read_folder(folder)
    with files.expecting("thumbnails, the rows they are of, and labels", file, files.RESTORE):
        name, classes, names = str(manifest["name"]), tuple(manifest["classes"]), tuple(manifest["attribute_names"])
        arrays = files.arrays_from_bytes(contents[FILE], file)
        labels, rows, images = (torch.from_numpy(arrays[part]) for part in ("labels", "rows", "images"))
        labels, rows, shapes = labels.long(), rows.long(), [tuple(one.shape) for one in (labels, rows, images)]
        if labels.min() < 0 or labels.max() >= len(classes) or rows.min() < 0 or rows.max() >= len(labels):
            raise ValueError("labels without a class, or rows without a label")
        if images.dtype != torch.uint8 or [*map(len, shapes)] != [1, 1, 4] or len(images) != len(rows):
            raise ValueError(f"labels, rows and {images.dtype} images of shapes {shapes}")
        attributes = _attributes(arrays["attributes"], len(names), len(labels)) if names else None
    said = (
        f"The images of {name} are not at hand: shown are thumbnails kept with the weights, and a grey "
        "square where none was kept."
    )
    return Gallery(name, classes, labels, rows, images, said, attributes, names)


def _attributes(packed: np.ndarray, A: int, N: int) -> Tensor:
    """As `keep` packed them: bool (N, A). ValueError for another shape."""
    if packed.dtype != np.uint8 or packed.shape != (N, -(-A // 8)):
        raise ValueError(f"attributes of shape {packed.shape} for {N} images")
    return torch.from_numpy(np.unpackbits(packed, axis=1, count=A).astype(bool))
