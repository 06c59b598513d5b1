"""Numbers as prose has them: minus signs, per cent signs that stay with their number, intervals, powers of ten."""

from __future__ import annotations

import numpy as np

from genens_book.measures.stats import Interval

NARROW = "\u00a0"  # no line is broken here


def words(value: object) -> str:
    """Text as it is, a whole number with separators, another number to three digits, an interval as `number` has it.

    Raises ValueError for anything else: say how it is meant, with another function of this module.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return _minus(f"{value:,}")
    if isinstance(value, float | np.floating):
        return number(value, 3, "g")
    if isinstance(value, Interval):
        return number(value)
    raise ValueError(f"expected text, a number or an interval for prose, got {type(value).__name__}: {value!r:.60}")


def number(value: float | Interval, digits: int = 2, form: str = "f") -> str:
    """A number with so many digits, after the point or (form "g") in all: 0.52; an interval: 0.52 (0.49 to 0.55).

    Where form "g" would write an exponent, the number is written as `power` has it."""
    if isinstance(value, Interval):
        value, low, high = (number(end, digits, form) for end in (value.value, value.low, value.high))
        return f"{value} ({low} to {high})"
    text = f"{float(value):,.{digits}{form}}"
    return power(value, digits - 1) if "e" in text else _minus(text)


def times(count: int) -> str:
    """How often: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def signed(value: float, digits: int = 2, form: str = "f") -> str:
    """A change, with its sign: +0.02, \u22120.02; digits and form as in `number`."""
    return ("\u2212" if value < 0 else "+") + number(abs(float(value)), digits, form)


def share(value: float | Interval, digits: int = 0) -> str:
    """A fraction of one in per cent: 52 %; with its interval: 52 % (49 % to 55 %)."""
    if isinstance(value, Interval):
        value, low, high = (share(end, digits) for end in (value.value, value.low, value.high))
        return f"{value} ({low} to {high})"
    return _minus(f"{100 * float(value):.{digits}f}{NARROW}%")


def p_value(p: float) -> str:
    """A p-value in few letters: 0.032, 2 × 10⁻⁶."""
    return f"{p:.2g}" if p >= 1e-4 else power(p, 0)


def exponent(log10_p: float) -> str:
    """The exponent of a p-value, from its logarithm: \u2212300."""
    return _minus(f"{float(log10_p):.0f}")


def power(value: float, digits: int = 1) -> str:
    """A very small or large number: 1.3 × 10⁻⁸; 0 stays 0."""
    if value == 0:
        return "0"
    mantissa, _, exponent_ = f"{value:.{digits}e}".partition("e")
    raised = str(int(exponent_)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return _minus(f"{mantissa}{NARROW}×{NARROW}10{raised}")


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
