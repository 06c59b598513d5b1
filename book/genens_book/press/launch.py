"""Lays out the branch that the launch buttons open: the repository, with the chapters as run under the smoke profile
and what they computed, so that Binder and Colab only read it, in little memory.

    python -m genens_book.press.build --profile smoke --out _build/launch
    python -m genens_book.press.launch --built _build/launch --out _build/branch    # the workflow pushes that folder
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import yaml

from genens import store
from genens_book.press.build import BuildError, toc_pages

SETUP = """\
# Colab starts from nothing: fetch the book, and what it needs. Elsewhere this does nothing.
import importlib.util, sys
if "google.colab" in sys.modules and not importlib.util.find_spec("genens_book"):
    !git clone --quiet --depth 1 --branch {branch} {url} /content/genens
    %cd -q /content/genens
    %pip install --quiet ".[book,imagenet]"
"""


def lay_out(built: Path, out: Path, repository: Mapping[str, str]) -> None:
    """Fills `out` from this repository and from a smoke book built below `built`; `repository` has its url and the
    branch. BuildError when the url is empty, when `out` is there already, or when a chapter was not built."""
    home = store.home()
    if not repository["url"]:
        raise BuildError("expected the address of the repository in _config.yml (repository: url), found none")
    if out.exists():
        raise BuildError(f"expected a folder that is not there yet, got {out}; delete it or name another")
    executed = {f"{page}.ipynb": built / "smoke" / "executed" / f"{Path(page).name}.ipynb" for page in toc_pages()}
    chapters = {name: path for name, path in executed.items() if (home / name).is_file()}
    if missing := [name for name, path in chapters.items() if not path.is_file()]:
        raise BuildError(f"{missing[0]} was not built in {built}: build with --profile smoke --out {built} first")
    listed = subprocess.run(["git", "-C", str(home), "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0")[:-1]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(home / name, out / name)
    for name, path in chapters.items():
        chapter = nbformat.read(path, 4)
        chapter.cells.insert(1, nbformat.v4.new_code_cell(SETUP.format(**repository), id="colab"))
        nbformat.write(chapter, out / name)
    shutil.copytree(built / "store", out / "_build" / "store")
    shutil.copytree(built / "trained", out / "trained")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m genens_book.press.launch", description=__doc__.partition(":")[0])
    parser.add_argument("--built", type=Path, required=True, help="where a smoke book was built (its --out)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill; it must not be there yet")
    given = parser.parse_args(arguments)
    try:
        config = yaml.safe_load((store.home() / "_config.yml").read_text(encoding="utf-8"))
        lay_out(given.built.resolve(), given.out.resolve(), config["repository"])
    except BuildError as error:
        print(f"genens_book.press.launch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
