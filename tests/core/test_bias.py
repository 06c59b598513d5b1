"""Theorem 1, part 2: the bounds against scipy and each other (and fractions: `chapters/theory/test_exact.py`)."""

from __future__ import annotations

import time
from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genens import codes
from genens.theory import bias


@settings(max_examples=15)
@given(st.integers(1, 2000), st.integers(7, 12), st.sampled_from([1, 2]))
def test_sharp_bound_agrees_with_scipy(N, h, statement):
    n, M = 2 * h, comb(2 * h, h)
    N = min(N, M)
    s = np.arange(N + 2 - statement)
    law = stats.hypergeom(M + 1 - statement, M // 2, N + 1 - statement)
    theirs = np.abs(law.pmf(s) - stats.binom(N + 1 - statement, 0.5).pmf(s)).sum()
    assert bias.bias_bound(N, n, h, "sharp", statement).value == pytest.approx(theirs, abs=1e-6)


@settings(max_examples=25)
@given(st.integers(1, 32), st.floats(0, 1))
def test_every_bound_is_above_the_sharp_one_and_both_statements_share_it(h, where):
    n, M = 2 * h, comb(2 * h, h)
    N = max(1, min(int(M**where), 10**6))
    for statement in (1, 2):
        sharp = bias.bias_bound(N, n, h, "sharp", statement)
        assert sharp.holds and 0 <= sharp.value <= 2
        for kind in ("birthday", "diaconis-freedman", "paper"):  # the paper's holds even where it asks for more codes
            assert bias.bias_bound(N, n, h, kind, statement).value >= sharp.value * (1 - 1e-8) - 1e-14
    assert bias.bias_bound(N, n, h, statement=1).value == pytest.approx(sharp.value, rel=1e-8, abs=1e-14)


def test_paper_settings():
    """The table of the chapter: the sharp values, the paper's, and where its hypothesis fails."""
    sharp = {name: bias.bias_bound(*setting).value for name, setting in codes.PAPER.items()}
    assert sharp == pytest.approx({"mnist": 0.6940, "cifar10": 0.1894, "celeba": 0.0377}, abs=5e-5)
    printed = {name: bias.bias_bound(*setting, "paper") for name, setting in codes.PAPER.items()}
    assert [round(bound.value) for bound in printed.values()] == [21_539, 54_023, 42_085]
    assert [bound.holds for bound in printed.values()] == [False, True, True]
    assert all(bound.value >= bias.TRIVIAL for bound in printed.values())  # they say nothing
    assert printed["mnist"].value == pytest.approx(log(16) * 9999**2 / 12_870)


def test_billions_of_images_take_less_than_a_second():
    """Process time: the machine may be busy. For M far above N the distance is 2 phi(1) N / M to first order."""
    began = time.process_time()
    value = bias.bias_bound(5_850_000_000, 60, 30).value
    assert time.process_time() - began < 1
    assert value == pytest.approx(2 * stats.norm.pdf(1) * 5.85e9 / comb(60, 30), rel=1e-4)


def test_hypotheses_are_reported():
    assert bias.bias_bound(10, 6, 3, "paper").holds and not bias.bias_bound(11, 6, 3, "paper").holds
    assert "2N" in bias.bias_bound(10, 6, 3, "paper").hypothesis
    assert bias.bias_bound(5, 7, 2).value > 0  # the sharp one takes any weight


@settings(max_examples=20)
@given(st.integers(1, 10**5), st.floats(1e-6, 2), st.sampled_from(["sharp", "birthday", "paper"]))
def test_members_needed_is_the_smallest_even_number_that_will_do(N, target, kind):
    n = bias.members_needed(N, target, kind)
    found = bias.bias_bound(N, n, n // 2, kind)
    assert n % 2 == 0 and found.holds and found.value <= target
    for fewer in range(2, n, 2):
        if comb(fewer, fewer // 2) >= N:
            less = bias.bias_bound(N, fewer, fewer // 2, kind)
            assert not less.holds or less.value > target


def test_members_needed_for_laion():
    """5.85 billion images: 42 members hold the bias within 1 %, where the paper's bound asks for many more."""
    assert bias.members_needed(5_850_000_000, 0.01) == 42
    assert bias.members_needed(5_850_000_000, 0.01, "paper") > 70


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bias.bias_bound(71, 8, 4), r"expected 1 <= N <= C\(8, 4\) = 70, got N = 71"),
        (lambda: bias.bias_bound(0, 8, 4), "got N = 0"),
        (lambda: bias.bias_bound(5, 7, 3, "paper"), "expected n = 2h, .* got n = 7, h = 3"),
        (lambda: bias.bias_bound(5, 8, 3, "birthday"), "expected n = 2h"),
        (lambda: bias.bias_bound(5, 8, 8), r"h in 1..n-1, got n = 8, h = 8"),
        (lambda: bias.bias_bound(5, 8, 4, "tight"), "expected kind as one of paper, .*; got 'tight'"),
        (lambda: bias.bias_bound(5, 8, 4, statement=3), "statement 1 or 2 .* got 3"),
        (lambda: bias.bias_bound(10**13, 64, 32), "got N = 10000000000000"),
        (lambda: bias.members_needed(100, -0.1), "target bias above 0, got N = 100, target -0.1"),
        (lambda: bias.members_needed(100, float("nan")), "target bias above 0"),
        (lambda: bias.members_needed(0, 0.1), "got N = 0"),
        (lambda: bias.members_needed(10, 1e-300), "expected a target that 1000 members can meet"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
