"""Placebos on made-up samples whose every number is known."""

from itertools import permutations

import numpy as np
import pytest

from genens import codes as coding
from genens_book.chapters.meaning import placebos

CODES = coding.walsh(8)
TRIPLES = placebos.removals(7, 3)
MIXTURES = coding.ablations(TRIPLES)


def measured(B=140, effect=1.0, seed=0):
    """Samples whose class changes, and that move, the more of their class's weight is taken; row[b] = b mod 7."""
    rng, row = np.random.default_rng(seed), np.arange(B) % 7
    left = placebos.own_weight(MIXTURES, CODES)[row]
    labels = np.zeros((B, 36), int)
    labels[:, 1:] = rng.random((B, 35)) < 0.2 + effect * 0.6 * (left == 0)
    return {"labels": labels, "distance": 5 + effect * (1 - left) + rng.normal(size=(B, 35)) / 10}, row


def test_seven_triples_are_codes_and_placebos_leave_a_quarter_a_half_or_three_quarters():
    own = coding.rank(CODES)
    assert len(TRIPLES) == 35 and len(set(own)) == 7
    assert np.array_equal(TRIPLES[own], CODES)
    left = placebos.own_weight(MIXTURES, CODES)
    assert left[:, own].round(6).tolist() == (0.5 * (1 - np.eye(7))).tolist()
    others = np.delete(left, own, axis=1).round(6)
    assert {*others.ravel()} == {0.25, 0.5, 0.75}


def test_doses_are_means_by_weight_left_and_kind():
    data, row = measured()
    row = np.where(np.arange(len(row)) < 14, -1, row)
    found = placebos.doses(data, row, MIXTURES, CODES, seed=0)
    kinds = [(dose.left, dose.real) for dose in found]
    assert kinds == [(0, True), (0.25, False), (0.5, True), (0.5, False), (0.75, False)]
    own = coding.rank(CODES)
    slow = [data["labels"][b, 1 + own[row[b]]] for b in range(14, 140)]
    assert found[0].changed.value == pytest.approx(np.mean(slow)) and found[0].changed.n == 126
    assert found[0].distance.value > found[1].distance.value > found[4].distance.value


def test_another_class_is_compared_with_placebos_that_leave_as_much():
    data, row = measured()
    excess, _ = placebos.beyond_placebos(data, row, MIXTURES, CODES, seed=0)
    assert excess.low < 0 < excess.high and excess.n == 140


def test_a_class_that_matters_comes_first_among_all_triples_and_one_that_does_not_does_not():
    data, row = measured()
    found = placebos.standing(data["distance"], row, CODES)
    assert found.place.tolist() == [1] * 7 and found.p == pytest.approx(1 / 35) and (found.q <= 0.05).all()
    assert found.together <= 1 / 5040 * 1.01 and found.orders == 5040
    data, row = measured(effect=0.0)
    found = placebos.standing(data["distance"], row, CODES)
    assert (found.q > 0.05).all() and found.together > 0.01


def test_the_exact_p_is_that_of_a_loop_over_orders():
    data, row = measured(B=21, effect=0.03)
    row[:3] = -1
    found = placebos.standing(data["distance"], row, CODES)
    number, totals = {code.tobytes(): v for v, code in enumerate(TRIPLES)}, []
    for order in permutations(range(7)):
        own = [number[code[list(order)].tobytes()] for code in CODES]
        totals.append(sum(data["distance"][b, own[c]] for b, c in enumerate(row) if c >= 0))
    assert found.together == pytest.approx(np.mean(np.array(totals) >= totals[0] - 1e-9))


def test_a_class_without_samples_has_no_place():
    data, row = measured(B=6)
    found = placebos.standing(data["distance"], row, CODES)
    assert found.place[6] == 0 and found.p[6] == found.q[6] == 1 and found.n[6] == 0


def test_classes_that_change_less_by_codes_than_by_placebos_are_counted():
    data, row = measured(B=70)
    _, found = placebos.beyond_placebos(data, row, MIXTURES, CODES, seed=0)
    changed = data["labels"][:, 1:] != data["labels"][:, :1]
    left, real = placebos.own_weight(MIXTURES, CODES).round(6), placebos.in_use(CODES)
    slow = 0
    for c in range(7):
        other, alike = real & (left[c] > 0), ~real & np.isin(left[c], left[c][real & (left[c] > 0)])
        slow += changed[row == c][:, other].mean() < changed[row == c][:, alike].mean()
    assert found == slow and 0 < slow < 7


def test_the_contrast_of_classes_and_placebos_is_exact_over_the_orders():
    rng, own = np.random.default_rng(0), coding.rank(CODES)
    values = rng.normal(size=35)
    values[own] += 2
    found = placebos.contrast(values, CODES)
    assert found.classes == pytest.approx(values[own].mean())
    assert found.placebos == pytest.approx(np.delete(values, own).mean())
    planes = {tuple(sorted(row)) for row in placebos._orders(CODES)}
    means = [values[list(plane)].mean() for plane in planes]
    assert len(planes) == 30  # every Fano plane on seven points
    assert found.p_more == pytest.approx(np.mean(np.array(means) >= found.classes - 1e-9)) and found.p_more < 0.05
    assert found.designs == len(planes)
    assert placebos.contrast(-values, CODES).p_less == pytest.approx(found.p_more)


@pytest.mark.parametrize(("common", "deals"), [(False, 200), (True, 10_000)])
def test_what_the_law_predicts_of_a_placebo_is_what_like_images_do(common, deals):
    rng, n, N = np.random.default_rng(0), 8, 40
    every, own, free = coding.unrank(range(70), n, 4) - 0.5, [], []
    effects = np.ones((N, 1)) if common else np.eye(N)
    for _ in range(deals):
        order = rng.permutation(70)
        squares = np.square(every @ (every[order[:N]].T @ effects)).sum(1)
        own.append(squares[order[:N]].mean())
        free.append(squares[order[N:]].mean())
    expected = placebos.predicted(N, n, 4)[int(common)]
    assert np.sqrt(np.mean(own) / np.mean(free)) - 1 == pytest.approx(expected, rel=0.1)
    assert (expected < 0) == common


def test_the_error_of_assigned_against_unassigned_is_that_of_dealing_again():
    rng = np.random.default_rng(0)
    values, taken = rng.gamma(4, size=60), np.zeros(60, bool)
    taken[:45] = True
    found = placebos.assigned(values, taken, 0.05)
    again = []
    for _ in range(4000):
        mixed = rng.permutation(values)
        again.append((mixed[:45].mean() - mixed[45:].mean()) / values.mean())
    assert (found.difference.high - found.difference.low) / (2 * 1.96) == pytest.approx(np.std(again), rel=0.05)
    assert found.p == pytest.approx(np.mean(np.abs(again) >= abs(found.difference.value)), abs=0.05)


def test_equivalence_needs_an_interval_inside_the_margin_and_not_only_a_large_p():
    rng, taken = np.random.default_rng(1), np.arange(10_000) < 7_000
    sure = placebos.assigned(5 + rng.normal(size=10_000), taken, 0.05)
    assert sure.equivalent < 0.05 < sure.p and abs(sure.difference.value) < sure.bound < 0.05
    assert placebos.assigned(5 + np.sin(np.arange(100)), np.arange(100) < 70, 0.05).bound > 0.05
    vague = placebos.assigned(5 + rng.normal(size=20), np.arange(20) < 14, 0.05)
    assert vague.equivalent > 0.05 and vague.seen > 0.05
    apart = placebos.assigned(5 + rng.normal(size=10_000) + taken, taken, 0.05)
    assert apart.p < 1e-6 and apart.equivalent > 0.5


def regenerating(effect=0.0, B=12, K=20, seed=0):
    """Samples of different scales whose true distances follow the influence of 70 codes, 50 of which images have."""
    rng, codes = np.random.default_rng(seed), coding.constant_weight(50, 8, 4, seed)
    asked = coding.rank(np.concatenate([codes, placebos.unassigned(codes)]))
    influence = rng.gamma(9, size=(B, 70)) * np.geomspace(1, 100, B)[:, None]
    rows = np.hstack([placebos.drawn(50, K // 2, B, seed), 50 + placebos.drawn(20, K // 2, B, seed + 1)])
    true = np.take_along_axis(influence[:, asked], rows, 1) * (1 + 0.02 * rng.normal(size=(B, K)))
    true[:, : K // 2] *= 1 + effect
    of_images = placebos.in_use(codes)
    truth = (influence[:, of_images].mean(1) - influence[:, ~of_images].mean(1)) / influence.mean(1)
    return true, influence, codes, rows, truth.mean()


def test_the_control_variate_takes_the_luck_of_the_draw_out():
    """Over many draws of codes, the error of the estimate with and without it."""
    off, plain, covered = [], [], []
    for seed in range(40):
        true, influence, codes, rows, truth = regenerating(seed=seed)
        found = placebos.regenerated(true, influence, codes, rows, 0.05).difference
        off.append(found.value - truth)
        plain.append(((true[:, :10].mean(1) - true[:, 10:].mean(1)) / true.mean(1)).mean() - truth)
        covered.append(found.low < truth < found.high)
    assert np.std(off) < np.std(plain) / 3 and np.mean(covered) > 0.9 and found.n == 12


def test_an_effect_of_having_an_image_is_found_under_it():
    *given, truth = regenerating(effect=0.3)
    found = placebos.regenerated(*given, 0.05)
    assert found.difference.low > truth + 0.1 and found.p < 0.001 and found.equivalent > 0.5


def test_codes_that_no_image_has_are_all_the_others():
    codes = coding.constant_weight(50, 8, 4, 0)
    free = placebos.unassigned(codes)
    assert len(free) == 20 and len(np.unique(np.concatenate([codes, free]), axis=0)) == 70
    assert len(placebos.unassigned(coding.unrank(range(70), 8, 4))) == 0


def test_drawn_rows_differ_within_a_sample_and_are_a_function_of_the_seed():
    rows = placebos.drawn(30, 5, 4, 1)
    assert rows.shape == (4, 5) and all(len(set(row)) == 5 for row in rows) and rows.max() < 30
    assert np.array_equal(placebos.drawn(30, 5, 6, 1)[:4], rows)
