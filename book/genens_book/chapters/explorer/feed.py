"""What the explorer page is fed: samples, Jacobians, codes, thumbnails and true counterfactuals, as one script file.

    window.GENENS_EXPLORER = {"version": 1, ..., "ensembles": {"images": {...}, "classes": {...}}};

A page opened from file:// cannot fetch, but it can load a script. Arrays travel as base64, little-endian; images as
PNG sheets. An *item* is what can be ablated: a training image, or in the class ensemble a class. `part` packs one
ensemble, `gather` puts both together, `write` writes them. The page that reads it is `book/_static/explorer.js`, which
refuses another VERSION; `tests/browser/test_explorer.py` sets what it shows against the arrays.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genens import attribution, data, files, jacobians, provenance, store
from genens import codes as coding
from genens_book.measures import classifier, distances, stats
from genens_book.measures.judges import Judge

VERSION = 1
FILE = "explorer-data.js"
LIMIT = 8_000_000  # bytes of the page's script
COLUMNS = 100  # thumbnails in a row of their sheet
PLACEBOS = 1_000_000  # at most so many codes are listed to find those that no item holds


# ---------------------------------------------------------------- which counterfactuals are regenerated


def choose(gram: np.ndarray, codes: np.ndarray, top: int, others: int, seed: int) -> np.ndarray:
    """The items whose counterfactual is regenerated, for every sample: int64 (B, K), in the order of influence.

    The `top` most influential, the complementary twins of these, and then others at random, until there are
    2 top + others of them, or all there are. gram (B, n, n), codes bool (N, n). ValueError for top < 1 or others < 0.
    """
    if top < 1 or others < 0:
        raise ValueError(f"expected top of at least 1 and others of at least 0; got {top} and {others}")
    influence, twins, N = attribution.influence(gram, codes), coding.complements(codes), len(codes)
    K, rng, rows = min(N, 2 * top + others), np.random.default_rng(seed), []
    for first, scores in zip(attribution.top_k(gram, codes, min(top, N)).rows, influence, strict=True):
        wanted = np.concatenate([first, twins[first], rng.permutation(N)])
        wanted = wanted[wanted >= 0]
        taken = wanted[np.sort(np.unique(wanted, return_index=True)[1])][:K]  # each once, as they come
        rows.append(taken[np.lexsort((taken, -scores[taken]))])
    return np.stack(rows)


def placebo(gram: np.ndarray, codes: np.ndarray, share: float = 0.95) -> list[list[float]] | None:
    """Between which scores the middle `share` of the codes lie that have the items' weight but are no item's: B x 2.

    Their influence is that of members left out for nobody. None when every code is in use, when the items' codes
    differ in weight, or when there are more codes than can be listed.
    """
    n, weights = codes.shape[1], np.unique(codes.sum(axis=1))
    if len(weights) > 1 or comb(n, int(weights[0])) > PLACEBOS:
        return None
    every = coding.unrank(np.arange(comb(n, int(weights[0]))), n, int(weights[0]))
    held = {row.tobytes() for row in np.packbits(codes, axis=1)}
    free = np.array([row.tobytes() not in held for row in np.packbits(every, axis=1)])
    if not free.any():
        return None
    ends = np.quantile(attribution.influence(gram, every[free]), [(1 - share) / 2, (1 + share) / 2], axis=1)
    return ends.T.tolist()


# ---------------------------------------------------------------- one ensemble


@dataclass(frozen=True)
class Items:
    """What can be ablated. codes bool (N, n); labels int (N,), the digit of each; thumbs uint8 (N, H, W)."""

    codes: np.ndarray
    labels: np.ndarray
    thumbs: np.ndarray


@dataclass(frozen=True)
class Truth:
    """Images that were regenerated, all in [-1, 1] and of the same noise.

    whole (B, C, H, W): of u_0. alone (B, n or 0, C, H, W): of every member by itself. without (B, K, C, H, W): without
    item rows[b, k], rows int64 (B, K).
    """

    whole: np.ndarray
    alone: np.ndarray
    without: np.ndarray
    rows: np.ndarray


def images_as_items(codes: np.ndarray, images: data.Dataset) -> Items:
    """The training images of an ensemble with these codes, bool (N, n)."""
    return Items(codes, images.labels.numpy(), images.images[:, 0].numpy())


def classes_as_items(images: data.Dataset, classes: Sequence[int]) -> Items:
    """The classes of the class experiment: the Walsh code of each, and the mean of its images as its thumbnail."""
    means = [images.images[images.labels == c].double().mean(dim=0)[0].round() for c in classes]
    thumbs = torch.stack(means).to(torch.uint8).numpy()
    return Items(coding.walsh(len(classes) + 1), np.asarray(classes), thumbs)


def part(y: np.ndarray, J: np.ndarray, items: Items, truth: Truth, digits: Judge, top: int) -> dict:
    """One ensemble as the page reads it. y (B, C, H, W), before the clamp, and J (B, n, C, H, W), both as from
    `jacobians.jacobians`, at u_0.

    J travels centred, which no change of mixture notices, with 16 bits a number. `top`: an item in this many first
    places of two or more samples counts as generally influential. Raises ValueError for arrays of different
    ensembles or samples, and for images that are not grey.
    """
    B, n = J.shape[:2]
    if J.shape[2] != 1 or y.shape != J[:, 0].shape or items.codes.shape[1] != n or len(truth.whole) != B:
        raise ValueError(
            f"expected y (B, 1, H, W), J (B, n, 1, H, W), codes (N, n) and true images of the same samples and "
            f"members; got {y.shape}, {J.shape}, {items.codes.shape} and {truth.whole.shape}"
        )
    gram = jacobians.gram(jacobians.centred(J))
    mixtures = [*np.eye(n)[: truth.alone.shape[1]]]
    images = np.concatenate([truth.alone, truth.without], axis=1)
    moved, missed = np.zeros((2, *images.shape[:2]))
    for b in range(B):
        v = np.array([*mixtures, *coding.ablations(items.codes[truth.rows[b]])])
        linear = jacobians.linear_counterfactual(y[b : b + 1], J[b : b + 1], v)[:, 0]
        moved[b] = distances.euclidean(images[b], truth.whole[b])
        missed[b] = distances.euclidean(linear, images[b])
    digit, sure = (
        side.numpy() for side in classifier.predict(digits, np.concatenate([truth.whole[:, None], images], 1))
    )
    general = attribution.repeated(attribution.top_k(gram, items.codes, min(top, len(items.codes))))
    return {
        "n": n,
        "items": len(items.codes),
        "samples": B,
        "top": min(top, len(items.codes)),
        "codes": _base64(np.packbits(items.codes, axis=1)),
        "labels": _base64(items.labels.astype(np.uint8)),
        "general": general.tolist(),
        "thumbs": _sheet(items.thumbs, COLUMNS, bits=4),
        "y": _scaled(y.reshape(B, -1)),
        "J": _scaled(jacobians.centred(J).numpy().reshape(B * n, -1)),
        "gram": _base64(gram.astype("<f8")),
        "placebo": placebo(gram, items.codes),
        "truth": {
            "alone": truth.alone.shape[1],
            "rows": truth.rows.tolist(),
            "sheet": _sheet(data.to_uint8(torch.as_tensor(images)).numpy().reshape(-1, *y.shape[2:]), images.shape[1]),
            "moved": moved.tolist(),
            "missed": missed.tolist(),
        },
        "digit": digit.tolist(),
        "sure": np.round(sure.astype(float), 4).tolist(),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _scaled(rows: np.ndarray) -> dict:
    """Rows of floats as int16, each with the scale that brings it back."""
    scale = np.abs(rows).max(axis=1) / 32767
    scale[scale == 0] = 1
    return {"int16": _base64(np.round(rows / scale[:, None]).astype("<i2")), "scale": scale.astype(float).tolist()}


def _sheet(tiles: np.ndarray, columns: int, bits: int = 8) -> str:
    """uint8 (N, H, W) side by side, `columns` to a row, as a PNG with so many bits a pixel, in a data: address."""
    N, H, W = tiles.shape
    rows = -(-N // columns)
    filled = np.zeros((rows * columns, H, W), np.uint8)
    filled[:N] = tiles
    pixels = filled.reshape(rows, columns, H, W).swapaxes(1, 2).reshape(rows * H, columns * W)
    levels = 2**bits
    image = Image.fromarray(np.round(pixels / 255 * (levels - 1)).astype(np.uint8))
    if bits < 8:
        image = image.convert("P")
        image.putpalette([round(255 * k / (levels - 1)) for k in range(levels) for _ in range(3)])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, **({"bits": bits} if bits < 8 else {}))
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


# ---------------------------------------------------------------- in words


def regenerated(*truths: Truth) -> int:
    """How many images were regenerated, the samples themselves apart."""
    return sum(side.shape[0] * side.shape[1] for truth in truths for side in (truth.alone, truth.without))


def agreement(part: Mapping, gram: np.ndarray, items: Items) -> dict[str, float]:
    """How well the prediction does over all regenerated ablations of a part, whose gram (B, n, n) is given.

    rank: Spearman's correlation of the predicted with the true length of the change; moved: the mean true length;
    missed: the mean distance of the predicted from the true image.
    """
    truth = part["truth"]
    moved, missed = (np.array(truth[name])[:, truth["alone"] :] for name in ("moved", "missed"))
    predicted = np.take_along_axis(attribution.influence(gram, items.codes), np.array(truth["rows"]), axis=1)
    rank = stats.spearman(predicted.ravel(), moved.ravel())
    return {"rank": float(rank), "moved": float(moved.mean()), "missed": float(missed.mean())}


# ---------------------------------------------------------------- the file


def gather(images: Mapping, classes: Mapping, profile: str, setting: Mapping, shape: Sequence[int]) -> dict:
    """All that the page reads: both ensembles' parts, the profile, what determined them (name -> value), the commit."""
    made = provenance.describe()
    return {
        "version": VERSION,
        "profile": profile,
        "setting": dict(setting),
        "shape": list(shape)[-2:],
        "made": {name: made[name] for name in ("commit", "dirty", "date")},
        "ensembles": {"images": images, "classes": classes},
    }


def where(profile: str) -> Path:
    """The page's data under a profile; the book's Sphinx extension copies it beside the page."""
    return store.root() / "explorer" / profile / FILE


def write(explorer: Mapping, profile: str) -> tuple[int, str]:
    """Write the script to `where(profile)`; its bytes and their sha256.

    Raises ValueError when it would be larger than the page may be, and for numbers that are not finite.
    """
    script = f"window.GENENS_EXPLORER = {json.dumps(explorer, separators=(',', ':'), allow_nan=False)};\n".encode()
    if len(script) > LIMIT:
        raise ValueError(f"expected at most {LIMIT:,} bytes for the explorer, got {len(script):,}: take fewer samples")
    files.atomic_write(where(profile), script)
    return len(script), files.sha256(script)
