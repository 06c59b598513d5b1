"""Closed-form members against brute-force posterior means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.closed_form import posterior_mean, some_images

from genens import closed_form, codes, sampling, schedules
from genens.data import to_unit
from genens.schedules import alpha_bars


@given(st.integers(1, 9), st.integers(2, 6), st.integers(0, 999), st.integers(0, 10**6))
def test_members_predict_the_posterior_mean_of_their_split(N, n, t, seed):
    images = some_images(N, seed=seed)
    drawn = np.random.default_rng(seed).random((N, n)) < 0.5  # some splits are empty
    members = closed_form.Members(images, drawn)
    x = torch.randn(2, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    found, noise, bar = members.denoised(x, t), members(x, t), float(alpha_bars()[t])
    assert found.abs().max() <= 1 + 1e-12
    for i in range(n):
        for b in range(2):
            slow = posterior_mean(x[b], to_unit(images).double()[drawn[:, i]], t)
            assert torch.allclose(found[i, b], slow, atol=1e-7 if t < 5 else 1e-9)
            assert torch.allclose(bar**0.5 * found[i, b] + (1 - bar) ** 0.5 * noise[i, b], x[b], atol=1e-9)


@pytest.mark.parametrize("t", [0, 1, 10, 500, 999])
def test_predictions_are_finite_and_bounded_wherever_x_is(t):
    members = closed_form.Members(some_images(40, (1, 28, 28)), codes.constant_weight(40, 8, 4, seed=0))
    for scale in (0.0, 1.0, 1e3, 1e6):
        x = scale * torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert members.denoised(x, t).abs().max() <= 1 + 1e-9
        assert members(x, t).isfinite().all()


def test_an_empty_split_predicts_mid_grey():
    drawn = np.array([[True, False], [True, False]])
    x = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    assert not closed_form.Members(some_images(2), drawn).denoised(x, 300, [1]).any()


def test_members_keep_the_type_of_x_and_answer_for_which():
    members = closed_form.Members(some_images(6), codes.constant_weight(6, 4, 2, seed=0))
    x = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    everyone = members(x, 400)
    assert everyone.dtype == torch.float32 and everyone.shape == (4, 5, 1, 3, 3)
    assert torch.equal(members(x, 400, [2, 0]), everyone[[2, 0]])
    assert (members.n, members.shape, len(members.digest)) == (4, (1, 3, 3), 64)


def test_the_digest_tells_images_codes_and_kinds_apart():
    images, drawn = some_images(6), codes.constant_weight(6, 4, 2, seed=0)
    different = [
        closed_form.Members(images, drawn),
        closed_form.Members(images, ~drawn),
        closed_form.Members(some_images(6, seed=1), drawn),
        closed_form.LeaveOneOut(images),
    ]
    assert len({members.digest for members in different}) == len(different)
    assert closed_form.Members(images, drawn).digest == different[0].digest


def test_sampling_from_one_split_ends_at_one_of_its_images():
    """The optimal denoiser of a finite set has learnt it by heart: DDIM ends on an image of the split."""
    images, drawn = some_images(6, (1, 4, 4)), codes.constant_weight(6, 4, 2, seed=0)
    members, steps = closed_form.Members(images, drawn), schedules.schedule(100, "ddim")
    noise = sampling.Noise(0, range(4), members.shape, len(steps))
    y = sampling.sample(members, noise, steps, np.eye(4))
    for i, rows in enumerate(codes.splits(drawn)):
        nearest = (y[i][:, None] - to_unit(images)[rows]).abs().amax((2, 3, 4)).amin(1)
        assert nearest.max() < 0.02


def test_left_out_is_training_without_the_image():
    images, t = some_images(5), 300
    x = torch.randn(3, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = closed_form.LeaveOneOut(images).denoised(x, t)
    alone = closed_form.Members(images[[0, 1, 3, 4]], np.ones((4, 1), bool)).denoised(x, t)[0]
    assert torch.allclose(found[3], alone)
    assert torch.allclose(found[0], closed_form.Members(images, np.ones((5, 1), bool)).denoised(x, t)[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: closed_form.Members(some_images(3).float(), np.ones((3, 2), bool)),
            "images as uint8 .* torch.float32",
        ),
        (
            lambda: closed_form.Members(some_images(3), np.ones((4, 2), bool)),
            r"each of 3 images, got codes of shape \(4, 2\)",
        ),
        (lambda: closed_form.Members(some_images(0), np.ones((0, 2), bool)), "expected codes as a bool array"),
        (lambda: closed_form.LeaveOneOut(some_images(1)), "at least two images"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
