"""Theorem 1, part 2: the core's bound against rational arithmetic, and that against every assignment of codes."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genens.theory import bias
from genens_book.chapters.theory import exact

SMALL = [(n, h, N) for n in range(2, 11) for h in range(1, n) for N in range(1, min(10, comb(n, h)) + 1)]


@st.composite
def cases(draw, most=60):
    """Any (N, n, h) with a code for every image, and a statement."""
    n = draw(st.integers(2, 40))
    h = draw(st.integers(1, n - 1))
    return draw(st.integers(1, min(comb(n, h), most))), n, h, draw(st.sampled_from([1, 2]))


@settings(max_examples=30)
@given(cases())
def test_sharp_bound_agrees_with_rational_arithmetic(case):
    N, n, h, statement = case
    fraction = float(exact.bound(N, n, h, statement))
    assert bias.bias_bound(N, n, h, "sharp", statement).value == pytest.approx(fraction, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("n", [4, 6, 8, 10])
def test_the_two_statements_have_exactly_the_same_sharp_bound(n):
    for N in range(1, min(comb(n, n // 2), 12) + 1):
        assert exact.bound(N, n, n // 2, 1) == exact.bound(N, n, n // 2, 2)


@pytest.mark.parametrize(("n", "h", "most"), [(2, 1, 2), (3, 1, 3), (4, 2, 4), (5, 2, 3), (6, 3, 3)])
@pytest.mark.parametrize("statement", [1, 2])
def test_set_probabilities_are_those_of_every_assignment(n, h, most, statement):
    for N in range(statement, most + 1):
        law, coins = exact.enumerated(N, n, h, statement), Fraction(1, 1 << (N + 1 - statement))
        gaps = exact.set_gaps(N, n, h, statement)
        assert sum(law) == 1
        assert law == [gaps[k.bit_count()] + coins for k in range(len(law))]


@pytest.mark.parametrize("statement", [1, 2])
def test_exact_bias_is_never_above_the_sharp_bound_and_the_worst_f_attains_it(statement):
    """Every (N, n, h) with N <= 10 and n <= 10, whether or not C(n, h) >= 2N; f random, and the worst."""
    rng = np.random.default_rng(0)
    for n, h, N in SMALL:
        draws = N + 1 - statement
        limit = exact.bound(N, n, h, statement)
        worst = exact.worst_f(N, n, h, statement)
        assert worst.shape == (draws + 1,) and set(worst.tolist()) <= {-1, 1}
        sizes = np.array([k.bit_count() for k in range(1 << draws)])
        if draws <= 5:
            assert exact.bias(worst[sizes], n, h, statement) == limit
            f = rng.integers(-9, 10, 1 << draws) / 9
            assert abs(exact.bias(f, n, h, statement)) <= limit
        else:  # by size: the same sum with equal terms put together
            gaps = exact.set_gaps(N, n, h, statement)
            assert sum(comb(draws, s) * int(worst[s]) * gaps[s] for s in range(draws + 1)) == limit


def test_collision_is_the_chance_that_draws_repeat():
    assert exact.collision(23, 365) == pytest.approx(0.5073, abs=1e-4)
    assert exact.collision(1, 5) == 0 and exact.collision(5, 5) == pytest.approx(1 - 120 / 5**5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact.worst_f(2001, 64, 32), "at most 2000 images .* got N = 2001"),
        (lambda: exact.bias(np.zeros(5), 6, 3), r"2\^N sets, got 5 values"),
        (lambda: exact.enumerated(8, 8, 4), "at most 2,000,000 assignments"),
        (lambda: exact.collision(6, 5), "got N = 6, M = 5"),
    ],
)
def test_errors_say_what_was_expected_and_what_came(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
