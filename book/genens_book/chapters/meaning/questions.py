"""The answers of chapter 7 by fixed rules: yes, no, or not seen.

"yes" takes a p-value of at most LEVEL (or an interval on one side); "no" a test of equivalence, or an interval inside
the margin; all else is "not seen", with the smallest effect that would have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genens_book.chapters.meaning.distribution import Change, discoveries
from genens_book.chapters.meaning.nulls import Against
from genens_book.chapters.meaning.placebos import Comparison, Standing
from genens_book.measures import stats
from genens_book.measures.stats import Interval
from genens_book.pages.words import number, share, signed

LEVEL = 0.05
POINTS = 0.05  # a difference of shares that would matter


def asked(
    trials: Mapping[str, np.ndarray],
    classes: Standing,
    other: Interval,
    by_jacobian: Comparison,
    by_drawing: Comparison,
    lists: Mapping[str, Against],
    q: np.ndarray,
    changes: Sequence[Change],
) -> list[dict[str, str]]:
    """Every question with its answer, what was measured, and the test; see the chapter for what is given."""
    return [
        _law(trials),
        _classes(classes),
        _other(other),
        _images("by the Jacobian, over all codes", by_jacobian),
        _images("by regenerating them", by_drawing),
        _own_class(lists["class"]),
        _discoveries(q),
        *(_distribution(kind, changes) for kind in dict.fromkeys(change.kind for change in changes)),
    ]


def _law(trials: Mapping[str, np.ndarray]) -> dict[str, str]:
    gap = np.nanmean((trials["recall"] - trials["recall_law"]).reshape(len(trials["recall"]), -1), axis=1)
    found = stats.bootstrap(gap)
    answer = (
        "yes" if max(abs(found.low), abs(found.high)) < POINTS else "no" if abs(found.value) > POINTS else "not seen"
    )
    return {
        "question": "Does the identification law say how many of ten images are found?",
        "answer": answer,
        "measured": f"recall less the law's, over noise levels, sets and ensembles: {_points(found)} points",
        "test": f"closed-form members; bootstrap over {found.n} digits, 95 %; yes if within ±{100 * POINTS:.0f} points",
    }


def _classes(found: Standing) -> dict[str, str]:
    return {
        "question": "Does ablating a sample's class move it further than ablating a placebo?",
        "answer": "yes" if found.together <= LEVEL else "not seen",
        "measured": f"{int((found.place == 1).sum())} of {len(found.place)} classes move their samples furthest",
        "test": f"exact over {found.orders:,} orders of the members, one-sided: p {_p(found.together)}; "
        f"{int((found.q <= LEVEL).sum())} classes at a false discovery rate of 5 %",
    }


def _other(found: Interval) -> dict[str, str]:
    answer = "yes" if found.low > 0 else "no" if found.high < POINTS else "not seen"
    return {
        "question": "Does ablating another class change more samples than a placebo that leaves their class as much?",
        "answer": answer,
        "measured": f"difference {_points(found)} points",
        "test": f"bootstrap over {found.n} samples, 95 %; no if all of it is below {100 * POINTS:.0f} points",
    }


def _images(how: str, found: Comparison) -> dict[str, str]:
    answer = "no" if found.equivalent <= LEVEL else "yes" if found.p <= LEVEL else "not seen"
    low, value, high = (
        signed(100 * x, 1) for x in (found.difference.low, found.difference.value, found.difference.high)
    )
    return {
        "question": f"Do codes that images have move samples further than codes that none has, {how}?",
        "answer": answer,
        "measured": f"difference {value} % of the mean ({low} to {high})",
        "test": f"n = {found.difference.n:,}; two-sided p {_p(found.p)}; equivalence to ±{share(found.margin)}: p "
        f"{_p(found.equivalent)}; {share(found.seen, 1)} would be seen with power 80 %",
    }


def _own_class(found: Against) -> dict[str, str]:
    return {
        "question": "Does a list hold more images of the sample's class than codes dealt anew would list?",
        "answer": "yes" if found.p <= LEVEL else "not seen",
        "measured": f"{share(found.found, 1)} against {share(found.mean, 1)}",
        "test": f"{found.deals:,} deals, two-sided p {_p(found.p)}; {share(found.seen, 1)} more would be seen",
    }


def _discoveries(q: np.ndarray) -> dict[str, str]:
    few = int((q <= LEVEL).sum())
    return {
        "question": "Does any listed image stand out of the codes that chance could have given it?",
        "answer": "yes" if few else "not seen",
        "measured": f"{few} of {q.size} entries; the smallest q is {number(q.min())}",
        "test": "exact p over all codes, false discovery rate over the whole database, one-sided",
    }


def _distribution(kind: str, changes: Sequence[Change]) -> dict[str, str]:
    these = [change for change in changes if change.kind == kind]
    by_fid, by_told = (discoveries([getattr(c, test).p for c in these]) for test in ("fid", "told"))
    return {
        "question": f"Does ablating {kind} change the distribution of what is drawn?",
        "answer": "yes" if by_fid or by_told else "not seen",
        "measured": f"significant by FID for {by_fid}, by a classifier for {by_told} of {len(these)}; the same noise "
        f"moves by {share(float(np.mean([c.moved for c in these])))} of the distance between unrelated samples",
        "test": f"one-sided, false discovery rate 5 %; a FID of {number(max(c.fid.seen for c in these), 1)} above its "
        f"null, and an accuracy of {share(max(c.told.seen for c in these))}, would be seen with power 80 %",
    }


def _points(found: Interval) -> str:
    return f"{signed(100 * found.value, 1)} ({signed(100 * found.low, 1)} to {signed(100 * found.high, 1)})"


def _p(p: float) -> str:
    return number(p, 2 if p >= 0.1 else 4) if p >= 1e-4 else "below 0.0001"
