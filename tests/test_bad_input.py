"""Chapters and commands with wrong input: one clear last line, an exit code that is not 0, nothing half-written."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

from genens import ensemble


def papermill(tmp_path, *parameters, chapter="02_class_ablation"):
    """A chapter under papermill with a store of its own; returns the exit code and the last line of the error."""
    words = [word for name, value in parameters for word in ("-p", name, str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", "--no-progress-bar", ROOT / "book" / f"{chapter}.ipynb",
         tmp_path / "out.ipynb", *words],
        env=os.environ | {"GENENS_STORE": str(tmp_path / "store")}, capture_output=True, text=True, check=False,
    )
    return done.returncode, done.stderr.strip().splitlines()[-1]


def artifacts(tmp_path):
    """What a run left in the store beside its ledger: finished artifacts have a meta.json."""
    found = list((tmp_path / "store").rglob("*")) if (tmp_path / "store").exists() else []
    return [path for path in found if path.is_file() and "ledger" not in path.parts]


@pytest.mark.parametrize(
    "parameters, expected",
    [
        ([("n_samples", 0)], "n_samples"),
        ([("n_sampels", 5)], "did you mean 'n_samples'?"),
        ([("profile", "labtop")], "expected a profile among laptop, paper, smoke"),
        ([("weights", "/nowhere/mnist7")], "expected /nowhere/mnist7/manifest.json, found no such file"),
        ([("variance", "large"), ("n_samples", 1)], "expected variance as one of beta, posterior, alpha_beta"),
        ([("vgg", "/nowhere/vgg.pth"), ("n_samples", 1)], "/nowhere/vgg.pth"),
    ],
    ids=lambda value: value[0][0] if isinstance(value, list) else "",
)
def test_a_chapter_says_what_it_expected(tmp_path, parameters, expected):
    code, line = papermill(tmp_path, *parameters)
    assert code != 0 and expected in line and "Error" in line
    assert not artifacts(tmp_path)


@pytest.mark.parametrize(
    "parameters, expected",
    [
        ([("weights", "mnist7")], "per_step and per_steps in 0..7, members used a step, and 0 and 7 among per_steps"),
        ([("weights", "mnist7"), ("n_rotating", 49)], "n_rotating of at most n_samples = 48, got 49"),
    ],
    ids=["another ensemble", "more than there are"],
)
def test_the_jacobian_chapter_says_what_does_not_fit_together(tmp_path, parameters, expected):
    code, line = papermill(tmp_path, *parameters, chapter="05_jacobian")
    assert code != 0 and expected in line and "ValueError" in line
    assert not artifacts(tmp_path)


def test_edited_weights_stop_a_chapter(tmp_path):
    shutil.copytree(ROOT / "weights" / "mnist7", tmp_path / "mnist7")
    file = tmp_path / "mnist7" / "member_03.safetensors"
    whole = bytearray(file.read_bytes())
    whole[-5] ^= 1
    file.write_bytes(whole)
    code, line = papermill(tmp_path, ("weights", f"{tmp_path}/mnist7"))
    assert code != 0 and "member_03.safetensors was edited" in line
    assert not artifacts(tmp_path)


@pytest.mark.parametrize(
    "chapter, given", [("03_fid", "n_plane"), ("03_fid", "n_sheet"), ("04_convergence", "n_jacobian")]
)
def test_more_samples_than_there_are_is_said_before_anything_is_drawn(tmp_path, chapter, given):
    code, line = papermill(tmp_path, (given, 5000), chapter=chapter)
    assert code != 0 and f"expected {given} at most n_samples = " in line and "got 5000" in line
    assert not artifacts(tmp_path)


def test_weights_that_are_not_numbers_stop_a_chapter(tmp_path):
    whole = ensemble.load(ROOT / "weights" / "mnist7")
    states = [model.state_dict() for model in whole.models]
    next(iter(states[2].values())).view(-1)[0] = float("nan")
    kept = {name: whole.manifest[name] for name in ("recipe", "unet", "shape", "data", "images", "split_sizes")}
    ensemble.save(tmp_path / "ill", states, whole.codes, kept)
    code, line = papermill(tmp_path, ("weights", f"{tmp_path}/ill"), chapter="04_convergence")
    assert code != 0 and "expected finite weights, got NaN or infinity" in line and "member 2" in line
    assert not artifacts(tmp_path)


def test_an_unknown_profile_is_refused_before_anything_is_installed(tmp_path):
    done = subprocess.run(["make", "book", "PROFILE=labtop", f"VENV={tmp_path}/venv"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode != 0 and "unknown PROFILE 'labtop'" in done.stderr
    assert not (tmp_path / "venv").exists()
