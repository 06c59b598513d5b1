"""What the page on diffusion models draws, against plain versions of it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from genens import closed_form, codes
from genens.data import to_unit
from genens.sampling import Noise, sample
from genens.schedules import alpha_bars, schedule
from genens_book.chapters.diffusion import analysis, figures

IMAGES = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def members():
    """Four closed-form members on six 4x4 images."""
    return closed_form.Members(IMAGES, codes.constant_weight(6, 4, 2, 0))


def test_the_guess_is_the_mean_of_the_pictures_that_the_members_see(members):
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1)).double()
    expected = members.denoised(x, 400).mean(0)
    assert torch.allclose(analysis.guessed(members, x, 400), expected, atol=1e-6)


def test_noising_mixes_the_picture_with_one_noise(members):
    image, times = to_unit(IMAGES[0]), [0, 500, 999]
    told = analysis.forward(members, image, times, 3)
    bars = alpha_bars()[times]
    noise = (told["noised"][2] - bars[2] ** 0.5 * image) / (1 - bars[2]) ** 0.5
    for x, bar in zip(told["noised"], bars, strict=True):
        assert torch.allclose(x, float(bar**0.5) * image + float((1 - bar) ** 0.5) * noise, atol=1e-4)
    seen = members.denoised(told["noised"][1][None], times[1]).mean(0)[0]
    assert torch.allclose(told["guessed"][1].double(), seen, atol=1e-5)


def test_the_way_back_begins_with_noise_and_ends_with_the_sample(members):
    taken, noise = schedule(8), Noise(2, [1], members.shape, 8)
    told = analysis.backward(members, 1, 2, taken)
    assert told["taken"][[0, -1]].tolist() == [0, 8]
    assert torch.allclose(told["x"][-1], sample(members, noise, taken)[0, 0], atol=1e-6)
    assert torch.equal(told["x"][0], noise.draw(0)[0].clamp(-1, 1)) and torch.equal(told["guessed"][-1], told["x"][-1])


def test_likeness_compares_rows_and_columns(members):
    y = analysis.grid(members, [0, 3], 3, 0, schedule(6))["y"].numpy()
    assert y.shape == (2, 3, 1, 4, 4)
    alone = sample(members, Noise(0, [2], members.shape, 6), schedule(6), np.eye(4)[[3]])[0, 0]
    np.testing.assert_allclose(y[1, 2], alone, atol=1e-6)
    rows = np.median([np.linalg.norm(y[0, k] - y[1, k]) for k in range(3)])
    columns = [np.linalg.norm(y[i, a] - y[i, b]) for i in range(2) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert analysis.likeness(y) == pytest.approx((rows, np.median(columns)))


def test_figures_name_their_rows_and_columns():
    y = np.zeros((2, 3, 1, 8, 8))
    figure = figures.members_and_noises(y, [0, 5])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["member 1", "member 6"]
    other = figures.two_rows(y[0], y[1], ["a", "b"], list("xyz"))
    assert [text.get_text() for text in other.axes[0].get_xticklabels()] == list("xyz")
    plt.close("all")
