"""What came of damaged files, as bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens_book.chapters.breakage.analysis import WRONG
from genens_book.pages.plotting import WIDTH

OUTCOMES = {  # a colour each, in the order of a bar's parts
    "refused": ("refused in one line", "C0"),
    "harmless": ("harmless: used as what it was", "C2"),
    "another": ("made to match its sha256, and then one that can be used", "C5"),
    "taken": ("taken: no sha256, and nothing impossible in it", "C6"),
    WRONG: ("wrong", "C1"),
}


def damage(subjects: Mapping[str, Counter]) -> Figure:
    """A bar for each thing that was damaged, of the share of every outcome; an empty picture for none."""
    figure, ax = plt.subplots(figsize=(WIDTH, 0.27 * max(len(subjects), 3) + 1.3))
    totals, left = np.array([of.total() for of in subjects.values()], float), np.zeros(len(subjects))
    for how, (label, colour) in OUTCOMES.items():
        share = np.array([of[how] for of in subjects.values()]) / np.maximum(totals, 1)
        if share.any():
            ax.barh(range(len(subjects)), 100 * share, left=100 * left, height=0.72, color=colour, label=label)
        left = left + share
    ax.set_yticks(range(len(subjects)), list(subjects))
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 100), ylim=(max(len(subjects), 1) - 0.4, -0.6), xlabel="share of the times that it was damaged, %")
    if len(subjects):
        figure.legend(loc="outside upper left", ncols=2)
    return figure
