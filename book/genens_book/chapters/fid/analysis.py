"""What an ensemble draws beside what its members draw: features, FIDs, a plane (paper, Section 3.2, Figure 3).

Throughout, y is (B, 1 + n, C, H, W): the ensemble's samples first, then each member's, all from the same noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from genens import store
from genens_book.measures import classifier, fid, imagenet, references
from genens_book.measures.classifier import CrossFitted
from genens_book.measures.fid import Estimate
from genens_book.measures.gallery import Gallery
from genens_book.measures.judges import Judge
from genens_book.measures.not_run import NotRun
from genens_book.measures.references import Real
from genens_book.measures.stats import Interval
from genens_book.pages.words import number

SURE = 0.9  # the confidence above which a judge counts as sure
CHUNK = 64  # samples whose features from a network of ImageNet are kept as one artifact


def read(y: np.ndarray, judge: Judge | CrossFitted) -> dict[str, torch.Tensor]:
    """What a judge makes of images (..., C, H, W): features (..., F), labels and confidence (...)."""
    return classifier.read(judge, y)


def sure(confidence: np.ndarray) -> np.ndarray:
    """Where a judge is sure of some class: bool, of its confidence (...)."""
    return np.asarray(confidence) > SURE


def saw_words(judge: Judge | CrossFitted) -> str:
    """Whether a judge has seen the training images before, as a relative clause."""
    return "which it has not seen before" if isinstance(judge, CrossFitted) else "which it was trained on"


def real(judge: Judge | CrossFitted, images: Gallery, kept: Path) -> dict[str, Real]:
    """What the networks see in the training images, by the kind of the judge and by "efficientnet": of a judge that is
    not cross-fitted, in the images; else in what the folder `kept` has of them. Raises as `references.load`."""
    if isinstance(judge, CrossFitted):
        return references.load(kept)
    found = store.compute(read, y=images[:], judge=judge)
    return {judge.kind: Real(found["features"], confidence=found["confidence"])}


def by_sheet(marked: np.ndarray, size: int) -> np.ndarray:
    """How many of the samples (B,) are marked on each full sheet of `size`, in their order: int64 (B // size,)."""
    return marked[: len(marked) // size * size].reshape(-1, size).sum(axis=1)


def agreement(labels: np.ndarray) -> tuple[float, float]:
    """How often a member's image shows the ensemble's class, labels (B, 1 + n), and how often it would if both sides
    drew their classes independently, each as often as it does overall."""
    whole, alone = labels[:, :1], labels[:, 1:]
    overall = [np.bincount(side.ravel(), minlength=classifier.CLASSES) / side.size for side in (whole, alone)]
    return float((alone == whole).mean()), float(overall[0] @ overall[1])


# ---------------------------------------------------------------- networks of ImageNet


def deep_rows(indices: range, images: np.ndarray, network: nn.Module) -> dict[str, torch.Tensor]:
    """To be stored: {"features": (B, ..., F)} by a network of `imagenet`, of some of the images (N, ..., C, H, W)."""
    part = torch.as_tensor(images[indices.start : indices.stop])
    found = imagenet.deep_features(network, part.reshape(-1, *part.shape[-3:]))
    return {"features": found.view(*part.shape[:-3], -1)}


def _deep(images: np.ndarray, network: nn.Module) -> np.ndarray:
    return store.chunked(deep_rows, len(images), CHUNK, images=images, network=network)["features"]


def through_inception(
    y: np.ndarray, images: Gallery, path: str | Path | None = None, layer: str = "fc"
) -> tuple[np.ndarray, Real] | NotRun:
    """Features (B, 1 + n, F) of the samples and what Inception sees in the training set, stored chunk by chunk; NotRun
    without its weights or the images. Source: paper, Section B.3. Raises as `imagenet.inception`: FileNotFoundError for
    a path without a file."""
    network = imagenet.inception(path, layer)
    if isinstance(network, NotRun):
        return network
    if not images.whole:
        return NotRun(f"the images of {images.name} are not at hand")
    return _deep(y, network), references.seen(references.by_imagenet, images.images, network)


def through_efficientnet(y: np.ndarray, real: Real | None) -> tuple[np.ndarray, Real] | NotRun:
    """The same by EfficientNet-lite0, with what it sees in the training set; NotRun where that is not kept (None), or
    without its packages."""
    if real is None:
        return NotRun("its features of these images are not kept")
    network = imagenet.efficientnet()
    return network if isinstance(network, NotRun) else (_deep(y, network), real)


Side = tuple[np.ndarray, Real]  # features of samples (B, 1 + n, F), and what the network sees in the training images


def sides(own: Mapping[str, Side], others: Mapping[str, Side | NotRun]) -> dict[str, Side]:
    """What FIDs are of, by whose features: those of the book's own judge, and of the networks of ImageNet that were
    run. ValueError where there is none."""
    found = {f"features of the {name}": side for name, side in own.items()}
    found |= {f"features of {name}": side for name, side in others.items() if not isinstance(side, NotRun)}
    if not found:
        why = "; ".join(f"{name}: {side}" for name, side in others.items())
        raise ValueError(f"expected a network to judge samples by, found none ({why})")
    return found


def inception_words(viewed: object) -> str:
    """Whether Inception was run here, as a sentence; viewed: as from `through_inception`."""
    if isinstance(viewed, NotRun):
        return f"It was not run on this machine: {viewed.reason}."
    return "It was found on this machine."


def judge_words(viewed: object, features: str) -> str:
    """What is to be noted of a FID's features where they are not the paper's; viewed: as from `through_inception`,
    features: "features of the digit classifier"."""
    if isinstance(viewed, NotRun):
        return f"By the {features}; the paper's are Inception v3's."
    return ""


# ---------------------------------------------------------------- FIDs


def estimates(features: np.ndarray, real: Real, seed: int, n_boot: int, points: int = 3) -> dict[str, np.ndarray]:
    """The FID of every column of features (B, V, F) to the training set's, and last that of B training images drawn at
    random, whose true FID is 0: what a perfect model would score. All columns are resampled alike, row by row, so that
    what their samples share by coming of one noise cancels in differences. As arrays; see `unpack`."""
    against = real.reference()
    sets = [*np.moveaxis(np.asarray(features), 1, 0), real.draw(len(features), seed)]
    found = [fid.estimate(rows, against, seed, n_boot, points) for rows in tqdm(sets, desc="FID", unit="set")]
    numbers = [
        (e.value, e.spread.low, e.spread.high, e.bias, e.infinite.value, e.infinite.low, e.infinite.high) for e in found
    ]
    return {
        "numbers": np.array(numbers),
        "n": np.full(len(found), len(features)),
        "sizes": np.array([e.sizes for e in found]),
        "curve": np.array([e.curve for e in found]),
        "draws": np.array([e.draws for e in found]),
    }


def unpack(found: Mapping[str, np.ndarray]) -> list[Estimate]:
    """The estimates in what `estimates` returns: the ensemble, its members, the training images drawn again."""
    numbers, counts = found["numbers"].tolist(), found["n"].tolist()
    rows = zip(numbers, counts, found["sizes"], found["curve"], found["draws"], strict=True)
    return [_estimate(*row) for row in rows]


def _estimate(numbers: Sequence[float], n: int, sizes: np.ndarray, curve: np.ndarray, draws: np.ndarray) -> Estimate:
    value, low, high, bias, *infinite = numbers
    return Estimate(value, Interval(value, low, high, n), bias, Interval(*infinite, n), sizes, curve, draws)


def fids(features: np.ndarray, real: Real, seed: int, n_boot: int) -> list[Estimate]:
    """The FIDs of `estimates`, now or from an earlier run: the ensemble, its members, training images drawn again."""
    found = store.compute(estimates, features=features, real=real, seed=seed, n_boot=n_boot)
    return unpack(found)


def kids(features: np.ndarray, real: Real) -> np.ndarray:
    """The KID (`fid.kid`) of every column of features (B, V, F) to as many training images as references keep: (V,)."""
    return np.array([fid.kid(column, real.rows[: references.KEPT]) for column in np.asarray(features).swapaxes(0, 1)])


def astray(judged: Mapping[str, Sequence[Estimate]]) -> list[str]:
    """By which features (estimates as from `fids`) the extrapolation to infinitely many samples cannot be believed:
    those by which it does not take real images, the last, to the 0 that is known. So it is where samples are too few
    for the 1/n law, as where there are several times as many features."""
    return [name for name, every in judged.items() if not every[-1].infinite.low <= 0 <= every[-1].infinite.high]


def astray_words(names: Sequence[str]) -> str:
    """By which features nothing was extrapolated, at the end of a sentence; names: as from `astray`."""
    return f" (not by the {' and the '.join(names)}, which would not take real images to 0)" if names else ""


# ---------------------------------------------------------------- the ensemble among its members


def worse(ensemble: Estimate, members: Sequence[Estimate]) -> int:
    """How many members have a larger FID than the ensemble."""
    return sum(member.value > ensemble.value for member in members)


def by_luck(n: int, k: int) -> float:
    """The probability that at least k of n members have a larger FID than the ensemble, were it one of their kind: all
    of its n + 1 places among them are then equally likely."""
    return (n + 1 - k) / (n + 1)


def below_words(difference: Interval) -> dict[str, str]:
    """What the FID of the ensemble less the largest of its members' (`fid.below_largest`) says, as prose has it."""
    return {
        "below": "below" if difference.value < 0 else "not below",
        "clear": "does not reach 0" if difference.high < 0 else "reaches or passes 0",
    }


def among_words(name: str, estimates: Sequence[Estimate]) -> str:
    """Where the ensemble's FID lies among its members', by the features `name`, as a sentence; estimates as from
    `fids`."""
    whole, *members, _ = estimates
    difference = fid.below_largest(whole, members)
    smaller, clear = len(members) - worse(whole, members), below_words(difference)["clear"]
    return (
        f"By the {name} the ensemble's FID is larger than that of {smaller} of its {len(members)} members; less the "
        f"largest of them it is {number(difference, 3, 'g')}, which {clear}."
    )


def kid_words(kids: Mapping[str, np.ndarray]) -> str:
    """The same by the KIDs (1 + n,) of `kids`, without intervals, as a sentence."""
    said = [
        f"larger than that of {(one[1:] < one[0]).sum()} of {len(one) - 1} by the {name}" for name, one in kids.items()
    ]
    return f"The ensemble's is {', and '.join(said)}."


# ---------------------------------------------------------------- the plane


def picture(features: np.ndarray, reference: np.ndarray, n: int, seed: int) -> dict[str, np.ndarray | float]:
    """The first n samples of every column of features (B, V, F), and at most n images of the training set (M, F) drawn
    at random, in the plane of the first two principal components of all of them (paper, Figure 3b).

    {"samples": (V, n, 2), "training": (min(n, M), 2), "share": of all variance, that in the plane}. Raises ValueError
    for more samples than there are.
    """
    if not 1 <= n <= len(features):
        raise ValueError(f"expected n in 1..{len(features)}, the samples there are; got {n}")
    chosen = np.random.default_rng(seed).permutation(len(reference))[:n]
    sets = [np.asarray(reference)[chosen], *np.moveaxis(np.asarray(features)[:n], 1, 0)]
    flat = fid.plane(*sets)
    share = np.concatenate(flat).var(axis=0).sum() / np.concatenate(sets).astype(np.float64).var(axis=0).sum()
    return {"samples": np.stack(flat[1:]), "training": flat[0], "share": float(share)}
