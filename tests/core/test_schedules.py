"""The schedule is Ho et al.'s, and S = T is their Algorithm 2 step for step."""

import numpy as np
import pytest

from genens.schedules import alpha_bars, schedule


def test_linear_betas_of_the_paper():
    bar = alpha_bars()
    assert bar.dtype == np.float64 and bar.shape == (1000,)
    assert 1 - bar[0] == pytest.approx(1e-4) and 1 - bar[999] / bar[998] == pytest.approx(0.02)


@pytest.mark.parametrize("variance", ["beta", "posterior", "alpha_beta"])
def test_all_steps_are_algorithm_2(variance):
    """x_{t-1} = (x_t - beta_t / sqrt(1 - bar_t) eps) / sqrt(alpha_t) + sigma_t z, written out from the article."""
    steps = schedule(1000, variance=variance)
    beta = np.linspace(1e-4, 0.02, 1000)
    bar = np.cumprod(1 - beta)
    for k, t in enumerate(range(999, -1, -1)):
        before = bar[t - 1] if t else 1.0
        sigma2 = {
            "beta": beta[t],
            "posterior": (1 - before) / (1 - bar[t]) * beta[t],
            "alpha_beta": (1 - beta[t]) * beta[t],
        }[variance]
        assert steps.t[k] == t
        assert steps.a[k] == pytest.approx(1 / np.sqrt(1 - beta[t]), rel=1e-12)
        assert steps.b[k] == pytest.approx(-beta[t] / np.sqrt(1 - bar[t]) / np.sqrt(1 - beta[t]), rel=1e-9)
        assert steps.c[k] == pytest.approx(np.sqrt(sigma2) if t else 0.0, rel=1e-9)


@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
@pytest.mark.parametrize("S", [1, 2, 25, 1000])
def test_a_perfect_prediction_keeps_every_step_on_the_forward_process(sampler, S):
    """With eps the true noise, the mean of the next image is sqrt(bar') x0 + (its part of the noise); for DDIM it is
    the forward process exactly, and for ancestral sampling with posterior variance mean^2 + variance is."""
    steps = schedule(S, sampler, "posterior")
    assert steps.t[0] == 999 and (S == 1 or steps.t[-1] == 0)
    after = np.append(steps.bar[1:], 1.0)
    signal = steps.a * np.sqrt(steps.bar)
    noise = steps.a * np.sqrt(1 - steps.bar) + steps.b
    np.testing.assert_allclose(signal, np.sqrt(after), rtol=1e-9)
    np.testing.assert_allclose(noise**2 + steps.c**2, 1 - after, atol=1e-9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0,), "between 1 and T"),
        ((1001,), "between 1 and T"),
        ((10, "euler"), "sampler as one of"),
        ((10, "ancestral", "large"), "variance as one of"),
    ],
)
def test_unknown_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedule(*arguments)
