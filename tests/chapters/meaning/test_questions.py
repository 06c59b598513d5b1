"""The rules by which chapter 7 answers."""

import numpy as np
import pytest

from genens_book.chapters.meaning import planted, questions, testbed
from genens_book.chapters.meaning.distribution import Change, Excess, Told
from genens_book.chapters.meaning.placebos import Comparison, Contrast, Standing
from genens_book.measures.nulls import Against
from genens_book.measures.stats import Interval

ONE = np.ones(7)


def change(p, right=52):
    return [Change("an image", 0.4, Excess(0.1, -1, 1, p, 1.2, 99), Told.of(right, 100))]


def given(**changes):
    """What the chapter measured, nothing being seen."""
    nothing = Comparison(Interval(0.01, -0.1, 0.12, 100), 0.8, 0.3, 0.05, 0.1, 0.15)
    half = np.full((4, 1, 1, 2), 0.5)  # the last size is not looked at
    return {
        "trials": {"hit": half, "hit_law": half, "recall": half, "recall_law": half - 0.01},
        "classes": Standing(ONE * 9, ONE * 0.3, ONE * 0.4, ONE * 20, 0.2, 5040),
        "other": Interval(0.01, -0.08, 0.1, 100),
        "contrast": Contrast(1.0, 1.1, 0.4, 0.6, 30),
        "by_jacobian": nothing,
        "by_drawing": nothing,
        "lists": {"class": Against(0.11, 0.1, 0.07, 0.13, 0.4, 0.1, 1000)},
        "q": np.array([[0.9, 1.0]]),
        "floor": 0.01,
        "changes": change(0.4),
        "by_placebos": change(0.4),
        **changes,
    }


def answers(**changes):
    return [one["answer"] for one in questions.asked(**given(**changes))]


def test_what_is_not_seen_is_not_said_to_be_absent():
    assert answers() == ["yes", "yes", *["not seen"] * 8]
    assert all(text.strip() for one in questions.asked(**given()) for text in one.values())


FAR, HALF = np.full((4, 2), 0.8), np.full((4, 2), 0.5)


@pytest.mark.parametrize(
    ("place", "changes", "answer"),
    [
        (0, {"trials": {"hit": FAR, "hit_law": HALF, "recall": HALF, "recall_law": HALF}}, "no"),
        (1, {"trials": {"hit": HALF, "hit_law": HALF, "recall": FAR, "recall_law": HALF}}, "no"),
        (2, {"classes": Standing(ONE, ONE / 35, ONE / 35, ONE, 1 / 5040, 5040)}, "yes"),
        (3, {"other": Interval(0.01, -0.02, 0.03, 100)}, "no"),
        (3, {"other": Interval(-0.1, -0.2, -0.05, 100)}, "the opposite"),
        (3, {"other": Interval(0.2, 0.1, 0.3, 100)}, "yes"),
        (4, {"contrast": Contrast(9.0, 1.0, 1 / 30, 1.0, 30)}, "yes"),
        (4, {"contrast": Contrast(1.0, 9.0, 1.0, 1 / 30, 30)}, "not seen"),  # only more was asked for
        (5, {"by_jacobian": Comparison(Interval(0, -0.01, 0.01, 9), 0.9, 1e-6, 0.05, 0.02, 0.01)}, "no"),
        (5, {"by_jacobian": Comparison(Interval(0.02, 0.01, 0.03, 9), 1e-6, 1e-6, 0.05, 0.02, 0.01)}, "yes"),
        (6, {"by_drawing": Comparison(Interval(0.3, 0.2, 0.4, 9), 1e-6, 1.0, 0.05, 0.02, 0.1)}, "yes"),
        (6, {"by_drawing": Comparison(Interval(-0.3, -0.4, -0.2, 9), 1e-6, 1.0, 0.05, 0.02, 0.1)}, "the opposite"),
        (7, {"lists": {"class": Against(0.5, 0.1, 0.07, 0.13, 0.001, 0.1, 1000)}}, "yes"),
        (8, {"q": np.array([[0.01, 0.9]])}, "yes"),
        (8, {"floor": 0.78}, "cannot be seen"),
        (9, {"changes": change(0.01)}, "yes"),
        (9, {"changes": change(0.04)}, "not seen"),  # two tests were made
        (9, {"changes": change(0.01), "by_placebos": change(0.01)}, "not seen"),  # nobody's code does as much
    ],
)
def test_each_answer_follows_its_rule(place, changes, answer):
    assert answers(**changes)[place] == answer


def group(size, place, shows=4):
    places = np.full(shows, float(place))
    lost = np.zeros(shows, bool)
    return planted.Found(f"of {size}", size, dict.fromkeys(testbed.DECODERS, places), places, lost, lost)


NOT = {"of 4": 0.1, "of 64": 0.4}
LARGE = {"of 4": 0.1, "of 64": 0.9}


@pytest.mark.parametrize(
    ("noise", "each", "places", "laws", "expected"),
    [
        ((0.3, 0.2, 0.4), (0.3, 0.35), (9, 1), (NOT, LARGE), ["yes", "yes", "yes"]),
        ((0.3, 0.2, 0.4), (0.1, 0.6), (1, 1), (NOT, LARGE), ["not seen", "yes", "no"]),  # twins disagree; too good
        ((0.8, 0.7, 0.9), (0.8, 0.8), (9, 9), (LARGE, LARGE), ["the opposite", "not seen", "no"]),  # not good enough
        ((0.8, 0.7, 0.9), (0.8, 0.8), (9, 9), (NOT, LARGE), ["the opposite", "not seen", "yes"]),
    ],
)
def test_answers_about_trained_members(noise, each, places, laws, expected):
    found = [group(size, place) for size, place in zip((4, 64), places, strict=True)]
    asked = questions.trained(planted.Training(Interval(*noise, 16), each, 0.5), found, laws)
    assert [one["answer"] for one in asked] == expected
    assert all(text.strip() for one in asked for text in one.values())


def test_a_group_that_no_sample_shows_is_not_found():
    training = planted.Training(Interval(0.3, 0.2, 0.4, 16), (0.3,), 0.3)
    asked = questions.trained(training, [group(4, 1), group(64, 1, shows=0)], (NOT, LARGE))
    assert [one["answer"] for one in asked] == ["yes", "not seen", "yes"]
