"""The digit CNN: the predicted class of a sample, and digit features for distances and FID.

The paper runs its samples "through a CNN predictor" (Section 3.1) and does not say which. This one is five
small convolutions trained on the embedded MNIST digits; its 5-fold cross-validated accuracy is in the
manifest beside the weights. Retrain it with `python -m genens_book.measures.classifier --out weights/digits`.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from genens import data, files, provenance, store
from genens_book.measures import augment

SHAPE, CLASSES = (1, 28, 28), 10
WIDTHS = (16, 48, 96)
BATCH = 64
PEAK_RATE = 3e-3
WEIGHT_DECAY = 0.02
MOMENTUM = 0.2  # of the batch statistics: twice torch's, so that a short run settles too
NOISE = 8  # images of noise that join every batch of digits
PROFILES = {  # images: how many of the first ones are used (None: all)
    "smoke": {"images": 300, "epochs": 4, "folds": 2},
    "laptop": {"images": None, "epochs": 5, "folds": 5},
}
PROFILES["paper"] = PROFILES["laptop"]
WEIGHTS = "digits.safetensors"

Progress = Callable[[int], object]


# ---------------------------------------------------------------- the network


def _block(inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, momentum=MOMENTUM), nn.ReLU())


class DigitNet(nn.Module):
    """Five convolutions at 28, 14, 14, 7, 7 pixels, each channel's largest activation, a linear layer."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        a, b, c = widths
        self.blocks = nn.ModuleList(
            [
                _block(SHAPE[0], a, size=5),
                nn.Sequential(nn.MaxPool2d(2), _block(a, b)),
                _block(b, b),
                nn.Sequential(nn.MaxPool2d(2), _block(b, c)),
                _block(c, c),
            ]
        )
        self.head, self.num_features = nn.Linear(c, CLASSES), c

    def layers(self, y: Tensor) -> list[Tensor]:
        """The activations (B, channels, h, w) after each block, for y (B, 1, 28, 28) in [-1, 1]."""
        return list(accumulate(self.blocks, lambda x, block: block(x), initial=y))[1:]

    def features(self, y: Tensor) -> Tensor:
        """The penultimate features (B, num_features)."""
        return self.layers(y)[-1].amax((2, 3))

    def forward(self, y: Tensor) -> Tensor:
        """Logits (B, 10)."""
        return self.head(self.features(y))


def digits(y: object) -> Tensor:
    """`y` as a float32 tensor (..., 1, 28, 28). ValueError for another shape or type, or for NaN."""
    y = torch.as_tensor(y)
    if y.shape[-3:] != SHAPE or y.numel() == 0:
        raise ValueError(
            "expected digits (..., 1, 28, 28) for the digit classifier, got shape "
            f"{tuple(y.shape)}; it reads MNIST-sized grey images only"
        )
    if not y.is_floating_point():
        raise ValueError(f"expected floats in [-1, 1], got {y.dtype}; convert with data.to_unit")
    if not y.isfinite().all():
        raise ValueError("expected finite pixels, got NaN or infinity; check what made these images")
    return y.float()


def _in_batches(model: nn.Module, function: Callable[[Tensor], Tensor], y: object, batch: int) -> Tensor:
    """`function` over y (..., 1, 28, 28) in batches, its rows (..., k) on the CPU."""
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1, got {batch}")
    y = digits(y)
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        rows = torch.cat([function(part.to(device)).cpu() for part in y.reshape(-1, *SHAPE).split(batch)])
    return rows.reshape(*y.shape[:-3], rows.shape[-1])


def predict(model: DigitNet, y: object, batch: int = 256) -> tuple[Tensor, Tensor]:
    """The class of each image and the probability the network gives it.

    y: floats (..., 1, 28, 28) in [-1, 1], a tensor or an array. Returns labels int64 (...) and confidence
    float32 (...). Raises ValueError for images of another shape or type. Source: paper, Section 3.1 ("a CNN
    predictor").
    """
    confidence, labels = _in_batches(model, model, y, batch).softmax(-1).max(-1)
    return labels, confidence


def features(model: DigitNet, y: object, batch: int = 256) -> Tensor:
    """The penultimate features, float32 (..., F), of y as in `predict`, which says what is refused."""
    return _in_batches(model, model.features, y, batch)


def accuracy(model: DigitNet, images: Tensor, labels: Tensor) -> float:
    """The share of uint8 images (N, 1, 28, 28) whose predicted class is their label."""
    return (predict(model, data.to_unit(images))[0] == labels).double().mean().item()


# ---------------------------------------------------------------- training


def _rate(step: int, steps: int) -> float:
    """The learning rate: straight up over the first fifth, then down along half a cosine to zero."""
    rise = max(1, steps // 5)
    if step < rise:
        return PEAK_RATE * (step + 1) / rise
    return PEAK_RATE * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


def _loss(model: DigitNet, y: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Cross entropy on moved digits; noise is to be given every class alike.

    Without it static is a digit with confidence 1.00, and the confidence says nothing about samples.
    """
    noise = augment.noise(y[:NOISE].shape, generator)
    logits = model(torch.cat([augment.move(y, generator), noise]))
    alike = -logits[len(y) :].log_softmax(1).mean()
    return F.cross_entropy(logits[: len(y)], labels) + alike * len(noise) / len(y)


def count_steps(N: int, epochs: int) -> int:
    """How many optimiser steps `train` takes on N images."""
    return epochs * max(1, N // BATCH)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums come out the same every time on one thread only."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def train(images: Tensor, labels: Tensor, seed: int, epochs: int = 5, progress: Progress | None = None) -> DigitNet:
    """A new classifier for uint8 images (N, 1, 28, 28) with labels int64 (N,) in 0..9, ready for `predict`.

    Deterministic given the seed: it runs on one thread of the CPU. `progress(1)` is called after every step.
    Raises ValueError for images of another shape or type, for other labels, or for none.
    """
    _check_training_set(images, labels, epochs)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the layers initialise themselves from the global generator
        torch.manual_seed(seed)
        model = DigitNet()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    steps, order = count_steps(len(images), epochs), torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < min(BATCH, len(images)):  # the few images left over wait for the next epoch's draw
            order = torch.randperm(len(images), generator=generator)
        chosen, order = order[:BATCH], order[BATCH:]
        loss = _loss(model, data.to_unit(images[chosen]), labels[chosen], generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = _rate(step, steps)
        optimiser.step()
        if progress is not None:
            progress(1)
    return model.eval()


def _check_training_set(images: Tensor, labels: Tensor, epochs: int) -> None:
    N, got = len(images), f"got {images.dtype} {tuple(images.shape)} and {labels.dtype} {tuple(labels.shape)}"
    if images.dtype != torch.uint8 or images.shape[1:] != SHAPE or N == 0:
        raise ValueError(f"expected at least one uint8 image (N, 1, 28, 28) to train on, {got}")
    if labels.shape != (N,) or labels.dtype != torch.int64:
        raise ValueError(f"expected int64 labels ({N},), one for each image, {got}")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise ValueError(f"expected labels from 0 to {CLASSES - 1}, got {int(labels.min())} to {int(labels.max())}")
    if epochs < 1:
        raise ValueError(f"expected at least 1 epoch, got {epochs}")


def split(N: int, fold: int, folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices (training, held out) of one fold of N images; every image is held out in one fold."""
    if not 2 <= folds <= N or not 0 <= fold < folds:
        raise ValueError(f"expected 2 <= folds <= {N} and 0 <= fold < folds, got fold {fold} of {folds}")
    parts = torch.randperm(N, generator=torch.Generator().manual_seed(seed)).tensor_split(folds)
    return torch.cat([part for k, part in enumerate(parts) if k != fold]), parts[fold]


def held_out_accuracy(
    images: Tensor, labels: Tensor, fold: int, folds: int, seed: int, epochs: int = 5, progress: Progress | None = None
) -> float:
    """The accuracy on one fold of a classifier trained on the others and, as shipped, in float16."""
    inside, outside = split(len(images), fold, folds, seed)
    model = train(images[inside], labels[inside], seed, epochs, progress)
    model.load_state_dict(_half(model))
    return accuracy(model, images[outside], labels[outside])


# ---------------------------------------------------------------- weights on disk


def _half(model: DigitNet) -> dict[str, Tensor]:
    """The state as it is shipped: every float array in float16."""
    state = model.state_dict()
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def save(model: DigitNet, path: str | Path, manifest: dict[str, object]) -> None:
    """Write weights (float16 safetensors) and manifest.json into the folder `path`, all or nothing."""
    files.write_folder(path, {WEIGHTS: files.arrays_to_bytes(_half(model))}, manifest)


def load(path: str | Path | None = None) -> DigitNet:
    """The classifier in the folder `path` (default: the shipped weights/digits), in float32.

    Raises FileNotFoundError when a file is missing and ValueError when one is truncated, edited, or of
    another network.
    """
    return _load(path)[0]


def manifest(path: str | Path | None = None) -> dict:
    """The manifest beside the weights: settings, data digest, versions, accuracies. Raises as `load`."""
    return _load(path)[1]


def _load(path: str | Path | None) -> tuple[DigitNet, dict]:
    path = store.home() / "weights" / "digits" if path is None else Path(path)
    found = files.read_folder(path)
    try:
        state = from_bytes((path / WEIGHTS).read_bytes())
        with torch.device("meta"):  # no numbers are drawn for weights that are replaced at once
            model = DigitNet()
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}, assign=True
        )
    except (OSError, SafetensorError, RuntimeError) as problem:
        raise ValueError(
            f"expected DigitNet's weights in {path / WEIGHTS}, found others; make them again "
            f"(python -m genens_book.measures.classifier --out {path})"
        ) from problem
    return model.requires_grad_(False).eval(), found


# ---------------------------------------------------------------- python -m genens_book.measures.classifier


def _fold(images: data.Dataset, fold: int, folds: int, seed: int, epochs: int) -> dict[str, np.float64]:
    """One fold as a stored result, so that a stopped run goes on with the next."""
    with _bar(f"fold {fold + 1} of {folds}", len(split(len(images), fold, folds, seed)[0]), epochs) as bar:
        found = held_out_accuracy(images.images, images.labels, fold, folds, seed, epochs, bar.update)
    return {"accuracy": np.float64(found)}


def _final(images: data.Dataset, seed: int, epochs: int) -> dict[str, Tensor]:
    """The classifier of all images as a stored result."""
    with _bar("all images", len(images), epochs) as bar:
        return train(images.images, images.labels, seed, epochs, bar.update).state_dict()


def _bar(label: str, N: int, epochs: int) -> tqdm:
    return tqdm(total=count_steps(N, epochs), desc=f"digit classifier, {label}", unit="step")


def _stored(function: Callable, **arguments: object) -> tuple[dict[str, np.ndarray], float]:
    """What `function` gives, now or in an earlier run, and the seconds it took."""
    result = store.compute(function, **arguments)
    return result, files.read_folder(store.where(function, **arguments), name="meta.json")["seconds"]


def build(out: str | Path, seed: int = 0, profile: str = "laptop") -> dict[str, object]:
    """Cross-validate, train on all embedded digits, write the folder `out`; return its manifest.

    Every fold is a stored result: a stopped run goes on at the fold it was in and ends with the same weights.
    Raises ValueError for an unknown profile and OSError when a folder cannot be written.
    """
    if profile not in PROFILES:
        raise ValueError(f"expected a profile among {', '.join(PROFILES)}, got {profile!r}")
    wanted, epochs, folds = (PROFILES[profile][key] for key in ("images", "epochs", "folds"))
    found = data.load("mnist")
    found = found if wanted is None else found.take(wanted)
    shared = {"seed": seed, "epochs": epochs}
    results = [_stored(_fold, images=found, fold=k, folds=folds, **shared) for k in range(folds)]
    state, seconds = _stored(_final, images=found, **shared)
    model = DigitNet()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    accuracies = [float(result["accuracy"]) for result, _ in results]
    written = _describe(model, found, {"profile": profile, **shared}, accuracies)
    written["seconds"] = round(seconds + sum(took for _, took in results), 1)
    save(model, out, written)
    return written


def _describe(model: DigitNet, found: data.Dataset, chosen: dict, accuracies: list[float]) -> dict:
    """What the manifest says."""
    return {
        "network": {"widths": WIDTHS, "parameters": sum(p.numel() for p in model.parameters())},
        "training": {
            **chosen,
            "batch": BATCH,
            "peak_rate": PEAK_RATE,
            "weight_decay": WEIGHT_DECAY,
            "momentum": MOMENTUM,
            "threads": 1,
        },
        "augmentation": {
            "rotation": augment.ROTATION,
            "scale": augment.SCALE,
            "shear": augment.SHEAR,
            "shift": augment.SHIFT,
            "noise": NOISE,
        },
        "data": {"name": found.name, "images": len(found), "digest": found.digest},
        "cross_validation": {
            "folds": len(accuracies),
            "accuracies": accuracies,
            "mean": round(math.fsum(accuracies) / len(accuracies), 6),
        },
        "made": provenance.describe(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.measures.classifier", description="Train the digit classifier."
    )
    parser.add_argument("--out", required=True, help="the folder to write, for instance weights/digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    chosen = parser.parse_args(arguments)
    try:
        written = build(chosen.out, chosen.seed, chosen.profile)
    except (ValueError, OSError) as problem:
        sys.exit(f"genens_book.measures.classifier: {problem}")
    except KeyboardInterrupt:
        sys.exit("genens_book.measures.classifier: stopped; the same command goes on at this fold")
    print(f"{written['cross_validation']['mean']:.2%} of held-out digits right; weights in {chosen.out}")


if __name__ == "__main__":
    from genens_book.measures import classifier  # results are stored under the module's name, which here is __main__

    classifier.main()
