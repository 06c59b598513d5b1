"""Short runs of the campaigns of faults, and that each would notice what it looks for."""

import dataclasses
import json
import os
import signal
import threading
import time

import pytest
import torch
from tqdm import tqdm

from bench.faults import damage, disk, images, kills, parameters, pickles, processes
from bench.faults.report import Report
from bench.faults.subjects import SUBJECTS
from genens import data


@pytest.fixture(autouse=True)
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))


def subject(name):
    return next(one for one in SUBJECTS if one.name == name)


def lines(report):
    return "\n".join(report.wrong)


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_what_is_damaged_is_refused_in_one_clear_line_and_never_used(subject, tmp_path):
    damage.mutate(report := Report("mutations", ""), tmp_path, 25, (subject,))
    assert not report.wrong, lines(report)
    assert report.of(subject.name)["refused"] >= 10


def test_a_reader_that_checks_nothing_is_noticed(tmp_path):
    careless = dataclasses.replace(
        subject("references"), use=lambda folder: (folder / "features.safetensors").read_bytes()
    )
    damage.mutate(report := Report("mutations", ""), tmp_path, 60, (careless,))
    assert any(line.endswith("used") for line in report.wrong)
    assert any("no clear line" in line or "a foreign exception" in line for line in report.wrong)


def test_measurements_and_claims_that_are_damaged_are_read_or_refused_in_one_clear_line(tmp_path):
    damage.misread(report := Report("measurements", ""), tmp_path, 12)
    assert not report.wrong, lines(report)


# ---------------------------------------------------------------- kills


@pytest.mark.parametrize("work", [kills.TRAINING, kills.SAMPLING], ids=lambda work: work.name)
def test_work_that_is_killed_and_started_again_ends_as_if_nothing_had_been(work, tmp_path):
    kills.restarted(report := Report("kills", ""), work, tmp_path, 1)
    assert not report.wrong, lines(report)
    assert report.times >= 1


def test_a_worker_of_training_that_the_system_kills_is_one_line(tmp_path):
    said = tmp_path / "said.txt"
    process = processes.start(lambda: kills.train_tiny(tmp_path), said)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("store/trained/checkpoints/*/member_*")) and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(processes.children(process.pid)[0], signal.SIGKILL)
    assert processes.finish(process) == 2
    assert processes.last_line(said).startswith("genens.train: a process that trained members of tiny was killed")
    assert "Traceback" not in said.read_text() and processes.gone(lambda: processes.of_group(process.pid))


def test_work_whose_result_depends_on_kills_is_noticed(tmp_path):
    def append(root):
        with (root / "log").open("a") as file:
            for _ in range(20):
                time.sleep(0.01)
                print("step", file=file, flush=True)
        return 0

    forgetful = kills.Work("appending", append, lambda root: kills.sums(root, "log"))
    kills.restarted(report := Report("kills", ""), forgetful, tmp_path, 3)
    assert any("not what an undisturbed run makes: log" in line for line in report.wrong)


def test_a_process_killed_in_the_middle_of_its_bar_stops_nobody_elses(tmp_path):
    def hold():
        tqdm.get_lock().acquire()
        (tmp_path / "held").touch()
        time.sleep(60)

    def draw():
        list(tqdm(range(3)))

    draw()  # from here on there is a lock to share
    process = processes.start(hold, tmp_path / "held.txt")
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert processes.run(draw, tmp_path / "drawn.txt")[0] == 0
    mine = threading.Thread(target=draw, daemon=True)
    mine.start()
    mine.join(10)
    assert not mine.is_alive()


def test_a_child_that_stays_when_its_parent_is_killed_is_noticed(tmp_path):
    def hang(root):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        time.sleep(60)

    process = processes.start(lambda: hang(tmp_path), tmp_path / "said.txt")
    time.sleep(0.3)
    process.kill()
    process.join()
    assert len(processes.of_group(process.pid)) == 1
    assert not processes.gone(lambda: processes.of_group(process.pid), 0.2)
    assert processes.gone(lambda: processes.of_group(process.pid), 5)


def test_killed_writers_leave_what_they_write_whole_and_nothing_else(tmp_path):
    kills.writers(report := Report("kills", ""), tmp_path, 4)
    assert not report.wrong, lines(report)
    assert report.of("writer").total() == 4


def test_a_writer_whose_files_are_not_whole_at_every_moment_is_noticed(tmp_path):
    def careless(root):
        while True:
            for k in range(251):
                with (root / "note.json").open("w") as file:
                    file.write(f"[{k}, ")
                    file.flush()
                    file.write(f"{k}]")

    kills.writers(report := Report("kills", ""), tmp_path, 12, careless)
    assert report.of("writer")["wrong"]


# ---------------------------------------------------------------- disks


def mountable(tmp_path):
    if why := disk.may_not(tmp_path / "try"):
        pytest.skip(f"no disk can be mounted here: {why}")


def test_a_full_disk_is_one_line_and_the_work_goes_on_once_there_is_room(tmp_path):
    mountable(tmp_path)
    disk.full(report := Report("disks", ""), kills.SAMPLING, tmp_path, 1)
    assert not report.wrong, lines(report)


def test_work_that_swallows_a_full_disk_is_noticed(tmp_path):
    mountable(tmp_path)

    def silent(root):
        try:
            (root / "file").write_bytes(bytes(100_000))
        except OSError:
            (root / ".half").touch()
        return 0

    quiet = kills.Work("writing", silent, lambda root: kills.sums(root, "file"))
    disk.full(report := Report("disks", ""), quiet, tmp_path, 1)
    assert any("it ended as if it had written all" in line for line in report.wrong)


def test_two_processes_that_do_the_same_are_both_right(tmp_path):
    disk.at_once(report := Report("disks", ""), kills.SAMPLING, tmp_path, 1)
    assert not report.wrong, lines(report)


def test_where_no_disk_can_be_mounted_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_mount", lambda *words: "mount: permission denied")
    report = disk.run(tmp_path, 0, disks=1, builds=0, pairs=0)
    assert report.not_run == ["disks that are full or read-only: mount: permission denied"] and not report.times


# ---------------------------------------------------------------- what users give


def test_folders_of_pictures_are_taken_with_their_pixels_or_refused_in_one_line(tmp_path):
    report = images.run(tmp_path, 0, 60)
    assert not report.wrong, lines(report)
    assert report.of("nothing odd")["taken with its pixels"] >= 10 and len(report.outcomes) >= 12


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: dataclasses.replace(found, images=found.images ^ 1), "taken with other pixels"),
        (lambda found: (os.system("true"), found)[1], "started a program: os.system"),
    ],
)
def test_a_loader_that_does_otherwise_is_noticed(change, said, tmp_path, monkeypatch):
    load = data.load
    monkeypatch.setattr(data, "load", lambda spec: change(load(spec)))
    assert any(said in line for line in images.run(tmp_path, 0, 8).wrong)


def test_no_pickle_is_executed(tmp_path):
    report = pickles.run(tmp_path, kinds=1)
    assert not report.wrong, lines(report)
    assert report.times > 40


def test_a_reader_that_executes_pickles_is_noticed(tmp_path):
    file = tmp_path / "place" / "weights.pt"
    file.parent.mkdir()
    file.write_bytes(b"")

    def trusting(path):
        return torch.load(path, weights_only=False)

    report = pickles.run(tmp_path, at=[pickles.Place("weights", file, trusting, str(file))])
    assert sum("executed" in line for line in report.wrong) >= 2, lines(report)


def test_parameters_that_are_nonsense_are_one_line(tmp_path):
    report = parameters.run(tmp_path, 1, 40)
    assert not report.wrong, lines(report)
    assert report.times == 40


def test_a_report_can_be_written_down_whatever_went_wrong(tmp_path):
    report = Report("name", "what")
    report.count("some", "refused")
    report.count("some", "", "a line\nwith \x1b[31m and \ud800")
    found = json.loads(json.dumps(report.to_json()))
    assert found["times"] == 2 and found["outcomes"] == {"some": {"refused": 1, "wrong": 1}}
    assert found["wrong"] == [r"some: a line\nwith \x1b[31m and \ud800"]
