"""Chapter 1's counts, against looking at every pair and against draws."""

from itertools import permutations
from math import comb

import numpy as np
import pytest

from genens import codes
from genens_book.chapters.codes import analysis


def test_shared_and_kept_are_what_a_look_at_every_pair_finds():
    drawn = codes.constant_weight(9, 7, 3, seed=2)
    shared, kept = analysis.shared(drawn), analysis.kept(drawn)
    for x, y in permutations(range(9), 2):
        assert shared[x, y] == sum(a and b for a, b in zip(drawn[x], drawn[y], strict=True))
        assert kept[x, y] == sum(b and not a for a, b in zip(drawn[x], drawn[y], strict=True))
    pairs = [kept[x, y] for x, y in permutations(range(9), 2)]
    assert analysis.apart(kept).tolist() == pairs
    assert np.bincount(pairs, minlength=4).tolist() == analysis.witnesses(drawn).tolist()


def test_complements_and_coins_are_what_draws_give():
    found = [(codes.complements(codes.constant_weight(12, 6, 3, seed)) >= 0).sum() for seed in range(400)]
    expected = analysis.complements_expected(12, 6, 3)
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / 20)
    coins = np.random.default_rng(0).random((4000, 50)) < 3 / 8
    assert analysis.coins_sd(50, 8, 3) == pytest.approx(coins.sum(axis=1).std(), rel=0.05)


@pytest.mark.parametrize(("N", "n", "h"), [(1, 5, 2), (20, 6, 3), (35, 7, 4), (36, 9, 2), (60, 12, 6)])
def test_witnesses_agrees_with_counting_every_pair(N, n, h):
    drawn = codes.constant_weight(N, n, h, seed=5)
    counted = np.zeros(h + 1, dtype=int)
    for x in range(N):
        for y in range(N):
            counted[(drawn[y] & ~drawn[x]).sum()] += x != y
    assert analysis.witnesses(drawn).tolist() == counted.tolist()


def test_witnesses_counts_duplicates_as_pairs_without_any():
    twice = np.repeat(codes.walsh(8), 2, axis=0)
    assert analysis.witnesses(twice).tolist() == [14, 0, 14 * 12, 0]


def test_complements_are_the_pairs_with_as_many_witnesses_as_members_left():
    drawn = codes.constant_weight(10_000, 16, 8, seed=0)
    assert (codes.complements(drawn) >= 0).sum() == analysis.witnesses(drawn)[8] > 0
    assert (codes.complements(codes.constant_weight(5, 64, 32, seed=0)) == -1).all()


def test_witnesses_are_for_codes_of_one_weight_and_few_members():
    with pytest.raises(ValueError, match=r"one weight .* got weights \[1, 2\]"):
        analysis.witnesses(np.array([[1, 0], [1, 1]], dtype=bool))
    with pytest.raises(ValueError, match="at most 26 members"):
        analysis.witnesses(codes.constant_weight(3, 27, 2, 0))


def test_expected_witnesses_is_what_all_codes_have():
    for n, h in [(4, 2), (7, 3), (10, 5), (9, 6)]:
        every = codes.unrank(range(comb(n, h)), n, h)
        counts = analysis.witnesses(every)
        assert np.allclose(counts / counts.sum(), analysis.expected_witnesses(n, h), rtol=1e-12)


def test_split_law_is_the_law_of_drawn_codes():
    """Three thousand draws: their mean, their spread, and p-values that are uniform."""
    N, n, h = 300, 12, 4
    law = analysis.split_law(N, n, h)
    sizes = np.stack([codes.split_sizes(codes.constant_weight(N, n, h, seed)) for seed in range(3000)])
    assert law.mean == N * h / n
    assert sizes.std() == pytest.approx(law.sd, rel=0.02)
    ps = np.array([law.p_value(row) for row in sizes])
    assert np.quantile(ps, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


def test_split_law_has_no_spread_when_every_code_is_in_use():
    law = analysis.split_law(70, 8, 4)
    sizes = codes.split_sizes(codes.constant_weight(70, 8, 4, seed=0))
    assert law.sd == 0 and not law.z(sizes).any() and law.p_value(sizes) == 1


def test_farthest_looks_on_both_sides_of_every_mean():
    assert analysis.farthest({"A": {"here": np.array([1.0, -3.0])}, "B": {"paper": np.array([2.0])}}) == 3.0
