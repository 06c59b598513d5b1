"""What stands in the explorer's place where there is no JavaScript: a picture, and the table of top images."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens import attribution
from genens.codes import ablations
from genens.jacobians import linear_counterfactual
from genens_book.chapters.explorer.feed import Items, Truth
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import WIDTH, show, tile

COLUMNS = ("sample", "most influential", "approximate", "regenerated")


def overview(y: np.ndarray, J: np.ndarray, items: Items, truth: Truth, shown: int) -> Figure:
    """The first `shown` samples; under each its most influential image, and the counterfactual without that image as
    approximated and as regenerated. Arrays as in `feed.part`; every truth.rows[b] begins with the top image, whose
    thumbnail has to be kept."""
    rows = truth.rows[:shown, 0]
    places = [items.kept.tolist().index(row) for row in rows]
    thumbs = items.thumbs[places].reshape(len(rows), *y.shape[2:], -1).transpose(0, 3, 1, 2) / 127.5 - 1
    v = ablations(items.codes[rows])
    linear = np.stack([linear_counterfactual(y[b : b + 1], J[b : b + 1], v[b : b + 1])[0, 0] for b in range(len(rows))])
    grid = np.stack([y[: len(rows)], thumbs, linear, truth.without[: len(rows), 0]])
    sheet = tile(grid)
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * sheet.shape[0] / sheet.shape[1] + 0.15))
    show(ax, grid, rows=COLUMNS)
    return figure


def top_table(gram: np.ndarray, items: Items, digits: Sequence[int], k: int) -> Page:
    """A line a sample: what it reads as, and its k most influential images with label and influence."""
    top = attribution.top_k(gram, items.codes, k)
    lines = [
        (
            str(b),
            str(digit),
            *(f"{row:,} (a {items.labels[row]}): {score:.3g}" for row, score in zip(*entry, strict=True)),
        )
        for b, (digit, *entry) in enumerate(zip(digits, top.rows, top.influence, strict=True))
    ]
    return markup.lines_table(
        ("sample", "reads as", *(f"image of rank {r + 1}" for r in range(k))), lines, numeric=False
    )
