"""What chapter 4 measures, on populations and pictures whose answer is known."""

import numpy as np
import pytest
import torch
from support import STEPS, Posterior, exogenous

from genens.jacobians import jacobian, linear_counterfactual
from genens_book.chapters.convergence import analysis, growing
from genens_book.measures import classifier


def population(B=300, n=8, m=6, seed=0):
    """Images that are the means of the first k of a random order of n points: y (B, n, 1, 1, m), orders, the points."""
    points = np.random.default_rng(seed).normal(size=(n, m))
    order = growing.orders(seed, range(B), n)
    y = np.stack([[points[row[:k]].mean(axis=0) for k in range(1, n + 1)] for row in order])
    return y.reshape(B, n, 1, 1, m), order, points


def test_reading_is_what_the_classifier_says_of_each_size():
    model, y = classifier.DigitNet().eval(), torch.rand(2, 3, 1, 28, 28) * 2 - 1
    assert torch.equal(analysis.read(y, model)["labels"][1, 2], classifier.predict(model, y[1, 2])[0])


def test_medians_that_fall_and_a_trend_with_its_interval():
    rng = np.random.default_rng(0)
    falling = np.linspace(5, 1, 6) + rng.normal(0, 0.1, (50, 6))
    found = analysis.trend(falling, seed=0, n_boot=100)
    assert analysis.decreasing(falling) and found.value == -1 and found.high < -0.9 and found.n == 50
    flat = rng.normal(3, 1, (50, 6))
    assert not analysis.decreasing(flat)
    assert analysis.trend(flat, 0, 200).low < 0 < analysis.trend(flat, 0, 200).high
    assert not analysis.decreasing(np.ones((4, 3)))  # standing still is not falling
    bent = falling + np.array([0, 0, 0, 2, 0, 0])
    after, change = analysis.rise(bent, seed=0, n_boot=100)
    assert after == 3 and change.value == pytest.approx(1.2, abs=0.1) and change.low > 1


def test_where_the_median_falls_and_rises_is_said():
    falling = np.tile([5.0, 4, 3, 2, 1], (9, 1))
    assert analysis.falls_words(falling) == "It falls with every member added"
    bent = falling + np.array([0, 1, 0, 0, 2])
    assert analysis.falls_words(bent).endswith("not from 1 and 4 to one more")
    assert analysis.rise(bent, seed=0, n_boot=10)[0] == 4


def test_coming_back_wants_the_picture_and_the_digit():
    there, away = torch.ones(1, 1, 2), torch.zeros(1, 1, 2)
    y = torch.stack([there, away, there + 0.1, away]).expand(3, 4, 1, 1, 2)
    labels = np.array([[1, 2, 1, 2], [1, 1, 1, 1], [1, 2, 3, 2]])
    assert analysis.came_back(y, labels).tolist() == [[True, True], [False, False], [False, True]]
    walking = torch.arange(4).float().view(1, 4, 1, 1, 1).expand(1, 4, 1, 1, 2)
    assert not analysis.came_back(walking, labels[:1]).any()  # the digit alone is not enough
    np.testing.assert_array_equal(growing.returns(y), [2, 2, 2])


def test_those_that_alternate_most_come_first():
    back = np.array([[0, 0], [1, 0], [1, 1], [0, 0]], dtype=bool)
    assert analysis.alternating(back, np.array([0, 1, 2, 5]), 3).tolist() == [2, 1, 3]
    assert analysis.alternating(back, np.zeros(4, int), 4).tolist() == [2, 1, 0, 3]


def test_digits_on_the_way():
    labels = np.array([[1, 1, 1], [2, 1, 1], [3, 2, 3], [4, 4, 4]])
    assert [i.value for i in analysis.settled(labels)] == [0.75, 0.75]
    assert analysis.constant(labels).tolist() == [True, False, False, True]


def test_the_tangent_is_the_linear_counterfactual_of_each_samples_own_mixtures():
    members = Posterior(n=4)
    y, J = jacobian(members, exogenous(members, 3), STEPS)
    order = growing.orders(0, range(3), 4)
    found = analysis.linear(y, J, order)
    for b in range(3):
        alone = linear_counterfactual(y[b : b + 1], J[b : b + 1], growing.nested(order[b : b + 1])[:, 0])
        np.testing.assert_allclose(found[b], alone[:, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[:, -1], y.clamp(-1, 1), atol=1e-6)


def test_a_population_follows_the_law_and_digits_that_jump_do_not():
    y, _, points = population()
    sigma2 = np.full(40, ((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    labels = np.zeros((300, 8), dtype=int)
    labels[:20, 0] = 1
    found = analysis.fits(y, labels, sigma2, seed=0, n_boot=100)
    for name, n in (("full", 300), ("jacobian", 40), ("own", 40), ("step", 300), ("stays", 280), ("changes", 20)):
        assert found[name].ratio[0].n == n
        assert all(0.4 < r.value < 2.5 for r in found[name].ratio), name
    np.testing.assert_allclose([r.value for r in found["full"].ratio], 1, atol=0.15)
    own = (growing.to_full(y)[:40] ** 2 / sigma2[:, None]).mean(axis=0) / growing.law(8)
    np.testing.assert_allclose([r.value for r in found["own"].ratio], own)
    jumped = y.copy()
    jumped[:, 0] += 10  # far away with one member
    broken = analysis.fits(jumped, labels, sigma2, 0, 50)
    assert broken["full"].worst == 1 and 1 not in broken["full"].holds
    labels[7:20, 0] = 0
    assert analysis.fits(y, labels, sigma2, 0, 20)["changes"] is None  # seven samples are too few to say


@pytest.mark.parametrize(
    "given, words",
    [([], "no size"), ([3], "3"), ([1, 2, 3], "1 to 3"), ([7, 1, 3, 4], "1, 3 to 4 and 7"), ([2, 9], "2 and 9")],
)
def test_sizes_in_words(given, words):
    assert analysis.sizes(np.array(given, dtype=int)) == words


def test_where_the_law_was_fitted_it_is_not_said_to_hold():
    y, _, _ = population(n=5)
    fit = growing.fit(growing.to_full(y), growing.law(5), n_boot=100)
    assert 4 in fit.holds and "4" not in analysis.holding(fit) and "4" in analysis.holding(fit, fitted=False)


def test_the_law_in_words_is_what_each_fit_says():
    y, _, points = population()
    sigma2 = np.full(40, ((points - points.mean(axis=0)) ** 2).sum(axis=1).mean())
    labels = np.zeros((300, 8), dtype=int)
    fits = analysis.fits(y, labels, sigma2, seed=0, n_boot=50)
    said = analysis.law_words(fits)
    for name, fitted in (("full", True), ("step", True), ("own", False)):
        assert said[f"holds_{name}"] == analysis.holding(fits[name], fitted)
        assert said[f"ratio_{name}"] == str(fits[name].ratio[said[f"worst_{name}"] - 1])
    groups = analysis.group_words(fits)
    assert groups["ratio_stays"] == f"the ratio at one member is {fits['stays'].ratio[0]}"
    assert groups["ratio_changes"] == "there are too few samples to say, fewer than 8"
