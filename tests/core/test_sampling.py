"""Sampling under mixtures: against a plain loop, whatever the batch, and only with the members that have
weight."""

import numpy as np
import pytest
import torch

from genens.ensemble import Ensemble
from genens.sampling import Noise, counterfactual_samples, counterfactuals, sample, samples
from genens.schedules import schedule
from genens.unet import UNetConfig, build

CODES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], bool)
MIXTURES = np.array([[1, 1, 1], [0, 1.5, 1.5], [3, 0, 0]]) / 3


def ensemble(precision="float32"):
    models = []
    for i in range(3):
        models.append(build(UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1), i))
        for p in models[-1].parameters():
            p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i))
    return Ensemble(models, CODES, (1, 28, 28), precision=precision)


def algorithm_2(members, noise, weights, S):
    """Algorithm 2 of Ho et al. as printed, respaced; one mixture, every member, no batching tricks."""
    steps = schedule(S)
    x = noise[:, 0]
    for k in range(S):
        eps = sum(w * f for w, f in zip(weights, members(x, steps.t[k]), strict=True))
        x = steps.a[k] * x + steps.b[k] * eps + steps.c[k] * noise[:, k + 1]
    return x.clamp(-1, 1)


def test_mixtures_equal_algorithm_2_in_float64():
    members = ensemble("float64")
    noise = Noise(5, range(3), members.shape, 6).tensor().double()
    y = sample(members, noise, schedule(6), MIXTURES)
    for row, weights in zip(y, MIXTURES, strict=True):
        torch.testing.assert_close(row, algorithm_2(members, noise, weights, 6), rtol=1e-10, atol=1e-10)


def test_noise_is_a_function_of_seed_and_index():
    whole, part = Noise(1, range(10), (1, 4, 4), 3), Noise(1, [7, 2], (1, 4, 4), 3)
    assert torch.equal(whole.tensor()[[7, 2]], part.tensor())
    assert not torch.equal(whole.draw(0), Noise(2, range(10), (1, 4, 4), 3).draw(0))
    values = Noise(0, range(200), (1, 28, 28), 0).draw(0)
    assert abs(values.mean()) < 0.01 and abs(values.std() - 1) < 0.01
    assert abs((values[:-1] * values[1:]).mean()) < 0.01  # neighbours are unrelated


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_sample_does_not_depend_on_what_it_is_computed_with(precision):
    members = ensemble(precision)
    given = dict(members=members, seed=3, steps=schedule(4, variance="beta"))
    together = samples(range(12), mixtures=MIXTURES, **given)["y"]
    shuffled = samples([11, 4, 0], mixtures=MIXTURES, **given)["y"]
    alone = samples([4], mixtures=MIXTURES[1:2], **given)["y"]
    assert together.shape == (12, 3, 1, 28, 28)
    assert torch.equal(together[[11, 4, 0]], shuffled)
    assert torch.equal(together[4:5, 1:2], alone)


def test_members_without_weight_are_not_evaluated():
    members, seen = ensemble(), []

    class Watched(Ensemble):
        def __call__(self, x, t, which=None):
            seen.extend(which)
            return super().__call__(x, t, which)

    watched = Watched(members.models, CODES, members.shape)
    sample(watched, Noise(0, [0], watched.shape, 2), schedule(2), MIXTURES[1:2])
    assert set(seen) == {1, 2}


def test_ddim_adds_no_noise():
    members = ensemble()
    noise = Noise(0, [0, 1], members.shape, 3).tensor()
    changed = noise.clone()
    changed[:, 1:] = 0
    steps = schedule(3, "ddim")
    assert torch.equal(sample(members, noise, steps, MIXTURES), sample(members, changed, steps, MIXTURES))


@pytest.mark.parametrize(
    "mixture, steps, message",
    [
        (np.ones((1, 2)) / 2, 3, r"mixtures \(V, 3\)"),
        (np.array([[0.5, 0.6, 0.0]]), 3, "sum to 1"),
        (np.array([[1.5, -0.5, 0.0]]), 3, "non-negative"),
        (MIXTURES, 4, "expected noise for 4 steps"),
    ],
)
def test_wrong_mixtures_and_noise_are_refused(mixture, steps, message):
    members = ensemble()
    with pytest.raises(ValueError, match=message):
        sample(members, Noise(0, [0], members.shape, 3), schedule(steps), mixture)


ORDERS = np.array([[[1, 0, 0], [0, 0, 1], [0, 1, 0]], [[1, 1, 0], [0, 1, 1], [1, 1, 0]]], float)
OWN = ORDERS / ORDERS.sum(-1, keepdims=True)  # (2, 3, 3): two mixtures of its own for each of three samples


def test_each_sample_may_have_mixtures_of_its_own():
    members = ensemble("float64")
    noise = Noise(5, range(3), members.shape, 4).tensor().double()
    y = sample(members, noise, schedule(4), OWN)
    assert y.shape == (2, 3, 1, 28, 28)
    for v in range(2):
        for b in range(3):
            expected = algorithm_2(members, noise[b : b + 1], OWN[v, b], 4)[0]
            torch.testing.assert_close(y[v, b], expected, rtol=1e-10, atol=1e-10)


def test_own_mixtures_change_no_bit_of_a_sample_and_evaluate_no_member_without_weight():
    members, seen = ensemble(), []

    class Watched(Ensemble):
        def __call__(self, x, t, which=None):
            seen.append(len(x))
            return super().__call__(x, t, which)

    watched = Watched(members.models, CODES, members.shape)
    y = sample(watched, Noise(3, range(3), watched.shape, 2), schedule(2), OWN)
    # An image for every weight that is not 0; but the mixtures start from the same images, which a member sees once.
    assert sum(seen) == (ORDERS > 0).any(axis=0).sum() + (ORDERS > 0).sum()
    for b in range(3):
        alone = sample(members, Noise(3, [b], members.shape, 2), schedule(2), OWN[:, b])
        assert torch.equal(alone[:, 0], y[:, b])


def test_the_trajectory_can_be_left_early_and_unclamped():
    members = ensemble("float64")
    noise = Noise(1, range(2), members.shape, 3).tensor().double()
    steps = schedule(3)
    assert torch.equal(sample(members, noise, steps, MIXTURES, stop=0, clamp=False)[2], noise[:, 0])
    free = sample(members, noise, steps, MIXTURES, clamp=False)
    assert free.abs().max() > 1
    assert torch.equal(free.clamp(-1, 1), sample(members, noise, steps, MIXTURES))


def test_own_mixtures_for_another_number_of_samples_are_refused():
    members = ensemble()
    with pytest.raises(ValueError, match=r"or \(V, 2, 3\), each sample its own"):
        sample(members, Noise(0, [0, 1], members.shape, 3), schedule(3), OWN)


def test_without_a_mixture_it_is_the_whole_ensemble():
    members, noise = ensemble(), Noise(5, range(2), (1, 28, 28), 3)
    assert torch.equal(sample(members, noise, schedule(3)), sample(members, noise, schedule(3), MIXTURES[:1]))


def test_counterfactuals_are_samples_of_the_members_that_never_saw_the_image():
    members, noise, steps = ensemble(), Noise(5, range(3), (1, 28, 28), 3), schedule(3)
    same = counterfactuals(members, noise, steps, CODES, [3, 0])
    assert torch.equal(same, sample(members, noise, steps, np.array([[0, 0, 1], [0, 0.5, 0.5]])))
    own = counterfactuals(members, noise, steps, CODES, [[3, 0], [0, 3], [1, 2]])
    assert torch.equal(own[:, 0], same[:, 0]) and torch.equal(own[:, 1], same.flip(0)[:, 1])
    assert torch.equal(own[0, 2], sample(members, noise, steps, np.array([[0.5, 0, 0.5]]))[0, 2])


def test_stored_counterfactuals_take_the_lists_of_their_samples():
    given = dict(members=ensemble(), seed=5, steps=schedule(3), codes=CODES)
    rows = np.array([[3, 0], [0, 3], [1, 2]])
    whole = counterfactual_samples(range(3), rows=rows, **given)["y"]
    assert torch.equal(counterfactual_samples(range(1, 3), rows=rows, **given)["y"], whole[1:])
    assert torch.equal(counterfactual_samples(range(1), rows=rows[0], **given)["y"], whole[:1])


@pytest.mark.parametrize(
    "codes, rows, message",
    [
        (CODES[:, :2], [0], r"codes \(N, 3\), of these members; got shape \(4, 2\)"),
        (CODES, [4], r"rows in 0\.\.3, got 4 to 4"),
        (CODES, [[0], [1], [2]], r"or \(2, K\), a list for each sample; got \(3, 1\)"),
        (CODES, [0.5], "expected row numbers"),
        (np.ones((4, 3), bool), [0], "held by all 3 members"),
    ],
)
def test_counterfactuals_of_what_is_not_there_are_refused(codes, rows, message):
    with pytest.raises(ValueError, match=message):
        counterfactuals(ensemble(), Noise(5, range(2), (1, 28, 28), 3), schedule(3), codes, rows)
