"""What FIDs are measured against, without the images: the mean and the covariance of a data set's features.

    python -m genens_book.measures.references --judge photographs --out weights/references/cifar10

By every network of the judge (`judges`), of the images that it has not seen, and by EfficientNet-lite0 of all images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genens import data, files, provenance, store
from genens_book.measures import classifier, imagenet
from genens_book.measures.fid import Reference
from genens_book.measures.judges import JUDGES, PhotoNet
from genens_book.measures.not_run import NotRun

CHUNK = 500  # images whose features are kept as one artifact
MOMENTS = "moments.safetensors"


def by_judge(indices: range, images: Tensor, network: classifier.Judge) -> dict[str, Tensor]:
    """To be stored: {"features": (B, F)}, a judge's features of some of the uint8 images (N, C, H, W)."""
    return {"features": classifier.features(network, data.to_unit(images[indices.start : indices.stop]))}


def by_imagenet(indices: range, images: Tensor, network: torch.nn.Module) -> dict[str, Tensor]:
    """The same by a network of `imagenet`."""
    return {"features": imagenet.deep_features(network, data.to_unit(images[indices.start : indices.stop]))}


def _moments(function: Callable, images: Tensor, network: torch.nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Mean (F,) and covariance (F, F) of the features of images (M, C, H, W), as `fid.Reference` has them."""
    found = Reference(store.chunked(function, len(images), CHUNK, images=images, network=network)["features"])
    return found.mean, found.covariance


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
    found = {}
    for fold, net in enumerate(model.nets):
        found[f"{model.kind}_{fold}"] = _moments(by_judge, images.images[model.unseen(fold)], net)
    found["efficientnet"] = _moments(by_imagenet, images.images, network)
    packed = {name: _pack(*moments) for name, moments in found.items()}
    manifest = {
        "data": {"name": images.name, "images": len(images), "digest": images.digest},
        "made": provenance.describe(),
    }
    files.write_folder(out, {MOMENTS: files.arrays_to_bytes(packed)}, manifest)
    return manifest


def load(path: str | Path) -> dict[str, Reference]:
    """The references in a folder that `build` wrote, by the name of their features: photographs_0, ..., efficientnet.
    Raises FileNotFoundError when a file is missing, ValueError when one is damaged."""
    files.read_folder(path)
    return {
        name: Reference.of_moments(*_unpack(value)) for name, value in files.load_arrays(Path(path) / MOMENTS).items()
    }


def _pack(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The mean, then the upper triangle of the covariance: float32 (F + F (F + 1) / 2,)."""
    return np.concatenate([mean, covariance[np.triu_indices(len(mean))]]).astype(np.float32)


def _unpack(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    F = round((np.sqrt(9 + 8 * len(packed)) - 3) / 2)
    upper = np.zeros((F, F))
    upper[np.triu_indices(F)] = packed[F:]
    return packed[:F].astype(np.float64), upper + np.triu(upper, 1).T


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
