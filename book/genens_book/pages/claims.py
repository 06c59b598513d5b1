"""The paper's claims, and the rules that say whether a measured value bears one out.

`book/claims.yml` holds every quantitative claim and explains its fields, `book/claims.schema.json` says what each may
hold. A rule is a function of the claim and of what was measured; `rule` says in words what `verdict` decides.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from genens import files, store
from genens_book.measures.stats import proportion
from genens_book.pages.words import times

Value = bool | float | str | list[float]

REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
NOT_RUN, SETTING = "not run yet", "setting"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_RUN, SETTING)
NEAR = ("near", "not_below", "not_above")  # the paper's number, to a margin
SHARES = {"share": 0, "difference of shares": -1}  # units shown in per cent, and the least that each can be
_UNSAID = ("probability", "order", "correlation", "rank correlation", "FID")  # units that the statement tells


@dataclass(frozen=True)
class Claim:
    """One claim; the fields are those of `claims.yml`."""

    id: str
    section: str
    statement: str
    value: Value
    unit: str
    comparison: str
    kind: str
    dataset: str
    chapter: str
    command: str
    tolerance: float | None = None
    margin: float | None = None
    paper_n: int | None = None
    sorted: bool = False
    says: str = ""
    note: str = ""


def load(path: str | Path | None = None) -> dict[str, Claim]:
    """Every claim by its id, in the order of the file. ValueError, one line, for the first malformed one."""
    path = Path(path) if path else store.home() / "book" / "claims.yml"
    if not path.is_file():
        raise FileNotFoundError(f"expected the paper's claims at {path}, found no such file; run from the repository")
    with files.expecting("the paper's claims as YAML", path, "restore it (git checkout)"):
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: expected a list of claims, got {type(entries).__name__}")
    found: dict[str, Claim] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
        problem = _problem(entry) or ("its id stands twice in the file" if name in found else "")
        if problem:
            raise ValueError(f"{path}: claim {name}: {problem}")
        found[name] = Claim(**{**entry, "value": _plain(entry["value"])})
    return found


@functools.cache
def _schema(home: Path) -> Draft202012Validator:
    """The schema of one claim. Its numbers are finite, which JSON's are and YAML's need not be."""
    schema = json.loads((home / "book" / "claims.schema.json").read_text(encoding="utf-8"))
    finite = Draft202012Validator.TYPE_CHECKER.redefine("number", lambda _, value: _is_number(value))
    return extend(Draft202012Validator, type_checker=finite)(schema)


def _problem(entry: object) -> str:
    """What is wrong with one entry of the file, in words; nothing when it is well formed."""
    error = next(_schema(store.home()).iter_errors(entry), None)
    return _in_words(error) if error else _inconsistency(entry)


def _in_words(error: ValidationError) -> str:
    """An error as a line: the field, what the schema expects there, what came."""
    came, limit = error.instance, error.validator_value
    match error.validator:
        case "required":
            return f"expected the field '{next(name for name in limit if name not in came)}', found none"
        case "additionalProperties":
            allowed = error.schema["properties"]
            unknown = next(name for name in came if name not in allowed)
            return f"unknown field '{unknown}'; the fields are {', '.join(allowed)}"
    wanted = f"one of {', '.join(limit)}" if error.validator == "enum" else error.schema["description"]
    field = "".join(f"{step}: " for step in error.absolute_path)
    return f"{field}expected {wanted}, got {came!r:.60}"


def _inconsistency(entry: dict) -> str:
    """What a schema cannot say: fields that do not suit each other."""
    value, unit, comparison, tolerance = (entry.get(name) for name in ("value", "unit", "comparison", "tolerance"))
    if (comparison == "within") != (tolerance is not None):
        return (
            f"tolerance: expected one with the comparison 'within' and with no other, got {tolerance} and {comparison}"
        )
    if (comparison in NEAR) != (entry.get("margin") is not None):
        names = ", ".join(NEAR)
        return f"margin: expected one with a comparison among {names}, got {entry.get('margin')} and {comparison}"
    if entry.get("paper_n") is not None and not (comparison in NEAR and unit == "share"):
        return (
            f"paper_n: expected one with a share and a comparison among {', '.join(NEAR)}, got {comparison} of {unit}"
        )
    if comparison == "between" and value[0] > value[1]:
        return f"value: expected two numbers, the smaller first, got {value!r:.60}"
    if outside := _outside(unit, value):
        return f"value: {outside}"
    return ""


def _outside(unit: str, value: Value) -> str:
    """What is wrong with a share that lies outside of its range, in words."""
    least, shares = SHARES.get(unit), value if isinstance(value, list) else [value]
    if least is None or all(isinstance(share, int | float) and least <= share <= 1 for share in shares):
        return ""
    return f"expected a {unit} between {least} and 1, got {value!r:.60}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(_is_number(item) for item in value)


def _plain(value: object) -> object:
    """Numpy and torch scalars and arrays, and tuples, as plain Python."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _suits(claim: Claim, value: object) -> tuple[str, bool]:
    """What is expected of a measured value, in words, and whether it is that: the same kind of thing as the paper's."""
    match claim.value:
        case bool():
            return "true or false", isinstance(value, bool)
        case str():
            return "text", isinstance(value, str)
        case list() if claim.comparison == "between":
            return "a number or a list of them", _is_number(value) or _is_list(value)
        case list():
            return f"a list of {len(claim.value)} numbers", _is_list(value) and len(value) == len(claim.value)
        case _:
            return "a number", _is_number(value)


def measured(claim: Claim, value: object, low: object = None, high: object = None) -> tuple[Value, ...]:
    """`(value, low, high)` as plain Python, if they suit the claim. ValueError, one line, if they do not."""
    value, low, high = _plain(value), _plain(low), _plain(high)
    wanted, suits = _suits(claim, value)
    if not suits:
        raise ValueError(f"claim {claim.id}: expected {wanted}, got {value!r:.80}")
    if outside := _outside(claim.unit, value):
        raise ValueError(f"claim {claim.id}: {outside}")
    if claim.unit == "log10p" and value > 1e-9:
        raise ValueError(f"claim {claim.id}: expected the base-10 logarithm of a p-value, at most 0, got {value!r}")
    if (low is None) != (high is None):
        raise ValueError(f"claim {claim.id}: expected both ends of the interval or neither, got {low!r} and {high!r}")
    if low is None and claim.comparison in NEAR and claim.kind == "result":
        raise ValueError(f"claim {claim.id}: expected an interval (low=, high=), which its rule needs, got none")
    if low is not None and not (_is_number(value) and _is_number(low) and _is_number(high) and low <= high):
        raise ValueError(
            f"claim {claim.id}: expected a number with an interval around it, got {value!r:.60} in {low!r} to {high!r}"
        )
    return value, low, high


def verdict(claim: Claim, value: Value | None, low: float | None = None, high: float | None = None) -> str:
    """One of VERDICTS. A setting stays a setting; `holds` says whether it is the same as the paper's."""
    if claim.kind == "setting":
        return SETTING
    if value is None:
        return NOT_RUN
    return {True: REPRODUCED, False: NOT_REPRODUCED, None: INCONCLUSIVE}[holds(claim, value, low, high)]


def holds(claim: Claim, value: Value, low: float | None = None, high: float | None = None) -> bool | None:
    """Whether what was measured meets the claim's rule (see `rule`): True when its whole interval does, False when none
    of it does, None when part of it does, so that an imprecise measurement decides nothing."""
    paper, low, high = claim.value, value if low is None else low, value if high is None else high
    match claim.comparison:
        case "equal":
            if isinstance(paper, str):
                return value == paper
            return bool(np.allclose(value, paper, rtol=1e-12, atol=0))
        case "within":
            here, there = np.atleast_1d(value).astype(float), np.atleast_1d(paper).astype(float)
            if claim.sorted:
                here, there = np.sort(here), np.sort(there)
            if low != high:
                return _inside((low - paper, high - paper), -claim.tolerance, claim.tolerance)
            return bool(np.all(np.abs(here - there) <= claim.tolerance))
        case "between":
            return bool(np.all((paper[0] <= np.asarray(value)) & (np.asarray(value) <= paper[1])))
        case "near":
            return _inside(difference(claim, value, low, high), -claim.margin, claim.margin)
        case "not_below":
            return _inside(difference(claim, value, low, high), -claim.margin, math.inf)
        case "not_above":
            return _inside(difference(claim, value, low, high), -math.inf, claim.margin)
        case "at_most":
            return high <= paper
        case "greater_than":
            return _inside((low, high), paper, math.inf)
        case "less_than":
            return _inside((low, high), -math.inf, paper)
        case _:
            return value is True


def difference(claim: Claim, value: float, low: float, high: float) -> tuple[float, float]:
    """The interval of this value less the paper's, both uncertain where the paper gives its n.

    The paper's share has Wilson's interval; the two are joined as independent (Newcombe 1998, method 10).
    """
    below = above = 0.0
    if claim.paper_n:
        paper = proportion(round(claim.value * claim.paper_n), claim.paper_n)
        below, above = claim.value - paper.low, paper.high - claim.value
    apart = value - claim.value
    return apart - math.hypot(value - low, above), apart + math.hypot(high - value, below)


def accepted(claim: Claim) -> tuple[float, float] | None:
    """Between which numbers an interval must lie for the claim to be reproduced, were the paper's number exact; None
    for a rule that is not about an interval."""
    paper, margin = claim.value, claim.margin or 0.0
    match claim.comparison:
        case "near":
            return paper - margin, paper + margin
        case "not_below":
            return paper - margin, math.inf
        case "not_above":
            return -math.inf, paper + margin
        case "greater_than":
            return paper, math.inf
        case "less_than":
            return -math.inf, paper
    return None


def _inside(interval: tuple[float, float], least: float, most: float) -> bool | None:
    """Whether an interval lies inside (least, most): True or False where all of it agrees, else None. A single number
    (low = high) on the border lies outside."""
    low, high = interval
    if least < low and high < most:
        return True
    return False if high < least or low > most or low == high else None


def rule(claim: Claim) -> str:
    """The claim's rule in words, as the page prints it."""
    paper = show(claim, claim.value)
    target = "each, by rank" if claim.sorted else paper
    points = "points" if claim.unit in SHARES else claim.unit
    margin = f"{(_percent if claim.unit in SHARES else _number)(claim.margin or 0)} {points}".strip()
    return {
        "equal": f"it is {paper}",
        "within": f"it, and its interval if any, is no further than {_number(claim.tolerance or 0)} from {target}",
        "between": f"between {paper}",
        "near": f"the whole interval of the difference from {paper} lies within ±{margin}",
        "not_below": f"the whole interval of the difference from {paper} lies above −{margin}",
        "not_above": f"the whole interval of the difference from {paper} lies below +{margin}",
        "at_most": f"it is {paper} or less",
        "greater_than": f"the whole interval lies above {paper}",
        "less_than": f"the whole interval lies below {paper}",
        "statement": "the computation bears the statement out",
    }[claim.comparison]


def paper_value(claim: Claim) -> str:
    """What the paper says, for a table: its words where it gives no number, else the number."""
    if claim.says:
        return claim.says
    shown = show(claim, claim.value)
    return f"p ≤ {shown}" if claim.unit == "log10p" else shown


def show(claim: Claim, value: Value | None, low: float | None = None, high: float | None = None) -> str:
    """A value of the claim's unit, with its interval, for a table: `63.4 % (60.1 to 66.7)`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "holds" if value else "does not hold"
    if isinstance(value, str):
        return value
    if claim.unit == "log10p":
        return _power(value)
    form = _percent if claim.unit in SHARES else _number
    unit = " %" if claim.unit in SHARES else f" {claim.unit}" if claim.unit not in ("", *_UNSAID) else ""
    if isinstance(value, list):
        if len(value) > 8:  # the chapter shows them all; the table only their range
            return f"{len(value)} numbers, {form(min(value))} to {form(max(value))}{unit}"
        joint = " to " if claim.comparison == "between" and value == claim.value else ", "
        return joint.join(form(item) for item in value) + unit
    interval = "" if low is None or high is None else f" ({form(low)} to {form(high)})"
    return form(value) + unit + interval


def again_words(claim: Claim, values: Sequence[float]) -> str:
    """What other training runs gave, as a sentence; nothing where there were none."""
    if not len(values):
        return ""
    return f"Trained {times(len(values))} more, with other codes and seeds: {show(claim, sorted(values))}."


def _number(value: float) -> str:
    if float(value).is_integer():
        return f"{int(value):,}".replace("-", "−")
    return np.format_float_positional(value, precision=4, fractional=False, trim="-").replace("-", "−")


def _percent(value: float) -> str:
    return np.format_float_positional(100 * value, precision=1, trim="-").replace("-", "−")


def _power(exponent: float) -> str:
    """10 to a power, readable even where the number itself is below the smallest float."""
    if exponent > -4:
        return f"{10**exponent:.2g}"
    return "10" + str(round(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
