"""The pictures of chapter 3: samples, the same noise everywhere, FIDs, their bias, a plane of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from genens_book.measures import fid
from genens_book.measures.fid import Estimate
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import GOES, STAYS, WIDTH, show, tile
from genens_book.pages.words import number, words

REAL, MEMBER = "C2", "C6"
COLUMNS = 20


def sheet(images: np.ndarray, sure: np.ndarray, columns: int = COLUMNS) -> Figure:
    """Samples (B, C, H, W) in [-1, 1] in the order they were drawn, `columns` to a row, places left over empty; those
    that are not `sure` (B,) are framed."""
    rows, (H, W) = -(-len(images) // columns), images.shape[-2:]
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * rows * (H + 2) / (columns * (W + 2))))
    grid = np.full((rows * columns, *images.shape[1:]), -1.0)
    grid[: len(images)] = images
    picture = tile(grid.reshape(rows, columns, *images.shape[1:]))
    for k in range(len(images), rows * columns):
        r, c = divmod(k, columns)
        picture[r * (H + 2) : r * (H + 2) + H, c * (W + 2) : c * (W + 2) + W, 3] = 0
    ax.imshow(picture, interpolation="nearest")
    for k in np.flatnonzero(~np.asarray(sure)):
        r, c = divmod(int(k), columns)
        _frame(ax, c, r, H, W)
    ax.set(xlim=(-3, columns * (W + 2)), ylim=(rows * (H + 2), -3))
    ax.axis("off")
    return figure


def _frame(ax: Axes, column: int, row: int, H: int, W: int) -> None:
    corner = (column * (W + 2) - 1.5, row * (H + 2) - 1.5)
    ax.add_patch(Rectangle(corner, W + 2, H + 2, fill=False, edgecolor=GOES, linewidth=1.2))


def same_noise(y: np.ndarray) -> Figure:
    """Samples (R, 1 + n, C, H, W), a row an exogenous noise: the ensemble's, then each member's."""
    H, W = tile(y).shape[:2]
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * H / W + 0.25))
    show(ax, y, columns=["all", *(str(i + 1) for i in range(y.shape[1] - 1))])
    ax.axvline(y.shape[-1] + 0.5, color=plt.rcParams["text.color"], linewidth=0.8)
    return figure


def members_table(manifest: Mapping, paper: Sequence[int]) -> Page:
    """What each member was trained on and what it cost, by the size of its split, beside the paper's sizes by rank."""
    order = np.argsort(manifest["split_sizes"])
    theirs = sorted(paper) if len(paper) == len(order) else ["–"] * len(order)
    lines = [
        [
            str(i + 1),
            f"{manifest['split_sizes'][i]:,}",
            f"{size:,}" if isinstance(size, int) else size,
            markup.duration(manifest["member_cpu_seconds"][i]),
        ]
        for i, size in zip(order, theirs, strict=True)
    ]
    return markup.lines_table(["member", "images", "paper, by rank", "processor time"], lines, numeric=True)


def fids(found: Mapping[str, Sequence[Estimate]], astray: Sequence[str] = ()) -> Figure:
    """Figure 3a: a panel a kind of features; the FID of the ensemble, of each member, and of real images, with the
    spread of other samples of that size, and hollow what is left at infinitely many samples, but for the kinds in
    `astray` (see `analysis.astray`)."""
    figure, axes = plt.subplots(len(found), 1, figsize=(WIDTH, 2.9 * len(found)), squeeze=False)
    for ax, (name, every) in zip(axes[:, 0], found.items(), strict=True):
        n = len(every) - 2
        places = np.array([0, *(np.arange(n) + 1.5), n + 2])
        for x, e, colour in zip(places, every, [STAYS, *[MEMBER] * n, REAL], strict=True):
            _point(ax, x if name in astray else x - 0.14, e.value, e.spread.low, e.spread.high, colour, True)
            if name not in astray:
                _point(ax, x + 0.14, e.infinite.value, e.infinite.low, e.infinite.high, colour, False)
        ax.axhline(max(e.value for e in every[1:-1]), color=MEMBER, linestyle="--", linewidth=1)
        ax.set_xticks(places, ["all", *(str(i + 1) for i in range(n)), "real"])
        ax.set(
            ylabel=f"FID\n({name})",
            ylim=(min(0, ax.get_ylim()[0]), None),
            xlabel="whose samples: the whole ensemble's, each member's, the training set's own"
            if ax is axes[-1, 0]
            else "",
        )
    ink = plt.rcParams["text.color"]
    for filled, label in ((True, f"at n = {every[0].spread.n:,}"), (False, "extrapolated to n = ∞")):
        axes[0, 0].plot([], [], "o", color=ink, markersize=5, markerfacecolor=ink if filled else "none", label=label)
    axes[0, 0].plot([], [], "--", color=MEMBER, linewidth=1, label="largest of the members")
    axes[0, 0].legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def judges_table(found: Mapping[str, Sequence[Estimate]], kids: Mapping[str, np.ndarray]) -> Page:
    """A line for each kind of features: the ensemble's FID, its members' least and largest, that of real images, and
    the ensemble's less the largest member's; and its KID, with its members' least and largest, from (1 + n,)."""
    head = ["by the", "FID", "members'", "real images'", "FID less the largest", "KID", "members'"]
    lines = []
    for name, (whole, *members, real) in found.items():
        ends = " to ".join(words(end(one.value for one in members)) for end in (min, max))
        below, theirs = fid.below_largest(whole, members), kids[name][1:]
        distances = [number(whole.spread, 3, "g"), ends, words(real.value), number(below, 3, "g")]
        kid, *most = (number(value, 2) for value in (kids[name][0], theirs.min(), theirs.max()))
        lines.append([name, *distances, kid, " to ".join(most)])
    return markup.lines_table(head, lines, numeric=True)


def fids_table(every: Sequence[Estimate]) -> Page:
    """Every FID of one kind of features with its interval, what of it is owed to the number of samples, and what is
    left."""
    names = ["all", *(f"member {i + 1}" for i in range(len(every) - 2)), "real images"]
    lines = [
        [name, number(e.spread, 3, "g"), words(e.bias), number(e.infinite, 3, "g")]
        for name, e in zip(names, every, strict=True)
    ]
    head = ["samples of", f"FID at n = {every[0].spread.n:,}", "of it, by 1/n", "FID at n = ∞"]
    return markup.lines_table(head, lines, numeric=True)


def _point(ax: Axes, x: float, value: float, low: float, high: float, colour: str, filled: bool) -> None:
    """One estimate; the interval need not contain it."""
    ax.plot([x, x], [low, high], color=colour, linewidth=1.2)
    ax.plot([x], [value], "o", color=colour, markersize=5, markerfacecolor=colour if filled else "none")


def bias(found: Mapping[str, Sequence[Estimate]]) -> Figure:
    """FID against 1/n, a panel a kind of features: the ensemble, its best and worst member and real images, each with
    its straight line to 1/n = 0 and the interval there."""
    figure, axes = plt.subplots(1, len(found), figsize=(WIDTH, 3.0), squeeze=False)
    for ax, (name, every) in zip(axes[0], found.items(), strict=True):
        members = sorted(every[1:-1], key=lambda e: e.value)
        rows = [
            ("worst member", members[-1], GOES),
            ("best member", members[0], "C4"),
            ("the whole ensemble", every[0], STAYS),
            ("training images drawn again", every[-1], REAL),
        ]
        for k, (label, e, colour) in enumerate(rows):
            inverse = 1 / e.sizes
            ends = np.array([0, inverse.max()])
            ax.plot(ends, e.infinite.value + e.bias * e.spread.n * ends, color=colour, linewidth=1, label=label)
            ax.plot(inverse, e.curve, "o", color=colour, markersize=4)
            at = -0.012 * (k + 1) * inverse.max()
            ax.plot([at, at], [e.infinite.low, e.infinite.high], color=colour, linewidth=2)
        ax.axhline(0, color=plt.rcParams["text.color"], linewidth=0.8)
        ticks = every[0].sizes
        ax.set_xticks([0, *(1 / ticks)], ["∞", *(f"{n:,}" for n in ticks)])
        ax.set(xlabel="samples $n$, spaced as $1/n$", ylabel=f"FID ({name})")
    axes[0, 0].legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def plane(samples: np.ndarray, training: np.ndarray) -> Figure:
    """Figure 3b: training images (M, 2), the ensemble's samples and the members' (1 + n, N, 2), a panel each; a cross
    at the mean of the training images in all, a dot at that of each member in the last."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.7), sharex=True, sharey=True)
    together = samples[1:].reshape(-1, 2)
    rows = [
        ("training images", training, REAL),
        ("the whole ensemble", samples[0], STAYS),
        ("members", together, MEMBER),
    ]
    for ax, (title, points, colour) in zip(axes, rows, strict=True):
        alpha = float(np.clip(300 / len(points), 0.05, 0.6))
        ax.scatter(*points.T, s=3, color=colour, alpha=alpha, linewidths=0, rasterized=True)
        count = f"{len(points):,}" if title != "members" else f"{len(samples) - 1} × {samples.shape[1]:,}"
        ax.plot(*training.mean(axis=0), "+", color=plt.rcParams["text.color"], markersize=12, markeredgewidth=1.6)
        ax.set(title=f"{title} (n = {count})", xlabel="first component")
    axes[2].plot(*samples[1:].mean(axis=1).T, "o", color=GOES, markersize=3)
    axes[0].set_ylabel("second component")
    return figure
