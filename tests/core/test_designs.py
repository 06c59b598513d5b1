"""Theorem 2: the checker against the definition. Designs: `chapters/theory/test_catalogue.py`."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genens import codes
from genens.theory import designs


def counted(sets, points):
    """Balanced or not, by the definition."""
    ones = {sum(e in m for m in sets) for e in range(points)}
    twos = {sum(a in m and b in m for m in sets) for a, b in combinations(range(points), 2)}
    return len(ones) <= 1 and len(twos) <= 1


@given(st.integers(1, 6), st.sets(st.integers(1, 63), max_size=12))
def test_balanced_agrees_with_the_definition_and_with_theorem_2(points, masks):
    sets = [{e for e in range(points) if k >> e & 1} for k in {k & ((1 << points) - 1) for k in masks} - {0}]
    found = designs.balanced(sets, points)
    assert found.balanced == counted(sets, points)
    assert not found.balanced or found.concludes


def test_the_class_code_is_the_fano_plane_and_tight():
    found = designs.balanced(np.flatnonzero(column).tolist() for column in codes.walsh(8).T)
    assert (found.points, found.sets, found.z1, found.z2, found.rank) == (7, 7, 3, 1, 7)
    assert found.balanced and found.tight


def test_codes_of_single_images_are_not_balanced():
    assert not designs.check(codes.constant_weight(100, 16, 8, seed=0)).balanced


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: designs.balanced([{0, 1}, set()]), "not empty, .* set number 1 is"),
        (lambda: designs.balanced([{0, 1}, [1, 0]]), "different sets, got 2 of which 1 differ"),
        (lambda: designs.balanced([{0, 5}], points=3), r"points in 0..2, got sets that hold others, up to 5"),
        (lambda: designs.balanced([{-1}]), "points in"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
