"""One executed notebook as a page of its own."""

import shutil

import nbformat
import papermill
import pytest
from support import visit

from genens_book.press import page, pdf

TINY = [
    nbformat.v4.new_markdown_cell("# A tiny page\n\nThe answer is {glue:text}`00_answer`. {cite:p}`dai2023`"),
    nbformat.v4.new_code_cell("from myst_nb import glue\nglue('00_answer', 'forty-two', display=False)"),
]


def written(path, cells=TINY):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    return path


def test_an_executed_notebook_shows_its_numbers(tmp_path, browser, capsys):
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(written(tmp_path / "tiny.ipynb"), out, progress_bar=False)
    before = out.read_bytes()
    assert page.main([str(out)]) == 0
    place = capsys.readouterr().out.removeprefix("open ").strip()
    with visit(browser, f"file://{place}", 1280, "light") as seen:
        text = seen.page.inner_text("main")
        assert "The answer is forty-two. [Dai and Gifford, 2023]" in text and "arXiv:2306.02174" in text
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert out.read_bytes() == before and (tmp_path / "out_page").is_dir()


@pytest.mark.parametrize(
    "made, words", [("text", "cannot be read"), ("unrun", "no cell of"), ("none", "cannot be read")]
)
def test_what_is_no_executed_notebook_is_refused_in_one_line(tmp_path, capsys, made, words):
    path = tmp_path / "out.ipynb"
    if made == "text":
        path.write_text("not a notebook")
    elif made == "unrun":
        written(path)
    assert page.main([str(path)]) == 1
    said = capsys.readouterr().err.strip()
    assert words in said and "\n" not in said and not (tmp_path / "out_page").exists()


def test_chromium_is_found_by_any_of_its_names(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pdf.browser() is None
    for name in reversed(pdf.NAMES):
        (tmp_path / name).symlink_to("/bin/true")
        assert pdf.browser() == str(tmp_path / name)
    assert shutil.which("true") is None, "nothing else is on the path"
