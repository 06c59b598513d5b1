"""The appendix's table of candidates."""

import json

import pytest

from genens import store
from genens.recipe import Recipe, recipes
from genens_book.chapters.networks import analysis
from genens_book.pages import parameters

BENCH = store.home() / "bench"


def test_every_candidate_is_a_line_and_the_shipped_recipe_is_one_of_them():
    rows = analysis.candidates()
    page = analysis.table(rows)
    assert page.html.count("<tr>") == 1 + len(rows) and page.text.count("\n") == len(rows)
    row, recipe = analysis.shipped(rows), recipes(parameters.profile_file("laptop"))["mnist16"]
    assert (row["batch"], row["lr"], row["unet"]["attention"]) == (recipe.batch, recipe.lr, recipe.unet["attention"])
    assert all(analysis.best(rows)["fid"] <= other["fid"] for other in rows)
    with pytest.raises(ValueError, match="add it to bench/networks.py"):
        analysis.shipped([other for other in rows if other is not row])


@pytest.mark.parametrize("text", ["{", "[]", '[{"name": "A"}]', '{"name": 3}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    (tmp_path / "networks.json").write_text(text)
    with pytest.raises(ValueError, match="restore it or run the script") as caught:
        analysis.candidates(tmp_path / "networks.json")
    assert "\n" not in str(caught.value)


def test_words_hold_the_numbers(tmp_path):
    row = json.loads(json.dumps(analysis.candidates()[0])) | {"fid": 1234.4, "confident": 0.5}
    assert "FID 1,234, 50\u00a0% confident" in analysis.words(row)


def test_a_candidate_is_called_by_its_letter():
    rows = analysis.candidates()
    assert analysis.lettered(rows, "O")["name"].startswith("O:")
    with pytest.raises(ValueError, match="expected a candidate Z"):
        analysis.lettered(rows, "Z")


def test_what_was_tried_on_photographs_ends_with_the_shipped_recipe(tmp_path):
    found = analysis.photographs()
    page, recipe = analysis.photographs_table(found["rows"]), recipes(parameters.profile_file("laptop"))["cifar20"]
    first, *others = found["rows"]
    assert page.text.count("\n") == len(found["rows"]) and all(row["held_out"] > first["held_out"] for row in others)
    wanted = f"width {recipe.unet['width']}", f"batch {recipe.batch}", recipe.optimizer.capitalize()
    assert all(part in first["name"] for part in wanted) and recipe.unet["blocks"] == 1
    (tmp_path / "found.json").write_text("{}")
    with pytest.raises(ValueError, match="tried on CIFAR-10"):
        analysis.photographs(tmp_path / "found.json")


def test_shorter_trainings_are_lines_less_the_shipped_one(tmp_path):
    found = analysis.shorter()
    lines = [line.split("\t") for line in analysis.shorter_table(found).text.splitlines()]
    assert [line[0] for line in lines[1:]] == [analysis.TRIED[row["name"]] for row in found["rows"]]
    assert {*analysis.TRIED} == {row["name"] for row in found["rows"]} == {"mnist16", *recipes(BENCH / "shorter.yml")}
    assert lines[1][2:] == ["–", "–", lines[1][4], "–", "–"] and float(lines[1][4]) > 0
    for row in found["rows"][1:]:
        assert Recipe(**row["recipe"]) == recipes(BENCH / "shorter.yml")[row["name"]]
        assert ("fid" in row) == (row["members"] == 16)
    told = analysis.shorter_words(
        found | {"seconds": {"again1": 0.3, "short0": 0.3}, "cores": 2, "machine": {"instructions": "AVX2"}}
    )
    assert told["short_whole_minutes"] == "168\u00a0min" and told["short_short_minutes"] == "128\u00a0min"
    assert told["short_machine"] == "2 cores with AVX2"
    (tmp_path / "found.json").write_text('{"rows": []}')
    with pytest.raises(ValueError, match="bench/shorter.py measured"):
        analysis.shorter(tmp_path / "found.json")
