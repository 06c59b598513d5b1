"""What FIDs are measured against, with or without the images: the mean and the covariance of a data set's features, and
the features of a few of its images.

    python -m genens_book.measures.references --judge photographs --out weights/references/cifar10

By the first network of a cross-fitted judge, of the images that it has not seen, and by EfficientNet-lite0 of all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genens import data, files, provenance, store
from genens.data import Dataset
from genens_book.measures import classifier, imagenet
from genens_book.measures.fid import Reference
from genens_book.measures.judges import JUDGES, PhotoNet
from genens_book.measures.not_run import NotRun

CHUNK = 500  # images whose features are kept as one artifact
KEPT = 1000  # images whose features are shipped
FILE = "features.safetensors"


@dataclass(frozen=True)
class Real:
    """What a network sees in the images of a data set.

    rows (M, F): features of them, or of as many as are kept; mean (F,) and covariance (F, F): of all of them, None
    where the rows are all; confidence (M,): how sure a judge is of those of the rows, None of other networks.
    """

    rows: np.ndarray
    mean: np.ndarray | None = None
    covariance: np.ndarray | None = None
    confidence: np.ndarray | None = None

    def reference(self) -> Reference:
        """What FIDs are measured against."""
        return Reference(self.rows) if self.mean is None else Reference.of_moments(self.mean, self.covariance)

    def draw(self, n: int, seed: int) -> np.ndarray:
        """The features (n, F) of n of the images at random: with replacement, unless they are some of many more."""
        replace = self.mean is None or n > len(self.rows)
        return self.rows[np.random.default_rng(seed).choice(len(self.rows), n, replace=replace)]


def by_judge(indices: range, images: Tensor, network: classifier.Judge) -> dict[str, Tensor]:
    """To be stored: what `classifier.read` finds in some of the uint8 images (N, C, H, W)."""
    return classifier.read(network, data.to_unit(images[indices.start : indices.stop]))


def by_imagenet(indices: range, images: Tensor, network: torch.nn.Module) -> dict[str, Tensor]:
    """To be stored: {"features": (B, F)}, of the same by a network of `imagenet`."""
    return {"features": imagenet.deep_features(network, data.to_unit(images[indices.start : indices.stop]))}


def seen(function: Callable, images: Tensor, network: torch.nn.Module) -> Real:
    """What a network sees in images (M, C, H, W), now or in an earlier run; function: one of the two above."""
    found = store.chunked(function, len(images), CHUNK, images=images, network=network)
    return Real(found["features"], confidence=found.get("confidence"))


def build(judge: str | Path, out: str | Path) -> dict:
    """Read the data set of the judge in a folder through it and EfficientNet, and write the folder `out`; returns
    its manifest. Raises as `classifier.load` and `data.load`; ValueError for a judge of other images or one that is not
    cross-fitted, and without EfficientNet's packages."""
    model, about = classifier.load(judge), classifier.manifest(judge)
    if not isinstance(model, classifier.CrossFitted):
        raise ValueError(
            f"expected a cross-fitted judge in {judge}, got one of {model.kind}, which has seen all images"
        )
    network = imagenet.efficientnet()
    if isinstance(network, NotRun):
        raise ValueError(network.reason)
    images = data.load(JUDGES[model.kind].dataset)
    if images.digest != about["data"]["digest"]:
        raise ValueError(f"expected the images that the judge in {judge} was fitted to, got other ones: train it again")
    found = {
        model.kind: seen(by_judge, images.images[model.unseen(0)], model.nets[0]),
        "efficientnet": seen(by_imagenet, images.images, network),
    }
    return write(found, images, out)


def write(found: Mapping[str, Real], images: Dataset, out: str | Path) -> dict:
    """Write what networks see in a data set, by their names, to the folder `out`; returns its manifest."""
    packed = {f"{name}.{part}": value for name, real in found.items() for part, value in _pack(real).items()}
    manifest = {
        "data": {"name": images.name, "images": len(images), "digest": images.digest},
        "made": provenance.describe(),
    }
    files.write_folder(out, {FILE: files.arrays_to_bytes(packed)}, manifest)
    return manifest


def load(path: str | Path) -> dict[str, Real]:
    """What is in a folder that `build` wrote, by the name of the network: photographs, efficientnet. Raises
    FileNotFoundError when a file is missing, ValueError, which names it, when one is damaged."""
    contents, parts = files.read_folder(path)[1], {}
    with files.expecting("moments and features, finite", Path(path) / FILE, files.RESTORE):
        for key, value in files.arrays_from_bytes(contents[FILE], Path(path) / FILE).items():
            name, part = key.split(".")
            parts.setdefault(name, {})[part] = value
        return {name: _unpack(**found) for name, found in parts.items()}


def _pack(real: Real) -> dict[str, np.ndarray]:
    """As it is shipped: of the moments the mean and the upper triangle, float32 (F + F (F + 1) / 2,); KEPT rows."""
    reference, kept = real.reference(), np.random.default_rng(0).permutation(len(real.rows))[:KEPT]
    upper = reference.covariance[np.triu_indices(len(reference.mean))]
    moments = np.concatenate([reference.mean, upper]).astype(np.float32)
    sure = {} if real.confidence is None else {"confidence": real.confidence[kept].astype(np.float32)}
    return {"moments": moments, "rows": real.rows[kept].astype(np.float16), **sure}


def _unpack(moments: np.ndarray, rows: np.ndarray, confidence: np.ndarray | None = None) -> Real:
    M, F = rows.shape
    with np.errstate(over="ignore"):
        rows = rows.astype(np.float32)
    given = [moments, rows] if confidence is None else [moments, rows, confidence]
    if not M or not all(np.isfinite(one).all() for one in given) or any(one.shape != (M,) for one in given[2:]):
        raise ValueError(f"NaN or infinity, no rows, or no confidence for each of {M}")
    upper = np.zeros((F, F))
    upper[np.triu_indices(F)] = moments[F:]
    whole = upper + np.triu(upper, 1).T
    return Real(rows, moments[:F].astype(np.float64), whole, confidence)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m genens_book.measures.references", description=__doc__.splitlines()[0])
    parser.add_argument("--judge", default=PhotoNet.kind, help="the judge: a folder of weights/, or a path")
    parser.add_argument("--out", required=True, help="the folder to write, for instance weights/references/cifar10")
    given = parser.parse_args(arguments)
    folder = Path(given.judge) if "/" in given.judge else store.home() / "weights" / given.judge
    try:
        build(folder, given.out)
    except (ValueError, OSError) as problem:
        sys.exit(f"genens_book.measures.references: {problem}")
    print(f"references in {given.out}")


if __name__ == "__main__":
    from genens_book.measures import references  # results are stored under the module's name, which here is __main__

    references.main()
