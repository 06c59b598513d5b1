"""The identification law where everything is known: optimal denoisers of small sets of digits, thousands of members.

A member is the optimal denoiser of its images in closed form (`genens.closed_form`), and what it makes of a noised
digit is the image that it predicts. Training adds no noise here, and what leaving an image out does is exact. One image
of the set is looked for: the one whose absence changes the prediction of the denoiser of the whole set most.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from math import comb

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor
from torch.nn.functional import avg_pool2d

from genens import attribution, data
from genens import codes as coding
from genens.schedules import alpha_bars
from genens.seeds import generator
from genens.theory import identification
from genens_book.measures import stats
from genens_book.measures.stats import Interval

SIDE = 14  # pixels: half of MNIST's
K = 10  # images in a list
DRAWS = 100  # of all scores, by the law
CODEBOOKS = ("random", "balanced", "without complements")
DIRECTIONS = 16  # principal ones of the members' predictions, which the lasso is given
SPARSITY = 0.1  # the lasso's penalty, as a share of the one that leaves no image in


def trials(
    indices: Sequence[int], sizes: Sequence[int], times: Sequence[int], members: Sequence[int], seed: int
) -> dict[str, np.ndarray]:
    """To be stored: what ensembles find of noised digits `indices`, at every time, among sets of every size, with every
    number of members, (len(indices), sizes, times, members); NaN where there are fewer codes than images.

    "hit": the share (0 or 1) of lists whose first image is the one looked for; "recall": of the K images whose absence
    changes most, how many are in the list of K; "hit_law", "recall_law": what the law expects of the two, by drawing
    scores; "nr", "nr_k": n times the share r of the image looked for, and of the K together (their mean).
    """
    shape = (len(indices), len(sizes), len(times), len(members))
    names = ("hit", "recall", "hit_law", "recall_law", "nr", "nr_k")
    found = {name: np.full(shape, np.nan) for name in names}
    for i, index in enumerate(indices):
        for s, N in enumerate(sizes):
            for t, time in enumerate(times):
                one = _Law(N, time, seed, index, max(members))
                for m, n in enumerate(members):
                    if comb(n, n // 2) >= N:
                        for name, value in one.law(n).items():
                            found[name][i, s, t, m] = value
    return found


def decoding(
    indices: Sequence[int], N: int, times: Sequence[int], members: Sequence[int], seed: int
) -> dict[str, np.ndarray]:
    """To be stored: {"recall": (len(indices), times, members, CODEBOOKS, DECODERS)}, as in `trials`, among N images."""
    shape = (len(indices), len(times), len(members), len(CODEBOOKS), len(DECODERS))
    recall = np.full(shape, np.nan)
    for at in np.ndindex(shape[:-1]):
        index, time, n, book = indices[at[0]], times[at[1]], members[at[2]], CODEBOOKS[at[3]]
        one, codes = _Probe(N, time, seed, index), _codes(N, n, seed, book)
        if codes is not None:
            J = predictions(one.logits, one.data, codes)
            recall[at] = [found(decoder(J, codes), one.first)[1] for decoder in DECODERS.values()]
    return {"recall": recall}


class _Probe:
    """A noised digit in front of a set of N others, and what leaving each of them out changes."""

    def __init__(self, N: int, t: int, seed: int, index: int) -> None:
        self.draws = np.random.default_rng([seed, index, N])
        rows = self.draws.permutation(len(_digits()))[: N + 1]
        self.data = _digits()[rows[:N]]
        bar, noise = alpha_bars()[t], torch.randn(SIDE**2, generator=generator(seed, index), dtype=torch.float64)
        x = bar**0.5 * _digits()[rows[N]] + (1 - bar) ** 0.5 * noise
        self.logits = (bar**0.5 * (self.data @ x) - bar * self.data.square().sum(1) / 2) / (1 - bar)
        self.truth = left_out(self.logits, self.data)
        self.first = np.argsort(-self.truth, kind="stable")[:K]


class _Law(_Probe):
    """What the law needs to know of it, from an ensemble of `reference` members."""

    def __init__(self, N: int, t: int, seed: int, index: int, reference: int) -> None:
        super().__init__(N, t, seed, index)
        self.seed, codes = seed, _codes(N, reference, seed + 1, "random")
        J = predictions(self.logits, self.data, codes)
        self.variance = float(J.square().sum()) / reference
        # The squared length of each estimate less the part that noise has in it, made to rise with the truth.
        squares = matched(J, codes) ** 2 - 4 * self.variance / reference
        self.A = IsotonicRegression(y_min=0).fit_transform(self.truth, squares)
        self.d = identification.dimension((J.T @ J).numpy())
        self.shares = self.A / (4 * self.variance - self.A)

    def law(self, n: int) -> dict[str, float]:
        """See `trials`: of an ensemble of n members, weight n / 2."""
        codes = _codes(len(self.data), n, self.seed, "random")
        hit, recall = found(matched(predictions(self.logits, self.data, codes), codes), self.first)
        noise = (4 * self.variance - self.A) / n  # of each estimate: its mean squared length
        expected = self.draws.noncentral_chisquare(self.d, self.d * self.A / noise, (DRAWS, len(noise))) * noise
        hits, recalls = zip(*(found(scores, self.first) for scores in expected), strict=True)
        return {
            "hit": hit,
            "recall": recall,
            "hit_law": float(np.mean(hits)),
            "recall_law": float(np.mean(recalls)),
            "nr": float(n * self.shares[self.first[0]]),
            "nr_k": float(n * self.shares[self.first].mean()),
        }


def gaps(trials: Mapping[str, np.ndarray], name: str) -> tuple[Interval, float]:
    """How far "hit" or "recall" lies above what the law expects, where it could lie on either side: over all cells
    (set, time, ensemble, of each digit) in which the law says between 5 and 95 %, but those of the largest ensembles,
    of whose size the law has seen one. Its mean, by Student's t over the digits' means, and the mean size of the cells'
    gaps, each a mean over digits. ValueError for fewer than two digits with such cells."""
    law = trials[f"{name}_law"][..., :-1]
    gap = np.where((law > 0.05) & (law < 0.95), trials[name][..., :-1] - law, np.nan)
    gap = gap[np.isfinite(gap).any(axis=tuple(range(1, gap.ndim)))]
    if len(gap) < 2:
        raise ValueError(f"expected at least two noised digits of which the law is not certain, got {len(gap)}")
    each = np.nanmean(gap.reshape(len(gap), -1), axis=1)
    cells = np.array(
        [cell[np.isfinite(cell)].mean() for cell in gap.reshape(len(gap), -1).T if np.isfinite(cell).any()]
    )
    return stats.student(each), float(np.abs(cells).mean())


def found(scores: np.ndarray, first: np.ndarray) -> tuple[float, float]:
    """Whether the largest score is `first`[0]'s, and which share of `first` is among as many largest; scores (N,)."""
    listed = np.argsort(-scores, kind="stable")[: len(first)]
    return float(listed[0] == first[0]), float(np.isin(first, listed).mean())


@functools.cache
def digits() -> Tensor:
    """MNIST at SIDE pixels, the means of two by two: uint8 (10,000, 1, SIDE, SIDE)."""
    return avg_pool2d(data.load("mnist").images.float(), 2).round().to(torch.uint8)


@functools.cache
def _digits() -> Tensor:
    """The same as float64 (10,000, SIDE^2) in [-1, 1]."""
    return data.to_unit(digits()).flatten(1).double()


@functools.lru_cache(maxsize=32)
def _codes(N: int, n: int, seed: int, book: str) -> np.ndarray | None:
    """Codes of weight n / 2 (N, n), of one of CODEBOOKS; None where there are not so many."""
    if N > comb(n, n // 2) // (2 if book == "without complements" else 1):
        return None
    return {"random": coding.constant_weight, "balanced": balanced, "without complements": without_complements}[book](
        N, n, n // 2, seed
    )


def balanced(N: int, n: int, h: int, seed: int) -> np.ndarray:
    """Different random codes, bits moved from members with many images to members with few until all have about N h /
    n: bool (N, n)."""
    codes, draws = coding.constant_weight(N, n, h, seed), np.random.default_rng([seed, N, n])
    known = {code.tobytes() for code in codes}
    while np.ptp(sizes := codes.sum(0)) > 1:
        most, least = sizes.argmax(), sizes.argmin()
        for x in draws.permutation(np.flatnonzero(codes[:, most] & ~codes[:, least])):
            moved = codes[x].copy()
            moved[[most, least]] = False, True
            if moved.tobytes() not in known:
                known ^= {codes[x].tobytes(), moved.tobytes()}
                codes[x] = moved
                break
        else:
            raise ValueError(f"expected room to balance {N} codes of length {n} and weight {h}, found none")
    return codes


def without_complements(N: int, n: int, h: int, seed: int) -> np.ndarray:
    """Different random codes of weight h = n / 2 of which no two are complementary: bool (N, n)."""
    if n > coding.MAX_RANKED:  # a complement among so many would be a miracle
        return coding.constant_weight(N, n, h, seed)
    every = coding.constant_weight(min(comb(n, h), 4 * N), n, h, seed)
    twins = coding.complements(every)
    return every[(twins < 0) | (twins > np.arange(len(every)))][:N]


def left_out(logits: Tensor, data: Tensor) -> np.ndarray:
    """How far each image's absence moves what the denoiser of all images (N, D) predicts: float64 (N,).

    f_-x - f = w_x / (1 - w_x) (f - x), with the posterior weights w of logits (N,); of the image with the largest, near
    which 1 - w loses what is left, f_-x is worked out by itself."""
    weights, first = torch.softmax(logits, 0), int(logits.argmax())
    whole = weights @ data
    found = weights / (1 - weights).clamp(min=0.5) * (data - whole).norm(dim=1)
    others = torch.arange(len(data)) != first
    found[first] = (torch.softmax(logits[others], 0) @ data[others] - whole).norm()
    return found.numpy()


def predictions(logits: Tensor, data: Tensor, codes: np.ndarray) -> Tensor:
    """What each member predicts, less their mean: float64 (n, D); logits (N,), data (N, D), codes (N, n)."""
    seen = torch.where(torch.from_numpy(codes), logits[:, None], -torch.inf).T.float()
    J = (torch.softmax(seen - seen.amax(1, keepdim=True), 1) @ data.float()).double()
    return J - J.mean(0)


# ---------------------------------------------------------------- decoders


def matched(J: Tensor, codes: np.ndarray) -> np.ndarray:
    """The length of the mean of the columns J (n, D) that saw an image less the mean of the others, (N,): what the
    search has, times n / h."""
    n, h = codes.shape[1], codes[0].sum()
    centred = torch.from_numpy(codes).float() - h / n
    return (centred @ J.float()).norm(dim=1).double().numpy() * (n / (h * (n - h)))


def ridge(J: Tensor, codes: np.ndarray) -> np.ndarray:
    """The same by `attribution.ridge`, (N,)."""
    gram = attribution.ridge((J @ J.T).numpy()[None], codes)[0]
    move = (codes - codes.mean(1, keepdims=True)) / (~codes).sum(1, keepdims=True)
    return np.sqrt(np.einsum("xi,ij,xj->x", move, gram, move).clip(min=0))


def lasso(J: Tensor, codes: np.ndarray) -> np.ndarray:
    """The length of each image's coefficients in a regression that keeps few images, the same ones for all DIRECTIONS
    (`stats.group_lasso`): (N,), most of them 0. A code and its complement are one column, up to its sign,
    and share what it gets."""
    left, strength, _ = np.linalg.svd(J.numpy(), full_matrices=False)
    targets = (left * strength)[:, :DIRECTIONS]
    columns, column_of = np.unique(codes ^ codes[:, :1], axis=0, return_inverse=True)
    kept = stats.group_lasso(columns.T - columns.mean(1), targets, SPARSITY)
    return np.linalg.norm(kept, axis=1)[column_of.ravel()]


DECODERS: dict[str, Callable[[Tensor, np.ndarray], np.ndarray]] = {
    "matched filter": matched,
    "ridge regression": ridge,
    "lasso": lasso,
}
