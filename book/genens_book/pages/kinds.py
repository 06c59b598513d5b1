"""What a parameter may be: a whole number, a number, one of a few words, text, an ensemble, or a list. Each kind says
in words what it expects (`str`), and whether a value is that (`holds`)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

MOST = 10**15  # of a count. What a run can bear is judged by what it takes (`budget`), not here
LONG = 1000  # characters of a name or a path


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included."""

    low: int = 0
    high: int = MOST

    def __str__(self) -> str:
        if self.high == MOST:
            return f"a whole number of at least {self.low:,}"
        return f"a whole number from {self.low:,} to {self.high:,}"

    def holds(self, value: object) -> bool:
        """Whether it is one: True and 3.0 are not."""
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True)
class Real:
    """A number above `low`, or with `closed` from `low` itself on, up to `high`."""

    low: float
    high: float
    closed: bool = False

    def __str__(self) -> str:
        return f"a number {f'from {self.low:g}' if self.closed else f'above {self.low:g}'} up to {self.high:,.12g}"

    def holds(self, value: object) -> bool:
        """Whether it is one: whole numbers are, True, NaN and infinity are not."""
        return type(value) in (int, float) and (self.low < value <= self.high or self.closed and value == self.low)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    def __str__(self) -> str:
        return f"one of {', '.join(self.options)}"

    def holds(self, value: object) -> bool:
        """Whether it is one of them."""
        return isinstance(value, str) and value in self.options


@dataclass(frozen=True)
class Text:
    """Text that can be a name or a path, `said` in words; with `empty` also none at all."""

    said: str
    empty: bool = False

    def __str__(self) -> str:
        return self.said

    def holds(self, value: object) -> bool:
        """Whether it is such text: in one line, and not endless."""
        return isinstance(value, str) and value.isprintable() and (0 < len(value) <= LONG or self.empty and not value)


@dataclass(frozen=True)
class Ensemble(Text):
    """The name of an ensemble, or its path."""

    said: str = "the name of an ensemble of the profile, or the path of a folder with one"


@dataclass(frozen=True)
class Several:
    """A list of `least` to `most` things of one kind; `ascending` where each is to be larger than the one before."""

    item: Whole | Real | Text
    least: int = 1
    most: int = 20
    ascending: bool = False

    def __str__(self) -> str:
        order = ", in ascending order" if self.ascending else ""
        return f"a list of {self.least} to {self.most}, each {self.item}{order}"

    def holds(self, value: object) -> bool:
        """Whether it is such a list; a tuple is one."""
        if not isinstance(value, list | tuple) or not self.least <= len(value) <= self.most:
            return False
        return all(map(self.item.holds, value)) and (not self.ascending or all(a < b for a, b in pairwise(value)))


Kind = Whole | Real | Choice | Text | Several


def shown(value: object) -> str:
    """A value as an error shows it: in one short line, whatever it is."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists without end
        text = f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= 60 else f"{text[:57]}..."
