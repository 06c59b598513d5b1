"""The page of what was broken: what a reader would see wrong in its tables and its picture."""

import json
from collections import Counter

import matplotlib.pyplot as plt
import pytest

from genens_book.chapters.breakage import analysis, figures

MADE = {"machine": "Linux x86_64, Some CPU", "date": "2026-11-25T00:00:00Z", "cpus": 2}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def campaign(outcomes, wrong=(), not_run=(), seed=0):
    times = sum(sum(of.values()) for of in outcomes.values())
    lists = {"wrong": list(wrong), "not_run": list(not_run)}
    return {"outcomes": outcomes, "times": times, "seconds": 75.0, "seed": seed} | lists


def written(tmp_path, **campaigns):
    file = tmp_path / "faults.json"
    file.write_text(json.dumps({"campaigns": campaigns, "made": MADE, "machine": {"cores": 2}}))
    return file


BROKEN = {
    "mutations": campaign({"ensemble": {"refused": 7, "harmless": 2, "wrong": 1}}, ["ensemble: 3, flipped: used"]),
    "measurements": campaign({"results.json": {"refused": 4, "taken": 1}}),
    "disks": campaign({}, not_run=["disks that are full or read-only: permission denied"]),
}


def test_counts_are_added_up_and_what_went_wrong_or_was_not_run_is_said(tmp_path):
    found = analysis.faults(written(tmp_path, **BROKEN))
    said = analysis.numbers(found)
    assert (said["n"], said["n_damaged"], said["n_refused"], said["n_used"], said["n_wrong"]) == (15, 15, 11, 1, 1)
    assert said["wrong"] == "mutations: ensemble: 3, flipped: used"
    assert "disks: disks that are full or read-only: permission denied" in said["not_run"]
    assert "kills: left out of the run" in said["not_run"] and said["n_kills"] == 0
    assert said["machine"] == "2 CPUs of the kind Some CPU, 2026-11-25" and said["seed"] == "0"


def test_the_tables_show_every_campaign_and_what_was_not_run(tmp_path):
    found = analysis.faults(written(tmp_path, **BROKEN))
    head, mutations, measurements, kills, disks, *_ = analysis.overview(found).text.splitlines()
    assert mutations.split("\t")[1:] == ["10", "7 refused, 2 harmless", "1", "1 min 15 s"]
    assert measurements.split("\t")[1:4] == ["5", "4 refused, 1 taken", "0"]
    assert "not run" in kills and "permission denied" in disks
    assert "permission denied" in analysis.table(found.campaigns["disks"]).text
    assert analysis.table(found.campaigns["mutations"]).text.splitlines()[1] == "ensemble\t10\t7 refused, 2 harmless\t1"


def test_a_bar_is_the_shares_of_what_came(tmp_path):
    (ax,) = figures.damage(analysis.damaged(analysis.faults(written(tmp_path, **BROKEN)))).axes
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in ax.containers}
    assert widths["refused in one line"] == [70, 80] and widths["wrong"] == [10, 0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ensemble", "results.json"]
    assert max(bar.get_x() + bar.get_width() for bar in ax.patches) == 100


def test_nothing_that_was_run_is_an_empty_picture(tmp_path):
    found = analysis.faults(written(tmp_path))
    assert not figures.damage(analysis.damaged(found)).axes[0].patches and found.times == 0
    assert all(line.split("\t")[1] == "0" for line in analysis.overview(found).text.splitlines()[1:])


@pytest.mark.parametrize(
    "change",
    [
        {"times": 9},
        {"outcomes": {"ensemble": {"refused": -1}}},
        {"outcomes": {"ensemble": {"refused": True}}},
        {"outcomes": []},
        {"wrong": []},
        {"seconds": "long"},
        {"seed": None},
    ],
)
def test_a_file_that_does_not_add_up_is_one_line(tmp_path, change):
    file = written(tmp_path, mutations=BROKEN["mutations"] | change)
    with pytest.raises(ValueError, match=r"what python -m bench\.faults found in .* run the command") as caught:
        analysis.faults(file)
    assert str(caught.value).isprintable()


def test_a_campaign_of_no_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a campaign 'more'"):
        analysis.faults(written(tmp_path, more=campaign({})))


def test_the_shipped_findings_are_whole_and_nothing_went_wrong():
    found = analysis.faults()
    assert not found.wrong and all(one.times or one.not_run for one in found.campaigns.values())
    assert found.campaigns["kills"].times >= 200 and found.campaigns["parameters"].times >= 1000
    assert all(of.total() >= 1000 for of in found.campaigns["mutations"].outcomes.values())
    assert isinstance(analysis.damaged(found)["checkpoint"], Counter)
