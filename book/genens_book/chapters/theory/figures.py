"""The pictures and tables of the theory chapter: bounds, bias beside spread, designs, errata, listings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens.theory.bias import TRIVIAL, Bound
from genens_book.chapters.theory.errata import Erratum
from genens_book.pages import listings, markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import GOES, STAYS, WIDTH, bare
from genens_book.pages.words import number

NAMES = {"paper": "the paper's", "birthday": "birthday", "diaconis-freedman": "Diaconis–Freedman", "sharp": "sharp"}
LOOK = {"paper": ("C1", "o"), "birthday": ("C4", "s"), "diaconis-freedman": ("C3", "D"), "sharp": ("C0", ".")}
CITED_TESTS = {  # by the theory chapter, which shows them
    "core/test_guarantee.py": ["test_every_codebook_of_one_weight_up_to_8_members_has_the_guarantee"],
    "chapters/theory/test_exact.py": [
        "test_sharp_bound_agrees_with_rational_arithmetic",
        "test_exact_bias_is_never_above_the_sharp_bound_and_the_worst_f_attains_it",
        "test_the_two_statements_have_exactly_the_same_sharp_bound",
    ],
    "chapters/theory/test_catalogue.py": [
        "test_no_family_on_up_to_four_points_contradicts_theorem_2",
        "test_hadamard_designs_and_their_complements_are_equality_cases",
    ],
    "core/test_closed_form.py": ["test_members_predict_the_posterior_mean_of_their_split"],
    "chapters/theory/test_testbed.py": [
        "test_enumerated_is_the_mean_over_every_subset",
        "test_influence_is_the_distance_to_each_counterfactual",
        "test_search_is_the_first_order_effect_of_each_ablation",
        "test_the_linear_approximation_errs_to_second_order",
    ],
}


def bounds_against_n(curves: Mapping[int, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Every bound against the number of members, a panel for each N; what lies in the shaded part says nothing."""
    columns = 2 if len(curves) > 1 else 1
    rows = -(-len(curves) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(WIDTH, 2.5 * rows + 0.3), sharey=True, squeeze=False)
    ink = plt.rcParams["text.color"]
    for ax, (N, kinds) in zip(axes.flat, curves.items(), strict=False):
        ax.axhspan(TRIVIAL, 1e12, color=ink, alpha=0.08, linewidth=0)
        for kind, (n, value) in kinds.items():
            colour, marker = LOOK[kind]
            ax.plot(n, value, marker=marker, color=colour, markersize=4, label=NAMES[kind])
        ax.set(yscale="log", ylim=(1e-8, 1e11), title=f"{N:,} images", xlabel="members $n$")
    for ax in axes[:, 0]:
        ax.set_ylabel("bias at most (units of $C$)")
    for ax in axes.flat[len(curves) :]:
        ax.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=4)
    return fig


def bias_beside_spread(members: Sequence[int], found: Mapping[str, np.ndarray]) -> Figure:
    """Measured bias and spread of encoded ensembles against n, both statements, with the bounds drawn in.

    found: what `testbed.bias_and_spread` returns.
    """
    fig, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    for s, (ax, title) in enumerate(zip(axes, ("whole ensemble", "one image ablated"), strict=True)):
        ax.plot(members, found["paper"][:, s], "o:", color="C1", label="the paper's bound")
        ax.plot(members, found["sharp"][:, s], "s--", color="C0", label="sharp bound")
        ax.plot(members, found["spread"][:, s], "^-", color="C3", label="spread over assignments (sd)")
        ax.plot(members, found["exact"][:, s], "-", color="C2", label="bias, exact")
        ax.errorbar(
            members, found["bias"][:, s], found["error"][:, s], fmt=".", color="C2", label="bias, measured ± s.e."
        )
        ax.set(yscale="log", title=title, xlabel="members $n$", xticks=list(members))
        # A measured bias may come out below zero, or its bar reach there: the axis ends where the exact one does.
        ax.set_ylim(found["exact"].min() / 5, found["paper"].max() * 2)
    axes[0].set_ylabel("units of $C$")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=3)
    return fig


def design_tables(tables: Mapping[str, np.ndarray]) -> Figure:
    """Designs as matrices: a row a point, a column a set, filled where the point is in the set."""
    fig, axes = plt.subplots(1, len(tables), figsize=(WIDTH, WIDTH / len(tables) + 0.35), squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        points, sets = table.shape
        bare(ax).pcolormesh(np.where(table, 1.0, np.nan), cmap=plt.matplotlib.colors.ListedColormap([_colour(STAYS)]))
        ax.set(xlim=(0, sets), ylim=(points, 0), aspect="equal", title=name)
        for spine in ax.spines.values():
            spine.set_visible(True)
    return fig


def agreement(ablation: np.ndarray, left_out: np.ndarray) -> Figure:
    """A line for each sample: how far ablating each image moves it, (B, N). Ringed, with its place in that order, is
    the image that moves it most when left out."""
    fig, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(ablation) + 0.8))
    for k, (row, top) in enumerate(zip(ablation, left_out.argmax(1), strict=True)):
        ax.plot(row, np.full(len(row), k), "|", color=STAYS, alpha=0.25, markersize=11)
        ax.plot(row[top], k, "o", color=GOES, fillstyle="none", markersize=10, markeredgewidth=2)
        look = {"color": GOES, "fontsize": "small", "fontweight": "bold"}
        place = f"{(row > row[top]).sum() + 1}"
        ax.annotate(place, (row[top], k), (0, 8), textcoords="offset points", ha="center", **look)
    ax.set_yticks(range(len(ablation)), [f"sample {k + 1}" for k in range(len(ablation))])
    ax.set(ylim=(len(ablation) - 0.5, -0.8), xlim=(0, None), xlabel="moved by ablating the image (Euclidean distance)")
    return fig


def planner_table(images: Sequence[int], targets: Sequence[float], sharp: Mapping, paper: Mapping) -> Page:
    """Members needed, `sharp` against `paper`: each {(N, target): n}."""
    head = ["images", *(f"bias ≤ {t:g} C" for t in targets)]
    lines = [[f"{N:,}", *(f"{sharp[N, t]} ({paper[N, t]})" for t in targets)] for N in images]
    return markup.lines_table(head, lines, numeric=True)


def bounds_table(bounds: Mapping[str, Mapping[str, Bound]]) -> Page:
    """A line for each {name: {kind: bound}}: whether the paper's condition holds, and every bound."""
    head = ["", "M ≥ 2N", *NAMES.values()]
    lines = [
        [name, "yes" if row["paper"].holds else "no", *(number(row[kind].value, 4) for kind in NAMES)]
        for name, row in bounds.items()
    ]
    return markup.lines_table(head, lines, numeric=True)


def errata_table(errata: Sequence[Erratum]) -> Page:
    """One line a slip: where, what is printed, what is meant, what the computation shows, whether anything hangs on
    it."""
    head = ["where", "printed", "meant", "the computation", "does it matter?"]
    lines = [[e.where, e.printed, e.meant, f"{e.shown}.", e.matters] for e in errata]
    return markup.lines_table(head, lines, numeric=False)


def listing(functions: Sequence[Callable], tests: Mapping[str, Sequence[str]] = CITED_TESTS) -> Page:
    """The code of functions and tests that this chapter cites; see `listings.listing`."""
    return listings.listing(functions, tests)


def _colour(name: str) -> str:
    return plt.rcParams["axes.prop_cycle"].by_key()["color"][int(name[1:])]
