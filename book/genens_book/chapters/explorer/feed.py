"""What the explorer page is fed: samples, Jacobians, codes, thumbnails and true counterfactuals, as script files.

    window.GENENS_EXPLORER = {"version": 2, ..., "ensembles": {"images": {...}, "classes": {...}}, "more": [...]};
    window.GENENS_WORLDS = {...window.GENENS_WORLDS, "photographs": {"version": 2, ...}};

A page opened from file:// cannot fetch, but it can load a script. Arrays travel as base64, little-endian; images as
PNG sheets. An *item* is what can be ablated: a training image, or in the class ensemble a class. `part` packs one
ensemble, `gather` puts those of digits together, `write` writes them. Any other ensemble is a *world*: `write_world`
gives it a file of its own, which the page loads when a reader picks it. The page is `book/_static/explorer.js`, which
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

VERSION = 2
FILE = "explorer-data.js"
OPENS, ENDS = "window.GENENS_EXPLORER = ", ";\n"  # what stands around the data in its script
LIMIT = 8_000_000  # bytes of the page's script
WORLD_LIMIT = 6_000_000  # bytes of a world's
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
    """What can be ablated. codes bool (N, n); labels int (N,), label k is called classes[k].

    thumbs uint8 (M, H, W), or (M, H, W, 3) in colour: the pictures of the items `rows`, int (M,), by default all. Of
    the others the page shows an empty frame.
    """

    codes: np.ndarray
    labels: np.ndarray
    thumbs: np.ndarray
    classes: Sequence[str]
    rows: np.ndarray | None = None

    @property
    def kept(self) -> np.ndarray:
        """The items whose thumbnails there are, int (M,)."""
        return np.arange(len(self.codes)) if self.rows is None else np.asarray(self.rows)


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


def images_as_items(codes: np.ndarray, images: data.Dataset, rows: np.ndarray | None = None) -> Items:
    """The training images of an ensemble with these codes, bool (N, n); thumbnails of `rows`, int (M,), by default
    of all."""
    thumbs = _tiles(images.images if rows is None else images.images[rows])
    return Items(codes, images.labels.numpy(), thumbs, images.classes, rows)


def classes_as_items(images: data.Dataset, classes: Sequence[int]) -> Items:
    """The classes of the class experiment: the Walsh code of each, and the mean of its images as its thumbnail."""
    means = [images.images[images.labels == c].double().mean(dim=0).round() for c in classes]
    thumbs = _tiles(torch.stack(means).to(torch.uint8))
    return Items(coding.walsh(len(classes) + 1), np.asarray(classes), thumbs, images.classes)


def part(y: np.ndarray, J: np.ndarray, items: Items, truth: Truth, judge: Judge | None, top: int) -> dict:
    """One ensemble as the page reads it. y (B, C, H, W), before the clamp, and J (B, n, C, H, W), both as from
    `jacobians.jacobians`, at u_0; C is 1 or 3. `judge`, if any, reads the images; its class k is
    called items.classes[k].

    J travels centred, which no change of mixture notices, with 16 bits a number. `top`: an item in this many first
    places of two or more samples counts as generally influential. Raises ValueError for arrays of different
    ensembles or samples, for images neither grey nor in colour, for thumbnails that are not those of items.rows,
    and for a class without a name.
    """
    B, n, C, H, W = J.shape
    if C not in (1, 3) or y.shape != J[:, 0].shape or items.codes.shape[1] != n or len(truth.whole) != B:
        raise ValueError(
            f"expected y (B, C, H, W) with C = 1 or 3, J (B, n, C, H, W), codes (N, n) and true images of the same "
            f"samples and members; got {y.shape}, {J.shape}, {items.codes.shape} and {truth.whole.shape}"
        )
    thumbs = (len(items.kept), H, W, *[C] * (C > 1))
    if items.thumbs.shape != thumbs:
        raise ValueError(f"expected a thumbnail of every row, uint8 {thumbs}; got {items.thumbs.shape}")
    gram = jacobians.gram(jacobians.centred(J))
    mixtures = [*np.eye(n)[: truth.alone.shape[1]]]
    images = np.concatenate([truth.alone, truth.without], axis=1)
    moved, missed = np.zeros((2, *images.shape[:2]))
    for b in range(B):
        v = np.array([*mixtures, *coding.ablations(items.codes[truth.rows[b]])])
        linear = jacobians.linear_counterfactual(y[b : b + 1], J[b : b + 1], v)[:, 0]
        moved[b] = distances.euclidean(images[b], truth.whole[b])
        missed[b] = distances.euclidean(linear, images[b])
    shown = np.concatenate([truth.whole[:, None], images], 1)
    reads, sure = (side.numpy() for side in classifier.predict(judge, shown)) if judge else (None, None)
    if (most := max(items.labels.max(), -1 if reads is None else reads.max())) >= len(items.classes):
        raise ValueError(f"expected a name for every class; got {len(items.classes)} and an image of class {most}")
    general = attribution.repeated(attribution.top_k(gram, items.codes, min(top, len(items.codes))))
    return {
        "shape": [C, H, W],
        "n": n,
        "items": len(items.codes),
        "samples": B,
        "top": min(top, len(items.codes)),
        "codes": _base64(np.packbits(items.codes, axis=1)),
        "labels": _base64(items.labels.astype("u1" if len(items.classes) <= 256 else "<u2")),
        "classes": list(items.classes),
        "general": general.tolist(),
        "thumbs": _sheet(items.thumbs, COLUMNS, bits=4 if C == 1 else 8),
        "kept": None if items.rows is None else items.kept.tolist(),
        "y": _scaled(y.reshape(B, -1)),
        "J": _scaled(jacobians.centred(J).numpy().reshape(B * n, -1)),
        "gram": _base64(gram.astype("<f8")),
        "placebo": placebo(gram, items.codes),
        "truth": {
            "alone": truth.alone.shape[1],
            "rows": truth.rows.tolist(),
            "sheet": _sheet(_tiles(data.to_uint8(torch.as_tensor(images)).flatten(0, 1)), images.shape[1]),
            "moved": moved.tolist(),
            "missed": missed.tolist(),
        },
        "reads": None if reads is None else reads.tolist(),
        "sure": None if sure is None else np.round(sure.astype(float), 4).tolist(),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _scaled(rows: np.ndarray) -> dict:
    """Rows of floats as int16, each with the scale that brings it back."""
    scale = np.abs(rows).max(axis=1) / 32767
    scale[scale == 0] = 1
    return {"int16": _base64(np.round(rows / scale[:, None]).astype("<i2")), "scale": scale.astype(float).tolist()}


def _tiles(images: torch.Tensor) -> np.ndarray:
    """uint8 (N, C, H, W) as a sheet takes them: (N, H, W), or (N, H, W, 3) in colour."""
    return (images[:, 0] if images.shape[1] == 1 else images.movedim(1, -1)).numpy()


def _sheet(tiles: np.ndarray, columns: int, bits: int = 8) -> str:
    """uint8 (N, H, W) or (N, H, W, 3) side by side, `columns` to a row, as a PNG in a data: address; with so many bits
    a pixel, or in colour a channel, where it has to be 8."""
    N, H, W, *channels = tiles.shape
    rows = -(-N // columns)
    filled = np.zeros((rows * columns, H, W, *channels), np.uint8)
    filled[:N] = tiles
    pixels = filled.reshape(rows, columns, H, W, *channels).swapaxes(1, 2)
    pixels = pixels.reshape(rows * H, columns * W, *channels)
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


# ---------------------------------------------------------------- the files


def gather(
    images: Mapping, classes: Mapping, profile: str, setting: Mapping, more: Sequence[Mapping[str, object]] = ()
) -> dict:
    """All that the page reads at once: the parts of both ensembles of digits, the profile, what determined them
    (name -> value), the commit; and what it needs to know of every world, `more`, as from `write_world`."""
    made = provenance.describe()
    return {
        "version": VERSION,
        "profile": profile,
        "setting": dict(setting),
        "made": {name: made[name] for name in ("commit", "dirty", "date")},
        "ensembles": {"images": images, "classes": classes},
        "more": [dict(world) for world in more],
    }


def where(profile: str, file: str = FILE) -> Path:
    """The page's data under a profile, or a world's file; the book's Sphinx extension copies them beside the page."""
    return store.root() / "explorer" / profile / file


def written(profile: str) -> list[Path]:
    """The page's data under a profile, and the files of the worlds that it names. FileNotFoundError without data,
    ValueError for damaged ones."""
    found = where(profile)
    text = found.read_text()
    with files.expecting("the explorer's data", found, "delete the executed explorer.ipynb and build again"):
        more = json.loads(text.removeprefix(OPENS).removesuffix(ENDS))["more"]
        return [found, *(where(profile, world["file"]) for world in more)]


def write(explorer: Mapping, profile: str) -> tuple[int, str]:
    """Write the script to `where(profile)`; its bytes and their sha256.

    Raises ValueError when it would be larger than the page may be, and for numbers that are not finite.
    """
    return _write(f"{OPENS}{_json(explorer)}{ENDS}", where(profile), LIMIT)


def write_world(part: Mapping, name: str, profile: str, title: str, words: str) -> dict[str, object]:
    """Write the part of another ensemble to a script of its own, and return what `gather` has to tell of it.

    name: small letters, for the file and the page's address; title and words: of its tab, "Photographs" and
    "60,000 images, 20 members". Raises ValueError as `write` does.
    """
    world, file = {"version": VERSION, **part}, f"explorer-{name}.js"
    script = f"window.GENENS_WORLDS = {{...window.GENENS_WORLDS, {json.dumps(name)}: {_json(world)}}};\n"
    size, _ = _write(script, where(profile, file), WORLD_LIMIT)
    return {"name": name, "file": file, "title": title, "words": words, "bytes": size}


def _json(value: Mapping) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _write(script: str, path: Path, limit: int) -> tuple[int, str]:
    """Bytes and sha256 of the script, written."""
    encoded = script.encode()
    if len(encoded) > limit:
        raise ValueError(
            f"expected at most {limit:,} bytes for {path.name}, got {len(encoded):,}: take fewer samples or thumbnails"
        )
    files.atomic_write(path, encoded)
    return len(encoded), files.sha256(encoded)
