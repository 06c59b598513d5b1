"""A tiny book with the real configuration, builder and looks, to be broken: here, and in the tests of the builder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
FRONT = "# Front\n\n{} {{cite:t}}`dai2023`.\n\n```{{bibliography}}\n```\n"
# Its own packages, with the real ones' modules behind them.
PACKAGES = {
    name: ROOT / name for name in ("genens", "book/genens_book", "book/genens_book/measures", "book/genens_book/press")
}
GLUE = "from myst_nb import glue\nglue('answer', 'forty-two', display=False)"
STORED = "from genens import store\nfrom genens_book.squares import squares\nprint(store.chunked(squares, 40, 2))"
SQUARES = "import numpy\n\n\ndef squares(indices):\n    return {'squares': numpy.array([i**2 for i in indices])}\n"


@dataclass
class Tiny:
    """A project of one chapter below a folder, which is made."""

    root: Path

    def __post_init__(self) -> None:
        (self.root / "book" / "profiles").mkdir(parents=True)
        shutil.copyfile(ROOT / "_config.yml", self.root / "_config.yml")
        shutil.copytree(BOOK / "_static", self.root / "book" / "_static")
        shutil.copyfile(BOOK / "references.bib", self.root / "book" / "references.bib")
        (self.root / "book" / "intro.md").write_text(FRONT.format("See"))
        toc = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": "book/01_tiny"}]}
        (self.root / "_toc.yml").write_text(yaml.safe_dump(toc))
        for name, real in PACKAGES.items():
            (self.root / name).mkdir()
            (self.root / name / "__init__.py").write_text(f"__path__.append({str(real)!r})\n")
        inside = self.root / "book" / "genens_book"
        (inside / "measures" / "machine.py").write_text("")  # nothing to be said of the machine
        (inside / "squares.py").write_text(SQUARES)
        self.write(GLUE)

    def write(self, source: str, **parameters: object) -> None:
        """Writes the chapter, whose prose shows the number that `source` glues as `answer`."""
        prose = "# Tiny\n\n$x^2$ and {glue:text}`answer`"
        lines = [f"{name} = {value!r}" for name, value in {"profile": "laptop", **parameters}.items()]
        cells = [
            nbformat.v4.new_markdown_cell(prose, id="prose"),
            nbformat.v4.new_code_cell("\n".join(lines), id="given", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell(source, id="work"),
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(notebook, self.root / "book" / "01_tiny.ipynb")
        settings = {"01_tiny": {"profile": "laptop", **parameters}}
        (self.root / "book" / "profiles" / "laptop.yml").write_text(yaml.safe_dump(settings))

    @property
    def page(self) -> Path:
        """The chapter's page."""
        return self.root / "_build" / "html" / "book" / "01_tiny.html"


def build_environment(store: Path | None = None, home: Path | None = None) -> dict[str, str]:
    """What a builder's process is given: one thread, and a store or a repository of its own if asked for."""
    names = ("GENENS_STORE", "GENENS_TRAINED", "GENENS_HOME", "GENENS_BOOK_PROFILE")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    # Toy models gain nothing from a second thread, and two on a busy core wait for each other at every layer.
    environment["OMP_NUM_THREADS"] = "1"
    if store:
        environment["GENENS_STORE"] = str(store)
    if home:
        environment |= {"GENENS_HOME": str(home), "PYTHONPATH": os.pathsep.join(map(str, (home, home / "book")))}
    return environment
