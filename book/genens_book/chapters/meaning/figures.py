"""The pictures and tables of chapter 7: the law, placebos, nulls, decoders, and samples that moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from genens.theory import identification
from genens_book.chapters.meaning import law, planted, testbed
from genens_book.chapters.meaning.distribution import Change, discoveries
from genens_book.chapters.meaning.placebos import Comparison, Dose, Standing
from genens_book.measures.nulls import SIDES, Against
from genens_book.measures.stats import Interval
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.plotting import FAINT, GOES, STAYS, WIDTH, show, tile
from genens_book.pages.words import number, power, share, signed, times

CITED_TESTS = {  # by the chapter, which shows them
    "core/test_identification.py": ["test_the_mean_square_error_is_that_over_all_codebooks"],
    "core/test_attribution.py": ["test_of_a_whole_codebook_ridge_is_the_matched_filter_in_other_units"],
}
ALONE = 8.0  # the effective dimension of the noise around a single image
EDGES = np.geomspace(1e-3, 1e4, 29)  # of bins of n r


def found(trials: Mapping[str, np.ndarray], sizes: Sequence[int]) -> Figure:
    """Left: how often the image looked for comes first, right: how many of ten are found, both against n r, by size of
    the set; lines: what the law expects of the same cells; dashed: of one image among others without effect, as many
    as in the middle one of the sets, with an effective dimension of ALONE."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.0), sharey=True)
    sides = (("hit", "nr", "n r of the image looked for"), ("recall", "nr_k", "n r, the mean of the ten"))
    for ax, (name, axis, label) in zip(axes, sides, strict=True):
        for s, N in enumerate(sizes):
            values = [trials[key][:, s] for key in (axis, name, f"{name}_law")]
            x, seen, expected, error, _ = law.binned(values[0], values[1:], EDGES)
            ax.plot(x, expected, color=f"C{s}", alpha=0.7, linewidth=1.2)
            ax.errorbar(x, seen, error, fmt="o", markersize=3.2, linewidth=0.8, color=f"C{s}", label=f"N = {N:,}")
        ax.set(xscale="log", xlabel=label, ylim=(-0.04, 1.04))
        ax.yaxis.set_major_formatter("{x:.0%}")
    x = np.geomspace(*axes[0].get_xlim(), 80)
    middle = sizes[len(sizes) // 2]
    alone = [identification.hit(1, nr, middle, ALONE) for nr in x]
    ink = plt.rcParams["text.color"]
    axes[0].plot(x, alone, color=ink, linewidth=0.8, linestyle="--", label="no rivals")
    axes[0].set_ylabel("the right image comes first")
    axes[1].set_ylabel("of ten, listed")
    axes[0].legend(loc="upper left")
    return figure


def decoders(recall: np.ndarray, members: Sequence[int], N: int) -> Figure:
    """How many of ten are found by each decoder (panels), by codebook, against n / N; recall (probes, times, members,
    CODEBOOKS, DECODERS), lines the mean, bars the standard error over probes."""
    figure, axes = plt.subplots(1, len(testbed.DECODERS), figsize=(WIDTH, 2.6), sharey=True)
    x = np.array(members) / N
    for d, (ax, name) in enumerate(zip(axes, testbed.DECODERS, strict=True)):
        for b, book in enumerate(testbed.CODEBOOKS):
            each = recall[..., b, d].mean(1)  # (probes, members)
            mean, error = each.mean(0), each.std(0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0 * each[0]
            shift = 1 + 0.04 * (b - 1)
            ax.errorbar(x * shift, mean, error, color=f"C{b}", marker="o", markersize=3, linewidth=1, label=book)
        ax.axvline(1, color=plt.rcParams["text.color"], linewidth=0.8, linestyle="--")
        ax.set(xscale="log", xlabel="members / images", title=name, ylim=(0, 1.04))
        ax.yaxis.set_major_formatter("{x:.0%}")
    axes[0].set_ylabel(f"of ten of {N}, listed")
    axes[0].legend(title="codes", loc="upper left", alignment="left")
    return figure


def published(noise: float) -> Figure:
    """The LDS of a published method against the number of models, and the law's: without training noise, and with."""
    figure, ax = plt.subplots(figsize=(0.62 * WIDTH, 2.7))
    x = np.geomspace(32, 1024, 40)
    for value, style, label in (
        (0.0, ":", "law, no training noise"),
        (noise, "-", f"law, {number(noise, 1)} parts of training noise to one of images"),
    ):
        lds = [identification.lds(n, law.PUBLISHED_N, value) for n in x]
        ax.plot(x, lds, style, color=STAYS, linewidth=1.3, label=label)
    ax.plot([*law.PUBLISHED], [*law.PUBLISHED.values()], "o", color=GOES, label="published")
    ax.set(xscale="log", yscale="log", xlabel="models", ylabel="LDS")
    ticks = [32, 64, 128, 256, 512, 1024]
    ax.set_xticks(ticks, list(map(str, ticks)))
    ax.set_xticks([], minor=True)
    shares = [0.03, 0.05, 0.1, 0.2, 0.4]
    ax.set_yticks(shares, [f"{s:.0%}" for s in shares])
    ax.set_yticks([], minor=True)
    ax.legend(loc="upper left")
    return figure


def plan_table(plans: Sequence[law.Plan]) -> Page:
    """What the law says of databases of images that are all alike."""
    head = ["database", "images", "members", "n r of one", "members to find one", "smallest group", "… of near copies"]
    lines = []
    for plan in plans:
        members = "none is enough" if not np.isfinite(plan.members) else power(plan.members, 0)
        groups = [_group(size, plan.N) for size in (plan.group, plan.copies)]
        lines.append([plan.database, f"{plan.N:,}", str(plan.n), power(plan.signal, 1), members, *groups])
    return markup.lines_table(head, lines, numeric=True)


def _group(size: float, N: int) -> str:
    if size >= N:
        return "none"
    return f"{size:,.0f} ({share(size / N, 1) if size / N >= 0.0005 else '< 0.1 %'})"


def per_image(plan: law.Plan) -> str:
    """How many times as many members as images find one image."""
    return f"{plan.members / plan.N:,.0f} times as many" if np.isfinite(plan.members) else "no number of"


# ---------------------------------------------------------------- planted groups


def groups(
    started: Mapping[str, np.ndarray], known: planted.Groups, picked: np.ndarray, training: np.ndarray
) -> Figure:
    """A column a group: a picture that was planted, `training` (G, C, H, W), and of the sample picked for it, (G,), the
    start, the sample, and the same without the group's members, and without as many others."""
    kinds = ("start", "y", "without", "placebo")
    grid = np.stack([training, *(np.asarray(started[name])[picked] for name in kinds)])
    whole = tile(grid)
    wide = min(WIDTH - 1.7, 0.9 * len(training))
    figure, ax = plt.subplots(figsize=(WIDTH, wide * whole.shape[0] / whole.shape[1] + 0.3))
    columns = [f"{name}\n{size:,}" for name, size in zip(known.names, known.sizes, strict=True)]
    show(ax, grid, ["planted", "start", "sample", "without\nits members", "without\nothers"], columns)
    return figure


def groups_table(found: Sequence[planted.Found], laws: Sequence[Mapping[str, float]], n: int) -> Page:
    """How the search for each group ends, and what the law says of it, its images at right angles and aligned."""
    decoders = [name.partition(" ")[0] for name in testbed.DECODERS]
    head = ["group", "images", "shown", "lost", "placebo", *decoders, "n r", "law", "aligned"]
    lines = []
    for one in found:
        said = [share(law[one.name]) for law in laws]
        if len(one):
            counts = [one.lost.sum(), one.placebo.sum(), *(one.first(name) for name in testbed.DECODERS)]
            measured = [*(str(int(count)) for count in counts), number(n * float(np.median(one.r)), 1)]
        else:
            measured = ["–"] * (len(head) - 5)
        lines.append([one.name, f"{one.size:,}", str(len(one)), *measured, *said])
    return markup.lines_table(head, lines, numeric=True)


def groups_words(
    found: Sequence[planted.Found], laws: Sequence[Mapping[str, float]], known: planted.Groups, noise: float
) -> dict[str, object]:
    """From which size on each decoder has groups first half of the time, and from which the law says so; in how many
    samples a group is lost; and of the smallest group that is found, n r as it is and by the law."""
    decoders = zip(("found_from", "found_from_ridge", "found_from_lasso"), testbed.DECODERS, strict=True)
    sizes = [one.size for one in found]
    said = [planted.from_size(sizes, [law[one.name] for one in found]) for law in laws]
    return {
        **{name: from_words(planted.found_from(found, decoder)) for name, decoder in decoders},
        "least": _least_words(found, known, noise),
        "said_from": from_words(said[0]),
        "said_from_aligned": from_words(said[1]),
        "shown": sum(map(len, found)),
        "lost": int(sum(one.lost.sum() for one in found)),
        "lost_placebo": int(sum(one.placebo.sum() for one in found)),
    }


def _least_words(found: Sequence[planted.Found], known: planted.Groups, noise: float) -> str:
    size = planted.found_from(found, next(iter(testbed.DECODERS)))
    if size is None:
        return "No group is."
    one, (N, n) = next(one for one in found if one.size == size), (known.images, known.codes.shape[1])
    alike = n * size**2 / (N - size + noise * N)
    return (
        f"Of the smallest that is, the {one.name}, n r is {number(n * float(np.median(one.r)), 0)} in these samples, "
        f"where aligned images that are no more than alike would have {number(alike, 0)}."
    )


def from_words(size: int | None) -> str:
    """From which size on groups are found, by `planted.from_size`."""
    return "at no size" if size is None else f"from {size:,} images on" if size > 1 else "at every size"


# ---------------------------------------------------------------- placebos


def doses(found: Sequence[Dose], whole: float) -> Figure:
    """Left: how often the class of a sample changes, right: how far it moves, by the weight that the ablation leaves on
    the members that saw its class; real ablations and placebos. Dashed: the weight in the whole ensemble."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.8))
    for real, colour, label, marker in ((True, GOES, "codes of classes", "o"), (False, STAYS, "placebos", "s")):
        these = [dose for dose in found if dose.real == real]
        for ax, name in zip(axes, ("changed", "distance"), strict=True):
            values = [getattr(dose, name) for dose in these]
            middle = np.array([value.value for value in values])
            error = np.abs([[v.value - v.low, v.high - v.value] for v in values]).T
            x = np.array([dose.left for dose in these]) + (0.012 if real else -0.012)
            ax.errorbar(x, middle, error, fmt=marker, markersize=4.5, linewidth=1, color=colour, label=label)
    for ax in axes:
        ax.axvline(whole, color=plt.rcParams["text.color"], linewidth=0.8, linestyle="--")
        ax.set(xlabel="weight left on the sample's class", xlim=(-0.08, 0.83))
        ax.set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter("{x:.0%}")
    axes[0].set_ylabel("the class changes")
    axes[1].set_ylabel("distance from the original")
    axes[0].legend(loc="upper right")
    return figure


def standing_table(found: Standing, classes: Sequence[int], triples: int) -> Page:
    """Where the ablation of each class stands among all triples, for samples of the class."""
    head = ["class", "samples", f"place among {triples}", "p", "q"]
    lines = [
        [str(c), str(n), str(place), number(p, 3), number(q, 3)]
        for c, n, place, p, q in zip(classes, found.n, found.place, found.p, found.q, strict=True)
    ]
    return markup.lines_table(head, lines, numeric=True)


def above(found: Interval) -> str:
    """How far a share lies above or below another, in points."""
    return f"{number(abs(100 * found.value), 1)} points {'above' if found.value >= 0 else 'below'}"


def points(found: Interval) -> str:
    """A difference of shares with its interval, in points."""
    return f"{signed(100 * found.value, 0)} ({signed(100 * found.low, 0)} to {signed(100 * found.high, 0)})"


def again_words(values: Sequence[float]) -> str:
    """How often another class changes samples of the same ensemble trained again."""
    if not len(values):
        return "It was not trained again."
    again = ", ".join(share(value) for value in sorted(values))
    return f"Trained {times(len(values))} more, with other codes and seeds, another class changes {again}."


def other_words(excess: Interval) -> str:
    """Whether the code of another class changes more samples than placebos that leave a sample's class as much."""
    said = "fewer" if excess.high < 0 else "more" if excess.low > 0 else "neither more nor fewer, as far as is seen"
    return f"the code changes {said}: the difference is {points(excess)} points."


def images(values: np.ndarray, taken: np.ndarray) -> Figure:
    """Influences (M,), one a code, each the mean over samples in units of a sample's mean: of codes that images have,
    and of codes that none has."""
    figure, ax = plt.subplots(figsize=(0.62 * WIDTH, 2.5))
    edges = np.linspace(values.min(), values.max(), 40)
    for chosen, colour, label in ((taken, GOES, "codes of images"), (~taken, STAYS, "codes of none")):
        ax.hist(values[chosen], edges, density=True, histtype="stepfilled", alpha=0.3, color=colour)
        ax.hist(values[chosen], edges, density=True, histtype="step", color=colour, label=f"{label} ({chosen.sum():,})")
    ax.set(xlabel="influence of ablating the code", ylabel="density", yticks=[])
    ax.legend(loc="upper right")
    return figure


def comparison_words(one: Comparison) -> str:
    """A difference with its interval, p of none, within what it was shown to lie, and what would have been seen."""
    difference = one.difference
    interval = f"{signed(100 * difference.low, 1)} to {signed(100 * difference.high, 1)}"
    return (
        f"{signed(100 * difference.value, 1)} % ({interval}; p of no difference {number(one.p, 2)}; shown to be below "
        f"{share(one.bound, 1)} either way; one of {share(one.seen, 1)} would have been seen with power 80 %)"
    )


NAMES = {
    "class": "share of the list that has the sample's class",
    "pixels": "distance between pixels",
    "features": "distance between features",
    "distinct": "different images in all lists",
    "several": "images in several lists",
    "attributes": "share of attributes that agree with the sample's",
    "single": "of the attribute that agrees most, above random lists (standard errors)",
    "person": "distance between people",
}


SHARES = ("class", "attributes")


def null_table(found: Mapping[str, Against]) -> Page:
    """Each statistic of the lists beside its nulls."""
    head = ["of the lists", "found", "codes dealt anew", "middle 95 %", "side", "p", "would be seen", "lists at random"]
    lines = []
    for name, one in found.items():
        form = (lambda x: share(x, 1)) if name in SHARES else (lambda x: number(x, 4, "g"))
        lines.append(
            [
                NAMES[name],
                form(one.found),
                form(one.mean),
                f"{form(one.low)} to {form(one.high)}",
                {1: "more", -1: "less"}.get(SIDES.get(name, 0), "both"),
                number(one.p, 3),
                f"{100 * one.seen:.1f} points" if name in SHARES else number(one.seen, 2, "g"),
                form(one.random),
            ]
        )
    return markup.lines_table(head, lines, numeric=True)


# ---------------------------------------------------------------- distributions


def moved(changes: Sequence[Change]) -> Figure:
    """Left: how far an ablation moves samples of the same noise against how far what it draws lies from what the whole
    ensemble draws, as FID less its null; right: how well a classifier tells the two apart."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.0))
    kinds = list(dict.fromkeys(change.kind for change in changes))
    low, high = min(c.fid.low for c in changes), max(c.fid.high for c in changes)
    axes[0].axhspan(low, high, color="C6", alpha=FAINT, linewidth=0, label="null, middle 95 %")
    for k, kind in enumerate(kinds):
        these = [change for change in changes if change.kind == kind]
        x = [change.moved for change in these]
        style = dict(markersize=4, linewidth=0.7, color=f"C{(1, 0, 4, 2)[k % 4]}")
        shape = "o" if k % 2 == 0 else "s"
        axes[0].plot(x, [change.fid.value for change in these], shape, label=f"{kind} ({len(these)})", **style)
        told = [change.told.accuracy for change in these]
        middle = np.array([t.value for t in told])
        error = [middle - [t.low for t in told], np.array([t.high for t in told]) - middle]
        axes[1].errorbar(x, middle, error, fmt=shape, **style)
    ink = plt.rcParams["text.color"]
    axes[0].axhline(0, color=ink, linewidth=0.8, linestyle="--")
    axes[1].axhline(0.5, color=ink, linewidth=0.8, linestyle="--")
    axes[0].set(xlabel="distance moved / unrelated samples", ylabel="FID less its null")
    axes[1].set(xlabel="distance moved / unrelated samples", ylabel="told from the whole ensemble's")
    axes[1].set_ylim(top=max(0.8, axes[1].get_ylim()[1]))
    axes[1].yaxis.set_major_formatter("{x:.0%}")
    axes[0].legend(loc="upper left")
    return figure


def change_table(changes: Sequence[Change]) -> Page:
    """The same by kind of ablation."""
    head = ["ablated", "of them", "moved", "FID less its null", "significant", "told apart", "significant"]
    lines = []
    for kind in dict.fromkeys(change.kind for change in changes):
        these = [change for change in changes if change.kind == kind]
        moved, above, right = (
            np.mean([get(change) for change in these])
            for get in (lambda c: c.moved, lambda c: c.fid.value, lambda c: c.told.accuracy.value)
        )
        by_fid, by_told = (discoveries([getattr(c, test).p for c in these]) for test in ("fid", "told"))
        fid_seen, told_seen = (max(getattr(c, test).seen for c in these) for test in ("fid", "told"))
        fid_words, told_words = f"{number(above, 1)} ({number(fid_seen, 1)})", f"{share(right)} ({share(told_seen)})"
        lines.append([kind, str(len(these)), share(moved), fid_words, str(by_fid), told_words, str(by_told)])
    return markup.lines_table(head, lines, numeric=True)
