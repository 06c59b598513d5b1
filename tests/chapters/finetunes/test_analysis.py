"""What the chapter says of fine-tunes: p-values that are exact, a law that is met, losses before and after."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from genens import codes as coding
from genens import data, finetunes, unlearn
from genens.recipe import trained_on
from genens.sampling import exogenous, sample
from genens.schedules import schedule
from genens.theory import identification
from genens_book.chapters.finetunes import analysis, contest, estimators, gradients, truth


def simulated(N=60, n=120, m=40, noise=0.0, seed=0, spread=0.0):
    """Codes, effects and members' values: sums of effects, and noise as a share of what the effects vary by."""
    rng, h = np.random.default_rng(seed), 3 * n // 4
    codes = coding.constant_weight(N, n, h, seed)
    effects = rng.normal(size=(N, m)) * np.exp(spread * rng.normal(size=(N, 1)))
    size = noise * 0.75 * 0.25 * np.square(effects).sum() / m
    return codes, effects, codes.T @ effects + rng.normal(size=(n, m)) * size**0.5


def test_samples_without_an_image_are_those_of_the_network_less_what_it_adds(trained):
    members, steps = finetunes.load(trained / "signs"), schedule(3)
    added = analysis.effects(members)
    y = analysis.without([2, members.codes.shape[0]], members, steps, 2, 5)["y"]
    noise, whole = exogenous(range(2), members, 5, steps), analysis.whole(members, added)
    for row, change in zip(y, (whole - added[2], whole), strict=True):
        expected = sample(one_network(members, change), noise, steps)[0]
        torch.testing.assert_close(row, expected, atol=1e-3, rtol=0)


def one_network(members, change):
    code = np.ones((1, 1), bool)
    return finetunes.Averaged(members.base, change[None], code, members.shape, rank=members.manifest["rank"])


def test_pairs_can_be_removed_where_a_member_lacks_both():
    codes = np.array(
        [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1]], bool
    )  # the first two are both lacked by the last member
    assert analysis.removable_pairs(codes) == pytest.approx(1 / 3)


def test_other_codes_are_drawn_as_the_images_were_and_none_is_an_images():
    codes = coding.constant_weight(20, 8, 6, 0)  # of 28 that there are
    others = analysis.fresh(codes, 100, 1)
    assert others.shape == (8, 8) and (others.sum(1) == 6).all()
    assert len(np.unique(np.vstack([codes, others]), axis=0)) == 28
    assert analysis.fresh(codes, 3, 1).shape == (3, 8)


def test_p_values_are_uniform_without_effects_and_small_with_them():
    codes, _, values = simulated(N=60, n=120)
    null = np.random.default_rng(5).normal(size=(120, 3, 1, 1, 40))
    others = analysis.fresh(codes, 199, 3)
    p = analysis.p_values([0, 1, 2], codes, null, others, 0.1)["p"]
    assert p.shape == (3, 60) and p.min() >= 1 / 200
    assert kstest(p.ravel(), "uniform").pvalue > 0.01
    assert analysis.p_values([0], codes, values.reshape(120, 1, 1, 1, 40), others, 0.1)["p"].max() == 1 / 200


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_the_noise_share_is_found_again(noise):
    found = []
    for seed in range(4):
        codes, _, values = simulated(N=150, n=300, m=200, noise=noise, seed=seed)
        found.append(analysis.noise_share(codes, values @ values.T))
    assert np.mean(found) == pytest.approx(noise, rel=0.12, abs=1e-3)


@pytest.mark.parametrize(("n", "noise"), [(60, 0.0), (120, 0.0), (120, 0.5), (400, 0.5)])
def test_the_recall_that_the_law_expects_is_that_of_simulated_regressions(n, noise):
    N, m, found = 150, 60, []
    for seed in range(6):
        codes, effects, values = simulated(N, n, m, noise, seed, spread=0.5)
        decoder = estimators.ridge(codes, estimators.products(torch.from_numpy(values)))
        lengths = np.linalg.norm(effects, axis=1)[:, None]
        got = np.linalg.norm(decoder @ values, axis=1)[:, None]
        beta = min(identification.decoded(n, N, noise), 1e6)
        found.append((estimators.hit(got, lengths, 10)[0], analysis.expected(lengths, beta, np.array([m]), 10, seed)))
    seen, law = np.mean(found, axis=0)
    assert seen == pytest.approx(law, abs=0.1)


def test_the_law_finds_all_without_error_and_as_many_as_chance_with_nothing_else():
    lengths = np.exp(np.random.default_rng(0).normal(size=(40, 3)))
    assert analysis.expected(lengths, 1e9, np.array([20.0] * 3), 10, 0) == 1
    assert analysis.expected(lengths, 1e-9, np.array([20.0] * 3), 10, 0) == pytest.approx(0.25, abs=0.03)


def test_what_fine_tuning_lowers_is_measured_at_the_same_noise_before_and_after(trained):
    members = finetunes.load(trained / "signs")
    images = data.to_unit(trained_on(members.manifest).images)
    others = images.flip(-1)
    found = analysis.memberships(members, images, others, 7)
    assert {name: values.shape for name, values in found.items()} == {
        "kept": (5,),
        "rows": (5,),
        "removed": (5,),
        "never": (5,),
    }
    few = members.codes[:, :2]
    part = analysis.memberships(contest.first(members, 2), images, others, 7)
    assert part["rows"].tolist() == np.flatnonzero(~few.all(axis=1)).tolist() != [*range(5)]
    for row in range(5):
        t, noise = (side[row] for side in gradients.looks(5, images.shape[1:], members.base.config.T, 7))
        lost = [
            gradients.values(network, images[row], t, noise).item()
            for network in (members.base, unlearn.unlearned(members, [row]).models[0])
        ]
        assert found["removed"][row] == pytest.approx(lost[0] - lost[1], abs=1e-6)
    assert found["kept"].mean() > 0


def test_what_removal_leaves_is_set_beside_retraining(trained):
    members, steps = finetunes.load(trained / "signs"), schedule(3)
    noise = exogenous(range(2), members, 5, steps)
    without = sample(unlearn.unlearned(members, [1]), noise, steps)[0]
    moved = torch.zeros(5, *without.shape)
    moved[1, 1, 0, 0, 0] = 3.0
    about = {"noise_seed": 5, "steps": 3}
    true = truth.Truth(without[None], np.zeros((1, 5, 2)), moved, None, None, about)
    apart = analysis.from_retrained(members, true, 1)["apart"]
    torch.testing.assert_close(apart, torch.tensor([0.0, 3.0]), atol=1e-3, rtol=0)


def test_an_image_to_remove_is_one_that_some_member_lacks():
    codes = np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)
    assert analysis.removable(codes) == [1] and analysis.removable(codes, np.array([[2]])) == [2]
    assert analysis.removable(codes, np.array([[3]])) == [1]


def test_a_repeated_truth_agrees_with_itself_and_unlike_ones_do_not():
    draw = np.random.default_rng(0)
    lengths = draw.random((3, 40, 4))
    y = torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 4, 1, 2, 2)
    same = truth.Truth(y, np.stack([lengths[0]] * 3), None, None, None, {})
    assert analysis.repeated(same, 10)["recall@10"].value == 1
    other = analysis.repeated(truth.Truth(y, lengths, None, None, None, {}), 10)
    assert abs(other["spearman"].value) < 0.3 and other["hit@1"].value < 0.5
    assert analysis.seeds_apart(same).value == pytest.approx(2 * 4 / 3)  # distances 2, 2 and 4 between grey images


def test_plans_grow_with_the_images_and_groups_shrink_with_the_members():
    found = analysis.plans([100, 1000], noise=0.1, d=20, n=500, density=0.75, rate=0.01, each=1000)
    few, many = found
    assert few.members < many.members and few.group == 1 < many.group
    assert few.hours == pytest.approx(few.members * 75 * 0.01 / 3600) and few.bytes == 1000 * few.members
    beta = identification.decoded(many.members, 1000, 0.1)  # at which one of them is found as often as asked
    assert identification.power(beta, 1, 1000, 20) == pytest.approx(analysis.SURE, abs=1e-3)
    seen, short = (analysis.members_needed(-(-1000 // g), 0.1, 20) for g in (many.group, many.group - 1))
    assert seen <= 500 < short
