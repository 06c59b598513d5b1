"""The drawings of the diffusion page. Arrays in, figures out."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens_book.pages.plotting import WIDTH, show


def two_rows(above: np.ndarray, below: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Two rows of images (K, C, H, W) in [-1, 1], one above the other, with names."""
    return _grid(np.stack([above, below]).clip(-1, 1), rows, columns)


def members_and_noises(y: np.ndarray, which: Sequence[int]) -> Figure:
    """What members (rows) make of noises (columns): y (M, B, C, H, W), by members of these numbers, from 0."""
    return _grid(y, [f"member {i + 1}" for i in which], [f"noise {k + 1}" for k in range(y.shape[1])])


def _grid(images: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    R, K, _, H, W = images.shape
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * R * (H + 2) / (K * (W + 2)) * 0.86 + 0.3))
    show(ax, images, rows, columns)
    return figure
