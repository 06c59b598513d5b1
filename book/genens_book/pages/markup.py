"""The scorecard and the record of one claim as HTML; `book/_static/ledger.css` styles the classes.

Rows are those of `ledger.scorecard`. A verdict is told by a symbol and a word; colour only repeats it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from genens_book.pages.claims import NOT_REPRODUCED, NOT_RUN, REPRODUCED, SETTING, VERDICTS

Row = Mapping[str, object]
SYMBOLS = {REPRODUCED: "✓", NOT_REPRODUCED: "✗", NOT_RUN: "○", SETTING: "≡"}
_CLASSES = {REPRODUCED: "ge-yes", NOT_REPRODUCED: "ge-no", NOT_RUN: "ge-open", SETTING: "ge-setting"}
_DATASETS = {"any": "", "mnist": "MNIST", "mnist-classes": "MNIST, classes", "cifar10": "CIFAR-10", "celeba": "CelebA"}
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


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows have each verdict, in the order of VERDICTS, zeros included."""
    verdicts = [row["verdict"] for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def verdict_words(row: Row) -> str:
    """A row's verdict in words; of a setting that was recorded, whether it is the paper's."""
    return {None: str(row["verdict"]), True: "same setting", False: "other setting"}[row["same_setting"]]


def provenance(lines: Mapping[str, str]) -> Page:
    """What a chapter ran with, as a list of names and values."""
    told = {name: text for name, text in lines.items() if text}
    cells = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in told.items())
    return Page(f'<dl class="ge-provenance">{cells}</dl>', "\n".join(f"{k}: {v}" for k, v in told.items()))


def claim_line(row: Row) -> Page:
    """One claim in its chapter: an anchor, the verdict, the paper's value and this run's."""
    here = str(row["here"]) or f"not run{f': {why}' if (why := row['run_note']) else ''}"
    tail = "".join(f" {part}" for part in [row["n"] and f"n = {row['n']:,}.", row["here"] and row["run_note"]] if part)
    body = (
        f'<a id="claim-{row["id"]}" class="ge-anchor"></a>{_badge(row)} '
        f'<span class="ge-where">{_text(row["section"])}</span> {_text(row["statement"])} '
        f"<b>Paper:</b> {_text(row['paper'])}. <b>Here:</b> {_text(here)}.{_text(tail)} "
        f'<a class="ge-more" href="scorecard.html#{row["id"]}">scorecard</a>'
    )
    values = f"Paper: {row['paper']}. Here: {here}.{tail}"
    text = f"[{verdict_words(row)}] {row['section']}: {row['statement']} {values}"
    return Page(f'<p class="ge-claim {_CLASSES[row["verdict"]]}">{body}</p>', text)


def summary(rows: list[Row], titles: Mapping[str, str] | None = None) -> Page:
    """How many claims of each chapter have each verdict, drawn as one bar a chapter.

    `titles` names chapters (by default their file names); a chapter that recorded something is a link.
    """
    chapters: dict[str, list[Row]] = {}
    for row in rows:
        chapters.setdefault(str(row["chapter"]), []).append(row)
    most = max(len(group) for group in chapters.values())
    lines = [_bar("All chapters", counts(rows), len(rows))]
    for chapter, group in sorted(chapters.items()):
        title = _text((titles or {}).get(chapter) or _title(chapter))
        linked = any(row["link"] for row in group)
        lines.append(_bar(f'<a href="{chapter}.html">{title}</a>' if linked else title, counts(group), most))
    keys = "".join(
        f'<li class="{_CLASSES[verdict]}"><span class="ge-symbol" aria-hidden="true">{SYMBOLS[verdict]}'
        f"</span> {verdict}</li>"
        for verdict in VERDICTS
    )
    text = "; ".join(f"{number} {verdict}" for verdict, number in counts(rows).items())
    return Page(f'<div class="ge-summary"><ul class="ge-keys">{keys}</ul>{"".join(lines)}</div>', text)


def _title(chapter: str) -> str:
    """`04_convergence` as a title, for a chapter that is not written yet."""
    name = chapter[3:].replace("_", " ")
    return name.upper() if len(name) <= 3 else name.capitalize()


def _bar(title: str, numbers: Mapping[str, int], full: int) -> str:
    """One chapter's bar; `full` claims make a bar of full width."""
    words = ", ".join(f"{number} {verdict}" for verdict, number in numbers.items() if number)
    parts = "".join(
        f'<span class="{_CLASSES[verdict]}" style="flex-grow:{number}" title="{number} {verdict}">'
        f'<span aria-hidden="true">{SYMBOLS[verdict]}&nbsp;{number}</span></span>'
        for verdict, number in numbers.items()
        if number
    )
    width = max(100 * sum(numbers.values()) / full, 1)
    return (
        f'<div class="ge-row"><div class="ge-title">{title}</div><div class="ge-track">'
        f'<div class="ge-bar" role="img" aria-label="{words}" style="width:{width:.1f}%">{parts}</div>'
        "</div></div>"
    )


def table(rows: list[Row]) -> Page:
    """Every row, by the paper's sections: claim, paper's value, this run's, verdict. On a phone, cards."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row["section"]), []).append(row)
    body = "".join(
        f'<tbody><tr class="ge-group"><th colspan="4" scope="rowgroup">{_text(_section(name))}</th></tr>'
        + "".join(map(_table_row, group))
        + "</tbody>"
        for name, group in groups.items()
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Claim", "Paper", "This run", "Verdict"))
    text = "\n".join(
        f"{row['id']}: {row['paper']} | {row['here'] or row['run_note']} | {verdict_words(row)}" for row in rows
    )
    return Page(
        f'<div class="ge-scroll"><table class="ge-table"><thead><tr>{head}</tr></thead>{body}</table></div>', text
    )


def _what_to_run(row: Row) -> str:
    if not row["written"]:
        return "The chapter that will measure it is not written yet."
    return f"To run: <code>{_text(row['command'])}</code>"


def _table_row(row: Row) -> str:
    dataset = _DATASETS[str(row["dataset"])]
    about = "".join(
        f'<span class="ge-small">{text}</span>'
        for text in [f'<code class="ge-id">{row["id"]}</code>' + (f" {dataset}" if dataset else ""), _text(row["note"])]
        if text
    )
    here = f'<a href="{row["link"]}">{_text(row["here"])}</a>' if row["here"] else "not run"
    details = [
        f"n = {row['n']:,}" if row["n"] else "",
        _text(row["run_note"]),
        "" if row["here"] else _what_to_run(row),
    ]
    here += "".join(f'<span class="ge-small">{text}</span>' for text in details if text)
    rule = f'<span class="ge-small">Reproduced if {_text(row["rule"])}</span>'
    ruled = "" if row["kind"] == "setting" else rule
    return (
        f'<tr id="{row["id"]}" class="{_CLASSES[row["verdict"]]}"><td>{_text(row["statement"])}{about}</td>'
        f'<td data-label="Paper"><span>{_text(row["paper"])}</span></td><td data-label="This run">{here}</td>'
        f'<td data-label="Verdict">{_badge(row)}{ruled}</td></tr>'
    )


def _badge(row: Row) -> str:
    symbol = "≢" if row["same_setting"] is False else SYMBOLS[row["verdict"]]
    return (
        f'<span class="ge-verdict {_CLASSES[row["verdict"]]}"><span class="ge-symbol" aria-hidden="true">'
        f"{symbol}</span>&nbsp;{verdict_words(row).replace(' ', '&nbsp;')}</span>"
    )


def _section(name: str) -> str:
    """`2.3` as a reader says it: Section 2.3; appendices likewise."""
    return f"Section {name}" if name[0].isdigit() else f"Appendix {name}" if name[1:2] == "." else name


def _text(value: object) -> str:
    """Escaped; not to be broken before a per cent sign or inside an interval; powers of ten set as such."""
    joined = re.sub(r"\(\S+ to \S+\)", lambda found: found[0].replace(" ", "\u00a0"), str(value))
    page = html.escape(joined.replace(" %", "\u00a0%"))
    return re.sub(f"(?<=10)[{_RAISED}]+", lambda found: f"<sup>{found[0].translate(_LOWERED)}</sup>", page)


def runs(records: Iterable[Mapping[str, object]]) -> Page:
    """When, where and from which commit each chapter was run; takes `ledger.runs`."""
    names = ("Chapter", "Run time", "Date", "Commit", "Machine")
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
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-label="{name}">{_text(cell)}</td>' for name, cell in zip(names, line, strict=True))
        + "</tr>"
        for line in lines
    )
    table = f'<table class="ge-table ge-runs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return Page(f'<div class="ge-scroll">{table}</div>', "\n".join(", ".join(line) for line in lines))


def commit(made: Mapping[str, object]) -> str:
    """A commit for a page: its first 12 digits, and whether the files had changed since."""
    return str(made["commit"])[:12] + (" with uncommitted changes" if made["dirty"] else "")


def duration(seconds: float) -> str:
    """A time for a page: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def lines_table(head: Sequence[str], lines: Sequence[Sequence[str]], numeric: bool) -> Page:
    """A plain table, first line its head; numbers stand right, in figures of one width."""
    side = "right" if numeric else "left"
    look = "width: auto; font-variant-numeric: tabular-nums" if numeric else "font-size: 0.85em"
    rows = [
        "<tr>" + "".join(f'<{tag} style="text-align: {side}">{_text(str(cell))}</{tag}>' for cell in line) + "</tr>"
        for tag, line in zip(["th"] + ["td"] * len(lines), [head, *lines], strict=True)
    ]
    table = f'<table class="table" style="{look}"><thead>{rows[0]}</thead><tbody>{"".join(rows[1:])}</tbody></table>'
    text = "\n".join("\t".join(map(str, line)) for line in [head, *lines])
    return Page(f'<div style="overflow-x: auto">{table}</div>', text)
