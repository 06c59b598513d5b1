"""Intervals against scipy and against draws one by one; a test whose p-value does not underflow."""

import math

import numpy as np
import pytest
import scipy.stats

from genens_book.measures import stats

# ---------------------------------------------------------------- bootstrap


def test_the_bootstrap_of_a_mean_is_the_normal_interval():
    values = np.random.default_rng(0).normal(3, 2, 4000)
    found = stats.bootstrap(values, seed=1)
    half = 1.96 * values.std(ddof=1) / math.sqrt(4000)
    assert found.value == values.mean() and found.n == 4000 and found.level == 0.95
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_bootstrap_of_a_median_is_that_of_draws_one_by_one():
    values = np.random.default_rng(2).exponential(size=50)
    found = stats.bootstrap(values, np.median, n_boot=4000, seed=0, level=0.9)
    rng = np.random.default_rng(5)
    oracle = np.quantile([np.median(rng.choice(values, 50)) for _ in range(4000)], [0.05, 0.95])
    assert (found.low, found.high) == pytest.approx(tuple(oracle), abs=0.06)


def test_the_bootstrap_depends_on_the_seed_only():
    values = np.arange(30.0)
    assert stats.bootstrap(values, seed=4) == stats.bootstrap(list(values), seed=4)
    assert stats.bootstrap(values, seed=4) != stats.bootstrap(values, seed=5)
    assert stats.bootstrap(values, seed=4, level=0.5).low > stats.bootstrap(values, seed=4).low


def test_rows_are_drawn_whole():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    pairs = np.stack([x, x + rng.normal(size=500)], axis=1)

    def difference(rows, axis):
        return (rows[..., 1] - rows[..., 0]).mean(axis=axis)

    found = stats.bootstrap(pairs, difference, seed=0)
    assert found.high - found.low == pytest.approx(2 * 1.96 / math.sqrt(500), rel=0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"values": []},
        {"values": [1.0, math.nan]},
        {"values": 3.0},
        {"values": [1.0, 2.0], "n_boot": 0},
        {"values": [1.0, 2.0], "level": 1.0},
    ],
)
def test_a_bootstrap_of_nothing_sensible_is_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        stats.bootstrap(**arguments)


# ---------------------------------------------------------------- proportions


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (610, 1000), (0, 1), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_proportions_have_wilsons_interval(k, n, level):
    z = scipy.stats.norm.ppf((1 + level) / 2)  # Wilson 1927: the p with (k / n - p)^2 = z^2 p (1 - p) / n
    ends = np.sort(np.roots([1 + z * z / n, -2 * k / n - z * z / n, (k / n) ** 2]).real)
    found = stats.proportion(k, n, level)
    assert found.value == k / n and found.n == n
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_impossible_proportions_are_refused():
    for k, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="expected 0 <= k <= n"):
            stats.proportion(k, n)


def test_an_interval_reads_as_a_value_and_its_bounds():
    assert str(stats.Interval(0.5234, 0.49, 0.557, 1000)) == "0.523 (0.49 to 0.557)"


# ---------------------------------------------------------------- Mann-Whitney


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize(("shift", "tied"), [(0.0, False), (0.5, False), (-0.5, True), (1.0, True), (3.0, 0)])
def test_mann_whitney_agrees_with_scipy_where_that_does_not_underflow(alternative, shift, tied):
    rng = np.random.default_rng(0)
    a, b = rng.normal(shift, 1, 120), rng.normal(size=200)
    if tied:
        a, b = a.round(1), b.round(1)
    oracle = scipy.stats.mannwhitneyu(a, b, alternative=alternative, method="asymptotic")
    found = stats.mann_whitney(a, b, alternative)
    assert (found.U, found.n_a, found.n_b) == (oracle.statistic, 120, 200)
    assert found.log10_p == pytest.approx(math.log10(oracle.pvalue), rel=1e-9, abs=1e-12)


def test_mann_whitney_is_right_far_below_the_smallest_float():
    a, b = np.arange(6000.0) + 1e6, np.arange(30000.0)
    with np.errstate(under="ignore"):
        assert scipy.stats.mannwhitneyu(a, b, method="asymptotic").pvalue == 0
    found = stats.mann_whitney(a, b, "greater")
    z = (6000 * 30000 / 2 - 0.5) / math.sqrt(6000 * 30000 * 36001 / 12)
    # The tail of the normal distribution by the series of Mills' ratio, which is exact enough at such z.
    tail = -z * z / 2 - math.log(z * math.sqrt(2 * math.pi)) + math.log1p(-1 / z**2 + 3 / z**4)
    assert found.log10_p == pytest.approx(tail / math.log(10), rel=1e-10)
    assert found.log10_p < -308 and found.effect == 1
    assert found.p == f"{10 ** (found.log10_p % 1):.1f}e{math.floor(found.log10_p)}"


def test_the_effect_is_how_often_a_is_greater_ties_counting_half():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 6, 40), rng.integers(0, 5, 30)
    oracle = np.mean([(x > z) + (x == z) / 2 for x in a for z in b])
    assert stats.mann_whitney(a, b).effect == pytest.approx(oracle, rel=1e-12)


def test_mann_whitney_of_the_same_values_finds_nothing():
    found = stats.mann_whitney(np.ones(5), np.ones(7))
    assert (found.log10_p, found.effect, found.p) == (0.0, 0.5, "1")


def test_p_values_are_written_as_numbers():
    def written(log10_p):
        return stats.MannWhitney(0, log10_p, 0.5, 1, 1).p

    assert written(math.log10(0.03)) == "0.03"
    assert written(-9.999999) == "1.0e-10" and written(-412.3) == "5.0e-413"


def test_mann_whitney_refuses_empty_and_nan():
    for a, b in (([], [1.0]), ([math.nan], [1.0])):
        with pytest.raises(ValueError, match="finite values"):
            stats.mann_whitney(a, b)
    with pytest.raises(ValueError, match="alternative"):
        stats.mann_whitney([1.0], [2.0], "smaller")


# ---------------------------------------------------------------- correlations


def test_correlations_are_scipys_row_by_row_and_undefined_for_constants():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4, 20)), rng.integers(0, 6, (4, 20))  # ties
    pairs = ((stats.pearson, scipy.stats.pearsonr), (stats.spearman, scipy.stats.spearmanr))
    for function, reference in pairs:
        found = function(a, b)
        expected = [[reference(a[i, j], b[j])[0] for j in range(4)] for i in range(3)]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(stats.pearson(np.zeros(5), np.arange(5.0)))
    with pytest.raises(ValueError, match="not finite"):
        stats.spearman([1.0, np.nan], [1.0, 2.0])


def test_adjusted_p_values_are_scipys_where_all_others_are_one():
    p = np.array([[0.0001, 0.002, 0.0021, 0.2], [0.5, 0.6, 0.7, 1]])
    for row, found in zip(p, stats.adjusted(p, 100), strict=True):
        whole = scipy.stats.false_discovery_control(np.concatenate([row, np.ones(96)]))
        np.testing.assert_allclose(found, whole[:4])


@pytest.mark.parametrize("sides", [1, 2])
def test_the_smallest_effect_seen_is_seen_in_four_of_five(sides):
    effect = stats.smallest_seen(2.0, sides)
    z = np.random.default_rng(0).normal(effect, 2.0, 100_000) / 2
    assert (z > scipy.stats.norm.isf(0.05 / sides)).mean() == pytest.approx(0.8, abs=0.01)
