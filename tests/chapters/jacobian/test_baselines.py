"""Baselines against the paper's words one member at a time; path, order and curvature against differences."""

import numpy as np
import pytest
import torch
from support import STEPS, Posterior, exogenous, unclamped
from torch.func import jvp

from genens import codes as coding
from genens.jacobians import jacobian, prepare
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens_book.chapters.jacobian import baselines

CODES = coding.unrank(range(6), 4, 2)
MIXTURES = coding.ablations(CODES)


def test_the_last_step_baseline_drops_the_ablated_members_in_the_last_step_alone():
    members = Posterior()
    noise = exogenous(members, 3)
    found = baselines.last_step(members, noise, STEPS, MIXTURES)
    for v, weights in enumerate(MIXTURES):
        x = noise[:, 0]
        for k in range(5):
            now = weights if k == 4 else np.full(4, 0.25)
            eps = sum(w * f for w, f in zip(now, members(x, STEPS.t[k]), strict=True))
            x = STEPS.a[k] * x + STEPS.b[k] * eps + STEPS.c[k] * noise[:, k + 1]
        torch.testing.assert_close(found[v], x.clamp(-1, 1), rtol=1e-10, atol=1e-12)


def test_the_last_step_baseline_of_a_single_step_is_the_sample_itself_noise_included():
    one, members = schedule(1), Posterior()
    one.c[0] = 0.5  # no schedule adds noise in its last step; the baseline must not rely on it
    noise = exogenous(members, 2)[:, :2]
    found = baselines.last_step(members, noise, one, MIXTURES)
    torch.testing.assert_close(found, sample(members, noise, one, MIXTURES))


def test_the_individual_models_baseline_turns_round_the_residuals_of_ablated_members():
    members = Posterior()
    noise = exogenous(members, 2)
    y = sample(members, noise, STEPS, coding.uniform(4)[None])[0]
    singles = sample(members, noise, STEPS, np.eye(members.n))
    found = baselines.individual_models(y, singles, MIXTURES)
    for v, code in enumerate(CODES):
        residuals = [(-1 if code[i] else 1) * (singles[i] - y) for i in range(4)]
        torch.testing.assert_close(found[v], y + sum(residuals) / 4)
    alone = sample(members, noise, STEPS, np.eye(4)[2:3])[0]
    torch.testing.assert_close(singles[2], alone)


def test_the_linear_approximation_goes_wrong_with_the_square_and_the_next_term_with_the_cube():
    members = Posterior()
    noise = exogenous(members, 2)
    y, J = jacobian(members, noise, STEPS)
    shares = np.array([0.01, 0.02, 0.04])
    delta = MIXTURES[1] - 0.25
    walked = sample(members, noise, STEPS, 0.25 + shares[:, None] * delta, clamp=False)
    first, second = (d[0] for d in baselines.curvature(members, noise, STEPS, delta[None], reach=1e-3))
    torch.testing.assert_close(first, torch.einsum("n,bnchw->bchw", torch.from_numpy(delta), J))
    linear = torch.stack([y + s * first for s in shares])
    quadratic = torch.stack([y + s * first + s * s / 2 * second for s in shares])
    orders = [
        baselines.error_order(shares, (walked - found).flatten(2).norm(dim=-1).numpy()) for found in (linear, quadratic)
    ]
    assert abs(orders[0] - 2).max() < 0.1 and abs(orders[1] - 3).max() < 0.15


def test_curvature_is_the_second_derivative_along_every_direction():
    members = Posterior()
    directions = np.stack([np.eye(4)[0] - 1 / 4, (np.eye(4)[1] - np.eye(4)[2]) / 4])
    noise, (zero, one) = exogenous(members, 3), torch.tensor([0.0, 1.0], dtype=torch.float64)
    found = baselines.curvature(members, noise, STEPS, directions, reach=1e-3)
    prepare()
    for v, d in enumerate(torch.from_numpy(directions)):

        def at(s, d=d):
            return unclamped(members, noise, 0.25 + s * d)

        (_, first), (_, second) = jvp(lambda s: jvp(at, (s,), (one,)), (zero,), (one,))
        assert (found[0][v] - first).norm() < 1e-5 * first.norm()
        assert (found[1][v] - second).norm() < 1e-4 * second.norm() and second.norm() > 1e-3


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m: baselines.last_step(m, exogenous(m), STEPS, np.ones((2, 3)) / 3), r"\(V, 4\)"),
        (
            lambda m: baselines.individual_models(torch.zeros(1, 1, 2, 2), torch.zeros(3, 1, 1, 2, 2), MIXTURES),
            r"\(V, 3\)",
        ),
        (lambda m: baselines.curvature(m, exogenous(m), STEPS, MIXTURES), "sum to 0"),
        (lambda m: baselines.curvature(m, exogenous(m), STEPS, MIXTURES - 0.25, reach=2), "non-negative"),
        (lambda m: baselines.curvature(m, Noise(0, [0], m.shape, 4), STEPS, MIXTURES - 0.25), "noise for 5 steps"),
        (lambda m: baselines.error_order([0.0, 1.0], [1.0, 1.0]), "leave out the point u_0"),
        (lambda m: baselines.error_order([1.0], [1.0]), "at least 2 distances"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(Posterior())
