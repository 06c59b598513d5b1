"""Parameters drawn to be wrong, in every chapter: each set is refused in one clear line, and leaves nothing behind.

Drawn are things of any type, and what is nearly right: numbers beside the ends of their ranges, absurd sizes, lists
with one odd member. A set that happens to be right is taken, and then every value has to be of its declared kind.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from bench.faults.report import Report, timed
from genens import store
from genens_book.pages import declared, ledger, parameters
from genens_book.pages.kinds import Choice, Kind, Real, Several, Whole

PROFILE = parameters.SHIPPED
LONGEST = 1000  # characters of the one line
CHAPTERS = sorted(parameters.load(PROFILE).keys() & declared.CHAPTERS.keys())

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**9, 10**12, 10**15, 10**18, -(10**18), 10**400]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "0", "nan", "None", "a/b", "../..", "~nobody/x", "/etc/passwd", "a" * 300, "a/" * 3000, "\0"]),
)
ANYTHING = st.recursive(PLAIN, lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=3), one))


def beside(kind: Kind) -> st.SearchStrategy:
    """Values that are nearly of a kind, or of it and absurd."""
    if isinstance(kind, Whole):
        return st.sampled_from([kind.low - 1, kind.low, kind.high, kind.high + 1, float(kind.low), str(kind.low)])
    if isinstance(kind, Real):
        return st.sampled_from([kind.low, kind.high, -kind.high, 2 * kind.high + 1, str(kind.high)])
    if isinstance(kind, Choice):
        return st.sampled_from([kind.options[0].upper(), kind.options[0] + " ", [*kind.options]])
    if isinstance(kind, Several):
        return st.lists(beside(kind.item) | PLAIN, max_size=kind.most + 1)
    return st.sampled_from(["nothing-of-this-name", "digits", "references/mnist", "mnist7", "folder:/nowhere"])


@st.composite
def wrong_sets(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A chapter, and one or two of its parameters with values."""
    chapter = draw(st.sampled_from(CHAPTERS))
    names = draw(st.lists(st.sampled_from(sorted(declared.CHAPTERS[chapter])), min_size=1, max_size=2, unique=True))
    return chapter, {name: draw(ANYTHING | beside(declared.CHAPTERS[chapter][name].kind)) for name in names}


def outcome(chapter: str, changes: dict[str, object]) -> str:
    """The line with which a chapter refuses changes to its profile's parameters, "" where it takes them. AssertionError
    for any other error, an unclear line, a file that is left, or a value that is not what was declared."""
    try:
        ledger.Run(chapter, {**parameters.load(PROFILE)[chapter], **changes})
    except (ValueError, FileNotFoundError) as refused:
        line = str(refused)
        assert line.isprintable() and "expected" in line and len(line) <= LONGEST, line
        assert not [path for path in store.root().rglob("*") if path.is_file()], "a file is left"
        return line
    shutil.rmtree(store.root())
    assert all(declared.CHAPTERS[chapter][name].holds(value) for name, value in changes.items()), "taken"
    return ""


def run(root: Path, seed: int, count: int) -> Report:
    """So many sets, always the same of a seed."""
    report = Report("parameters", "one or two parameters of a chapter with values of any type and size", seed)
    kept = os.environ.get("GENENS_STORE")
    os.environ["GENENS_STORE"] = str(root / "store")

    @hypothesis_seed(seed)
    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate])
    @given(wrong_sets())
    def every(drawn: tuple[str, dict[str, object]]) -> None:
        came, wrong = "", ""
        try:
            came = "refused in one line" if outcome(*drawn) else "right after all"
        except Exception as problem:  # noqa: BLE001
            wrong = f"{drawn[1]!r:.200}: {type(problem).__name__}: {problem}"
        report.count(drawn[0], came, wrong)

    try:
        with timed(report):
            every()
    finally:
        os.environ.pop("GENENS_STORE") if kept is None else os.environ.update(GENENS_STORE=kept)
    return report
