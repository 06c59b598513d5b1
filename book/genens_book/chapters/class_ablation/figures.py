"""The pictures of chapter 2: counterfactuals by class, influence accuracy, two distributions, the digit table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from genens_book.chapters.class_ablation.analysis import METRICS, own_and_other
from genens_book.chapters.class_ablation.retrained import NAMES, deviation, error, one_more
from genens_book.measures.stats import Interval
from genens_book.pages import markup
from genens_book.pages.claims import Claim
from genens_book.pages.markup import Page
from genens_book.pages.plotting import FAINT, GOES, STAYS, WIDTH, show, tile
from genens_book.pages.words import share


def counterfactuals(y: np.ndarray, picks: np.ndarray, row: np.ndarray, classes: Sequence[int]) -> Figure:
    """Figure 2a: a column a sample, the original on top, below it its counterfactual without each class; the one
    without the sample's predicted class is framed."""
    grid = np.asarray(y)[picks].transpose(1, 0, 2, 3, 4)
    H, W = grid.shape[-2:]
    whole = tile(grid)
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * whole.shape[0] / whole.shape[1] + 0.15))
    show(ax, grid, ["original", *(f"without {c}" for c in classes)])
    for k, sample in enumerate(picks):
        if row[sample] >= 0:
            corner = (k * (W + 2) - 1.2, (row[sample] + 1) * (H + 2) - 1.2)
            ax.add_patch(Rectangle(corner, W + 1.4, H + 1.4, fill=False, edgecolor=GOES, linewidth=1.6))
    ax.axhline(H + 0.5, color=plt.rcParams["text.color"], linewidth=0.8)
    ax.set(xlim=(-3, whole.shape[1] + 2), ylim=(whole.shape[0] + 2, -3))
    return figure


def accuracy(found: Mapping[str, Mapping], classes: Sequence[int]) -> Figure:
    """Figure 2b: by predicted class, how often that class is the most influential; chance is the dashed line."""
    figure, ax = plt.subplots(figsize=(WIDTH, 2.9))
    step = 0.8 / len(found)
    for m, (name, result) in enumerate(found.items()):
        intervals = [*result["by_class"], result["accuracy"]]
        x = np.array([*range(len(classes)), len(classes) + 0.4]) + (m - (len(found) - 1) / 2) * step
        there = [i for i, interval in enumerate(intervals) if interval is not None]
        value = np.array([intervals[i].value for i in there])
        error = [value - [intervals[i].low for i in there], np.array([intervals[i].high for i in there]) - value]
        ax.bar(x[there], value, step * 0.9, color=f"C{m}", label=METRICS[name])
        ax.errorbar(x[there], value, np.abs(error), fmt="none", ecolor=plt.rcParams["text.color"], linewidth=1)
    counts = [r.n if r else 0 for r in next(iter(found.values()))["by_class"]]
    ax.axhline(1 / len(classes), linestyle="--", color=plt.rcParams["text.color"], linewidth=1, label="chance")
    ax.set_xticks(
        [*range(len(classes)), len(classes) + 0.4],
        [*(f"{c}\nn = {n}" for c, n in zip(classes, counts, strict=True)), f"all\nn = {sum(counts)}"],
    )
    ax.set(xlabel="predicted class of the sample", ylabel="share where it is\nthe most influential", ylim=(0, 1))
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def distributions(measured: Mapping[str, np.ndarray], row: np.ndarray) -> Figure:
    """Figure 2c: distances to the original, of the counterfactuals without the predicted class and without another."""
    names = [name for name in METRICS if name in measured]
    figure, axes = plt.subplots(1, len(names), figsize=(WIDTH, 2.6), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        own, other = own_and_other(measured[name], row)
        edges = np.linspace(0, np.quantile(np.concatenate([own, other.ravel()]), 0.999), 45)
        for values, colour, label in ((other.ravel(), "C6", "another class"), (own, GOES, "predicted class")):
            sns.histplot(
                x=values,
                bins=edges,
                stat="density",
                element="step",
                alpha=0.35,
                color=colour,
                ax=ax,
                label=f"{label} (n = {len(values)})",
            )
        ax.set(xlabel=METRICS[name], ylabel="density", yticks=[])
        ax.legend(title="ablated", loc="upper right", handlelength=1, alignment="left")
        ax.margins(x=0)
    return figure


def digit_table(counts: np.ndarray, classes: Sequence[int]) -> Figure:
    """Figure 2d: samples of each digit (column) that each ensemble (row) makes; the ablated class is framed."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.4))
    # From the page's own background to the colour of what stays: the numbers are legible on both.
    colours = LinearSegmentedColormap.from_list("counts", [(*_rgb(STAYS), 0.0), (*_rgb(STAYS), 0.75)])
    sns.heatmap(
        counts,
        annot=True,
        fmt="d",
        cmap=colours,
        cbar=False,
        linewidths=1,
        linecolor="none",
        ax=ax,
        annot_kws={"fontsize": 8, "color": plt.rcParams["text.color"]},
        vmin=0,
        vmax=counts[:, list(classes)].max(),
        yticklabels=["whole ensemble", *(f"without {c}" for c in classes)],
    )
    for v, c in enumerate(classes):
        ax.add_patch(Rectangle((c + 0.03, v + 1.03), 0.94, 0.94, fill=False, edgecolor=GOES, linewidth=1.8))
    ax.axhline(1, color=plt.rcParams["text.color"], linewidth=0.8)
    ax.set(xlabel="digit, as the classifier sees it", ylabel="")
    ax.tick_params(length=0, labelrotation=0)
    return figure


def by_confidence(found: Sequence[Mapping]) -> Page:
    """The rows of `class_ablation.analysis.by_confidence` as a table."""
    head = ["classifier's confidence", "samples", "influential class right", "changed, own class", "changed, another"]
    lines = [
        [f"above {one['above']:g}", f"{one['n']:,}", *(one[k].percent() for k in ("accuracy", "own", "other"))]
        for one in found
    ]
    return markup.lines_table(head, lines, numeric=True)


def retrained(here: Mapping[str, Interval], others: Mapping[str, Sequence[float]], book: Mapping[str, Claim]) -> Figure:
    """A line a number: the book's ensemble with its interval over samples, the retrained ones as rings, where one more
    would fall shaded, and the paper's number as a tick."""
    figure, ax = plt.subplots(figsize=(WIDTH, 0.42 * len(NAMES) + 0.9))
    for k, id in enumerate(NAMES):
        low, high = np.clip(one_more([here[id].value, *others[id]]), 0, 1)
        ax.barh(k, high - low, left=low, height=0.7, color="C0", alpha=FAINT, linewidth=0)
        ax.plot([here[id].low, here[id].high], [k, k], color="C0")
        ax.plot(here[id].value, k, "o", color="C0", markersize=5)
        ax.plot(others[id], [k] * len(others[id]), "o", mfc="none", color="C1", markersize=6)
        if isinstance(book[id].value, float) and not book[id].says:
            ax.plot(book[id].value, k, "|", color=plt.rcParams["text.color"], markersize=13)
    ax.set_yticks(range(len(NAMES)), NAMES.values())
    ax.set(xlim=(0, 1), ylim=(len(NAMES) - 0.5, -0.5))
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.tick_params(axis="y", length=0)
    marks = [("C0", "o", "this book's"), ("C1", "o", "trained again"), (plt.rcParams["text.color"], "|", "paper")]
    handles = [
        plt.Line2D([], [], color=colour, marker=mark, ls="", ms=8, mfc="none" if colour == "C1" else colour, label=name)
        for colour, mark, name in marks
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def retrained_table(
    here: Mapping[str, Interval], others: Mapping[str, Sequence[float]], book: Mapping[str, Claim]
) -> Page:
    """The same in numbers; how far apart the trainings lie (SD), beside what the draw of samples explains (error)."""
    head = ["number", "paper", "here", "trained again", "one more", "SD", "error"]
    lines = []
    for id, name in NAMES.items():
        low, high = np.clip(one_more([here[id].value, *others[id]]), 0, 1)
        ends = sorted({share(end) for end in (min(others[id]), max(others[id]))}) if others[id] else ["–"]
        lines.append(
            [
                name,
                "–" if book[id].says else share(book[id].value),
                share(here[id].value),
                " to ".join(ends),
                f"{share(low)} to {share(high)}",
                f"{100 * deviation(here[id], others[id]):.1f}" if others[id] else "–",
                f"{100 * error(here[id]):.1f}",
            ]
        )
    return markup.lines_table(head, lines, numeric=True)


def _rgb(colour: str) -> tuple[float, float, float]:
    return plt.matplotlib.colors.to_rgb(colour)
