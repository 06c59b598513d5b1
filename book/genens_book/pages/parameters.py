"""What can be set in a chapter: the profiles, its notebook's parameters, and the page that tells how to run it again.

A line of a parameters cell says what it is for: `steps = 20  # denoising steps | time grows in proportion`, meaning
and effect on the run time with a bar between them. COMMON speaks for names that mean the same in every chapter.
"""

from __future__ import annotations

import ast
import functools
import io
import json
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from markupsafe import Markup

from genens import files, store
from genens_book.measures import judges
from genens_book.measures.judges import DigitNet
from genens_book.pages import markup
from genens_book.pages.markup import Page

SHIPPED = "laptop"  # the profile whose ensembles come with the book

COMMON = {
    "profile": ("the set of parameters whose weights and records are used: smoke, laptop or paper", "none by itself"),
    "seed": ("of every random draw of the chapter", "none"),
    "weights": (
        "an ensemble of the profile, or the path of a folder with one",
        "grows with the network and its members",
    ),
    "steps": ("denoising steps, out of the schedule's 1000", "in proportion"),
    "sampler": ("ancestral or ddim", "none"),
    "variance": ("of the noise that ancestral steps add: posterior, beta or alpha_beta", "none"),
    "precision": (
        "of the members' forward passes: float32, or bfloat16 with engine eager, where the CPU has it",
        "bfloat16 about halves it on such a CPU, and is refused on others",
    ),
    "engine": (
        "of the members' forward passes: openvino, or eager, plain PyTorch",
        "eager takes a fifth to a half longer",
    ),
    "tangents": (
        "of the Jacobian: differences of two forward passes, or forward, PyTorch's exact ones",
        "forward takes several times as long",
    ),
    "n_samples": ("generated images", "in proportion"),
}


def profiles() -> list[str]:
    """Names of the profiles in book/profiles."""
    return sorted(path.stem for path in (store.home() / "book" / "profiles").glob("*.yml"))


def profile_file(profile: str) -> Path:
    """The file of a profile; ValueError for an unknown one."""
    path = store.home() / "book" / "profiles" / f"{profile}.yml"
    if profile not in profiles():
        raise ValueError(
            f"expected a profile among {', '.join(profiles()) or '(none)'} in {path.parent}; got {profile!r}"
        )
    return path


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


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell."""

    name: str
    kind: str
    default: object
    meaning: str
    cost: str


def notebook(chapter: str) -> Path:
    """The file of a chapter; FileNotFoundError, naming those there are, for an unknown one."""
    folder = store.home() / "book"
    path = folder / f"{chapter}.ipynb"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.ipynb")))
        raise FileNotFoundError(f"expected a chapter among {known}; got {chapter!r}")
    return path


def parameters(path: Path) -> list[Parameter]:
    """The parameters of a notebook, in its order. ValueError for a name that nothing is said about."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = next("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", []))
    said = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for line in ast.parse(text).body:
        name, value = ast.unparse(line.targets[0]), ast.literal_eval(line.value)
        meaning, bar, cost = said.get(line.end_lineno, "").partition(" | ")
        common = COMMON.get(name, ("", ""))
        meaning, cost = (meaning, cost) if bar else common
        if not meaning or not cost:
            raise ValueError(
                f"{path.name}: expected `{name} = ...  # meaning | effect on the run time`; got {meaning!r}"
            )
        kind = f"list of {type(value[0]).__name__}" if isinstance(value, list) and value else type(value).__name__
        found.append(Parameter(name, kind, value, meaning, cost))
    return found


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
    known = parameters(notebook(name))
    if odd := [key for key in change if key not in {one.name for one in known}]:
        raise ValueError(f"{name}: expected a parameter among {', '.join(one.name for one in known)}; got {odd[0]!r}")
    lines = [[one.name, one.kind, json.dumps(one.default), one.meaning, one.cost] for one in known]
    table = markup.lines_table(["name", "type", "default", "meaning", "effect on the run time"], lines, numeric=False)
    line = command(name, change)
    return Page(markup.render("chapter.html", command=line, table=Markup(table.html)), f"{line}\n{table.text}")
