"""What lies in folders and files, small ones of each kind: how it is made, and how the book reads it."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from genens import codes as coding
from genens import data, ensemble, files, recipe, store, train
from genens.training import Trainer, train_member
from genens.unet import UNetConfig, build
from genens_book.chapters.breakage import analysis as breakage
from genens_book.chapters.class_ablation import retrained
from genens_book.chapters.networks import analysis as networks
from genens_book.chapters.paper_size import analysis as paper_size
from genens_book.chapters.speed import analysis as speed
from genens_book.measures import classifier, gallery, references
from genens_book.measures.judges import DigitNet
from genens_book.pages import claims, walkthrough

BENCH = store.home() / "bench"
NETWORK = UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1)
RECIPE = recipe.Recipe("mnist", steps=1, n=4, h=2, limit=6, batch=4, unet=NETWORK.to_dict())


@dataclass(frozen=True)
class Subject:
    """Something that lies in a folder. make: writes it below a folder, and says where; use: reads it there as the book
    does, and returns what came of it. manifest: the name of what lists its files, if it is beside them."""

    name: str
    make: Callable[[Path], Path]
    use: Callable[[Path], object]
    manifest: str = "manifest.json"


def make_ensemble(root: Path) -> Path:
    """Four untrained members of six digits."""
    images = RECIPE.images()
    about = {"recipe": asdict(RECIPE), "unet": NETWORK.to_dict(), "shape": [1, 28, 28], "data": images.digest}
    codes = RECIPE.codes(images)
    more = {"images": len(images), "split_sizes": coding.split_sizes(codes).tolist(), "member_loss": [0.5] * 4}
    ensemble.save(root / "members", [build(NETWORK, i).state_dict() for i in range(4)], codes, about | more)
    return root / "members"


def use_ensemble(folder: Path) -> object:
    """What the members predict in one image, and what they say that they were trained on."""
    members = ensemble.load(folder)
    noise = members(torch.full((1, *members.shape), 0.5), 0) if members.shape == (1, 28, 28) else members.shape
    return members.digest, str(noise), str(recipe.recipe_of(members.manifest)), members.codes.tolist()


def make_judge(root: Path) -> Path:
    """An untrained classifier of digits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier.save([DigitNet()], root / "judge", {"judge": "digits", "cross_validation": {"mean": 0.5}})
    return root / "judge"


def use_judge(folder: Path) -> object:
    """What it sees in a grey image."""
    return str(classifier.read(classifier.load(folder), torch.full((1, 1, 28, 28), 0.25)))


def squares(indices: range) -> dict[str, np.ndarray]:
    """Something to be stored."""
    return {"squares": np.array([i**2 for i in indices], float), "roots": np.sqrt([*indices])}


def make_stored(root: Path) -> Path:
    """A chunk of a stored result. GENENS_STORE is this folder from now on."""
    os.environ["GENENS_STORE"] = str(root / "store")
    store.chunked(squares, 8, 4)
    return next((root / "store").glob("squares-*"))


def use_stored(folder: Path) -> object:
    """The result, from both chunks."""
    return {name: value.tolist() for name, value in store.chunked(squares, 8, 4).items()}


def make_thumbnails(root: Path) -> Path:
    """Three of twelve pictures."""
    pictures = torch.arange(12 * 3 * 8 * 8).view(12, 3, 8, 8).to(torch.uint8)
    images = data.Dataset(pictures, torch.arange(12) % 2, "pictures", ("a", "b"))
    gallery.keep(images, [1, 5, 7], root / "thumbnails")
    return root / "thumbnails"


def use_thumbnails(folder: Path) -> object:
    """One that is there, one that is not, and the name of the first."""
    found = gallery.load(folder)
    return str(found[[1, 2]]), found.classes[found.labels[0]], found.said


def make_references(root: Path) -> Path:
    """Moments and features of two networks."""
    rows = np.random.default_rng(0).normal(size=(9, 4))
    parts = {"one": references.Real(rows), "other": references.Real(rows, confidence=np.linspace(0, 1, 9))}
    packed = {f"{name}.{part}": value for name, real in parts.items() for part, value in references._pack(real).items()}
    files.write_folder(root / "references", {references.FILE: files.arrays_to_bytes(packed)}, {"data": {"images": 9}})
    return root / "references"


def use_references(folder: Path) -> object:
    """What FIDs are measured against."""
    return str(
        [(name, real.reference().mean, real.draw(3, 0)) for name, real in sorted(references.load(folder).items())]
    )


@functools.cache
def six_digits() -> torch.Tensor:
    """The images of the recipe, uint8 (6, 1, 28, 28)."""
    return RECIPE.images().images


def make_checkpoint(root: Path) -> Path:
    """A member after two of its four steps."""
    trainer = Trainer(six_digits(), replace(RECIPE, steps=4), 0)
    trainer.losses.extend(trainer.advance() for _ in range(2))
    trainer.save(root / "checkpoint" / "member_00.safetensors", 1.0, 1.0)
    return root / "checkpoint"


def use_checkpoint(folder: Path) -> object:
    """The weights in the end. Without a checkpoint the member is trained from the start."""
    file = folder / "member_00.safetensors"
    return store.identity(train_member(six_digits(), replace(RECIPE, steps=4), 0, file))


def make_done(root: Path) -> Path:
    """A member that is done, while the others are in training."""
    weights = ensemble.to_file(build(NETWORK, 0).state_dict())
    files.write_folder(root / "member_00", {train.WEIGHTS: weights}, {"wall": 1.0, "cpu": 1.0, "loss": 0.5})
    return root / "member_00"


def use_done(folder: Path) -> object:
    """Its weights, and what is noted of it."""
    note, state = train._done(folder)
    return note, store.identity(state)


def make_packed(root: Path) -> Path:
    """Twelve pictures in a file that is mapped into memory."""
    pictures = torch.arange(12 * 3 * 8 * 8).view(12, 3, 8, 8).to(torch.uint8)
    about = data.Dataset(pictures.to("meta"), torch.arange(12) % 2, "pictures", ("a", "b"))
    data.pack(root / "packed", about, [pictures])
    return root / "packed"


def use_packed(folder: Path) -> object:
    """The pictures, with labels and names."""
    found = data.unpack(folder)
    return str(found.images), found.labels.tolist(), found.classes, found.name, found.digest


SUBJECTS = (
    Subject("ensemble", make_ensemble, use_ensemble),
    Subject("classifier", make_judge, use_judge),
    Subject("stored result", make_stored, use_stored, "meta.json"),
    Subject("thumbnails", make_thumbnails, use_thumbnails),
    Subject("references", make_references, use_references),
    Subject("finished member", make_done, use_done),
    Subject("checkpoint", make_checkpoint, use_checkpoint, ""),
    Subject("packed images", make_packed, use_packed, ""),
)


def read_retrained(file: Path) -> object:
    """Those of the recipe of the first."""
    return retrained.rows(json.loads((BENCH / "retrained.json").read_text())[0]["manifest"]["recipe"], file)


READERS: dict[Path, Callable[[Path], object]] = {  # of files that have no sha256
    BENCH / "results.json": speed.results,
    BENCH / "engines.json": speed.engines,
    BENCH / "scaling.json": speed.scaling,
    BENCH / "networks.json": networks.candidates,
    BENCH / "paper.json": paper_size.rows,
    BENCH / "retrained.json": read_retrained,
    BENCH / "faults.json": breakage.faults,
    store.home() / "book" / "claims.yml": claims.load,
    store.home() / "book" / "own_images" / "run.json": lambda file: walkthrough.load(file.parent),
}
