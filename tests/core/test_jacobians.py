"""The Jacobian against finite differences, against dual numbers, and against the recurrence written out."""

import contextlib

import numpy as np
import pytest
import torch
from support import CODES, STEPS, Posterior, ensemble, exogenous, unclamped
from torch.autograd import forward_ad
from torch.func import jacfwd

from genens import codes as coding
from genens import jacobians as jac
from genens import store
from genens.ensemble import Ensemble
from genens.sampling import Noise, sample
from genens.schedules import schedule

TILTED = np.array([0.5, 0.0, 0.5])


@pytest.mark.parametrize("members", [Posterior(), ensemble(attention=(0,))], ids=["closed form", "network"])
@pytest.mark.parametrize("where", ["u_0", "elsewhere"])
def test_central_finite_differences_agree_to_a_millionth(members, where):
    v = coding.uniform(members.n) if where == "u_0" else np.eye(members.n)[0]
    noise, h = exogenous(members), 1e-5
    y, J = jac.jacobian(members, noise, STEPS, v)
    torch.testing.assert_close(y, sample(members, noise, STEPS, v[None], clamp=False)[0], rtol=1e-12, atol=1e-12)
    for j, move in enumerate(h * np.eye(members.n)):
        change = (unclamped(members, noise, v + move) - unclamped(members, noise, v - move)) / (2 * h)
        assert (J[:, j] - change).norm() < 1e-6 * change.norm()


@pytest.mark.parametrize("members", [Posterior(), ensemble()], ids=["closed form", "network"])
def test_dual_numbers_through_the_whole_sampler_agree(members):
    jac.prepare()
    noise, v = exogenous(members), torch.from_numpy(coding.uniform(members.n))
    J = jac.jacobian(members, noise, STEPS)[1]
    for j in range(members.n):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(v, torch.eye(members.n, dtype=v.dtype)[j])
            tangent = forward_ad.unpack_dual(unclamped(members, noise, dual)).tangent
        torch.testing.assert_close(J[:, j], tangent, rtol=1e-10, atol=1e-12)


def test_with_fewer_members_a_step_it_is_the_recurrence_with_their_mean():
    jac.prepare()
    members = Posterior(n=4)
    noise = exogenous(members, 1)
    for per_step, turns in (
        (0, [[]] * 5),
        (1, [[0], [1], [2], [3], [0]]),
        (3, [[0, 1, 2], [3, 0, 1], [2, 3, 0], [1, 2, 3], [0, 1, 2]]),
    ):
        x, J = noise[:, 0], torch.zeros(4, 4, dtype=torch.float64)  # pixels x members
        for k, using in enumerate(turns):
            F = members(x, STEPS.t[k]).reshape(4, 4).T
            D = [jacfwd(lambda z, i=i, k=k: members(z, STEPS.t[k], [i])[0])(x).reshape(4, 4) for i in using]
            J = STEPS.a[k] * J + STEPS.b[k] * (F + (sum(D) / len(D) @ J if D else 0))
            x = STEPS.a[k] * x + STEPS.b[k] * F.mean(1).view_as(x) + STEPS.c[k] * noise[:, k + 1]
        found = jac.jacobian(members, noise, STEPS, per_step=per_step)[1]
        torch.testing.assert_close(found[0].flatten(1).T, J, rtol=1e-10, atol=1e-12)


def test_fewer_members_a_step_cost_fewer_evaluations_and_come_closer_with_each():
    members, steps = Posterior(n=4, points=6, side=3), schedule(8)
    noise = exogenous(members, 6, steps)
    exact = jac.jacobian(members, noise, steps)[1]
    error = [float((jac.jacobian(members, noise, steps, per_step=k)[1] - exact).norm()) for k in range(5)]
    assert error[4] == 0 and error[2] < error[0] and error[1] < error[0]


@pytest.mark.parametrize("per_step", [0, 2, 4])
def test_differences_are_forward_mode_to_a_thousandth(per_step):
    members, steps = Posterior(n=4, points=6, side=3), schedule(8)
    noise = exogenous(members, 6, steps)
    (y, exact), (same, found) = (
        jac.jacobian(members, noise, steps, per_step=per_step, tangents=way) for way in jac.TANGENTS
    )
    torch.testing.assert_close(same, y, rtol=0, atol=1e-12)
    for one, other in ((found, exact), (jac.centred(found), jac.centred(exact))):
        assert ((one - other).flatten(1).norm(dim=1) <= 1e-3 * other.flatten(1).norm(dim=1)).all()
    assert per_step == 0 or not torch.equal(found, exact)


@pytest.mark.parametrize("engine", ["eager", "openvino"])
def test_differences_of_float32_networks_are_forward_mode_to_a_hundredth(engine):
    models = ensemble("float32", attention=(0,)).models
    members, noise = Ensemble(models, CODES, (1, 8, 8), engine=engine), Noise(5, range(3), (1, 8, 8), 5)
    exact, found = (
        jac.centred(jac.jacobian(members, noise, STEPS, tangents=way)[1]).flatten(1) for way in jac.TANGENTS
    )
    assert ((found - exact).norm(dim=1) < 1e-2 * exact.norm(dim=1)).all()


def test_a_column_that_does_not_move_the_image_is_no_problem_of_differences():
    x, J = torch.randn(2, 1, 3, 3), torch.zeros(4, 2, 1, 3, 3)
    images, h = jac.difference_images(x, J)
    assert images.shape == (6, 2, 1, 3, 3) and torch.equal(images, x.expand_as(images))
    assert torch.equal(jac.differences(images, h), torch.zeros_like(J))


def test_members_without_weight_lend_no_input_jacobian():
    assert [jac.turn(k, [0, 2, 5], 2) for k in range(3)] == [[0, 2], [5, 0], [2, 5]]
    members = ensemble("float32")
    pushed, push = [], jac.push
    try:
        jac.push = lambda members, x, t, i, J: pushed.append(i) or push(members, x, t, i, J)
        jac.jacobian(members, Noise(0, [0], members.shape, 5), STEPS, TILTED)
    finally:
        jac.push = push
    assert sorted(set(pushed)) == [0, 2] and len(pushed) == 2 * 4  # none in the first step, where J is 0


def test_differences_that_rounding_would_drown_are_refused():
    with pytest.raises(ValueError, match="expected members of float32 or float64.*set tangents to forward"):
        jac.jacobian(ensemble("bfloat16"), Noise(0, [0], (1, 8, 8), 5), STEPS, tangents="differences")


@pytest.mark.parametrize("rounded", [True, False])
def test_differences_on_a_gpu_are_refused_where_it_rounds_to_tf32(rounded, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", rounded)
    noise = Noise(0, [0], (1, 8, 8), 5).tensor().to("meta")  # a device that is not the CPU
    with pytest.raises(ValueError, match="TF32: see graphs.exact") if rounded else contextlib.nullcontext():
        jac._check_precision(ensemble("float32"), noise)


@pytest.mark.parametrize(
    "precision, tangents", [("float32", "forward"), ("float32", "differences"), ("bfloat16", "forward")]
)
def test_a_jacobian_does_not_depend_on_what_it_is_computed_with(precision, tangents):
    members = ensemble(precision)
    given = dict(members=members, seed=3, steps=schedule(3, variance="beta"), tangents=tangents)
    together, alone = jac.jacobians(range(6), **given), jac.jacobians([5], **given)
    assert together["jacobian"].shape == (6, 3, 1, 8, 8) and together["jacobian"].dtype == torch.float32
    assert all(torch.equal(together[name][5], alone[name][0]) for name in ("y", "jacobian"))


def test_jacobians_are_stored_in_chunks_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    members = ensemble("float32")
    members.digest = "of this test"
    given = dict(members=members, seed=3, steps=schedule(3, "ddim"), per_step=1)
    stored, direct = store.chunked(jac.jacobians, 3, 2, **given), jac.jacobians(range(3), **given)
    for name in ("y", "jacobian"):
        np.testing.assert_array_equal(stored[name], direct[name])
    linear = jac.linear_counterfactual(stored["y"], stored["jacobian"], coding.ablations(CODES))
    assert linear.shape == (3, 3, 1, 8, 8) and jac.gram(stored["jacobian"]).shape == (3, 3, 3)


def test_several_cores_give_the_same_jacobian_and_stay_as_many():
    members, noise, threads = ensemble("float32"), Noise(1, range(2), (1, 8, 8), 5), torch.get_num_threads()
    found = []
    try:
        for cores in (1, 3):
            torch.set_num_threads(cores)
            found.append(jac.jacobian(members, noise, STEPS, per_step=2))
            assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(threads)
    for alone, together in zip(*found, strict=True):
        torch.testing.assert_close(alone, together)


def test_half_precision_members_give_nearly_the_same_jacobian():
    noise = Noise(1, range(4), (1, 8, 8), 5)
    exact, half = (jac.jacobian(ensemble(p), noise, STEPS)[1].flatten() for p in ("float32", "bfloat16"))
    assert torch.cosine_similarity(exact, half, 0) > 0.999


def test_the_gram_matrix_gives_the_length_of_every_change():
    J = torch.randn(2, 4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    G, delta = jac.gram(J.numpy()), np.array([0.25, 0.25, -0.25, -0.25])
    assert G.dtype == np.float64 and G.shape == (2, 4, 4)
    change = torch.einsum("n,bnchw->bchw", torch.from_numpy(delta), J.double()).flatten(1).norm(dim=1)
    np.testing.assert_allclose(np.sqrt(delta @ G @ delta), change, rtol=1e-12)


def test_linear_counterfactuals_are_equation_4_and_the_clamp_brings_them_no_further():
    members = Posterior()
    noise = exogenous(members, 6)
    v = coding.ablations(coding.unrank(range(6), 4, 2))
    y, J = jac.jacobian(members, noise, STEPS)
    free = jac.linear_counterfactual(y, J, v, clamp=False)
    by_hand = y[1] + sum((v[2, j] - 0.25) * J[1, j] for j in range(4))
    torch.testing.assert_close(free[2, 1], by_hand)
    true = sample(members, noise, STEPS, v)
    errors = [(found - true).flatten(2).norm(dim=-1) for found in (jac.linear_counterfactual(y, J, v), free)]
    assert (errors[0] <= errors[1] + 1e-12).all()
    assert errors[0].sum() < (true - y.clamp(-1, 1)).flatten(2).norm(dim=-1).sum()
    torch.testing.assert_close(jac.linear_counterfactual(y, J, v[:1], base=v[0])[0], y.clamp(-1, 1))


def test_no_change_of_mixture_sees_what_all_columns_share():
    members = Posterior()
    y, J = jac.jacobian(members, exogenous(members), STEPS)
    v = coding.ablations(coding.unrank(range(4), 4, 1))
    shifted = J + 100 * torch.randn(2, 1, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    for other in (jac.centred(J), shifted):
        torch.testing.assert_close(jac.linear_counterfactual(y, other, v), jac.linear_counterfactual(y, J, v))
    torch.testing.assert_close(jac.centred(shifted), jac.centred(J))


def test_pixels_that_are_clamped_do_not_move():
    y = torch.tensor([[[[-1.2, 0.5], [1.1, -0.3]]]])
    assert jac.of_clamped(y, torch.ones(1, 2, 1, 2, 2))[0, 1, 0].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(per_step=5), r"per_step in 0\.\.4"),
        (dict(per_step=-1), r"got -1"),
        (dict(mixture=np.ones(3) / 3), "4 non-negative weights"),
        (dict(mixture=np.array([2.0, -1, 0, 0])), "non-negative"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    members = Posterior()
    with pytest.raises(ValueError, match=message):
        jac.jacobian(members, exogenous(members), STEPS, **arguments)


def test_one_member_has_no_jacobian_and_codes_of_other_ensembles_no_counterfactual():
    with pytest.raises(ValueError, match="at least 2 members"):
        jac.jacobian(Posterior(n=1), exogenous(Posterior(n=1)), STEPS)
    with pytest.raises(ValueError, match=r"\(V, 4\)"):
        jac.linear_counterfactual(torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 1, 2, 2), np.ones((2, 3)) / 3)
    with pytest.raises(ValueError, match="noise for 4 steps"):
        jac.jacobian(Posterior(), exogenous(Posterior()), schedule(4))
