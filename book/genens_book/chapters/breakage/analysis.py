"""What `python -m bench.faults` found: campaigns, their faults, and what came of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genens import files, store
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.words import words

FILE = store.home() / "bench" / "faults.json"
DAMAGE = ("mutations", "measurements")  # the campaigns in which files are damaged
CAMPAIGNS = {  # what each does, by its name
    "mutations": "files with a sha256 damaged",
    "measurements": "files without a sha256 damaged",
    "kills": "processes killed",
    "disks": "disks full or read-only, two at once",
    "parameters": "sets of parameters",
    "images": "folders of pictures",
    "pickles": "pickles in place of files",
}
WRONG = "wrong"


@dataclass(frozen=True)
class Campaign:
    """outcomes: how often what came of the faults, by what was broken. wrong: a line for whatever should not have come.
    not_run: what the machine would not do, and why."""

    name: str
    outcomes: Mapping[str, Counter]
    wrong: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def of(self) -> Counter:
        """How often what came of all of its faults."""
        return sum(self.outcomes.values(), Counter())

    @property
    def times(self) -> int:
        """How many faults there were."""
        return self.of.total()


@dataclass(frozen=True)
class Found:
    """All campaigns by name, those that were not run too; the seed that faults were drawn from, and on what machine,
    when."""

    campaigns: Mapping[str, Campaign]
    seed: str
    machine: str

    @property
    def times(self) -> int:
        """How many faults there were."""
        return sum(one.times for one in self.campaigns.values())

    @property
    def wrong(self) -> list[str]:
        """A line for whatever should not have come."""
        return [f"{one.name}: {line}" for one in self.campaigns.values() for line in one.wrong]

    @property
    def not_run(self) -> list[str]:
        """What was not run, and why."""
        return [f"{one.name}: {line}" for one in self.campaigns.values() for line in one.not_run]


def faults(file: Path | None = None) -> Found:
    """bench/faults.json. ValueError or FileNotFoundError, naming the command that makes it, for any other."""
    file = file or FILE
    with files.expecting("what python -m bench.faults found", file, "restore it or run the command"):
        found = json.loads(file.read_text(encoding="utf-8"))
        there = found["campaigns"]
        if odd := [name for name in there if name not in CAMPAIGNS]:
            raise ValueError(f"a campaign {odd[0]!r:.40}")
        campaigns = {name: _campaign(name, there.get(name)) for name in CAMPAIGNS}
        made, cpus = found["made"], int(found["made"]["cpus"])
        model, date = str(made["machine"]).rpartition(", ")[2], str(made["date"])[:10]
        seeds = sorted({int(one["seed"]) for one in there.values()})
        return Found(campaigns, ", ".join(map(words, seeds)), f"{cpus} CPUs of the kind {model}, {date}")


def _campaign(name: str, found: Mapping | None) -> Campaign:
    if found is None:
        return Campaign(name, {}, (), ("left out of the run",))
    outcomes = {str(subject): Counter(counts) for subject, counts in found["outcomes"].items()}
    if odd := [n for counts in outcomes.values() for n in counts.values() if type(n) is not int or n < 0]:
        raise ValueError(f"{odd[0]!r:.40} times")
    wrong, not_run = (tuple(map(str, found[key])) for key in (WRONG, "not_run"))
    one = Campaign(name, outcomes, wrong, not_run, float(found["seconds"]))
    if one.of[WRONG] != len(wrong) or one.times != found["times"]:
        raise ValueError(f"the counts of {name} do not add up")
    return one


# ---------------------------------------------------------------- what a page says of it


def said(counts: Counter) -> str:
    """What came of faults, with how often: 51 refused, 7 harmless."""
    return ", ".join(f"{words(times)} {how}" for how, times in counts.most_common() if how != WRONG and times) or "–"


def listed(lines: Sequence[str]) -> str:
    """Lines as a sentence has them; "nothing" for none."""
    return "; ".join(lines) or "nothing"


def overview(found: Found) -> Page:
    """A line for each campaign."""
    head = ["what", "times", "what came of it", "wrong", "took"]
    rows = [
        [CAMPAIGNS[one.name], words(one.times), said(one.of), words(one.of[WRONG]), markup.duration(one.seconds)]
        if one.times
        else [CAMPAIGNS[one.name], "0", f"not run: {listed(one.not_run)}", "–", "–"]
        for one in found.campaigns.values()
    ]
    return markup.lines_table(head, rows, numeric=False)


def table(campaign: Campaign) -> Page:
    """A line for each thing that was broken."""
    rows = [[name, words(of.total()), said(of), words(of[WRONG])] for name, of in campaign.outcomes.items()]
    rows += [["–", "0", f"not run: {line}", "–"] for line in campaign.not_run]
    return markup.lines_table(["what was broken", "times", "what came of it", "wrong"], rows, numeric=False)


def damaged(found: Found) -> dict[str, Counter]:
    """What came of damage to files, by what was damaged."""
    return {subject: of for name in DAMAGE for subject, of in found.campaigns[name].outcomes.items()}


def numbers(found: Found) -> dict[str, object]:
    """What the prose says: how often, by campaign and in all."""
    each = {f"n_{name}": one.times for name, one in found.campaigns.items()}
    damage = sum(damaged(found).values(), Counter())
    return each | {
        "n": found.times,
        "n_wrong": len(found.wrong),
        "n_damaged": damage.total(),
        "n_refused": damage["refused"],
        "n_used": damage[WRONG],
        "n_kills_wrong": found.campaigns["kills"].of[WRONG],
        "wrong": listed(found.wrong),
        "not_run": listed(found.not_run),
        "seed": found.seed,
        "machine": found.machine,
    }
