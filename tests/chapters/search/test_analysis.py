"""Top lists against slow oracles: counterfactuals one by one, sorted by hand, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import STEPS, Posterior, exogenous
from support.grams import CODES, jacobians, plain

from genens import attribution
from genens import codes as coding
from genens.data import Dataset
from genens.jacobians import centred, gram, jacobian
from genens.sampling import counterfactuals, sample
from genens_book.chapters.search import analysis
from genens_book.measures import gallery, not_run
from genens_book.measures.distances import euclidean


def gallery_of(images):
    """Pictures (N, C, H, W), grey levels from 0 to 255, all at hand."""
    return gallery.of(Dataset(images.to(torch.uint8), torch.zeros(len(images), dtype=torch.int64), "some", ("one",)))


def test_the_plain_route_is_the_loop_over_images_and_the_gram_route_agrees_with_it():
    J = jacobians()
    np.testing.assert_allclose(analysis.plain_influence(J, CODES), plain(J, CODES), rtol=1e-12)
    assert analysis.disagreement(attribution.influence(gram(J), CODES), analysis.plain_influence(J, CODES)) < 1e-10
    assert analysis.routes_apart(attribution.influence(gram(J), CODES), J, CODES) < 1e-10
    with pytest.raises(ValueError, match=r"agree to 1e-10 in float64; they differ by 1.0e-03"):
        analysis.routes_apart(1.001 * attribution.influence(gram(J), CODES), J, CODES)
    assert analysis.disagreement(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5


def test_random_images_are_not_in_the_list_and_do_not_depend_on_other_samples():
    listed = np.array([[3, 4, 5], [0, 1, 2]])
    drawn = analysis.random_rows(9, listed, 0)
    for row, random in zip(listed, drawn, strict=True):
        assert not set(row) & set(random) and len(set(random)) == 3
    np.testing.assert_array_equal(analysis.random_rows(9, listed[:1], 0), drawn[:1])
    assert set(analysis.random_rows(4, listed[1:], 0).ravel()) == {3}  # fewer are left than the list is long
    with pytest.raises(ValueError, match="lower k"):
        analysis.random_rows(3, listed[1:], 0)


def test_the_second_stage_sorts_by_the_true_counterfactuals():
    members, codes = Posterior(), coding.unrank(range(6), 4, 2)
    noise = exogenous(members, 3)
    J = jacobian(members, noise, STEPS)[1]
    top = attribution.top_k(gram(J), codes, 4)
    whole = sample(members, noise, STEPS)[0]
    found = analysis.rerank(top, euclidean(counterfactuals(members, noise, STEPS, codes, top.rows), whole).T)
    for b in range(3):
        true = {}
        for row in top.rows[b]:
            without = sample(members, noise[b : b + 1], STEPS, coding.ablated(codes, int(row))[None])[0, 0]
            true[row] = float((without - whole[b]).norm())
        assert found.top.rows[b].tolist() == sorted(true, key=lambda row: -true[row])
        np.testing.assert_allclose(found.top.influence[b], sorted(true.values(), reverse=True))


def test_what_the_second_stage_reports():
    top = attribution.Top(np.array([[5, 6, 7], [8, 9, 4]]), np.array([[3.0, 2, 1], [3, 2, 1]]))
    found = analysis.rerank(top, np.array([[1.0, 5, 0], [9, 3, 1]]))
    assert found.top.rows.tolist() == [[6, 5, 7], [8, 9, 4]]
    assert found.moved == pytest.approx(2 / 6) and found.same_first == 0.5
    np.testing.assert_allclose(found.correlation, [0.5, 1])
    with pytest.raises(ValueError, match="finite distances"):
        analysis.rerank(top, np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match=r"shape \(2, 3\), got shape \(2, 2\)"):
        analysis.rerank(top, np.ones((2, 2)))


def test_lists_that_are_right_win_every_pair_and_ties_count_half():
    listed, random = np.array([[5.0, 6], [7, 8]]), np.array([[1.0, 2], [3, 4]])
    assert analysis.beats_random(listed, random, 0).value == 1
    assert analysis.beats_random(random, listed, 0).value == 0
    assert analysis.beats_random(listed, listed, 0).value == 0.5


def test_ties_are_counted_by_where_the_complement_is():
    codes = coding.unrank(range(70), 8, 4)  # every code, so every complement
    for k, cut in ((10, 0), (11, 3)):
        top = attribution.top_k(gram(jacobians()), codes, k)
        assert analysis.ties(top, codes) == analysis.Ties(both=30, cut=cut, single=0)
    assert "30 entries stand beside" in str(analysis.ties(top, codes))
    none = coding.unrank(range(8), 8, 1)  # codes of another weight than n/2 have no complement
    assert analysis.ties(attribution.top_k(gram(jacobians()), none, 2), none).single == 6


def test_concentration_counts_distinct_images():
    top = attribution.Top(np.array([[0, 1], [0, 2], [0, 3]]), np.ones((3, 2)))
    found = analysis.concentration(top, 1000)
    assert (found.entries, found.distinct, found.most) == (6, 4, 3)
    assert found.by_chance == pytest.approx(5.99, abs=0.01) and found.effective == pytest.approx(36 / 12)


def test_discounting_is_the_papers_procedure():
    J, codes = jacobians(B=4, n=12), coding.constant_weight(600, 12, 6, 0)
    G = gram(jacobians(B=1, n=12, seed=1) + 0.5 * J)  # some images are influential in all
    scores, gone, rounds = attribution.influence(G, codes), set(), []
    while True:  # Figure 6d, by hand
        lists = [[x for x in np.argsort(-row, kind="stable") if x not in gone][:4] for row in scores]
        everyone = [x for row in lists for x in row]
        shared = {x for x in everyone if everyone.count(x) > 1}
        if not shared:
            break
        gone |= shared
        rounds.append(sorted(shared))
    found = analysis.discounted(G, codes, 4)
    assert found.top.rows.tolist() == lists and [row.tolist() for row in found.removed] == rounds and len(rounds) > 1
    assert len(attribution.repeated(found.top)) == 0
    np.testing.assert_array_equal(attribution.repeated(attribution.top_k(G, codes, 4)), rounds[0])


def test_discounting_without_end_is_told_and_other_errors_are_raised():
    G = gram(jacobians(1).expand(2, -1, -1, -1, -1))
    left = analysis.discounted(G, CODES, 4)
    assert isinstance(left, not_run.NotRun) and "database of 50 images" in left.reason
    with pytest.raises(ValueError, match="got NaN"):
        analysis.discounted(G * np.nan, CODES, 4)
    assert isinstance(analysis.discounted(gram(jacobians(1)), CODES, 4), analysis.Discounted)


def test_a_copy_is_found_where_there_is_one():
    drawn = gallery_of(torch.randint(256, (20, 1, 6, 6), generator=torch.Generator().manual_seed(0)))
    images = drawn[:]
    y = np.stack([images[4] + 0.01, images[7] + 0.01, 0.6 * images[1] + 0.4 * images[2]])
    top = attribution.Top(np.array([[4, 9], [8, 9], [1, 2]]), np.ones((3, 2)))
    found = analysis.likeness(y, drawn, top)
    apart = np.sqrt(((y[:, None] - images[None]) ** 2).sum((2, 3, 4)))
    by_hand = [[sorted(row).index(row[x]) + 1 for x in listed] for row, listed in zip(apart, top.rows, strict=True)]
    np.testing.assert_array_equal(found.place, by_hand)
    assert found.nearest[:2].tolist() == [4, 7]
    assert found.in_list.tolist() == [True, False, found.nearest[2] in (1, 2)]
    assert analysis.copies(y, drawn).value == 2 / 3, "close, close though not listed, and between two"
    few = replace(drawn, rows=drawn.rows[:9], images=drawn.images[:9])
    assert "all images of some" in analysis.likeness(y, few, top).reason == analysis.copies(y, few).reason


def test_copies_are_counted_among_all_images():
    images = gallery_of(torch.tensor([[0, 0], [255, 0], [0, 255]]).view(3, 1, 1, 2))
    y = np.array([[-0.98, -1], [0, 0], [0.8, -0.9], [-0.8, 0.8]]).reshape(4, 1, 1, 2)
    found = analysis.copies(y, images)
    assert (found.value, found.n) == (0.75, 4), "the second lies midway between two"


def test_centred_columns_keep_the_gram_route_exact_where_the_columns_share_nearly_everything():
    J = jacobians() * 1e-6 + torch.randn(3, 1, 1, 5, 5, generator=torch.Generator().manual_seed(1)).double()
    exact = analysis.plain_influence(J, CODES)
    assert analysis.disagreement(attribution.influence(gram(centred(J)), CODES), exact) < 1e-10
    assert (
        analysis.disagreement(attribution.influence(gram(J), CODES), exact) > 1e-10
    )  # which is why the chapter centres


def test_lists_that_share_an_image_stand_out_from_random_ones_and_random_ones_do_not():
    apart = attribution.Top(np.arange(40).reshape(4, 10), np.ones((4, 10)))
    shared = attribution.Top(np.tile(np.arange(10), (4, 1)), np.ones((4, 10)))
    assert analysis.beyond_chance(shared, 1000, 0).low > 0
    none = analysis.beyond_chance(apart, 1000, 0)
    assert none.low < 0 <= none.high and none.value < 0
    # 4 lists of 10 out of 1000: an image is in two or more with probability 1 - .99^4 - 4 * .01 * .99^3
    assert none.value == pytest.approx(-1000 * (1 - 0.99**4 - 4 * 0.01 * 0.99**3), abs=0.05)


def test_the_cut_off_prediction_is_the_distance_of_two_clamped_images():
    J = np.asarray(jacobians())
    rows = np.array([[2, 0]] * len(J))
    y = np.random.default_rng(0).normal(0, 1.2, (len(J), *J.shape[2:]))
    found = analysis.cut_off(y, J, CODES, rows)
    for b in range(len(J)):
        for j, x in enumerate(rows[b]):
            move = coding.ablated(CODES, int(x)) - coding.uniform(CODES.shape[1])
            there = (y[b] + np.tensordot(move, J[b], 1)).clip(-1, 1)
            assert found[b, j] == pytest.approx(np.linalg.norm(there - y[b].clip(-1, 1)), rel=1e-6)


def test_scores_that_rank_images_alike_are_alike():
    up = np.arange(5.0)
    assert analysis.likeness_of_scores(np.stack([up, up**3])) == pytest.approx(1)
    assert analysis.likeness_of_scores(np.stack([up, -up, up])) == pytest.approx(-1 / 3)
    assert analysis.likeness_of_scores(up[None]) == 0


def test_the_first_image_stands_out_by_its_multiple_of_the_median_one():
    influence = np.array([[1.0, 2, 8], [3, 3, 3], [1, 1, 2]])
    assert analysis.stands_out(influence) == 2


def test_the_saving_for_the_papers_shapes():
    numbers = {name: (analysis.saving(name).gram[0], analysis.saving(name).jacobian[0]) for name in analysis.SHAPES}
    assert numbers == {"mnist": (256, 12544), "cifar10": (400, 61440), "celeba": (576, 1179648)}
    assert "celeba: 576 numbers a sample instead of 1,179,648 (2048 times fewer)" in str(analysis.saving("celeba"))
    with pytest.raises(ValueError, match="among mnist"):
        analysis.saving("imagenet")
    *paper, here = analysis.savings((1, 4, 4), 6, 20)
    assert [one.dataset for one in paper] == list(analysis.SHAPES) and here == analysis.Saving("this run", 16, 6, 20)


def test_decoders_are_named_and_an_unknown_one_is_refused_before_work():
    G = gram(jacobians())
    assert analysis.decoder("matched filter")(G, CODES) is G
    np.testing.assert_array_equal(analysis.decoder("ridge regression")(G, CODES), attribution.ridge(G, CODES))
    with pytest.raises(ValueError, match="decoder as one of matched filter, ridge regression; got 'lasso'"):
        analysis.decoder("lasso")
