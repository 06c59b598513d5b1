"""The pictures of chapter 1: codes, the Fano plane, split sizes, witnesses. Arrays in, a figure out.

Ink and colours come from matplotlib's current style, so every picture suits light and dark pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

STAYS, GOES = "C0", "C1"
NUMBER_ANGLE = np.deg2rad(62)  # of the circle's number: on the circle, off every other line
FAINT = 0.18  # opacity of what is there but is not the point


def code_table(codes: np.ndarray, row: int, pictures: np.ndarray) -> Figure:
    """Codes as squares, one line an image, one column a member; those of image `row` are marked as gone.

    codes: bool (K, n); pictures: uint8 (K, H, W) grey or (K, H, W, 3), drawn left of their codes.
    """
    K, n = codes.shape
    goes = codes[row]
    fig, ax = plt.subplots(figsize=(0.36 * n + 1.6, 0.36 * K + 1.2))
    for i in range(n):
        colour = GOES if goes[i] else STAYS
        for x in range(K):
            ax.add_patch(_square(i, x, colour, filled=codes[x, i], faint=goes[i] and x != row))
        ax.text(i, K - 0.1, "×" if goes[i] else "✓", color=colour, ha="center", va="center")
    for x in range(K):
        ax.imshow(pictures[x], cmap="gray", extent=(-1.95, -1.05, x + 0.45, x - 0.45), vmin=0, vmax=255)
    ink = plt.rcParams["text.color"]
    ax.add_patch(Rectangle((-2.1, row - 0.5), n + 1.6, 1, fill=False, edgecolor=ink, linewidth=1.6))
    ax.set(xlim=(-2.2, n - 0.4), ylim=(K + 0.4, -0.6), aspect="equal", xlabel="member", yticks=[])
    ax.set_xticks(range(n), [str(i + 1) for i in range(n)])
    _bare(ax)
    return fig


def fano_plane(incidence: np.ndarray, names: Sequence[str], ablate: int | None = None) -> Figure:
    """The seven classes as points, the seven members as lines; beside it, how many members two classes share.

    incidence: bool (7, 7), point by line, of any projective plane of order 2; names of the points.
    ablate: a point whose three lines are drawn as gone. Raises ValueError if the incidence is no such plane.
    """
    shared = incidence.astype(int) @ incidence.T
    if incidence.shape != (7, 7) or not np.array_equal(shared, 1 + 2 * np.eye(7, dtype=int)):
        raise ValueError("expected 7 points on 7 lines, 3 on each, any two on one line; got others")
    fig, (plane, table) = plt.subplots(1, 2, figsize=(8.4, 4), width_ratios=[1.2, 1])
    points = fano_points(incidence)
    for i in range(7):
        goes = ablate is not None and incidence[ablate, i]
        _line(plane, points[incidence[:, i]], i, goes)
    for x, (name, point) in enumerate(zip(names, points, strict=True)):
        _point(plane, point, name, GOES if x == ablate else plt.rcParams["text.color"])
    plane.set(xlim=(-1.15, 1.15), ylim=(-0.75, 1.25), aspect="equal", xticks=[], yticks=[])
    plane.set_title("point: a class — line: a member")
    _bare(plane)
    _shared_table(table, shared, names)
    return fig


def fano_points(incidence: np.ndarray) -> np.ndarray:
    """Places for the seven points, float64 (7, 2), where six lines are straight and the seventh is a circle.

    Three points that share no line become the corners of a triangle; the third point of each of their lines
    goes to the middle of that side, and the last point to the centre.
    """
    corners = next(list(c) for c in combinations(range(7), 3) if not incidence[list(c)].all(axis=0).any())
    angles = np.deg2rad([90, 210, 330])
    places = np.empty((7, 2))
    places[corners] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rest = set(range(7)) - set(corners)
    for a, b in combinations(corners, 2):
        side = incidence[:, incidence[[a, b]].all(axis=0)][:, 0]
        middle = next(x for x in np.flatnonzero(side) if x not in (a, b))
        places[middle] = (places[a] + places[b]) / 2
        rest.remove(middle)
    places[rest.pop()] = 0
    return places


def split_strip(groups: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Split sizes in standard deviations from their mean: one strip for each dataset and each source.

    groups: {dataset: {source: z-scores (n,)}}. The bands reach one and two standard deviations: 68 % and 95 %
    of all splits under the uniform assignment.
    """
    fig, ax = plt.subplots(figsize=(7.5, 0.55 * sum(map(len, groups.values())) + 1.2))
    ink = plt.rcParams["text.color"]
    for reach, opacity in ((2, 0.07), (1, 0.09)):
        ax.axvspan(-reach, reach, color=ink, alpha=opacity, linewidth=0)
    ticks, y = {}, 0.0
    for dataset, sources in groups.items():
        for k, (source, z) in enumerate(sources.items()):
            ax.plot(z, np.full(len(z), y), "o", color=f"C{k}", alpha=0.75, markersize=7, markeredgewidth=0)
            ticks[y] = f"{dataset}, {source}"
            y += 1
        y += 0.5
    ax.axvline(0, color=ink, linewidth=0.8)
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.set(ylim=(y - 1, -0.5), xlabel="split size, in standard deviations from its mean")
    ax.grid(visible=False)
    return fig


def witness_shares(measured: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Figure:
    """The share of ordered pairs (x, x') with m witnesses, on a logarithmic scale; a dash where expected.

    measured, expected: {dataset: shares (h + 1,), m = 0..h}.
    """
    fig, axes = plt.subplots(1, len(measured), figsize=(9.6, 3), sharey=True, squeeze=False)
    floor = min(shares[shares > 0].min() for shares in measured.values()) / 3
    for ax, (name, shares) in zip(axes[0], measured.items(), strict=True):
        m = np.arange(len(shares))
        ax.bar(m, np.maximum(shares, floor), bottom=0, color="C0", width=0.8)
        ax.plot(m[1:], expected[name][1:], "_", color="C1", markersize=11, markeredgewidth=2)
        ax.set(yscale="log", ylim=(floor, 1), title=name, xticks=m[::2])
        ax.set_xlabel("members that hold $x'$, not $x$")
        ax.grid(visible=False, axis="x")
    axes[0, 0].set_ylabel("share of ordered pairs")
    return fig


def _square(i: int, x: int, colour: str, filled: bool, faint: bool) -> Rectangle:
    """One bit: filled for 1, an outline for 0."""
    face = colour if filled else "none"
    opacity = FAINT if faint else 1 if filled else 0.45
    return Rectangle((i - 0.38, x - 0.38), 0.76, 0.76, facecolor=face, edgecolor=colour, alpha=opacity)


def _line(ax: Axes, three: np.ndarray, i: int, goes: bool) -> None:
    """A line of the plane through three points, its number on it; a circle if they are not in a row."""
    style = {"color": GOES if goes else STAYS, "linewidth": 2.2, "linestyle": (0, (2, 2)) if goes else "-"}
    (ax_, ay), (bx, by), (cx, cy) = three
    if abs((bx - ax_) * (cy - ay) - (by - ay) * (cx - ax_)) > 1e-9:
        radius = np.linalg.norm(three[0])
        ax.add_patch(Circle((0, 0), radius, fill=False, zorder=1, **style))
        number = radius * np.array([np.cos(NUMBER_ANGLE), np.sin(NUMBER_ANGLE)])
    else:
        ends = max(combinations(three, 2), key=lambda pair: np.linalg.norm(pair[0] - pair[1]))
        ax.plot(*np.transpose(ends), zorder=1, **style)
        corner, other = sorted(ends, key=lambda end: (-np.linalg.norm(end).round(6), end[1]))
        number = 0.74 * corner + 0.26 * other
    box = {"facecolor": plt.rcParams["figure.facecolor"], "edgecolor": "none", "pad": 1.5}
    where = {"ha": "center", "va": "center", "zorder": 2}
    ax.text(*number, str(i + 1), color=style["color"], fontsize="small", bbox=box, **where)


def _point(ax: Axes, point: np.ndarray, name: str, colour: str) -> None:
    paper = plt.rcParams["figure.facecolor"]
    ax.add_patch(Circle(point, 0.13, facecolor=paper, edgecolor=colour, linewidth=2, zorder=3))
    ax.text(*point, name, color=colour, ha="center", va="center", fontweight="bold", zorder=4)


def _shared_table(ax: Axes, shared: np.ndarray, names: Sequence[str]) -> None:
    """The number of members that two classes share, as a table of shaded squares."""
    for x, y in np.ndindex(shared.shape):
        shade = 0.12 + 0.2 * (shared[x, y] - 1)
        ax.add_patch(Rectangle((y - 0.5, x - 0.5), 1, 1, facecolor=STAYS, alpha=shade))
        ax.text(y, x, str(shared[x, y]), ha="center", va="center")
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set_title("members that two classes share")
    _bare(ax)


def _bare(ax: Axes) -> None:
    """No frame, no ticks, no grid; tick labels stay."""
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
