"""A run of a chapter that is too long for the book's build, kept with its pictures so that a page can show it.

    papermill book/06_search.ipynb out.ipynb -p dataset folder:/path/to/images
    python -m genens_book.pages.walkthrough out.ipynb book/own_images

keeps what the page "Your own images" shows: the run's parameters and time, what it printed and glued, where and with
what it ran, and some of its pictures.
"""

from __future__ import annotations

import argparse
import ast
import base64
import html
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genens import files
from genens_book.pages.markup import Page, render
from genens_book.pages.plotting import Picture

_GLUED = "application/papermill.record/"
_IMAGE = re.compile(
    r'<img class="ge-figure only-(light|dark)" alt="([^"]*)" width="(\d+)" src="data:image/png;base64,([^"]*)"'
)


@dataclass(frozen=True)
class Walkthrough:
    """A kept run: `values`, what it glued, by key; `said`, its lines on the terminal; `seconds` and `parameters`, those
    changed; `provenance`, the table of its last cell; `pictures` by key."""

    values: dict[str, str]
    said: list[str]
    seconds: float
    parameters: dict[str, object]
    provenance: str
    pictures: dict[str, Picture]


def _text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def read(executed: Path, pictures: Sequence[str]) -> Walkthrough:
    """What an executed notebook tells. ValueError when it did not run to its end, or glued no such picture."""
    book = json.loads(executed.read_text(encoding="utf-8"))
    about = book["metadata"].get("papermill", {})
    if about.get("exception") or not about.get("duration"):
        raise ValueError(f"expected a notebook that papermill ran to its end; {executed} did not finish")
    values, drawn, said, last = {}, {}, [], ""
    for output in (output for cell in book["cells"] for output in cell.get("outputs", [])):
        data, key = output.get("data", {}), output.get("metadata", {}).get("scrapbook", {}).get("name")
        page = _text(data.get("text/html", data.get(f"{_GLUED}text/html", "")))
        if key and page:
            drawn[key] = page
        elif key:
            values[key] = str(ast.literal_eval(_text(data[f"{_GLUED}text/plain"])))
        elif "ge-provenance" in page:
            last = page
        elif output.get("name") == "stderr":  # progress bars overwrite their line: keep what stays
            said += [line.rpartition("\r")[2] for line in _text(output["text"]).splitlines() if line.strip()]
    if missing := [key for key in pictures if key not in drawn or len(_IMAGE.findall(drawn[key])) != 2]:
        raise ValueError(f"expected the pictures {', '.join(pictures)} in {executed}; {missing[0]} is not there")
    found = {}
    for key in pictures:
        light, dark = _IMAGE.findall(drawn[key])
        found[key] = Picture(
            *(base64.b64decode(one[3]) for one in (light, dark)), html.unescape(light[1]), int(light[2])
        )
    said = [line for line in said if "%|" not in line]
    return Walkthrough(values, said, about["duration"], about["parameters"], last, found)


def keep(run: Walkthrough, folder: Path) -> None:
    """Write a run as run.json and two PNG files a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for key, picture in run.pictures.items():
        for theme in ("light", "dark"):
            files.atomic_write(folder / f"{key}-{theme}.png", getattr(picture, theme))
        pictures[key] = {"alt": picture.alt, "width": picture.width}
    told = {name: getattr(run, name) for name in ("values", "said", "seconds", "parameters", "provenance")}
    files.atomic_write(
        folder / "run.json", json.dumps(told | {"pictures": pictures}, indent=1, ensure_ascii=False).encode()
    )


def load(folder: Path) -> Walkthrough:
    """What `keep` wrote; FileNotFoundError, saying what to do, when it is not there, ValueError when it is damaged."""
    file = folder / "run.json"
    with files.expecting("a kept run", file, "git checkout it, or see genens_book.pages.walkthrough"):
        told = json.loads(file.read_text(encoding="utf-8"))
        pictures = {
            key: Picture(*((folder / f"{key}-{theme}.png").read_bytes() for theme in ("light", "dark")), **about)
            for key, about in told.pop("pictures").items()
        }
        return Walkthrough(**told, pictures=pictures)


def terminal(run: Walkthrough) -> Page:
    """What the run said on the terminal."""
    text = "\n".join(run.said)
    return Page(render("terminal.html", text=text), text)


def provenance(run: Walkthrough) -> Page:
    """What the run was made with: the table of its last cell."""
    return Page(run.provenance, "see run.json")


def told(run: Walkthrough) -> dict[str, str | Picture]:
    """What the run glued, values and pictures, for another page to say: images for 06_images."""
    return {key.partition("_")[2]: value for key, value in (run.values | run.pictures).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser("python -m genens_book.pages.walkthrough", description="Keep a run for the book.")
    parser.add_argument("executed", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", nargs="+", default=["06_fig_lists", "06_fig_second", "06_fig_without"])
    given = parser.parse_args(arguments)
    try:
        keep(read(given.executed, given.pictures), given.folder)
    except (OSError, ValueError) as problem:
        print(f"genens_book.pages.walkthrough: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
