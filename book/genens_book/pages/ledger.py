"""The paper's claims beside what this run measured.

A chapter opens a `Run`, which checks its parameters against the profile, records what it measures claim by
claim, and tells at the end what it ran with. `scorecard` reads the records of all chapters back; `export`
writes them out. Records lie in `<store>/ledger/<profile>/<chapter>.json`.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType

from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.figure import Figure

from genens import files, provenance, store
from genens_book.measures.not_run import NotRun
from genens_book.pages import claims as paper
from genens_book.pages import markup, parameters, plotting, words
from genens_book.pages.claims import Claim
from genens_book.pages.markup import Page, counts
from genens_book.pages.plotting import Picture

claims = paper.load  # ledger.claims() is what tests call

# "no" is shown, by a test of equivalence; "not seen" is not, and what "cannot be seen" no outcome could have shown.
ANSWERS = ("yes", "no", "the opposite", "not seen", "cannot be seen")

# ---------------------------------------------------------------- a chapter's run


class Run:
    """One execution of a chapter: its parameters, its clock, and what it recorded.

    `chapter` is the notebook's name without `.ipynb`; `namespace` its `globals()` after the parameters cell.
    Raises ValueError, one line, for an unknown profile, for parameters that are unknown, missing, not of their kind, or
    do not fit one another, and for a run beyond its budget; FileNotFoundError for an ensemble that is not there. Where
    a value differs from the profile's, `profile` is "custom" and `changed` says which, name -> (profile's, this run's).
    """

    def __init__(self, chapter: str, namespace: dict[str, object]) -> None:
        self.chapter, self._began = chapter, time.perf_counter()
        self._namespace = namespace
        # Run again in a live notebook: names that later cells made are no parameters.
        first = namespace.setdefault("_ledger_first_names", frozenset(namespace))
        given = {name: value for name, value in namespace.items() if name in first}
        self.parameters, self.expected = parameters.given(chapter, given)
        self.base = str(namespace["profile"])
        own = self.parameters.get("dataset")  # whose ensemble is trained first: the trainer asks again
        self.fits(**({} if own else parameters.manifests(chapter, self.parameters, self.base)))
        self.changed = {
            name: (self.expected[name], value)
            for name, value in self.parameters.items()
            if _as_json(value) != _as_json(self.expected[name]) and name != "budget"  # which changes no result
        }
        self.profile, self.claims = "custom" if self.changed else self.base, paper.load()
        self.made = provenance.describe()
        self.records: dict[str, dict] = {}
        self.questions: list[dict[str, str]] = []
        self.again: dict[str, list[float]] = {}  # by claim: the same number by other training runs
        self.dataset = self.reduced = ""  # what its ensemble was trained on and in which setting, once `on` has said it
        self._save()  # forgets what an earlier execution recorded: no number outlives its run

    def fits(self, **manifests: Mapping) -> None:
        """ValueError, one line, unless the parameters fit one another, ensembles with these manifests (by the parameter
        that names them), and the budget. What asks about other ensembles is left open."""
        parameters.fits(self.chapter, self.parameters, self.expected, manifests)

    @property
    def path(self) -> Path:
        """Where this run's records lie."""
        return ledger_folder(self.profile) / f"{self.chapter}.json"

    def on(self, dataset: str, reduced: str = "") -> None:
        """Say what the run's ensemble was trained on, as its recipe has it: claims about another data set are not
        measured by it, whatever value they are given. `reduced` says in what the setting falls short of the paper's;
        results are marked with it from here on, and counted apart."""
        self.dataset, self.reduced = dataset, reduced

    @property
    def prefix(self) -> str:
        """What the names of all that this chapter glues begin with: 02 for 02_class_ablation."""
        return self.chapter.partition("_")[0]

    def say(self, **values: object) -> None:
        """Give the prose its numbers: n=640 is what {glue:text}`02_n` shows. A table or picture is glued as it is.

        Raises ValueError for what `words.words` does not know how to write.
        """
        from myst_nb import glue  # the notebooks' own; the ledger is also read without them

        for name, value in values.items():
            shown = value if hasattr(value, "_repr_html_") else words.words(value)
            glue(f"{self.prefix}_{name}", shown, display=False)

    def figure(self, name: str, draw: Callable[[], Figure], alt: str) -> Picture:
        """What `draw` makes, for light and dark pages, glued as 02_fig_NAME, and returned. `alt` says what is seen.
        The numbers that are drawn can be downloaded as 02_fig_NAME.csv."""
        picture = plotting.themed(draw, alt, f"{self.prefix}_fig_{name}")
        self.say(**{f"fig_{name}": picture})
        return picture

    def claim(
        self,
        id: str,
        value: object,
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
        note: str = "",
    ) -> Page:
        """Record what was measured for a claim, and show it beside the paper's value with its verdict.

        `value` is in the claim's unit: a share as a fraction of 1, a p-value as its base-10 logarithm, a
        statement as True or False. It may be an interval (an object with value, low, high and n), or have a
        `reason`, which is then why the claim was not run.
        Raises ValueError for an unknown id or a value that does not suit.
        """
        if id not in self.claims:
            raise ValueError(f"expected the id of a claim in claims.yml, got {id!r}{parameters.meant(id, self.claims)}")
        claim = self.claims[id]
        if claim.chapter != self.chapter:
            raise ValueError(
                f"claim {id} is recorded by chapter {claim.chapter}, not by {self.chapter}; "
                f"change its chapter in claims.yml to record it here"
            )
        if self.dataset and claim.dataset not in ("any", self.dataset):
            value = NotRun(f"this run is of {markup.DATASETS.get(self.dataset, 'your own images')}")
        if reason := getattr(value, "reason", None):
            record = {"value": None, "low": None, "high": None, "n": None, "note": note or str(reason)}
            again = []
        else:
            if all(hasattr(value, name) for name in ("value", "low", "high")):
                value, low, high, n = value.value, value.low, value.high, n or getattr(value, "n", None)
            value, low, high = paper.measured(claim, value, low, high)
            if n is not None and (isinstance(n, bool) or int(n) != n or n < 1):
                raise ValueError(f"claim {id}: expected n as a whole number of at least 1, got {n!r}")
            record = {"value": value, "low": low, "high": high, "n": None if n is None else int(n), "note": note}
            again = [paper.measured(claim, other, other, other)[0] for other in self.again.get(id, [])]
        if self.reduced and claim.kind == "result" and record["value"] is not None:
            record["reduced"] = self.reduced
        self.records[id] = record | ({"again": again} if again else {})
        self._save()
        return markup.claim_line(_row(claim, record))

    def asked(self, question: str, answer: str, measured: str, test: str) -> None:
        """Record what this book asks and the paper does not: the question, one of ANSWERS, what was measured in words,
        and by which test (its n, its sides, the smallest effect that it would have seen); `markup.questions` shows
        them. Raises ValueError for another answer, or for nothing said."""
        if answer not in ANSWERS:
            raise ValueError(f"expected the answer as one of {', '.join(ANSWERS)}; got {answer!r}")
        record = {"question": question, "answer": answer, "measured": measured, "test": test}
        if empty := [name for name, said in record.items() if not said.strip()]:
            raise ValueError(f"expected words for {', '.join(empty)} of a question, got none")
        self.questions.append(record)
        self._save()

    def provenance(self) -> Page:
        """What the chapter ran with: profile, parameters, commit, machine, versions, run time and memory so far."""
        self._save()
        made = self.made
        parameters = ", ".join(f"{name} = {value!r}" for name, value in self.parameters.items())
        lines = {
            "Profile": self._profile_words(),
            "Parameters": parameters,
            "Commit": markup.commit(made),
            "Machine": f"{made['machine']}, {made['cpus']} CPUs",
            "Versions": f"Python {made['python']}, torch {made['torch']}, numpy {made['numpy']}",
            "Run time": markup.duration(time.perf_counter() - self._began),
            "Memory": f"at most {peak / 1e6:,.0f} MB" if (peak := provenance.peak_memory()) else "",
            "Date": str(made["date"]),
        }
        return markup.provenance(lines, core_functions(self._namespace))

    def __repr__(self) -> str:
        return f"Run of {self.chapter}, {self._profile_words()}"

    def _profile_words(self) -> str:
        if not self.changed:
            return self.profile
        differences = [  # a parameter that is empty in the profile is not set against ''
            f"{name} = {here!r}" + (f", not {there!r}" if there not in ("", None) else "")
            for name, (there, here) in self.changed.items()
        ]
        return f"custom: {self.base} with {'; '.join(differences)}"

    def _save(self) -> None:
        record = {
            "chapter": self.chapter,
            "profile": self.profile,
            "base": self.base,
            "parameters": self.parameters,
            "made": self.made,
            "seconds": round(time.perf_counter() - self._began, 1),
            "peak_memory": provenance.peak_memory(),
            "claims": self.records,
            "questions": self.questions,
        }
        files.atomic_write(self.path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def core_functions(namespace: Mapping[str, object]) -> list[str]:
    """The functions and classes of the core that the cells run so far name, as in "genens.sampling.sample", sorted."""
    found = set()
    for cell in namespace.get("In", []):
        try:
            tree = ast.parse(TransformerManager().transform_cell(cell))
        except SyntaxError:  # a cell that did not run either
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = namespace.get(node.value.id)
                meant = getattr(module, node.attr, None) if isinstance(module, ModuleType) else None
                home = getattr(meant, "__module__", None) or ""
                if home.partition(".")[0] == "genens" and hasattr(meant, "__qualname__"):
                    found.add(f"{home}.{meant.__qualname__}")
    return sorted(found)


def ledger_folder(profile: str) -> Path:
    """Where the records of a profile lie, one JSON file for each chapter."""
    return store.root() / "ledger" / profile


def _as_json(value: object) -> object:
    return json.loads(json.dumps(value))


# ---------------------------------------------------------------- the scorecard


def _row(claim: Claim, record: Mapping[str, object] | None) -> dict[str, object]:
    """One claim beside what was recorded for it, ready for a table, for JSON and for CSV."""
    record = record or {}
    value, low, high = (record.get(name) for name in ("value", "low", "high"))
    again, reduced = record.get("again", []), record.get("reduced", "")
    same = paper.holds(claim, value, low, high) if claim.kind == "setting" and value is not None else None
    return {
        "id": claim.id,
        "section": claim.section,
        "statement": claim.statement,
        "dataset": claim.dataset,
        "unit": claim.unit,
        "paper": paper.paper_value(claim),
        "paper_value": claim.value,
        "here": paper.show(claim, value, low, high),
        "value": value,
        "low": low,
        "high": high,
        "n": record.get("n"),
        "again": again,
        "verdict": paper.verdict(claim, value, low, high),
        "same_setting": same,
        "reduced": reduced,
        "rule": paper.rule(claim),
        "kind": claim.kind,
        "chapter": claim.chapter,
        "command": claim.command,
        "written": (store.home() / "book" / f"{claim.chapter}.ipynb").is_file(),
        "note": claim.note,
        "run_note": " ".join(
            filter(
                None,
                [reduced and f"Reduced setting: {reduced}.", record.get("note", ""), paper.again_words(claim, again)],
            )
        ),
        "link": f"{claim.chapter}.html#claim-{claim.id}" if record else "",
    }


def scorecard(profile: str) -> list[dict[str, object]]:
    """One row for each claim, in the paper's order, with what the chapters recorded under `profile`.

    Raises ValueError for an unknown profile or a damaged record.
    """
    if profile not in [*parameters.profiles(), "custom"]:
        raise ValueError(
            f"expected a profile out of {', '.join(parameters.profiles())} or custom, got {profile!r}"
            f"{parameters.meant(profile, parameters.profiles())}"
        )
    book = paper.load()
    records = {
        chapter: _records(ledger_folder(profile) / f"{chapter}.json")
        for chapter in {claim.chapter for claim in book.values()}
    }
    return [_row(claim, records[claim.chapter].get(claim.id)) for claim in book.values()]


def runs(profile: str) -> list[dict[str, object]]:
    """What each chapter last ran with under a profile, in the book's order: its record, less the claims."""
    found = [_record(path) for path in sorted(ledger_folder(profile).glob("[0-9]*.json"))]
    return [{name: value for name, value in record.items() if name not in ("claims", "questions")} for record in found]


def questions(profile: str) -> list[dict[str, str]]:
    """What the chapters asked beyond the paper under a profile (`Run.asked`), in the book's order."""
    found = [_record(path) for path in sorted(ledger_folder(profile).glob("[0-9]*.json"))]
    return [question for record in found for question in record.get("questions", [])]


def _records(path: Path) -> dict[str, dict]:
    return dict(_record(path)["claims"]) if path.is_file() else {}


def _record(path: Path) -> dict:
    with files.expecting("the record of a run", path, "delete it and run the chapter again"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(one, dict) for one in (record["claims"], *record["claims"].values())):
            raise TypeError("claims are not fields by id")
        return record


def titles() -> dict[str, str]:
    """Chapter -> its title: the first heading of each of the book's notebooks."""
    found = {}
    for path in sorted((store.home() / "book").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "".join(cells[0]["source"]) if cells else ""
        if heading := re.match(r"\s*(?:\(.*\)=\s*)?#\s+(.+)", text):
            found[path.stem] = heading[1].strip()
    return found


def export(rows: list[dict[str, object]], profile: str) -> tuple[Path, Path]:
    """Write `scorecard.json` and `scorecard.csv` to `<store>/scorecard/<profile>/`; returns both paths."""
    folder = store.root() / "scorecard" / profile
    body = {"profile": profile, "counts": counts(rows), "rows": rows}
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: json.dumps(cell) if isinstance(cell, list) else cell for name, cell in row.items()} for row in rows
    )
    files.atomic_write(folder / "scorecard.json", json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    files.atomic_write(folder / "scorecard.csv", table.getvalue())
    return folder / "scorecard.json", folder / "scorecard.csv"


# ---------------------------------------------------------------- the README's table

HEADLINE = (
    "s3.1-influence-accuracy-euclidean",
    "s3.1-class-changed-predicted",
    "s3.1-class-changed-other",
    "f2d-class-diminished",
    "t1-others-kept-celeba",
    "f3a-below-worst-member-mnist",
    "f4a-distance-decreases",
    "f5a-approximates-mnist",
    "f5d-higher-individual-mnist",
    "s3.3-generally-influential",
)


def headline(rows: Iterable[Mapping[str, object]], ids: Iterable[str] = HEADLINE) -> str:
    """What became of all results in two sentences, and a few rows of the scorecard as a Markdown table."""
    found = {row["id"]: row for row in rows}
    of = markup.tally([*found.values()])
    lines = [
        f"*Codes and theorems*, computed: {of['formal']} of the paper's statements hold, {of['formal_not']} do not as "
        f"printed (in {markup.slips([*found.values()])}).",
        "",
        f"*Experiments*: {of['measured']} reproduced, {of['measured_not']} not reproduced, {of['inconclusive']} "
        f"inconclusive, {of['not_run']} not run. {markup.at_setting([*found.values()])}",
        *(["", f"*At a reduced setting*: {apart}."] if (apart := markup.reduced_words([*found.values()])) else []),
        "",
        "| claim | paper | here | verdict | reproduced if |",
        "|---|---|---|---|---|",
    ]
    for id in ids:
        row = found[id]
        lines.append(
            f"| {row['statement']} | {row['paper']} | {row['here'] or '–'} | {row['verdict']} | {row['rule']} |"
        )
    return "\n".join(lines)


def write_headline(readme: Path, profile: str = "laptop") -> None:
    """Replace the table between README's `headline` marks by the one of the last run (`make headline`)."""
    before, _, rest = readme.read_text(encoding="utf-8").partition("<!-- headline -->\n")
    _, mark, after = rest.partition("<!-- /headline -->")
    if not mark:
        raise ValueError(f"expected the marks <!-- headline --> and <!-- /headline --> in {readme}; add them")
    files.atomic_write(readme, f"{before}<!-- headline -->\n{headline(scorecard(profile))}\n{mark}{after}")
