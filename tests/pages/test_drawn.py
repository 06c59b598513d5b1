"""What is drawn can be downloaded: a figure's CSV holds the numbers that its axes show."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest

from genens_book.pages import drawn, plotting


def read(figure):
    """The table as a reader's program has it."""
    text = drawn.table(figure)
    plt.close(figure)
    return pandas.read_csv(io.StringIO(text), comment="#", dtype={"series": str})


def test_lines_points_and_scatter_keep_their_numbers_and_names():
    figure, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2, 3], [0.5, 0.25, 0.125], label="true")
    left.plot([1, 2], [7.0, np.nan], "o", label="predicted")
    right.scatter([4, 5], [6, 7])
    found = read(figure)
    true = found[found.series == "true"]
    assert set(true.mark) == {"line"} and true.x.tolist() == [1, 2, 3] and true.y.tolist() == [0.5, 0.25, 0.125]
    predicted = found[found.series == "predicted"]
    assert set(predicted.mark) == {"point"} and predicted.y.iloc[0] == 7 and np.isnan(predicted.y.iloc[1])
    assert found[found.panel == 2][["x", "y"]].values.tolist() == [[4, 6], [5, 7]]


def test_bars_have_the_names_of_their_ticks_and_intervals_their_ends():
    figure, (upright, lying) = plt.subplots(1, 2)
    upright.bar([0, 1], [3, 5], label="found")
    upright.errorbar([0, 1], [3, 5], [[1, 1], [2, 2]], fmt="none")
    upright.set_xticks([0, 1], ["pixels", "MSE"])
    lying.barh([0, 1], [2, 4], left=1)
    found = read(figure)
    bars, intervals, across = (
        found[at] for at in (found.series == "found", found.mark == "interval", found.panel == 2)
    )
    assert bars.x_name.tolist() == ["pixels", "MSE"] and bars.y.tolist() == [3, 5]
    assert intervals[["y_low", "y_high"]].values.tolist() == [[2, 5], [4, 7]]
    assert across[["x_low", "x_high", "y"]].values.tolist() == [[1, 3, 0], [1, 5, 1]]


def test_a_value_stands_in_one_line_with_its_interval():
    figure, ax = plt.subplots()
    ax.errorbar([1, 2], [10, 20], [[1, 2], [3, 4]], xerr=0.5, fmt="o", capsize=2, label="mean")
    found = read(figure)
    assert len(found) == 2 and set(found.series) == {"mean"}
    assert found[["x", "y", "y_low", "y_high"]].values.tolist() == [[1, 10, 9, 13], [2, 20, 18, 24]]
    assert found[["x_low", "x_high"]].values.tolist() == [[0.5, 1.5], [1.5, 2.5]]


def test_a_line_across_the_panel_has_one_coordinate_and_a_band_its_sides():
    figure, ax = plt.subplots()
    ax.axhline(0.5, label="chance")
    ax.axvspan(2, 3, label="the list")
    found = read(figure).set_index("series")
    assert found.y["chance"] == 0.5 and "x" not in found
    assert (found.x_low["the list"], found.x_high["the list"]) == (2, 3)


def test_tables_histograms_and_violins_are_in_it():
    figure, axes = plt.subplots(1, 3)
    axes[0].pcolormesh([[1, 2], [3, 4]])
    axes[0].set_xticks([0.5, 1.5], ["7", "8"])  # digits, not places
    axes[1].hist([0.1, 0.2, 0.9], [0, 0.5, 1], histtype="stepfilled")
    axes[1].hist([0.1, 0.2, 0.9], [0, 0.5, 1], histtype="step", label="seen")
    axes[2].violinplot([[1, 2, 3]])
    found = read(figure)
    assert found[found.mark == "cell"].value.tolist() == [1, 2, 3, 4]
    assert found[found.mark == "cell"].x_name.tolist() == [7, 8, 7, 8]
    assert set(found[found.panel == 2].series) == {"seen"} and found[found.series == "seen"].y.max() == 2
    assert found[(found.panel == 3) & (found.mark == "outline")].y.agg(["min", "max"]).tolist() == [1, 3]


def test_the_head_names_the_panels_also_where_axes_are_shared():
    figure, (above, below) = plt.subplots(2, 1, sharex=True)
    above.plot([1], [1])
    above.set(title="MNIST", ylabel="FID")
    below.plot([1], [1])
    below.set(xlabel="1 / images", ylabel="bias")
    head = [line for line in drawn.table(figure).splitlines() if line.startswith("#")]
    plt.close(figure)
    assert head == ["# panel 1: MNIST; x is 1 / images; y is FID", "# panel 2: x is 1 / images; y is bias"]


@pytest.mark.parametrize("draw", [lambda: plotting.sheet(np.zeros((6, 1, 4, 4)), 3), plt.figure])
def test_a_picture_of_images_has_no_table_and_no_link(draw):
    assert "ge-data" not in plotting.themed(draw, alt="Six squares")._repr_html_()


def test_the_picture_carries_its_table_under_the_name_of_the_figure():
    def draw():
        figure, ax = plt.subplots()
        ax.plot([1, 2], [3, 4])
        return figure

    page = plotting.themed(draw, "Two points", "02_fig_line")._repr_html_()
    name, data = re.search(r'download="(.+?)" href="data:text/csv;base64,(.+?)"', page).groups()
    assert name == "02_fig_line.csv"
    assert base64.b64decode(data).decode().splitlines()[-2:] == ["1,line,1,1,3", "1,line,1,2,4"]
