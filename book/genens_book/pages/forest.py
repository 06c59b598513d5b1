"""The scorecard's first picture: every claim with an interval, the paper's number, and what is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genens_book.pages import claims as paper
from genens_book.pages.plotting import FAINT, WIDTH

Row = Mapping[str, object]
MARKS = {paper.REPRODUCED: ("C2", "o"), paper.NOT_REPRODUCED: ("C1", "X"), paper.INCONCLUSIVE: ("C6", "D")}
GROUPS = {  # panels, and the units that share an axis
    "Shares": ("share", "difference of shares"),
    "Probabilities and correlations": ("probability", "correlation", "rank correlation"),
    "FID": ("FID",),
}
LINE = 0.27  # inches a row


def plotted(rows: Sequence[Row], book: Mapping[str, paper.Claim]) -> dict[str, list[Row]]:
    """The rows of `ledger.scorecard` that were measured with an interval, by panel; empty panels are left out."""
    measured = [row for row in rows if row["low"] is not None and paper.accepted(book[row["id"]]) is not None]
    groups = {name: [row for row in measured if row["unit"] in units] for name, units in GROUPS.items()}
    return {name: group for name, group in groups.items() if group}


def label(row: Row) -> str:
    """`f2d-class-diminished` as a reader says it: 2d, class diminished."""
    where, _, what = str(row["id"]).partition("-")
    return f"{what.replace('-', ' ')} ({where.lstrip('sf')})"


def forest(rows: Sequence[Row], book: Mapping[str, paper.Claim]) -> Figure:
    """A line a claim: here with its interval, coloured and marked by its verdict; other training runs as rings; the
    paper's number, or the threshold that we read from its words, as a tick; shaded, where the whole interval must lie.
    Where nothing was measured yet, it says so."""
    panels = plotted(rows, book)
    if not panels:
        figure = plt.figure(figsize=(WIDTH, 1))
        figure.text(0.5, 0.5, "no claim was measured with an interval yet", ha="center", va="center")
        return figure
    heights = [len(group) + 1.6 for group in panels.values()]
    figure, axes = plt.subplots(
        len(panels), figsize=(WIDTH, LINE * sum(heights) + 0.5), height_ratios=heights, squeeze=False
    )
    for (title, group), ax in zip(panels.items(), axes[:, 0], strict=True):
        _panel(ax, group, book)
        ax.set_title(title)
    seen = [name for name in MARKS if any(row["verdict"] == name for group in panels.values() for row in group)]
    handles = [plt.Line2D([], [], color=MARKS[name][0], marker=MARKS[name][1], label=name) for name in seen]
    handles.append(plt.Line2D([], [], color=plt.rcParams["text.color"], marker="|", ls="", ms=11, label="paper"))
    if any(row["again"] for group in panels.values() for row in group):
        ring = dict(color=plt.rcParams["text.color"], marker="o", ls="", ms=4, mfc="none")
        handles.append(plt.Line2D([], [], label="trained again", **ring))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _panel(ax: Axes, group: Sequence[Row], book: Mapping[str, paper.Claim]) -> None:
    ends = np.array([end for row in group for end in (row["low"], row["high"], row["paper_value"], *row["again"])])
    pad = 0.06 * (np.ptp(ends) or 1)
    least, most = ends.min() - pad, ends.max() + pad
    for k, row in enumerate(group):
        low, high = np.clip(paper.accepted(book[row["id"]]), least, most)
        ax.barh(k, high - low, left=low, height=0.8, color="C2", alpha=FAINT, linewidth=0)
        colour, mark = MARKS[row["verdict"]]
        ax.plot([row["low"], row["high"]], [k, k], color=colour)
        ax.plot(row["value"], k, mark, color=colour, markersize=5)
        if row["again"]:
            ax.plot(row["again"], [k] * len(row["again"]), "o", color=colour, markersize=4, mfc="none")
        ax.plot(row["paper_value"], k, "|", color=plt.rcParams["text.color"], markersize=11)
    ax.set(xlim=(least, most), ylim=(len(group) - 0.4, -0.6))
    ax.set_yticks(range(len(group)), [label(row) for row in group])
    ax.tick_params(axis="y", length=0)
