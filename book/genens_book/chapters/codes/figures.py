"""The pictures of chapter 1: codes, the Fano plane, split sizes, witnesses. Arrays in, a figure out.

Ink and colours come from matplotlib's current style, so every picture suits light and dark pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, zip_longest

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import GOES, STAYS, WIDTH, frameless

NUMBER_ANGLE = np.deg2rad(55)  # of the circle's number: off every other line


def fano_plane(incidence: np.ndarray, names: Sequence[str], ablate: int | None = None) -> Figure:
    """The seven classes as points, the seven members as lines; beside it, how many members two classes share.

    incidence: bool (7, 7), point by line, of any projective plane of order 2; names of the points.
    ablate: a point whose three lines are drawn as gone. Raises ValueError if the incidence is no such plane.
    """
    shared = incidence.astype(int) @ incidence.T
    if incidence.shape != (7, 7) or not np.array_equal(shared, 1 + 2 * np.eye(7, dtype=int)):
        raise ValueError("expected 7 points on 7 lines, 3 on each, any two on one line; got others")
    fig, (plane, table) = plt.subplots(1, 2, figsize=(WIDTH, 3.8), width_ratios=[1.2, 1], layout="compressed")
    points = fano_points(incidence)
    for i in range(7):
        goes = ablate is not None and incidence[ablate, i]
        _line(plane, points[incidence[:, i]], i, goes)
    for x, (name, point) in enumerate(zip(names, points, strict=True)):
        _point(plane, point, name, GOES if x == ablate else plt.rcParams["text.color"])
    plane.set(xlim=(-1.15, 1.15), ylim=(-0.8, 1.3), aspect="equal", xticks=[], yticks=[])
    plane.set_title("point: a class; line: a member")
    frameless(plane)
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
    fig, ax = plt.subplots(figsize=(WIDTH, 0.45 * sum(map(len, groups.values())) + 1.2))
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
    fig, axes = plt.subplots(1, len(measured), figsize=(WIDTH, 2.5), sharey=True, squeeze=False)
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


def member_table(columns: Mapping[str, Sequence[int]]) -> Page:
    """A table with a line for each member: its number, then a whole number from each column that has one."""
    lines = [["member", *columns]]
    for i, cells in enumerate(zip_longest(*columns.values()), 1):
        lines.append([str(i), *("" if cell is None else f"{cell:,}" for cell in cells)])
    return markup.lines_table(lines[0], lines[1:], numeric=True)


def _line(ax: Axes, three: np.ndarray, i: int, goes: bool) -> None:
    """A line of the plane through three points, its number on it; a circle if they are not in a row."""
    style = {"color": GOES if goes else STAYS, "linewidth": 2.2, "linestyle": (0, (2, 2)) if goes else "-"}
    (ax_, ay), (bx, by), (cx, cy) = three
    if abs((bx - ax_) * (cy - ay) - (by - ay) * (cx - ax_)) > 1e-9:
        radius = np.linalg.norm(three[0])
        ax.add_patch(Circle((0, 0), radius, fill=False, zorder=1, **style))
        number = (radius - 0.09) * np.array([np.cos(NUMBER_ANGLE), np.sin(NUMBER_ANGLE)])
    else:
        ends = max(combinations(three, 2), key=lambda pair: np.linalg.norm(pair[0] - pair[1]))
        ax.plot(*np.transpose(ends), zorder=1, **style)
        corner, other = sorted(ends, key=lambda end: (-np.linalg.norm(end).round(6), end[1]))
        along = (other - corner) / np.linalg.norm(other - corner)
        number = corner + 0.42 * along + 0.09 * np.array([-along[1], along[0]])
    ax.text(*number, str(i + 1), color=style["color"], fontsize="small", ha="center", va="center")


def _point(ax: Axes, point: np.ndarray, name: str, colour: str) -> None:
    """A dot, and its name on the side away from the centre; the central point's name goes above the lines."""
    ax.add_patch(Circle(point, 0.06, color=colour, zorder=3))
    distance = np.linalg.norm(point)
    away = point / distance if distance > 0.1 else np.array([np.cos(np.deg2rad(60)), np.sin(np.deg2rad(60))])
    look = {"color": colour, "fontweight": "bold", "fontsize": "large"}
    ax.text(*(point + 0.17 * away), name, ha="center", va="center", **look)


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
    frameless(ax)
