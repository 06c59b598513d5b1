"""Nested subsets one sample at a time; the law of finite populations against every subset there is."""

from itertools import permutations

import numpy as np
import pytest
import torch
from support import STEPS, Posterior, exogenous

from genens import codes as coding
from genens.jacobians import gram, jacobian
from genens.sampling import Noise, sample, samples
from genens_book.chapters.convergence import growing
from genens_book.measures import stats


def test_orders_are_a_function_of_seed_and_index_and_every_order_comes_up():
    drawn = growing.orders(1, range(600), 3)
    np.testing.assert_array_equal(growing.orders(1, [7, 2], 3), drawn[[7, 2]])
    assert (growing.orders(2, range(600), 3) != drawn).any()
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(counts) == 6 and abs(counts - 100).max() < 40


def test_orders_do_not_share_a_stream_with_the_noise():
    noise = Noise(1, [4], (1, 4, 4), 0).draw(0)
    from genens.seeds import generator

    assert torch.equal(noise[0], torch.randn(1, 4, 4, generator=generator(1, 4)))  # a trailing 0 changes nothing
    same = torch.randperm(50, generator=generator(1, 4)).numpy()
    assert (growing.orders(1, [4], 50)[0] != same).any()


def test_nested_mixtures_add_a_member_at_a_time():
    order = np.array([[2, 0, 1], [1, 2, 0]])
    found = growing.nested(order)
    assert found.shape == (3, 2, 3)
    np.testing.assert_allclose(found[:, 0], [[0, 0, 1], [0.5, 0, 0.5], [1 / 3] * 3])
    np.testing.assert_allclose(found[:, 1], [[0, 1, 0], [0, 0.5, 0.5], [1 / 3] * 3])
    np.testing.assert_array_equal(growing.nested(order, [3, 1]), found[[2, 0]])


def test_what_is_stored_is_each_samples_own_growing_ensemble():
    members = Posterior()
    found = growing.nested_samples(range(3), members, 5, STEPS, 9)
    alone = samples(range(3), members, 5, STEPS, np.vstack([coding.uniform(4), np.eye(4)]))["y"].numpy()
    order = found["order"]
    y = torch.from_numpy(growing.grown(alone, found["y"].numpy(), order))
    assert y.shape == (3, 4, 1, 2, 2)
    for b in range(3):
        for k in range(1, 5):
            weights = np.isin(np.arange(4), order[b, :k]) / k
            alone = sample(members, Noise(5, [b], members.shape, 5), STEPS, weights[None])
            assert torch.equal(alone[0, 0], y[b, k - 1])
    whole = sample(members, Noise(5, range(3), members.shape, 5), STEPS, coding.uniform(4)[None])
    assert torch.equal(y[:, -1], whole[0])  # all members in any order are the ensemble, to the last bit


def test_ends_of_other_samples_or_members_are_refused():
    order = np.array([[2, 0, 1, 3], [1, 2, 0, 3]])
    alone, between = np.zeros((2, 5, 1, 2, 2)), np.zeros((2, 2, 1, 2, 2))
    assert growing.grown(alone, between, order).shape == (2, 4, 1, 2, 2)
    for wrong in ((alone[:1], between), (alone, between[:, :1]), (alone[:, :4], between)):
        with pytest.raises(ValueError, match="expected 5 and 2 images of each of 2 samples"):
            growing.grown(*wrong, order)


def test_distances_to_the_whole_ensemble_and_from_one_size_to_the_next():
    y = torch.zeros(1, 4, 1, 1, 2)
    y[0, :, 0, 0] = torch.tensor([[3.0, 4.0], [0, 4], [0, 1], [0, 0]])
    np.testing.assert_allclose(growing.to_full(y), [[5, 4, 1]])
    np.testing.assert_allclose(growing.by_one(y), [[3, 3, 1]])


def test_a_sample_that_alternates_is_told_from_one_that_walks():
    there, back = torch.ones(1, 1, 2), torch.zeros(1, 1, 2)
    alternating = torch.stack([there, back, there + 0.1, back, there])
    walking = torch.arange(5).float().view(5, 1, 1, 1).expand(5, 1, 1, 2)
    assert growing.returns(torch.stack([alternating, walking])).tolist() == [3, 0]


def test_the_law_is_exact_for_means_over_every_order():
    population = np.random.default_rng(0).normal(size=(5, 3))
    sigma2 = ((population - population.mean(0)) ** 2).sum(1).mean()
    means = np.array([[population[list(order[:k])].mean(0) for k in range(1, 6)] for order in permutations(range(5))])
    to_full = ((means[:, :-1] - means[:, -1:]) ** 2).sum(2).mean(0)
    by_one = ((means[:, 1:] - means[:, :-1]) ** 2).sum(2).mean(0)
    np.testing.assert_allclose(to_full, sigma2 * growing.law(5))
    np.testing.assert_allclose(by_one, sigma2 * growing.law_by_one(5))
    images = torch.from_numpy(means).view(120, 5, 1, 1, 3)
    for found, law in ((growing.to_full(images), growing.law(5)), (growing.by_one(images), growing.law_by_one(5))):
        held = growing.fit(found, law, n_boot=200)
        assert held.sigma2 == pytest.approx(sigma2) and held.power.value == pytest.approx(1)
        np.testing.assert_allclose([r.value for r in held.ratio], 1)
        assert held.holds.tolist() == [1, 2, 3, 4]


def test_the_jacobian_predicts_the_last_step_of_the_curve_with_nothing_fitted():
    members = Posterior(n=4)
    noise = exogenous(members, 40)
    y, J = jacobian(members, noise, STEPS)
    sigma2 = growing.variance(gram(J))
    centred = J - J.mean(1, keepdim=True)
    np.testing.assert_allclose(sigma2, centred.flatten(2).square().sum(-1).mean(1))
    # near u_0, where the first order holds: mixtures pulled towards it by a factor of 100
    order = np.array(list(permutations(range(4))))
    squares = []
    for one in order:
        near = 0.25 + (growing.nested(one[None])[:3, 0] - 0.25) / 100
        moved = sample(members, noise, STEPS, near, clamp=False) - y
        squares.append(moved.flatten(2).square().sum(-1).numpy() * 1e4)
    measured = np.mean(squares, axis=0).T  # (B, 3): the mean over every order
    np.testing.assert_allclose(measured, sigma2[:, None] * growing.law(4), rtol=0.02)


def test_a_curve_of_another_shape_is_found_out():
    law, rng = growing.law(8), np.random.default_rng(0)
    saturated = np.sqrt(np.minimum(law, 0.1)) * rng.uniform(0.9, 1.1, (200, 7))
    found = growing.fit(saturated, law, n_boot=300)
    assert found.power.high < 1 and found.worst == 1 and found.ratio[0].high < 0.2
    assert 1 not in found.holds and {5, 6, 7} <= set(found.holds.tolist())
    assert growing.fit(saturated, law, np.full(200, 0.5), n_boot=50).ratio[-1].low > 1.5
    assert isinstance(found.power, stats.Interval) and found.power.n == 200


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: growing.nested(np.array([[0, 0, 1]])), "permutation"),
        (lambda: growing.nested(np.array([[0, 1]]), [3]), r"sizes in 1\.\.2"),
        (lambda: growing.to_full(torch.zeros(2, 1, 1, 2, 2)), "n >= 2"),
        (lambda: growing.law(1), "at least 2"),
        (lambda: growing.fit(np.ones((4, 3)), growing.law(3)), r"\(4, 3\) and \(2,\)"),
        (lambda: growing.fit(np.ones((4, 2)), growing.law(3), np.ones(3)), "each of 4 samples"),
        (lambda: growing.fit(np.full((4, 2), np.nan), growing.law(3)), "not finite"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
