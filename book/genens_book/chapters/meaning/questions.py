"""The answers of chapter 7 by fixed rules.

"yes" takes a p-value of at most LEVEL in the direction asked, "the opposite" one in the other; "no" takes a test of
equivalence, or an interval inside the margin. "cannot be seen" is what no outcome could have shown, and all else is
"not seen", with the smallest effect that would have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genens_book.chapters.meaning import planted, testbed
from genens_book.chapters.meaning.distribution import Change, discoveries, together
from genens_book.chapters.meaning.figures import from_words
from genens_book.chapters.meaning.placebos import Comparison, Contrast, Standing
from genens_book.measures.nulls import Against
from genens_book.measures.stats import Interval
from genens_book.pages.words import number, share, signed

LEVEL = 0.05
POINTS = 0.05  # a difference of shares that would matter


def asked(
    trials: Mapping[str, np.ndarray],
    classes: Standing,
    other: Interval,
    contrast: Contrast,
    by_jacobian: Comparison,
    by_drawing: Comparison,
    lists: Mapping[str, Against],
    q: np.ndarray,
    floor: float,
    changes: Sequence[Change],
    by_placebos: Sequence[Change],
) -> list[dict[str, str]]:
    """Every question with its answer, what was measured, and the test; see the chapter for what is given. floor: the
    least that q can be; changes: of ablations of images, and by_placebos of halves that are nobody's code."""
    return [
        _law("how often the image that matters most comes first", trials, "hit"),
        _law("how many of the ten that matter most are found", trials, "recall"),
        _classes(classes),
        _other(other),
        _contrast(contrast),
        _images("by the Jacobian, over all codes", by_jacobian),
        _images("by regenerating them", by_drawing),
        _own_class(lists["class"]),
        _discoveries(q, floor),
        _distribution(changes, by_placebos),
    ]


def trained(
    training: planted.Training, found: Sequence[planted.Found], laws: Sequence[Mapping[str, float]]
) -> list[dict[str, str]]:
    """The same of trained members: what another training of them changes; searches for planted groups, and what the law
    says of them, their images at right angles and aligned."""
    sizes, decoder = [one.size for one in found], next(iter(testbed.DECODERS))
    seen = planted.found_from(found, decoder)
    apart, aligned = (planted.from_size(sizes, [law[one.name] for one in found]) for law in laws)
    never = float("inf")
    inside = (aligned or never) <= (seen or never) <= (apart or never)
    below, above = max(*training.each, training.share.high) < 0.5, min(*training.each, training.share.low) > 0.5
    return [
        {
            "question": "Do members differ more by what they saw than by their training?",
            "answer": "yes" if below else "the opposite" if above else "not seen",
            "measured": f"{share(training.share)} of their variance is training's; of each twin "
            f"{' and '.join(map(share, training.each))}",
            "test": f"{len(training.each)} members trained twice; the interval is over {training.share.n} samples, not "
            "over trainings",
        },
        {
            "question": "Does search find a planted group, for samples that show it?",
            "answer": "yes" if seen else "not seen",
            "measured": f"first at least half of the time {from_words(seen)}",
            "test": f"{sum(map(len, found))} samples that show one of {len(found)} groups of {min(sizes):,} to "
            f"{max(sizes):,} images; one group a size, one ensemble",
        },
        {
            "question": "Does the law say beforehand how large a group must be?",
            "answer": "yes" if inside else "no",
            "measured": f"said {from_words(aligned)}, if a group's images pull one way, and {from_words(apart)}, if at "
            f"right angles; found {from_words(seen)}",
            "test": "the law with the codes in use, first at least half of the time; yes if found between the two",
        },
    ]


def _law(what: str, trials: Mapping[str, np.ndarray], name: str) -> dict[str, str]:
    found, apart = testbed.gaps(trials, name)
    inside = max(abs(found.low), abs(found.high)) < POINTS
    return {
        "question": f"Does the identification law say {what}?",
        "answer": "yes" if inside else "no" if found.low > 0 or found.high < 0 else "not seen",
        "measured": f"on average {_points(found)} points above the law's; from cell to cell {100 * apart:.1f} off, "
        f"partly by the luck of {found.n} digits",
        "test": f"closed-form members, where the law says 5 to 95 %; Student's t over {found.n} digits; yes if within "
        f"±{100 * POINTS:.0f} points, no if to one side",
    }


def _classes(found: Standing) -> dict[str, str]:
    return {
        "question": "Does ablating a sample's class move it further than ablating a placebo?",
        "answer": "yes" if found.together <= LEVEL else "not seen",
        "measured": f"{int((found.place == 1).sum())} of {len(found.place)} classes move their samples furthest",
        "test": f"exact over {found.orders:,} orders of the members, one-sided: p {_p(found.together)}; "
        f"{int((found.q <= LEVEL + 1e-9).sum())} classes at a false discovery rate of 5 %",
    }


def _other(found: Interval) -> dict[str, str]:
    answer = "yes" if found.low > 0 else "the opposite" if found.high < 0 else "not seen"
    return {
        "question": "Does ablating another class change more samples than a placebo that leaves their class as much?",
        "answer": "no" if answer == "not seen" and max(-found.low, found.high) < POINTS else answer,
        "measured": f"difference {_points(found)} points",
        "test": f"bootstrap over {found.n} samples of this one ensemble, 95 %; no if within ±{100 * POINTS:.0f} points",
    }


def _contrast(found: Contrast) -> dict[str, str]:
    return {
        "question": "Does ablating a class change the distribution of what is drawn more than a placebo does?",
        "answer": "yes" if found.p_more <= LEVEL else "not seen",
        "measured": f"FID above its null by {number(found.classes, 1)}; placebos by {number(found.placebos, 1)}",
        "test": f"exact over the orders of the members, which make {found.designs} different designs, one-sided: p "
        f"{_p(found.p_more)}",
    }


def _images(how: str, found: Comparison) -> dict[str, str]:
    significant, value = found.p <= LEVEL, found.difference.value
    answer = ("yes" if value > 0 else "the opposite") if significant else "not seen"
    ends = found.difference.low, value, found.difference.high
    low, middle, high = (signed(100 * end, 1) for end in ends)
    return {
        "question": f"Do codes that images have move samples further than codes that none has, {how}?",
        "answer": "no" if answer == "not seen" and found.equivalent <= LEVEL else answer,
        "measured": f"difference {middle} % of the mean ({low} to {high})",
        "test": f"n = {found.difference.n:,}, two-sided p {_p(found.p)}; below {share(found.bound, 1)} either way (two "
        f"one-sided tests at 5 %); {share(found.seen, 1)} would be seen with power 80 %, and the law predicts at most "
        f"{share(found.margin, 2)}",
    }


def _own_class(found: Against) -> dict[str, str]:
    return {
        "question": "Does a list hold more images of the sample's class than codes dealt anew would list?",
        "answer": "yes" if found.p <= LEVEL else "not seen",
        "measured": f"{share(found.found, 1)} against {share(found.mean, 1)}",
        "test": f"{found.deals:,} deals, one-sided p {_p(found.p)}; {100 * found.seen:.1f} points more would be seen "
        "with power 80 %",
    }


def _discoveries(q: np.ndarray, floor: float) -> dict[str, str]:
    few = int((q <= LEVEL).sum())
    return {
        "question": "Does any listed image stand out of the codes that chance could have given it?",
        "answer": "yes" if few else "cannot be seen" if floor > LEVEL else "not seen",
        "measured": f"{few} of {q.size} entries; the smallest q is {number(q.min())}",
        "test": f"exact, one-sided, false discovery rate over the database; no q can be below {number(floor)}",
    }


def _distribution(changes: Sequence[Change], placebos: Sequence[Change]) -> dict[str, str]:
    few, by_placebo = (discoveries([together(change) for change in side]) for side in (changes, placebos))
    fid, told = (max(getattr(change, test).seen for change in changes) for test in ("fid", "told"))
    return {
        "question": "Does ablating an image change the distribution of what is drawn?",
        "answer": "yes" if few and not by_placebo else "not seen",
        "measured": f"{few} of {len(changes)} images do, {by_placebo} of {len(placebos)} placebo halves; "
        f"samples of one noise move by {share(float(np.mean([c.moved for c in changes])))} of the distance between "
        "unrelated ones",
        "test": f"one-sided, FID and classifier together, false discovery rate 5 %; in a single test a FID "
        f"{number(fid, 1)} above its null, or an accuracy of {share(told)}, would be seen with power 80 %",
    }


def _points(found: Interval) -> str:
    return f"{signed(100 * found.value, 1)} ({signed(100 * found.low, 1)} to {signed(100 * found.high, 1)})"


def _p(p: float) -> str:
    return number(p, 2 if p >= 0.1 else 4) if p >= 1e-4 else "below 0.0001"
