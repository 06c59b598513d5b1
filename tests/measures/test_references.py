"""Moments that stand for images are those of the features of these images."""

import numpy as np
import pytest
import torch
from torch import nn

from genens import data
from genens_book.measures import classifier, fid, imagenet, references
from genens_book.measures.judges import DigitNet, PhotoNet


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """A cross-fitted judge, hardly trained, of 60 photographs of noise, and an "ImageNet" that is quick."""
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(256, (60, 3, 32, 32), generator=draws, dtype=torch.uint8)
    found = data.Dataset(images, torch.arange(60) % 10, "noise", tuple("abcdefghij"))
    monkeypatch.setattr(data, "load", lambda name: found)
    monkeypatch.setitem(classifier.PROFILES, "smoke", {"images": None, "epochs": 1, "folds": 2})
    classifier.build(tmp_path / "judge", profile="smoke", judge=PhotoNet)
    quick = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    quick.side, quick.black = 8, -1.0
    monkeypatch.setattr(imagenet, "efficientnet", lambda: quick)
    return tmp_path / "judge", found, quick


def test_they_are_the_moments_and_features_of_what_each_network_has_not_seen(judge, tmp_path):
    folder, images, quick = judge
    references.build(folder, tmp_path / "out")
    found, model = references.load(tmp_path / "out"), classifier.load(folder)
    assert sorted(found) == ["efficientnet", "photographs"]
    seen = classifier.read(model.nets[0], data.to_unit(images.images[model.unseen(0)]))
    whole = fid.Reference(seen["features"])
    np.testing.assert_allclose(found["photographs"].mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(found["photographs"].covariance, whole.covariance, rtol=1e-5, atol=1e-8)
    assert sorted(found["photographs"].confidence) == pytest.approx(sorted(seen["confidence"].tolist()))
    rows = imagenet.deep_features(quick, data.to_unit(images.images))
    assert found["efficientnet"].reference().fid(rows.numpy()) == pytest.approx(0, abs=1e-5)
    assert found["efficientnet"].rows.sum() == pytest.approx(rows.sum().item(), rel=1e-3)


def test_real_images_are_drawn_again_unless_there_are_many_more_of_them():
    rows = np.arange(10.0)[:, None] * np.ones(3)
    all_of_them, some = references.Real(rows), references.Real(rows, np.zeros(3), np.eye(3))
    assert len(np.unique(all_of_them.draw(10, 0)[:, 0])) < 10
    assert sorted(some.draw(10, 0)[:, 0]) == list(range(10))
    assert some.draw(30, 0).shape == (30, 3)
    np.testing.assert_allclose(some.reference().covariance, np.eye(3))
    np.testing.assert_allclose(all_of_them.reference().mean, [4.5] * 3)


def test_what_cannot_be_read_through_is_refused(judge, tmp_path, monkeypatch):
    folder, images, _ = judge
    classifier.save([DigitNet()], tmp_path / "digits", {"training": {}})
    with pytest.raises(ValueError, match="expected a cross-fitted judge"):
        references.build(tmp_path / "digits", tmp_path / "out")
    monkeypatch.setattr(data, "load", lambda name: images.take(59))
    with pytest.raises(ValueError, match="got other ones"):
        references.build(folder, tmp_path / "out")
    with pytest.raises(SystemExit, match="no such file"):
        references.main(["--judge", str(tmp_path / "nobody"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_features_of_no_image_are_refused(judge, tmp_path):
    kept = references.Real(np.zeros((0, 3)), np.zeros(3), np.eye(3))
    references.write({"efficientnet": kept}, judge[1], tmp_path / "out")
    with pytest.raises(ValueError, match="expected moments and features, finite"):
        references.load(tmp_path / "out")
