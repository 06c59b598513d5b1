"""The method page's drawings: what a reader would see wrong in them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from genens import codes, data
from genens_book.chapters.method import figures


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("channels", [1, 3])
def test_codes_are_drawn_beside_the_first_images_grey_or_in_colour(channels):
    images = torch.arange(6 * channels * 16, dtype=torch.int32).to(torch.uint8).view(6, channels, 4, 4)
    (ax,) = figures.codes(codes.walsh(8)[:4], 2, data.to_unit(images[:4]).numpy()).axes
    shown = [np.asarray(drawn.get_array()) for drawn in ax.images]
    assert len(shown) == 4
    pixels = images[3].permute(1, 2, 0) / 255
    np.testing.assert_allclose(shown[3].reshape(4, 4, channels), pixels, atol=1e-6)


def test_tangent_writes_its_shares_with_a_proper_minus():
    line = np.stack([np.linspace(-1, 1, 3), np.zeros(3)], axis=1)
    ax, below = figures.tangent(line, line, np.array([-1.0, -0.25, 1.0]), np.zeros((2, 3, 1, 4, 4))).axes
    assert [text.get_text() for text in ax.texts] == ["s = −1", "s = 1"]
    assert [label.get_text() for label in below.get_xticklabels()] == ["−1", "−0.25", "1"]
