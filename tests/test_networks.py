"""The appendix's table of candidates."""

import json

import pytest

from genens import networks
from genens.recipe import recipes


def test_every_candidate_is_a_line_and_the_shipped_recipe_is_one_of_them():
    rows = networks.candidates()
    page = networks.table(rows)
    assert page.html.count("<tr>") == 1 + len(rows) and page.text.count("\n") == len(rows)
    row, recipe = networks.shipped(rows), recipes("laptop")["mnist16"]
    assert (row["batch"], row["lr"], row["unet"]["attention"]) == (recipe.batch, recipe.lr, recipe.unet["attention"])
    assert all(networks.best(rows)["fid"] <= other["fid"] for other in rows)
    with pytest.raises(ValueError, match="add it to bench/networks.py"):
        networks.shipped([other for other in rows if other is not row])


@pytest.mark.parametrize("text", ["{", "[]", '[{"name": "A"}]', '{"name": 3}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    (tmp_path / "networks.json").write_text(text)
    with pytest.raises(ValueError, match="restore it or run the script") as caught:
        networks.candidates(tmp_path / "networks.json")
    assert "\n" not in str(caught.value)


def test_words_hold_the_numbers(tmp_path):
    row = json.loads(json.dumps(networks.candidates()[0])) | {"fid": 1234.4, "confident": 0.5}
    assert "FID 1,234, 50\u00a0% confident" in networks.words(row)
