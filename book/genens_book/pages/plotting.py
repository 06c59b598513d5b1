"""One style for every picture of the book, drawn twice: for light pages and for dark ones. Arrays in, figures out."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from genens_book.pages import drawn

# Okabe and Ito's colours (blue, vermilion, green, ...), a step lighter on dark pages; told apart by colour-blind eyes.
LIGHT = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B7280"]
DARK = ["#4FA8DC", "#F08A4B", "#3FC29B", "#E3A0C6", "#F0BC4E", "#8CCBF2", "#9CA3AF"]
STAYS, GOES = "C0", "C1"  # throughout the book: what is kept, and what is ablated
WIDTH = 7.2  # inches: the text's measure
DPI = int(os.environ.get("GENENS_BOOK_DPI") or 200)
FAINT = 0.18  # opacity of what is there but is not the point
FAST_PNG = {"compress_level": 6}


def style(dark: bool = False) -> dict:
    """The matplotlib settings of a theme, for `plt.rc_context`. Backgrounds are transparent: the page's shows."""
    ink, faint = ("#DFE3E8", "#3A424C") if dark else ("#1F2328", "#D8DDE3")
    return {
        "axes.prop_cycle": plt.cycler(color=DARK if dark else LIGHT),
        "text.color": ink,
        "axes.labelcolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "axes.edgecolor": ink,
        "axes.titlecolor": ink,
        "legend.labelcolor": ink,
        "grid.color": faint,
        "patch.edgecolor": ink,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "lines.linewidth": 1.5,
        "axes.titlelocation": "left",
        "figure.constrained_layout.use": True,
        "image.interpolation": "nearest",
        "image.cmap": "gray",
        "axes.axisbelow": True,
    }


@dataclass(frozen=True)
class Picture:
    """A figure for light and for dark pages, as two PNG images of which the page shows one; and its numbers, to be
    downloaded (the book puts them beside the page: press/sphinx_ext.py)."""

    light: bytes
    dark: bytes
    alt: str
    width: int  # CSS pixels
    data: str = ""  # CSV (`drawn.table`)
    name: str = "figure"  # of the file with the data

    def _repr_html_(self) -> str:
        images = "".join(
            f'<img class="ge-figure only-{theme}" alt="{html.escape(self.alt, quote=True)}" width="{self.width}" '
            f'src="data:image/png;base64,{base64.b64encode(image).decode()}">'
            for theme, image in (("light", self.light), ("dark", self.dark))
        )
        data = base64.b64encode(self.data.encode()).decode()
        link = f'<a class="ge-data" download="{self.name}.csv" href="data:text/csv;base64,{data}">data (CSV)</a>'
        return images + (link if data else "")

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def themed(draw: Callable[[], Figure], alt: str, name: str = "figure") -> Picture:
    """What `draw` makes, in both themes. `alt` says what is to be seen, for those who cannot see it; `name` is that of
    the file with its numbers.

    Raises ValueError for an empty `alt`.
    """
    if not alt.strip():
        raise ValueError("expected an alternative text that says what the figure shows; got none")
    images = []
    for dark in (False, True):
        with plt.rc_context(style(dark)):
            figure = draw()
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.04, pil_kwargs=FAST_PNG)
            data = drawn.table(figure)
            plt.close(figure)
        images.append(buffer.getvalue())
    width = int.from_bytes(images[0][16:20], "big")  # where a PNG file says so
    return Picture(*images, alt, round(width * 100 / DPI), data, name)


def bare(ax: Axes) -> Axes:
    """No frame and no ticks: what an image wants."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def tile(images: np.ndarray, gap: int = 2) -> np.ndarray:
    """A grid of images (R, K, C, H, W) in [-1, 1] as one picture, float (height, width, 3 + opacity) in [0, 1]."""
    R, K, C, H, W = images.shape
    sheet = np.zeros((R * (H + gap) - gap, K * (W + gap) - gap, 4))
    pixels = np.clip((np.asarray(images, dtype=float) + 1) / 2, 0, 1).transpose(0, 1, 3, 4, 2)
    for r in range(R):
        for k in range(K):
            place = np.s_[r * (H + gap) : r * (H + gap) + H, k * (W + gap) : k * (W + gap) + W]
            sheet[place][..., :3] = pixels[r, k]
            sheet[place][..., 3] = 1
    return sheet


def show(ax: Axes, images: np.ndarray, rows: Sequence[str] = (), columns: Sequence[str] = (), gap: int = 2) -> Axes:
    """A labelled grid of images (R, K, C, H, W) in [-1, 1]."""
    R, K, _, H, W = images.shape
    bare(ax).imshow(tile(images, gap), interpolation="nearest")
    ax.set_yticks([r * (H + gap) + H / 2 for r in range(len(rows))], rows)
    ax.set_xticks([k * (W + gap) + W / 2 for k in range(len(columns))], columns)
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    return ax


def sheet(images: np.ndarray, columns: int, width: float = WIDTH) -> Figure:
    """Samples (B, C, H, W) in [-1, 1], `columns` to a row; a last row that is not full is left out."""
    rows = len(images) // columns
    if not rows:
        raise ValueError(f"expected at least one row of {columns} images; got {len(images)}")
    grid = np.asarray(images)[: rows * columns].reshape(rows, columns, *images.shape[1:])
    H, W = tile(grid).shape[:2]
    figure, ax = plt.subplots(figsize=(width, width * H / W))
    show(ax, grid)
    return figure


def code_table(codes: np.ndarray, row: int, pictures: np.ndarray) -> Figure:
    """Codes as squares, one line an image, one column a member; those of image `row` are marked as gone.

    codes: bool (K, n); pictures: uint8 (K, H, W) grey or (K, H, W, 3), drawn left of their codes.
    Raises ValueError unless there are at least two codes, a picture for each, and `row` is one of them.
    """
    K, n = codes.shape
    if K < 2 or len(pictures) != K or not 0 <= row < K:
        raise ValueError(
            f"expected two codes or more, a picture for each, and one of their rows to ablate; "
            f"got {K} codes, {len(pictures)} pictures, row {row}"
        )
    goes = codes[row]
    fig, ax = plt.subplots(figsize=(WIDTH, WIDTH * (K + 2) / (n + 2)))
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
    frameless(ax)
    return fig


def _square(i: int, x: int, colour: str, filled: bool, faint: bool) -> Rectangle:
    """One bit: filled for 1, an outline for 0."""
    face = colour if filled else "none"
    opacity = FAINT if faint else 1 if filled else 0.45
    return Rectangle((i - 0.38, x - 0.38), 0.76, 0.76, facecolor=face, edgecolor=colour, alpha=opacity)


def frameless(ax: Axes) -> None:
    """No frame, no ticks, no grid; tick labels stay."""
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
