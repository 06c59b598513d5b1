"""The pictures of the Jacobian chapter show what they were given, and its sentences say it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from support.changes import MIXTURES, draws, made, walked

from genens import jacobians
from genens_book.chapters.jacobian import analysis, figures
from genens_book.measures.stats import Interval
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


def test_small_changes_are_scaled_to_the_true_one_in_each_column():
    given = made()
    by_method = analysis.images(*(given[k] for k in ("y", "J", "mixtures", "last", "singles", "original")))
    (ax,) = figures.changes(given["original"], given["truth"], by_method, [(0, 1), (2, 3)]).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["original", "true", "true change", *figures.STRIP[2:]]
    moved = given["truth"][2, 3] - given["original"][2]
    last = by_method["last_step"][3, 2].numpy() - given["original"][2]
    rows = [given["original"][2], given["truth"][2, 3], *(side / np.abs(moved).max() for side in (moved, last))]
    wanted = tile(np.array([[row.clip(-1, 1)] for row in rows]))
    H = moved.shape[-2] + 2
    shown = np.asarray(ax.images[0].get_array())
    for k, row in enumerate([0, 1, 2, labels.index("last step")]):
        np.testing.assert_allclose(
            shown[row * H : row * H + H - 2, -(H - 2) :], wanted[k * H : k * H + H - 2, -(H - 2) :], atol=1e-6
        )
    assert analysis.moved({"true.size": np.array([[1.0, 3.0, 2.0]])}, 4) == {"moved": "2.00", "levels": "127.5"}


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


ABOVE, BELOW, ACROSS = (
    Interval((low + high) / 2, low, high, 9) for low, high in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))
)


def test_wordings_follow_the_interval():
    for interval, expected in ((ABOVE, "above"), (BELOW, "below"), (ACROSS, "neither above nor below")):
        assert figures.bears_out(interval, "above", "below") == expected


def test_the_prose_has_every_methods_numbers():
    summary = analysis.summary(analysis.compare(**made()), seed=0)
    said = figures.agreement_words(summary, 3)
    for method in analysis.METHODS:
        assert said[f"pearson_{method}"] is summary[method]["pearson"] and f"spearman_p_{method}" in said
    assert said["wins"] == summary["of_clamped"]["wins"]
    assert said["floor"] == figures.exponent(analysis.least_log10_p(3)) and "-" not in said["floor"]


def test_the_prose_says_which_number_of_members_the_rule_gives():
    given, drawn = draws()
    truth = jacobians.linear_counterfactual(given["y"], given["J"], MIXTURES).transpose(0, 1).numpy()
    rows = analysis.rotation(drawn, truth, given["original"], MIXTURES, seed=0)
    said = figures.rotation_words(rows, 1e-3, per_step=1)
    assert said["best"] == 1 and "uses" in said["agrees"] and said["dropped"] == "cannot simply be dropped"
    assert (said["seconds_best"], said["seconds_exact"]) == ("2", "6")
    assert said["exact_pearson"] == "1.00" and said["none_pearson"] == figures.number(rows[0]["pearson"].value)
    loose = figures.rotation_words(rows, 2.0, per_step=1)
    assert loose["best"] == 0 and "run with 1" in loose["agrees"] and "could even be dropped" in loose["dropped"]


def test_the_prose_says_how_far_off_the_predictions_end_and_whether_the_second_order_helped():
    shares = [0.0625, 0.125, 0.5, 1.0]
    given, third = walked(shares)
    intervals = analysis.by_share(analysis.along(given, shares, given["first"]), seed=0)
    order = dict.fromkeys(intervals, ABOVE)
    said = figures.path_words(order, intervals, ABOVE, exact=True)
    assert said["order_linear"] is ABOVE and said["end_linear"] == intervals["linear"]["error"][-1].percent()
    assert "smaller" in said["helped"] and "exact here" in said["slope"]
    assert "larger" in figures.path_words(order, intervals, BELOW, exact=False)["helped"]
    said = figures.path_words(order, intervals, ACROSS, exact=False)
    assert "neither" in said["helped"] and "very small steps" in said["slope"]
    assert [figures.fraction(share) for share in shares] == ["1/16", "1/8", "1/2", "1"]
