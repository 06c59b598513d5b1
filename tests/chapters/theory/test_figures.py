"""The theory chapter's pictures and tables: what a reader would see wrong in them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from genens.theory import bias
from genens_book.chapters.theory import analysis, catalogue, errata, figures, testbed


@pytest.fixture(autouse=True, params=["default", "dark_background"])
def style(request):
    with plt.style.context(request.param):
        yield
    plt.close("all")


def test_bounds_against_n_draws_every_kind_in_a_panel_for_each_number_of_images():
    curves = analysis.bound_curves([100, 1000, 10_000], 30)
    axes = figures.bounds_against_n(curves).axes
    shown = [ax for ax in axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["100 images", "1,000 images", "10,000 images"]
    for ax, N in zip(shown, curves, strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        assert set(figures.NAMES.values()) <= lines.keys()
        n, value = lines["sharp"].get_data()
        assert value[0] == bias.bias_bound(N, int(n[0]), int(n[0]) // 2).value


def test_bias_beside_spread_has_both_statements():
    found = {
        name: np.full((2, 2), value)
        for name, value in {
            "bias": 0.1,
            "error": 0.01,
            "exact": 0.1,
            "spread": 0.5,
            "typical": 0.2,
            "sharp": 0.3,
            "paper": 9.0,
        }.items()
    }
    figure = figures.bias_beside_spread([6, 8], found)
    assert [ax.get_title() for ax in figure.axes] == ["whole ensemble", "one image ablated"]


def test_agreement_rings_the_truth_and_says_its_place():
    ablation, left_out = np.array([[1.0, 5.0, 3.0], [2.0, 1.0, 4.0]]), np.array([[0, 0, 1.0], [0, 0, 2.0]])
    (ax,) = figures.agreement(ablation, left_out).axes
    assert [text.get_text() for text in ax.texts] == ["2", "1"]
    assert [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"] == [[3.0], [4.0]]


def test_design_tables_are_drawn_with_the_first_point_on_top():
    (ax,) = figures.design_tables({"Fano plane": catalogue.sylvester(7)}).axes
    assert ax.get_ylim() == (7, 0) and ax.get_title() == "Fano plane"


def test_tables_escape_and_hold_every_row():
    page = figures.errata_table(errata.table(trials=20))
    assert page.html.count("<tr>") == 1 + len(errata.table(trials=20))
    plan = figures.planner_table([100], [0.1], {(100, 0.1): 12}, {(100, 0.1): 22})
    assert "12 (22)" in plan.html and "≤" in plan.html
    bounds = figures.bounds_table({"<b>": analysis.bounds({"some": (10_000, 16, 8)})["some"]})
    assert "&lt;b&gt;" in bounds.html
    assert repr(bounds).splitlines()[1].startswith("<b>\tno\t21,538.7275\t")


def test_listing_shows_functions_and_tests_and_refuses_a_test_that_is_gone():
    page = figures.listing([testbed.order])
    assert 'id="code-order"' in page.html and "np.polyfit" in page.html
    for names in figures.CITED_TESTS.values():
        assert all(f'id="code-{name}"' in page.html for name in names)
    with pytest.raises(ValueError, match=r"expected the test test_gone in test_exact\.py"):
        figures.listing([], {"chapters/theory/test_exact.py": ["test_gone"]})
