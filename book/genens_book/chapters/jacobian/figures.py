"""The pictures of the Jacobian chapter: film strips, correlations by method, members used a step, the path; its tables,
and what its prose says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genens_book.chapters.jacobian.analysis import METHODS, fewest, least_log10_p
from genens_book.measures.stats import Interval
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import WIDTH, show, tile
from genens_book.pages.words import exponent, number, share

COLOURS = {"jacobian": "C0", "of_clamped": "C5", "last_step": "C1", "individual": "C4"}
STRIP = ("original", "true", *(label.replace("\n", " ").removeprefix("baseline: ") for label in METHODS.values()))
# What `analysis.along` predicts with: name, colour, marker, the order that the error must have near u_0.
PREDICTIONS = {
    "linear": ("first order, exact Jacobian", "C0", "o", 2),
    "rotating": ("first order, the chapter's Jacobian", "C1", "s", 1),
    "quadratic": ("second order", "C2", "D", None),
}


def strip(
    original: np.ndarray, truth: np.ndarray, by_method: Mapping[str, np.ndarray], picks: Sequence[tuple[int, int]]
) -> Figure:
    """A column for every pick (sample, counterfactual): the original, the true counterfactual, every approximate one.

    original (B, C, H, W), truth (B, V, C, H, W), by_method as from `jacobian.analysis.images`: {method: (V, B, C, H,
    W)}.
    """
    rows = [[original[b] for b, _ in picks], [truth[b, v] for b, v in picks]]
    rows += [[np.asarray(by_method[name])[v, b] for b, v in picks] for name in METHODS]
    return _film(np.array(rows), STRIP, rule=1)


def changes(
    original: np.ndarray, truth: np.ndarray, by_method: Mapping[str, np.ndarray], picks: Sequence[tuple[int, int]]
) -> Figure:
    """The same where changes are too small to be seen: the original and the true counterfactual, and below them the
    true change and every approximate one, in a column all scaled to the largest value of the true one."""
    start = np.array([original[b] for b, _ in picks])
    rows = [
        [truth[b, v] for b, v in picks],
        *([np.asarray(by_method[name])[v, b] for b, v in picks] for name in METHODS),
    ]
    moved = np.array(rows) - start
    largest = np.abs(moved[0]).max(axis=(1, 2, 3), keepdims=True)
    scaled = (moved / np.where(largest > 0, largest, 1)).clip(-1, 1)
    labels = [*STRIP[:2], "true change", *STRIP[2:]]
    return _film(np.concatenate([start[None], np.array(rows)[:1], scaled]), labels, rule=2)


def _film(grid: np.ndarray, labels: Sequence[str], columns: Sequence[str] = (), rule: int = 0) -> Figure:
    """A labelled grid of images (R, K, C, H, W), at most as wide as the text; a line under the first `rule` rows."""
    H, W = grid.shape[-2:]
    whole = tile(grid)
    wide = min(WIDTH - 1.7, 0.9 * grid.shape[1])  # what the labels leave; a few images need not be huge
    figure, ax = plt.subplots(figsize=(wide + 1.7, wide * whole.shape[0] / whole.shape[1] + 0.3))
    show(ax, grid, labels, columns)
    if rule:
        ax.axhline(rule * (H + 2) - 1.5, color=plt.rcParams["text.color"], linewidth=0.8)
        ax.set_ylim(whole.shape[0] + 1, -2)
    return figure


def walked(true: np.ndarray, predictions: Mapping[str, Mapping], shares: Sequence[float], b: int, v: int) -> Figure:
    """The images on the way from u_0 to u_-x of sample b and counterfactual v: true, and by each prediction."""
    there = [i for i, part in enumerate(shares) if part >= 0.05]  # nearer to u_0 there is nothing to see
    rows = [true[b, v, there], *(predictions[name]["images"][b, v, there] for name in PREDICTIONS)]
    labels = ["true", "first order, exact", "first order, chapter's", "second order"]
    return _film(np.array(rows), labels, [share(shares[i]) for i in there], rule=1)


def distributions(found: Mapping[str, np.ndarray], summary: Mapping[str, Mapping]) -> Figure:
    """Figures 5a and 5d: for every method the distribution of Pearson correlations over images, and of Spearman
    correlations over samples; dots are medians, lines their intervals."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9), sharey=True)
    ink = plt.rcParams["text.color"]
    labels = {
        "pearson": "Pearson correlation\nof the pixels' changes",
        "spearman": "Spearman rank correlation\nof the changes' sizes",
    }
    for ax, (name, label) in zip(axes, labels.items(), strict=True):
        values = [found[f"{method}.{name}"].ravel() for method in METHODS]
        for place, (method, there) in enumerate(zip(METHODS, values, strict=True)):
            sns.violinplot(
                x=there,
                y=np.full(len(there), place),
                orient="h",
                color=COLOURS[method],
                inner=None,
                cut=0,
                linewidth=0,
                alpha=0.55,
                width=0.85,
                native_scale=True,
                ax=ax,
            )
            _mark(ax, summary[method][name], place, ink)
        unit = "images" if name == "pearson" else "samples"
        ax.set(xlabel=f"{label} (n = {len(values[0]):,} {unit})", ylabel="")
        ax.axvline(0, color=ink, linewidth=0.8, linestyle=":")
        ax.grid(axis="x")
    axes[0].set_yticks(range(len(METHODS)), list(METHODS.values()))
    axes[0].set_ylim(len(METHODS) - 0.45, -0.55)
    return figure


def _mark(ax: Axes, interval: Interval, place: float, ink: str) -> None:
    ax.plot([interval.low, interval.high], [place, place], color=ink, linewidth=2.2, solid_capstyle="butt")
    ax.plot(interval.value, place, "o", color=ink, markersize=4.5)


def rotation(rows: Sequence[Mapping], tolerance: float) -> Figure:
    """What `jacobian.analysis.rotation` found, against the number of members whose input Jacobian is used in each
    step; losses of more than five times the tolerance leave the last panel."""
    panels = {
        "error": "relative error",
        "cosine": "cosine to the exact one",
        "seconds": "processor seconds\na sample",
        "pearson": "Pearson correlation",
        "spearman": "Spearman correlation",
    }
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 4.2), sharex=True)
    x, ink = np.arange(len(rows)), plt.rcParams["text.color"]
    for ax, (name, label) in zip(axes.flat, panels.items(), strict=False):
        if name == "seconds":
            ax.plot(x, [row[name] for row in rows], "s-", color="C4", markersize=4)
            ax.set_ylim(0)
        else:
            _intervals(ax, x, [row[name] for row in rows], "C0")
        ax.set(ylabel=label)
    last = axes.flat[-1]
    for offset, name, colour, marker in ((-0.1, "pearson", "C0", "o"), (0.1, "spearman", "C1", "D")):
        _intervals(last, x + offset, [row[f"{name}_loss"] for row in rows], colour, marker, name.capitalize())
    last.axhline(tolerance, color=ink, linestyle="--", linewidth=0.9)
    last.set_ylim(min(-tolerance, *last.get_ylim()), 5 * tolerance)  # whether an end lies below is what it decides by
    last.annotate("allowed", (x[-1] + 0.2, tolerance), va="bottom", ha="right", fontsize=8)
    last.set(ylabel="correlation lost\nagainst the exact one")
    last.legend(loc="upper right")
    for ax in axes.flat:
        ax.set_xticks(x, [str(row["per_step"]) for row in rows])
        ax.grid(axis="y")
    for ax in axes[1]:
        ax.set(xlabel="members used a step")
    return figure


def _intervals(
    ax: Axes, x: np.ndarray, intervals: Sequence[Interval], colour: str, marker: str = "o", label: str | None = None
) -> None:
    value = np.array([i.value for i in intervals])
    error = np.abs([value - [i.low for i in intervals], np.array([i.high for i in intervals]) - value])
    ax.errorbar(x, value, error, fmt=f"{marker}-", color=colour, markersize=4, capsize=2, elinewidth=1, label=label)


def path(found: Mapping[str, Mapping], shares: Sequence[float], intervals: Mapping[str, Mapping]) -> Figure:
    """Along the way from u_0: the error of each prediction, and its Pearson correlation with the true change.

    found as from `jacobian.analysis.along`; intervals {prediction: {"error", "pearson": one interval a share}}. Dotted
    lines have the slopes 1 and 2.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.1))
    s, ink = np.asarray(shares), plt.rcParams["text.color"]
    for name, (label, colour, marker, order) in PREDICTIONS.items():
        for ax, what in zip(axes, ("error", "pearson"), strict=True):
            _intervals(ax, s, intervals[name][what], colour, marker, label)
        if order is None:  # below it, rounding and the finite difference behind the second derivative decide
            continue
        anchor = 0.6 * intervals[name]["error"][0].value  # below the curve, or it would not be seen
        near = s[: len(s) // 2 + 1]
        axes[0].plot(near, anchor * (near / s[0]) ** order, ":", color=ink, linewidth=0.9)
        axes[0].annotate(
            f"slope {order}", (near[-1], anchor * (near[-1] / s[0]) ** order), fontsize=7.5, va="top", ha="left"
        )
    axes[0].set(xscale="log", yscale="log", ylabel="error, as a share of the whole change")
    axes[1].set(xscale="log", ylabel="Pearson correlation\nwith the true change")
    for ax in axes:
        ax.set_xticks(s, [fraction(part) for part in s])
        ax.minorticks_off()
        ax.set(xlabel="share of the way from $u_0$ to $u_{-x}$")
        ax.grid()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def table(summary: Mapping[str, Mapping]) -> Page:
    """Medians of both correlations by method, and how the Jacobian's compare."""
    head = ["", "Pearson, median", "Spearman, median", "P(Jacobian higher), Pearson", "P(Jacobian higher), Spearman"]
    lines = [
        [
            METHODS[name].replace("\n", " "),
            number(row["pearson"]),
            number(row["spearman"]),
            *("–" if name == "jacobian" else number(row[f"{what}_effect"]) for what in ("pearson", "spearman")),
        ]
        for name, row in summary.items()
    ]
    return markup.lines_table(head, lines, numeric=True)


def costs(rows: Sequence[Mapping]) -> Page:
    """`jacobian.analysis.rotation` as a table."""
    head = ["members a step", "processor seconds a sample", "relative error", "cosine", "Pearson", "Spearman"]
    lines = [
        [
            row["per_step"],
            f"{row['seconds']:.2f}",
            *(number(row[k], 3) for k in ("error", "cosine", "pearson", "spearman")),
        ]
        for row in rows
    ]
    return markup.lines_table(head, lines, numeric=True)


# ---------------------------------------------------------------- what the prose says

# How the chapter calls the two ways to a tangent, in the order in which it tells of them.
WAYS = {"forward": "the first way", "differences": "the second way"}


def bears_out(interval: Interval, above: str, below: str, neither: str = "neither above nor below") -> str:
    """Which of three wordings an interval bears out: it lies above 0, below 0, or reaches it."""
    return above if interval.low > 0 else below if interval.high < 0 else neither


def fraction(part: float) -> str:
    """A part of the way as one over a whole number: 1/64; all of it is 1."""
    return f"1/{round(1 / part)}" if part < 1 else "1"


def agreement_words(summary: Mapping[str, Mapping], n_samples: int) -> dict[str, object]:
    """What the prose says of `jacobian.analysis.summary`, as `Run.say` takes it: every method's medians and exponents
    of p, where the clamp is put better, and the least exponent that so many samples could reach."""
    said: dict[str, object] = {}
    for method, row in summary.items():
        said |= {f"{what}_{method}": row[what] for what in ("pearson", "spearman", "length")}
        said |= {f"{what}_p_{method}": exponent(row[f"{what}_test"].log10_p) for what in ("pearson", "spearman")}
    clamped = summary["of_clamped"]
    return said | {
        "null": summary["jacobian"]["null"],
        "null_effect": summary["jacobian"]["null_effect"],
        "gain": clamped["gain"],
        "gain_words": bears_out(clamped["gain"], "above", "below"),
        "wins": clamped["wins"],
        "floor": exponent(least_log10_p(n_samples)),
    }


def rotation_words(rows: Sequence[Mapping], tolerance: float, per_step: int) -> dict[str, object]:
    """What the prose says of `jacobian.analysis.rotation`, whose rows begin with no member a step and end with all, in
    a chapter that itself used `per_step` of them."""
    best = fewest(rows, tolerance)
    none, exact = rows[0], rows[-1]
    chosen = next(row for row in rows if row["per_step"] == best)
    return {
        "best": best,
        "seconds_best": number(chosen["seconds"], 2, "g"),
        "cosine_best": number(chosen["cosine"].value, 3),
        "seconds_exact": number(exact["seconds"], 2, "g"),
        "exact_pearson": number(exact["pearson"].value),
        "none_pearson": number(none["pearson"].value),
        "dropped": "cannot simply be dropped" if best else "could even be dropped, by this rule",
        "agrees": (
            "which is what this chapter uses" if best == per_step else f"while this chapter was run with {per_step}"
        ),
    }


def path_words(
    order: Mapping[str, Interval], intervals: Mapping[str, Mapping], helped: Interval, exact: bool
) -> dict[str, object]:
    """What the prose says of the way to the counterfactual: with which power each prediction's error grows (`order`),
    how far off it is at the end (`intervals`, as from `jacobian.analysis.by_share`), and whether the second-order term
    helped; `exact`: the chapter's own Jacobian used all members a step."""
    said: dict[str, object] = {f"order_{name}": interval for name, interval in order.items()}
    for name, found in intervals.items():
        said |= {f"end_{name}": share(found["error"][-1])}
        said |= {f"end_pearson_{name}": number(found["pearson"][-1].value)}
    return said | {
        "helped": bears_out(
            helped,
            "The second-order term makes this smaller",
            "The second-order term makes this larger",
            "The second-order term neither clearly helps nor clearly harms at that distance",
        ),
        "slope": (
            "it is exact here, and another way to the same slope"
            if exact
            else "a slope that is itself approximate errs in the first order, so whatever it is good for, "
            "it is not good for very small steps"
        ),
    }
