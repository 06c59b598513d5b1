"""Two-sample tests on Gaussians that differ, and that do not."""

import numpy as np
import pytest
import torch

from genens_book.chapters.meaning import distribution
from genens_book.measures import fid
from genens_book.measures.judges import DigitNet


def features(n, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5)) + shift


def test_a_shift_is_seen_by_both_and_none_by_neither():
    for shift, seen in ((1.0, True), (0.0, False)):
        right, n = distribution.told_apart(features(120), features(150, shift, 1), seed=0)
        told = distribution.Told.of(right, n)
        assert n == 120 and (told.p < 0.01) is seen
        found = distribution.excess(features(120), features(150, shift, 1), 0, 99)
        assert (found.p == 0.01) is seen and (found.value > found.seen) is seen
        assert found.low < 0 < found.high


def test_the_excess_is_the_fid_less_its_mean_over_exchanges():
    one, other = features(40), features(60, 0.5, 1)
    rng, rows = np.random.default_rng(3), np.concatenate([one, other])
    null = []
    for _ in range(20):
        mixed = rows[rng.permutation(100)]
        null.append(fid.fid(mixed[:40], mixed[40:]))
    found = distribution.excess(one, other, 3, 20)
    assert found.value == pytest.approx(fid.fid(one, other) - np.mean(null), rel=1e-5)


def test_what_would_be_seen_is_seen_in_four_of_five():
    """80 % power at the smallest accuracy that counts as seen, by drawing answers."""
    told = distribution.Told.of(60, 100)
    answers = np.random.default_rng(0).binomial(100, told.seen, 4000)
    power = np.mean([distribution.Told.of(right, 100).p <= 0.05 for right in answers])
    assert power == pytest.approx(0.8, abs=0.06)


def test_compared_has_a_row_for_each_ablation_and_tells_them_apart():
    torch.manual_seed(0)
    judge = DigitNet().eval()
    draws = torch.Generator().manual_seed(0)
    y = torch.rand(16, 3, 1, 28, 28, generator=draws) * 2 - 1
    y[:, 2] = y[:, 2] * 0.2 + 0.8  # the second ablation changes what is drawn, the first only each sample
    whole = torch.rand(16, 1, 28, 28, generator=draws) * 2 - 1
    stored = distribution.compared(y.numpy(), whole.numpy(), judge, 0, 50)
    first, second = distribution.changes(stored, ["a", "b"], 50)
    assert first.kind == "a" and first.moved == pytest.approx(1, abs=0.02)
    assert second.fid.p < 0.02 and first.fid.p > 0.1
    assert second.told.accuracy.value == 1


def test_unrelated_is_the_distance_between_different_samples():
    y = np.array([0.0, 3, 7]).reshape(3, 1, 1, 1)
    assert distribution.unrelated(y) == pytest.approx((7 + 3 + 4) / 3)


def test_discoveries_are_counted_at_a_false_discovery_rate():
    assert distribution.discoveries([0.01, 0.04, 0.5]) == 1
    assert distribution.discoveries([]) == 0


def test_a_few_images_are_too_few():
    with pytest.raises(ValueError, match="at least 4 images of each, got 3 and 9"):
        distribution.told_apart(features(3), features(9), 0)
