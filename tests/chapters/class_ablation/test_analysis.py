"""The class experiment on made-up samples whose every number is known."""

import numpy as np
import pytest

from genens_book.chapters.class_ablation import analysis
from genens_book.measures import stats

CLASSES = [0, 1, 2]
# Predicted digits of four originals (first column) and of their counterfactuals without class 0, 1, 2.
LABELS = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [2, 2, 1, 0], [7, 7, 7, 1]])
DISTANCE = np.array([[9.0, 1, 2], [3, 4, 1], [1, 1, 5], [2, 2, 2]])


def test_samples_of_untrained_digits_have_no_row():
    assert analysis.rows(LABELS, CLASSES).tolist() == [0, 0, 2, -1]
    assert analysis.rows(LABELS, [2, 0]).tolist() == [1, 1, 0, -1]


def test_influence_accuracy_counts_only_samples_that_can_be_ablated():
    row = analysis.rows(LABELS, CLASSES)
    found = analysis.accuracy(DISTANCE, row, seed=0)
    assert found.value == pytest.approx(2 / 3) and found.n == 3 and found.low <= found.value <= found.high
    by_class = analysis.accuracy_by_class(DISTANCE, row, 3, seed=0)
    assert [r and r.value for r in by_class] == [0.5, None, 1.0]


def test_own_and_other_distances():
    own, other = analysis.own_and_other(DISTANCE, analysis.rows(LABELS, CLASSES))
    assert own.tolist() == [9, 3, 5]
    assert other.tolist() == [[1, 2], [4, 1], [1, 1]]
    effect = stats.exceedance(own, other, seed=0)
    pairs = [(a > b) + (a == b) / 2 for a in own for b in other.ravel()]
    assert effect.value == pytest.approx(np.mean(pairs)) and effect.low <= effect.value <= effect.high


def test_how_often_the_class_changes():
    rates = analysis.changes(LABELS, analysis.rows(LABELS, CLASSES), seed=0)
    # Without the own class: 0 -> 1, 0 -> 0, 2 -> 0. Without another: 0 of 2, 0 of 2, 1 of 2.
    assert rates["own"].value == pytest.approx(2 / 3)
    assert rates["other"].value == pytest.approx(1 / 6)
    assert rates["difference"].value == pytest.approx(1 / 2)


def test_the_table_and_what_is_left_of_a_class():
    counts = analysis.table(LABELS)
    assert counts.shape == (4, 10) and (counts.sum(axis=1) == 4).all()
    assert counts[0].tolist() == [2, 0, 1, 0, 0, 0, 0, 1, 0, 0]
    # Class 0 makes 2, then 1; class 1 makes 0, then 1; class 2 makes 1, then 0.
    assert analysis.diminished(np.tile(LABELS, (9, 1)), CLASSES, seed=0).value == pytest.approx(2 / 3)


def test_the_class_that_keeps_most():
    labels = np.array([[0, 1, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]])  # drawn; without class 0; without class 1
    found = analysis.kept_most(labels, [0, 1], seed=0)
    assert found.value == 0.5, "of two 1s one is left, of two 0s none"
    assert found.low <= 0.5 <= found.high


def test_selections():
    row = analysis.rows(LABELS, CLASSES)
    assert analysis.systematic(LABELS, CLASSES, 1).tolist() == [0, 2]
    assert analysis.systematic(LABELS, CLASSES, 2).tolist() == [0, 1, 2]
    assert analysis.chosen(DISTANCE, row, 3).tolist() == [0, 2]  # 9 against 2 stands out more than 3 against 4


def test_influence_accuracy_shares_a_tie_and_counts_a_class_without_a_row_as_a_miss():
    distances = np.array([[1.0, 5.0, 2.0, 9.0, 0.0], [3.0, 4.0, 2.0, 1.0, 0.0], [2.0, 1.0, 0.0, 1.0, 0.0]])
    found = analysis.influence_accuracy(distances, np.array([1, 1, 0, -1, 2]))
    np.testing.assert_allclose(found, [1, 0, 1 / 2, 0, 1 / 3])


def test_influence_refuses_nan_and_rows_that_are_not_there():
    with pytest.raises(ValueError, match="finite distances"):
        analysis.influence_accuracy(np.full((2, 3), np.nan), [0, 1, 0])
    with pytest.raises(ValueError, match=r"expected distances \(V, B\)"):
        analysis.influence_accuracy(np.zeros(3), [0])
    for predicted in ([0, 1], [0, 1, 2], [0, -2, 1]):
        with pytest.raises(ValueError, match="expected rows from -1 to 1 for 3 samples"):
            analysis.influence_accuracy(np.zeros((2, 3)), predicted)
