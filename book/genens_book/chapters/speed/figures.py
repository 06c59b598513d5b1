"""Pictures of what bench/ measured: ratios as bars, cost against size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens_book.chapters.speed.analysis import Growth, Line, judged
from genens_book.pages.plotting import GOES, STAYS, WIDTH


def ratios(lines: Sequence[Line]) -> Figure:
    """How many times as fast, on a logarithmic axis: a bar a line, its range, and a mark where the target lies."""
    figure, ax = plt.subplots(figsize=(WIDTH, 0.36 * len(lines) + 0.7))
    for y, line in enumerate(lines):
        ratio, meets = line["ratio"], not line["target"] or line["ratio"]["median"] >= line["target"]
        ax.barh(y, ratio["median"] - 1, left=1, height=0.6, color=STAYS if meets else GOES)
        ax.plot([ratio["low"], ratio["high"]], [y, y], color=plt.rcParams["text.color"], linewidth=1.2)
        if line["target"]:
            ax.plot([line["target"]] * 2, [y - 0.42, y + 0.42], color=plt.rcParams["text.color"], linewidth=2.2)
    ax.set(xscale="log", xlabel="times as fast as the plain way", ylim=(len(lines) - 0.4, -0.6))
    ax.axvline(1, color=plt.rcParams["text.color"], linewidth=0.8)
    ax.set_yticks(range(len(lines)), [_broken(str(line["name"])) for line in lines])
    ax.tick_params(axis="y", length=0)
    return figure


def _broken(name: str) -> str:
    """A name in two lines, broken after its colon."""
    return name.replace(": ", ":\n", 1)


def growth(curves: Sequence[Growth]) -> Figure:
    """Seconds against size, a panel a curve on logarithmic axes: points, the fitted line, theory's slope dotted through
    the last point."""
    columns = 4
    rows = -(-len(curves) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.9 * rows), squeeze=False)
    for ax, one in zip(axes.flat, curves, strict=False):
        ends = one.x[[0, -1]]
        ax.plot(ends, np.exp(one.intercept) * ends**one.exponent.value, color=STAYS, linewidth=1)
        ax.plot(ends, one.seconds[-1] * (ends / ends[-1]) ** one.theory, ":", color=GOES, linewidth=1.4)
        ax.plot(one.x, one.seconds, "o", color=STAYS, markersize=4)
        what, _, grows = one.name.partition(", ")
        ax.set(xscale="log", yscale="log", title=what, xlabel=grows)
        ax.minorticks_off()
    for ax in axes.flat[len(curves) :]:
        ax.axis("off")
    for ax in axes[:, 0]:
        ax.set_ylabel("seconds")
    return figure


KINDS = {  # rules by what is in their names: the first that is
    "adjoint": ("adjoint", "C3", "v"),
    "direction": ("fewer directions", "C4", "s"),
    "in turn": ("members in turn", STAYS, "o"),
    "all members": ("members in turn", STAYS, "o"),
    "": ("members in turn, more at some steps", GOES, "D"),
}


def rules(rows: Sequence[Mapping]) -> Figure:
    """Rank correlation of all images' lengths with those by the exact Jacobian, with intervals, against passes."""
    figure, ax = plt.subplots(figsize=(WIDTH, 3.4))
    for row in rows:
        kind, colour, marker = next(look for part, look in KINDS.items() if part in str(row["name"]))
        one, many = judged(row, "ranks"), row["passes"]
        ax.plot([many, many], [one.low, one.high], color=colour, linewidth=1)
        ax.plot(many, one.value, marker, color=colour, markersize=5, label=kind)
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.set(xscale="log", xlabel="passes of one network, a sample", ylabel="ranks as the exact ones")
    ax.legend(handles.values(), handles.keys(), loc="lower right")
    return figure
