"""The closed-form testbed against the core's own closed forms, and decoders on effects that are known."""

import numpy as np
import pytest
import torch

from genens import closed_form
from genens import codes as coding
from genens.data import to_unit
from genens.schedules import alpha_bars
from genens_book.chapters.meaning import testbed

T = 500


def setting(N=12, t=T):
    """Images, a noised one (1, C, H, W) and the log weights of the images in front of it."""
    images = testbed.digits()[:N]
    bar = alpha_bars()[t]
    noise = torch.randn(1, 1, testbed.SIDE, testbed.SIDE, generator=torch.Generator().manual_seed(0)).double()
    x = bar**0.5 * to_unit(images[3:4]).double() + (1 - bar) ** 0.5 * noise
    flat = to_unit(images).double().flatten(1)
    logits = (bar**0.5 * (flat @ x.flatten()) - bar * flat.square().sum(1) / 2) / (1 - bar)
    return images, x, flat, logits


def test_what_members_predict_is_what_the_cores_closed_form_has():
    images, x, flat, logits = setting()
    codes = coding.constant_weight(12, 8, 4, 0)
    expected = closed_form.Members(images, codes).denoised(x, T)[:, 0].flatten(1)
    found = testbed.predictions(logits, flat, codes)
    torch.testing.assert_close(found, expected - expected.mean(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("t", [20, 500, 995])
def test_leaving_one_out_is_the_cores_closed_form_too(t):
    images, x, flat, logits = setting(t=t)
    every = closed_form.LeaveOneOut(images).denoised(x, t)[:, 0].flatten(1)
    expected = (every[1:] - every[0]).norm(dim=1).numpy()
    np.testing.assert_allclose(testbed.left_out(logits, flat), expected, rtol=1e-6, atol=1e-12)


def known(n=40, N=20, noise=0.1):
    rng = np.random.default_rng(0)
    codes = coding.constant_weight(N, n, n // 2, 0)
    effects = rng.normal(size=(N, 30)) * np.where(np.arange(N) < 3, 5, 1)[:, None]
    J = torch.from_numpy(codes.T @ effects + noise * rng.normal(size=(n, 30)))
    return J - J.mean(0), codes, np.linalg.norm(effects, axis=1)


def test_the_matched_filter_is_in_less_out():
    J, codes, _ = known()
    slow = [(J[code].mean(0) - J[~code].mean(0)).norm() for code in torch.from_numpy(codes)]
    np.testing.assert_allclose(testbed.matched(J, codes), slow, rtol=1e-5)


@pytest.mark.parametrize("name", [*testbed.DECODERS])
def test_every_decoder_finds_the_largest_effects(name):
    J, codes, _ = known()
    assert set(np.argsort(-testbed.DECODERS[name](J, codes))[:3]) == {0, 1, 2}


@pytest.mark.parametrize("name", [*testbed.DECODERS])
def test_a_code_and_its_complement_share_a_score(name):
    J, codes, _ = known()
    both = np.vstack([~codes[:1], codes])
    scores = testbed.DECODERS[name](J, both)
    assert scores[0] == pytest.approx(scores[1], rel=1e-9) and scores[1] > 0


def test_ridge_regression_solves_for_all_effects_where_there_are_more_members_than_images():
    J, codes, lengths = known(n=60, noise=0.01)
    np.testing.assert_allclose(testbed.ridge(J, codes) * 2, lengths, rtol=0.05)
    assert np.abs(testbed.matched(J, codes) / lengths - 1).max() > 0.2


def test_balanced_codes_give_every_member_as_many_images_and_codes_without_complements_have_none():
    even = testbed.balanced(50, 16, 8, 0)
    assert np.ptp(even.sum(0)) <= 1 and (even.sum(1) == 8).all() and len(np.unique(even, axis=0)) == 50
    alone = testbed.without_complements(126, 10, 5, 0)
    assert len(alone) == 126 and (coding.complements(alone) < 0).all() and len(np.unique(alone, axis=0)) == 126
    assert (coding.complements(coding.constant_weight(126, 10, 5, 0)) >= 0).any()
    assert testbed._codes(127, 10, 0, "without complements") is None and testbed._codes(253, 10, 0, "random") is None


def test_trials_have_a_row_for_each_digit_and_nothing_where_codes_run_out():
    found = testbed.trials(range(2), [10, 30], [700], [6, 8, 64], seed=0)
    assert {value.shape for value in found.values()} == {(2, 2, 1, 3)}
    assert np.isnan(found["hit"][:, 1, 0, 0]).all() and np.isfinite(found["hit"][:, :, :, 1:]).all()
    for name in ("recall", "recall_law", "hit_law"):
        assert 0 <= np.nanmin(found[name]) <= np.nanmax(found[name]) <= 1
    np.testing.assert_allclose(found["nr"][..., 2] / found["nr"][..., 1], 8)
    again = testbed.trials(range(1, 2), [10, 30], [700], [6, 8, 64], seed=0)
    np.testing.assert_array_equal(again["recall"], found["recall"][1:])


def test_thousands_of_members_find_what_the_law_says_they_find():
    """The law's own promise, on a set where n r is large for all ten: nearly all are found, and expected to be."""
    found = testbed.trials(range(3), [40], [850], [8, 1024], seed=0)
    few, many = found["recall"].mean((0, 1, 2))
    assert many > 0.8 > 0.6 > few and abs(found["recall_law"].mean((0, 1, 2))[1] - many) < 0.15


def test_gaps_are_over_cells_in_which_the_law_could_be_wrong_either_way():
    law = np.array([0.5, 0.5, 0.99, 0.5]) * np.ones((2, 1, 1, 4))
    seen = np.array([[0.7, 0.3, 0.0, 0.0], [0.6, 0.6, 0.0, 0.0]]).reshape(2, 1, 1, 4)
    found, cells = testbed.gaps({"hit": seen, "hit_law": law}, "hit")
    assert found.value == pytest.approx(0.05) and found.n == 2  # neither the sure cell nor the last size
    assert found.high - found.value == pytest.approx(
        12.706 * 0.1 / 2, rel=1e-3
    )  # Student's t with one degree of freedom
    assert cells == pytest.approx((0.15 + 0.05) / 2)
    with pytest.raises(ValueError, match="expected at least two noised digits"):
        testbed.gaps({"hit": seen, "hit_law": np.ones_like(law)}, "hit")


def test_decoding_is_the_recall_of_every_decoder_and_codebook():
    recall = testbed.decoding(range(2), 20, [700], [6, 16], seed=0)["recall"]
    assert recall.shape == (2, 1, 2, 3, 3)
    assert np.isnan(recall[:, :, 0, 2]).all()  # six members have ten codes without their complements
    assert np.isfinite(recall[:, :, 1]).all()
