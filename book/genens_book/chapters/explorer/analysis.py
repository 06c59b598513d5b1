"""What the explorer shows of an ensemble with a code for every image: computed, and put into the page's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from genens import attribution, jacobians, sampling, store
from genens import codes as coding
from genens.ensemble import Ensemble
from genens.schedules import Schedule
from genens_book.chapters.explorer import feed
from genens_book.chapters.explorer.feed import Items, Truth
from genens_book.measures import classifier, judges
from genens_book.measures.gallery import Gallery
from genens_book.measures.judges import Judge
from genens_book.pages import parameters

PLACES = 60  # of each sample, first images whose thumbnails a world brings along
TITLES = {"cifar10": "Photographs", "faces": "Drawn faces", "celeba": "Faces"}  # of a world's tab, by data set


@dataclass(frozen=True)
class Seen:
    """y (B, C, H, W) before the clamp, J (B, n, C, H, W) and its gram (B, n, n), at u_0; and what was regenerated."""

    y: np.ndarray
    J: np.ndarray
    gram: np.ndarray
    truth: Truth


@dataclass(frozen=True)
class Asked:
    """What is asked of an ensemble: samples of a seed, in steps, by a Jacobian (see `jacobians.jacobian`); of each the
    top most influential images, their twins and others at random are regenerated. place: an image in so many first
    places of two samples is generally influential."""

    samples: int
    seed: int
    steps: Schedule
    per_step: int
    tangents: str
    top: int
    others: int
    place: int


def seen(members: Ensemble, asked: Asked) -> Seen:
    """All that the page needs of an ensemble, computed or from the store."""
    drawn = dict(members=members, seed=asked.seed, steps=asked.steps)
    mixtures = np.vstack([coding.uniform(members.n), np.eye(members.n)])
    true = store.chunked(sampling.samples, asked.samples, 64, **drawn, mixtures=mixtures)["y"]
    slopes = dict(per_step=asked.per_step, tangents=asked.tangents)
    linear = store.chunked(jacobians.jacobians, asked.samples, 16, **drawn, **slopes)
    gram = jacobians.gram(jacobians.centred(linear["jacobian"]))
    rows = feed.choose(gram, members.codes, asked.top, asked.others, asked.seed)
    lacking = dict(codes=members.codes, rows=rows)
    without = store.chunked(sampling.counterfactual_samples, asked.samples, 8, **drawn, **lacking)["y"]
    return Seen(linear["y"], linear["jacobian"], gram, Truth(true[:, 0], true[:, 1:], without, rows))


def shown(found: Seen, codes: np.ndarray) -> np.ndarray:
    """The rows of the images that are regenerated or in a first place: int64 (M,), ascending."""
    first = attribution.top_k(found.gram, codes, min(PLACES, len(codes))).rows
    return np.unique(np.concatenate([first.ravel(), found.truth.rows.ravel()]))


def pictured(found: Seen, codes: np.ndarray, images: Gallery) -> Items:
    """The images of an ensemble, with thumbnails of those `shown`, as far as they are at hand."""
    wanted = torch.from_numpy(shown(found, codes))
    there = torch.isin(images.rows, wanted)
    thumbs = images.images[there]
    pixels = thumbs[:, 0] if thumbs.shape[1] == 1 else thumbs.movedim(1, -1)
    return Items(codes, images.labels.numpy(), pixels.numpy(), images.classes, images.rows[there].numpy())


def judge_of(manifest: Mapping, profile: str) -> Judge | None:
    """Who reads an ensemble's samples: nobody, where there is no judge of its images. Raises as `classifier.load`."""
    known = {judge.dataset for judge in judges.JUDGES.values()}
    return classifier.load(parameters.judge(manifest, profile)) if manifest["recipe"]["dataset"] in known else None


def world(
    name: str, members: Ensemble, images: Gallery, judge: Judge | None, asked: Asked, profile: str
) -> dict[str, object]:
    """Compute a world and write its script; what the page is told of it (`feed.write_world`)."""
    found = seen(members, asked)
    items = pictured(found, members.codes, images)
    part = feed.part(found.y, found.J, items, found.truth, judge, asked.place)
    title = TITLES.get(members.manifest["recipe"]["dataset"], name)
    return feed.write_world(part, name, profile, title, f"{len(images):,} images, {members.n} members")
