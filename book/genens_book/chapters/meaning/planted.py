"""Planted truth: groups of pictures that no digit resembles, each group under one code; and members trained twice.

Whoever draws such a picture has it from its group and from nowhere else, so the group is what a search should find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genens import attribution, data, jacobians
from genens import codes as coding
from genens.ensemble import Ensemble
from genens.schedules import Schedule
from genens.seeds import generator
from genens.theory import identification
from genens_book.chapters.meaning import glyphs
from genens_book.measures import classifier, stats
from genens_book.measures.distances import every_pair
from genens_book.measures.stats import Interval

FRESH = 1  # the seed of pictures that no member has seen


@dataclass(frozen=True)
class Late:
    """The last steps of a schedule: what sampling takes of one, from step `first` on."""

    whole: Schedule
    first: int

    def __len__(self) -> int:
        return len(self.whole) - self.first

    def __getattr__(self, name: str) -> np.ndarray:
        if name not in ("t", "a", "b", "c", "bar"):
            raise AttributeError(name)
        return getattr(self.whole, name)[self.first :]


@dataclass(frozen=True)
class Groups:
    """The super samples of an ensemble with planted groups: codes (K, n), one each, single images first; `first`, the
    row of the first group; sizes (G,); names of the groups."""

    codes: np.ndarray
    first: int
    sizes: np.ndarray
    names: tuple[str, ...]


def groups(manifest: Mapping, codes: np.ndarray, images: data.Dataset) -> Groups:
    """Of an ensemble whose recipe has `groups`, its codes (N, n) and its images. ValueError without any."""
    labels = manifest["recipe"].get("groups", [])
    if not labels:
        raise ValueError("expected an ensemble with planted groups (`groups` in its recipe), got one without")
    which = coding.super_samples(images.labels.numpy(), labels)
    _, rows = np.unique(which, return_index=True)
    sizes = np.bincount(which)[-len(labels) :]
    return Groups(codes[rows], len(rows) - len(labels), sizes, tuple(images.classes[label] for label in labels))


def started(
    indices: Sequence[int],
    members: Ensemble,
    seed: int,
    steps: Schedule,
    first: int,
    each: int,
    per_step: int,
    tangents: str,
) -> dict[str, Tensor]:
    """To be stored: samples and Jacobians, as `jacobians.jacobians` has them, that start at step `first` from pictures
    with so much noise: `each` fresh ones of every shape, number i being of shape i // each."""
    late = Late(steps, first)
    fresh = {shape: glyphs.draw(shape, each, FRESH) for shape in glyphs.SHAPES}
    pictures = torch.from_numpy(np.stack([fresh[list(fresh)[i // each]][i % each] for i in indices]))
    noise = torch.stack([torch.randn(len(late) + 1, *members.shape, generator=generator(seed, i, 7)) for i in indices])
    bar = float(late.bar[0])
    noise[:, 0] = bar**0.5 * data.to_unit(pictures) + (1 - bar) ** 0.5 * noise[:, 0]
    y, J = jacobians.jacobian(members, noise, late, None, per_step, tangents)
    return {"y": y, "jacobian": J.contiguous()}


def shown(y: np.ndarray, images: data.Dataset, labels: Sequence[int]) -> np.ndarray:
    """Which group each sample (B, C, H, W) shows: that of the nearest training image, -1 for a digit: int64 (B,)."""
    apart = every_pair(torch.as_tensor(y).clamp(-1, 1), data.to_unit(images.images))
    return classifier.row_of(images.labels.numpy()[apart.argmin(1)], labels)


@dataclass(frozen=True)
class Found:
    """How a search found one group, for samples of it: place among all super samples (the best is 1) and p, (B,); its
    share of the members' variance, (B,), what it adds to the noise taken off; `shows`, the samples that show it."""

    name: str
    size: int
    place: np.ndarray
    p: np.ndarray
    r: np.ndarray
    shows: int


def search(J: np.ndarray, group: int, known: Groups, shows: int, ridge: bool = False) -> Found:
    """J (B, n, C, H, W), of samples of a group; see `Found`. The place is by the matched filter, or by ridge
    regression."""
    gram = jacobians.gram(jacobians.centred(J))
    h, row = int(known.codes[0].sum()), known.first + group
    used = attribution.ridge(gram, known.codes) if ridge else gram
    scores = attribution.influence(used, known.codes)
    place = 1 + (scores > scores[:, row : row + 1] * (1 + 1e-12)).sum(1)
    own = attribution.Top(np.full((len(J), 1), row), scores[:, row : row + 1])
    p = attribution.by_chance(used, own, h).p[:, 0]
    return Found(known.names[group], int(known.sizes[group]), place, p, shares(gram, known.codes[row]), shows)


def shares(gram: np.ndarray, code: np.ndarray) -> np.ndarray:
    """r of the images under one code: their squared effect, less what noise adds to its estimate, over the rest of the
    members' variance; (B,) of gram (B, n, n) of centred columns, at least 0."""
    n, h = len(code), int(code.sum())
    squares = (n / h * attribution.influence(gram, code[None])[:, 0]) ** 2
    total = np.trace(gram, axis1=1, axis2=2) * n / (h * (n - h))  # on average, all squared effects and the noise
    A = ((n - 1) * squares - total) / (n - 2)  # because the squares are on average A + (total - A) / (n - 1)
    A = np.clip(A, 0, 0.999 * total)
    return A / (total - A)


def foreseen(known: Groups, n: int, noise: float, d: float) -> list[float]:
    """The power with which the law, before anything is trained, would find each group at level 5 % among all super
    samples, were all images alike; noise as in `identification.group_needed`."""
    N, K = known.first + int(known.sizes.sum()), len(known.codes)
    return [identification.power(n, g / (N - g + noise * N), K, d) for g in known.sizes.tolist()]


# ---------------------------------------------------------------- members trained twice


def together(members: Ensemble, twins: Ensemble) -> Ensemble:
    """Both ensembles' members in one, for Jacobians at the mixture of the first (the others without weight)."""
    codes = np.hstack([members.codes, twins.codes])
    engine = "openvino" if type(members._passes[0]).__name__ == "Compiled" else "eager"
    models = [*members.models, *twins.models]
    return Ensemble(models, codes, members.shape, members.digest + twins.digest, engine=engine)


def beside(
    indices: Sequence[int], members: Ensemble, twins: Ensemble, seed: int, steps: Schedule, per_step: int, tangents: str
) -> dict[str, np.ndarray]:
    """To be stored: {"gram": (B, n + k, n + k)} of the centred columns of the members' Jacobian and of what k twins
    would add, at the mixture of the members alone."""
    mixture = np.concatenate([coding.uniform(members.n), np.zeros(twins.n)])
    both = together(members, twins)
    noise = jacobians.exogenous(indices, members, seed, steps)
    _, J = jacobians.jacobian(both, noise, steps, mixture, per_step, tangents)
    J = J.double() - J[:, : members.n].double().mean(1, keepdim=True)
    return {"gram": jacobians.gram(J)}


def training_noise(gram: np.ndarray, n: int, seed: int) -> tuple[Interval, float]:
    """The share of the members' variance that another training of the same members has too, by bootstrap over samples,
    and the same over the share that is not (what `identification.lds` calls noise); gram (B, n + k, n + k) as from
    `beside`, twin j of member j."""
    k = gram.shape[1] - n
    diagonal = np.diagonal(gram, axis1=1, axis2=2)
    twins = [diagonal[:, j] + diagonal[:, n + j] - 2 * gram[:, j, n + j] for j in range(k)]
    noise, variance = np.mean(twins, axis=0) / 2, diagonal[:, :n].sum(1) / (n - 1)
    share = stats.bootstrap(np.stack([noise, variance], 1), _ratio, seed=seed)
    return share, float(share.value / max(1 - share.value, 1e-9))


def _ratio(values: np.ndarray, axis: int) -> np.ndarray:
    noise, variance = np.moveaxis(values.sum(axis=axis), -1, 0)
    return noise / variance
