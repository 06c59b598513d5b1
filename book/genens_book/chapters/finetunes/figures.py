"""The pictures and tables of the chapter on fine-tunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from genens_book.chapters.finetunes.analysis import Plan, Planted
from genens_book.chapters.finetunes.truth import Truth
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import GOES, STAYS, WIDTH, show, tile
from genens_book.pages.words import number, p_value, power

Line = Mapping[str, object]  # of the contest
MEASURES = {  # of the contest's lines, and what they are called
    "LDS, this run": "LDS",
    "spearman, this run": "rank correlation",
    "hit@1, this run": "hit@1",
    "recall@10, this run": "recall@10",
    "cosine, this run": "cosine",
}
SHOWN = {  # estimators that have a line in figures, and its colour
    "ablation": "C6",
    "in minus out of samples": "C5",
    "ridge of samples": "C0",
    "ridge of weights": "C1",
    "sparse regression of samples": "C4",
}
DASHED = ("TRAK", "D-TRAK", "nearest pixels", "one list for all samples")  # those without members that have one


def pictures(images: np.ndarray, planted: Mapping[str, np.ndarray], columns: int = 32) -> Figure:
    """All private pictures (N, C, H, W) in [-1, 1], with frames around what was planted, a colour a kind."""
    rows = -(-len(images) // columns)
    grid = np.full((rows * columns, *images.shape[1:]), -1.0)
    grid[: len(images)] = images
    whole, (H, W), gap = tile(grid := grid.reshape(rows, columns, *images.shape[1:])), images.shape[-2:], 2
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * whole.shape[0] / whole.shape[1] + 0.3))
    show(ax, grid)
    for k, (kind, members) in enumerate(planted.items()):
        for number_, row in enumerate(members.ravel()):
            r, c = divmod(int(row), columns)
            place = (c * (W + gap) - 1, r * (H + gap) - 1), W + 1, H + 1
            label = f"{kind} ({len(members)})" if number_ == 0 else None
            ax.add_patch(Rectangle(*place, fill=False, edgecolor=f"C{k + 1}", linewidth=1.4, label=label))
    if planted:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=len(planted))
    return figure


def drawn(base: np.ndarray, whole: np.ndarray, members: np.ndarray) -> Figure:
    """From the same noises, a column each: what the base draws (B, C, H, W), the mean of all members, and each of a few
    members (K, B, C, H, W)."""
    grid = np.concatenate([np.stack([base, whole]), members])
    picture = tile(grid)
    figure, ax = plt.subplots(figsize=(WIDTH, (WIDTH - 0.8) * picture.shape[0] / picture.shape[1]))
    show(ax, grid, ["base", "all", *(f"member {i + 1}" for i in range(len(members)))])
    return figure


def seeds(true: Truth, found: np.ndarray) -> Figure:
    """How far each sample moves without each image: under one seed of training against another, and against the
    ridge regression (N, B)."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    sides = {"retraining, another seed": true.lengths[1], "regression of the weights": found}
    for ax, (name, lengths) in zip(axes, sides.items(), strict=True):
        ax.plot(lengths.ravel(), true.lengths[0].ravel(), ".", markersize=2.2, alpha=0.35, markeredgewidth=0)
        low, high = np.quantile(np.concatenate([lengths.ravel(), true.lengths[0].ravel()]), [0.0, 1.0])
        ax.plot([low, high], [low, high], color=plt.rcParams["text.color"], linewidth=0.8, linestyle="--")
        ax.set(xscale="log", yscale="log", xlabel=f"distance, {name}")
    axes[0].set_ylabel("distance, retraining, this run")
    return figure


def recall(lines: Sequence[Line], law: Mapping[str, Mapping[str, Sequence[float]]], counts: Sequence[int]) -> Figure:
    """Recall of ten against the number of members, an estimator a colour; lines: the law by how it takes training's
    noise, of the matched filter and of ridge regression."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharey=True)
    sides = (
        ("matched filter", ("in minus out of samples", "ablation")),
        ("ridge regression", ("ridge of samples", "ridge of weights")),
    )
    for ax, (decoder, names) in zip(axes, sides, strict=True):
        for style, (kind, by_decoder) in zip((":", "-"), law.items(), strict=False):
            ink = plt.rcParams["text.color"]
            ax.plot(counts, by_decoder[decoder], style, color=ink, linewidth=1.1, label=f"law, {kind}")
        for name in names:
            _dots(ax, lines, name, "recall@10, this run")
        ax.set(xscale="log", xlabel="members", title=decoder, ylim=(-0.03, 1.03))
        _counts(ax, counts)
        ax.yaxis.set_major_formatter("{x:.0%}")
        ax.legend(loc="upper left")
    axes[0].set_ylabel("of ten images, found")
    return figure


def contest(lines: Sequence[Line], flat: Sequence[Line]) -> Figure:
    """Every measure against the number of members, a panel each; dashed: those that take no members."""
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 5.0))
    counts = sorted({int(line["n"]) for line in lines})
    for ax, (key, title) in zip(axes.flat, MEASURES.items(), strict=False):
        for name in SHOWN if key != "LDS, this run" else ("in minus out of losses", "ridge of losses"):
            _dots(ax, lines, name, key)
        for k, line in enumerate(one for one in flat if key in one and one["estimator"] in DASHED):
            ax.axhline(line[key][0], color=f"C{k + 2}", linewidth=1, linestyle="--", label=line["estimator"])
        ax.set(xscale="log", title=title, xlabel="members")
        _counts(ax, counts)
    sides = [ax.get_legend_handles_labels() for ax in axes.flat[:2]]
    handles = {name: handle for side in sides for handle, name in zip(*side, strict=True)}  # an entry for each name
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(handles.values(), handles.keys(), loc="center")
    return figure


def _dots(ax: plt.Axes, lines: Sequence[Line], name: str, key: str) -> None:
    mine = [line for line in lines if line["estimator"] == name and key in line]
    if not mine:
        return
    x, values = [line["n"] for line in mine], np.array([line[key] for line in mine])  # (K, 3): value, low, high
    error = np.abs(values[:, 1:] - values[:, :1]).T
    colour = SHOWN.get(name, "C0" if name.startswith("ridge") else "C5")
    ax.errorbar(x, values[:, 0], error, fmt="o-", markersize=3.2, linewidth=1, color=colour, label=name)


def _counts(ax: plt.Axes, counts: Sequence[int]) -> None:
    ax.set_xticks(counts, [f"{n:,}" for n in counts], rotation=45)
    ax.set_xticks([], minor=True)


def found(
    y: np.ndarray, images: np.ndarray, rows: np.ndarray, p: np.ndarray, best: np.ndarray | None, without: np.ndarray
) -> Figure:
    """A row a sample (B, C, H, W): the sample, the same without the first image of its list (B, W, C, H, W) in each way
    it was made, and its list, rows (B, k) of images (N, C, H, W), under each its p (B, k); framed: what is among
    retraining's ten, bool (B, k)."""
    grid = np.concatenate([y[:, None], without, images[rows]], axis=1)
    B, before, gap = len(y), 1 + without.shape[1], 8
    H, W = y.shape[-2:]
    whole = tile(grid, gap)
    figure, ax = plt.subplots(figsize=(WIDTH, WIDTH * whole.shape[0] / whole.shape[1] + 0.4))
    heads = ["sample", *["without,\ndecoded", "without,\nretrained"][: without.shape[1]]]
    show(ax, grid, columns=[*heads, *(str(j + 1) for j in range(rows.shape[1]))], gap=gap)
    for b in range(B):
        for j in range(rows.shape[1]):
            left, upper = (before + j) * (W + gap), b * (H + gap)
            ax.text(left + W / 2, upper + H + 0.5, p_value(p[b, j]), ha="center", va="top", fontsize=5)
            if best is not None and best[b, j]:
                ax.add_patch(Rectangle((left - 1, upper - 1), W + 1, H + 1, fill=False, edgecolor=GOES, linewidth=1.2))
    ax.axvline(before * (W + gap) - gap / 2, color=plt.rcParams["text.color"], linewidth=0.8)
    ax.set_ylim(whole.shape[0] + gap, -gap / 2)
    return figure


def memberships(found_: Mapping[str, np.ndarray]) -> Figure:
    """By how much fine-tuning lowers the loss of images that are in it, that were taken out, and that never were in.
    The largest hundredth is in the last bar."""
    names = {"kept": "in all", "removed": "taken out", "never": "never in"}
    figure, ax = plt.subplots(figsize=(0.7 * WIDTH, 2.4))
    every = np.concatenate([found_[name] for name in names])
    low, high = np.quantile(every, [0, 0.99])  # a picture like no other would leave the rest a line
    edges = np.linspace(low, high, 30)
    for (name, label), colour in zip(names.items(), (STAYS, GOES, "C6"), strict=True):
        values = found_[name].clip(low, high)
        ax.hist(values, edges, density=True, histtype="step", linewidth=1.4, color=colour, label=label)
    ax.set(xlabel="denoising loss before, less after", ylabel="density", yticks=[])
    ax.legend()
    return figure


def table(lines: Sequence[Line]) -> Page:
    """What each estimator reaches: a line each, with half its interval's width over samples, and its forward passes."""
    head = ["estimator", "members", *MEASURES.values(), "passes"]
    rows = [
        [
            str(line["estimator"]),
            f"{line['n']:,}" if line["n"] else "–",
            *(_with_interval(line.get(key)) for key in MEASURES),
            power(line["passes"], 1) if line["passes"] else "–",
        ]
        for line in lines
    ]
    return markup.lines_table(head, rows, numeric=True, words=True)


def _with_interval(values: Sequence[float] | None) -> str:
    return "–" if values is None else f"{number(values[0])} ±\xa0{number((values[2] - values[1]) / 2)}"


def drifts(lines: Sequence[Mapping[str, float]]) -> Page:
    """How far apart averaging weights and averaging predictions draw, by the length of the fine-tunes."""
    head = ["steps", "members", "weights from predictions", "a member from these", "the base from these", "share"]
    rows = [
        [
            str(line["steps"]),
            str(line["n"]),
            *(number(line[name], 2, "g") for name in ("apart", "members", "base")),
            number(line["apart"] / line["members"], 3),
        ]
        for line in lines
    ]
    return markup.lines_table(head, rows, numeric=True)


def plans(found_: Sequence[Plan]) -> Page:
    """What it takes to see single images of so many."""
    head = ["pictures", "members", "core-hours", "bytes", "group seen by the members here"]
    rows = [
        [
            f"{plan.N:,}",
            f"{plan.members:,.0f}",
            f"{plan.hours:,.0f}" if plan.hours >= 10 else f"{plan.hours:.1f}",
            f"{plan.bytes / 1e6:,.0f} MB",
            f"{plan.group:,}",
        ]
        for plan in found_
    ]
    return markup.lines_table(head, rows, numeric=True)


def planted(found_: Sequence[Planted]) -> Page:
    """What was planted beside what was not."""
    head = ["pictures", "how many", "moves, retrained", "moves, found", "pair's cosine, retrained", "… found"]
    rows = [
        [
            KINDS[one.kind],
            str(one.count),
            *(number(value) for value in (one.true, one.found)),
            *("–" if value != value else number(value) for value in (one.true_cosine, one.found_cosine)),
        ]
        for one in found_
    ]
    return markup.lines_table(head, rows, numeric=True, words=True)


KINDS = {
    "copy": "pairs of a sign and its copy",
    "near": "pairs of a sign and its near copy",
    "outlier": "the chessboard",
    "not planted": "pairs of other signs",
}


def certificate(said: Mapping[str, object]) -> Page:
    """A certificate, with its lists cut short."""
    stays, trained = said["members"], said["trained_on"]
    lines = [
        ["removed", ", ".join(f"picture {row}, sha256 {sha[:12]}…" for row, sha in said["removed"].items())],
        ["members that stay", f"{len(stays):,}: {', '.join(map(str, stays[:8]))}, …"],
        ["trained on", f"{trained[0]['images']:,} pictures, digest {trained[0]['digest'][:12]}…; and so on for each"],
        ["removed picture in any", "yes" if said["removed_image_in_any"] else "no"],
        ["copy of it in any", "yes" if said["copy_of_it_in_any"] else "no"],
        ["of the ensemble", f"{said['ensemble'][:12]}…"],
        ["of the base", f"{said['base'][:12]}…"],
        ["outside of it", str(said["outside"])],
    ]
    return markup.lines_table(["", "the certificate says"], lines, numeric=False)


def designs(lines: Sequence[Line]) -> Page:
    """How ridge regression of the weights does under other designs, at a number of members that all of them have."""
    names = {
        "signs_half": "in half of the members",
        "signs_quarter": "in all but a quarter",
        "signs": "in all but a sixteenth",
        "signs_own": "in all but a sixteenth, own noise",
    }
    mine = [line for line in lines if line["estimator"] == "ridge of weights"]
    n = min(max(line["n"] for line in mine if line["members"] == name) for name in names)
    keys = [*[*MEASURES][1:], "spearman, another run", "recall@10, another run"]
    head = [
        "each picture is",
        "members",
        *(MEASURES.get(key, key.replace("spearman", "rank correlation")) for key in keys),
    ]
    rows = [
        [names[line["members"]], str(n), *(_with_interval(line.get(key)) for key in keys)]
        for name in names
        for line in mine
        if line["members"] == name and line["n"] == n
    ]
    return markup.lines_table(head, rows, numeric=True, words=True)
