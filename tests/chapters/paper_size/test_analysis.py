"""The table of what the paper's size takes."""

import json

import pytest

from genens_book.chapters.paper_size import analysis

STAGE = {"seconds": 0.5, "flops": 1e12, "units": 7200.0, "gigabytes": 2.04}
ROW = {
    "name": "mnist16",
    "dataset": "MNIST",
    "n": 16,
    "N": 10_000,
    "shape": [1, 28, 28],
    "parameters": 25_800_000,
    "batch": 128,
    "part": 128,
    "disk_gigabytes": {"members": 1.6, "checkpoint": 0.4, "samples": 0.5, "jacobians": 0.02},
    "stages": dict.fromkeys(analysis.STAGES, STAGE),
}


def test_hours_are_seconds_and_operations_times_the_number_of_units():
    assert analysis.core_hours(ROW, "train", 2) == 0.5 * 7200 * 2 / 3600
    assert analysis.gpu_hours(ROW, "train", 0.4) == pytest.approx(1e12 * 7200 / (0.4 * 156e12) / 3600)
    assert analysis.portions([ROW], 0.4) == {"training": "20\u00a0%", "sampling": "20\u00a0%"}
    assert analysis.total([ROW, ROW], 0.4) == pytest.approx(10 * analysis.gpu_hours(ROW, "train", 0.4))
    assert [analysis.hours(value) for value in (4e-5, 4.23, 456.7, 12_345)] == ["< 0.01", "4.23", "457", "12,300"]


def test_every_stage_of_every_ensemble_is_a_line():
    other = ROW | {"dataset": "CelebA", "part": 4, "batch": 32}
    page = analysis.table([ROW, other], {"cpus": 2}, 0.4)
    assert page.text.count("\n") == 2 * len(analysis.STAGES) and "2.0 GB" in page.text
    first = analysis.sizes_table([ROW, other]).text.splitlines()[1]
    assert first.split("\t")[:4] == ["MNIST", "16", "10,000", "25.8 M"]
    assert "CelebA's 32 images 4 at a time" in analysis.parts([ROW, other])
    assert analysis.parts([ROW]) == "Every minibatch was in memory at once."


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": []}', '{"rows": [{"name": "a"}], "made": {}}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    (tmp_path / "paper.json").write_text(text)
    with pytest.raises(ValueError, match="restore it or run the script") as caught:
        analysis.rows(tmp_path / "paper.json")
    assert "\n" not in str(caught.value)


def test_the_shipped_measurement_is_of_the_papers_three_ensembles():
    rows, made = analysis.rows()
    assert [(row["n"], row["N"]) for row in rows] == [(16, 10_000), (20, 60_000), (24, 202_599)]
    assert rows[1]["parameters"] == 35_746_307 and made["cpus"] >= 1


def test_a_gpus_units_are_set_beside_the_count_of_operations(tmp_path):
    file, one = tmp_path / "gpu.json", {"seconds": 1.0, "units": 3600 * analysis.gpu_hours(ROW, "train", 0.4)}
    assert "not run on a GPU" in analysis.measured([ROW], 0.4, file)
    stages = {"train": one, "sample": {"failed": "memory"}, "jacobian": one | {"seconds": 25.0}}
    file.write_text(json.dumps({"gpu": "X1", "paper": {"mnist16": stages}}))
    told = analysis.measured([ROW], 0.4, file)
    assert "on X1: the hours are those of the last column times 1 for training, 25 for Jacobians." in told
    file.write_text("{}")
    with pytest.raises(ValueError, match="make bench DEVICE=cuda"):
        analysis.measured([ROW], 0.4, file)
