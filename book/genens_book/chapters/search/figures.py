"""The pictures of chapter 6: top lists, how concentrated they are, the second stage; and sentences about them."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import binom

from genens.attribution import Chance, Top
from genens.ensemble import Ensemble
from genens_book.chapters.search.analysis import Discounted, Likeness, Reranked, Saving
from genens_book.measures import stats
from genens_book.measures.gallery import Gallery
from genens_book.measures.not_run import NotRun
from genens_book.measures.stats import Interval
from genens_book.pages import markup, plotting
from genens_book.pages.markup import Page
from genens_book.pages.plotting import GOES, STAYS, WIDTH, Picture, show, tile
from genens_book.pages.words import number, p_value, power, share

TOUCHING = 0.12  # inches for the column heads
UNDEFINED = "not defined for lists so short"
LARGEST = 0.9  # inches: the side of an image, at most


def lists(
    y: np.ndarray,
    images: Gallery,
    top: Top,
    shared: Sequence[int] = (),
    twins: np.ndarray | None = None,
    p: np.ndarray | None = None,
    q: np.ndarray | None = None,
) -> Figure:
    """Figure 6a: a row a sample, the sample on the left, then its most influential images.

    y (B, C, H, W) in [-1, 1]. `shared`: images to frame, those in several lists; `twins` (N,):
    the image that ties with each, -1 for none (`codes.complements`): a bar joins two that stand side by side. p and q
    (B, k), of the images of each list: those of the first are written beside it.
    """
    rows, k = top.rows, top.rows.shape[1]
    grid = np.concatenate([np.asarray(y)[:, None], images[rows]], axis=1)
    H, W = grid.shape[-2:]
    whole = tile(grid, gap := max(3, H // 6))
    width = _width(k + 1)
    figure, ax = plt.subplots(figsize=(width, width * whole.shape[0] / whole.shape[1] + TOUCHING))
    show(ax, grid, columns=["sample", *map(str, range(1, k + 1))], gap=gap)
    line = max(0.6, 12 / (k + 1))
    for b, row in enumerate(rows):
        for j, image in enumerate(row):
            left, upper = (j + 1) * (W + gap) - 0.5, b * (H + gap) - 0.5
            if image in set(shared):
                ax.add_patch(Rectangle((left, upper), W, H, fill=False, edgecolor=GOES, linewidth=1.3 * line))
            if twins is not None and j + 1 < k and twins[image] == row[j + 1]:
                ax.plot(
                    [left + W / 3, left + W + gap + 2 * W / 3],
                    [upper + H + gap / 2] * 2,
                    color=STAYS,
                    linewidth=2 * line,
                    solid_capstyle="butt",
                )
    ax.axvline(W + gap / 2 - 0.5, color=plt.rcParams["text.color"], linewidth=0.8)
    if p is not None and q is not None:
        for b in range(len(rows)):
            said = f"p {p_value(p[b, 0])}\nq {p_value(q[b, 0])}"
            ax.text(whole.shape[1] + gap, b * (H + gap) + H / 2, said, va="center", fontsize=6, linespacing=1.4)
    ax.set(xlim=(-gap, whole.shape[1] + gap / 2), ylim=(whole.shape[0] + gap, -gap / 2))
    return figure


def discounted(
    left: Discounted | NotRun, y: np.ndarray, images: Gallery, twins: np.ndarray, alt: str
) -> Picture | Page:
    """`lists` after the paper's discounting, for light and dark pages; a line where it has no end. Arrays as there."""
    if isinstance(left, NotRun):
        return Page("<p>There are no such lists here.</p>", "no such lists")
    return plotting.themed(lambda: lists(y, images, left.top, (), twins), alt)


def _width(columns: int) -> float:
    """The width of a sheet with so many columns of images: that of the text, unless they would be too large."""
    return min(WIDTH, columns * LARGEST)


def concentration(top: Top, influence: np.ndarray) -> Figure:
    """Left: how many images are in one list, in two, ..., beside what lists drawn at random would give. Right: every
    sample's influences (B, N) from the largest down, over their median."""
    (B, k), N = top.rows.shape, influence.shape[1]
    found = np.bincount(np.unique(top.rows, return_counts=True)[1], minlength=B + 1)[1:]
    chance = N * binom.pmf(np.arange(1, B + 1), B, k / N)
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.7))
    x = np.arange(1, B + 1)
    left.bar(x, found, 0.75, color=GOES, label=f"found ({B} lists of {k})")
    left.plot(x, chance, "o", color=plt.rcParams["text.color"], markersize=3.5, label="lists drawn at random")
    most = max(found.max(), chance.max())
    left.set(xlabel="lists that an image is in", ylabel="images", yscale="symlog", ylim=(0, 3 * most))
    left.set_xticks(x if B <= 12 else x[:: B // 8])
    left.legend(loc="upper right")
    ordered = -np.sort(-influence, axis=1)
    middle = np.median(influence, axis=1, keepdims=True)
    right.axvspan(1, k, color=GOES, alpha=0.15, linewidth=0, label=f"the first {k}")
    for b, row in enumerate(ordered / middle):
        right.plot(np.arange(1, N + 1), row, color="C6", linewidth=0.7, label=f"a sample (n = {B})" if b == 0 else None)
    right.axhline(1, color=plt.rcParams["text.color"], linewidth=0.8, linestyle="--", label="its median image")
    right.set(
        xscale="log",
        xlim=(1, N),
        ylim=(0, 1.35 * (ordered / middle).max()),
        xlabel=f"place of the image (of {N:,})",
        ylabel="influence / median influence",
    )
    right.legend(loc="upper right")
    return figure


def second_stage(approximate: np.ndarray, true: np.ndarray, second: Reranked) -> Figure:
    """Left: approximate influence (B, 2k) against the true distance, of the listed images (the first half of the
    columns) and of random ones. Right: from which place in the list to which, counts over all lists."""
    k = approximate.shape[1] // 2
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1), width_ratios=(1.25, 1))
    for columns, colour, label in ((np.s_[k:], "C6", "drawn at random"), (np.s_[:k], GOES, "in a list")):
        x, z = approximate[:, columns].ravel(), true[:, columns].ravel()
        left.plot(
            x, z, "o", markersize=2.8, alpha=0.7, markeredgewidth=0, color=colour, label=f"{label} (n = {len(x)})"
        )
    least, most = 0.95 * min(approximate.min(), true.min()), 1.05 * max(approximate.max(), true.max())
    left.plot(
        [least, most], [least, most], color=plt.rcParams["text.color"], linewidth=0.8, linestyle="--", label="equal"
    )
    left.set(
        xlabel="approximate influence (pixel distance)",
        ylabel="true distance of the counterfactual",
        xlim=(least, most),
        ylim=(least, most),
    )
    left.legend(loc="upper left", handletextpad=0.3)
    before = second_places(second, true[:, :k])
    counts = np.zeros((k, k), int)
    np.add.at(counts, (before[0].ravel(), before[1].ravel()), 1)
    shade = plt.matplotlib.colors.LinearSegmentedColormap.from_list(
        "moves", [(*plt.matplotlib.colors.to_rgb(STAYS), 0.0), (*plt.matplotlib.colors.to_rgb(STAYS), 0.85)]
    )
    right.imshow(counts, cmap=shade, vmin=0, vmax=max(1, counts.max()))
    for (i, j), count in np.ndenumerate(counts):
        if count:
            right.text(j, i, str(count), ha="center", va="center", fontsize=7)
    ticks = range(0, k, max(1, k // 10))
    right.set_xticks(ticks, [t + 1 for t in ticks])
    right.set_yticks(ticks, [t + 1 for t in ticks])
    right.set(xlabel="place by true distance", ylabel=f"place by search ({len(true)} lists)")
    return figure


def second_places(second: Reranked, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of every entry before and after the second stage, from 0: both (B, k)."""
    k = second.top.rows.shape[1]
    order = np.argsort(-true, axis=1, kind="stable")
    after = np.empty_like(order)
    np.put_along_axis(after, order, np.arange(k)[None], 1)
    return np.broadcast_to(np.arange(k), after.shape), after


def without_first(y: np.ndarray, without: np.ndarray, true: np.ndarray) -> Figure:
    """Every sample, its counterfactual without the first image by search, and the one furthest from it.

    y (B, C, H, W); without (B, K, C, H, W), the counterfactuals of the lists' images in their order first; true (B, k),
    the distances of the first k of them.
    """
    furthest = without[np.arange(len(y)), true.argmax(axis=1)]
    grid = np.stack([y, without[:, 0], furthest])
    whole = tile(grid)
    width = _width(len(y) + 2)
    figure, ax = plt.subplots(figsize=(width, (width - 1.2) * whole.shape[0] / whole.shape[1] + 0.1))
    show(ax, grid, ["sample", "without the first\nby search", "without the first\nby true distance"])
    return figure


def saving_table(savings: Sequence[Saving]) -> Page:
    """What the Gram matrix saves, a line for each database: numbers kept a sample, and multiplications a search."""
    head = ["database", "images", "members", "numbers a sample", "fewer", "multiplications", "fewer"]
    lines = []
    for one in savings:
        (kept, work), (gram_kept, gram_work), (less, faster) = one.jacobian, one.gram, one.factors
        lines.append(
            [
                one.dataset,
                f"{one.N:,}",
                str(one.n),
                f"{kept:,} \u2192 {gram_kept:,}",
                f"{less:,.0f}×",
                f"{work / 1e6:,.1f} M \u2192 {gram_work / 1e6:,.1f} M",
                f"{faster:,.0f}×",
            ]
        )
    return markup.lines_table(head, lines, numeric=True)


# ---------------------------------------------------------------- sentences that depend on what came out


def database(images: Gallery) -> str:
    """What is searched: the 10,000 images of MNIST."""
    return f"the {len(images):,} images of {images.name}"


def shown_words(images: Gallery, rows: np.ndarray) -> str:
    """Where the training images of a figure come from, and how many of those that `rows` name are missing in it."""
    missing = images.missing(rows)
    return images.said + (f" Of those in this figure, {missing} are missing." if missing else "")


def about(members: Ensemble, own: bool) -> str:
    """What was searched with: a sentence or two that do not make the ensemble look better than it is."""
    manifest, size = members.manifest, sum(p.numel() for p in members.models[0].parameters()) / 1e6
    C, H, W = members.shape
    minutes = markup.duration(np.mean(np.array(manifest["member_cpu_seconds"], dtype=float)))
    said = (
        f"Its {members.n} members are U-Nets of {size:.2f} million parameters, each trained for {minutes} of one "
        f"processor core ({manifest['recipe']['steps']:,} steps) on its share of the {manifest['images']:,} images, "
        f"{W} × {H} pixels in {'colour' if C == 3 else 'grey'}."
    )
    if not own:
        return said
    return (
        f"{said} That is a toy: models that draw such images well have a hundred times the parameters, and train for "
        "days. Samples may be blurred or shapeless, images were cut to squares and shrunk, and what is measured here "
        "is what these members took from your images, not what a good model would."
    )


def likeness_words(alike: Likeness | NotRun, copied: Interval | NotRun) -> dict[str, str]:
    """Where the listed images stand by likeness, how many nearest ones are listed, and how many samples are copies."""
    if isinstance(alike, NotRun):
        return dict.fromkeys(("place", "nearest_listed", "copied"), "an unknown number")
    return {
        "place": number(np.median(alike.place), 0),
        "nearest_listed": str(alike.in_list.sum()),
        "copied": share(copied, 1),
    }


def chance_words(chance: Chance, q: np.ndarray, codes: np.ndarray) -> dict[str, str]:
    """How unlikely the scores of the lists are, and of how many codes that was counted; codes (N, n) of the images."""
    in_use = len(codes) / comb(codes.shape[1], int(codes[0].sum()))
    return {
        "chance_codes": f"{chance.codes:,}",
        "chance_kind": "codes that there are" if chance.exact else "codes that were drawn at random for this",
        "least_p": power(chance.p.min(), 1),
        "least_q": number(q.min()),
        "least_possible": number(in_use) if in_use >= 0.005 else power(in_use, 0),
        "discovered": str(int((q <= 0.05).sum())),
    }


def discount_words(left: Discounted | NotRun, top: Top) -> str:
    """What the paper's discounting did to the lists, or why it could not."""
    if isinstance(left, NotRun):
        return f"Here that has no end: {left.reason}."
    if not left.removed:
        return "Here no image is in two lists, and nothing is removed."
    gone, rounds = sum(map(len, left.removed)), len(left.removed)
    kept = (left.top.influence.mean(1) / top.influence.mean(1)).mean()
    return (
        f"Here that took {rounds} {'round' if rounds == 1 else 'rounds'} and removed {gone:,} "
        f"{'image' if gone == 1 else 'images'}; those that took their places have "
        f"{share(kept)} of the influence of the first lists, on average."
    )


def order_words(second: Reranked, seed: int) -> str:
    """How often the second stage changed the order."""
    B, k = second.top.rows.shape
    first = share(stats.proportion(round(second.same_first * B), B))
    sentence = (
        f"{share(second.moved)} of the {B * k:,} entries changed places, and the first of a list stayed first "
        f"in {first} of {B} lists (in a random order, {share(1 - 1 / k)} and {share(1 / k)})."
    )
    found = within_words(second, seed)
    if found == UNDEFINED:
        return f"{sentence} In lists as short as these a rank correlation is not defined."
    return (
        f"{sentence} Within a list the two orders have a mean rank correlation of {found}; 1 would be the same order, "
        "0 an unrelated one."
    )


def within_words(second: Reranked, seed: int) -> str:
    """The mean rank correlation of a list's two orders with its interval; of lists too short to have one, that."""
    defined = second.correlation[np.isfinite(second.correlation)]
    if not len(defined):
        return UNDEFINED
    found = stats.bootstrap(defined, seed=seed)
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def verdict_words(better: stats.Interval) -> str:
    """Whether listed images move their samples further than random ones do, as far as the interval says."""
    if better.low > 0.5:
        return (
            "so a list names sets of members whose absence moves a sample further than that of random ones. Whether "
            "the image, and not the rest of what those members saw, is the reason, this cannot tell."
        )
    if better.high < 0.5:
        return "so the approximation misleads: what it lists moves samples less than most."
    return "which does not tell the lists from chance."
