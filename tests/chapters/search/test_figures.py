"""The search chapter's pictures and sentences: what a reader would see wrong in them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from genens import attribution, codes
from genens_book.chapters.search import analysis, figures
from genens_book.measures import not_run, stats
from genens_book.pages import plotting


@pytest.fixture(autouse=True, params=[False, True])
def style(request):
    with plt.rc_context(plotting.style(request.param)):
        yield
    plt.close("all")


TOP = attribution.Top(np.array([[4, 5, 2], [4, 7, 9]]), np.array([[3.0, 3, 1], [2, 1.5, 1]]))


@pytest.mark.parametrize("channels", [1, 3])
def test_lists_frame_what_is_shared_and_join_what_ties(channels):
    images = np.linspace(-1, 1, 10)[:, None, None, None] * np.ones((1, channels, 6, 6))
    twins = np.full(10, -1)
    twins[4], twins[5], twins[9] = 5, 4, 4
    (ax,) = figures.lists(images[:2], images, TOP, [4], twins).axes
    frames = [patch.get_xy() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert frames == [(8.5, -0.5), (8.5, 8.5)]  # image 4, first in both rows, one column right of the sample
    assert sum(line.get_color() == plotting.STAYS for line in ax.lines) == 1
    assert [text.get_text() for text in ax.get_xticklabels()] == ["sample", "1", "2", "3"]
    pixel = ax.images[0].get_array()[2, 9 * 2 + 2, :3]  # second image of the first list: number 5
    np.testing.assert_allclose(pixel, (images[5, :, 0, 0] + 1) / 2 * np.ones(3))


def test_the_chance_of_a_lists_first_image_stands_beside_it():
    images = np.linspace(-1, 1, 10)[:, None, None, None] * np.ones((1, 1, 6, 6))
    p, q = np.array([[0.0002, 0.1, 1], [1e-5, 0.1, 1]]), np.array([[0.93, 1, 1], [0.02, 1, 1]])
    (ax,) = figures.lists(images[:2], images, TOP, p=p, q=q).axes
    assert [text.get_text() for text in ax.texts] == ["p 0.0002\nq 0.93", "p 1 × 10⁻⁵\nq 0.02"]
    said = figures.chance_words(attribution.Chance(p, 252, True), q, codes.constant_weight(126, 10, 5, 0))
    assert said["least_possible"] == "0.50"
    assert said["discovered"] == "1" and said["chance_codes"] == "252" and said["least_q"] == "0.02"
    assert (
        "drawn at random" in figures.chance_words(attribution.Chance(p, 252, False), q, codes.walsh(8))["chance_kind"]
    )


def test_concentration_counts_images_by_their_number_of_lists():
    influence = np.random.default_rng(0).random((2, 10)) + 1
    left, right = figures.concentration(TOP, influence).axes
    assert [bar.get_height() for bar in left.patches] == [4, 1]
    chance = left.lines[0].get_ydata()
    np.testing.assert_allclose(chance, [10 * 2 * 0.3 * 0.7, 10 * 0.09])
    curve = right.lines[0].get_ydata()
    assert (np.diff(curve) <= 0).all() and len(curve) == 10
    assert curve[0] == pytest.approx(influence[0].max() / np.median(influence[0]))


def test_the_second_stage_shows_every_entry_once_at_its_two_places():
    true = np.array([[1.0, 3, 2], [9, 8, 7]])
    second = analysis.rerank(TOP, true)
    before, after = figures.second_places(second, true)
    assert after.tolist() == [[2, 0, 1], [0, 1, 2]] and before.tolist() == [[0, 1, 2]] * 2
    left, right = figures.second_stage(np.ones((2, 6)), np.ones((2, 6)), second=second).axes[:2]
    assert sum(int(text.get_text()) for text in right.texts) == 6
    assert [len(line.get_xdata()) for line in left.lines[:2]] == [6, 6]


def test_discounted_lists_are_a_picture_or_a_line_that_there_are_none():
    images, twins = np.zeros((10, 1, 6, 6)), np.full(10, -1)
    none = figures.discounted(not_run.NotRun("it ran out"), images[:2], images, twins, alt="lists")
    assert none.html == "<p>There are no such lists here.</p>"
    shown = figures.discounted(analysis.Discounted(TOP, []), images[:2], images, twins, alt="Rows of images.")
    assert 'alt="Rows of images."' in shown._repr_html_()


def test_the_furthest_counterfactual_is_the_third_row():
    y = np.stack([np.full((3, 1, 2, 2), b) * np.array([0, 0.2, 0.5])[:, None, None, None] for b in (1, -1)])
    (ax,) = figures.without_first(y[:, 0], y[:, 1:], np.array([[1.0, 2], [2, 1]])).axes
    sheet = ax.images[0].get_array()
    assert sheet[8, 0, 0] == pytest.approx(0.75) and sheet[8, 4, 0] == pytest.approx(0.4)


def test_the_saving_is_a_line_for_each_database():
    page = figures.saving_table([analysis.saving("celeba"), analysis.Saving("this run", 784, 6, 20)])
    assert "1,179,648" in page.html and "2,048×" in page.html and page.html.count("<tr>") == 3


def test_sentences_say_what_came_out():
    none = figures.discount_words(not_run.NotRun("it ran out"), TOP)
    assert "has no end: it ran out" in none
    assert "no image is in two lists" in figures.discount_words(analysis.Discounted(TOP, []), TOP)
    half = analysis.Discounted(attribution.Top(TOP.rows, TOP.influence / 2), [np.array([1, 2]), np.array([3])])
    assert "2 rounds and removed 3 images" in (words := figures.discount_words(half, TOP)) and "50\u00a0%" in words
    reversed_ = analysis.rerank(TOP, np.array([[1.0, 2, 3], [1, 2, 3]]))
    assert "\u22120." in (words := figures.order_words(reversed_, 0)) and "67\u00a0% of the 6 entries" in words
    single = attribution.Top(TOP.rows[:, :1], TOP.influence[:, :1])
    assert "not defined" in figures.order_words(analysis.rerank(single, np.ones((2, 1))), 0)
    for low, high, word in ((0.6, 0.8, "moves a sample further"), (0.2, 0.4, "misleads"), (0.4, 0.6, "chance")):
        assert word in figures.verdict_words(stats.Interval(0.5, low, high, 9))
