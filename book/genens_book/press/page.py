"""Renders one executed notebook as a page, with the numbers in its prose, which Jupyter shows as {glue:text}.

    papermill book/02_class_ablation.ipynb out.ipynb -p n_samples 200
    python -m genens_book.press.page out.ipynb          # says where the page is

The page stands alone: links to other chapters lead nowhere, and nothing is executed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

from genens import store
from genens_book.press.build import BuildError, tidy


def render(notebook: Path, out: Path) -> Path:
    """The page of an executed notebook, below `out`; returns its HTML file. BuildError, one line, for a file that is no
    notebook, for one that was not executed, and when Jupyter Book fails."""
    try:
        executed = nbformat.read(notebook, 4)
        cells = executed.cells
    except (OSError, ValueError, AttributeError) as problem:
        line = str(problem).strip().splitlines()[-1:] or ["not a notebook"]
        raise BuildError(f"expected an executed notebook, but {notebook} cannot be read: {line[0]}") from None
    if not any(cell.get("execution_count") for cell in cells):
        raise BuildError(
            f"expected an executed notebook, but no cell of {notebook} has run: run it with papermill first"
        )
    home, tree = store.home(), out / "page"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(home / "book" / "_static", tree / "book" / "_static")
    for name in ("_config.yml", "book/references.bib"):
        shutil.copyfile(home / name, tree / name)
    cells.append(nbformat.v4.new_markdown_cell("```{bibliography}\n:filter: docname in docnames\n```"))
    nbformat.write(executed, tree / "book" / "page.ipynb")
    tidy(tree / "book" / "page.ipynb")
    (tree / "_toc.yml").write_text("format: jb-book\nroot: book/page\n", encoding="utf-8")
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", "-q", str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        (out / "page.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        raise BuildError(f"rendering {notebook} failed; Sphinx's words are in {out / 'page.log'}")
    return tree / "_build" / "html" / "book" / "page.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m genens_book.press.page", description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path, help="a notebook that papermill wrote")
    parser.add_argument("--out", type=Path, help="folder for the page (default: beside the notebook, NAME_page)")
    given = parser.parse_args(arguments)
    out = given.out or given.notebook.with_name(f"{given.notebook.stem}_page")
    try:
        print(f"open {render(given.notebook, out.resolve())}")
    except BuildError as error:
        print(f"genens_book.press.page: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
