"""Planted truth: groups of pictures that no digit resembles, each group under one code; and members trained twice.

Whoever draws such a picture has it from its group and from nowhere else, so the group is what a search should find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from genens import attribution, data, jacobians, recipe, sampling, store
from genens import codes as coding
from genens.ensemble import Ensemble
from genens.schedules import Schedule
from genens.theory import identification
from genens_book.chapters.meaning import glyphs, testbed
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
    row of the first group; sizes (G,), labels and names of the groups."""

    codes: np.ndarray
    first: int
    sizes: np.ndarray
    labels: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def own(self) -> np.ndarray:
        """The groups' codes, (G, n)."""
        return self.codes[self.first :]


def images(manifest: Mapping) -> data.Dataset:
    """The images that an ensemble was trained on; a path in its recipe is meant from the book's folder. Raises as
    `recipe.trained_on`."""
    with chdir(store.home()):
        return recipe.trained_on(manifest)


def groups(manifest: Mapping, codes: np.ndarray, images: data.Dataset) -> Groups:
    """Of an ensemble whose recipe has `groups`, its codes (N, n) and its images. ValueError without any."""
    labels = manifest["recipe"].get("groups", [])
    if not labels:
        raise ValueError("expected an ensemble with planted groups (`groups` in its recipe), got one without")
    which = coding.super_samples(images.labels.numpy(), labels)
    _, rows = np.unique(which, return_index=True)
    sizes = np.bincount(which)[-len(labels) :]
    names = tuple(images.classes[label] for label in labels)
    return Groups(codes[rows], len(rows) - len(labels), sizes, tuple(labels), names)


def first_step(steps: Schedule, time: int) -> int:
    """The first step of a schedule that is taken at `time` or below. ValueError where there is none."""
    if not (there := np.flatnonzero(np.asarray(steps.t) <= time)).size:
        raise ValueError(f"expected a time of {min(steps.t)} or more, the last step's, to start from; got {time}")
    return int(there[0])


def examples(images: data.Dataset, known: Groups) -> np.ndarray:
    """The first training image of each group: float32 (G, C, H, W) in [-1, 1]."""
    rows = [int(np.flatnonzero(images.labels.numpy() == label)[0]) for label in known.labels]
    return data.to_unit(images.images[rows]).numpy()


def started(
    indices: Sequence[int],
    members: Ensemble,
    seed: int,
    steps: Schedule,
    known: Groups,
    first: int,
    each: int,
    per_step: int,
    tangents: str,
) -> dict[str, Tensor]:
    """To be stored: samples that start at step `first` from fresh pictures with as much noise as there is by then,
    number i from a picture of group i // each: "start" and the sample "y" (B, C, H, W); "jacobian" (B, n, C, H, W), as
    `jacobians.jacobians` has it; and "without" (B, C, H, W), the same noise without the group's members."""
    late = Late(steps, first)
    fresh = [glyphs.draw(name, each, FRESH) for name in known.names]
    pictures = torch.from_numpy(np.stack([fresh[i // each][i % each] for i in indices]))
    noise = sampling.exogenous(indices, members, seed, late)
    noise = noise.tensor() if isinstance(noise, sampling.Noise) else noise
    bar = float(late.bar[0])
    noise[:, 0] = bar**0.5 * data.to_unit(pictures).to(noise) + (1 - bar) ** 0.5 * noise[:, 0]
    y, J = jacobians.jacobian(members, noise, late, None, per_step, tangents)
    ablated = coding.ablations(known.own[np.asarray(indices) // each])
    without = sampling.sample(members, noise, late, ablated[None])[0]
    return {"start": noise[:, 0].clone(), "y": y, "jacobian": J.contiguous(), "without": without}


def shown(y: np.ndarray, images: data.Dataset, known: Groups) -> np.ndarray:
    """Which group each sample (B, C, H, W) shows: that of the nearest training image, -1 for none: int64 (B,)."""
    apart = every_pair(torch.as_tensor(y).clamp(-1, 1), data.to_unit(images.images))
    return classifier.row_of(images.labels.numpy()[apart.argmin(1)], known.labels)


@dataclass(frozen=True)
class Found:
    """How searches for one group, in samples that show it (B of them), end. place: by decoder, where it stands `among`
    so many super samples, (B,), 1 for the first, equal ones sharing their places; p: of its influence, (B,); r: its
    share of the members' variance, (B,), what it adds to the noise taken off."""

    name: str
    size: int
    among: int
    place: dict[str, np.ndarray]
    p: np.ndarray
    r: np.ndarray

    def __len__(self) -> int:
        return len(self.p)


def search(J: np.ndarray, group: int, known: Groups) -> Found:
    """J (B, n, C, H, W), of samples of a group; see `Found`."""
    J = jacobians.centred(J).double().flatten(2)
    gram, row = jacobians.gram(J[..., None]), known.first + group
    place = {
        name: np.array([rankdata(-decoder(one, known.codes))[row] for one in J])
        for name, decoder in testbed.DECODERS.items()
    }
    own = attribution.influence(gram, known.codes[row][None])
    top = attribution.Top(np.full(own.shape, row), own)
    p = attribution.by_chance(gram, top, int(known.codes[0].sum())).p[:, 0]
    name, size = known.names[group], int(known.sizes[group])
    return Found(name, size, len(known.codes), place, p, shares(gram, known.codes[row]))


def searches(J: np.ndarray, shows: np.ndarray, known: Groups) -> list[Found]:
    """Every group that some sample shows, by `shown`, in the samples that show it."""
    return [search(J[shows == g], g, known) for g in range(len(known.names)) if (shows == g).any()]


def shares(gram: np.ndarray, code: np.ndarray) -> np.ndarray:
    """r of the images under one code: their squared effect, less what noise adds to its estimate, over the rest of the
    members' variance; (B,) of gram (B, n, n) of centred columns, at least 0."""
    n, h = len(code), int(code.sum())
    squares = (n / h * attribution.influence(gram, code[None])[:, 0]) ** 2
    total = np.trace(gram, axis1=1, axis2=2) * n / (h * (n - h))  # on average, all squared effects and the noise
    A = ((n - 1) * squares - total) / (n - 2)  # because the squares are on average A + (total - A) / (n - 1)
    A = np.clip(A, 0, 0.999 * total)
    return A / (total - A)


def foreseen(known: Groups, n: int, noise: float, d: float) -> dict[str, float]:
    """The power with which the law, before any sample is drawn, would find each group at level 5 % among all super
    samples, were all images alike, by name; noise as in `identification.group_needed`."""
    N, K = known.first + int(known.sizes.sum()), len(known.codes)
    return {
        name: identification.power(n, g / (N - g + noise * N), K, d)
        for name, g in zip(known.names, known.sizes.tolist(), strict=True)
    }


def first(found: Found, decoder: str) -> float:
    """The share of samples in which a decoder lists the group first, with none but its complement beside it."""
    return float((found.place[decoder] < 2).mean())


def from_size(sizes: Sequence[int], shares: Sequence[float]) -> int | None:
    """The size of the smallest group from which on all are found at least half of the time; None where the largest is
    not."""
    least = None
    for size, share in sorted(zip(sizes, shares, strict=True), reverse=True):
        if share < 0.5:
            break
        least = size
    return least


# ---------------------------------------------------------------- members trained twice


def together(members: Ensemble, twins: Ensemble) -> Ensemble:
    """Both ensembles' members in one, for Jacobians at the mixture of the first (the others without weight). Raises
    ValueError unless the twins saw what the first members did."""
    if not np.array_equal(members.codes[:, : twins.n], twins.codes):
        raise ValueError(f"expected twins of the first {twins.n} members, trained on the same images; got others")
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
