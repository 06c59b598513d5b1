"""What other codes and seeds change: the file of retrained ensembles, and what chapter 2 says of it."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from support import ROOT

from genens_book.chapters.class_ablation import figures, retrained
from genens_book.measures.stats import Interval
from genens_book.pages import claims

HERE = {id: Interval(0.5, 0.402, 0.598, 100) for id in retrained.NAMES}  # a standard error of 0.05
BOOK = claims.load()


def others(*values):
    return {id: list(values) for id in retrained.NAMES}


def test_one_more_training_falls_where_a_t_distribution_says():
    low, high = retrained.one_more([0.4, 0.6])
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(12.7062 * np.std([0.4, 0.6], ddof=1) * np.sqrt(1.5), rel=1e-4)
    draws = np.random.default_rng(0).normal(size=(4000, 6))
    inside = [low <= more <= high for *five, more in draws for low, high in [retrained.one_more(five)]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_numbers_are_the_chapters_own():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, (60, 8))
    measured = {"labels": labels, "euclidean": rng.random((60, 7))}
    found = retrained.numbers(measured, [0, 1, 2, 3, 4, 6, 8], seed=0)
    assert set(found) == set(retrained.NAMES) <= set(BOOK)
    kept = np.isin(labels[:, 0], [0, 1, 2, 3, 4, 6, 8])
    assert found["s3.1-class-changed-predicted"].n == kept.sum()
    assert found["f2d-untrained-digits"].value == pytest.approx(np.isin(labels, (5, 7, 9)).mean())


RECIPE = {"dataset": "mnist", "seed": 0, "classes": [0, 1], "steps": 5, "precision": "float32"}


def row_of(value, **recipe):
    numbers = {id: Interval(value, value, value, 9) for id in retrained.NAMES}
    return retrained.row("one", numbers, {"n_samples": 640}, {"recipe": RECIPE | recipe, "files": {"member_00": {}}})


def test_the_prose_says_how_often_and_which_of_the_papers_numbers_lie_within():
    told = retrained.words(HERE, [row_of(0.6), row_of(0.55)], BOOK)
    assert "trained twice more by the same recipe" in told["again_n"] and "640 samples" in told["again_n"]
    assert "between 1.0 and 1.0" in told["again_says"], "both standard deviations are 0.05"
    assert told["again_says"].endswith(
        "Of the paper's 3 numbers, 2 lie where one more training could fall: own class moves furthest; "
        "another ablated: digit changes."
    )
    assert "trained once more" in retrained.words(HERE, [row_of(0.6)], BOOK)["again_n"]


def test_without_a_retrained_ensemble_the_chapter_says_so():
    told = retrained.words(HERE, [], BOOK)
    assert "none was trained again" in told["again_n"] and told["again_says"] == ""
    assert "\t54\xa0%\t" in figures.retrained_table(HERE, others(0.54), BOOK).text, "one of them is no range"
    assert "\t–\t" in figures.retrained_table(HERE, others(), BOOK).text
    plt.close(figures.retrained(HERE, others(), BOOK))


def test_the_picture_has_a_line_a_number_and_the_table_too():
    again = others(0.6, 0.55)
    figure = figures.retrained(HERE, again, BOOK)
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_yticklabels()] == list(retrained.NAMES.values())
    assert sum(line.get_marker() == "|" for line in ax.lines) == 3, "ticks where the paper gives a number"
    plt.close(figure)
    lines = figures.retrained_table(HERE, again, BOOK).text.splitlines()
    assert len(lines) == 1 + len(retrained.NAMES)
    cells = lines[1].replace("\xa0", " ").split("\t")
    assert cells[1:4] == ["61 %", "50 %", "55 % to 60 %"] and cells[5:] == ["5.0", "5.0"]


def test_rows_of_the_same_recipe_are_read_back_and_a_damaged_file_is_one_line(tmp_path):
    file = tmp_path / "retrained.json"
    file.write_text(
        json.dumps([row_of(0.5, seed=1, classes=[1, 0], times=[]), row_of(0.7, steps=6), row_of(0.6, classes=[0, 2])])
    )
    (found,) = retrained.rows(RECIPE, file)
    assert "files" not in found["manifest"]
    again = retrained.again([found])
    assert again == others(0.5) | {"f2b-above-chance-euclidean": [0.5]}, "which the accuracy stands behind as well"
    for text in ("{", '[{"name": "A"}]'):
        file.write_text(text)
        with pytest.raises(ValueError, match="restore it or run the script") as caught:
            retrained.rows(RECIPE, file)
        assert "\n" not in str(caught.value)


def test_the_shipped_ensemble_was_trained_again():
    recipe = json.loads((ROOT / "weights" / "mnist7" / "manifest.json").read_text())["recipe"]
    found = retrained.rows(recipe)
    assert found and all(row["manifest"]["recipe"]["classes"] != recipe["classes"] for row in found)
