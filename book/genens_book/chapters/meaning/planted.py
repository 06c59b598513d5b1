"""Planted truth: groups of pictures that no digit resembles, each group under one code; and members trained twice.

Whoever draws such a picture has it from its group and from nowhere else, so the group is what a search should find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from genens import attribution, data, jacobians, sampling
from genens import codes as coding
from genens.ensemble import Ensemble
from genens.schedules import Schedule
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

    @property
    def images(self) -> int:
        """How many there are, in groups and single ones."""
        return self.first + int(self.sizes.sum())


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


def complemented(known: Groups) -> int:
    """How many groups have a code whose complement is in use: no search by length can tell the two apart."""
    return int((coding.complements(known.codes)[known.first :] >= 0).sum())


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
    `jacobians.jacobians` has it; and (B, C, H, W) from the same noise, "without" the members that saw the group, and
    "placebo", without as many others, by a code of a single image drawn for each sample."""
    late = Late(steps, first)
    fresh = [glyphs.draw(name, each, FRESH) for name in known.names]
    pictures = torch.from_numpy(np.stack([fresh[i // each][i % each] for i in indices]))
    noise = sampling.exogenous(indices, members, seed, late)
    noise = noise.tensor() if isinstance(noise, sampling.Noise) else noise
    bar = float(late.bar[0])
    noise[:, 0] = bar**0.5 * data.to_unit(pictures).to(noise) + (1 - bar) ** 0.5 * noise[:, 0]
    y, J = jacobians.jacobian(members, noise, late, None, per_step, tangents)
    others = [int(np.random.default_rng([seed, i]).integers(known.first)) for i in indices]
    ablated = np.stack([known.own[np.asarray(indices) // each], known.codes[others]])
    mixtures = coding.ablations(ablated.reshape(-1, members.n)).reshape(*ablated.shape)
    without, placebo = sampling.sample(members, noise, late, mixtures)
    made = {"y": y, "jacobian": J.contiguous(), "without": without, "placebo": placebo}
    return {"start": noise[:, 0].clone(), **made}


def shown(y: np.ndarray, images: data.Dataset, known: Groups) -> np.ndarray:
    """Which group each sample (B, C, H, W) shows: that of the nearest training image, -1 for none: int64 (B,)."""
    apart = every_pair(torch.as_tensor(y).clamp(-1, 1), data.to_unit(images.images))
    return classifier.row_of(images.labels.numpy()[apart.argmin(1)], known.labels)


def picked(drawn: Mapping[str, np.ndarray], images: data.Dataset, known: Groups, each: int) -> np.ndarray:
    """A sample to look at for each group, of those that started from it: the first that shows it and loses it without
    its members, else the first that shows it, else the first: int64 (G,)."""
    own = np.arange(len(drawn["y"])) // each
    shows, keeps = (shown(drawn[name], images, known) == own for name in ("y", "without"))
    worth = (2 * (shows & ~keeps) + (shows & keeps)).reshape(-1, each)
    return worth.argmax(1) + each * np.arange(len(worth))


@dataclass(frozen=True)
class Found:
    """How searches for one group, in the B samples that show it, end. place: by decoder, where it stands among all
    super samples, (B,), 1 for the first, equal ones sharing their places; r: its share of the members' variance, (B,),
    what it adds to the noise taken off; lost, placebo: whether a sample shows it no more without the members that saw
    it, or without as many others, bool (B,)."""

    name: str
    size: int
    place: dict[str, np.ndarray]
    r: np.ndarray
    lost: np.ndarray
    placebo: np.ndarray

    def __len__(self) -> int:
        return len(self.r)

    def first(self, decoder: str) -> int:
        """In how many samples a decoder has the group first, with none but its complement beside it."""
        return int((self.place[decoder] < 2).sum())


def search(J: np.ndarray, group: int, known: Groups, lost: np.ndarray, placebo: np.ndarray) -> Found:
    """J (B, n, C, H, W), of samples of a group, B may be 0; see `Found`."""
    name, size, row = known.names[group], int(known.sizes[group]), known.first + group
    if not len(J):
        none = np.zeros(0)
        return Found(name, size, dict.fromkeys(testbed.DECODERS, none), none, lost, placebo)
    J = jacobians.centred(J).double().flatten(2)
    gram = jacobians.gram(J[..., None])
    place = {
        name: np.array([rankdata(-decoder(one, known.codes))[row] for one in J])
        for name, decoder in testbed.DECODERS.items()
    }
    return Found(name, size, place, shares(gram, known.codes[row]), lost, placebo)


def searches(drawn: Mapping[str, np.ndarray], images: data.Dataset, known: Groups) -> list[Found]:
    """Every group in the samples that show it; drawn as from `started`."""
    shows, without, placebo = (shown(drawn[name], images, known) for name in ("y", "without", "placebo"))
    return [
        search(drawn["jacobian"][there], g, known, without[there] != g, placebo[there] != g)
        for g in range(len(known.names))
        for there in [shows == g]
    ]


def shares(gram: np.ndarray, code: np.ndarray) -> np.ndarray:
    """r of the images under one code: their squared effect, less what noise adds to its estimate, over the rest of the
    members' variance; (B,) of gram (B, n, n) of centred columns, at least 0."""
    n, h = len(code), int(code.sum())
    squares = (n / h * attribution.influence(gram, code[None])[:, 0]) ** 2
    total = np.trace(gram, axis1=1, axis2=2) * n / (h * (n - h))  # on average, all squared effects and the noise
    A = ((n - 1) * squares - total) / (n - 2)  # because the squares are on average A + (total - A) / (n - 1)
    A = np.clip(A, 0, 0.999 * total)
    return A / (total - A)


def spectrum(gram: np.ndarray) -> np.ndarray:
    """The shares of the principal directions in the variance of the columns of J, the mean over samples: float64 (n -
    1,), of gram (B, n, n) of centred columns."""
    values = np.linalg.eigvalsh(gram)[:, 1:].clip(min=0)
    return (values / values.sum(1, keepdims=True)).mean(0)


def foreseen(
    known: Groups, spectrum: np.ndarray, noise: float, seed: int, aligned: bool, draws: int = 100
) -> dict[str, float]:
    """How often the law would have each group first among all super samples, with none but its complement beside it, by
    name: columns of J are drawn by its model, with the codes in use.

    All images have effects of one length, of independent normal directions with this `spectrum` (D,), as the errors of
    training have, which make up `noise` times as much of the members' variance (as in `identification.group_needed`).
    Those of a group's images are at right angles, or `aligned`, and then g of them are g and not sqrt(g) as long.
    """
    rng, codes = np.random.default_rng(seed), known.codes.astype(float)
    (K, n), h, G = codes.shape, int(known.codes[0].sum()), len(known.names)
    centred, unit = codes - h / n, np.sqrt(spectrum / spectrum.sum())
    N, first = known.images, np.zeros(G)
    for _ in range(draws):
        effects = rng.normal(size=(K, len(unit))) * unit
        effects[known.first :] *= np.sqrt(known.sizes)[:, None]
        errors = rng.normal(size=(n, len(unit))) * unit * np.sqrt(noise * N * h * (n - h)) / n
        estimates = centred @ (codes.T @ effects + errors)
        for g, size in enumerate(known.sizes.tolist()):
            row, more = known.first + g, np.sqrt(size) - 1 if aligned else 0.0
            scores = np.linalg.norm(estimates + more * np.outer(centred @ codes[row], effects[row]), axis=1)
            first[g] += rankdata(-scores.round(9))[row] < 2
    return dict(zip(known.names, (first / draws).tolist(), strict=True))


def from_size(sizes: Sequence[int], shares: Sequence[float]) -> int | None:
    """The size of the smallest group from which on all are found at least half of the time; None where the largest is
    not."""
    least = None
    for size, share in sorted(zip(sizes, shares, strict=True), reverse=True):
        if not share >= 0.5:
            break
        least = size
    return least


def found_from(found: Sequence[Found], decoder: str) -> int | None:
    """The same of searches; a group that no sample shows is not found."""
    return from_size([one.size for one in found], [one.first(decoder) / max(len(one), 1) for one in found])


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


@dataclass(frozen=True)
class Training:
    """What another training of the same members changes, of their variance: `share`, the mean over samples with its
    bootstrap interval, and `each` twin's own; `of_sums`, the same of all samples' squares together, which the samples
    with the largest Jacobians decide."""

    share: Interval
    each: tuple[float, ...]
    of_sums: float

    @property
    def least(self) -> float:
        """The lower end of the share over the rest of the variance: what `identification.lds` calls noise."""
        return max(self.share.low, 0.0) / max(1 - self.share.low, 1e-9)


def training_noise(gram: np.ndarray, n: int, seed: int) -> Training:
    """From gram (B, n + k, n + k) as from `beside`, twin j of member j: half the squared distance between twins, over
    the members' variance."""
    k = gram.shape[1] - n
    diagonal = np.diagonal(gram, axis1=1, axis2=2)
    halves = np.stack([(diagonal[:, j] + diagonal[:, n + j] - 2 * gram[:, j, n + j]) / 2 for j in range(k)], axis=1)
    variance = diagonal[:, :n].sum(1, keepdims=True) / (n - 1)
    shares = halves / variance  # (B, k)
    each = tuple(shares.mean(0).tolist())
    return Training(stats.bootstrap(shares.mean(1), seed=seed), each, float(halves.mean(1).sum() / variance.sum()))
