"""Theorem 2: the checker, the designs, and every family on up to four points."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genens import codes
from genens.theory import designs

DESIGNS = designs.hadamard_designs(64)


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


@pytest.mark.parametrize(("points", "families"), [(1, 2), (2, 8), (3, 128), (4, 32_768)])
def test_no_family_on_up_to_four_points_contradicts_theorem_2(points, families):
    total, even, contradictions = designs.exhaustive(points)
    assert (total, contradictions) == (families, 0) and 2 <= even < max(families, 3)


def test_exhaustive_counts_balanced_families_as_the_checker_does():
    sets = [{e for e in range(3) if k >> e & 1} for k in range(1, 8)]
    families = [[m for i, m in enumerate(sets) if k >> i & 1] for k in range(128)]
    assert designs.exhaustive(3)[1] == sum(designs.balanced(family, 3).balanced for family in families)


def test_the_class_code_is_the_fano_plane_and_tight():
    found = designs.balanced(designs.as_sets(codes.walsh(8)))
    assert (found.points, found.sets, found.z1, found.z2, found.rank) == (7, 7, 3, 1, 7)
    assert found.balanced and found.tight


@pytest.mark.parametrize("name", DESIGNS)
def test_hadamard_designs_and_their_complements_are_equality_cases(name):
    """M' M'^T = (z1 - z2) I + z2 J, which has full rank: as many sets as points."""
    for table in (DESIGNS[name], designs.complement(DESIGNS[name])):
        found = designs.check(table)
        v = found.points
        assert found.tight and found.rank == v and found.z1 > found.z2
        gram = table.astype(int) @ table.T
        assert np.array_equal(gram, (found.z1 - found.z2) * np.eye(v, dtype=int) + found.z2)
    plain, other = designs.check(DESIGNS[name]), designs.check(designs.complement(DESIGNS[name]))
    assert (plain.z1, plain.z2) == ((v - 1) // 2, (v - 3) // 4)
    assert (other.z1, other.z2) == (v - plain.z1, v - 2 * plain.z1 + plain.z2)


def test_all_designs_up_to_64_points_are_there():
    assert {int(name.split()[1]) for name in DESIGNS if name.startswith("Sylvester")} == {3, 7, 15, 31, 63}
    assert {int(name.split()[1]) for name in DESIGNS if name.startswith("Paley")} == {3, 7, 11, 19, 23, 31, 43, 47, 59}


@pytest.mark.parametrize("points", range(1, 8))
def test_trivial_designs(points):
    for k in range(1, points + 1):
        found = designs.check(designs.all_of_size(points, k))
        assert found.balanced and found.concludes
    assert designs.check(designs.all_of_size(points, points)).sets == 1
    assert designs.check(designs.all_of_size(points, 1)).tight


@given(st.permutations(range(11)), st.sets(st.sampled_from([1, 2, 10, 11]), max_size=3))
def test_a_relabelled_design_together_with_trivial_ones_is_balanced(labels, sizes):
    table = np.hstack([designs.paley(11)[labels], *(designs.all_of_size(11, k) for k in sizes)])
    found = designs.balanced(designs.as_sets(table), 11)
    assert found.balanced and found.concludes and found.rank == 11


def test_codes_of_single_images_are_not_balanced():
    assert not designs.check(codes.constant_weight(100, 16, 8, seed=0)).balanced


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: designs.balanced([{0, 1}, set()]), "not empty, .* set number 1 is"),
        (lambda: designs.balanced([{0, 1}, [1, 0]]), "different sets, got 2 of which 1 differ"),
        (lambda: designs.balanced([{0, 5}], points=3), r"points in 0..2, got sets that hold others, up to 5"),
        (lambda: designs.balanced([{-1}]), "points in"),
        (lambda: designs.paley(13), "3 modulo 4, .* got 13"),
        (lambda: designs.paley(27), "got 27"),
        (lambda: designs.sylvester(8), "power of two"),
        (lambda: designs.exhaustive(5), "1 to 4 points .* got 5"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
