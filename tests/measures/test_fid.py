"""FID's bias and interval against Gaussians whose distance is known."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from genens_book.measures import fid as module


def normal(n, F=3, seed=0, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(shift, scale, (n, F))


def test_the_quick_distance_is_torchmetrics():
    a, b = normal(60, 5, 1, 0.3), normal(90, 5, 2) @ normal(5, 5, 3)
    reference = module.Reference(torch.from_numpy(b))
    assert reference.fid(a) == pytest.approx(module.fid(a, b), rel=1e-8)
    few = normal(4, 5, 4)  # a covariance that has no inverse
    assert reference.fid(few) == pytest.approx(module.fid(few, b), rel=1e-6)
    few, wide = normal(30, 40, 5), normal(90, 40, 6, 0.2)  # fewer rows than features, as Inception's are
    assert module.Reference(wide).fid(few) == pytest.approx(module.fid(few, wide), rel=1e-6)


def test_the_kernel_distance_is_torchmetrics_and_has_no_bias():
    a, b = normal(50, 6, 1, 0.4), normal(50, 6, 2)
    assert module.kid(a, b) == pytest.approx(float(poly_mmd(*(torch.from_numpy(side) for side in (b, a)))), rel=1e-8)
    same = [module.kid(normal(8, 6, seed), normal(200, 6, 1000 + seed)) for seed in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / len(same) ** 0.5 < 0.1
    with pytest.raises(ValueError, match="got 1 and 50"):
        module.kid(a[:1], b)


def test_what_an_estimate_says():
    reference, rows = module.Reference(normal(4000, seed=9)), normal(200, shift=0.5)
    found = module.estimate(rows, reference, seed=1, n_boot=60)
    assert found.value == pytest.approx(module.fid(rows, reference.features), rel=1e-10)
    assert found.spread.low < found.value < found.spread.high and found.spread.n == 200
    assert found.bias > 0 and found.infinite.value < found.value
    assert found.sizes[0] == 200 and found.sizes[-1] == 66 and (np.diff(found.curve) > 0).all()
    assert found.draws.shape == (60, 2) and abs(found.draws.mean(0)).max() < 1e-12
    again = module.estimate(rows, reference, seed=1, n_boot=60)
    assert again.infinite == found.infinite and again.spread == found.spread


def test_moments_alone_are_reference_enough():
    given, rows = normal(4000, seed=9), normal(200, shift=0.5)
    whole = module.estimate(rows, module.Reference(given), seed=1, n_boot=20)
    moments = module.Reference.of_moments(given.mean(0), np.cov(given, rowvar=False))
    found = module.estimate(rows, moments, seed=1, n_boot=20)
    assert found.value == pytest.approx(whole.value, rel=1e-9) and moments.features is None
    assert found.infinite.low == pytest.approx(whole.infinite.low) and found.spread.high == pytest.approx(
        whole.spread.high
    )


def test_the_bias_shrinks_with_n_and_the_extrapolation_takes_most_of_it_out():
    reference = module.Reference(normal(20000, seed=9))
    truth = module.fid(normal(20000, seed=8, shift=0.2), reference.features)  # 3 x 0.2^2, nearly
    found = [
        [module.estimate(normal(n, seed=100 + s, shift=0.2), reference, s, n_boot=2) for s in range(20)]
        for n in (40, 160)
    ]
    off = [np.mean([e.value for e in side]) - truth for side in found]
    left = [np.mean([e.infinite.value for e in side]) - truth for side in found]
    assert off[0] > 2.5 * off[1] > 0 and abs(left[0]) < off[0] / 2


def test_its_interval_holds_the_truth_where_the_plain_bootstraps_does_not():
    F, n, tries = 6, 60, 30
    reference, truth, hits, plain = module.Reference(normal(20000, F, 9)), 0.0, 0, 0
    rng = np.random.default_rng(0)
    for s in range(tries):
        rows = normal(n, F, 200 + s)
        found = module.estimate(rows, reference, s, n_boot=40, points=3)
        hits += found.infinite.low <= truth + 0.01 and found.infinite.high >= truth - 0.01
        naive = [reference.fid(rows[rng.integers(0, n, n)]) for _ in range(40)]
        plain += np.quantile(naive, 0.025) <= truth + 0.01
    assert plain == 0 and hits >= 0.7 * tries


def test_the_ensemble_against_its_worst_member():
    reference = module.Reference(normal(2000, seed=9))
    good, bad, worse = (
        module.estimate(normal(150, seed=s, shift=d), reference, s, n_boot=60)
        for s, d in ((1, 0.1), (2, 0.5), (3, 1.0))
    )
    found = module.below_largest(good, [bad, worse])
    assert found.value == good.value - worse.value and found.low < found.value < found.high < 0
    assert module.below_largest(worse, [good, bad]).low > 0
    ratio = module.of_median(good, [bad, worse])
    assert ratio.value == pytest.approx(good.value / ((bad.value + worse.value) / 2))
    assert ratio.low < ratio.value < ratio.high < 1 < module.of_median(worse, [good, bad]).low
    with pytest.raises(ValueError, match="n = 150 too, got n = \\[40\\]"):
        module.below_largest(good, [module.estimate(normal(40), reference, n_boot=2)])


def test_what_two_sets_share_row_by_row_cancels_in_the_difference_of_their_fids():
    """Sets that differ by little in every row are told apart by samples that leave each of their FIDs uncertain."""
    reference, shared = module.Reference(normal(2000, seed=9)), normal(300, seed=1)
    near = shared + 0.05 * normal(300, seed=2) + 0.05
    own = module.estimate(shared, reference, 0, 100), module.estimate(near, reference, 0, 100)
    other = module.estimate(near, reference, 7, 100)
    paired, apart = module.below_largest(own[0], own[1:]), module.below_largest(own[0], [other])
    assert paired.value == apart.value
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)


def test_the_plane_is_that_of_the_largest_variance_of_all_sets_together():
    scales = np.array([1.0, 5.0, 0.1, 3.0])
    a, b = normal(300, 4, 1) * scales, normal(200, 4, 2) * scales + 1
    x, y = module.plane(a, b)
    assert x.shape == (300, 2) and y.shape == (200, 2)
    joint = np.concatenate([a, b]) - np.concatenate([a, b]).mean(0)
    singular = np.linalg.svd(joint, compute_uv=False)
    np.testing.assert_allclose(np.sqrt((np.concatenate([x, y]) ** 2).sum(0)), singular[:2])
    assert np.corrcoef(x[:, 0], a[:, 1])[0, 1] > 0.9 and np.corrcoef(x[:, 1], a[:, 3])[0, 1] > 0.9
    with pytest.raises(ValueError, match="same number of features"):
        module.plane(a, b[:, :3])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda r: module.estimate(normal(7), r), "n >= 8"),
        (lambda r: module.estimate(normal(20, 4), r), r"\(n >= 8, 3\)"),
        (lambda r: module.estimate(normal(20) * np.nan, r), "not finite"),
        (lambda r: module.Reference(normal(1)), "at least 2 rows"),
        (lambda r: module.Reference.of_moments(np.zeros(3), np.eye(2)), r"a mean \(F,\) and a covariance"),
        (lambda r: module.Reference.of_moments(np.full(3, np.nan), np.eye(3)), "not finite"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(module.Reference(normal(30)))
