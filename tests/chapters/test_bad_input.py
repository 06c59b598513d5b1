"""Chapters and commands with wrong input: one clear line, nothing half-written. Their cells run here as papermill runs
them; that papermill itself ends with that line is tried once."""

import os
import shutil
import subprocess
import sys

import pytest
from support import ROOT, run_chapter

from genens import ensemble


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of its own."""
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def artifacts(store):
    """What a run left in the store beside its ledger: finished artifacts have a meta.json."""
    found = list(store.rglob("*")) if store.exists() else []
    return [path for path in found if path.is_file() and "ledger" not in path.parts]


def refusal(store, chapter, **parameters):
    """The line with which a chapter stops."""
    with pytest.raises((ValueError, OSError)) as caught:
        run_chapter(chapter, **parameters)
    assert not artifacts(store)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_papermill_ends_with_the_line_and_an_exit_code(tmp_path, store):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "papermill",
            "--no-progress-bar",
            ROOT / "book" / "02_class_ablation.ipynb",
            tmp_path / "out.ipynb",
            "-p",
            "n_sampels",
            "5",
        ],
        env=os.environ | {"GENENS_STORE": str(store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0 and not artifacts(store)
    assert "did you mean 'n_samples'?" in (last := done.stderr.strip().splitlines()[-1]) and "ValueError" in last


@pytest.mark.parametrize(
    "parameters, expected",
    [
        (dict(n_samples=0), "n_samples"),
        (dict(n_sampels=5), "did you mean 'n_samples'?"),
        (dict(profile="labtop"), "expected a profile among laptop, paper, smoke"),
        (dict(weights="/nowhere/mnist7"), "expected /nowhere/mnist7/manifest.json, found no such file"),
        (dict(variance="large"), "expected variance as one of beta, posterior, alpha_beta"),
        (dict(vgg="/nowhere/vgg.pth"), "/nowhere/vgg.pth"),
        (dict(engine="warp"), "expected engine as one of openvino, eager; got 'warp'"),
        (dict(precision="int8"), "expected precision as one of float32, bfloat16, float64; got 'int8'"),
        (dict(precision="float64"), "expected precision float32 with engine openvino"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_chapter_says_what_it_expected(store, parameters, expected):
    assert expected in refusal(store, "02_class_ablation", **parameters)


@pytest.mark.parametrize(
    "parameters, expected",
    [
        (dict(weights="mnist7"), "expected per_steps at most 7 with an ensemble of 7 members"),
        (dict(n_rotating=49), "expected n_rotating at most n_samples = 48; got 49; its profile has 8"),
        (dict(tangents="reverse"), "expected tangents as one of forward, differences; got 'reverse'"),
    ],
    ids=["another ensemble", "more than there are", "tangents"],
)
def test_the_jacobian_chapter_says_what_does_not_fit_together(store, parameters, expected):
    assert expected in refusal(store, "05_jacobian", **parameters)


def test_edited_weights_stop_a_chapter(tmp_path, store):
    shutil.copytree(ROOT / "weights" / "mnist7", tmp_path / "mnist7")
    file = tmp_path / "mnist7" / "member_03.safetensors"
    whole = bytearray(file.read_bytes())
    whole[-5] ^= 1
    file.write_bytes(whole)
    assert "member_03.safetensors was edited" in refusal(store, "02_class_ablation", weights=f"{tmp_path}/mnist7")


@pytest.mark.parametrize(
    "chapter, given", [("03_fid", "n_plane"), ("03_fid", "n_sheet"), ("04_convergence", "n_jacobian")]
)
def test_more_samples_than_there_are_is_said_before_anything_is_drawn(store, chapter, given):
    line = refusal(store, chapter, **{given: 900})
    assert f"expected {given} at most n_samples = " in line and "got 900" in line


def test_weights_that_are_not_numbers_stop_a_chapter(tmp_path, store):
    whole = ensemble.load(ROOT / "weights" / "mnist7")
    states = [model.state_dict() for model in whole.models]
    next(iter(states[2].values())).view(-1)[0] = float("nan")
    kept = {name: whole.manifest[name] for name in ("recipe", "unet", "shape", "data", "images", "split_sizes")}
    ensemble.save(tmp_path / "ill", states, whole.codes, kept)
    line = refusal(store, "04_convergence", weights=f"{tmp_path}/ill")
    assert "expected finite weights" in line and "member_02.safetensors, got something else (NaN or infinity" in line


def test_an_unknown_profile_is_refused_before_anything_is_installed(tmp_path):
    done = subprocess.run(
        ["make", "book", "PROFILE=labtop", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0 and "unknown PROFILE 'labtop'" in done.stderr
    assert not (tmp_path / "venv").exists()
