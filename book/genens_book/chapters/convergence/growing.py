"""Ensembles that grow by a member at a time, each sample in its own order (paper, Section 3.2, Figure 4).

y_k is the image of the first k members of a random order, all from the same noise. Beyond the paper, the
curve of ||y_k - y_n|| is set against the law for the mean of k draws without replacement from a population of
n: its variance is (1/k) (n - k) / (n - 1) times the population's. To first order in the mixture the image
moves as that mean does, y_k - y_n = J (v_k - u_0), so the law carries over, with the variance of the columns
of J for the population's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genens.ensemble import Members
from genens.sampling import exogenous, sample
from genens.schedules import Schedule
from genens.seeds import generator
from genens_book.measures import stats
from genens_book.measures.distances import euclidean

_ORDERS = 0x6F72646572  # keeps these draws apart from the noise of the same seed and index


def orders(seed: int, indices: Sequence[int], n: int) -> np.ndarray:
    """A random order of the n members for every sample: int64 (B, n), a function of (seed, index)."""
    drawn = [torch.randperm(n, generator=generator(seed, i, 0, _ORDERS)) for i in indices]
    return torch.stack(drawn).numpy()


def nested(order: np.ndarray, sizes: Sequence[int] | None = None) -> np.ndarray:
    """The mixtures of the first k members of each sample's order: order (B, n), result float64 (K, B, n).

    sizes: the k, by default 1..n. Raises ValueError for a size outside 1..n, or rows that are no orders.
    """
    order = np.asarray(order)
    n = order.shape[-1]
    if order.ndim != 2 or not (np.sort(order, axis=1) == np.arange(n)).all():
        raise ValueError(f"expected orders (B, n), each row a permutation of 0..n-1; got shape {order.shape}")
    sizes = np.arange(1, n + 1) if sizes is None else np.asarray(sizes)
    if not len(sizes) or sizes.min() < 1 or sizes.max() > n:
        raise ValueError(f"expected sizes in 1..{n}, got {sizes.tolist()}")
    place = np.argsort(order, axis=1)  # where in the order each member stands
    return (place < sizes[:, None, None]) / sizes[:, None, None]


def nested_samples(
    indices: Sequence[int], members: Members, seed: int, steps: Schedule, order_seed: int
) -> dict[str, Tensor | np.ndarray]:
    """To be stored: {"y": (B, n - 2, C, H, W) with y_2 .. y_{n-1} in [-1, 1], "order": int64 (B, n)}.

    The ends, y_1 and y_n, are samples of single members and of the whole ensemble, which are drawn for other purposes
    too: `grown` adds them. It takes about n^2 / 2 passes a step for each sample. Raises ValueError for fewer than 3
    members.
    """
    if members.n < 3:
        raise ValueError(f"expected an ensemble of at least 3 members to grow, got {members.n}")
    order = orders(order_seed, indices, members.n)
    y = sample(members, exogenous(indices, members, seed, steps), steps, nested(order, range(2, members.n)))
    return {"y": y.transpose(0, 1), "order": order}


def grown(alone: np.ndarray, between: np.ndarray, order: np.ndarray) -> np.ndarray:
    """y_1 .. y_n of every sample, (B, n, C, H, W).

    alone (B, 1 + n, C, H, W): the whole ensemble's sample and each member's, as from `sampling.samples`; between (B, n
    - 2, C, H, W) and order (B, n) as from `nested_samples`. Raises ValueError when they are not of the same samples and
    members.
    """
    B, n = order.shape
    if alone.shape[:2] != (B, 1 + n) or between.shape[:2] != (B, n - 2):
        raise ValueError(
            f"expected {1 + n} and {n - 2} images of each of {B} samples; got {alone.shape[:2]} and {between.shape[:2]}"
        )
    return np.concatenate([alone[np.arange(B), 1 + order[:, 0]][:, None], between, alone[:, :1]], axis=1)


# ---------------------------------------------------------------- distances


def _grown(y: np.ndarray | Tensor) -> Tensor:
    y = torch.as_tensor(y)
    if y.ndim != 5 or y.shape[1] < 2:
        raise ValueError(f"expected the images of 1 to n >= 2 members, (B, n, C, H, W); got {tuple(y.shape)}")
    return y


def to_full(y: np.ndarray | Tensor) -> np.ndarray:
    """||y_k - y_n|| for k = 1..n-1: float64 (B, n - 1) (Figure 4a). y (B, n, C, H, W)."""
    y = _grown(y)
    return euclidean(y[:, :-1], y[:, -1:])


def by_one(y: np.ndarray | Tensor) -> np.ndarray:
    """||y_{k+1} - y_k|| for k = 1..n-1: float64 (B, n - 1) (Figure 4b, "k to k + 1")."""
    y = _grown(y)
    return euclidean(y[:, 1:], y[:, :-1])


def returns(y: np.ndarray | Tensor, share: float = 0.5) -> np.ndarray:
    """How often each sample goes somewhere and comes back as members are added: int64 (B,) (Figure 4c).

    A return is a k at which y_{k+2} is nearer to y_k than `share` of each of the two steps between them.
    """
    y, step = _grown(y), by_one(y)
    twice = euclidean(y[:, 2:], y[:, :-2])
    return (twice < share * np.minimum(step[:, 1:], step[:, :-1])).sum(axis=1)


# ---------------------------------------------------------------- the law of finite populations


def law(n: int) -> np.ndarray:
    """The variance of the mean of k = 1..n-1 draws without replacement, over the population's: (n - 1,)."""
    if n < 2:
        raise ValueError(f"expected a population of at least 2, got n = {n}")
    k = np.arange(1, n)
    return (n - k) / (k * (n - 1))


def law_by_one(n: int) -> np.ndarray:
    """The same for the difference of the means of k + 1 and of k nested draws: (n - 1,), k = 1..n-1.

    The mean of k is that of k + 1 plus something uncorrelated with it, so this is law(k) - law(k + 1).
    """
    return law(n) - np.append(law(n)[1:], 0.0)


def variance(gram: np.ndarray) -> np.ndarray:
    """The members' variance as each sample's Jacobian has it, mean_i ||J_i - mean J||^2: float64 (B,).

    gram (B, n, n) as from `jacobians.gram`. Times `law`, it predicts the mean of ||y_k - y_n||^2 with nothing
    fitted.
    """
    gram = stats.finite(gram, "Gram matrices")
    n = gram.shape[-1]
    return np.trace(gram, axis1=-2, axis2=-1) / n - gram.sum(axis=(-2, -1)) / n**2


@dataclass(frozen=True)
class Fit:
    """How well a law holds for measured distances; every interval is a bootstrap over samples.

    sigma2: the variance fitted (or given). ratio: for every k, the mean square measured over that predicted,
    1 where the law holds. power: p in mean square ~ law^p, 1 when the whole curve has its shape. worst: the k
    (from 1) whose ratio is furthest from 1, as a factor.
    """

    sigma2: float
    ratio: list[stats.Interval]
    power: stats.Interval
    worst: int

    @property
    def holds(self) -> np.ndarray:
        """The k (from 1) at which the interval of the ratio contains 1: int64."""
        return 1 + np.flatnonzero([r.low <= 1 + 1e-9 and r.high >= 1 - 1e-9 for r in self.ratio])


def fit(
    distances: np.ndarray, predicted: np.ndarray, sigma2: np.ndarray | None = None, seed: int = 0, n_boot: int = 2000
) -> Fit:
    """Mean squares of distances (B, K) against `law` or `law_by_one` (K,).

    sigma2 (B,): each sample's variance where it is known (see `variance`); without it, one number is fitted
    at the last k, the smallest change, where the first order should hold best, and the law is tested on the
    others. Raises ValueError when the shapes do not fit or a distance is not finite.
    """
    squares = stats.finite(distances, "distances") ** 2
    predicted = np.asarray(predicted, dtype=np.float64)
    if squares.ndim != 2 or predicted.shape != squares.shape[1:] or len(predicted) < 2:
        raise ValueError(
            f"expected distances (B, K) and a law (K,) with K >= 2, got {squares.shape} and {predicted.shape}"
        )
    if sigma2 is not None and np.shape(sigma2) != (len(squares),):
        raise ValueError(f"expected a variance for each of {len(squares)} samples, got {np.shape(sigma2)}")
    known = squares[:, -1] / predicted[-1] if sigma2 is None else np.asarray(sigma2, dtype=np.float64)
    rows = np.concatenate([squares, known[:, None]], axis=1)

    def ratio(values: np.ndarray, axis: int) -> np.ndarray:
        mean = values.mean(axis=axis)
        return mean[..., :-1] / (mean[..., -1:] * predicted)

    def power(values: np.ndarray, axis: int) -> np.ndarray:
        x, y = np.log(predicted), np.log(values.mean(axis=axis)[..., :-1])
        return (y @ (x - x.mean())) / ((x - x.mean()) ** 2).sum()

    ratios = [
        stats.bootstrap(rows, lambda values, axis, k=k: ratio(values, axis)[..., k], n_boot, seed)
        for k in range(len(predicted))
    ]
    furthest = int(np.abs(np.log([r.value for r in ratios])).argmax())
    return Fit(float(known.mean()), ratios, stats.bootstrap(rows, power, n_boot, seed), 1 + furthest)
