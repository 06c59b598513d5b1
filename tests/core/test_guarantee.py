"""The guarantee against pairwise and brute-force oracles."""

from __future__ import annotations

import time
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genens import codes
from genens.theory import guarantee


def pairwise(bits: np.ndarray) -> list[tuple[int, int]]:
    """The ordered pairs (x, x') for which no member holds x' but not x, found by looking."""
    return [(x, y) for x in range(len(bits)) for y in range(len(bits)) if x != y and not (bits[y] & ~bits[x]).any()]


@st.composite
def any_codes(draw):
    """Any bits at all: duplicates, empty rows, full rows, unequal weights."""
    N, n = draw(st.integers(1, 25)), draw(st.integers(1, 9))
    density = draw(st.sampled_from([0.1, 0.5, 0.9]))
    return np.random.default_rng(draw(st.integers(0, 2**32))).random((N, n)) < density


@given(any_codes(), st.sampled_from([26, 0]))
@settings(max_examples=200, deadline=None)
def test_guarantee_agrees_with_looking_at_every_pair(bits, lattice_members):
    """Both routes: the lattice of subsets (n <= 26) and blocks of packed codes (forced by the limit 0)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guarantee, "LATTICE_MEMBERS", lattice_members)
        patch.setattr(guarantee, "BLOCK", 40)
        found = guarantee.guarantee(bits)
    missing = pairwise(bits)
    assert found == guarantee.Guarantee(
        holds=not missing,
        pairs=len(bits) * (len(bits) - 1),
        violations=len(missing),
        first=missing[0] if missing else None,
    )


def test_guarantee_above_26_members():
    good = codes.constant_weight(500, 64, 32, seed=0)
    assert guarantee.guarantee(good).holds
    bad = good.copy()
    bad[123] = bad[7] | bad[400]
    assert guarantee.guarantee(bad) == guarantee.Guarantee(False, 500 * 499, 2, (123, 7))


def test_guarantee_decides_celeba_in_seconds():
    """Theorem 1, part 1 on 202,599 codes of 24 members: 41 billion ordered pairs."""
    drawn = codes.constant_weight(202_599, 24, 12, seed=0)
    began = time.process_time()
    found = guarantee.guarantee(drawn)
    assert time.process_time() - began < 30
    assert found.holds and found.pairs == 202_599 * 202_598
    drawn[200_000] |= drawn[100_000]
    spoilt = guarantee.guarantee(drawn)
    assert spoilt.first[0] == 200_000 and not (drawn[spoilt.first[1]] & ~drawn[200_000]).any()
    assert spoilt.violations == (~(drawn & ~drawn[200_000]).any(axis=1)).sum() - 1


def test_members_for_guarantee_is_the_size_of_the_largest_antichain():
    """For n = 3, no 4 of the 8 subsets are pairwise unordered; three are (Sperner)."""
    subsets = np.array([[s >> i & 1 for i in range(3)] for s in range(8)], dtype=bool)
    families = [list(some) for k in (3, 4) for some in combinations(range(8), k)]
    assert max(len(some) for some in families if guarantee.guarantee(subsets[some]).holds) == 3
    assert guarantee.members_for_guarantee(3) == 3 and guarantee.members_for_guarantee(4) == 4
    assert [guarantee.members_for_guarantee(N) for N in (10_000, 60_000, 202_599)] == [16, 19, 21]
    assert guarantee.members_for_guarantee(1) == 1


@pytest.mark.parametrize("n", range(2, 9))
def test_every_codebook_of_one_weight_up_to_8_members_has_the_guarantee(n):
    """All C(n, h) codes together: any choice among them has the guarantee a fortiori."""
    for h in range(1, n):
        every = codes.unrank(range(comb(n, h)), n, h)
        assert guarantee.guarantee(every) == guarantee.Guarantee(True, len(every) * (len(every) - 1), 0, None)
        assert pairwise(every) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: guarantee.guarantee(np.zeros((3, 65), dtype=bool)), r"n in 1..64, got shape \(3, 65\)"),
        (lambda: guarantee.guarantee(np.zeros(3, dtype=bool)), r"got shape \(3,\)"),
        (lambda: guarantee.members_for_guarantee(0), "got N = 0"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
