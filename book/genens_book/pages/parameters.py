"""What can be set in a chapter: the profiles, the checks of what was given, the page that tells how to run it again.

Checked is what is `declared`: first that every parameter is of its kind, then that they fit one another and the
ensembles that they name, and last that the run is within its `budget`. All that before anything is computed.
"""

from __future__ import annotations

import ast
import difflib
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from markupsafe import Markup

from genens import files, store
from genens_book.measures import judges
from genens_book.measures.judges import DigitNet
from genens_book.pages import budget, declared, markup
from genens_book.pages.kinds import Ensemble, shown
from genens_book.pages.limits import Manifests, Values
from genens_book.pages.markup import Page

SHIPPED = "laptop"  # the profile whose ensembles come with the book

_PLAIN = (int, float, str, bool, list, tuple, dict, type(None))


# ---------------------------------------------------------------- profiles


def profiles() -> list[str]:
    """Names of the profiles in book/profiles."""
    return sorted(path.stem for path in (store.home() / "book" / "profiles").glob("*.yml"))


def profile_file(profile: str) -> Path:
    """The file of a profile; ValueError for an unknown one."""
    folder = store.home() / "book" / "profiles"
    if profile not in profiles():
        known = ", ".join(profiles()) or "(none)"
        raise ValueError(f"expected a profile among {known} in {folder}; got {shown(profile)}")
    return folder / f"{profile}.yml"


def load(profile: str) -> dict[str, dict]:
    """{chapter: {parameter: value}}, and under "train" {ensemble: recipe}. ValueError for an unknown or damaged
    profile."""
    file = profile_file(profile)
    with files.expecting("parameters by chapter", file, "correct it"):
        return _parsed(file.read_text(encoding="utf-8"))


@functools.cache
def _parsed(text: str) -> dict[str, dict]:
    found = yaml.safe_load(text) or {}
    if not all(isinstance(part, dict) for part in [found, *found.values()]):
        raise ValueError("no settings by name")
    return found


def folder(weights: str, profile: str) -> Path:
    """The folder of a named ensemble: one trained here where the profile trains it, else the shipped one.

    A name with a path separator is taken as a path.
    """
    if "/" in weights:
        return Path(weights).expanduser()
    ours = profile != SHIPPED and weights in {DigitNet.kind, *load(profile).get("train", {})}
    return store.trained() / profile / weights if ours else _shipped(weights)


def judge(manifest: Mapping, profile: str) -> Path:
    """The folder of the network that judges the samples of an ensemble with this manifest. Raises as `judges.of`."""
    return folder(judges.of(manifest["recipe"]["dataset"]).kind, profile)


def references(manifest: Mapping) -> Path:
    """The folder of what is kept of the features of the images that an ensemble with this manifest was trained on."""
    return _shipped("references") / manifest["recipe"]["dataset"]


def thumbnails(weights: str) -> Path:
    """The folder of the thumbnails that are kept beside a named ensemble."""
    return _shipped("thumbnails") / Path(weights).name


def _shipped(name: str) -> Path:
    return store.home() / "weights" / name


# ---------------------------------------------------------------- checks


def meant(name: object, known: Iterable[str]) -> str:
    """The end of an error about a name that is not known: which one may have been meant."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def given(chapter: str, namespace: Mapping[str, object]) -> tuple[dict, dict]:
    """The chapter's parameters as the notebook's globals hold them, and as its profile does. ValueError, one line, for
    an unknown profile, an unknown or missing parameter, or one that is not of its kind."""
    profile = namespace.get("profile")
    if not isinstance(profile, str):
        raise ValueError(f"expected the parameter profile, one of {', '.join(profiles())}; got {shown(profile)}")
    chapters = load(profile)
    if chapter not in chapters:
        raise ValueError(f"profile {profile!r} has no chapter {chapter!r}{meant(chapter, chapters)}")
    known, expected = declared.CHAPTERS.get(chapter, {}), chapters[chapter]
    if undeclared := sorted(expected.keys() - known.keys()):
        raise ValueError(
            f"{chapter}: expected its parameter {undeclared[0]!r} in genens_book/pages/declared.py: add it"
        )
    if missing := [name for name in expected if name not in namespace]:
        raise ValueError(
            f"{chapter}: expected the parameter {missing[0]!r}, which profile {profile!r} lists, found none"
        )
    # A name that papermill was given by mistake lands among the notebook's globals like any other.
    for name, value in namespace.items():
        if isinstance(value, _PLAIN) and not name.startswith("_") and name not in {*known, "In", "Out"}:
            raise ValueError(
                f"{chapter}: unknown parameter {shown(name)}{meant(name, known)}; it takes {', '.join(sorted(known))}"
            )
    values = {name: namespace[name] for name in expected if name != "profile"}
    for name, value in values.items():
        if not known[name].holds(value):
            raise _refusal(chapter, name, f"as {known[name]}", value, expected[name])
    return values, {name: value for name, value in expected.items() if name != "profile"}


def manifests(chapter: str, values: Values, profile: str) -> dict[str, dict]:
    """The manifests of the ensembles that a chapter's parameters name, by parameter. FileNotFoundError where there is
    none, ValueError for another."""
    found = {}
    for name, one in declared.CHAPTERS[chapter].items():
        if isinstance(one.kind, Ensemble):
            try:
                file = folder(str(values[name]), profile) / "manifest.json"
                found[name] = _manifest(file)
            except FileNotFoundError:
                raise FileNotFoundError(
                    f"{chapter}: expected {file}, found no such file; check {name}, restore the folder or make it "
                    "again (make train)"
                ) from None
            except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as problem:
                why = f"{type(problem).__name__}: {shown(str(problem))}"
                raise ValueError(f"{chapter}: expected {name} as {one}; got {shown(values[name])} ({why})") from problem
    return found


def _manifest(file: Path) -> dict:
    """The manifest in a file. ValueError and its like for any other."""
    found = json.loads(file.read_text(encoding="utf-8"))
    if found.pop("manifest_sha256") != files.digest(found):
        raise ValueError("the manifest was edited")
    if lacking := {"n", "images", "shape", "unet", "recipe", "data", "files"} - found.keys():
        raise ValueError(f"a manifest without {', '.join(sorted(lacking))}")
    return found


def fits(chapter: str, values: Values, expected: Values, manifests: Manifests) -> None:
    """ValueError, one line, where parameters of the right kinds (`given`) do not fit one another, or the ensembles, or
    the budget. What depends on an ensemble whose manifest is not there is not asked."""
    for name, one in declared.CHAPTERS[chapter].items():
        if one.limit and values[name] is not None and (limit := one.limit(values[name], values, manifests)):
            raise _refusal(chapter, name, limit, values[name], expected[name])
    if chapter in budget.COSTS and ("weights" not in values or "weights" in manifests):
        changed = {name: value for name, value in values.items() if value != expected[name] and name != "budget"}
        said = ", ".join(f"{name} = {shown(value)}" for name, value in changed.items())
        budget.check(chapter, values, manifests, said)


def _refusal(chapter: str, name: str, what: str, value: object, usual: object) -> ValueError:
    usually = f"; its profile has {shown(usual)}" if usual != value else ""
    return ValueError(f"{chapter}: expected {name} {what}; got {shown(value)}{usually}")


# ---------------------------------------------------------------- the page that tells how to run a chapter again


def notebook(chapter: str) -> Path:
    """The file of a chapter; FileNotFoundError, naming those there are, for an unknown one."""
    folder = store.home() / "book"
    path = folder / f"{chapter}.ipynb"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.ipynb")))
        raise FileNotFoundError(f"expected a chapter among {known}; got {chapter!r}")
    return path


def defaults(path: Path) -> dict[str, object]:
    """The parameters of a notebook with their defaults, in its order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = next("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", []))
    return {ast.unparse(line.targets[0]): ast.literal_eval(line.value) for line in ast.parse(text).body}


def command(chapter: str, change: dict[str, object]) -> str:
    """The papermill line that runs a chapter with some parameters changed; lists go as YAML."""
    flags = []
    for name, value in change.items():
        flags.append(f"-y '{name}: {json.dumps(value)}'" if isinstance(value, list) else f"-p {name} {value}")
    return " ".join([f".venv/bin/papermill book/{chapter}.ipynb out.ipynb", *flags])


def chapter(name: str, **change: object) -> Page:
    """A chapter's parameters as a table, and a line to copy that runs it with `change`.

    Raises ValueError when `change` has a name that the chapter does not take, as the line would not run.
    """
    usual, known = defaults(notebook(name)), declared.CHAPTERS[name]
    if odd := [key for key in change if key not in known]:
        raise ValueError(f"{name}: expected a parameter among {', '.join(known)}; got {odd[0]!r}")
    lines = [
        [key, json.dumps(value), one.meaning, str(one), one.cost]
        for key, value in usual.items()
        for one in [known[key]]
    ]
    head = ["name", "default", "meaning", "what it may be", "effect on the run time"]
    table = markup.lines_table(head, lines, numeric=False)
    line = command(name, change)
    return Page(markup.render("chapter.html", command=line, table=Markup(table.html)), f"{line}\n{table.text}")
