"""The scorecard and the record of one claim as HTML: the templates in `templates/`, filled.

Rows are those of `ledger.scorecard`; `book/_static/ledger.css` styles the classes. A verdict is told by a symbol and a
word; colour only repeats it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from genens_book.pages.claims import INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN, REPRODUCED, SETTING, VERDICTS

Row = Mapping[str, object]
SYMBOLS = {REPRODUCED: "✓", NOT_REPRODUCED: "✗", INCONCLUSIVE: "?", NOT_RUN: "○", SETTING: "≡"}
TONES = dict(zip(VERDICTS, ("ge-yes", "ge-no", "ge-unsure", "ge-open", "ge-setting"), strict=True))  # CSS classes
DATASETS = {"any": "", "mnist": "MNIST", "mnist-classes": "MNIST, classes", "cifar10": "CIFAR-10", "celeba": "CelebA"}
SCALE = ("b2-epochs-mnist", "b3-sampling-steps", "s3.2-fid-samples")  # settings that say how large an experiment was
RUNS = ("Chapter", "Run time", "Date", "Commit", "Machine")
_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"  # fonts draw these unevenly
_LOWERED = str.maketrans(_RAISED, "−0123456789")


@dataclass(frozen=True)
class Page:
    """A piece of a page: HTML in a notebook, text in a terminal."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


# ---------------------------------------------------------------- templates


def prose(value: object) -> Markup:
    """Escaped; not to be broken before a per cent sign or inside an interval; powers (x^2, x^{2C}) set as such."""
    joined = re.sub(r"\(\S+ to \S+\)", lambda found: found[0].replace(" ", "\u00a0"), str(value))
    page = re.sub(f"(?<=10)([{_RAISED}]+)", lambda found: f"^{found[0].translate(_LOWERED)}", escape(joined))
    page = re.sub(r"\^(?:\{(.+?)\}|([-−]?[\d.]*\d|\w))", lambda found: f"<sup>{found[1] or found[2]}</sup>", page)
    return Markup(page.replace(" %", "\u00a0%").replace("<sup>-", "<sup>−"))


def verdict_words(row: Row) -> str:
    """A row's verdict in words; of a setting that was recorded, whether it is the paper's."""
    if row["unit"] == "log10p" and row["value"] is not None:
        return "reported, not judged"  # a p-value counts samples as much as it measures anything
    return {None: str(row["verdict"]), True: "same setting", False: "other setting"}[row["same_setting"]]


_TEMPLATES = Environment(
    loader=PackageLoader("genens_book.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"prose": prose, "section": lambda name: _section(name)}
_TEMPLATES.globals |= {"symbols": SYMBOLS, "tones": TONES, "datasets": DATASETS, "verdict_words": verdict_words}


def render(template: str, **values: object) -> str:
    """A file of `templates/`, filled. Values are escaped, unless they are Markup; the filter `prose` sets numbers."""
    return _TEMPLATES.get_template(template).render(**values)


# ---------------------------------------------------------------- a chapter


def provenance(lines: Mapping[str, str], functions: Sequence[str] = ()) -> Page:
    """What a chapter ran with, as a list of names and values; and links to the functions of the core that it called."""
    told = {name: text for name, text in lines.items() if text}
    page = render("provenance.html", lines=told, functions=functions)
    told |= {"Functions": ", ".join(functions)} if functions else {}
    return Page(page, "\n".join(f"{name}: {text}" for name, text in told.items()))


def claim_line(row: Row) -> Page:
    """One claim in its chapter: an anchor, the verdict, the paper's value and this run's."""
    here = str(row["here"]) or f"not run{f': {why}' if (why := row['run_note']) else ''}"
    tail = "".join(f" {part}" for part in [row["n"] and f"n = {row['n']:,}.", row["here"] and row["run_note"]] if part)
    values = f"Paper: {row['paper']}. Here: {here}.{tail}"
    text = f"[{verdict_words(row)}] {row['section']}: {row['statement']} {values}"
    return Page(render("claim.html", row=row, here=here, tail=tail), text)


# ---------------------------------------------------------------- the scorecard


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows have each verdict, in the order of VERDICTS, zeros included."""
    verdicts = [row["verdict"] for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def tally(rows: Sequence[Row]) -> dict[str, int]:
    """The numbers of the scorecard's prose: results by verdict, and of these the formal ones, of chapters 01 and 01b,
    apart from the experiments, and without those at a reduced setting (`reduced_words`); settings, and how many of
    those that were recorded are the paper's."""
    rows = [row for row in rows if not row["reduced"]]
    of, formal = counts(rows), counts(row for row in rows if is_formal(row))
    return {
        "settings": of[SETTING],
        "settings_same": sum(verdict_words(row) == "same setting" for row in rows),
        "settings_other": sum(verdict_words(row) == "other setting" for row in rows),
        "p_values": sum(row["unit"] == "log10p" for row in rows),
        "results": len(rows) - of[SETTING],
        "reproduced": of[REPRODUCED],
        "not_reproduced": of[NOT_REPRODUCED],
        "inconclusive": of[INCONCLUSIVE],
        "not_run": of[NOT_RUN],
        "formal": formal[REPRODUCED],
        "formal_not": formal[NOT_REPRODUCED],
        "measured": of[REPRODUCED] - formal[REPRODUCED],
        "measured_not": of[NOT_REPRODUCED] - formal[NOT_REPRODUCED],
    }


def reduced_words(rows: Sequence[Row]) -> str:
    """By data set, how many results at a reduced setting have each verdict, and the setting; nothing without any."""
    said = []
    for dataset, group in _grouped([row for row in rows if row["reduced"]], "dataset").items():
        of, settings = counts(group), dict.fromkeys(str(row["reduced"]) for row in group)
        numbers = f"{of[REPRODUCED]} reproduced, {of[NOT_REPRODUCED]} not reproduced, {of[INCONCLUSIVE]} inconclusive"
        said.append(f"{DATASETS[dataset]}, {numbers} ({'; '.join(settings)})")
    return "; ".join(said)


def is_formal(row: Row) -> bool:
    """Whether a row is a statement about codes or a theorem, which is computed, and not an experiment."""
    return str(row["chapter"]).startswith("01")


def slips(rows: Sequence[Row]) -> str:
    """Where in the paper the formal statements stand that do not hold as printed: "Section 2.3 and Appendix A.1"."""
    found = [_section(str(row["section"])) for row in rows if is_formal(row) and row["verdict"] == NOT_REPRODUCED]
    return _listed(dict.fromkeys(found))


def at_setting(rows: Sequence[Row]) -> str:
    """In which setting the experiments were run, what differs most from the paper's first, and in which features FID
    was judged; nothing where no experiment recorded it."""
    found = {row["id"]: row for row in rows if row["same_setting"] is False}
    apart = [f"{found[id]['here']} for {found[id]['paper']}" for id in SCALE if id in found]
    network = ["another network"] if "b2-architecture" in found else []
    judged = [row for row in rows if row["unit"] == "FID" and row["here"] and not row["reduced"]]
    judges = {str(row["run_note"]) for row in judged if row["run_note"]}
    said = f"At another setting than the paper's: {_listed([*network, *apart])}." if network or apart else ""
    return " ".join([said, *(f"FID {judge[0].lower()}{judge[1:]}" for judge in sorted(judges))]).strip()


def _listed(parts: Iterable[str]) -> str:
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _grouped(rows: Iterable[Row], field: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[field]), []).append(row)
    return groups


def summary(rows: list[Row], titles: Mapping[str, str] | None = None) -> Page:
    """How many claims of each chapter have each verdict, drawn as one bar a chapter.

    `titles` names chapters (by default their file names); a chapter that recorded something is a link.
    """
    chapters = _grouped(rows, "chapter")
    most = max(len(group) for group in chapters.values())
    bars = [_bar("All chapters", rows, len(rows))]
    for chapter, group in sorted(chapters.items()):
        link = f"{chapter}.html" if any(row["link"] for row in group) else ""
        bars.append(_bar((titles or {}).get(chapter) or _title(chapter), group, most, link))
    text = "; ".join(f"{number} {verdict}" for verdict, number in counts(rows).items())
    return Page(render("summary.html", bars=bars), text)


def _bar(title: str, rows: Iterable[Row], full: int, link: str = "") -> dict[str, object]:
    """One chapter's bar; `full` claims make a bar of full width."""
    numbers = {verdict: number for verdict, number in counts(rows).items() if number}
    words = ", ".join(f"{number} {verdict}" for verdict, number in numbers.items())
    width = max(100 * sum(numbers.values()) / full, 1)
    return {"title": title, "link": link, "numbers": numbers, "words": words, "width": f"{width:.1f}"}


def _title(chapter: str) -> str:
    """`04_convergence` as a title, for a chapter that is not written yet."""
    name = chapter[3:].replace("_", " ")
    return name.upper() if len(name) <= 3 else name.capitalize()


def table(rows: list[Row]) -> Page:
    """Every row, by the paper's sections: claim, paper's value, this run's, verdict. On a phone, cards."""
    sections = {_section(name): group for name, group in _grouped(rows, "section").items()}
    text = "\n".join(
        f"{row['id']}: {row['paper']} | {row['here'] or row['run_note']} | {verdict_words(row)}" for row in rows
    )
    return Page(render("scorecard.html", sections=sections), text)


def _section(name: str) -> str:
    """`2.3` as a reader says it: Section 2.3; appendices likewise."""
    return f"Section {name}" if name[0].isdigit() else f"Appendix {name}" if name[1:2] == "." else name


def runs(records: Iterable[Mapping[str, object]]) -> Page:
    """When, where and from which commit each chapter was run; takes `ledger.runs`."""
    lines = [
        (
            str(record["chapter"]),
            duration(record["seconds"]),
            str(record["made"]["date"])[:10],
            commit(record["made"]),
            f"{record['made']['machine']}, {record['made']['cpus']} CPUs",
        )
        for record in records
    ]
    lines = [dict(zip(RUNS, line, strict=True)) for line in lines]
    return Page(render("runs.html", names=RUNS, lines=lines), "\n".join(", ".join(line.values()) for line in lines))


def questions(records: Sequence[Mapping[str, str]]) -> Page:
    """What the book asks and the paper does not; takes `ledger.questions`."""
    head = ["question", "answer", "measured", "test"]
    return lines_table(head, [[record[name] for name in head] for record in records], numeric=False)


# ---------------------------------------------------------------- anywhere


def commit(made: Mapping[str, object]) -> str:
    """A commit for a page: its first 12 digits, and whether the files had changed since."""
    return str(made["commit"])[:12] + (" with uncommitted changes" if made["dirty"] else "")


def duration(seconds: float | None) -> str:
    """A time for a page: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min; an unknown one, None or NaN, as such."""
    if seconds is None or math.isnan(seconds):
        return "an unknown time"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def lines_table(head: Sequence[str], lines: Sequence[Sequence[str]], numeric: bool, words: bool = False) -> Page:
    """A plain table, first line its head; numbers stand right, in figures of one width. words: what they are of stands
    in the first column, on the left."""
    text = "\n".join("\t".join(map(str, line)) for line in [head, *lines])
    return Page(render("lines.html", head=head, lines=lines, numeric=numeric, words=words), text)
