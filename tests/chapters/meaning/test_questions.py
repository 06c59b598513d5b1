"""The rules by which chapter 7 answers."""

import numpy as np
import pytest

from genens_book.chapters.meaning import questions
from genens_book.chapters.meaning.distribution import Change, Excess, Told
from genens_book.chapters.meaning.nulls import Against
from genens_book.chapters.meaning.placebos import Comparison, Standing
from genens_book.measures.stats import Interval

ONE = np.ones(7)


def given(**changes):
    """What the chapter measured, nothing being seen."""
    nothing = Comparison(Interval(0.01, -0.1, 0.12, 100), 0.8, 0.3, 0.05, 0.15)
    return {
        "trials": {"recall": np.full((4, 1, 1, 2), 0.5), "recall_law": np.full((4, 1, 1, 2), 0.49)},
        "classes": Standing(ONE * 9, ONE * 0.3, ONE * 0.4, ONE * 20, 0.2, 5040),
        "other": Interval(0.01, -0.08, 0.1, 100),
        "by_jacobian": nothing,
        "by_drawing": nothing,
        "lists": {"class": Against(0.11, 0.1, 0.07, 0.13, 0.4, 0.1, 1000)},
        "q": np.array([[0.9, 1.0]]),
        "changes": [Change("an image", 0.4, Excess(0.1, -1, 1, 0.4, 1.2, 99), Told.of(52, 100))],
        **changes,
    }


def answers(**changes):
    return [one["answer"] for one in questions.asked(**given(**changes))]


def test_what_is_not_seen_is_not_said_to_be_absent():
    assert answers() == ["yes", *["not seen"] * 7]
    assert all(text.strip() for one in questions.asked(**given()) for text in one.values())


@pytest.mark.parametrize(
    ("place", "change", "answer"),
    [
        (0, {"trials": {"recall": np.full((4, 1), 0.7), "recall_law": np.full((4, 1), 0.4)}}, "no"),
        (1, {"classes": Standing(ONE, ONE / 35, ONE / 35, ONE, 1 / 5040, 5040)}, "yes"),
        (2, {"other": Interval(0.01, -0.02, 0.03, 100)}, "no"),
        (2, {"other": Interval(-0.1, -0.2, -0.05, 100)}, "no"),
        (2, {"other": Interval(0.2, 0.1, 0.3, 100)}, "yes"),
        (3, {"by_jacobian": Comparison(Interval(0, -0.01, 0.01, 9), 0.9, 1e-6, 0.05, 0.01)}, "no"),
        (4, {"by_drawing": Comparison(Interval(0.3, 0.2, 0.4, 9), 1e-6, 1.0, 0.05, 0.1)}, "yes"),
        (5, {"lists": {"class": Against(0.5, 0.1, 0.07, 0.13, 0.001, 0.1, 1000)}}, "yes"),
        (6, {"q": np.array([[0.01, 0.9]])}, "yes"),
        (7, {"changes": [Change("a class", 0.4, Excess(9, -1, 1, 0.01, 1.2, 99), Told.of(52, 100))]}, "yes"),
    ],
)
def test_each_answer_follows_its_rule(place, change, answer):
    assert answers(**change)[place] == answer
