"""Saved ensembles come back whole, or not at all."""

import json

import numpy as np
import pytest
import torch

from genens import codes as coding
from genens import ensemble, files
from genens.unet import UNetConfig, build

CONFIG = UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1)
CODES = coding.walsh(4)


@pytest.fixture
def folder(tmp_path):
    states = [build(CONFIG, i).state_dict() for i in range(3)]
    ensemble.save(tmp_path / "e", states, CODES, {"unet": CONFIG.to_dict(), "shape": [1, 28, 28]})
    return tmp_path / "e"


def test_an_ensemble_comes_back_as_it_was_to_half_precision(folder):
    members = ensemble.load(folder)
    assert members.n == 3 and members.shape == (1, 28, 28) and np.array_equal(members.codes, CODES)
    x, t = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)), 300
    eps = members(x, t)
    assert eps.shape == (3, 2, 1, 28, 28)
    assert torch.equal(members(x, t, [2])[0], eps[2])
    original = build(CONFIG, 1)
    for p in original.parameters():
        p.data = p.data.half().float()
    torch.testing.assert_close(original(x, torch.full((2,), t)), eps[1], rtol=0, atol=1e-6)


def test_the_digest_follows_the_weights(folder, tmp_path):
    other = [build(CONFIG, i + 1).state_dict() for i in range(3)]
    ensemble.save(tmp_path / "f", other, CODES, {"unet": CONFIG.to_dict(), "shape": [1, 28, 28]})
    assert ensemble.load(folder).digest == ensemble.load(folder).digest != ensemble.load(tmp_path / "f").digest


def test_a_missing_folder_or_file(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="make train"):
        ensemble.load(tmp_path / "nowhere")
    (folder / "member_01.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="member_01"):
        ensemble.load(folder)


def test_a_truncated_or_edited_file(folder):
    file = folder / "member_00.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="truncated"):
        ensemble.load(folder)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="edited"):
        ensemble.load(folder)


def test_codes_of_another_ensemble(folder):
    manifest, written = files.read_folder(folder)
    written["codes.safetensors"] = files.arrays_to_bytes({"codes": ~CODES})
    files.write_folder(folder, written, manifest)
    with pytest.raises(ValueError, match="expected the codes the members were trained with"):
        ensemble.load(folder)


def test_not_a_number_in_the_weights(tmp_path):
    states = [build(CONFIG, i).state_dict() for i in range(3)]
    states[2]["head.bias"][0] = float("nan")
    ensemble.save(tmp_path / "e", states, CODES, {"unet": CONFIG.to_dict(), "shape": [1, 28, 28]})
    with pytest.raises(ValueError, match="member_02.safetensors, got something else .NaN or infinity in head.bias"):
        ensemble.load(tmp_path / "e")


def test_an_edited_manifest(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shape"] = [1, 32, 32]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="manifest.json, got something else .it was edited"):
        ensemble.load(folder)
