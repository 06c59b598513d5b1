"""Each slip of the paper, by a computation of its own."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, sqrt
from operator import attrgetter
from string import Formatter

import numpy as np
import pytest
import yaml

from genens import codes
from genens.theory import bias, designs, guarantee
from genens_book.chapters.theory import catalogue, errata, exact


def test_equation_2_needs_the_other_normaliser():
    """The mean of a constant f over the subsets without x, as printed, for coins of any probability."""
    for p in (0.25, 0.5, 0.75):
        law = [p ** sum(s) * (1 - p) ** (3 - sum(s)) for s in product((0, 1), repeat=3)]
        without = sum(weight for weight, s in zip(law, product((0, 1), repeat=3), strict=True) if not s[0])
        assert errata.equation_2(p) == pytest.approx(without / p)
    assert errata.equation_2(0.5) == 1 != errata.equation_2(0.25)


@pytest.mark.parametrize("setting", codes.PAPER.values())
def test_equation_15_as_printed_is_below_what_it_bounds_and_repaired_is_not(setting):
    N, n, h = setting
    lines = errata.equation_15(N, comb(n, h))
    assert lines["13"] <= lines["14"] and lines["printed"] < lines["14"]
    assert lines["repaired"] == pytest.approx(lines["14"])


def test_equation_36():
    lines = errata.equation_36(10_000, 12_870)
    assert lines["left"] == pytest.approx(lines["repaired"]) and lines["left"] < lines["printed"] - 0.1


def test_the_second_term_is_the_chance_that_at_least_one_draw_falls_in():
    """G(b, 0.5) and G(b, b') differ exactly when one does, by simulation with the 69 other codes of n = 8."""
    b = np.random.default_rng(0).random((20_000, 30))
    differ = ((b >= 0.5) != (b >= 35 / 69)).any(axis=1).mean()
    none, hit = errata.falls_in(31, 70)
    assert differ == pytest.approx(hit, abs=0.01) and none == pytest.approx(1 - hit) and none > hit + 0.1


def test_g_includes_with_probability_one_minus_p():
    assert errata.inclusion(0.8, 50_000, seed=0) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("h", [1, 2, 3, 4])
def test_with_replacement_inclusion_is_one_half(h):
    M = comb(2 * h, h)
    assert errata.equation_24(2 * h, h) == (Fraction(1, 2), Fraction(M // 2, M - 1))


@pytest.mark.parametrize("table", [catalogue.sylvester(7), catalogue.paley(11), catalogue.all_of_size(5, 2)])
def test_the_distance_of_rows(table):
    balance = designs.check(table)
    measured, printed = errata.row_distances(table)
    assert measured == pytest.approx(sqrt(2 * (balance.z1 - balance.z2))) and measured < printed
    with pytest.raises(ValueError, match="balanced table"):
        errata.row_distances(table[:, :-1])


def test_the_released_script_does_not_assign_uniformly():
    """Of the 30 ways to give two of six codes to two images, about half never occur; drawn as here, all do."""
    assert errata.orders_seen(errata.released_assignment(2, 4, k) for k in range(600)) < 25
    assert errata.orders_seen(codes.constant_weight(2, 4, 2, k) for k in range(600)) == 30
    drawn = errata.released_assignment(40, 8, 0)
    assert guarantee.guarantee(drawn).holds and (drawn.sum(axis=1) == 4).all()


def test_theorem_1_needs_no_condition_on_the_number_of_codes():
    assert errata.condition_needed(8) == []


def test_the_ablated_ensemble_is_biased():
    assert exact.bound(3, 4, 2, statement=2) > 0


def test_theorem_2_is_about_different_points_and_one_set_need_not_be_balanced():
    assert designs.balanced(catalogue.as_sets(catalogue.sylvester(7))).z1 != 1
    assert not designs.balanced([{0}], points=2).balanced


def test_the_chapters_table_has_evidence_for_each():
    rows = errata.table(trials=50)
    assert len(rows) >= 12 and len({row.where for row in rows}) == len(rows)
    assert all(row.shown and row.matters and row.printed != row.meant for row in rows)


def test_every_slip_names_a_function_and_every_number_is_said():
    said = [row["shown"] for row in yaml.safe_load(errata.WORDS.read_text())]
    fields = {name for text in said for _, name, _, _ in Formatter().parse(text) if name}
    assert {name.partition(".")[0] for name in fields} == errata.evidence(10_000, 16, 8, 20, 0).keys()
    for row in errata.table(trials=20):
        assert callable(attrgetter(row.check)(errata))


def test_the_verdicts_on_the_papers_claims():
    """Two printed lines do not hold as printed; the theorems do."""
    verdicts = {claim: value for claim, (value, _) in errata.appendix().items()}
    slips = {"a1-equation-24", "a2-row-distance"}
    assert {claim for claim, value in verdicts.items() if value is False} == slips
    assert all(value is True for claim, value in verdicts.items() if claim not in slips)


def test_equation_41_as_printed_is_not_the_bound_of_theorem_1():
    """|X|^(2C) in place of |X|^2 C: the same at C = 1, and too small when the outputs are bounded by one half."""
    N, M, unit = 10, comb(16, 8), np.log(16)
    meant = bias.bias_bound(N, 16, 8, "paper", statement=2).value  # in units of C

    def printed(C: float) -> float:
        return unit * N ** (2 * C) / M

    assert printed(1.0) == pytest.approx(meant)
    assert printed(0.5) < 0.5 * meant
