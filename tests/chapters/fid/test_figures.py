"""The pictures of chapter 3: what a reader would see wrong in them."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from genens_book.chapters.fid import analysis, figures
from genens_book.measures import fid
from genens_book.measures.references import Real
from genens_book.pages.words import number, words


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def every(V=4, shift=0.3):
    rng = np.random.default_rng(0)
    sets = np.stack([rng.normal(shift * v, 1, (40, 3)) for v in (1, 0, 4, 2)][:V], axis=1)
    return analysis.unpack(analysis.estimates(sets, Real(rng.normal(0, 1, (200, 3))), 0, 10))


def test_the_sheet_frames_what_the_classifier_is_not_sure_of_and_leaves_places_empty():
    sure = np.ones(7, dtype=bool)
    sure[[0, 5]] = False
    (ax,) = figures.sheet(np.ones((7, 1, 4, 4)), sure, columns=4).axes
    corners = [patch.get_xy() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert corners == [(-1.5, -1.5), (6 - 1.5, 6 - 1.5)]
    picture = ax.images[0].get_array()
    assert picture[6, 12, 3] == 1 and picture[6, 18, 3] == 0  # the seventh is there, the eighth is not


def test_fids_mark_the_largest_member_not_the_ensemble_or_real_images():
    found = every()
    (ax,) = figures.fids({"digit features": found}).axes
    assert [t.get_text() for t in ax.get_xticklabels()] == ["all", "1", "2", "3", "real"]
    dashed = next(
        line for line in ax.lines if line.get_label() == "largest of the members" or line.get_linestyle() == "--"
    )
    assert dashed.get_ydata()[0] == max(e.value for e in found[1:-1])
    assert any("at n = 40" in t.get_text() for t in ax.get_legend().get_texts())
    assert len(figures.fids({"a": found, "b": found}).axes) == 2


def test_what_cannot_be_extrapolated_has_no_hollow_point():
    found = every()
    (whole,), (ax,) = figures.fids({"a": found}).axes, figures.fids({"a": found}, ["a"]).axes
    assert len(whole.lines) - len(ax.lines) == 2 * len(found)
    real = found[-1].infinite
    believed = [*found[:-1], replace(found[-1], infinite=replace(real, low=-1.0, high=1.0))]
    off = [*found[:-1], replace(found[-1], infinite=replace(real, low=2.0, high=3.0))]
    assert analysis.astray({"a": believed, "b": off}) == ["b"]
    assert analysis.astray_words([]) == "" and "not by the b, which" in analysis.astray_words(["b"])


def test_every_kind_of_features_is_a_line_and_says_where_the_ensemble_stands():
    found = every()
    kids = {"a": np.array([0.25, 0.5, 0.125, 1.0]), "b": np.zeros(4)}
    head, first, second = figures.judges_table({"a": found, "b": found}, kids).text.splitlines()
    members = [e.value for e in found[1:-1]]
    assert first.split("\t")[2] == f"{words(min(members))} to {words(max(members))}" and second.startswith("b\t")
    assert first.split("\t")[4] == number(fid.below_largest(found[0], found[1:-1]), 3, "g")
    assert first.split("\t")[5:] == ["0.25", "0.12 to 1.00"]
    said, smaller = analysis.among_words("features of a", found), sum(one < found[0].value for one in members)
    assert said.startswith(
        f"By the features of a the ensemble's FID is larger than that of {smaller} of its 3 members;"
    )
    assert number(fid.below_largest(found[0], found[1:-1]), 3, "g") in said and said.endswith(" 0.")
    assert (
        analysis.kid_words(kids)
        == "The ensemble's is larger than that of 1 of 3 by the a, and larger than that of 0 of 3 by the b."
    )


def test_the_table_has_every_estimate_with_its_interval():
    found = every()
    rows = figures.fids_table(found).text.splitlines()
    assert [row.split("\t")[0] for row in rows[1:]] == ["all", "member 1", "member 2", "member 3", "real images"]
    assert rows[2].split("\t")[1] == str(found[1].spread).replace("-", "\u2212") and "n = 40" in rows[0]


def test_bias_lines_end_at_the_extrapolated_value():
    found = every()
    (ax,) = figures.bias({"digit features": found}).axes
    line = next(line for line in ax.lines if line.get_label() == "the whole ensemble")
    x, value = line.get_data()
    assert x[0] == 0 and value[0] == found[0].infinite.value
    np.testing.assert_allclose(np.interp(1 / 40, x, value), found[0].infinite.value + found[0].bias)


def test_the_plane_has_three_panels_with_their_counts():
    rng = np.random.default_rng(0)
    titles = [ax.get_title() for ax in figures.plane(rng.normal(size=(4, 50, 2)), rng.normal(size=(20, 2))).axes]
    assert titles == ["training images (n = 20)", "the whole ensemble (n = 50)", "members (n = 3 × 50)"]


def test_the_table_ranks_the_paper_s_sizes_only_where_there_are_as_many():
    manifest = {"split_sizes": [12, 10, 11], "member_cpu_seconds": [60.0, 1.0, 2.0]}
    assert figures.members_table(manifest, [5, 4, 6]).text.splitlines()[1:] == [
        "2\t10\t4\t1.0 s",
        "3\t11\t5\t2.0 s",
        "1\t12\t6\t1 min 00 s",
    ]
    assert "–" in figures.members_table(manifest, [5, 4]).text
