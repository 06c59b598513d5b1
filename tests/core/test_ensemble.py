"""Saved ensembles come back whole, or not at all."""

import json

import numpy as np
import pytest
import torch

from bench.faults.damage import sign
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


def resigned(folder, **changes):
    """The folder with other entries in its manifest, and with the right sha256 of it."""
    sign(folder, json.loads((folder / "manifest.json").read_text()) | changes, listed=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": {}}, "codes.safetensors, got something else"),
        ({"shape": [1, 0, 28]}, r"shape \[1, 0, 28\], not \[1, H, W\] in multiples of 2"),
        ({"shape": [3, 28, 28]}, r"shape \[3, 28, 28\], not \[1, H, W\]"),
        ({"shape": [1, 28, 2.8e9]}, "shape"),
        ({"shape": None}, "manifest.json"),
        ({"n": 2}, "n 2, of which the codes have 3"),
        ({"split_sizes": [2, 1, 1]}, r"split_sizes \[2, 1, 1\], of which the codes have"),
        ({"images": 4}, "images 4, of which the codes have 3"),
        ({"unet": CONFIG.to_dict() | {"T": 0}}, "expected T as a whole number in 1..10,000, got 0"),
        ({"unet": CONFIG.to_dict() | {"T": 10**12}}, "expected T as a whole number"),
        ({"unet": CONFIG.to_dict() | {"width": 16}}, "member_00.safetensors, got something else .*size mismatch"),
        ({"unet": CONFIG.to_dict() | {"width": 4096, "multipliers": [64]}}, "member_00.safetensors"),
        ({"unet": CONFIG.to_dict() | {"depth": 2}}, "unexpected keyword argument 'depth'"),
        ({"unet": []}, "manifest.json"),
        ({"codes": 7}, "codes.safetensors"),
    ],
)
def test_a_manifest_that_does_not_describe_its_members_is_refused_even_if_it_is_signed(folder, changes, words):
    resigned(folder, **changes)
    with pytest.raises(ValueError, match=f"expected .* in {folder}/.*{words}") as caught:
        ensemble.load(folder)
    assert "\n" not in str(caught.value) and "make train" in str(caught.value)


def test_a_size_that_is_none_reaches_no_terminal_as_it_is(folder):
    resigned(folder, files={"codes.safetensors": {"bytes": "\ud800", "sha256": ""}})
    with pytest.raises(ValueError, match=r"is truncated or edited: expected '.ud800' bytes") as caught:
        ensemble.load(folder)
    assert str(caught.value).isprintable()


def test_members_and_codes_that_are_none_are_refused_even_if_they_are_signed(folder):
    for name in ("member_01.safetensors", "codes.safetensors"):
        whole = (folder / name).read_bytes()
        for content in (b"", b"garbage", files.arrays_to_bytes({"x": np.zeros(3)})):
            (folder / name).write_bytes(content)
            sign(folder, json.loads((folder / "manifest.json").read_text()))
            with pytest.raises(ValueError, match=f"expected .* in {folder}/{name}, got something else"):
                ensemble.load(folder)
        (folder / name).write_bytes(whole)
