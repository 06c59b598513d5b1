"""Experiments on closed-form members: what a bias bound says and leaves out, and ablation against leaving one out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from genens import attribution, closed_form, jacobians
from genens import codes as coding
from genens.sampling import Noise, sample
from genens.schedules import Schedule, alpha_bars
from genens.seeds import generator
from genens.theory import bias
from genens_book.chapters.theory.exact import set_gaps

MAX_ENUMERATED = 12  # images; 2^12 subsets
LEADING = 2 * stats.norm.pdf(1)  # the sharp bound is LEADING * N / M to first order, for M far above N


class Enumerated(closed_form.ClosedForm):
    """f_e, as member 0, and f_e without image j, as member j + 1, for at most 12 images: n = N + 1.

    Paper, Equations 1 and 2, with the normaliser that the second needs: the mean over all 2^N subsets (those without
    image j), the empty one among them.
    """

    def __init__(self, images: Tensor, T: int = 1000) -> None:
        if not 1 <= len(images) <= MAX_ENUMERATED:
            raise ValueError(f"expected at most {MAX_ENUMERATED} images to enumerate subsets of, got {len(images)}")
        super().__init__(images, len(images) + 1, b"", T)
        self._subsets = torch.from_numpy(subsets(len(images)))

    def _mean(self, x: Tensor, t: int, i: int) -> Tensor:
        chosen = self._subsets if i == 0 else self._subsets[~self._subsets[:, i - 1]]
        return self._weights(x, t, chosen).mean(1) @ self.data

    def _weights(self, x: Tensor, t: int, chosen: Tensor) -> Tensor:
        """The posterior weights in each subset, (B, subsets, N); none in the empty one, whose image is then 0."""
        masked = self.logits(x, t)[:, None].masked_fill(~chosen, -torch.inf)
        return torch.softmax(masked, dim=2).nan_to_num(0.0)

    def table(self, x: Tensor, t: int) -> Tensor:
        """The image that each of the 2^N subsets predicts, float64 (2^N, B, C * H * W): set k holds j when bit j is
        1."""
        return (self._weights(x, t, self._subsets) @ self.data).transpose(0, 1)


def subsets(N: int) -> np.ndarray:
    """All subsets of N things: bool (2^N, N), row k holds j when bit j of k is 1."""
    return (np.arange(1 << N)[:, None] >> np.arange(N) & 1).astype(bool)


def probes(images: Tensor, times: Sequence[int], seed: int) -> list[tuple[Tensor, int]]:
    """One noised image for each time, (1, C, H, W) float64 with its t: what a denoiser meets on its way."""
    found = []
    for k, t in enumerate(times):
        bar, start = alpha_bars()[t], closed_form.to_unit(images[k % len(images)][None]).double()
        noise = torch.randn(start.shape, generator=generator(seed, k), dtype=torch.float64)
        found.append((bar**0.5 * start + (1 - bar) ** 0.5 * noise, t))
    return found


def errors(indices: Sequence[int], table: np.ndarray, N: int, n: int, h: int, seed: int) -> dict[str, np.ndarray]:
    """What encoded ensembles with random assignments predict, less f_e: "full" (len(indices), D); and without the last
    image, less f_e without it: "ablated". Assignment k is drawn with the seed (seed, k).

    table: (2^N, D), the prediction of a member trained on each subset (`Enumerated.table`).
    """
    truth, without = table.mean(0), table[: len(table) // 2].mean(0)  # the last image is the highest bit
    full, ablated = [], []
    for k in indices:
        drawn = coding.constant_weight(N, n, h, int(np.random.SeedSequence([seed, k]).generate_state(1)[0]))
        members = table[(drawn.T.astype(np.int64) << np.arange(N)).sum(1)]
        full.append(members.mean(0) - truth)
        ablated.append(members[~drawn[-1]].mean(0) - without)
    return {"full": np.stack(full), "ablated": np.stack(ablated)}


def exact_errors(table: np.ndarray, n: int, h: int, statement: int = 1) -> np.ndarray:
    """The bias itself, (D,): every subset's probability under the codes, less that under the coins, times its value."""
    draws = len(table).bit_length() - 1
    gaps = np.array([float(gap) for gap in set_gaps(draws, n, h, statement)])
    sizes = subsets(draws - (statement - 1)).sum(1)
    return gaps[sizes] @ table[: len(sizes)]


def bias_and_spread(
    images: Tensor, members: Sequence[int], times: Sequence[int], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """To be stored: encoded ensembles of n members on the images (N, C, H, W) against f_e, for each n of `members`,
    both statements: (len(members), 2).

    At one noised image for each of `times`: "exact", the largest bias over pixels, by exact probabilities; "bias", what
    `trials` random assignments give at that pixel, counted in its direction; "error", the standard error of that;
    "spread", the largest standard deviation over pixels; "typical", the root mean square error of one ensemble; and the
    bounds "sharp" and "paper".
    """
    N, enumerated = len(images), Enumerated(images)
    table = np.concatenate([enumerated.table(x, t)[:, 0].numpy() for x, t in probes(images, times, seed)], axis=1)
    names = ("bias", "error", "exact", "spread", "typical", "sharp", "paper")
    found = {name: np.zeros((len(members), 2)) for name in names}
    for row, n in enumerate(members):
        for column, error in enumerate(errors(range(trials), table, N, n, n // 2, seed).values()):
            mean, spread = error.mean(0), error.std(0, ddof=1)
            exact = exact_errors(table, n, n // 2, column + 1)
            at = int(np.abs(exact).argmax())
            limits = [bias.bias_bound(N, n, n // 2, kind, column + 1).value for kind in ("sharp", "paper")]
            signed, top = mean[at] * np.sign(exact[at]), abs(exact[at])
            values = (signed, spread[at] / trials**0.5, top, spread.max(), (error**2).mean() ** 0.5, *limits)
            for name, value in zip(names, values, strict=True):
                found[name][row, column] = value
    return found


def influence(
    indices: Sequence[int], images: Tensor, codes: np.ndarray, seed: int, steps: Schedule
) -> dict[str, Tensor]:
    """To be stored, for the samples `indices` of a seed: how far ablating each of the images (N, C, H, W) moves the
    sample of the ensemble with these codes (N, n), and how far leaving it out moves the sample of the optimal denoiser
    of them all; Euclidean distances, both (B, N).

    "ablation": y(u_-x) against y(u_0), by generating all N counterfactuals; "search": its first-order approximation,
    the length of J (u_-x - u_0), by the Jacobian and the Gram matrix that serve trained members; "left_out": the
    closed-form truth. With the samples themselves, "y" and "y_all" (B, C, H, W). One noise for all.
    """
    members = closed_form.Members(images, codes)
    noise = Noise(seed, indices, members.shape, len(steps))
    mixtures = np.concatenate([coding.uniform(members.n)[None], coding.ablations(codes)])
    y = sample(members, noise, steps, mixtures)
    alone = left_out(closed_form.LeaveOneOut(images), noise, steps)
    distances = [(found[1:] - found[:1]).flatten(2).norm(dim=2).T for found in (y, alone)]
    _, J = jacobians.jacobian(members, noise.tensor().double(), steps)
    found = torch.from_numpy(attribution.influence(jacobians.gram(J), codes))
    return {"ablation": distances[0], "search": found, "left_out": distances[1], "y": y[0], "y_all": alone[0]}


def left_out(denoiser: closed_form.LeaveOneOut, noise: Noise, steps: Schedule, floor: float = 1e-9) -> Tensor:
    """The sample of the optimal denoiser of all images, then without each of them: (N + 1, B, C, H, W).

    An image whose posterior weight stays below `floor` at every step of every sample cannot move it by more than
    rounding; its counterfactual is the sample itself and is not generated. A test compares with generating every one.
    """
    x, weight = noise.draw(0).double(), torch.zeros(len(denoiser.data), dtype=torch.float64)
    for k in range(len(steps)):
        weight = torch.maximum(weight, torch.softmax(denoiser.logits(x, steps.t[k]), 1).amax(0))
        x = steps.a[k] * x + steps.b[k] * denoiser(x, steps.t[k], [0])[0]
    seen = (weight > floor).nonzero().flatten()
    y = noise.draw(0).repeat(1 + len(seen), 1, 1, 1, 1)  # nobody left out, then each of these
    for k in range(len(steps)):
        logits = denoiser.logits(y.flatten(0, 1), steps.t[k]).unflatten(0, y.shape[:2])
        logits[1 + torch.arange(len(seen)), :, seen] = -torch.inf
        image = (torch.softmax(logits, dim=2) @ denoiser.data).view_as(y)
        eps = ((y.double() - steps.bar[k] ** 0.5 * image) / (1 - steps.bar[k]) ** 0.5).to(y.dtype)
        y = steps.a[k] * y + steps.b[k] * eps
        if steps.c[k]:
            y += steps.c[k] * noise.draw(k + 1)
    y = y.clamp(-1, 1)
    return y[:1].repeat(denoiser.n, 1, 1, 1, 1).index_copy(0, 1 + seen, y[1:])


def agreement(ablation: np.ndarray, left_out: np.ndarray) -> dict[str, np.ndarray]:
    """Whether ablation finds what leaving one out finds, for each sample: distances (B, N) in, (B,) out.

    "same": whether the most influential image is the same; "rank": which place the truth's first has in the order by
    ablation, 1 at best; "correlation": Spearman's; "moved": how many images move the sample at all (by more than 0.01).
    """
    first = left_out.argmax(1)
    rank = np.array([(row > row[top]).sum() + 1 for row, top in zip(ablation, first, strict=True)])
    spearman = [stats.spearmanr(a, b).statistic for a, b in zip(ablation, left_out, strict=True)]
    return {
        "same": ablation.argmax(1) == first,
        "rank": rank,
        "correlation": np.array(spearman),
        "moved": (left_out > 0.01).sum(1),
    }


def linearisation(members: closed_form.Members, seed: int, steps: Schedule, distances: Sequence[float]) -> np.ndarray:
    """The error of the first-order expansion of Section 2.4 at v = u_0 + s (u_-x - u_0), x the first image, for each s
    of `distances`: float64 (len(distances),). Its order is the slope against s on logarithmic scales (`order`).

    The derivative along that line is a central difference at s = 1e-5; all in float64.
    """
    noise = Noise(seed, range(4), members.shape, len(steps)).tensor().double()
    start, tiny = coding.uniform(members.n), 1e-5
    way = coding.ablated(members.codes, 0) - start
    s = np.array([0.0, tiny, -tiny, *distances])
    y = sample(members, noise, steps, start + s[:, None] * way)
    slope = (y[1] - y[2]) / (2 * tiny)
    return np.array([float((y[k] - y[0] - s[k] * slope).norm()) for k in range(3, len(s))])


def nearly_equal(images: Tensor) -> Tensor:
    """The same pictures in two neighbouring greys, uint8: so close that a posterior is soft at every t."""
    return (images > 127).to(torch.uint8) + 127


def order(distances: Sequence[float], error: np.ndarray) -> float:
    """The power of the distance with which an error shrinks: the least-squares slope in logarithms."""
    return float(np.polyfit(np.log(distances), np.log(error), 1)[0])
