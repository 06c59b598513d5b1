"""Theorem 2 on the catalogue's designs, and on every family on up to four points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genens import codes
from genens.theory import designs
from genens_book.chapters.theory import catalogue

DESIGNS = catalogue.hadamard_designs(64)


@pytest.mark.parametrize(("points", "families"), [(1, 2), (2, 8), (3, 128), (4, 32_768)])
def test_no_family_on_up_to_four_points_contradicts_theorem_2(points, families):
    total, even, contradictions = catalogue.exhaustive(points)
    assert (total, contradictions) == (families, 0) and 2 <= even < max(families, 3)


def test_exhaustive_counts_balanced_families_as_the_checker_does():
    sets = [{e for e in range(3) if k >> e & 1} for k in range(1, 8)]
    families = [[m for i, m in enumerate(sets) if k >> i & 1] for k in range(128)]
    assert catalogue.exhaustive(3)[1] == sum(designs.balanced(family, 3).balanced for family in families)


def test_the_sets_of_a_table_are_its_columns():
    assert catalogue.as_sets(codes.walsh(4)) == [{1}, {0}, {2}]


@pytest.mark.parametrize("name", DESIGNS)
def test_hadamard_designs_and_their_complements_are_equality_cases(name):
    """M' M'^T = (z1 - z2) I + z2 J, which has full rank: as many sets as points."""
    for table in (DESIGNS[name], catalogue.complement(DESIGNS[name])):
        found = designs.check(table)
        v = found.points
        assert found.tight and found.rank == v and found.z1 > found.z2
        gram = table.astype(int) @ table.T
        assert np.array_equal(gram, (found.z1 - found.z2) * np.eye(v, dtype=int) + found.z2)
    plain, other = designs.check(DESIGNS[name]), designs.check(catalogue.complement(DESIGNS[name]))
    assert (plain.z1, plain.z2) == ((v - 1) // 2, (v - 3) // 4)
    assert (other.z1, other.z2) == (v - plain.z1, v - 2 * plain.z1 + plain.z2)


def test_all_designs_up_to_64_points_are_there():
    assert {int(name.split()[1]) for name in DESIGNS if name.startswith("Sylvester")} == {3, 7, 15, 31, 63}
    assert {int(name.split()[1]) for name in DESIGNS if name.startswith("Paley")} == {3, 7, 11, 19, 23, 31, 43, 47, 59}


@pytest.mark.parametrize("points", range(1, 8))
def test_trivial_designs(points):
    for k in range(1, points + 1):
        found = designs.check(catalogue.all_of_size(points, k))
        assert found.balanced and found.concludes
    assert designs.check(catalogue.all_of_size(points, points)).sets == 1
    assert designs.check(catalogue.all_of_size(points, 1)).tight


@given(st.permutations(range(11)), st.sets(st.sampled_from([1, 2, 10, 11]), max_size=3))
def test_a_relabelled_design_together_with_trivial_ones_is_balanced(labels, sizes):
    table = np.hstack([catalogue.paley(11)[labels], *(catalogue.all_of_size(11, k) for k in sizes)])
    found = designs.balanced(catalogue.as_sets(table), 11)
    assert found.balanced and found.concludes and found.rank == 11


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: catalogue.paley(13), "3 modulo 4, .* got 13"),
        (lambda: catalogue.paley(27), "got 27"),
        (lambda: catalogue.sylvester(8), "power of two"),
        (lambda: catalogue.exhaustive(5), "1 to 4 points .* got 5"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
