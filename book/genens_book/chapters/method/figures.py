"""The drawings of the method page: codes, two mixtures, a film, a curve and its tangent. Arrays in, figures out."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens_book.pages.plotting import GOES, STAYS, WIDTH, code_table, show
from genens_book.pages.words import number


def codes(drawn: np.ndarray, row: int, images: np.ndarray) -> Figure:
    """Codes (K, n) beside their pictures (K, C, H, W) in [-1, 1]; those of image `row` are marked as gone."""
    pictures = (np.moveaxis(images, 1, -1) + 1) / 2
    return code_table(drawn, row, pictures[..., 0] if pictures.shape[-1] == 1 else pictures)


def mixtures(whole: np.ndarray, ablated: np.ndarray) -> Figure:
    """Two mixtures (n,) as bars, one above the other; members without weight in the second are crossed out."""
    n = len(whole)
    figure, axes = plt.subplots(2, 1, figsize=(WIDTH, 2.5), sharex=True, sharey=True)
    for ax, weights, name in zip(
        axes, (whole, ablated), ("whole ensemble, $u_0$", "without $x$, $u_{-x}$"), strict=True
    ):
        ax.bar(range(1, n + 1), weights, 0.72, color=STAYS)
        for i in np.flatnonzero(weights == 0):
            ax.text(i + 1, 0.04 * ablated.max(), "×", color=GOES, ha="center", va="bottom", fontsize=12)
        ax.set(ylabel="weight", title=name, yticks=sorted({0.0, float(whole[0]), float(ablated.max())}))
        ax.yaxis.set_major_formatter(lambda value, _: f"1/{1 / value:.3g}" if value else "0")
    axes[1].set(xlabel="member", xticks=range(1, n + 1))
    axes[1].tick_params(axis="x", length=0)
    return figure


def film(frames: np.ndarray, taken: Sequence[int], steps: int) -> Figure:
    """Film strips: frames (2, K, C, H, W), under u_0 and under u_-x, after `taken` of `steps` steps; below them their
    difference, every frame of it scaled to its own largest value, with its Euclidean length."""
    change = frames[1] - frames[0]
    largest = np.abs(change).max(axis=(1, 2, 3), keepdims=True)
    grid = np.concatenate([frames, (change / np.where(largest > 0, largest, 1))[None]])
    H, W = grid.shape[-2:]
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * 3 * (H + 2) / (len(taken) * (W + 2)) + 0.1))
    show(ax, grid, ["$u_0$", "$u_{-x}$", "difference"], [f"step {k} of {steps}" if k else "noise" for k in taken])
    for k, length in enumerate(np.linalg.norm(change.reshape(len(change), -1), axis=1)):
        ax.text(k * (W + 2) + W / 2, 3 * (H + 2), f"{length:.2f}", ha="center", va="top", fontsize=8)
    return figure


def tangent(where: np.ndarray, line: np.ndarray, share: np.ndarray, walk: np.ndarray) -> Figure:
    """The true images' places `where` and the predicted ones' on their `line`, (K, 2) each, at the shares (K,) of the
    way to the other mixture; below, both sets of images, `walk` (2, K, C, H, W), true ones first."""
    K, (H, W) = len(share), walk.shape[-2:]
    strip = WIDTH * 2 * (H + 2) / (K * (W + 2))
    figure, (ax, below) = plt.subplots(2, 1, figsize=(WIDTH, 3.2 + strip), height_ratios=[2.9, strip])
    ax.plot(*line.T, color=GOES, label="predicted: $y + sJ(u_{-x} - u_0)$", zorder=2)
    ax.plot(*line.T, "|", color=GOES, markersize=7, zorder=2)
    ax.plot(*where.T, color=STAYS, marker="o", markersize=5, label="true", zorder=3)
    for k in (0, K - 1):
        ax.annotate(f"s = {number(share[k], 3, 'g')}", where[k], xytext=(6, 6), textcoords="offset points", fontsize=8)
    ax.set(xlabel="along the prediction", ylabel="beside it", aspect="equal")
    ax.set_adjustable("datalim")
    ax.margins(0.12)
    ax.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.16))
    show(below, walk, ["true", "predicted"], [number(s, 3, "g") for s in share])
    return figure
