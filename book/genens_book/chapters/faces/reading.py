"""Who a drawn face is and what it shows, read by a small network: the judge of an ensemble of drawn faces.

    python -m genens_book.chapters.faces.reading --out weights/face_reader
    python -m genens_book.chapters.faces.reading --references weights/references/faces

It is trained on faces drawn for it from another seed, so that it has seen none of the data set, on which it is tested.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from genens import data, files, provenance, store
from genens_book.chapters.faces import drawing
from genens_book.chapters.faces.drawing import ATTRIBUTES, Numbers
from genens_book.measures import imagenet, references
from genens_book.measures.not_run import NotRun

SEED = 1  # of the faces it is trained on; the data set's is 0
STEPS, BATCH, RATE = 4000, 128, 2e-3
WIDTHS, FEATURES = (24, 48, 96, 128), 192
TESTED = 8192  # faces of the data set that it is tested on
READ = 512  # faces at a time
SHAPES = (
    "width", "height", "jaw", "ears", "eyes_apart", "eyes_high", "eye_size", "eye_round", "brow_thick", "brow_tilt",
    "brow_high", "nose_wide", "nose_long", "mouth_wide", "mouth_low", "lips", "skin", "hair_light", "hairline",
)  # fmt: skip
KINDS = {"hair": len(drawing.HAIR), "style": len(drawing.STYLES), "iris": len(drawing.IRIS)}
FILE = "reader.safetensors"


def described(person: Numbers, picture: Numbers) -> Tensor:
    """What makes a person, as numbers from 0 to 1: float32 (B, P); SHAPES, then of each of KINDS which it is."""
    seen = drawing.traits(person, picture)
    scaled = [(person[name] - low) / (high - low) for name in SHAPES for low, high in [drawing.PERSON[name]]]
    kinds = [F.one_hot(seen[kind], count).float() for kind, count in KINDS.items()]
    return torch.cat([torch.stack(scaled, 1), *kinds], 1)


PERSON = len(SHAPES) + sum(KINDS.values())


class Reader(nn.Module):
    """Convolutions at 32, 16, 8 and 4 pixels and a hidden layer, whose activations are the features (B, F). Of faces
    y (B, 3, 32, 32) in [-1, 1] it reads the numbers of `described` and the logits of ATTRIBUTES."""

    shape = (3, data.FACES_SIZE, data.FACES_SIZE)
    reader = "face reader"

    def __init__(self) -> None:
        super().__init__()
        blocks = [_block(3, WIDTHS[0])]
        for inputs, outputs in pairwise(WIDTHS):
            blocks += [nn.MaxPool2d(2), _block(inputs, outputs)]
        side = data.FACES_SIZE >> (len(WIDTHS) - 1)
        self.body = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(WIDTHS[-1] * side * side, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, PERSON + len(ATTRIBUTES))
        self.register_buffer("whiten", torch.eye(PERSON))  # of the errors of what it reads of a person

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B, F), a person's numbers (B, P), attributes' logits (B, A)."""
        features = self.body(y)
        return features, *self.head(features).split([PERSON, len(ATTRIBUTES)], dim=1)

    def apart(self, one: Tensor, other: Tensor) -> Tensor:
        """How far people (K, P) are from people (M, P), as far as it can tell: (K, M), in deviations of its errors."""
        return torch.cdist(one @ self.whiten, other @ self.whiten)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def read(reader: Reader, y: object) -> dict[str, Tensor]:
    """What is in faces y (..., 3, 32, 32), floats in [-1, 1]: "features" (..., F), "person" (..., P), "attributes",
    bool (..., A). Raises ValueError for another shape or type."""
    y = torch.as_tensor(y)
    if y.shape[-3:] != reader.shape or not y.is_floating_point():
        raise ValueError(f"expected floats (..., {', '.join(map(str, reader.shape))}), got {y.dtype} {tuple(y.shape)}")
    with torch.no_grad():
        parts = [reader(part.float()) for part in y.reshape(-1, *reader.shape).split(READ)]
    features, person, logits = (torch.cat(side).view(*y.shape[:-3], -1) for side in zip(*parts, strict=True))
    return {"features": features, "person": person, "attributes": logits > 0}


# ---------------------------------------------------------------- training


def fresh(batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Faces of people who are drawn once and never again, without end: y (batch, 3, 32, 32) in [-1, 1], `described`
    (batch, P), attributes as 0 or 1 (batch, A)."""
    step = 0
    while True:
        person = drawing.numbers(drawing.PERSON, batch, seed, 1, step)
        picture = drawing.numbers(drawing.PICTURE, batch, seed, 2, step)
        seen = drawing.traits(person, picture)
        y = data.to_unit(drawing.draw(person, picture, data.FACES_SIZE))
        yield y, described(person, picture), torch.stack([seen[name] for name in ATTRIBUTES], 1).float()
        step += 1


def train(steps: int = STEPS, batch: int = BATCH, seed: int = SEED) -> Reader:
    """A reader, trained on `steps` minibatches of fresh faces; deterministic on one thread."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = Reader()
    optimiser = torch.optim.AdamW(reader.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.1)
    faces = fresh(batch, seed)
    for _ in tqdm(range(steps), "face reader", unit="step"):
        y, person, attributes = next(faces)
        _, said, logits = reader(y)
        loss = 10 * F.mse_loss(said, person) + F.binary_cross_entropy_with_logits(logits, attributes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    reader.eval().requires_grad_(False)
    errors = []
    for _ in range(16):
        y, person, _ = next(faces)
        errors.append(read(reader, y)["person"] - person)
    spread = torch.cat(errors).double().T.cov() + 1e-4 * torch.eye(PERSON, dtype=torch.float64)
    reader.whiten.copy_(torch.linalg.cholesky(spread.inverse()))
    return reader


def tested(reader: Reader, images: data.Dataset, count: int = TESTED) -> dict[str, object]:
    """How well it reads the first faces of the data set, of which it has seen none: the share of right answers for each
    attribute; the correlation for each of SHAPES; and how often, of all people, the nearest is the one drawn."""
    people = everyone(len(images.classes))
    found = read(reader, data.to_unit(images.images[:count]))
    right = (found["attributes"] == images.attributes[:count]).double().mean(0)
    labels = images.labels[:count]
    pairs = zip(found["person"].T[: len(SHAPES)], people[labels].T, strict=False)
    nearest = torch.cat([reader.apart(part, people).argmin(1) for part in found["person"].split(READ)])
    return {
        "faces": count,
        "attributes": {name: round(share, 4) for name, share in zip(ATTRIBUTES, right.tolist(), strict=True)},
        "shapes": {
            name: round(float(torch.corrcoef(torch.stack(pair))[0, 1]), 4)
            for name, pair in zip(SHAPES, pairs, strict=True)
        },
        "identified": round((nearest == labels).double().mean().item(), 4),
    }


def everyone(people: int, seed: int = 0) -> Tensor:
    """What `described` says of the people of the data set: (people, P)."""
    person = drawing.numbers(drawing.PERSON, people, seed, 1)
    return described(person, drawing.numbers(drawing.PICTURE, people, seed, 2))


def by_reader(indices: range, images: Tensor, network: Reader) -> dict[str, Tensor]:
    """To be stored: {"features": (B, F)} of some of the uint8 images (N, 3, 32, 32); see `references.seen`."""
    return {"features": read(network, data.to_unit(images[indices.start : indices.stop]))["features"]}


# ---------------------------------------------------------------- on disk


def save(reader: Reader, folder: str | Path, manifest: dict) -> None:
    """Write weights (float16 safetensors) and manifest.json into a folder, all or nothing."""
    state = {
        name: v.half() if v.is_floating_point() and name != "whiten" else v for name, v in reader.state_dict().items()
    }
    files.write_folder(folder, {FILE: files.arrays_to_bytes(state)}, manifest)


def load(folder: str | Path | None = None) -> Reader:
    """The reader in a folder (default: the shipped weights/face_reader), in float32. Raises FileNotFoundError when a
    file is missing, ValueError when one is damaged or another network's."""
    folder, reader = _place(folder), Reader()
    contents = files.read_folder(folder)[1]
    with files.expecting("the face reader's weights", folder / FILE, files.RESTORE):
        state = from_bytes(contents[FILE])
        reader.load_state_dict({name: v.float() if v.is_floating_point() else v for name, v in state.items()})
    return reader.requires_grad_(False).eval()


def manifest(folder: str | Path | None = None) -> dict:
    """What stands beside its weights: the settings of training, and how it did. Raises as `load`."""
    return files.read_folder(_place(folder))[0]


def _place(folder: str | Path | None) -> Path:
    return store.home() / "weights" / "face_reader" if folder is None else Path(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.chapters.faces.reading", description="Train the face reader, or read all faces by it."
    )
    parser.add_argument("--out", help="a folder for a reader that is trained now, for instance weights/face_reader")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--references", help="a folder for what FIDs of faces are measured against")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if not (given.out or given.references):
            raise ValueError("expected --out, --references or both, got neither")
        images = data.load("faces")
        if given.out:
            reader = train(given.steps)
            found = tested(reader, images)
            settings = {"steps": given.steps, "batch": BATCH, "rate": RATE, "seed": SEED, "threads": 1}
            save(reader, given.out, {"training": settings, "tested": found, "made": provenance.describe()})
            right = np.mean([*found["attributes"].values()])
            print(f"{right:.1%} of attributes right, {found['identified']:.1%} of people identified; in {given.out}")
        if given.references:
            network = imagenet.efficientnet()
            if isinstance(network, NotRun):
                raise ValueError(network.reason)
            sides = {"faces": (by_reader, load(given.out)), "efficientnet": (references.by_imagenet, network)}
            seen = {name: references.seen(function, images.images, n) for name, (function, n) in sides.items()}
            references.write(seen, images, given.references)
            print(f"references in {given.references}")
    except (ValueError, OSError) as problem:
        sys.exit(f"genens_book.chapters.faces.reading: {problem}")


if __name__ == "__main__":
    from genens_book.chapters.faces import reading  # results are stored under the module's name, which here is __main__

    reading.main()
