"""Codes and mixtures against slow, obvious oracles."""

from __future__ import annotations

import time
from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genens import codes

CLASSES = (0, 1, 2, 3, 4, 6, 8)
PAPER_EQ_42 = """
1 1 1 1 1 1 1 1
1 -1 1 -1 1 -1 1 -1
1 1 -1 -1 1 1 -1 -1
1 -1 -1 1 1 -1 -1 1
1 1 1 1 -1 -1 -1 -1
1 -1 1 -1 -1 1 -1 1
1 1 -1 -1 -1 -1 1 1
1 -1 -1 1 -1 1 1 -1
"""


@st.composite
def settings_of_codes(draw):
    n = draw(st.integers(2, 10))
    h = draw(st.integers(1, n - 1))
    return draw(st.integers(1, comb(n, h))), n, h, draw(st.integers(0, 2**32))


@pytest.mark.parametrize(("n", "h"), [(2, 1), (7, 3), (16, 8), (16, 1), (12, 11)])
def test_ranking_undoes_unranking(n, h):
    every = range(comb(n, h))
    assert codes.rank(codes.unrank(every, n, h)).tolist() == [*every]


def test_the_ranks_of_the_longest_codes_fit_and_codes_of_several_weights_have_none():
    last = comb(64, 32) - 1
    assert codes.rank(codes.unrank([0, last], 64, 32)).tolist() == [0, last]
    for wrong in (np.eye(3, dtype=bool) | np.eye(3, k=1, dtype=bool), np.ones((1, 65), bool)):
        with pytest.raises(ValueError, match="codes of one weight and at most 64 bits"):
            codes.rank(wrong)


@pytest.mark.parametrize(("N", "n", "h"), [(60, 65, 1), (500, 70, 2), (300, 512, 256)])
def test_codes_of_more_members_than_ranks_can_count_are_different_and_of_weight_h(N, n, h):
    drawn = codes.constant_weight(N, n, h, 3)
    assert drawn.shape == (N, n) and (drawn.sum(axis=1) == h).all()
    assert len(np.unique(drawn, axis=0)) == N
    assert np.array_equal(drawn, codes.constant_weight(N, n, h, 3))
    assert np.abs(drawn.mean(axis=0) - h / n).max() < 5 * (h / n * (1 - h / n) / N) ** 0.5


def test_all_codes_of_a_long_length_are_drawn_when_as_many_images_want_one():
    assert codes.constant_weight(65, 65, 1, 0).sum(axis=0).tolist() == [1] * 65


def test_a_super_sample_is_a_label_and_every_other_image_is_by_itself():
    assert codes.super_samples([4, 7, 4, 5, 7, 6], [7, 4]).tolist() == [3, 2, 3, 0, 2, 1]
    assert codes.super_samples([4, 7, 4], []).tolist() == [0, 1, 2]


@given(settings_of_codes())
@settings(max_examples=60, deadline=None)
def test_constant_weight_codes_are_different_and_of_weight_h(setting):
    N, n, h, seed = setting
    drawn = codes.constant_weight(N, n, h, seed)
    assert drawn.shape == (N, n) and drawn.dtype == bool
    assert (drawn.sum(axis=1) == h).all()
    assert len({row.tobytes() for row in drawn}) == N
    assert np.array_equal(drawn, codes.constant_weight(N, n, h, seed))


@pytest.mark.parametrize(("n", "h"), [(2, 1), (5, 1), (5, 4), (6, 3), (9, 4)])
def test_unrank_lists_every_code_once_in_the_order_of_binary_numbers(n, h):
    every = codes.unrank(range(comb(n, h)), n, h)
    values = [sum(1 << c for c in chosen) for chosen in combinations(range(n), h)]
    assert (every @ (1 << np.arange(n))).tolist() == sorted(values)


def test_unrank_reaches_the_last_code_of_64_members():
    first, last = codes.unrank([0, comb(64, 32) - 1], 64, 32)
    assert np.flatnonzero(first).tolist() == list(range(32))
    assert np.flatnonzero(last).tolist() == list(range(32, 64))


@pytest.mark.parametrize(("N", "n", "h"), [(3, 4, 1), (2, 4, 2), (4, 4, 3)])
def test_every_ordered_assignment_is_equally_likely(N, n, h):
    """Chi-square over all C(n,h)!/(C(n,h)-N)! ordered assignments; N = C(n,h) included."""
    possible = {ranks: i for i, ranks in enumerate(permutations(range(comb(n, h)), N))}
    rank_of = {row.tobytes(): rank for rank, row in enumerate(codes.unrank(range(comb(n, h)), n, h))}
    seen = np.zeros(len(possible), dtype=int)
    for seed in range(200 * len(possible)):
        drawn = codes.constant_weight(N, n, h, seed)
        seen[possible[tuple(rank_of[row.tobytes()] for row in drawn)]] += 1
    assert 1e-3 < stats.chisquare(seen).pvalue < 1 - 1e-6


@pytest.mark.parametrize(("n", "h"), [(16, 8), (24, 12)])
def test_all_codes_in_use_is_allowed_and_fast(n, h):
    began = time.process_time()
    drawn = codes.constant_weight(comb(n, h), n, h, seed=1)
    assert time.process_time() - began < 20
    keys = np.sort(drawn @ (1 << np.arange(n, dtype=np.int64)))
    assert (np.diff(keys) > 0).all()
    assert (codes.split_sizes(drawn) == comb(n - 1, h - 1)).all()


def test_walsh_is_the_papers_matrix():
    paper = np.array([line.split() for line in PAPER_EQ_42.split("\n") if line], dtype=int)
    assert np.array_equal(codes.walsh(8), paper[1:, 1:] == 1)


@pytest.mark.parametrize("order", [4, 8, 32])
def test_any_two_walsh_codes_share_equally_many_members(order):
    shared = codes.walsh(order).astype(int) @ codes.walsh(order).astype(int).T
    assert (np.diag(shared) == order // 2 - 1).all()
    assert (shared[~np.eye(order - 1, dtype=bool)] == order // 4 - 1).all()


def test_by_class_gives_every_image_the_code_of_its_class():
    labels = [8, 0, 3, 3, 1]
    given_codes = codes.by_class(codes.walsh(8), labels, CLASSES)
    assert np.array_equal(given_codes, np.stack([codes.walsh(8)[CLASSES.index(label)] for label in labels]))
    shuffled = (3, 0, 8, 1)
    assert np.array_equal(codes.by_class(codes.walsh(8)[:4], [1, 3], shuffled), codes.walsh(8)[[3, 0]])


def test_splits_hold_exactly_the_images_whose_bit_is_set():
    drawn = codes.constant_weight(40, 8, 3, seed=0)
    for i, split in enumerate(codes.splits(drawn)):
        assert split.dtype == np.int64
        assert split.tolist() == [x for x in range(40) if drawn[x, i]]
    assert codes.split_sizes(drawn).tolist() == [len(split) for split in codes.splits(drawn)]


def test_mixtures_of_the_whole_and_of_ablated_ensembles():
    fano = codes.walsh(8)
    assert np.allclose(codes.uniform(7), 1 / 7) and codes.uniform(7).dtype == np.float64
    for x in range(7):
        mixture = codes.ablated(fano, x)
        assert mixture.dtype == np.float64 and np.isclose(mixture.sum(), 1)
        assert np.array_equal(mixture > 0, ~fano[x]) and len(set(mixture[mixture > 0])) == 1
        assert np.array_equal(mixture, codes.ablations(fano)[x])


def test_a_group_takes_every_member_that_holds_any_of_it():
    drawn = codes.constant_weight(30, 12, 2, seed=3)
    group = [4, 9, 20]
    kept = codes.ablated(drawn, group) > 0
    assert kept.tolist() == [not any(drawn[x, i] for x in group) for i in range(12)]
    mask = np.isin(np.arange(30), group)
    assert np.array_equal(codes.ablated(drawn, mask), codes.ablated(drawn, group))
    assert np.array_equal(codes.ablated(drawn, np.int64(4)), codes.ablated(drawn, 4))


def test_ablating_a_class_is_ablating_its_code():
    labels = np.array([0, 3, 3, 8, 1])
    image_codes = codes.by_class(codes.walsh(8), labels, CLASSES)
    assert np.array_equal(codes.ablated(image_codes, labels == 3), codes.ablated(codes.walsh(8), 3))


@given(st.integers(1, 25), st.integers(1, 9), st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 2**32))
def test_complements_agrees_with_looking_at_every_pair(N, n, density, seed):
    """Any bits at all: of equal codes the first counts."""
    bits = np.random.default_rng(seed).random((N, n)) < density
    slow = [next((y for y in range(N) if (bits[x] ^ bits[y]).all()), -1) for x in range(N)]
    assert codes.complements(bits).tolist() == slow


def test_the_papers_codes_hold_the_complement_of_most_images():
    N, n, h = codes.PAPER["mnist"]
    twins = int((codes.complements(codes.constant_weight(N, n, h, 0)) >= 0).sum())
    expected = N * (N - 1) / (comb(n, h) - 1)
    assert abs(twins - expected) < 150  # 7770: DESIGN's figure


def test_codes_of_another_weight_have_no_complement():
    assert (codes.complements(codes.unrank(range(8), 8, 1)) == -1).all()


def test_digest_tells_shape_and_bits_apart():
    drawn = codes.constant_weight(10, 6, 3, seed=0)
    digests = {codes.digest(c) for c in (drawn, drawn[::-1], drawn[:9], drawn.T, drawn.reshape(6, 10))}
    assert len(digests) == 5 and all(len(d) == 64 for d in digests)
    assert codes.digest(drawn) == codes.digest(np.asfortranarray(drawn).astype(np.uint8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: codes.constant_weight(12_871, 16, 8, 0), r"C\(16, 8\) = 12870 codes, got N = 12871"),
        (lambda: codes.constant_weight(0, 16, 8, 0), "got N = 0"),
        (lambda: codes.constant_weight(1, 8, 0, 0), r"h in 1..7 \(n = 8\), got h = 0"),
        (lambda: codes.constant_weight(1, 8, 8, 0), "got h = 8"),
        (lambda: codes.constant_weight(1, 4097, 3, 0), "between 2 and 4096 members, got n = 4097"),
        (lambda: codes.unrank([0], 65, 3), "between 2 and 64 members, got n = 65"),
        (lambda: codes.super_samples([1, 2], [3]), r"groups among the labels \[1, 2\], got \[3\]"),
        (lambda: codes.unrank([6], 4, 2), r"ranks in 0..5, got \[6\]"),
        (lambda: codes.unrank([-1], 4, 2), r"ranks in 0..5, got \[-1\]"),
        (lambda: codes.walsh(6), "power of two, at least 4, got 6"),
        (lambda: codes.walsh(2), "got 2"),
        (lambda: codes.uniform(0), "got n = 0"),
        (lambda: codes.ablated(codes.walsh(8), range(7)), "they remove all 7"),
        (lambda: codes.ablated(codes.walsh(8), 7), "row indices in 0..6, got 7"),
        (lambda: codes.ablated(codes.walsh(8), -1), "got -1"),
        (lambda: codes.ablated(codes.walsh(8), 1.5), "got 1.5"),
        (lambda: codes.ablated(codes.walsh(8), []), "at least one row"),
        (lambda: codes.ablations(np.array([[0, 1], [1, 1]])), "row 1 is held by all 2"),
        (lambda: codes.splits(np.arange(4)), r"bool array \(N, n\), got shape \(4,\)"),
        (lambda: codes.splits(np.array([[0, 2]])), "bool array"),
        (lambda: codes.by_class(codes.walsh(8), [5], CLASSES), r"got \[5\]"),
        (lambda: codes.by_class(codes.walsh(8), [0], (0, 1)), "one code for each class, got 7"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("n", "h"), [(6, 3), (9, 2), (12, 6), (16, 8)])
def test_scattered_codes_are_all_codes_once_in_an_order_of_the_seed(n, h):
    M = comb(n, h)
    every = codes.scattered(range(M), n, h, seed=0)
    assert len(every) == M and len(np.unique(every.bits, axis=0)) == M
    assert (every.unpacked().sum(axis=1) == h).all()
    part = codes.scattered(range(M // 3, M // 2), n, h, seed=0)
    np.testing.assert_array_equal(part.bits, every[M // 3 : M // 2].bits)
    if M > 20:
        assert (codes.scattered(range(M), n, h, seed=1).bits != every.bits).any()


def test_scattered_codes_look_drawn_at_random():
    """Split sizes and overlaps of the first rows, against what draws without replacement have."""
    found = codes.scattered(range(20_000), 36, 18, seed=5).unpacked().astype(float)
    sizes = found.sum(axis=0)
    assert np.abs(sizes - 10_000).max() < 5 * np.sqrt(20_000) / 2
    signs = 2 * found - 1
    overlaps = (signs[:-1] * signs[1:]).sum(axis=1) / 36  # of neighbours
    assert abs(overlaps.mean()) < 5 / np.sqrt(35 * 20_000) and overlaps.var() == pytest.approx(1 / 35, rel=0.05)


def test_packed_codes_unpack_to_what_they_were():
    drawn = codes.constant_weight(50, 13, 5, 0)
    packed = codes.pack(drawn)
    assert packed.bits.shape == (50, 2) and packed.h == 5
    np.testing.assert_array_equal(packed.unpacked(), drawn)
    np.testing.assert_array_equal(packed[10:20].unpacked(), drawn[10:20])
    with pytest.raises(ValueError, match="codes of one weight, got weights from 1 to 2"):
        codes.pack(np.array([[1, 0, 0], [1, 1, 0]]))
    with pytest.raises(ValueError, match=r"expected rows in 0\.\.C\(6, 3\) = 20"):
        codes.scattered(range(21), 6, 3, 0)
