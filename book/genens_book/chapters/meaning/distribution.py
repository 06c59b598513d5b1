"""Whether what an ensemble draws has changed, and not only each sample: the doubt of the paper's Section 4.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from genens_book.measures import classifier, fid, stats
from genens_book.measures.distances import euclidean
from genens_book.measures.judges import Judge
from genens_book.measures.stats import Interval


@dataclass(frozen=True)
class Told:
    """How well a classifier tells two sets apart that it has not seen (one half: not at all): Wilson's interval, the
    one-sided p of guessing, and the smallest accuracy that so many images would show with power 80 % at 5 %."""

    accuracy: Interval
    p: float
    seen: float

    @classmethod
    def of(cls, right: int, n: int) -> Told:
        """Of so many right answers to n questions."""
        p = scipy_stats.binomtest(int(right), int(n), 0.5, "greater").pvalue
        return cls(stats.proportion(int(right), int(n)), float(p), 0.5 + stats.smallest_seen(0.5 / np.sqrt(n)))


def told_apart(one: np.ndarray, other: np.ndarray, seed: int) -> tuple[int, int]:
    """A classifier two-sample test (Lopez-Paz and Oquab 2017) of features (N, F) and (M, F), cut to as many: how many
    of how many answers were right.

    A logistic regression learns on a random half of each, and is asked about the other halves, which are independent of
    it. ValueError for fewer than 4 rows of one.
    """
    n = min(len(one), len(other)) // 2 * 2
    if n < 4:
        raise ValueError(f"expected at least 4 images of each, got {len(one)} and {len(other)}")
    rng = np.random.default_rng(seed)
    rows = np.concatenate([side[rng.permutation(len(side))[:n]] for side in (one, other)])
    which, first = np.repeat([0, 1], n), np.tile(np.arange(n) < n // 2, 2)
    fit = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows[first], which[first])
    return int((fit.predict(rows[~first]) == which[~first]).sum()), n


@dataclass(frozen=True)
class Excess:
    """How far a FID lies above its mean over `permutations` of the two sets, so that 0 is expected of equal ones; the
    middle 95 % of those (less the mean), the one-sided p, and the smallest excess seen with power 80 % at 5 %."""

    value: float
    low: float
    high: float
    p: float
    seen: float
    permutations: int


def excess(one: np.ndarray, other: np.ndarray, seed: int, permutations: int) -> Excess:
    """Of features (N, F) and (M, F): were both of one distribution, any exchange of rows between them would do as
    well."""

    def distance(rows: np.ndarray) -> float:
        return fid.Reference(rows[: len(one)]).fid(rows[len(one) :])

    rng, rows = np.random.default_rng(seed), np.concatenate([one, other]).astype(np.float64)
    found = distance(rows)
    null = np.array([distance(rows[rng.permutation(len(rows))]) for _ in range(permutations)])
    low, high = np.quantile(null, [0.025, 0.975]) - null.mean()
    p = (1 + (null >= found).sum()) / (1 + permutations)
    seen = stats.smallest_seen(null.std())
    return Excess(float(found - null.mean()), float(low), float(high), float(p), seen, permutations)


@dataclass(frozen=True)
class Change:
    """One ablation of some kind: how far it moves a sample of the same noise, as a share of the distance between
    unrelated samples, and what it does to the distribution."""

    kind: str
    moved: float
    fid: Excess
    told: Told


def compared(y: np.ndarray, whole: np.ndarray, judge: Judge, seed: int, permutations: int) -> dict[str, np.ndarray]:
    """To be stored: y (B, 1 + V, C, H, W), samples of the whole ensemble and of V ablated ones under the same noises;
    whole (M, C, H, W), of the whole one under others. "moved" (V,), "fid" (V, 5), "told" (V, 2): see `changes`."""
    features, others = (classifier.read(judge, side)["features"].numpy() for side in (y[:, 1:], whole))
    moved = euclidean(y[:, :1], y[:, 1:]).mean(0) / unrelated(y[:, 0])
    fids, told = [], []
    for one in tqdm(features.transpose(1, 0, 2), "comparing", unit="ensemble", leave=False):
        found = excess(one, others, seed, permutations)
        fids.append([found.value, found.low, found.high, found.p, found.seen])
        told.append(told_apart(one, others, seed))
    return {"moved": moved, "fid": np.array(fids), "told": np.array(told)}


def changes(stored: Mapping[str, np.ndarray], kinds: Sequence[str], permutations: int) -> list[Change]:
    """What `compared` found, with the kind of each ablation."""
    every = zip(kinds, stored["moved"], stored["fid"], stored["told"], strict=True)
    return [Change(kind, float(m), Excess(*map(float, f), permutations), Told.of(*t)) for kind, m, f, t in every]


def together(change: Change) -> float:
    """One p of both tests (Bonferroni)."""
    return min(1.0, 2 * min(change.fid.p, change.told.p))


def unrelated(y: np.ndarray) -> float:
    """The mean Euclidean distance between different samples (B, C, H, W)."""
    flat = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    return float(np.mean([np.linalg.norm(flat[b] - flat[b - 1]) for b in range(len(flat))]))


def discoveries(p: Sequence[float], level: float = 0.05) -> int:
    """How many of several tests are significant at a false discovery rate (Benjamini and Hochberg 1995)."""
    return int((scipy_stats.false_discovery_control(p) <= level + 1e-9).sum()) if len(p) else 0
