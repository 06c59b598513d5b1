"""The pictures of chapter 4: what a reader would see wrong in them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from genens_book.chapters.convergence import analysis, figures, growing


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fits():
    y = np.random.default_rng(0).normal(size=(40, 5, 1, 2, 2)) / np.arange(1, 6).reshape(1, 5, 1, 1, 1)
    return analysis.fits(y, np.zeros((40, 5), dtype=int), np.ones(10), 0, 20)


def test_violins_name_sizes_and_steps():
    rng = np.random.default_rng(0)
    above, below = figures.violins(rng.random((30, 4)), rng.random((30, 4))).axes
    assert [t.get_text() for t in above.get_xticklabels()] == ["1", "2", "3", "4"]
    assert [t.get_text() for t in below.get_xticklabels()] == ["1 to 2", "2 to 3", "3 to 4", "4 to 5"]
    assert "n = 30" in above.get_title() and above.get_ylim() == below.get_ylim()


def test_the_law_is_drawn_at_its_own_height_and_measured_beside_it(fits):
    left, right = figures.law(fits, growing.law(5)).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), fits["full"].sigma2 * growing.law(5))
    measured = left.lines[1].get_ydata()
    np.testing.assert_allclose(measured, [r.value for r in fits["full"].ratio] * left.lines[0].get_ydata())
    labels = right.get_legend_handles_labels()[1]
    assert len(labels) == 3 and "n = 10" in labels[1]


def test_a_group_that_is_too_small_is_left_out(fits):
    assert fits["changes"] is None
    left, right = figures.digits(analysis.settled(np.zeros((40, 5), dtype=int)), fits).axes
    assert right.get_legend_handles_labels()[1] == ["digit stays (n = 40)"]
    none = figures.digits(analysis.settled(np.zeros((4, 5), dtype=int)), fits | {"stays": None})
    assert none.axes[1].get_legend() is None


def test_strips_frame_the_image_that_came_back():
    back = np.zeros((6, 2), dtype=bool)
    back[4, 1] = True
    (ax,) = figures.strips(np.zeros((6, 4, 1, 4, 4)), [4, 0], back).axes
    assert [patch.get_xy() for patch in ax.patches] == [(3 * 6 - 1.5, -1.5)]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["no. 4", "no. 0"]
