"""Trains the judges (`judges`), keeps them, and reads images with them.

    python -m genens_book.measures.classifier --out weights/digits
    python -m genens_book.measures.classifier --judge photographs --out weights/photographs

How often a judge is right on images that it was not trained on stands in the manifest beside its weights.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from torch import Tensor, nn
from tqdm import tqdm

from genens import data, files, provenance, store
from genens_book.measures.judges import CLASSES, JUDGES, DigitNet, Judge

PROFILES = {  # images: how many of the first ones are used (None: all); epochs, folds: the judge's own unless given
    "smoke": {"images": 300, "epochs": 4, "folds": 2},
    "laptop": {"images": None, "epochs": None, "folds": None},
}
PROFILES["paper"] = PROFILES["laptop"]
MAX_IMAGES = 10**8

Progress = Callable[[int], object]


class CrossFitted(nn.Module):
    """The judges of all folds as one: to a new image each gives its probabilities, of which the mean is taken; an image
    of the data they were trained on (N images) is judged by the one that has not seen it."""

    def __init__(self, nets: Sequence[Judge], seed: int, N: int) -> None:
        super().__init__()
        self.nets, self.seed, self.N = nn.ModuleList(nets), seed, N
        self.shape, self.kind, self.thing, self.reader = nets[0].shape, nets[0].kind, nets[0].thing, nets[0].reader

    def read(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Of new images y (B, C, H, W) the first judge's features (B, F), and log probabilities (B, 10)."""
        features, logits = zip(*(net.read(y) for net in self.nets), strict=True)
        return features[0], torch.stack(logits).softmax(-1).mean(0).log()

    def forward(self, y: Tensor) -> Tensor:
        """Log probabilities (B, 10) of new images y (B, C, H, W)."""
        return self.read(y)[1]

    def unseen(self, fold: int) -> Tensor:
        """The rows of the data that the judge of a fold has not seen, int64 (M,)."""
        return split(self.N, fold, len(self.nets), self.seed)[1]


# ---------------------------------------------------------------- what it reads


def checked(model: Judge | CrossFitted, y: object) -> Tensor:
    """`y` as a float32 tensor (..., C, H, W). ValueError for another shape than the judge's, another type, or NaN."""
    y = torch.as_tensor(y)
    if y.shape[-3:] != model.shape or y.numel() == 0:
        C, H, W = model.shape
        raise ValueError(
            f"expected {model.kind} (..., {C}, {H}, {W}) for their classifier, got shape {tuple(y.shape)}; it reads "
            f"{W} x {H} {'grey' if C == 1 else 'colour'} images only"
        )
    if not y.is_floating_point():
        raise ValueError(f"expected floats in [-1, 1], got {y.dtype}; convert with data.to_unit")
    if not y.isfinite().all():
        raise ValueError("expected finite pixels, got NaN or infinity; check what made these images")
    return y.float()


def _in_batches(model: Judge | CrossFitted, function: Callable[[Tensor], Tensor], y: object, batch: int) -> Tensor:
    """`function` over y (..., C, H, W) in batches, its rows (..., k) on the CPU."""
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1, got {batch}")
    y = checked(model, y)
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        rows = torch.cat([function(part.to(device)).cpu() for part in y.reshape(-1, *model.shape).split(batch)])
    return rows.reshape(*y.shape[:-3], rows.shape[-1])


def predict(model: Judge | CrossFitted, y: object, batch: int = 256) -> tuple[Tensor, Tensor]:
    """The class of each image and the probability the network gives it.

    y: floats (..., C, H, W) in [-1, 1], a tensor or an array. Returns labels int64 (...) and confidence
    float32 (...). Raises ValueError for images of another shape or type. Source: paper, Section 3.1 ("a CNN
    predictor").
    """
    confidence, labels = _in_batches(model, model, y, batch).softmax(-1).max(-1)
    return labels, confidence


def read(model: Judge | CrossFitted, y: object, batch: int = 256) -> dict[str, Tensor]:
    """The penultimate features, float32 (..., F), of y as in `predict`, which says what is refused, and what that
    returns: "features", "labels" and "confidence". The features of a cross-fitted judge are its first network's."""
    rows = _in_batches(model, lambda part: torch.cat(model.read(part), dim=-1), y, batch)
    confidence, labels = rows[..., -CLASSES:].softmax(-1).max(-1)
    return {"features": rows[..., :-CLASSES].contiguous(), "labels": labels, "confidence": confidence}


def row_of(labels: object, classes: Sequence[int]) -> np.ndarray:
    """Which of the classes each label is, int64 of its shape; -1 for none of them."""
    labels = np.asarray(labels)
    found = np.full(labels.shape, -1)
    for row, one in enumerate(classes):
        found[labels == one] = row
    return found


def accuracy(model: Judge | CrossFitted, images: Tensor, labels: Tensor) -> float:
    """The share of uint8 images (N, C, H, W) whose predicted class is their label."""
    return (predict(model, data.to_unit(images))[0] == labels).double().mean().item()


# ---------------------------------------------------------------- training


def _rate(step: int, steps: int) -> float:
    """The learning rate, of its largest: straight up over the first fifth, then down along half a cosine to zero."""
    rise = max(1, steps // 5)
    if step < rise:
        return (step + 1) / rise
    return (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


def count_steps(judge: type[Judge], N: int, epochs: int) -> int:
    """How many optimiser steps `train` takes on N images."""
    return epochs * max(1, N // judge.batch)


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
def train(
    images: Tensor,
    labels: Tensor,
    seed: int,
    epochs: int | None = None,
    progress: Progress | None = None,
    judge: type[Judge] = DigitNet,
    device: str = "cpu",
) -> Judge:
    """A new judge for uint8 images (N, C, H, W) with labels int64 (N,) in 0..9, ready for `predict`, on the CPU.

    Deterministic given the seed where it runs on one thread of the CPU. `progress(1)` is called after every step.
    Raises ValueError for images of another shape or type, for other labels, or for none.
    """
    epochs = judge.epochs if epochs is None else epochs
    _check_training_set(judge, images, labels, epochs)
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the layers initialise themselves from the global generator
        torch.manual_seed(seed)
        model = judge().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=judge.weight_decay)
    steps, order = count_steps(judge, len(images), epochs), torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < min(judge.batch, len(images)):  # the few images left over wait for the next epoch's draw
            order = torch.randperm(len(images), generator=draws)
        chosen, order = order[: judge.batch], order[judge.batch :]
        loss = model.loss(data.to_unit(images[chosen]), labels[chosen], draws)
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = judge.rate * _rate(step, steps)
        optimiser.step()
        if progress is not None:
            progress(1)
    return model.cpu().eval()


def _check_training_set(judge: type[Judge], images: Tensor, labels: Tensor, epochs: int) -> None:
    N, got = len(images), f"got {images.dtype} {tuple(images.shape)} and {labels.dtype} {tuple(labels.shape)}"
    if images.dtype != torch.uint8 or images.shape[1:] != judge.shape or N == 0:
        shape = ", ".join(map(str, judge.shape))
        raise ValueError(f"expected at least one uint8 image (N, {shape}) to train on, {got}")
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


def held_out(
    images: Tensor,
    labels: Tensor,
    fold: int,
    folds: int,
    seed: int,
    epochs: int | None = None,
    progress: Progress | None = None,
    judge: type[Judge] = DigitNet,
    device: str = "cpu",
) -> tuple[Judge, float]:
    """A judge trained on all folds but one, as it is kept, in float16; and its accuracy on that one. Arguments as for
    `train`, which says the shapes: images (N, C, H, W), labels (N,)."""
    inside, outside = split(len(images), fold, folds, seed)
    model = train(images[inside], labels[inside], seed, epochs, progress, judge, device)
    model.load_state_dict(_half(model))
    return model, accuracy(model, images[outside], labels[outside])


# ---------------------------------------------------------------- weights on disk


def _half(model: Judge) -> dict[str, Tensor]:
    """The state as it is shipped: every float array in float16."""
    state = model.state_dict()
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def weights_of(judge: type[Judge], folds: int) -> list[str]:
    """The names of the files that hold a judge's weights: one, or one a fold."""
    return (
        [f"{judge.kind}_{k}.safetensors" for k in range(folds)] if judge.cross_fitted else [f"{judge.kind}.safetensors"]
    )


def save(models: Sequence[Judge], path: str | Path, manifest: dict[str, object]) -> None:
    """Write weights (float16 safetensors) and manifest.json into the folder `path`, all or nothing. models: one, or one
    a fold of a judge that is cross-fitted."""
    names = weights_of(type(models[0]), len(models))
    written = {name: files.arrays_to_bytes(_half(model)) for name, model in zip(names, models, strict=True)}
    files.write_folder(path, written, manifest)


def load(path: str | Path | None = None) -> Judge | CrossFitted:
    """The judge in the folder `path` (default: the shipped weights/digits), in float32.

    Raises FileNotFoundError when a file is missing and ValueError, which names it, when one is truncated, edited, of
    another network, or has weights that are not finite.
    """
    return _load(path)[0]


def manifest(path: str | Path | None = None) -> dict:
    """The manifest beside the weights: settings, data digest, versions, accuracies. Raises as `load`."""
    return _load(path)[1]


def _load(path: str | Path | None) -> tuple[Judge | CrossFitted, dict]:
    path = store.home() / "weights" / "digits" if path is None else Path(path)
    found, contents = files.read_folder(path)
    with files.expecting(f"a judge of {' or '.join(JUDGES)}", path / "manifest.json", files.RESTORE):
        judge = JUDGES[found.get("judge", DigitNet.kind)]  # the first manifests do not say
        if not contents or {*contents} != {*weights_of(judge, len(contents))}:
            raise ValueError(f"a list of {', '.join(contents) or 'no files'}")
        if not 0 <= found.get("cross_validation", {"mean": 1})["mean"] <= 1:
            raise ValueError("an accuracy that is none")
        nets = [_read(judge, path / name, contents[name]) for name in weights_of(judge, len(contents))]
        if not judge.cross_fitted:
            return nets[0], found
        if found["data"]["images"] > MAX_IMAGES:
            raise ValueError(f"more than {MAX_IMAGES:,} images")
        model = CrossFitted(nets, found["training"]["seed"], found["data"]["images"]).eval()
        model.unseen(0)  # which asks whether these are numbers that go together
        return model, found


def _read(judge: type[Judge], file: Path, content: bytes) -> Judge:
    again = f"make them again (python -m genens_book.measures.classifier --judge {judge.kind} --out {file.parent})"
    with files.expecting(f"{judge.__name__}'s weights, finite", file, again):
        with torch.device("meta"):  # no numbers are drawn for weights that are replaced at once
            model = judge()
        types = {name: value.dtype for name, value in model.state_dict().items()}
        state = {name: value.to(types[name], copy=True) for name, value in from_bytes(content).items()}
        if bad := [name for name, value in state.items() if not value.isfinite().all()]:
            raise ValueError(f"NaN or infinity in {bad[0]}")
        model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()


# ---------------------------------------------------------------- python -m genens_book.measures.classifier


def _fold(
    images: data.Dataset, fold: int, folds: int, seed: int, epochs: int, kind: str, device: str
) -> dict[str, object]:
    """One fold as a stored result, so that a stopped run goes on with the next."""
    judge = JUDGES[kind]
    with _bar(judge, f"fold {fold + 1} of {folds}", len(split(len(images), fold, folds, seed)[0]), epochs) as bar:
        model, found = held_out(images.images, images.labels, fold, folds, seed, epochs, bar.update, judge, device)
    return {"accuracy": np.float64(found), **(model.state_dict() if judge.cross_fitted else {})}


def _final(images: data.Dataset, seed: int, epochs: int, kind: str, device: str) -> dict[str, Tensor]:
    """The judge of all images as a stored result."""
    judge = JUDGES[kind]
    with _bar(judge, "all images", len(images), epochs) as bar:
        return train(images.images, images.labels, seed, epochs, bar.update, judge, device).state_dict()


def _bar(judge: type[Judge], label: str, N: int, epochs: int) -> tqdm:
    return tqdm(total=count_steps(judge, N, epochs), desc=f"classifier of {judge.kind}, {label}", unit="step")


def _stored(function: Callable, **arguments: object) -> tuple[dict[str, np.ndarray], float]:
    """What `function` gives, now or in an earlier run, and the seconds it took."""
    result, folder = store.compute(function, **arguments), store.where(function, **arguments)
    with files.expecting("the seconds that a result took", folder / "meta.json", f"delete {folder} and run again"):
        return result, float(files.read_folder(folder, name="meta.json")[0]["seconds"])


def build(
    out: str | Path,
    seed: int = 0,
    profile: str = "laptop",
    judge: type[Judge] = DigitNet,
    only: int | None = None,
    device: str = "cpu",
) -> dict[str, object] | None:
    """Cross-validate a judge on its data set, train it on all of it unless it is cross-fitted, write the folder `out`;
    returns its manifest.

    Every fold is a stored result: a stopped run goes on at the fold it was in and ends with the same weights. only: a
    fold to train and store and nothing else, so that several can be trained side by side; then None is returned. Raises
    ValueError for an unknown profile or fold, OSError when a folder cannot be written, and as `data.load`.
    """
    if profile not in PROFILES:
        raise ValueError(f"expected a profile among {', '.join(PROFILES)}, got {profile!r}")
    wanted, epochs, folds = (PROFILES[profile][key] for key in ("images", "epochs", "folds"))
    epochs, folds = epochs or judge.epochs, folds or judge.folds
    if only is not None and not 0 <= only < folds:
        raise ValueError(f"expected a fold in 0..{folds - 1}, got {only}")
    found = data.load(judge.dataset)
    found = found if wanted is None else found.take(wanted)
    shared = {"seed": seed, "epochs": epochs, "kind": judge.kind, "device": device}
    wanted_folds = range(folds) if only is None else [only]
    results = [_stored(_fold, images=found, fold=k, folds=folds, **shared) for k in wanted_folds]
    if only is not None:
        return None
    accuracies = [float(result.pop("accuracy")) for result, _ in results]
    kept = results if judge.cross_fitted else [_stored(_final, images=found, **shared)]
    models = [judge() for _ in kept]
    for model, (state, _) in zip(models, kept, strict=True):
        model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    written = _describe(
        models[0], found, {"profile": profile, "seed": seed, "epochs": epochs, "device": device}, accuracies
    )
    spent = results if judge.cross_fitted else [*results, *kept]
    written["seconds"] = round(sum(took for _, took in spent), 1)
    save(models, out, written)
    return written


def _describe(model: Judge, found: data.Dataset, chosen: dict, accuracies: list[float]) -> dict:
    """What the manifest says."""
    own = model.describe()
    return {
        "judge": model.kind,
        "network": {**own["network"], "parameters": sum(p.numel() for p in model.parameters())},
        "training": {
            **chosen,
            "batch": model.batch,
            "peak_rate": model.rate,
            "weight_decay": model.weight_decay,
            **own["training"],
            "threads": 1,
        },
        "augmentation": own["augmentation"],
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
    parser = argparse.ArgumentParser("python -m genens_book.measures.classifier", description="Train a judge.")
    parser.add_argument("--judge", choices=JUDGES, default=DigitNet.kind)
    parser.add_argument("--out", required=True, help="the folder to write, for instance weights/digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--fold", type=int, help="only this fold, for training several side by side")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    try:
        written = build(chosen.out, chosen.seed, chosen.profile, JUDGES[chosen.judge], chosen.fold, chosen.device)
    except (ValueError, OSError) as problem:
        sys.exit(f"genens_book.measures.classifier: {problem}")
    except KeyboardInterrupt:
        sys.exit("genens_book.measures.classifier: stopped; the same command goes on at this fold")
    if written is None:
        print(f"fold {chosen.fold} is kept; the command without --fold takes it")
    else:
        mean = written["cross_validation"]["mean"]
        print(f"{mean:.2%} of held-out {chosen.judge} right; weights in {chosen.out}")


if __name__ == "__main__":
    from genens_book.measures import classifier  # results are stored under the module's name, which here is __main__

    classifier.main()
