"""The paper's claims and the rules that compare: genens_book.pages.claims, book/claims.yml and its schema."""

from __future__ import annotations

import json
import math
import re
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator

from genens import store
from genens_book.pages import claims

GOOD = {
    "id": "s1-a",
    "section": "1",
    "statement": "Something.",
    "value": 0.61,
    "unit": "share",
    "comparison": "greater_than",
    "kind": "result",
    "dataset": "mnist",
    "chapter": "02_class_ablation",
    "command": "make book",
}


def made(**changes: object) -> claims.Claim:
    return claims.Claim(**{**GOOD, "unit": "", **changes})


def written(path: Path, *entries: object) -> Path:
    path.write_text(yaml.safe_dump(list(entries)))
    return path


# ---------------------------------------------------------------- the file itself


def test_the_book_lists_every_headline_number_of_the_paper() -> None:
    book = claims.load()
    assert len(book) >= 120
    numbers = {
        "s3.1-influence-accuracy-euclidean": 0.61,
        "s3.1-influence-accuracy-lpips": 0.62,
        "s3.1-class-changed-predicted": 0.93,
        "s3.1-class-changed-other": 0.43,
        "f3a-fid-mnist": 9.29,
        "f3a-fid-cifar10": 18.20,
        "f3a-fid-celeba": 16.43,
        "s3.2-nested-samples": 2752,
        "s3.1-samples": 3000,
        "f2c-utest-euclidean": -300,
        "f5a-utest-last-step-mnist": -168,
        "f5d-utest-individual-mnist": -80,
        "f5e-utest-last-step-cifar10": -26,
        "f5f-utest-last-step-celeba": -21,
        "s4.1-cost": [10, 50],
        "b1-class-splits": [3103, 2972, 3016, 3147, 3091, 2912, 2972],
        "b2-epochs-mnist": 501,
    }
    assert {name: book[name].value for name in numbers} == numbers


def test_the_split_sizes_add_up_as_their_codes_demand() -> None:
    book = claims.load()
    assert sum(book["b1-class-splits"].value) == 3 * book["b1-class-images"].value, "every class is in 3 of 7 splits"
    for name in ("mnist", "cifar10", "celeba"):
        n, h = book[f"b1-code-{name}"].value
        images, sizes = book[f"b1-images-{name}"].value, book[f"b1-splits-{name}"].value
        assert len(sizes) == n == book[f"s3.2-members-{name}"].value and sum(sizes) == images * h


def test_every_claim_is_shown_and_ruled_in_words() -> None:
    for claim in claims.load().values():
        assert claims.paper_value(claim).strip() and len(claims.rule(claim)) > 5
        assert claim.statement.endswith((".", ")")) and "—" not in claim.statement
        assert (store.home() / "book" / f"{claim.chapter}.ipynb").is_file()


def test_a_claim_reproduces_itself() -> None:
    """The paper's own value meets every rule but the strict ones, which want the far side."""
    for claim in claims.load().values():
        strict = claim.comparison in ("greater_than", "less_than")
        assert claims.holds(claim, claim.value) is not strict, claim.id


def test_chapters_record_only_claims_that_exist_and_are_theirs() -> None:
    book = claims.load()
    for path in sorted((store.home() / "book").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        for name in re.findall(r"""\.claim\(\s*["']([^"']+)["']""", code):
            assert name in book, f"{path.name} records {name}, which claims.yml does not list"
            assert book[name].chapter == path.stem, f"{path.name} records {name} of {book[name].chapter}"


def test_the_schema_knows_the_fields_of_a_claim() -> None:
    schema = json.loads((store.home() / "book" / "claims.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert list(schema["properties"]) == [field.name for field in fields(claims.Claim)]
    assert schema["required"] == [field.name for field in fields(claims.Claim) if field.default is MISSING]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"statement": None}, "statement: expected text, got None"),
        ({"statement": " "}, "statement: expected text, got ' '"),
        ({"value": None}, "value: expected a number, got None"),
        ({"value": "61 %"}, "value: expected a number, got '61 %'"),
        ({"value": 61}, "value: expected a share between 0 and 1, got 61"),
        ({"value": True}, "value: expected a number, got True"),
        ({"value": "half", "comparison": "equal"}, "value: expected a share between 0 and 1, got 'half'"),
        ({"value": float("nan")}, "value: expected a number, got nan"),
        ({"comparison": "roughly"}, "comparison: expected one of equal, within"),
        ({"comparison": "within"}, "tolerance: expected one with the comparison 'within'"),
        ({"tolerance": 0.1}, "tolerance: expected one with the comparison 'within'"),
        ({"comparison": "near"}, "margin: expected one with a comparison among near, not_below, not_above, got None"),
        ({"margin": 0.1}, "margin: expected one with a comparison among near"),
        ({"comparison": "near", "margin": 0}, "margin: expected a number above 0, got 0"),
        ({"comparison": "near", "margin": 1, "paper_n": 0.5}, "paper_n: expected a whole number of at least 1"),
        ({"comparison": "near", "margin": 1, "unit": "FID", "paper_n": 9}, "paper_n: expected one with a share"),
        ({"comparison": "within", "tolerance": "0.1"}, "tolerance: expected a number, got '0.1'"),
        ({"comparison": "statement"}, "value: expected true, as the value of a statement, got 0.61"),
        ({"comparison": "statement", "value": 1}, "value: expected true, as the value of a statement, got 1"),
        ({"comparison": "equal", "value": []}, "value: expected a number, a list of numbers or text, got []"),
        ({"comparison": "between", "value": [3, 1]}, "value: expected two numbers, the smaller first, got [3, 1]"),
        (
            {"comparison": "between", "value": [1, 2, 3]},
            "value: expected two numbers, the smaller first, got [1, 2, 3]",
        ),
        ({"comparison": "between", "value": [1, "2"]}, "value: 1: expected a number, got '2'"),
        (
            {"dataset": "imagenet"},
            "dataset: expected one of any, mnist, mnist-classes, cifar10, celeba, got 'imagenet'",
        ),
        ({"kind": "guess"}, "kind: expected one of result, setting, got 'guess'"),
        ({"id": "A B"}, "id: expected an id of small letters"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"section": 3.1}, "section: expected text, got 3.1"),
        ({"sorted": "yes"}, "sorted: expected true or false, got 'yes'"),
    ],
)
def test_a_malformed_claim_is_refused_in_one_line(changes: dict, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "claims.yml", {**GOOD, **changes})
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        claims.load(path)
    assert "\n" not in str(caught.value) and f"claims.yml: claim {changes.get('id', 's1-a')}: " in str(caught.value)


def test_a_missing_field_a_double_id_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.yml"
    with pytest.raises(FileNotFoundError, match="found no such file"):
        claims.load(path)
    with pytest.raises(ValueError, match="s1-a: its id stands twice"):
        claims.load(written(path, GOOD, GOOD))
    with pytest.raises(ValueError, match="expected the field 'command'"):
        claims.load(written(path, {name: value for name, value in GOOD.items() if name != "command"}))
    with pytest.raises(ValueError, match="claim number 1: expected fields"):
        claims.load(written(path, "text"))
    path.write_text("- id: [\n")
    with pytest.raises(ValueError, match="expected the paper's claims as YAML") as caught:
        claims.load(path)
    assert "\n" not in str(caught.value)
    path.write_text("")
    with pytest.raises(ValueError, match="expected a list of claims"):
        claims.load(path)


# ---------------------------------------------------------------- the rules


@pytest.mark.parametrize(
    ("comparison", "paper", "value", "low", "high", "expected"),
    [
        ("equal", 7, 7, None, None, True),
        ("equal", 7, 7.0, None, None, True),
        ("equal", 7, 8, None, None, False),
        ("equal", 0.0002, 0.0002, None, None, True),
        ("equal", 0.0002, 0.002, None, None, False),
        ("equal", 0, 0, None, None, True),
        ("equal", 0, 1e-300, None, None, False),
        ("equal", "VGG", "VGG", None, None, True),
        ("equal", "VGG", "AlexNet", None, None, False),
        ("equal", [1, 2], [1, 2], None, None, True),
        ("equal", [1, 2], [2, 1], None, None, False),
        ("between", [10, 50], [16, 20, 24], None, None, True),
        ("between", [10, 50], [16, 51], None, None, False),
        ("between", [10, 50], 10, None, None, True),
        ("at_most", -300, -301.2, None, None, True),
        ("at_most", -300, -299.9, None, None, False),
        ("greater_than", 0, 0.2, 0.1, 0.3, True),
        ("greater_than", 0, 0.2, 0.0, 0.3, None),
        ("greater_than", 0, 0.2, -0.1, 0.3, None),
        ("greater_than", 0, -0.2, -0.3, 0.0, None),
        ("greater_than", 0, -0.2, -0.3, -0.1, False),
        ("greater_than", 0, 0, None, None, False),
        ("less_than", 0, -0.2, -0.3, -0.1, True),
        ("less_than", 0, -0.2, -0.3, 0.1, None),
        ("less_than", 0, 0.2, 0.1, 0.3, False),
        ("statement", True, True, None, None, True),
        ("statement", True, False, None, None, False),
    ],
)
def test_each_rule_decides_as_it_says(
    comparison: str, paper: object, value: object, low: float | None, high: float | None, expected: bool | None
) -> None:
    claim = made(comparison=comparison, value=paper)
    assert claims.holds(claim, value, low, high) is expected
    words = {True: "reproduced", False: "not reproduced", None: "inconclusive"}
    assert claims.verdict(claim, value, low, high) == words[expected]
    assert claims.verdict(claim, None) == "not run yet"
    assert claims.verdict(made(comparison=comparison, value=paper, kind="setting"), value, low, high) == "setting"


@pytest.mark.parametrize(
    ("comparison", "value", "low", "high", "expected"),
    [
        ("near", 0.62, 0.60, 0.64, True),
        ("near", 0.62, 0.55, 0.69, None),  # too vague to say
        ("near", 0.50, 0.48, 0.52, False),
        ("near", 0.75, 0.72, 0.78, False),
        ("not_below", 0.75, 0.72, 0.78, True),
        ("not_below", 0.57, 0.54, 0.60, None),
        ("not_below", 0.50, 0.30, 0.70, None),  # a wide interval no longer helps
        ("not_below", 0.50, 0.48, 0.52, False),
        ("not_above", 0.50, 0.48, 0.52, True),
        ("not_above", 0.66, 0.63, 0.69, None),
        ("not_above", 0.75, 0.72, 0.78, False),
    ],
)
def test_the_papers_number_comes_again_to_a_margin(comparison, value, low, high, expected) -> None:
    claim = made(unit="share", comparison=comparison, margin=0.05, paper_n=3000)
    assert claims.holds(claim, value, low, high) is expected
    vague = made(unit="share", comparison=comparison, margin=0.05, paper_n=20)
    assert claims.holds(vague, value, low, high) in (expected, None), "a paper that is unsure decides less"


def test_the_difference_from_the_papers_share_is_newcombes() -> None:
    """His Table II (1998): 56/70 and 48/80, whose difference of 0.2 has the interval 0.0524 to 0.3339 by method 10."""
    claim = made(unit="share", value=48 / 80, comparison="near", margin=0.1, paper_n=80)
    here = claims.proportion(56, 70)
    assert claims.difference(claim, here.value, here.low, here.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    exact = made(unit="share", value=0.6, comparison="near", margin=0.1)
    assert claims.difference(exact, 0.7, 0.65, 0.8) == pytest.approx((0.05, 0.2))


def test_a_tolerance_is_met_item_by_item_or_by_rank() -> None:
    assert claims.holds(made(comparison="within", value=2, tolerance=0.25), 2.25)
    assert not claims.holds(made(comparison="within", value=2, tolerance=0.25), 1.7)
    about = made(comparison="within", value=2, tolerance=0.25)
    assert claims.holds(about, 2.1, 1.9, 2.2) is True and claims.holds(about, 2.6, 2.5, 2.7) is False
    assert claims.holds(about, 2.1, 1.9, 2.4) is None, "part of the interval lies further away"
    in_order = made(comparison="within", value=[10, 20], tolerance=1)
    by_rank = made(comparison="within", value=[10, 20], tolerance=1, sorted=True)
    assert not claims.holds(in_order, [20, 10]) and claims.holds(by_rank, [20, 10])
    assert not claims.holds(by_rank, [20, 12])


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, ("many",), "expected a number"),
        ({}, (None,), "expected a number"),
        ({}, (True,), "expected a number"),
        ({}, (math.nan,), "expected a number"),
        ({"unit": "share"}, (61,), "expected a share between 0 and 1"),
        ({"unit": "log10p"}, (0.01,), "expected the base-10 logarithm"),
        ({"comparison": "statement", "value": True}, (1,), "expected true or false"),
        ({"comparison": "equal", "value": [1, 2]}, ([1, 2, 3],), "expected a list of 2 numbers"),
        ({"comparison": "equal", "value": "VGG"}, (3,), "expected text"),
        ({"comparison": "near", "margin": 0.1}, (0.6,), "expected an interval"),
        ({}, (0.6, 0.5), "both ends"),
        ({}, (0.6, 0.7, 0.5), "a number with an interval"),
    ],
)
def test_a_value_that_does_not_suit_its_claim_is_refused(changes: dict, arguments: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        claims.measured(made(**changes), *arguments)
    assert "s1-a" in str(caught.value) and "\n" not in str(caught.value)


def test_numpy_values_become_plain() -> None:
    value, low, high = claims.measured(made(), np.float32(0.5), np.float64(0.25), np.float64(0.75))
    assert (type(value), value, low, high) == (float, 0.5, 0.25, 0.75)
    value, *_ = claims.measured(made(comparison="equal", value=[1, 2]), np.array([1, 2]))
    assert value == [1, 2] and type(value[0]) is int
    value, *_ = claims.measured(made(comparison="statement", value=True), np.bool_(False))
    assert value is False


# ---------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("changes", "value", "low", "high", "expected"),
    [
        ({"unit": "share"}, 0.61, None, None, "61 %"),
        ({"unit": "share"}, 0.6337, 0.6012, 0.6649, "63.4 % (60.1 to 66.5)"),
        ({"unit": "share"}, 1.0, None, None, "100 %"),
        ({"unit": "difference of shares"}, -0.0166, -0.05, 0.021, "−1.7 % (−5 to 2.1)"),
        ({"unit": "images"}, 10000, None, None, "10,000 images"),
        ({}, 9.294999, 9.1, 9.5, "9.295 (9.1 to 9.5)"),
        ({}, 0.00002, None, None, "0.00002"),
        ({}, -0.25, None, None, "−0.25"),
        ({"unit": "log10p"}, -300, None, None, "10⁻³⁰⁰"),
        ({"unit": "log10p"}, -1352.7, None, None, "10⁻¹³⁵³"),
        ({"unit": "log10p"}, -2, None, None, "0.01"),
        ({"comparison": "statement", "value": True}, False, None, None, "does not hold"),
        ({"comparison": "between", "value": [10, 50], "unit": "fold"}, [10, 50], None, None, "10 to 50 fold"),
        ({"comparison": "between", "value": [10, 50], "unit": "fold"}, [16, 20], None, None, "16, 20 fold"),
        ({"unit": "probability"}, 0.5, None, None, "0.5"),
        ({"unit": "images"}, [5, 3, 4000] * 3, None, None, "9 numbers, 3 to 4,000 images"),
        ({}, None, None, None, ""),
    ],
)
def test_values_read_well(changes: dict, value: object, low: float | None, high: float | None, expected: str) -> None:
    assert claims.show(made(**changes), value, low, high) == expected


def test_rules_and_paper_values_read_well() -> None:
    assert claims.rule(made(unit="share")) == "the whole interval lies above 61 %"
    near = made(unit="share", comparison="near", margin=0.05)
    assert claims.rule(near) == "the whole interval of the difference from 61 % lies within ±5 points"
    fid = made(unit="FID", value=9.29, comparison="not_above", margin=0.9)
    assert claims.rule(fid) == "the whole interval of the difference from 9.29 lies below +0.9 FID"
    assert claims.rule(made(unit="log10p", value=-80, comparison="at_most")) == "it is 10⁻⁸⁰ or less"
    assert claims.paper_value(made(unit="log10p", value=-80)) == "p ≤ 10⁻⁸⁰"
    assert claims.paper_value(made(says="very few")) == "very few"
