"""The numbers that a figure draws, read off its axes: what stands beside it as CSV.

Read off the figure and not handed over with it, so that the numbers are those that are drawn. Pictures made of images
and drawings without axes have none. The file begins with lines after a # that name the panels (`pandas.read_csv(path,
comment="#")`); after them, one line is one mark:

    panel             its number, in the order drawn
    mark              line or point; bar; interval; outline (of a violin or a histogram); band; cell (of a table)
    series            the name in the legend, or a number
    x, y              where it stands; of a bar, where it ends; x_name, y_name where ticks name what is there
    x_low ... y_high  from where to where it reaches
    value             of a cell
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import count

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Transform

COLUMNS = (*("panel", "mark", "series", "x", "x_name", "y", "y_name"), *("x_low", "x_high", "y_low", "y_high", "value"))
Mark = dict[str, object]


def table(figure: Figure) -> str:
    """The numbers of a figure as CSV; empty for one that draws none."""
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and _has_scale(ax)]
    marks = [{"panel": number} | mark for number, ax in enumerate(panels, 1) for mark in _marks(ax)]
    if not marks:
        return ""
    text = io.StringIO()
    for number, ax in enumerate(panels, 1):
        text.write(f"# panel {number}: {_words(ax, figure)}".rstrip(": ") + "\n")
    used = [name for name in COLUMNS if any(mark.get(name, "") != "" for mark in marks)]
    writer = csv.DictWriter(text, used, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _short(value) for name, value in mark.items()} for mark in marks)
    return text.getvalue()


def _has_scale(ax: Axes) -> bool:
    """Whether this panel draws numbers: it has ticks, and shows no pictures, which are in colour or grey; a table of
    counts has a colour map of its own."""
    ticked = ax.axison and (len(ax.get_xticks()) or len(ax.get_yticks()))
    return bool(ticked) and not any(im.get_array().ndim == 3 or im.get_cmap().name == "gray" for im in ax.images)


def _words(ax: Axes, figure: Figure) -> str:
    """A panel's title and axes; those that share an axis name it once."""
    x = [ax.get_xlabel(), *(other.get_xlabel() for other in ax.get_shared_x_axes().get_siblings(ax))]
    y = [ax.get_ylabel(), *(other.get_ylabel() for other in ax.get_shared_y_axes().get_siblings(ax))]
    title = next(filter(None, (ax.get_title(loc) for loc in ("left", "center", "right"))), "")
    axes = [
        f"{axis} is {label}"
        for axis, label in (
            ("x", next(filter(None, x), figure.get_supxlabel())),
            ("y", next(filter(None, y), figure.get_supylabel())),
        )
        if label
    ]
    return re.sub(r"\s+", " ", "; ".join([part for part in (title, *axes) if part]))


# ---------------------------------------------------------------- marks


def _marks(ax: Axes) -> Iterator[Mark]:
    """Every mark of a panel: first what matplotlib keeps together, bars and values with their errors, then the rest."""
    number, taken = count(1), set()
    words = {"x": _words_at(ax.xaxis), "y": _words_at(ax.yaxis)}
    for container in ax.containers:
        kind = {BarContainer: _bars, ErrorbarContainer: _errors}.get(type(container))
        if kind:
            taken |= set(_flat(container))
            yield from _named(kind(container), container.get_label(), words, number)
    for artist in ax.get_children():
        kind = next((_KINDS[type] for type in _KINDS if isinstance(artist, type)), None)
        if kind and artist not in taken and artist is not ax.patch:
            yield from _named(kind(artist, ax), artist.get_label(), words, number)


def _named(marks: Iterator[Mark], label: object, words: dict, number: Iterator[int]) -> Iterator[Mark]:
    """With the series, which counts only if it has marks, and with the names that ticks give to places."""
    marks = list(marks)
    if marks:
        series = str(next(number))
        series = series if str(label).startswith("_") or not label else re.sub(r"\s+", " ", str(label))
        for mark in marks:
            names = {f"{axis}_name": _nearest(words[axis], mark.get(axis)) for axis in words}
            yield {"series": series} | names | mark


def _flat(container: tuple) -> Iterator[object]:
    for part in container:
        yield from _flat(part) if isinstance(part, tuple) else [part]


def _bars(bars: BarContainer) -> Iterator[Mark]:
    upright = bars.orientation != "horizontal"
    for bar in bars.patches:
        (x, y), (w, h) = bar.get_xy(), (bar.get_width(), bar.get_height())
        place = {"x": x + w / 2, "y": y + h} if upright else {"x": x + w, "y": y + h / 2}
        reach = {"y_low": y, "y_high": y + h} if upright else {"x_low": x, "x_high": x + w}
        yield {"mark": "bar"} | place | reach


def _errors(drawn: ErrorbarContainer) -> Iterator[Mark]:
    """Values with their intervals; intervals alone where no value is drawn with them."""
    line, _, stems = drawn
    reach = [_segment(part) for stem in stems for part in stem.get_segments()]
    if line is None:
        yield from ({"mark": "interval"} | part for part in reach)
        return
    points = [{"mark": "point", "x": x, "y": y} for x, y in zip(*line.get_data(), strict=True)]
    for k, part in enumerate(reach):
        points[k % len(points)] |= {name: value for name, value in part.items() if name not in ("x", "y")}
    yield from points


def _segment(ends: np.ndarray) -> Mark:
    """A segment along an axis, as an interval; one that goes across both, as a box."""
    (x, z), (y, w) = np.transpose(ends)[:, [0, -1]] if len(ends) else np.full((2, 2), np.nan)
    place = ({"x": x} if x == z else {"x_low": min(x, z), "x_high": max(x, z)}) | (
        {"y": y} if y == w else {"y_low": min(y, w), "y_high": max(y, w)}
    )
    return place


def _line(line: Line2D, ax: Axes) -> Iterator[Mark]:
    """A point where only markers are drawn. A line across the whole panel has one coordinate."""
    held = _held(line.get_transform(), ax)
    drawn = line.get_linestyle() not in ("None", "none", "", " ")
    for x, y in zip(*line.get_data(), strict=True) if any(held) else ():
        yield {"mark": "line" if drawn else "point"} | {
            name: value for name, value, there in (("x", x, held[0]), ("y", y, held[1])) if there
        }
        if not all(held):
            return


def _scatter(points: PathCollection, ax: Axes) -> Iterator[Mark]:
    yield from ({"mark": "point", "x": x, "y": y} for x, y in np.ma.filled(points.get_offsets(), np.nan))


def _stems(lines: LineCollection, ax: Axes) -> Iterator[Mark]:
    yield from ({"mark": "interval"} | _segment(part) for part in lines.get_segments())


def _outlines(areas: PolyCollection, ax: Axes) -> Iterator[Mark]:
    for path in areas.get_paths():
        yield from ({"mark": "outline", "x": x, "y": y} for x, y in path.vertices)


def _polygon(area: Polygon, ax: Axes) -> Iterator[Mark]:
    """A histogram is drawn as its outline, and once more as what fills it, which has no name."""
    if not (area.get_label() or "_").startswith("_"):
        yield from ({"mark": "outline", "x": x, "y": y} for x, y in area.get_xy())


def _band(area: Rectangle, ax: Axes) -> Iterator[Mark]:
    """What reaches across a panel from one side to the other."""
    held = _held(area.get_data_transform(), ax)
    (x, y), (w, h) = area.get_xy(), (area.get_width(), area.get_height())
    if held == (True, False):
        yield {"mark": "band", "x_low": x, "x_high": x + w}
    if held == (False, True):
        yield {"mark": "band", "y_low": y, "y_high": y + h}


def _cells(cells: QuadMesh, ax: Axes) -> Iterator[Mark]:
    corners, values = cells.get_coordinates(), np.ma.filled(np.ma.asarray(cells.get_array(), float), np.nan)
    centres = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    for (x, y), value in zip(centres.reshape(-1, 2), values.ravel(), strict=True):
        yield {"mark": "cell", "x": x, "y": y, "value": value}


def _counts(image: AxesImage, ax: Axes) -> Iterator[Mark]:
    for (row, column), value in np.ndenumerate(np.ma.filled(image.get_array().astype(float), np.nan)):
        yield {"mark": "cell", "x": float(column), "y": float(row), "value": value}


def _held(transform: Transform, ax: Axes) -> tuple[bool, bool]:
    """Whether x and y are in the units of the axes; else they are shares of the panel."""
    ways = [((True, True), ax.transData), ((True, False), ax.get_xaxis_transform())]
    ways += [((False, True), ax.get_yaxis_transform())]
    return next((held for held, way in ways if transform == way), (False, False))


_KINDS = {
    Line2D: _line,
    PathCollection: _scatter,
    LineCollection: _stems,
    QuadMesh: _cells,
    AxesImage: _counts,
    PolyCollection: _outlines,
    Polygon: _polygon,
    Rectangle: _band,
}


# ---------------------------------------------------------------- cells of the table


def _words_at(axis: Axis) -> dict[float, str]:
    """What stands at an axis's ticks, by place; nothing where that is the place itself, or a formula."""
    if not isinstance(axis.get_major_locator(), FixedLocator):
        return {}
    words = [re.sub(r"\s+", " ", label.get_text()) for label in axis.get_ticklabels()]
    ticks = dict(zip(map(float, axis.get_majorticklocs()), words, strict=False))
    told = any(word and "$" not in word and not _is(word, place) for place, word in ticks.items())
    return ticks if told else {}


def _is(word: str, place: float) -> bool:
    try:
        return np.isclose(float(word.replace(",", "").replace("−", "-")), place)
    except ValueError:
        return False


def _nearest(words: dict[float, str], place: object) -> str:
    """The word at the tick nearest to a place: bars and points that share one stand around it."""
    near = [tick for tick in words if place is not None and abs(tick - float(place)) <= 0.5]
    return words[min(near, key=lambda tick: abs(tick - float(place)))] if near else ""


def _short(value: object) -> object:
    """Six digits; nothing for what is no number."""
    if not isinstance(value, float | np.floating):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"
