"""Chapter 1's pictures: what a reader would see wrong in them, asserted on the artists."""

from __future__ import annotations

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle, Rectangle

from genens import codes
from genens_book.chapters.codes import analysis, figures
from genens_book.pages import plotting


@pytest.fixture(autouse=True, params=["default", "dark_background"])
def style(request):
    with plt.style.context(request.param):
        yield
    plt.close("all")


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_code_table_fills_the_ones_and_marks_the_ablated_members():
    drawn = codes.constant_weight(6, 8, 3, seed=1)
    fig = plotting.code_table(drawn, row=2, pictures=np.zeros((6, 28, 28), np.uint8))
    (ax,) = fig.axes
    squares = [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_width() < 1]
    filled = {(round(p.get_y() + 0.38), round(p.get_x() + 0.38)) for p in squares if p.get_facecolor()[3] > 0}
    assert filled == set(zip(*(axis.tolist() for axis in np.nonzero(drawn)), strict=True))
    assert texts(ax) == ["×" if goes else "✓" for goes in drawn[2]]
    assert len(ax.images) == 6


@pytest.mark.parametrize(("codes_shown", "row"), [(1, 0), (3, 3), (3, -1), (3, 0)])
def test_code_table_refuses_what_it_cannot_draw(codes_shown, row):
    pictures = np.zeros((2 if row == 0 else codes_shown, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="expected two codes or more, a picture for each"):
        plotting.code_table(codes.walsh(8)[:codes_shown], row, pictures)


def test_fano_points_puts_six_lines_straight_and_one_on_a_circle():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        plane = codes.walsh(8)[rng.permutation(7)][:, rng.permutation(7)]
        places = figures.fano_points(plane)
        assert all(np.linalg.norm(a - b) > 0.4 for a, b in combinations(places, 2))
        areas = [abs(np.linalg.det((line - line[0])[1:])) for line in (places[plane[:, i]] for i in range(7))]
        assert sum(area < 1e-9 for area in areas) == 6
        circle = places[plane[:, int(np.argmax(areas))]]
        assert np.allclose(np.linalg.norm(circle, axis=1), 0.5)


def test_fano_plane_dashes_the_members_that_go():
    fig = figures.fano_plane(codes.walsh(8), list("0123468"), ablate=3)
    plane, table = fig.axes
    drawn = [*plane.lines, *(p for p in plane.patches if isinstance(p, Circle) and not p.get_fill())]
    assert len(drawn) == 7
    assert sum(artist.get_linestyle() != "-" for artist in drawn) == 3
    assert sorted(texts(plane)) == sorted([*"0123468", *"1234567"])
    assert sorted(texts(table)) == ["1"] * 42 + ["3"] * 7


def test_fano_plane_refuses_other_codes():
    with pytest.raises(ValueError, match="expected 7 points on 7 lines"):
        figures.fano_plane(codes.constant_weight(7, 7, 3, seed=0), list("0123468"))
    with pytest.raises(ValueError, match="expected 7 points on 7 lines"):
        figures.fano_plane(codes.walsh(4), list("012"))


def test_split_strip_has_a_labelled_row_for_every_list():
    z = {"MNIST": {"here": np.linspace(-2, 2, 5), "paper": np.zeros(5)}, "CelebA": {"here": np.ones(3)}}
    (ax,) = figures.split_strip(z).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["MNIST, here", "MNIST, paper", "CelebA, here"]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    rows = [row.tolist() for sources in z.values() for row in sources.values()]
    assert [line.get_xdata().tolist() for line in dots] == rows
    assert to_rgba(dots[0].get_color()) == to_rgba(dots[2].get_color()) != to_rgba(dots[1].get_color())


def test_witness_shares_draws_no_bar_where_no_pair_is():
    counts = analysis.witnesses(codes.constant_weight(40, 8, 4, seed=0))
    shares, expected = counts / counts.sum(), analysis.expected_witnesses(8, 4)
    (ax,) = figures.witness_shares({"A": shares}, {"A": expected}).axes
    low = ax.get_ylim()[0]
    tops = [bar.get_height() for bar in ax.containers[0]]
    assert tops[0] <= low
    assert tops[1:] == shares[1:].tolist()


def test_member_table_is_as_long_as_its_longest_column():
    page = figures.member_table({"a <b>": [1000, 2], "c": [7]})
    assert page._repr_html_().count("<tr>") == 3
    assert ">a &lt;b&gt;</th>" in page.html and ">1,000</td>" in page.html
    assert repr(page).splitlines() == ["member\ta <b>\tc", "1\t1,000\t7", "2\t2\t"]
