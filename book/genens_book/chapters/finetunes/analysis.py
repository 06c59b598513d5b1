"""What the chapter on fine-tunes shows: samples without an image, how sure a list is, what the law expects, what is
left of a removed image."""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb

import numpy as np
import torch
from scipy import optimize
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from genens import codes as coding
from genens import finetunes, unlearn
from genens.finetunes import Averaged
from genens.sampling import exogenous, sample
from genens.schedules import Schedule
from genens.theory import identification
from genens.unet import UNet
from genens_book.chapters.finetunes import estimators, gradients
from genens_book.chapters.finetunes.truth import Truth
from genens_book.measures import stats
from genens_book.measures.stats import Interval

SURE = 0.8  # the power that a plan asks for


# ---------------------------------------------------------------- single images


def whole(members: Averaged, added: Tensor) -> Tensor:
    """How the weights change with all images at once, (Q,): the members' mean, and of what every image adds to them (N,
    Q) the share that their mean lacks."""
    share = torch.from_numpy(1 - members.codes.mean(axis=1)).to(members.differences)
    return members.differences.mean(0) + share @ added


def effects(members: Averaged) -> Tensor:
    """What every image adds to the weights, by ridge regression: (N, Q)."""
    decoder = estimators.ridge(members.codes, estimators.products(members.differences))
    return estimators.decoded(decoder, members.differences)


def without(indices: Sequence[int], members: Averaged, steps: Schedule, samples: int, seed: int) -> dict[str, Tensor]:
    """To be stored: {"y": (K, B, C, H, W)}, the samples of the network of all images less what each of the images
    `indices` adds to it; of index N, less nothing."""
    added = effects(members)
    less = torch.cat([added, torch.zeros_like(added[:1])])[list(indices)]
    noise = exogenous(range(samples), members, seed, steps)
    return {"y": estimators.drawn(members, whole(members, added) - less, noise, steps)}


def fresh(codes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Codes that no image has, as many as asked for or as there are, drawn as theirs were, bool (N, n): bool (K, n)."""
    (N, n), h = codes.shape, int(codes[0].sum())
    drawn = coding.constant_weight(min(comb(n, h), N + count), n, h, seed)
    taken = {code.tobytes() for code in codes}
    return np.stack([code for code in drawn if code.tobytes() not in taken][:count])


def p_values(
    indices: Sequence[int], codes: np.ndarray, drawn: Tensor | np.ndarray, others: np.ndarray, penalty: float
) -> dict[str, np.ndarray]:
    """To be stored: {"p": (K, N)}, for the samples `indices` whether each image has an effect on them at all, by what
    it would have had under each of other codes, bool (M, n) (`estimators.decoys`). drawn: (n, B, C, H, W), what members
    draw each by itself."""
    rows = []
    for b in indices:
        found, theirs = estimators.decoys(
            codes, estimators.products(torch.as_tensor(drawn[:, b]).flatten(1)), others, penalty
        )
        rows.append((1 + (theirs >= found[:, None]).sum(axis=1)) / (1 + len(others)))
    return {"p": np.stack(rows)}


# ---------------------------------------------------------------- what retraining says of itself


def repeated(true: Truth, k: int) -> dict[str, Interval]:
    """How far the truth under one seed of training is the truth under another, over samples: rank correlation of the
    lengths, hit@1, recall of k."""
    pairs = [(i, j) for i in range(len(true.lengths)) for j in range(i)]
    sides = [(true.lengths[i], true.lengths[j]) for i, j in pairs]
    by_sample = {
        "spearman": [[spearmanr(*one)[0] for one in zip(a.T, b.T, strict=True)] for a, b in sides],
        "hit@1": [estimators.hit(*side) for side in sides],
        f"recall@{k}": [estimators.hit(*side, k) for side in sides],
    }
    return {name: stats.student(np.mean(values, axis=0)) for name, values in by_sample.items()}


def seeds_apart(true: Truth) -> Interval:
    """How far samples from the same noise lie apart under two seeds of training, all images in either."""
    pairs = [(i, j) for i in range(len(true.y)) for j in range(i)]
    apart = torch.stack([(true.y[i] - true.y[j]).flatten(1).norm(dim=1) for i, j in pairs])
    return stats.student(apart.mean(0))


# ---------------------------------------------------------------- the law


def noise_share(codes: np.ndarray, gram: np.ndarray) -> float:
    """The part of the members' variance that no sum over images explains, over the part that one does: what a ridge
    regression misses of left-out members, less what it would miss for want of members."""
    (N, n), missed = codes.shape, estimators.unexplained(codes, gram)

    def short(log_s: float) -> float:
        s = math.exp(log_s)
        return (s + 1 / (1 + identification.decoded(n, N, s))) / (1 + s) - missed

    ends = -12.0, 8.0
    if short(ends[0]) >= 0:
        return 0.0
    return math.exp(optimize.brentq(short, *ends)) if short(ends[1]) > 0 else math.inf


def noise_in_samples(codes: np.ndarray, drawn: Tensor | np.ndarray) -> float:
    """The same of members' samples, (n, B, C, H, W): the median over samples."""
    values = torch.as_tensor(drawn).flatten(2).transpose(0, 1)  # (B, n, m)
    return float(np.median([noise_share(codes, estimators.products(one)) for one in values]))


def expected(lengths: np.ndarray, beta: float, d: np.ndarray, k: int, seed: int, draws: int = 64) -> float:
    """The share of the k images of largest effect that the law expects among the k largest estimates, over samples.

    lengths (N, B): the true effects'; beta: how often the mean squared length of an effect is that of its error
    (`identification`), d (B,): how many directions the error has. An estimate's squared length is then, over its
    error's, noncentral chi-square.
    """
    rng, shares = np.random.default_rng(seed), []
    for true, directions in zip(np.square(lengths.T), d, strict=True):
        size = directions * beta * true / true.mean()
        seen = rng.noncentral_chisquare(directions, size, (draws, len(true)))
        best = rankdata(-true, "ordinal") <= k
        shares.append((rankdata(-seen, "ordinal", axis=1)[:, best] <= k).mean())
    return float(np.mean(shares))


def dimensions(drawn: Tensor | np.ndarray) -> np.ndarray:
    """The effective dimension of what members' samples differ in, (n, B, C, H, W): for each sample (B,)."""
    values = torch.as_tensor(drawn).flatten(2)
    centred = (values - values.mean(0)).transpose(0, 1)  # (B, n, m)
    return np.array([identification.dimension(estimators.products(one), len(values)) for one in centred])


def curves(
    true: Truth, d: np.ndarray, counts: Sequence[int], noise: float, k: int, seed: int
) -> dict[str, list[float]]:
    """Recall of k at numbers of members, as the law expects it of the matched filter and of a ridge regression, with a
    share of noise."""
    N, lengths = true.lengths.shape[1], true.lengths[0]
    of = partial(expected, lengths, d=d, k=k, seed=seed)
    return {
        "matched filter": [of(beta=n / N / (1 + noise)) for n in counts],
        "ridge regression": [of(beta=min(identification.decoded(n, N, noise), 1e6)) for n in counts],
    }


# ---------------------------------------------------------------- a removed image


def from_retrained(members: Averaged, true: Truth, row: int) -> dict[str, Tensor]:
    """To be stored: {"apart": (B,)}, how far samples of the network that is left when an image is removed lie from
    those of the one retrained without it."""
    y = sample(unlearn.unlearned(members, [row]), true.noise(members), true.steps)[0]
    return {"apart": (y - true.y[0] - true.moved[row]).flatten(1).norm(dim=1)}


def memberships(members: Averaged, images: Tensor, others: Tensor, seed: int) -> dict[str, np.ndarray]:
    """To be stored: by how much fine-tuning lowers an image's denoising loss, at the same noise and times before and
    after. "kept" (N,): of images in the network of all members; "removed" (R,): of each of the images `rows` (R,),
    which some member lacks, in the network without it; "never" (M,): of others (M, C, H, W) in the network of all
    members. images, others: in [-1, 1]."""
    base, mean = (members.mean(v).models[0] for v in (np.zeros(members.n), coding.uniform(members.n)))
    looks = [gradients.looks(len(x), x.shape[1:], base.config.T, seed + k) for k, x in enumerate((images, others))]
    sides = [[*zip(x, *looked, strict=True)] for x, looked in zip((images, others), looks, strict=True)]

    @torch.no_grad()
    def losses(network: UNet, side: list) -> np.ndarray:
        return np.array([gradients.values(network, *one).item() for one in side])

    rows, before = np.flatnonzero(~members.codes.all(axis=1)), losses(base, sides[0])
    after = [losses(unlearn.unlearned(members, [row]).models[0], sides[0][row : row + 1])[0] for row in rows]
    return {
        "kept": before - losses(mean, sides[0]),
        "rows": rows,
        "removed": before[rows] - np.array(after),
        "never": losses(base, sides[1]) - losses(mean, sides[1]),
    }


def removable(codes: np.ndarray, wanted: np.ndarray | None = None) -> list[int]:
    """The row of one image to remove: the first of those `wanted` that some member lacks, else the first of all."""
    lacked = np.flatnonzero(~codes.all(axis=1))
    there = lacked if wanted is None else np.intersect1d(wanted, lacked)
    return [int((there if len(there) else lacked)[0])]


def removable_pairs(codes: np.ndarray) -> float:
    """The share of pairs of images, codes (N, n), that can be removed together: some member lacks both."""
    lacking = (~codes).astype(np.float32)
    both = lacking @ lacking.T > 0
    return float(both[np.triu_indices(len(codes), 1)].mean())


def timed(members: Averaged, rows: Sequence[int]) -> dict[str, np.ndarray]:
    """To be stored: {"seconds": ()}, that it takes to have the network without the images `rows`."""
    began = time.perf_counter()
    unlearn.unlearned(members, rows)
    return {"seconds": np.array(time.perf_counter() - began)}


# ---------------------------------------------------------------- what was planted


@dataclass(frozen=True)
class Planted:
    """Of one kind: how far a sample moves without one of these images, over the median of all images, by retraining and
    by an estimator; and the mean cosine of the two changes of a pair. NaN where there are no pairs."""

    kind: str
    count: int
    true: float
    found: float
    true_cosine: float
    found_cosine: float


def of_planted(true: Truth, moved: np.ndarray | Tensor, planted: Mapping[str, np.ndarray]) -> list[Planted]:
    """A line for each kind, {kind: rows (G, 2) or (G, 1)}, and one for pairs of images that were not planted. moved:
    (N, B, C, H, W), how an estimator says that samples move without each image."""
    sides = true.moved, torch.as_tensor(moved)
    every = np.concatenate([rows.ravel() for rows in planted.values()])
    others = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(len(true.moved)), every))
    pairs = {**planted, "not planted": others[: 2 * (len(others) // 2)].reshape(-1, 2)}
    size = [side.flatten(2).norm(dim=2) for side in sides]  # (N, B)
    found = []
    for kind, rows in pairs.items():
        lengths = [float((one[rows.ravel()] / one.median(dim=0).values).mean()) for one in size]
        cosines = [math.nan] * 2
        if rows.shape[1] == 2:
            cosines = [float(torch.cosine_similarity(*side[rows.T].flatten(3), dim=2).mean()) for side in sides]
        found.append(Planted(kind, len(rows), *lengths, *cosines))
    return found


# ---------------------------------------------------------------- plans


@dataclass(frozen=True)
class Plan:
    """To find single images of N: members, hours of one core, bytes; group: how many images must share a code for as
    many members as were trained here."""

    N: int
    members: float
    hours: float
    bytes: float
    group: float


def members_needed(N: int, noise: float, d: float, alpha: float = 0.05) -> float:
    """The number of members n at which a ridge regression finds an image of N like ones with power SURE, at a level
    alpha over all of them (Bonferroni)."""
    beta = identification.members_needed(1.0, N, d, alpha, SURE)  # n r at which it is reached
    return N * beta * (noise + 1 / (1 + beta))


def plans(sizes: Sequence[int], noise: float, d: float, n: int, density: float, rate: float, each: float) -> list[Plan]:
    """For each number of images N. noise, d: as measured; n: the members here; density: the share of images that a
    member is trained on; rate: seconds that an image of a member takes, each: bytes of a member."""
    found = []
    for N in sizes:
        needed = members_needed(N, noise, d)
        seen = partial(_groups_seen, N=N, n=n, noise=noise, d=d)
        groups = 1 + bisect.bisect_left(range(1, N), True, key=seen)
        found.append(Plan(N, needed, needed * density * N * rate / 3600, needed * each, groups))
    return found


def _groups_seen(g: int, N: int, n: int, noise: float, d: float) -> bool:
    return members_needed(math.ceil(N / g), noise, d) <= n


def bytes_of(manifest: Mapping) -> float:
    """Bytes of a member on disk."""
    return manifest["files"][finetunes.DIFFERENCES]["bytes"] / manifest["n"]
