"""Pictures of what bench/ measured: ratios as bars, cost against size."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens_book.chapters.speed.analysis import Growth, Line
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
