"""What the lists of the search would be if the codes were dealt to the images anew.

Training is over and the Jacobians stay what they are; the codes, and which image has which, are drawn again, each of
the C(n, h) as likely for an image as any other. Whatever a statistic of the lists says about the *images*, it must then
be larger for the codes as they were dealt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, comb

import numpy as np

from genens import attribution
from genens import codes as coding
from genens_book.measures import classifier, stats
from genens_book.measures.classifier import CrossFitted
from genens_book.measures.distances import every_pair
from genens_book.measures.gallery import Gallery
from genens_book.measures.judges import Judge

SIDES = {
    "class": 1,
    "pixels": -1,
    "features": -1,
    "attributes": 1,
    "single": 1,
    "person": -1,
}  # where likeness would be; others have no side
REACH = 8  # how many times as many codes are looked through as have k images among them on average


@dataclass(frozen=True)
class Against:
    """A statistic of the lists: as found, its mean and middle 95 % over deals, p, the share of deals (the one found
    counted among them) at least as far on the side that SIDES says, or on either, and its mean over lists drawn at
    random."""

    found: float
    mean: float
    low: float
    high: float
    p: float
    random: float
    deals: int

    @property
    def seen(self) -> float:
        """The smallest difference from the deals' mean that this would see with power 80 %, at 5 % on one side."""
        return stats.smallest_seen((self.high - self.low) / (2 * 1.96))


def dealt(order: np.ndarray, image_of: np.ndarray, k: int) -> np.ndarray:
    """The k first images of every list: int64 (B, k). order (B, R): codes by influence, the largest first; image_of
    (M,): the image that has each code, -1 for none. Raises ValueError where R codes do not have k images."""
    images = image_of[order]
    there = images >= 0
    if (there.sum(1) < k).any():
        raise ValueError(f"expected {k} images among the first {order.shape[1]} codes of every sample: look further")
    first = np.argsort(~there, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(images, first, 1)


def order(gram: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """The codes, of all C(n, h), that a list of k images of any database as large as codes (N, n) is looked for in, by
    rank and the most influential first: int64 (B, R). gram as for `attribution.influence`."""
    N, n = codes.shape
    h = int(codes[0].sum())
    every = coding.unrank(range(comb(n, h)), n, h)
    return attribution.top_k(gram, every, min(len(every), REACH * k * ceil(len(every) / N))).rows


def against(
    order: np.ndarray,
    codes: np.ndarray,
    k: int,
    statistics: Mapping[str, Callable[[np.ndarray], float]],
    deals: int,
    seed: int,
) -> dict[str, Against]:
    """Each statistic of the lists, rows (B, k), beside the same of lists under codes dealt anew.

    order (B, R): ranks of codes, for each sample the most influential first; codes (N, n): as they were dealt.
    """
    N, n = codes.shape
    used, place = np.unique(order, return_inverse=True)
    order, rank = place.reshape(order.shape), coding.rank(codes)
    sorted_by = np.argsort(rank)
    at = sorted_by[np.searchsorted(rank, used, sorter=sorted_by).clip(max=N - 1)]
    rng = np.random.default_rng(seed)
    lists = [dealt(order, np.where(rank[at] == used, at, -1), k)]
    M = comb(n, int(codes[0].sum()))
    for _ in range(deals):  # which image has each of the codes that matter: no two the same
        images = rng.choice(M, len(used), replace=False)
        lists.append(dealt(order, np.where(images < N, images, -1), k))
    chance = [np.stack([rng.choice(N, k, replace=False) for _ in order]) for _ in range(min(deals, 200))]
    found = {}
    for name, statistic in statistics.items():
        values = np.array([statistic(rows) for rows in lists])
        away = values - values[1:].mean()
        away = SIDES[name] * away if name in SIDES else np.abs(away)
        found[name] = Against(
            float(values[0]),
            float(values[1:].mean()),
            *map(float, np.quantile(values[1:], [0.025, 0.975])),
            float((away >= away[0] - 1e-12).mean()),
            float(np.mean([statistic(rows) for rows in chance])),
            deals,
        )
    return found


def statistics(y: np.ndarray, judge: Judge | CrossFitted, images: Gallery) -> dict[str, Callable[[np.ndarray], float]]:
    """What is asked of lists (B, k) of rows of the database, for samples y (B, C, H, W) that the judge reads; what
    takes the images themselves is left out where they are not all at hand."""
    read, labels, sample = classifier.read(judge, y), images.labels.numpy(), np.arange(len(y))[:, None]
    said = read["labels"].numpy()[:, None]
    asked = {
        "class": lambda rows: float((labels[rows] == said).mean()),
        "distinct": lambda rows: float(len(np.unique(rows))),
        "several": lambda rows: float((np.unique(rows, return_counts=True)[1] > 1).sum()),
    }
    if images.whole:
        everything = images[:]
        pixels = _relative(y, everything)
        features = _relative(read["features"].numpy(), classifier.read(judge, everything)["features"].numpy())
        asked["pixels"] = lambda rows: float(pixels[sample, rows].mean())
        asked["features"] = lambda rows: float(features[sample, rows].mean())
    return asked


def _relative(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances, (B, N), each row over its mean: below 1 is nearer than images are on average."""
    distances = every_pair(one, other)
    return distances / distances.mean(1, keepdims=True)
