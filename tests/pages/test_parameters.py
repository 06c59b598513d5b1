"""The page that tells what can be set in each chapter."""

import json
import re
import shlex

import nbformat
import pytest
from support import ROOT

from genens_book.pages import parameters

CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("0*.ipynb"))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_parameter_of_every_chapter_is_explained(chapter, builder):
    told = {one.name: one.default for one in parameters.parameters(parameters.notebook(chapter))}
    assert told == builder.defaults(ROOT / "book" / f"{chapter}.ipynb")


def test_every_chapter_has_its_place_on_the_page():
    page = nbformat.read(ROOT / "book" / "rerun.ipynb", 4)
    shown = [name for cell in page.cells for name in re.findall(r'parameters\.chapter\("(\w+)"', cell.source)]
    reading_order = re.findall(r"file: book/(\w+)", (ROOT / "_toc.yml").read_text())
    assert shown == [name for name in reading_order if name in CHAPTERS] and len(shown) == len(CHAPTERS)


def test_the_line_to_copy_sets_what_it_says():
    words = shlex.split(parameters.command("01b_theory", {"trials": 500, "members_testbed": [6, 8]}))
    assert words[1:] == ["book/01b_theory.ipynb", "out.ipynb", "-p", "trials", "500", "-y", "members_testbed: [6, 8]"]


def test_what_is_not_explained_or_not_known_is_refused(tmp_path):
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": ["n_odd = 3  # how odd"]}
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(ValueError, match="n_odd"):
        parameters.parameters(tmp_path / "x.ipynb")
    with pytest.raises(ValueError, match="trails"):
        parameters.chapter("01b_theory", trails=500)
    with pytest.raises(FileNotFoundError, match="01_codes"):
        parameters.chapter("no_such_chapter")
