"""The pictures of the chapter on faces: the data set, and which attributes lists share with their samples."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens_book.chapters.faces.analysis import Meaning
from genens_book.measures.gallery import Gallery
from genens_book.measures.not_run import NotRun
from genens_book.measures.nulls import Against
from genens_book.pages import plotting
from genens_book.pages.markup import Page
from genens_book.pages.plotting import WIDTH, Picture

PEOPLE, PICTURES = 4, 12  # whom the chapter begins with: so many people, so many pictures of each


def shown(images: Gallery) -> np.ndarray:
    """The rows of the pictures of some of the people: int64 (PEOPLE, PICTURES), or as many as are at hand."""
    labels = images.labels[images.rows].numpy()
    each = np.bincount(labels)
    enough = min(PICTURES, each.max())
    often = np.flatnonzero(each >= enough)[:PEOPLE]
    return np.stack([images.rows[labels == person][:enough].numpy() for person in often])


def people(images: Gallery) -> Figure:
    """The people of `shown`, a row each."""
    grid = images[shown(images)]
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * grid.shape[0] / grid.shape[1]))
    plotting.show(ax, grid)
    return figure


def attributes(found: Mapping[str, Against]) -> Figure:
    """For every attribute, how much of the lists agrees with the sample in it, less what lists under codes dealt anew
    do on average; bars are the middle 95 % of those."""
    names, y = list(found), np.arange(len(found))[::-1]
    value, middle, low, high = (
        100 * np.array([getattr(one, side) for one in found.values()]) for side in ("found", "mean", "low", "high")
    )
    figure, ax = plt.subplots(figsize=(WIDTH, 0.24 * len(names) + 0.7))
    null = dict(color="C6", alpha=0.35, label="codes dealt anew, middle 95 %")
    ax.barh(y, high - low, left=low - middle, height=0.55, **null)
    ax.plot(value - middle, y, "o", color="C1", markersize=4, label="as dealt")
    ax.axvline(0, color=plt.rcParams["text.color"], linewidth=0.8)
    ax.set_yticks(y, names)
    ax.set(xlabel="points of agreement with the sample, above codes dealt anew", ylim=(-0.7, len(names) - 0.3))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def meaning(found: Meaning | NotRun, table: Callable[[Mapping[str, Against]], Page]) -> dict[str, Page | Picture]:
    """What was found of the lists' meaning, as a chapter shows it: the attributes, and `table` of the lists; where
    nothing was, the reason."""
    if isinstance(found, NotRun):
        reason = Page(f"<p>{html.escape(str(found))}</p>", str(found))
        return {"fig_attributes": reason, "table_nulls": reason}
    picture = plotting.themed(
        lambda: attributes(found.attributes),
        "For every attribute a point, how much more lists agree with their sample than lists under codes dealt anew, "
        "over a bar of what those do.",
        "09_fig_attributes",
    )
    return {"fig_attributes": picture, "table_nulls": table(found.lists)}
