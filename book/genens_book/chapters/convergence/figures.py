"""The pictures of chapter 4: violins by size, the law and its ratio, digits on the way, film strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from genens_book.chapters.convergence.growing import Fit
from genens_book.measures.stats import Interval
from genens_book.pages.plotting import GOES, STAYS, WIDTH, show, tile

NAMES = {
    "full": "to the full ensemble, law fitted at the last size",
    "step": "from $k$ to $k+1$, law fitted at the last size",
    "own": "to the full ensemble, law from each sample's Jacobian",
    "stays": "digit stays",
    "changes": "digit changes",
}
LOOK = {
    "full": (STAYS, "o"),
    "step": ("C4", "s"),
    "jacobian": (GOES, "D"),
    "own": (GOES, "D"),
    "stays": ("C2", "^"),
    "changes": ("C3", "v"),
}


def violins(full: np.ndarray, step: np.ndarray) -> Figure:
    """Figure 4a and b: distances (B, n - 1) to the full ensemble's image by size, and from each size to the next."""
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 5.0))
    n, most = full.shape[1] + 1, max(full.max(), step.max())
    labels = [[str(k) for k in range(1, n)], [f"{k} to {k + 1}" for k in range(1, n)]]
    titles = [f"to the image of all {n} members", "from one size to the next"]
    for ax, values, ticks, title, colour in zip(axes, (full, step), labels, titles, (STAYS, "C4"), strict=True):
        parts = ax.violinplot(values, range(1, n), widths=0.85, showextrema=False, showmedians=True)
        for body in parts["bodies"]:
            body.set(facecolor=colour, alpha=0.45, edgecolor="none")
        parts["cmedians"].set(color=plt.rcParams["text.color"], linewidth=1.4)
        ax.set_xticks(range(1, n), ticks, rotation=0 if n <= 8 or ticks is labels[0] else 35)
        ax.set(title=f"{title} (n = {len(values):,} samples)", ylabel="Euclidean distance", ylim=(0, 1.03 * most))
    axes[0].set_xlabel("members $k$")
    axes[1].set_xlabel("members, before and after")
    return figure


def law(fits: Mapping[str, Fit | None], predicted: np.ndarray) -> Figure:
    """Left, the mean square distance to the full ensemble by size, and the law, predicted (n - 1,): fitted, and from
    the Jacobian. Right, measured over predicted, the Jacobian's for each sample by its own."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.3))
    k = np.arange(1, len(predicted) + 1)
    for name, offset in (("full", -0.08), ("jacobian", 0.08)):
        fit, (colour, marker) = fits[name], LOOK[name]
        scale = fit.sigma2 * predicted
        left.plot(k, scale, color=colour, linewidth=1)
        _intervals(left, k + offset, fit.ratio, colour, marker, scale)
    left.set(yscale="log", xlabel="members $k$", ylabel="mean square distance to all")
    _plain_ticks(left)
    _ratios(right, fits, ("full", "own", "step"))
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def digits(shares: Sequence[Interval], fits: Mapping[str, Fit | None]) -> Figure:
    """Left, by size, the share of samples that show the final digit; right, the law's ratio for the samples whose digit
    stays and for those whose digit changes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    k = np.arange(1, len(shares) + 1)
    _intervals(left, k, shares, STAYS, "o")
    left.set(
        xlabel="members $k$", ylabel="share with the final digit", ylim=(0, 1.02), title=f"n = {shares[0].n:,} samples"
    )
    left.yaxis.set_major_formatter("{x:.0%}")
    drawn = [name for name in ("stays", "changes") if fits[name] is not None]
    _ratios(right, fits, drawn)
    if drawn:
        figure.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _intervals(
    ax: Axes, x: np.ndarray, found: Sequence[Interval], colour: str, marker: str, scale: object = 1.0, label: str = ""
) -> None:
    value, low, high = (np.array([getattr(i, end) for i in found]) * scale for end in ("value", "low", "high"))
    ax.vlines(x, low, high, color=colour, linewidth=1.2)
    ax.plot(x, value, marker, color=colour, markersize=4, label=label or None, linestyle="none")


def _ratios(ax: Axes, fits: Mapping[str, Fit | None], names: Sequence[str]) -> None:
    """Measured over predicted by size, in factors; where the law holds, 1."""
    for m, name in enumerate(names):
        fit, (colour, marker) = fits[name], LOOK[name]
        x = np.arange(1, len(fit.ratio) + 1) + 0.16 * (m - (len(names) - 1) / 2)
        _intervals(ax, x, fit.ratio, colour, marker, label=f"{NAMES[name]} (n = {fit.ratio[0].n:,})")
    ax.axhline(1, color=plt.rcParams["text.color"], linewidth=0.8)
    ax.set(xlabel="members $k$", ylabel="mean square, measured / law", yscale="log")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.45), max(high, 2.2))
    _plain_ticks(ax)


def _plain_ticks(ax: Axes) -> None:
    """1, 2, 5, 10 on a logarithmic axis, as they are read."""
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def strips(y: np.ndarray, picks: Sequence[int], back: np.ndarray) -> Figure:
    """Figure 4c: a row a sample of y (B, n, C, H, W), a column a size; where the image and its digit have just come
    back (see `convergence.analysis.came_back`) the image is framed."""
    grid = np.asarray(y)[picks]
    H, W = grid.shape[-2:]
    whole = tile(grid)
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * whole.shape[0] / whole.shape[1] + 0.25))
    show(ax, grid, [f"no. {i}" for i in picks], [str(k + 1) for k in range(grid.shape[1])])
    for row, sample in enumerate(picks):
        for k in np.flatnonzero(back[sample]):
            corner = ((k + 2) * (W + 2) - 1.5, row * (H + 2) - 1.5)
            ax.add_patch(Rectangle(corner, W + 2, H + 2, fill=False, edgecolor=GOES, linewidth=1.4))
    ax.set(xlim=(-3, whole.shape[1] + 2), ylim=(whole.shape[0] + 2, -3))
    return figure
