"""What is measured on closed-form members, against slower versions and exact probabilities."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from support.closed_form import posterior_mean, some_images

from genens import closed_form, codes, sampling, schedules
from genens.data import to_unit
from genens.theory import bias
from genens_book.chapters.theory import testbed


def test_enumerated_is_the_mean_over_every_subset():
    images, t = some_images(5), 600
    truth, data = testbed.Enumerated(images), to_unit(images).double()
    x = torch.randn(2, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for without in (None, 0, 4):
        kept = [j for j in range(5) if j != without]
        every = [list(chosen) for k in range(len(kept) + 1) for chosen in combinations(kept, k)]
        for b in range(2):
            slow = torch.stack([posterior_mean(x[b], data[chosen], t) for chosen in every]).mean(0)
            found = truth.denoised(x, t, [0 if without is None else without + 1])[0, b]
            assert torch.allclose(found, slow, atol=1e-10)
    assert torch.allclose(truth.table(x, t).mean(0), truth.denoised(x, t, [0])[0].flatten(1))


def test_an_ensemble_with_every_subset_of_one_size_is_what_the_table_says():
    """f^_e of all codes in use: member i's row of the table is member i's prediction."""
    images, drawn, t = some_images(6), codes.unrank(range(6), 4, 2), 500
    members, truth = closed_form.Members(images, drawn), testbed.Enumerated(images)
    x = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = (drawn.T.astype(int) << np.arange(6)).sum(1)
    assert torch.allclose(truth.table(x, t)[rows, 0], members.denoised(x, t).flatten(1))


def test_enumerated_has_a_digest_of_its_own_and_takes_few_images():
    one, other = testbed.Enumerated(some_images(6)), testbed.Enumerated(some_images(6, seed=1))
    assert len({one.digest, other.digest, closed_form.LeaveOneOut(some_images(6)).digest}) == 3
    with pytest.raises(ValueError, match=r"at most 12 images .* got 13"):
        testbed.Enumerated(some_images(13))


def test_left_out_samples_are_those_of_generating_every_counterfactual():
    images, steps = some_images(30, (1, 6, 6)), schedules.schedule(8, "ddim")
    denoiser = closed_form.LeaveOneOut(images)
    noise = sampling.Noise(3, range(3), denoiser.shape, len(steps))
    every = sampling.sample(denoiser, noise, steps, np.eye(31))
    assert torch.allclose(testbed.left_out(denoiser, noise, steps), every, atol=1e-5)


def test_influence_is_the_distance_to_each_counterfactual():
    images, drawn = some_images(8, (1, 4, 4)), codes.constant_weight(8, 6, 3, 1)
    members, steps = closed_form.Members(images, drawn), schedules.schedule(6, "ddim")
    found = testbed.influence([5, 2], images, drawn, 1, steps)
    noise = sampling.Noise(1, [5, 2], members.shape, 6)
    y, without = sampling.sample(members, noise, steps, [codes.uniform(6), codes.ablated(drawn, 7)])
    assert found["ablation"].shape == found["left_out"].shape == (2, 8)
    assert torch.allclose(found["ablation"][:, 7], (without - y).flatten(1).norm(dim=1))
    one = testbed.influence([2], images, drawn, 1, steps)
    assert torch.equal(one["ablation"][0], found["ablation"][1]), "a sample must not depend on its batch"


def test_search_is_the_first_order_effect_of_each_ablation():
    """On nearly equal images, where a step of 1e-4 of the way to the counterfactual is linear to many digits."""
    images, steps = testbed.nearly_equal(some_images(8, (1, 4, 4))), schedules.schedule(6, "ddim")
    members = closed_form.Members(images, codes.constant_weight(8, 6, 3, 1))
    noise, start = sampling.Noise(1, range(2), members.shape, 6), codes.uniform(6)
    moves = codes.ablations(members.codes) - start
    y = sampling.sample(members, noise.tensor().double(), steps, np.concatenate([start[None], start + 1e-4 * moves]))
    slow = (y[1:] - y[:1]).flatten(2).norm(dim=2).T / 1e-4
    found = testbed.influence(range(2), images, members.codes, 1, steps)["search"]
    assert torch.allclose(found, slow, rtol=1e-2, atol=1e-6)


def test_the_bias_of_random_assignments_is_the_exact_one():
    """Thousands of assignments against exact probabilities, both statements; below the bound."""
    images, n, h, N = some_images(6), 6, 3, 6
    x, t = testbed.probes(images, [700], seed=0)[0]
    table = testbed.Enumerated(images).table(x, t)[:, 0].numpy()
    measured = testbed.errors(range(3000), table, N, n, h, seed=0)
    for statement, error in enumerate(measured.values(), 1):
        exact = testbed.exact_errors(table, n, h, statement)
        z = (error.mean(0) - exact) / (error.std(0) / 3000**0.5)
        assert np.abs(z).max() < 4.5
        assert np.abs(exact).max() <= bias.bias_bound(N, n, h, statement=statement).value


def test_bias_and_spread_gives_every_quantity_for_every_ensemble():
    found = testbed.bias_and_spread(some_images(6), [6, 8], [300, 800], trials=60, seed=0)
    assert {value.shape for value in found.values()} == {(2, 2)}
    assert (found["exact"] <= found["sharp"]).all() and (found["sharp"] <= found["paper"]).all()
    assert (found["exact"] < found["spread"]).all()
    assert (np.abs(found["bias"] - found["exact"]) < 5 * found["error"]).all()


def test_agreement_counts_what_it_says():
    left_out = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 0.005]])
    found = testbed.agreement(np.array([[1.0, 9.0, 2.0], [1.0, 2.0, 3.0]]), left_out)
    assert found["same"].tolist() == [True, False] and found["rank"].tolist() == [1, 3]
    assert found["moved"].tolist() == [2, 1] and found["correlation"] == pytest.approx([1.0, -0.5])


def test_the_linear_approximation_errs_to_second_order():
    """Section 2.4: O(|v - u_0|^2)."""
    distances = [0.01, 0.02, 0.04, 0.08]
    images = testbed.nearly_equal(some_images(12, (1, 4, 4)))
    members = closed_form.Members(images, codes.constant_weight(12, 6, 3, 0))
    error = testbed.linearisation(members, 0, schedules.schedule(10, "ddim"), distances)
    assert testbed.order(distances, error) == pytest.approx(2, abs=0.1)
