"""The explorer's data with nothing behind it but a generator, for both ensembles."""

from __future__ import annotations

import numpy as np

from genens import codes as coding
from genens import jacobians
from genens_book.chapters.explorer import feed
from genens_book.measures import classifier

CODES = {  # one with twins and unused codes, one without either
    "images": coding.constant_weight(150, 10, 5, 3),
    "classes": coding.walsh(8),
}
B, K = 3, 4


def made_up(codes, seed):
    """y, J, items and truth; J's columns share a large part, as true ones do."""
    rng = np.random.default_rng(seed)
    n = codes.shape[1]
    y = rng.normal(0, 0.7, (B, 1, 28, 28)).astype(np.float32)
    J = (rng.normal(0, 0.5, (B, n, 1, 28, 28)) + 20 * rng.normal(0, 1, (B, 1, 1, 28, 28))).astype(np.float32)
    items = feed.Items(codes, rng.integers(0, 10, len(codes)), rng.integers(0, 256, (len(codes), 28, 28), np.uint8))
    rows = feed.choose(jacobians.gram(jacobians.centred(J)), codes, 1, K - 2, seed)
    truth = feed.Truth(y.clip(-1, 1), *(rng.uniform(-1, 1, (B, k, 1, 28, 28)).astype(np.float32) for k in (n, K)), rows)
    return y, J, items, truth


def both():
    """The made-up arrays of both ensembles."""
    return {name: made_up(codes, seed) for seed, (name, codes) in enumerate(CODES.items())}


def gathered(arrays):
    """All of the explorer's data, made of them."""
    parts = {name: feed.part(*given, classifier.load(), 2) for name, given in arrays.items()}
    return feed.gather(parts["images"], parts["classes"], "smoke", {"seed": 0}, (B, 1, 28, 28))
