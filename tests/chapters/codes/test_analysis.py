"""Chapter 1's counts, against looking at every pair and against draws."""

from itertools import permutations

import numpy as np
import pytest

from genens import codes
from genens.theory import guarantee
from genens_book.chapters.codes import analysis


def test_shared_and_kept_are_what_a_look_at_every_pair_finds():
    drawn = codes.constant_weight(9, 7, 3, seed=2)
    shared, kept = analysis.shared(drawn), analysis.kept(drawn)
    for x, y in permutations(range(9), 2):
        assert shared[x, y] == sum(a and b for a, b in zip(drawn[x], drawn[y], strict=True))
        assert kept[x, y] == sum(b and not a for a, b in zip(drawn[x], drawn[y], strict=True))
    pairs = [kept[x, y] for x, y in permutations(range(9), 2)]
    assert analysis.apart(kept).tolist() == pairs
    assert np.bincount(pairs, minlength=4).tolist() == guarantee.witnesses(drawn).tolist()


def test_complements_and_coins_are_what_draws_give():
    found = [guarantee.has_complement(codes.constant_weight(12, 6, 3, seed)).sum() for seed in range(400)]
    expected = analysis.complements_expected(12, 6, 3)
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / 20)
    coins = np.random.default_rng(0).random((4000, 50)) < 3 / 8
    assert analysis.coins_sd(50, 8, 3) == pytest.approx(coins.sum(axis=1).std(), rel=0.05)


def test_farthest_looks_on_both_sides_of_every_mean():
    assert analysis.farthest({"A": {"here": np.array([1.0, -3.0])}, "B": {"paper": np.array([2.0])}}) == 3.0
