"""What determines a trained ensemble: images, codes, network and the settings of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from genens import codes as coding
from genens import data, files
from genens.unet import UNetConfig


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a trained ensemble (paper, Section B.2, lists its own).

    dataset, root, limit, size, classes: the images (see `data.load`); with `classes`, the class experiment of
    Section 3.1, one Walsh code a class. n, h, code_seed: one constant-weight code an image otherwise, or one for
    all images of a label in `groups` (a super sample, Section 2.3), of every label where it is "identity". `only` some
    of the n members are trained and make the ensemble, all by default. optimizer "adamw" or "adam", or "muon" (Jordan
    et al. 2024), which takes the inner 3x3 convolutions and leaves the rest to AdamW; schedule "one-cycle" (to `lr`
    and back) or "constant";
    `ema` the decay of the averaged weights that are kept; `clip` the largest gradient norm; precision of the
    forward pass, "float32" or "bfloat16" (autocast); weight "simple" or "v" of the loss (see `training.loss`);
    `times` () to train at all times alike, or (m, s) for t / T logit-normal, the logistic function of a normal
    variable of mean m and deviation s (Esser et al. 2024), to spend steps where there is most to learn, or (m, s,
    share) with a share of the times uniform, so that none is neglected; `flip` mirrors images at random; `replace`
    draws minibatches with replacement.
    """

    dataset: str
    steps: int
    classes: tuple[int, ...] = ()
    n: int = 0
    h: int = 0
    code_seed: int = 0
    only: tuple[int, ...] = ()
    groups: tuple[int, ...] | str = ()
    seed: int = 0
    limit: int = 0
    size: int = 0
    root: str = ""
    batch: int = 128
    optimizer: str = "adamw"
    lr: float = 2e-3
    schedule: str = "one-cycle"
    ema: float = 0.995
    clip: float = 1.0
    precision: str = "float32"
    weight: str = "simple"
    times: tuple[float, ...] = ()
    flip: bool = False
    replace: bool = False
    unet: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "only", tuple(self.only))
        object.__setattr__(self, "groups", self.groups if self.groups == "identity" else tuple(self.groups))
        object.__setattr__(self, "times", tuple(self.times))
        known = {
            "optimizer": ("adamw", "adam", "muon"),
            "schedule": ("one-cycle", "constant"),
            "precision": ("bfloat16", "float32"),
            "weight": ("simple", "v"),
        }
        for name, allowed in known.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"expected {name} as one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if self.times and not (len(self.times) in (2, 3) and self.times[1] > 0 and 0 <= sum(self.times[2:]) < 1):
            raise ValueError(
                "expected times as nothing, a mean and a positive deviation, or these and a share below 1; "
                f"got {list(self.times)}"
            )
        total = self.n or len(self.classes)
        if self.only and (list(self.only) != sorted({*self.only}) or self.only[0] < 0 or self.only[-1] >= total):
            raise ValueError(f"expected only as some of the members 0 to {total - 1}, ascending; got {list(self.only)}")
        UNetConfig(**self.unet)  # which says what is wrong with a network that cannot be
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"expected at least one step and one image a batch; got {self.steps} and {self.batch}")

    @property
    def members(self) -> tuple[int, ...]:
        """Those that the ensemble has, by number."""
        return self.only or tuple(range(self.n or len(self.classes)))

    def images(self) -> data.Dataset:
        """The training images, all splits together."""
        found = data.load(self.dataset, self.root or None, self.size or None)
        found = found.select(self.classes) if self.classes else found
        return found.take(self.limit) if self.limit else found

    def codes(self, images: data.Dataset) -> np.ndarray:
        """The code of every image: bool (N, n)."""
        labels = images.labels.numpy()
        if self.classes:
            return coding.by_class(coding.walsh(len(self.classes) + 1), labels, self.classes)
        which = coding.super_samples(labels, np.unique(labels) if self.groups == "identity" else self.groups)
        return coding.constant_weight(int(which.max()) + 1, self.n, self.h, self.code_seed)[which]


def recipes(file: str | Path) -> dict[str, Recipe]:
    """The ensembles that a YAML file lists in its section `train`, by name; in the book, a profile of `book/profiles`.

    Raises FileNotFoundError when there is no such file, ValueError for one that holds something else.
    """
    with files.expecting("recipes under 'train' (name: settings)", file, "see book/profiles/laptop.yml"):
        listed = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        return {name: Recipe(**entry) for name, entry in listed.get("train", {}).items()}


def recipe_of(manifest: Mapping) -> Recipe:
    """The recipe that an ensemble's manifest states. ValueError unless it does, and which images are meant."""
    with files.expecting("an ensemble's recipe and images", "its manifest.json", files.RESTORE):
        if type(manifest["images"]) is not int or type(manifest["data"]) is not str:
            raise ValueError(f"{manifest['images']!r:.40} images of digest {manifest['data']!r:.40}")
        return Recipe(**manifest["recipe"])


def trained_on(manifest: Mapping) -> data.Dataset:
    """The images that an ensemble was trained on, all splits together, from its manifest. Raises ValueError when the
    data at hand are not those."""
    images, digest = recipe_of(manifest).images(), manifest["data"]
    if images.digest != digest:
        raise ValueError(
            f"expected the {manifest['images']:,} images that the members were trained on (digest {digest[:12]}), got "
            f"{len(images):,} others ({images.digest[:12]}): restore them, or train again"
        )
    return images
