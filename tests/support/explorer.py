"""The explorer's data with nothing behind it but a generator: both ensembles of digits, and one world, in colour."""

from __future__ import annotations

import numpy as np
import torch

from genens import codes as coding
from genens import jacobians
from genens_book.chapters.explorer import feed
from genens_book.measures import classifier, judges

CODES = {  # some with twins and unused codes, one without either
    "images": coding.constant_weight(150, 10, 5, 3),
    "classes": coding.walsh(8),
    "photographs": coding.constant_weight(60, 8, 4, 3),
}
SUBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
B, K = 3, 4


def made_up(codes, seed, shape=(1, 28, 28), classes="0123456789", kept=None):
    """y, J, items and truth; J's columns share a large part, as true ones do. kept: how many thumbnails, from random
    items; by default there are all."""
    rng = np.random.default_rng(seed)
    (C, H, W), n = shape, codes.shape[1]
    y = rng.normal(0, 0.7, (B, *shape)).astype(np.float32)
    J = (rng.normal(0, 0.5, (B, n, *shape)) + 20 * rng.normal(0, 1, (B, 1, *shape))).astype(np.float32)
    labels = rng.integers(0, 10, len(codes))
    thumbs = rng.integers(0, 256, (kept or len(codes), H, W, *[C] * (C > 1)), np.uint8)
    items = feed.Items(codes, labels, thumbs, classes, kept and rng.permutation(len(codes))[:kept])
    rows = feed.choose(jacobians.gram(jacobians.centred(J)), codes, 1, K - 2, seed)
    truth = feed.Truth(y.clip(-1, 1), *(rng.uniform(-1, 1, (B, k, *shape)).astype(np.float32) for k in (n, K)), rows)
    return y, J, items, truth


def every():
    """The made-up arrays of every ensemble; half of the photographs have no thumbnail."""
    colour = {"photographs": {"shape": (3, 32, 32), "classes": SUBJECTS, "kept": 30}}
    return {name: made_up(codes, seed, **colour.get(name, {})) for seed, (name, codes) in enumerate(CODES.items())}


def judge_of(name):
    """Who reads the images of an ensemble: of the photographs, a network that was taught nothing."""
    if name != "photographs":
        return classifier.load()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return judges.PhotoNet()


def packed(arrays):
    """The part of every ensemble, made of them."""
    return {name: feed.part(*given, judge_of(name), 2) for name, given in arrays.items()}
