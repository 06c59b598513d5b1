"""What the Jacobian chapter draws, against the same thing done one sample, one direction, one member at a time."""

import numpy as np
import pytest
import torch
from support import STEPS, Posterior, ensemble, exogenous

from genens import codes as coding
from genens import jacobians, store
from genens.sampling import Noise, sample
from genens_book.chapters.jacobian import baselines, draws

MIXTURES = coding.ablations(coding.unrank(range(4), 4, 2))
DRAWN = dict(seed=5, steps=STEPS)


def test_the_plain_sampler_is_the_sampler():
    members = Posterior()
    noise, v = exogenous(members), MIXTURES[1]
    plain = jacobians.trajectory(members, noise, STEPS, torch.from_numpy(v))
    torch.testing.assert_close(plain, sample(members, noise, STEPS, v[None], clamp=False)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("members", [Posterior(n=3), ensemble()], ids=["closed form", "network"])
def test_dual_numbers_along_a_direction_are_the_jacobian_times_it(members):
    noise, direction = exogenous(members), np.array([0.5, -0.2, -0.3])
    J = jacobians.jacobian(members, noise, STEPS)[1]
    found = jacobians.dual(members, noise, STEPS, direction)
    torch.testing.assert_close(
        found, torch.einsum("bnchw,n->bchw", J, torch.from_numpy(direction)), rtol=1e-9, atol=1e-11
    )
    with pytest.raises(ValueError, match="3 numbers, one a member"):
        jacobians.dual(members, noise, STEPS, np.ones(4))


def test_the_check_finds_the_jacobian_right_and_would_find_it_wrong(monkeypatch):
    found = draws.check(seed=1, n=2, steps=3)
    assert found["differences"].max() < 1e-6 and found["dual"].max() < 1e-10
    right = jacobians.jacobian

    def off_by_a_thousandth(*arguments):
        y, J = right(*arguments)
        return y, J * 1.001

    monkeypatch.setattr(jacobians, "jacobian", off_by_a_thousandth)
    wrong = draws.check(seed=1, n=2, steps=3)
    for name in ("differences", "dual"):
        np.testing.assert_allclose(wrong[name], 1e-3, rtol=1e-3)


def test_a_walk_meets_the_true_images_and_leaves_u_0_with_the_jacobian():
    members, shares = Posterior(), [0.25, 1.0]
    walked = draws.walk(range(3), members, **DRAWN, mixtures=MIXTURES[:2], shares=shares, reach=0.05)
    noise = Noise(5, range(3), members.shape, 5)
    y, J = jacobians.jacobian(members, noise, STEPS)
    torch.testing.assert_close(walked["start"], y)
    for v, mixture in enumerate(MIXTURES[:2]):
        for k, share in enumerate(shares):
            there = (0.25 + share * (mixture - 0.25))[None]
            torch.testing.assert_close(walked["true"][:, v, k], sample(members, noise, STEPS, there, clamp=False)[0])
        slope = torch.einsum("bnchw,n->bchw", J, torch.from_numpy(mixture - 0.25).float())
        torch.testing.assert_close(walked["first"][:, v], slope, rtol=1e-4, atol=1e-5)
    second = baselines.curvature(members, noise, STEPS, MIXTURES[:2] - 0.25, 0.05)[1]
    torch.testing.assert_close(walked["second"], second.transpose(0, 1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        draws.walk([0], members, **DRAWN, mixtures=MIXTURES, shares=[0.5, 1.5], reach=0.1)


def test_what_is_stored_is_the_baseline_and_the_jacobian_and_the_time_it_took():
    members = Posterior()
    stored = draws.last_step_samples(range(3), members, **DRAWN, mixtures=MIXTURES)["y"]
    noise = Noise(5, range(3), members.shape, 5)
    torch.testing.assert_close(stored.transpose(0, 1), baselines.last_step(members, noise, STEPS, MIXTURES))
    given = dict(members=members, **DRAWN, per_step=2, tangents="forward")
    timed, direct = draws.timed_jacobians(range(3), **given), jacobians.jacobians(range(3), **given)
    assert all(torch.equal(timed[name], direct[name]) for name in direct)
    assert timed["seconds"].shape == (3,) and (timed["seconds"] > 0).all()


def test_ablated_images_are_different_ones_and_a_function_of_the_seed():
    rows = draws.chosen(50, 20, seed=3)
    assert len(set(rows.tolist())) == 20 and rows.min() >= 0 and rows.max() < 50
    np.testing.assert_array_equal(rows, draws.chosen(50, 20, seed=3))
    assert (rows != draws.chosen(50, 20, seed=4)).any()
    np.testing.assert_array_equal(draws.chosen(5, 5, seed=0), range(5))
    with pytest.raises(ValueError, match="between 1 and 50 counterfactuals"):
        draws.chosen(50, 51, seed=3)


def test_a_jacobian_of_one_member_is_refused_and_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    single = Posterior(n=1)
    with pytest.raises(ValueError, match="at least 2 members"):
        store.chunked(jacobians.jacobians, 2, 2, members=single, **DRAWN, per_step=1)
    assert not any(tmp_path.iterdir())
