"""What chapter 7 makes of the identification law."""

import numpy as np
import pytest

from genens.theory import identification
from genens_book.chapters.meaning import law


def test_plans_find_what_they_say_they_find():
    for plan in law.plans(noise=0.5, d=10):
        r = 1 / (plan.N - 1 + 0.5 * plan.N)
        assert plan.signal == pytest.approx(plan.n * r)
        assert identification.power(plan.members, r, plan.N, 10) == pytest.approx(0.8, abs=1e-4)
        assert 1 < plan.copies < plan.group < plan.N
    assert [plan.N for plan in law.plans(0.0, 10)] == [10_000, 60_000, 202_599, 5_850_000_000]


def test_the_fitted_noise_is_the_one_that_made_the_curve():
    curve = {n: identification.lds(n, 5000, 3.7) for n in (64, 256, 1024)}
    assert law.fitted_noise(published=curve, N=5000) == pytest.approx(3.7, rel=1e-3)
    assert law.fitted_noise() > 1


def test_a_noisy_truth_takes_some_of_the_score_and_leaves_less_to_noise():
    curve = {n: identification.lds(n, 5000, 3.7) / 4.7**0.5 for n in (64, 256, 1024)}
    assert law.fitted_noise(True, curve, 5000) == pytest.approx(3.7, rel=1e-3)
    assert law.fitted_noise(True) < law.fitted_noise()


def test_growth_is_the_slope_in_logarithms():
    assert law.growth({n: 3 * n**0.5 for n in (10, 100, 1000)}) == pytest.approx(0.5)


def test_bins_hold_means_and_few_values_make_none():
    x = np.array([[1.0] * 6 + [50.0] * 6 + [500.0, np.nan]])
    seen = np.array([[0, 1, 0, 1, 0, 1, *[1] * 6, 1, 1]], float)
    where, mean, other, error, counts = law.binned(x, [seen, 2 * seen], np.array([10.0, 100.0]))
    assert where.tolist() == [1, 50] and mean.tolist() == [0.5, 1] and other.tolist() == [1, 2]
    assert error.tolist() == [0, 0] and counts.tolist() == [6, 6]  # of one probe there is no spread between probes


def test_errors_in_bins_are_those_between_probes():
    seen = np.repeat([0.0, 1.0, 1.0, 1.0], 5).reshape(4, 5)  # what one digit gives is all alike
    _, mean, error, _ = law.binned(np.ones((4, 5)), [seen], np.array([10.0]))
    assert mean == 0.75 and error[0] == pytest.approx(np.std([0, 1, 1, 1], ddof=1) / 2)
