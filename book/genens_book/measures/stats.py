"""How sure a number is: bootstrap and Wilson intervals, a Mann-Whitney test with p below 1e-308, correlations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import binomtest, norm, rankdata, t


@dataclass(frozen=True)
class Interval:
    """A value and the interval around it: n independent units, confidence level."""

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"

    def percent(self) -> str:
        """A share as prose has it: 52 % (49 % to 55 %), no line broken before a sign."""
        value, low, high = (f"{100 * x:.0f}\u00a0%" for x in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


def finite(values: object, name: str) -> np.ndarray:
    """The values as a float64 array. ValueError when there are none, or one of them is not finite."""
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"expected finite {name}, at least one; got {values.size}, "
            f"{int((~np.isfinite(values)).sum())} of them not finite"
        )
    return values


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"expected a confidence level between 0 and 1, got {level}")


def bootstrap(
    values: object,
    statistic: Callable[..., np.ndarray] = np.mean,
    n_boot: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The percentile bootstrap interval of a statistic of values (n, ...), whose rows are drawn again.

    statistic(values, axis=k) is called with an axis, as np.mean is. What is not independent belongs in one row (all
    counterfactuals of one sample). Raises ValueError for no or non-finite values, n_boot < 1, or a level outside 0..1.
    """
    values = finite(values, "values")
    _check_level(level)
    if n_boot < 1 or values.ndim == 0:
        raise ValueError(f"expected n_boot >= 1 and values (n, ...), got {n_boot} and shape {values.shape}")
    drawn = _resample(values, statistic, n_boot, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(values, axis=0)), float(low), float(high), len(values), level)


def _resample(values: np.ndarray, statistic: Callable, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    n = len(values)
    at_once = max(1, 2_000_000 // values.size)  # 16 MB of numbers
    sizes = [min(at_once, n_boot - start) for start in range(0, n_boot, at_once)]
    return np.concatenate([statistic(values[rng.integers(0, n, (size, n))], axis=1) for size in sizes])


def student(values: object, level: float = 0.95) -> Interval:
    """The mean of few independent values (n,), with Student's interval. ValueError for fewer than two, or one that is
    not finite."""
    values = finite(values, "values")
    _check_level(level)
    if len(values) < 2:
        raise ValueError(f"expected at least two values, got {len(values)}")
    middle, error = values.mean(), values.std(ddof=1) / math.sqrt(len(values))
    reach = t.isf((1 - level) / 2, len(values) - 1) * error
    return Interval(float(middle), float(middle - reach), float(middle + reach), len(values), level)


def proportion(k: int, n: int, level: float = 0.95) -> Interval:
    """k of n with Wilson's score interval, which stays inside 0..1 and is not empty at k = 0 or k = n."""
    _check_level(level)
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"expected 0 <= k <= n and n >= 1, got k = {k}, n = {n}")
    around = binomtest(k, n).proportion_ci(level, method="wilson")
    return Interval(k / n, float(around.low), float(around.high), int(n), level)


def smallest_seen(error: float, sides: int = 1) -> float:
    """The effect that a test at 5 % on one side or two sees with power 80 %, of an estimate with this standard error,
    by the normal approximation."""
    return float((norm.isf(0.05 / sides) + norm.isf(0.2)) * error)


def adjusted(p: object, N: int) -> np.ndarray:
    """Benjamini and Hochberg's q of the first k of N p-values, along the last axis from the smallest up, the others
    being as large as the last of them or larger: float64 (..., k).

    Where k < N it is the largest that it can be over what the others may be. Source: Benjamini and Hochberg (1995).
    """
    p = finite(p, "p-values")
    q = p * N / np.arange(1, p.shape[-1] + 1)
    return np.minimum.accumulate(q[..., ::-1], axis=-1)[..., ::-1].clip(max=1)


def pearson(a: object, b: object) -> np.ndarray:
    """Pearson's correlation along the last axis, the other axes broadcast: float64 (...), NaN where a side is
    constant.

    Source: paper, Section 3.3 and Figure 5a. Raises ValueError for values that are not finite.
    """
    a, b = (side - side.mean(axis=-1, keepdims=True) for side in (finite(a, "values"), finite(b, "values")))
    length = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.divide((a * b).sum(axis=-1), length, out=np.full(length.shape, np.nan), where=length > 0)


def group_lasso(columns: np.ndarray, values: np.ndarray, share: float) -> np.ndarray:
    """The coefficients (N, m) of a regression of values (n, m) on columns (n, N), both centred, that keeps few columns,
    the same ones for all values (scikit-learn's MultiTaskLasso); its penalty a share of the one that keeps none."""
    from sklearn.linear_model import MultiTaskLasso  # half a second to import

    largest = np.linalg.norm(columns.T @ values, axis=1).max() / len(values)
    return (
        MultiTaskLasso(alpha=share * largest, fit_intercept=False, max_iter=300, tol=1e-3).fit(columns, values).coef_.T
    )


def spearman(a: object, b: object) -> np.ndarray:
    """Spearman's rank correlation along the last axis, ties sharing their mean rank; otherwise as `pearson`.

    Source: paper, Section 3.3 and Figure 5d.
    """
    return pearson(*(rankdata(finite(side, "values"), axis=-1) for side in (a, b)))


@dataclass(frozen=True)
class MannWhitney:
    """U of a over b; log10 of p, exact below 1e-308 too; effect = P(a > b) + P(a = b) / 2."""

    U: float
    log10_p: float
    effect: float
    n_a: int
    n_b: int

    @property
    def p(self) -> str:
        """The p-value as text, which a float could not hold."""
        if self.log10_p > -4:
            return f"{10**self.log10_p:.2g}"
        exponent = math.floor(round(self.log10_p, 2))
        return f"{10 ** (round(self.log10_p, 2) - exponent):.1f}e{exponent}"


def mann_whitney(a: object, b: object, alternative: str = "two-sided") -> MannWhitney:
    """The Mann-Whitney U test by the normal approximation with tie and continuity correction.

    alternative: "two-sided", or "greater" (a tends to be greater than b). It takes all values as independent,
    which the counterfactuals of one sample are not. Source: paper, Figures 2c and 5. Raises ValueError for no
    or non-finite values.
    """
    a, b = finite(a, "values").ravel(), finite(b, "values").ravel()
    if alternative not in ("two-sided", "greater"):
        raise ValueError(f'expected alternative "two-sided" or "greater", got {alternative!r}')
    pairs, N = len(a) * len(b), len(a) + len(b)
    ranks = rankdata(np.concatenate([a, b]))
    U = ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2
    ties = np.unique(ranks, return_counts=True)[1].astype(np.float64)
    variance = pairs / 12 * (N + 1 - (ties**3 - ties).sum() / (N * (N - 1)))
    excess = (abs(U - pairs / 2) if alternative == "two-sided" else U - pairs / 2) - 0.5
    log_p = log_ndtr(-excess / math.sqrt(variance)) if variance > 0 else 0.0
    log_p += math.log(2) if alternative == "two-sided" else 0.0
    return MannWhitney(float(U), min(0.0, float(log_p) / math.log(10)), float(U / pairs), len(a), len(b))


def exceedance(own: np.ndarray, other: np.ndarray, seed: int, n_boot: int = 400) -> Interval:
    """P(a random own distance exceeds a random other one), the effect size of the U test; whole samples are drawn
    again, because the counterfactuals of one sample are not independent."""
    rng = np.random.default_rng(seed)
    drawn = [
        mann_whitney(own[i], other[i]).effect for i in (rng.integers(0, len(own), len(own)) for _ in range(n_boot))
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(mann_whitney(own, other).effect, float(low), float(high), len(own))
