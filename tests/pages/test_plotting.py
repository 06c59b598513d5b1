"""Pictures: both themes, an alternative text, and images where they belong."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from genens_book.pages import plotting


def test_a_picture_comes_in_two_themes_with_its_text():
    picture = plotting.themed(lambda: plotting.sheet(np.zeros((6, 1, 4, 4)), 3), alt='Six "grey" squares')
    html = picture._repr_html_()
    assert html.count("<img") == 2 and "only-light" in html and "only-dark" in html
    assert html.count("Six &quot;grey&quot; squares") == 2
    assert Image.open(io.BytesIO(picture.light)).mode == "RGBA"  # the page's background shows through
    assert not plt.get_fignums()  # nothing is left open, or shown a second time


def test_ink_is_legible_in_both_themes():
    def text():
        figure = plt.figure(figsize=(2, 1))
        figure.text(0.1, 0.3, "ink", fontsize=30)
        return figure

    picture = plotting.themed(text, alt="A word")
    for image, legible in ((picture.light, lambda v: v < 80), (picture.dark, lambda v: v > 175)):
        pixels = np.asarray(Image.open(io.BytesIO(image)))
        assert legible(pixels[pixels[..., 3] > 250][:, :3].mean())


def test_a_picture_without_text_is_refused():
    with pytest.raises(ValueError, match="alternative text"):
        plotting.themed(plt.figure, alt=" ")


def test_tiles_hold_the_images_in_order():
    images = np.linspace(-1, 1, 6).reshape(2, 3, 1, 1, 1) * np.ones((1, 1, 1, 4, 4))
    sheet = plotting.tile(images, gap=2)
    assert sheet.shape == (4 + 2 + 4, 3 * 4 + 2 * 2, 4)
    assert sheet[0, 0, 0] == 0 and sheet[-1, -1, 0] == 1 and sheet[0, 6, 0] == pytest.approx(0.2)
    assert (sheet[4:6, :, 3] == 0).all()  # gaps are transparent
