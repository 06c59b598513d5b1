"""What a campaign of faults found."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from genens import files

LONGEST = 600  # characters of a line


@dataclass
class Report:
    """name and what: what is done to what. outcomes: how often what came of it, by subject. wrong: a line for whatever
    should not have come. not_run: what this machine would not do, and why."""

    name: str
    what: str
    seed: int = 0
    seconds: float = 0.0
    outcomes: dict[str, Counter] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)

    def count(self, subject: str, outcome: str, wrong: str = "", times: int = 1) -> None:
        """Note what came of a fault; with `wrong`, what is wrong about it, it counts as that."""
        self.outcomes.setdefault(subject, Counter())["wrong" if wrong else outcome] += times
        self.wrong += [files.printable(f"{subject}: {wrong}")[:LONGEST]] if wrong else []

    def of(self, subject: str) -> Counter:
        """How often what came of a subject's faults."""
        return self.outcomes.get(subject, Counter())

    @property
    def times(self) -> int:
        """How many faults there were."""
        return sum(found.total() for found in self.outcomes.values())

    def to_json(self) -> dict[str, object]:
        """All of it, for a file."""
        outcomes = {subject: dict(sorted(found.items())) for subject, found in self.outcomes.items()}
        return {**vars(self), "outcomes": outcomes, "times": self.times, "seconds": round(self.seconds, 1)}


@contextmanager
def timed(report: Report) -> Iterator[Report]:
    """Adds the seconds that the block takes."""
    began = time.perf_counter()
    yield report
    report.seconds += time.perf_counter() - began
