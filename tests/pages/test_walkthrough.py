"""A kept run tells what the executed notebook told."""

import html
import json

import pytest
from support import ROOT

from genens_book.pages import parameters, plotting, walkthrough

PICTURE = plotting.Picture(b"light", b"dark", 'lists of "images"', 720)


def glued(key, mime, value):
    data = {f"application/papermill.record/{mime}": value}
    return {"output_type": "display_data", "data": data, "metadata": {"scrapbook": {"name": key}}}


def executed(tmp_path, **papermill):
    outputs = [
        glued("06_images", "text/plain", "'2,000'"),
        glued("06_k", "text/plain", "10"),
        glued("06_fig", "text/html", PICTURE._repr_html_()),
        {"output_type": "stream", "name": "stderr", "text": "takes about 3 min\n\rmembers:  5%|x\rmembers: 100%|xx\n"},
        {"output_type": "execute_result", "data": {"text/html": '<dl class="ge-provenance"></dl>'}, "metadata": {}},
    ]
    about = {"duration": 61.5, "exception": None, "parameters": {"side": 16}} | papermill
    path = tmp_path / "out.ipynb"
    path.write_text(json.dumps({"cells": [{"outputs": outputs}], "metadata": {"papermill": about}}))
    return path


def test_what_is_kept_is_what_ran(tmp_path):
    assert walkthrough.main([str(executed(tmp_path)), str(tmp_path / "kept"), "--pictures", "06_fig"]) == 0
    run = walkthrough.load(tmp_path / "kept")
    assert run.values == {"06_images": "2,000", "06_k": "10"}
    assert (run.seconds, run.parameters, run.said) == (61.5, {"side": 16}, ["takes about 3 min"])
    assert run.pictures == {"06_fig": PICTURE}
    assert "ge-provenance" in walkthrough.provenance(run).html
    assert walkthrough.told(run) == {"images": "2,000", "k": "10", "fig": PICTURE}
    assert "takes about 3 min" in walkthrough.terminal(run).html


def test_a_run_that_did_not_finish_or_lacks_a_picture_keeps_nothing(tmp_path, capsys):
    failed = executed(tmp_path, exception=True)
    assert walkthrough.main([str(failed), str(tmp_path / "kept"), "--pictures", "06_fig"]) == 1
    assert walkthrough.main([str(executed(tmp_path)), str(tmp_path / "kept")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "did not finish" in said[0] and "06_fig_lists" in said[1]
    assert not (tmp_path / "kept").exists()
    with pytest.raises(FileNotFoundError, match="kept"):
        walkthrough.load(tmp_path / "kept")


def test_the_kept_run_of_the_book_was_made_with_todays_parameters():
    told = html.unescape(walkthrough.load(ROOT / "book" / "own_images").provenance)
    defaults = parameters.load("laptop")["06_search"]
    unused = {"profile", "budget", "dataset", "n_copies"}  # by a search of one's own images
    unused |= {"decoder"}  # came later, and its default is what there was
    changed = [name for name in defaults.keys() - unused if f"{name} = {defaults[name]!r}" not in told]
    assert not changed, f"run it again, as the module says: {changed}"
