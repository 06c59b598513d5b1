"""The theory chapter's numbers, against the functions of the core that they are made of."""

import numpy as np
import pytest

from genens import codes
from genens.theory import bias
from genens_book.chapters.theory import analysis


def test_bounds_has_every_kind_for_each_setting():
    found = analysis.bounds({"some": (100, 12, 6), "others": (10, 8, 4)})
    assert {name: tuple(row) for name, row in found.items()} == dict.fromkeys(["some", "others"], bias.KINDS)
    assert found["others"]["birthday"] == bias.bias_bound(10, 8, 4, "birthday")


def test_the_plan_is_the_fewest_members_that_do():
    n = analysis.plan([1000], [0.01], "sharp")[1000, 0.01]
    assert bias.bias_bound(1000, n, n // 2).value <= 0.01 < bias.bias_bound(1000, n - 2, n // 2 - 1).value


def test_the_statements_agree_in_every_case_up_to_the_largest():
    agree = analysis.statements_agree(6, 4)
    assert set(agree) == {(N, n) for n in (4, 6) for N in range(1, 5)} and all(agree.values())
    assert max(N for N, n in analysis.statements_agree(4, 10) if n == 4) == 6  # as many images as codes


def test_representation_is_the_mean_and_spread_over_pairs():
    drawn = codes.constant_weight(60, 8, 4, seed=1)
    left = [int((b & ~a).sum()) for x, a in enumerate(drawn) for y, b in enumerate(drawn) if x != y]
    found = analysis.representation(drawn)
    assert (found.mean, found.sd) == pytest.approx((np.mean(left), np.std(left)))
    assert (found.smallest, found.largest) == (min(left), max(left))
    even = analysis.representation(codes.walsh(8))
    assert even == analysis.Representation(2.0, 0.0, 2, 2)
    with pytest.raises(ValueError, match="at least one pair"):
        analysis.representation(drawn[:1])


def test_places_are_listed_best_first():
    assert analysis.in_order([1020, 4, 1]) == "1, 4, 1,020"
