"""The pictures of the Jacobian chapter show what they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from support.changes import MIXTURES, draws, made, walked

from genens_book.chapters.jacobian import analysis, figures
from genens_book.pages.plotting import tile


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_strip_has_a_column_for_every_pick_and_the_truth_below_the_original():
    given = made()
    by_method = analysis.images(*(given[k] for k in ("y", "J", "mixtures", "last", "singles", "original")))
    figure = figures.strip(given["original"], given["truth"], by_method, [(0, 1), (2, 3)])
    shown = figure.axes[0].images[0].get_array()
    rows = [
        [given["original"][b], given["truth"][b, v], *(by_method[m][v, b].numpy() for m in analysis.METHODS)]
        for b, v in ((0, 1), (2, 3))
    ]
    np.testing.assert_allclose(shown, tile(np.array(rows).transpose(1, 0, 2, 3, 4)))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(figures.STRIP)


def test_medians_stand_where_the_summary_has_them():
    found = analysis.compare(**made())
    summary = analysis.summary(found, seed=0)
    figure = figures.distributions(found, summary)
    for ax, name in zip(figure.axes, ("pearson", "spearman"), strict=True):
        dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
        assert dots == [summary[method][name].value for method in analysis.METHODS]
    assert "n = 15 images" in figure.axes[0].get_xlabel() and "n = 3 samples" in figure.axes[1].get_xlabel()
    assert "baseline: last step" in figures.table(summary).text


def test_the_rotating_figure_and_its_table_have_every_number_of_members():
    given, drawn = draws()
    rows = analysis.rotation(drawn, given["truth"], given["original"], MIXTURES, seed=0)
    figure = figures.rotation(rows, 0.02)
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["0", "1", "5"]
    assert list(figure.axes[2].lines[0].get_ydata()) == [1, 2, 6]
    assert [line.split("\t")[0] for line in figures.costs(rows).text.splitlines()[1:]] == ["0", "1", "5"]


def test_the_path_is_drawn_with_its_intervals_and_images():
    shares = [0.0625, 0.125, 0.5, 1.0]
    given, third = walked(shares)
    found = analysis.along(given, shares, given["first"] + 0.1 * third)
    intervals = analysis.by_share(found, seed=0)
    figure = figures.path(found, shares, intervals)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1/16", "1/8", "1/2", "1"]
    drawn = [
        line.get_ydata() for line in figure.axes[0].lines if len(line.get_xdata()) == 4 and line.get_linestyle() == "-"
    ]
    np.testing.assert_allclose(drawn[0], [interval.value for interval in intervals["linear"]["error"]])
    film = figures.walked(given["true"], found, shares, 1, 0)
    rows = np.stack([given["true"][1, 0], *(found[name]["images"][1, 0] for name in figures.PREDICTIONS)])
    np.testing.assert_allclose(film.axes[0].images[0].get_array(), tile(rows))
