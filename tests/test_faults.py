"""A short run of the campaign of faults, and that it would notice what it looks for."""

import dataclasses

import pytest

from bench import faults


@pytest.mark.parametrize("subject", faults.SUBJECTS, ids=lambda subject: subject.name)
def test_what_is_damaged_is_refused_in_one_clear_line_and_never_used(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    came, wrong = faults.mutate(tmp_path, 25, 0, (subject,))
    assert not wrong, "\n".join(wrong)
    assert came[subject.name, "refused"] >= 10


def test_a_reader_that_checks_nothing_is_noticed(tmp_path):
    (subject,) = (one for one in faults.SUBJECTS if one.name == "references")
    careless = dataclasses.replace(subject, use=lambda folder: (folder / "features.safetensors").read_bytes())
    _, wrong = faults.mutate(tmp_path, 60, 0, (careless,))
    assert any(line.endswith("used") for line in wrong)
    assert any("no clear line" in line or "a foreign exception" in line for line in wrong)


def test_measurements_and_claims_that_are_damaged_are_read_or_refused_in_one_clear_line(tmp_path):
    wrong = faults.misread(tmp_path, 12, 0)
    assert not wrong, "\n".join(wrong)


def test_killed_writers_leave_what_they_write_whole_and_nothing_else(tmp_path):
    there, wrong = faults.kill(tmp_path, 4, 0)
    assert there and not wrong, "\n".join(wrong)
