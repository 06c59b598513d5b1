"""Your own pictures: made grey and small, fine-tuned on with the settings of the shipped ones, and found again."""

import numpy as np
import pytest
import torch
from PIL import Image

from genens import finetunes, unlearn
from genens.recipe import trained_on
from genens_book.chapters.finetunes import own


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(22):
        Image.fromarray(rng.integers(0, 256, (40 + k, 50, 3), dtype=np.uint8)).save(folder / f"{k:02d}.png")
    return f"folder:{folder}"


def test_pictures_are_made_grey_and_fine_tuned_on_once(pictures, trained, monkeypatch, capsys):
    monkeypatch.setenv("GENENS_TRAINED", str(trained))
    asked = []
    folder = own.trained(pictures, trained / "signs", 48, 0, lambda **manifests: asked.append(manifests), workers=1)
    said = capsys.readouterr().err
    assert "22 pictures" in said and "48 fine-tunes of 3 steps" in said and "takes about" in said
    members = finetunes.load(folder)
    images = trained_on(members.manifest)
    assert members.n == 48 and (members.codes.sum(1) == 45).all() and members.codes.shape == (22, 48)
    assert images.images.shape == (22, 1, 28, 28) and torch.equal(images.images, own.grey(pictures).images)
    assert unlearn.certificate(members, images, [3])["removed_image_in_any"] is False
    told, made = asked[0]["weights"], members.manifest
    for name in ("n", "images", "shape", "unet", "base"):
        assert told[name] == made[name]
    assert own.trained(pictures, trained / "signs", 48, 0, workers=1) == folder
    assert "were trained before" in capsys.readouterr().err


def test_how_many_members_there_are_and_what_is_refused(pictures, trained, tmp_path, monkeypatch):
    assert [own.members_for(N) for N in (20, 50, 101, 500)] == [64, 112, 208, 512]
    monkeypatch.setenv("GENENS_TRAINED", str(tmp_path / "t"))
    for spec, n, told in (
        ("mnist", None, "folder:PATH"),
        (pictures, 50, "a multiple of 16"),
        (pictures, 32, "a multiple of 16, 48 to"),
    ):
        with pytest.raises(ValueError, match=told):
            own.trained(spec, trained / "signs", n)
    few = tmp_path / "few"
    few.mkdir()
    Image.new("L", (30, 30)).save(few / "one.png")
    with pytest.raises(ValueError, match="expected 20 to 500 pictures"):
        own.trained(f"folder:{few}", trained / "signs")


def test_pictures_keep_their_classes_and_their_places(tmp_path):
    for name, count in (("b", 12), ("a", 11)):
        (tmp_path / name).mkdir()
        for k in range(count):
            Image.new("L", (30, 30), 9 * k + (100 if name == "b" else 0)).save(tmp_path / name / f"{k:02d}.png")
    images = own.grey(f"folder:{tmp_path}")
    kept = tmp_path / "kept.zip"
    kept.write_bytes(own._packed(images))
    again = own.data.load(f"folder:{kept}")
    assert torch.equal(again.images, images.images) and torch.equal(again.labels, images.labels)
