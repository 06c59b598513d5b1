"""The class experiment, measured: what ablating each class does to every sample (paper, Section 3.1 and Figure 2).

Throughout, y is (B, 1 + V, C, H, W): the original, then its V counterfactuals, one for each ablated class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from genens import data
from genens.unet import UNetConfig
from genens_book.measures import classifier, perceptual, stats
from genens_book.measures.distances import euclidean
from genens_book.measures.judges import Judge
from genens_book.measures.not_run import NotRun
from genens_book.measures.stats import Interval

METRICS = {"euclidean": "Euclidean distance", "features": "digit-feature distance", "lpips": "LPIPS (VGG-16)"}


def measure(y: np.ndarray, digits: Judge, vgg: Path | NotRun) -> dict[str, np.ndarray]:
    """What everything else is computed from: predicted digit and confidence of every image, (B, 1 + V), and the
    distance of each counterfactual from its original, (B, V), for every metric that can be had here.

    vgg: as from `perceptual.find_vgg`: the file of VGG-16's weights, or why LPIPS is not run."""
    y = torch.as_tensor(y)
    labels, confidence = classifier.predict(digits, y.flatten(0, 1))
    pairs = y[:, :1], y[:, 1:]
    found = {
        "labels": labels.view(y.shape[:2]),
        "confidence": confidence.view(y.shape[:2]),
        "euclidean": euclidean(*pairs),
        "features": perceptual.feature_distance(digits, *pairs),
    }
    return found if isinstance(vgg, NotRun) else found | {"lpips": perceptual.lpips(*pairs, vgg)}


def lpips_words(vgg: Path | NotRun) -> str:
    """Whether LPIPS was run here, as a sentence."""
    if isinstance(vgg, NotRun):
        return f"On this machine LPIPS was not run: {vgg.reason}."
    return "They were found on this machine."


def setting(manifest: Mapping, digits: data.Dataset) -> dict[str, object]:
    """What the members' manifest says of the settings that the paper's Appendix B states: {claim: value}."""
    recipe, scaled = manifest["recipe"], data.to_unit(digits.images)
    return {
        "b1-range": [int(scaled.min()), int(scaled.max())],
        "b2-architecture": manifest["unet"] == UNetConfig.paper(1, (1, 2, 2)).to_dict(),
        "b2-loss": recipe["weight"],
        "b2-optimiser": {"adam": "Adam", "adamw": "AdamW", "muon": "Muon and AdamW"}[recipe["optimizer"]],
        "b2-learning-rate-mnist": recipe["lr"],
        "b2-batch-mnist": recipe["batch"],
        "b2-epochs-mnist": round(recipe["steps"] * recipe["batch"] / np.mean(manifest["split_sizes"])),
    }


def rows(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Which ablation removes the predicted class of each original: int64 (B,), -1 where no class has that label."""
    return classifier.row_of(np.asarray(labels)[:, 0], classes)


def accuracy(distance: np.ndarray, row: np.ndarray, seed: int) -> Interval:
    """How often the class whose ablation moves a sample furthest is its predicted class, over the samples whose
    predicted class can be ablated; a bootstrap interval over samples (paper: 61 % and 62 %)."""
    kept = row >= 0
    return stats.bootstrap(influence_accuracy(distance[kept].T, row[kept]), seed=seed)


def accuracy_by_class(distance: np.ndarray, row: np.ndarray, V: int, seed: int) -> list[Interval | None]:
    """The same for the samples of one predicted class at a time (Figure 2b); None where there are none."""
    return [accuracy(distance[row == v], row[row == v], seed) if (row == v).any() else None for v in range(V)]


def own_and_other(distance: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the counterfactuals without the predicted class, (B',), and without another, (B', V - 1)."""
    kept = np.flatnonzero(row >= 0)
    own = np.zeros((len(kept), distance.shape[1]), bool)
    own[np.arange(len(kept)), row[kept]] = True
    return distance[kept][own], distance[kept][~own].reshape(len(kept), -1)


def changes(labels: np.ndarray, row: np.ndarray, seed: int) -> dict[str, Interval]:
    """How often the predicted digit changes when the predicted class is ablated ("own"), when another one is
    ("other"), and the difference; intervals by bootstrap over samples (paper: 93 % and 43 %)."""
    changed = (labels[:, 1:] != labels[:, :1]).astype(float)
    own, other = own_and_other(changed, row)
    found = {"own": own, "other": other.mean(axis=1), "difference": own - other.mean(axis=1)}
    return {name: stats.bootstrap(values, seed=seed) for name, values in found.items()}


def by_confidence(
    measured: Mapping[str, np.ndarray], row: np.ndarray, seed: int, levels: Sequence[float] = (0.0, 0.5, 0.9)
) -> list[dict]:
    """Accuracy (Euclidean) and how often the digit changes, over the samples whose original the classifier is surer of
    than each level: [{"above", "n", "accuracy", "own", "other"}]; levels that leave fewer than two samples are left
    out."""
    found = []
    for level in levels:
        kept = (row >= 0) & (measured["confidence"][:, 0] > level)
        if kept.sum() >= 2:
            rates = changes(measured["labels"][kept], row[kept], seed)
            found.append(
                {
                    "above": level,
                    "n": int(kept.sum()),
                    "own": rates["own"],
                    "other": rates["other"],
                    "accuracy": accuracy(measured["euclidean"][kept], row[kept], seed),
                }
            )
    return found


def table(labels: np.ndarray) -> np.ndarray:
    """How many images of each digit each ensemble makes: int64 (1 + V, 10), the whole ensemble first (Figure 2d)."""
    return np.stack([np.bincount(column, minlength=10) for column in np.asarray(labels).T])


def diminished(labels: np.ndarray, classes: Sequence[int], seed: int) -> Interval:
    """Images of a class that its ablated ensemble makes, as a share of those the whole one makes, all classes
    together; bootstrap over samples."""
    labels, classes = np.asarray(labels), np.asarray(classes)
    before = (labels[:, :1] == classes).sum(axis=1)
    after = (labels[:, 1:] == classes).sum(axis=1)

    def share(values: np.ndarray, axis: int) -> np.ndarray:
        left, whole = np.moveaxis(values.sum(axis=axis), -1, 0)
        return left / whole

    return stats.bootstrap(np.stack([after, before], axis=1), share, seed=seed)


def kept_most(labels: np.ndarray, classes: Sequence[int], seed: int) -> Interval:
    """Of the class that keeps most, the images that its ablated ensemble makes over those that the whole one makes;
    bootstrap over samples, in each of which another class may keep most."""
    labels, classes = np.asarray(labels), np.asarray(classes)
    made = np.stack([labels[:, 1:] == classes, labels[:, :1] == classes], axis=1).astype(float)  # (B, 2, V)

    def most(values: np.ndarray, axis: int) -> np.ndarray:
        after, before = np.moveaxis(values.sum(axis=axis), -2, 0)
        return (after / np.maximum(before, 1)).max(axis=-1)

    return stats.bootstrap(made, most, seed=seed)


def systematic(labels: np.ndarray, classes: Sequence[int], each: int) -> np.ndarray:
    """The first `each` samples of every class in the order they were drawn, nobody's choice: int64 (K,)."""
    return np.concatenate([np.flatnonzero(labels[:, 0] == c)[:each] for c in classes])


def chosen(distance: np.ndarray, row: np.ndarray, V: int) -> np.ndarray:
    """For every class, the sample in which ablating it stands out most from ablating the others: int64 (K,)."""
    contrast = np.full(len(row), -np.inf)
    own, other = own_and_other(distance, row)
    contrast[row >= 0] = own / other.max(axis=1)
    picks = [np.argmax(np.where(row == v, contrast, -np.inf)) for v in range(V) if (row == v).any()]
    return np.array(picks)


def summary(measured: Mapping[str, np.ndarray], classes: Sequence[int], seed: int) -> dict[str, dict]:
    """Accuracy, effect and U test for every metric that was measured: {metric: {...}}; chance is 1 / V."""
    row, found = rows(measured["labels"], classes), {}
    for name in METRICS:
        if name in measured:
            own, other = own_and_other(measured[name], row)
            found[name] = {
                "accuracy": accuracy(measured[name], row, seed),
                "test": stats.mann_whitney(own, other),
                "effect": stats.exceedance(own, other, seed),
                "by_class": accuracy_by_class(measured[name], row, len(classes), seed),
            }
    return found


def _largest(distances: object) -> np.ndarray:
    """Which entries of distances (V, B) are the largest of their column: bool (V, B), all of a tie."""
    distances = stats.finite(distances, "distances")
    if distances.ndim != 2:
        raise ValueError(f"expected distances (V, B), one row for each ablation, got shape {distances.shape}")
    return distances == distances.max(axis=0)


def influence_accuracy(distances: object, predicted: object) -> np.ndarray:
    """(B,): 1 where ablating the sample's predicted class changed it most, 1/k in a tie of k, else 0.

    distances (V, B); predicted (B,): the row that is the sample's predicted class, -1 for a class without a
    row (never the most influential, so 0). Blind guessing scores 1/V on average, ties or not. Take
    `bootstrap` of it for an interval. Source: paper, Section 3.1 and Figure 2b. Raises ValueError when the
    shapes do not fit.
    """
    largest, predicted = _largest(distances), np.asarray(predicted)
    if predicted.shape != largest.shape[1:] or predicted.min() < -1 or predicted.max() >= len(largest):
        raise ValueError(
            f"expected rows from -1 to {len(largest) - 1} for {largest.shape[1]} samples, "
            f"got {predicted.shape}, {predicted.min()} to {predicted.max()}"
        )
    hit = largest[predicted, np.arange(len(predicted))] & (predicted >= 0)
    return hit / largest.sum(axis=0)
