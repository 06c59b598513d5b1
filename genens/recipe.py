"""What determines a trained ensemble: images, codes, network and the settings of training."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from genens import codes as coding
from genens import data, files, store
from genens.unet import UNetConfig


@dataclass(frozen=True)
class Coded:
    """Images, and the codes that say which member is trained on which.

    dataset, root, limit, size, classes: the images (see `data.load`); with `classes`, the class experiment of
    Section 3.1, one Walsh code a class. n, h, code_seed: one constant-weight code an image otherwise, or one for
    all images of a label in `groups` (a super sample, Section 2.3), of every label where it is "identity"; n = 1 is an
    ordinary model, trained on all. `only` some of the n members are trained and make the ensemble, all by default.
    """

    dataset: str
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "only", tuple(self.only))
        object.__setattr__(self, "groups", self.groups if self.groups == "identity" else tuple(self.groups))
        total = self.n or len(self.classes)
        if self.only and (list(self.only) != sorted({*self.only}) or self.only[0] < 0 or self.only[-1] >= total):
            raise ValueError(f"expected only as some of the members 0 to {total - 1}, ascending; got {list(self.only)}")

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
        if self.n == 1:
            return np.ones((len(images), 1), bool)
        which = coding.super_samples(labels, np.unique(labels) if self.groups == "identity" else self.groups)
        return coding.constant_weight(int(which.max()) + 1, self.n, self.h, self.code_seed)[which]


def _check(settings: object, **known: tuple[str, ...]) -> None:
    for name, allowed in known.items():
        if getattr(settings, name) not in allowed:
            raise ValueError(f"expected {name} as one of {', '.join(allowed)}; got {getattr(settings, name)!r}")


def _check_times(times: tuple[float, ...]) -> None:
    if times and not (len(times) in (2, 3) and times[1] > 0 and 0 <= sum(times[2:]) < 1):
        raise ValueError(
            "expected times as nothing, a mean and a positive deviation, or these and a share below 1; "
            f"got {list(times)}"
        )


@dataclass(frozen=True, kw_only=True)
class Recipe(Coded):
    """Everything that determines a trained ensemble (paper, Section B.2, lists its own).

    What is trained on what: see `Coded`. optimizer "adamw" or "adam", or "muon" (Jordan
    et al. 2024), which with its `momentum` takes the inner 3x3 convolutions, or with `matrices` "wide" every inner
    weight that as a matrix is at least as wide as high, and leaves the rest to AdamW; schedule "one-cycle" (in a share
    `climb` of the steps up to `lr`, then along a cosine to zero), "linear" (the same along a line) or "constant";
    `ema` the decay of the averaged weights that are kept; `clip` the largest gradient norm; precision of the
    forward pass, "float32" or "bfloat16" (autocast); weight "simple" or "v" of the loss (see `training.loss`);
    `times` () to train at all times alike, or (m, s) for t / T logit-normal, the logistic function of a normal
    variable of mean m and deviation s (Esser et al. 2024), to spend steps where there is most to learn, or (m, s,
    share) with a share of the times uniform, so that none is neglected; `flip` mirrors images at random; `replace`
    draws minibatches with replacement.
    """

    steps: int
    batch: int = 128
    optimizer: str = "adamw"
    lr: float = 2e-3
    momentum: float = 0.95
    matrices: str = "3x3"
    schedule: str = "one-cycle"
    climb: float = 0.1
    ema: float = 0.995
    clip: float = 1.0
    precision: str = "float32"
    weight: str = "simple"
    times: tuple[float, ...] = ()
    flip: bool = False
    replace: bool = False
    unet: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "times", tuple(self.times))
        _check(
            self,
            optimizer=("adamw", "adam", "muon"),
            matrices=("3x3", "wide"),
            schedule=("one-cycle", "linear", "constant"),
            precision=("bfloat16", "float32"),
            weight=("simple", "v"),
        )
        _check_times(self.times)
        UNetConfig(**self.unet)  # which says what is wrong with a network that cannot be
        if self.steps < 1 or self.batch < 1:
            raise ValueError(f"expected at least one step and one image a batch; got {self.steps} and {self.batch}")
        if not (0 <= self.momentum < 1 and 0 <= self.climb < 1):
            raise ValueError(
                f"expected a momentum and a share of climbing steps in 0..1, below 1; got {self.momentum}, {self.climb}"
            )


@dataclass(frozen=True, kw_only=True)
class FineTune(Coded):
    """Everything that determines an ensemble of fine-tunes of one network.

    base: the ordinary model (n = 1) that all members start from, by the name of its folder beside theirs. Every
    step takes all images of a member's split, their gradients summed over N (not over the split: what an image adds
    does not depend on who else is there), each weight's divided by the root mean square of its gradient in the base's
    own training plus the median of those (public numbers, the same for all), times `lr`, and the last step once more
    times `momentum` (Polyak 1964). `common`: the noise and the times of an image at a step are the same in every member
    that has it (common random numbers); else each member draws its own. rank: how many directions each row of a weight
    matrix may move in, the same random ones for all members (LoRA with its inner factor frozen, Zhang et al. 2023); 0
    moves every weight. weight and times as for
    `Recipe`.
    """

    base: str
    steps: int
    lr: float
    momentum: float = 0.0
    common: bool = True
    rank: int = 0
    weight: str = "v"
    times: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "times", tuple(self.times))
        _check(self, weight=("simple", "v"))
        _check_times(self.times)
        if len(self.times) > 2:
            raise ValueError(f"expected times as nothing, or a mean and a positive deviation; got {list(self.times)}")
        if self.steps < 1 or self.rank < 0 or not 0 < self.lr < float("inf") or not 0 <= self.momentum < 1:
            raise ValueError(
                "expected at least one step, a rate above 0, a momentum in 0..1 and a rank of at least 0; got "
                f"{self.steps}, {self.lr}, {self.momentum} and {self.rank}"
            )
        if not self.base or Path(self.base).name != self.base:
            raise ValueError(f"expected base as the name of an ensemble's folder beside this one's, got {self.base!r}")


def recipes(file: str | Path) -> dict[str, Recipe | FineTune]:
    """The ensembles that a YAML file lists in its section `train`, by name; in the book, a profile of `book/profiles`.

    Raises FileNotFoundError when there is no such file, ValueError for one that holds something else.
    """
    with files.expecting("recipes under 'train' (name: settings)", file, "see book/profiles/laptop.yml"):
        listed = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        return {name: _made(entry) for name, entry in listed.get("train", {}).items()}


def _made(entry: Mapping) -> Recipe | FineTune:
    return (FineTune if "base" in entry else Recipe)(**entry)


def recipe_of(manifest: Mapping) -> Recipe | FineTune:
    """The recipe that an ensemble's manifest states. ValueError unless it does, and which images are meant."""
    with files.expecting("an ensemble's recipe and images", "its manifest.json", files.RESTORE):
        if type(manifest["images"]) is not int or type(manifest["data"]) is not str:
            raise ValueError(f"{manifest['images']!r:.40} images of digest {manifest['data']!r:.40}")
        return _made(manifest["recipe"])


def trained_on(manifest: Mapping) -> data.Dataset:
    """The images that an ensemble was trained on, all splits together, from its manifest; a path in it is meant from
    the current folder or, if nothing is there, from the repository. Raises ValueError when the data at hand are not
    those."""
    recipe, digest = recipe_of(manifest), manifest["data"]
    try:
        images = recipe.images()
    except FileNotFoundError:
        with contextlib.chdir(store.home()):
            images = recipe.images()
    if images.digest != digest:
        raise ValueError(
            f"expected the {manifest['images']:,} images that the members were trained on (digest {digest[:12]}), got "
            f"{len(images):,} others ({images.digest[:12]}): restore them, or train again"
        )
    return images
