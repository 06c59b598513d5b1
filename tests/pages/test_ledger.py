"""genens_book.pages: what a chapter records, and what the scorecard makes of it."""

from __future__ import annotations

import csv
import errno
import html
import json
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from markupsafe import escape
from support import ROOT

from genens import files, provenance, store
from genens_book.pages import budget, claims, declared, ledger, markup
from genens_book.pages.declared import Parameter
from genens_book.pages.kinds import Real, Several, Text, Whole

CHAPTER = "02_class_ablation"
ENTRY = {
    "section": "3.1",
    "unit": "share",
    "comparison": "greater_than",
    "kind": "result",
    "dataset": "mnist-classes",
    "chapter": CHAPTER,
    "command": "make book",
}
CLAIMS = [
    {**ENTRY, "id": "s3.1-accuracy", "statement": "How often the class is right.", "value": 0.61},
    {**ENTRY, "id": "s3.1-lpips", "statement": "How often it is right in LPIPS.", "value": 0.62},
    {
        **ENTRY,
        "id": "s3.1-other",
        "statement": "How often <another> class changes.",
        "value": 0.43,
        "comparison": "less_than",
        "note": "Lower is better.",
    },
    {
        **ENTRY,
        "id": "s3.1-samples",
        "statement": "Samples.",
        "value": 3000,
        "unit": "samples",
        "comparison": "equal",
        "kind": "setting",
    },
    {
        **ENTRY,
        "id": "b1-splits",
        "section": "B.1",
        "statement": "Split sizes.",
        "value": [3, 4],
        "unit": "images",
        "comparison": "equal",
        "chapter": "01_codes",
    },
    {
        **ENTRY,
        "id": "f4-converges",
        "section": "Figure 4",
        "statement": "It converges.",
        "value": True,
        "unit": "",
        "comparison": "statement",
        "chapter": "04_convergence",
        "command": "make book PROFILE=paper",
    },
]
PROFILES = {
    "laptop": {
        "train": {},
        CHAPTER: {"n_samples": 1000, "seed": 1, "guidance": 0.5, "digits": [0, 1], "weights": None},
        "01_codes": {"seed": 1},
    },
    "paper": {
        "train": {},
        CHAPTER: {"n_samples": 3000, "seed": 1, "guidance": 0.5, "digits": [0, 1], "weights": None},
        "01_codes": {"seed": 1},
    },
}

DECLARED = {
    "profile": declared.PROFILE,
    "seed": declared.SEED,
    "n_samples": declared.SAMPLES,
    "guidance": Parameter(Real(0, 10), "how strong"),
    "digits": Parameter(Several(Whole(0, 9)), "which"),
    "weights": Parameter(Text("a name"), "of what", none="the usual"),
}


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "book"
    (folder / "profiles").mkdir(parents=True)
    (folder / "claims.yml").write_text(yaml.safe_dump(CLAIMS))
    shutil.copyfile(ROOT / "book" / "claims.schema.json", folder / "claims.schema.json")
    for name, chapters in PROFILES.items():
        (folder / "profiles" / f"{name}.yml").write_text(yaml.safe_dump(chapters))
    monkeypatch.setattr(store, "home", lambda: tmp_path)
    monkeypatch.setattr(declared, "CHAPTERS", {CHAPTER: DECLARED, "01_codes": DECLARED})
    monkeypatch.setattr(budget, "COSTS", {})
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    yield folder


def notebook(**changes: object) -> dict[str, object]:
    """The globals of a chapter right after its parameters cell, with what Jupyter and imports put there."""
    return {
        "__name__": "__main__",
        "_": "",
        "_ih": [""],
        "In": [""],
        "Out": {},
        "exit": object(),
        "ledger": ledger,
        "profile": "laptop",
        **PROFILES["laptop"][CHAPTER],
        **changes,
    }


def run(chapter: str = CHAPTER, **changes: object) -> ledger.Run:
    return ledger.Run(chapter, notebook(**changes))


@dataclass
class Interval:
    value: float
    low: float
    high: float
    n: int


@dataclass
class NotRun:
    reason: str


# ---------------------------------------------------------------- parameters


def test_a_run_of_a_profile_carries_its_name() -> None:
    made = run()
    assert made.profile == "laptop" and made.changed == {} and made.parameters == PROFILES["laptop"][CHAPTER]
    assert made.path.is_file() and made.path.parent.name == "laptop"


def test_a_run_with_another_value_is_custom_and_says_what_differs() -> None:
    made = run(n_samples=200)
    assert made.profile == "custom" and made.base == "laptop" and made.changed == {"n_samples": (1000, 200)}
    assert repr(made) == f"Run of {CHAPTER}, custom: laptop with n_samples = 200, not 1000"
    assert run(profile="paper", n_samples=3000).profile == "paper"
    assert run(digits=(0, 1)).profile == "laptop", "a tuple is the list that YAML has"
    assert run(weights="weights/other").profile == "custom", "None may be given a value"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_sampels": 200}, "unknown parameter 'n_sampels'; did you mean 'n_samples'?"),
        ({"steps": 200}, "unknown parameter 'steps'; it takes"),
        ({"layout": {"a": 1}}, "unknown parameter 'layout'"),
        ({"profile": "latop"}, "expected a profile"),
        ({"profile": None}, "expected the parameter profile"),
        ({"n_samples": "many"}, "expected n_samples as a whole number of at least 1; got 'many'; its profile has 1000"),
        ({"n_samples": True}, "expected n_samples as a whole number"),
        ({"n_samples": 2.5}, "expected n_samples as a whole number"),
        ({"n_samples": None}, "expected n_samples as a whole number of at least 1; got None"),
        ({"guidance": float("nan")}, "expected guidance as a number above 0 up to 10; got nan"),
        ({"digits": 3}, "expected digits as a list of 1 to 20, each a whole number from 0 to 9"),
        ({"weights": 3}, "expected weights as a name, or None: the usual; got 3"),
    ],
)
def test_wrong_parameters_are_refused_in_one_line(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        run(**changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_missing_parameters_and_chapters_are_named() -> None:
    namespace = notebook()
    del namespace["seed"]
    with pytest.raises(ValueError, match="expected the parameter 'seed'"):
        ledger.Run(CHAPTER, namespace)
    with pytest.raises(ValueError, match="no chapter '02_class_abaltion'; did you mean '02_class_ablation'"):
        run("02_class_abaltion")
    assert run(guidance=1).profile == "custom", "a whole number may stand for a decimal one"


def test_a_setup_cell_may_run_again_in_a_live_notebook() -> None:
    namespace = notebook()
    ledger.Run(CHAPTER, namespace)
    namespace.update(accuracy=0.5, n=7, n_samples=300)
    assert ledger.Run(CHAPTER, namespace).changed == {"n_samples": (1000, 300)}


# ---------------------------------------------------------------- recording


def test_a_recorded_claim_shows_its_verdict_and_anchor() -> None:
    made = run()
    page = made.claim("s3.1-accuracy", 0.64, 0.62, 0.66, n=1000)
    assert '<a id="claim-s3.1-accuracy"' in page._repr_html_() and "✓" in page._repr_html_()
    words = page.html.replace("\xa0", " ")
    assert "61 %" in words and "64 % (62 to 66)" in words and "n = 1,000." in words
    assert repr(page).startswith("[reproduced] 3.1: How often the class is right. Paper: 61 %. Here: 64 % (62 to 66).")
    record = json.loads(made.path.read_text())
    assert record["claims"]["s3.1-accuracy"] == {"value": 0.64, "low": 0.62, "high": 0.66, "n": 1000, "note": ""}
    assert record["parameters"] == made.parameters and set(record["made"]) == set(provenance.describe())


def test_an_interval_and_a_reason_are_taken_as_they_come() -> None:
    made = run()
    made.claim("s3.1-accuracy", Interval(np.float64(0.7), 0.65, 0.75, np.int64(500)))
    page = made.claim("s3.1-lpips", NotRun("the weights of VGG-16 are not at hand"))
    assert "not run: the weights of VGG-16 are not at hand" in page.html and "not\xa0run\xa0yet" in page.html
    rows = {row["id"]: row for row in ledger.scorecard("laptop")}
    assert (rows["s3.1-accuracy"]["value"], rows["s3.1-accuracy"]["n"]) == (0.7, 500)
    assert rows["s3.1-lpips"]["verdict"] == "not run yet" and "VGG" in rows["s3.1-lpips"]["run_note"]


def test_a_claim_about_another_dataset_is_not_measured_by_a_run_of_this_one() -> None:
    made = run()
    made.on("cifar10")
    assert "this run is of CIFAR-10" in made.claim("s3.1-accuracy", 0.7).html
    made.on("folder:/home/me/holidays")
    assert "this run is of your own images" in made.claim("s3.1-accuracy", 0.7).html
    made.on(made.claims["s3.1-accuracy"].dataset)
    assert "not run" not in made.claim("s3.1-accuracy", 0.7).html


def test_text_on_the_page_is_escaped() -> None:
    page = run().claim("s3.1-other", 0.2, note="a < b & c")
    assert "&lt;another&gt;" in page.html and "a &lt; b &amp; c" in page.html and "<another>" not in page.html


@pytest.mark.parametrize(
    ("id", "value", "words"),
    [
        ("s3.1-acuracy", 0.5, "got 's3.1-acuracy'; did you mean 's3.1-accuracy'?"),
        ("b1-splits", [3, 4], "is recorded by chapter 01_codes"),
        ("s3.1-accuracy", 61, "expected a share between 0 and 1"),
    ],
)
def test_a_claim_that_cannot_be_recorded_is_refused(id: str, value: object, words: str) -> None:
    made = run()
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        made.claim(id, value)
    assert "\n" not in str(caught.value) and json.loads(made.path.read_text())["claims"] == {}


def test_the_count_of_a_claim_is_a_whole_number() -> None:
    with pytest.raises(ValueError, match="expected n as a whole number"):
        run().claim("s3.1-accuracy", 0.6, n=0)


def test_a_new_run_forgets_what_the_last_one_recorded() -> None:
    run().claim("s3.1-accuracy", 0.58)
    run()
    assert {row["verdict"] for row in ledger.scorecard("laptop")} == {"not run yet", "setting"}


def test_questions_beyond_the_paper_are_kept_with_the_chapter_and_shown_apart() -> None:
    made = run()
    made.asked("Does it <matter>?", "not seen", "1 % (0 % to 2 %)", "two-sided; 3 % would be seen")
    made.asked("Is it so?", "yes", "35 of 35", "exact")
    assert markup.questions(made.questions).text.splitlines()[2].startswith("Is it so?\tyes")
    kept = ledger.questions("laptop")
    assert [one["answer"] for one in kept] == ["not seen", "yes"]
    page = markup.questions(kept).html
    assert "&lt;matter&gt;" in page and "% would be seen" in page
    assert "questions" not in ledger.runs("laptop")[0] and ledger.questions("smoke") == []
    run()
    assert ledger.questions("laptop") == []  # a new run forgets them too
    for wrong, words in (({"answer": "maybe"}, "the opposite, .*; got 'maybe'"), ({"test": " "}, "words for test")):
        with pytest.raises(ValueError, match=words):
            run().asked(**{"question": "q", "answer": "yes", "measured": "m", "test": "t", **wrong})


def test_profiles_are_kept_apart() -> None:
    run().claim("s3.1-accuracy", 0.9)
    run(n_samples=10).claim("s3.1-accuracy", 0.1)
    assert [ledger.scorecard(name)[0]["verdict"] for name in ("laptop", "custom", "paper")] == [
        "reproduced",
        "not reproduced",
        "not run yet",
    ]


def test_a_full_disk_is_one_line_and_keeps_the_last_record(monkeypatch: pytest.MonkeyPatch) -> None:
    made = run()
    made.claim("s3.1-accuracy", 0.58)

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(OSError, match="nothing half-written is left"):
        made.claim("s3.1-other", 0.2)
    assert list(json.loads(made.path.read_text())["claims"]) == ["s3.1-accuracy"]
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]


def test_provenance_tells_what_a_reader_needs() -> None:
    page = run(n_samples=200).provenance()
    for words in (
        "custom: laptop with n_samples = 200, not 1000",
        "seed = 1",
        "Commit",
        "Python",
        "torch",
        "Run time",
        "Memory",
        " MB",
    ):
        assert words in html.unescape(page.html) and words in repr(page)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.42, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600, "1 h 00 min"),
        (7830, "2 h 10 min"),
        (float("nan"), "an unknown time"),
    ],
)
def test_times_read_well(seconds: float, words: str) -> None:
    assert markup.duration(seconds) == words


# ---------------------------------------------------------------- the scorecard


def filled() -> list[dict]:
    made = run()
    made.claim("s3.1-accuracy", 0.64, 0.62, 0.66, n=1000)
    made.claim("s3.1-other", 0.6, 0.55, 0.65)
    made.claim("s3.1-samples", 1000)
    ledger.Run("01_codes", {"profile": "laptop", "seed": 1}).claim("b1-splits", np.array([3, 4]), note="exact")
    return ledger.scorecard("laptop")


def test_the_scorecard_has_every_claim_in_the_papers_order() -> None:
    rows = filled()
    assert [row["id"] for row in rows] == [entry["id"] for entry in CLAIMS]
    assert [row["verdict"] for row in rows] == [
        "reproduced",
        "not run yet",
        "not reproduced",
        "setting",
        "reproduced",
        "not run yet",
    ]
    counted = {"reproduced": 2, "not reproduced": 1, "inconclusive": 0, "not run yet": 2, "setting": 1}
    assert ledger.counts(rows) == counted
    assert rows[0]["link"] == "02_class_ablation.html#claim-s3.1-accuracy" and rows[5]["link"] == ""
    assert rows[3]["same_setting"] is False and markup.verdict_words(rows[3]) == "other setting"


def test_an_unknown_profile_or_a_damaged_record_is_one_line() -> None:
    with pytest.raises(ValueError, match="got 'latop'; did you mean 'laptop'"):
        ledger.scorecard("latop")
    path = run().path
    path.write_text(path.read_text()[:50])
    with pytest.raises(ValueError, match="delete it and run the chapter again") as caught:
        ledger.scorecard("laptop")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_exported_files_hold_the_rows() -> None:
    rows = filled()
    as_json, as_csv = ledger.export(rows, "laptop")
    body = json.loads(as_json.read_text())
    assert body["rows"] == rows and body["counts"]["reproduced"] == 2 and body["profile"] == "laptop"
    with open(as_csv, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    assert lines[4]["value"] == "[3, 4]" and lines[0]["low"] == "0.62" and lines[5]["value"] == ""


def test_the_prose_counts_what_is_formal_apart() -> None:
    told = markup.tally(filled())
    assert told["settings"] + told["results"] == len(CLAIMS)
    assert sum(told[name] for name in ("reproduced", "not_reproduced", "inconclusive", "not_run")) == told["results"]
    assert (told["formal"], told["measured"]) == (1, 1), "the split sizes, of chapter 01, and the accuracy"
    assert (told["formal_not"], told["measured_not"]) == (0, 1)
    assert (told["settings_same"], told["settings_other"]) == (0, 1)


def test_the_headline_says_what_is_theory_what_experiment_and_at_which_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "home", lambda: ROOT)
    rows = {id: ledger._row(claim, None) for id, claim in claims.load().items()}

    def measured(id: str, value: object, note: str = "", **ends: float) -> None:
        record = {"value": value, "low": None, "high": None, "n": None, "note": note} | ends
        rows[id] = ledger._row(claims.load()[id], record)

    assert markup.at_setting([*rows.values()]) == "", "nothing was run, at no setting"
    measured("a2-row-distance", False)
    measured("s2.3-models-logarithmic", False)
    measured("b3-sampling-steps", 20)
    measured("b2-architecture", False)
    measured("f3a-below-worst-member-mnist", -3.0, note="By the features of a cat.", low=-4.0, high=-2.0)
    said = ledger.headline(rows.values()).partition("\n\n|")[0]
    assert "0 of the paper's statements hold, 2 do not as printed (in Section 2.3 and Appendix A.2)" in said
    assert "1 reproduced, 0 not reproduced, 0 inconclusive" in said
    assert "another network and 20 steps for 1,000 steps. FID by the features of a cat." in said


def test_results_at_a_reduced_setting_are_marked_and_counted_apart() -> None:
    here = run()
    here.on("mnist-classes", reduced="a network of four weights")
    line = here.claim("s3.1-accuracy", Interval(0.64, 0.62, 0.66, 1000))
    assert "Reduced setting: a network of four weights." in line.text
    here.claim("s3.1-samples", 1000)
    rows = {row["id"]: row for row in ledger.scorecard("laptop")}
    assert rows["s3.1-accuracy"]["reduced"] and not rows["s3.1-samples"]["reduced"], (
        "settings say themselves what they are"
    )
    told = markup.tally([*rows.values()])
    assert told["measured"] == told["reproduced"] == 0
    said = markup.reduced_words([*rows.values()])
    assert said == "MNIST, classes, 1 reproduced, 0 not reproduced, 0 inconclusive (a network of four weights)"
    assert markup.reduced_words(filled()) == ""


class Tags(HTMLParser):
    """Checks that tags close in order; collects ids, links and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.ids, self.links, self.words = [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_other_training_runs_stand_beside_the_interval() -> None:
    made = run()
    made.again = {"s3.1-accuracy": [0.625, 0.58]}
    made.claim("s3.1-accuracy", 0.6, low=0.55, high=0.65)
    row = ledger.scorecard("laptop")[0]
    assert row["again"] == [0.625, 0.58], "as they were given"
    assert row["run_note"] == "Trained twice more, with other codes and seeds: 58, 62.5 %."
    made.again = {"s3.1-accuracy": ["much"]}
    with pytest.raises(ValueError, match="expected a number"):
        made.claim("s3.1-accuracy", 0.6, low=0.55, high=0.65)


def test_the_table_shows_every_claim_with_its_values_verdict_and_rule() -> None:
    rows = filled()
    page = Tags(markup.table(rows).html)
    words = "".join(page.words).replace("\xa0", " ")
    assert page.ids == [row["id"] for row in rows] and len(set(page.ids)) == len(page.ids)
    for row in rows:
        assert row["statement"] in words and row["paper"] in words
        assert row["kind"] == "setting" or f"Reproduced if {row['rule']}" in words
        assert markup.verdict_words(row) in words
    assert set(page.links) == {row["link"] for row in rows if row["here"]}
    assert "not written yet" in words, "a claim whose chapter does not exist says so"
    written = markup.table([row | {"written": True} for row in rows]).html
    assert "To run: <code>make book PROFILE=paper</code>" in written, "a claim that was not run says what to run"


def test_every_line_that_was_not_run_says_so_and_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "home", lambda: ROOT)
    rows = [ledger._row(claim, None) | {"written": True} for claim in claims.load().values()]
    assert {row["kind"] for row in rows} >= {"setting"}, "settings too"
    cells = re.findall(r'data-label="This run">(.*?)</td>', markup.table(rows).html)
    assert len(cells) == len(rows)
    for row, cell in zip(
        sorted(rows, key=lambda row: [r["section"] for r in rows].index(row["section"])), cells, strict=True
    ):
        assert cell.startswith("not run") and f"To run: <code>{escape(row['command'])}</code>" in cell


def test_the_summary_counts_each_chapter_in_words_as_well_as_colour() -> None:
    page = markup.summary(filled(), {CHAPTER: "Classes"})
    parsed = Tags(page.html)
    assert parsed.links == ["01_codes.html", "02_class_ablation.html"], "a chapter that was not run is no link"
    labels = re.findall('aria-label="([^"]*)"', page.html)
    assert labels == [
        "2 reproduced, 1 not reproduced, 2 not run yet, 1 setting",
        "1 reproduced",
        "1 reproduced, 1 not reproduced, 1 not run yet, 1 setting",
        "1 not run yet",
    ]
    assert "Classes" in page.html and "Convergence" in page.html
    assert repr(page) == "2 reproduced; 1 not reproduced; 0 inconclusive; 2 not run yet; 1 setting"


def test_the_books_own_scorecard_renders_before_anything_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "home", lambda: ROOT)
    rows = [ledger._row(claim, None) for claim in claims.load().values()]
    assert len(Tags(markup.table(rows).html).ids) == len(rows)
    assert ledger.counts(rows)["reproduced"] == ledger.counts(rows)["not reproduced"] == 0
    markup.summary(rows)


def test_the_page_tells_when_each_chapter_was_run() -> None:
    filled()
    records = ledger.runs("laptop")
    assert [record["chapter"] for record in records] == ["01_codes", CHAPTER] and "claims" not in records[0]
    page = markup.runs(records)
    words = "".join(Tags(page.html).words)
    assert provenance.describe()["machine"] in words and CHAPTER in repr(page)
    assert ledger.runs("paper") == []


def test_chapters_are_called_by_their_first_heading(book: Path) -> None:
    cells = [{"cell_type": "markdown", "source": ["(ablation)=\n", "# Ablating classes\n", "Text"]}]
    (book / f"{CHAPTER}.ipynb").write_text(json.dumps({"cells": cells}))
    (book / "01_codes.ipynb").write_text(json.dumps({"cells": []}))
    assert ledger.titles() == {CHAPTER: "Ablating classes"}


def test_powers_of_ten_are_set_as_powers() -> None:
    row = {**ledger.scorecard("laptop")[0], "paper": "p ≤ 10⁻³⁰⁰", "section": "2"}
    assert "p ≤ 10<sup>−300</sup>" in markup.table([row]).html and "p ≤ 10⁻³⁰⁰" in repr(markup.claim_line(row))
