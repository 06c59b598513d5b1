"""Training images at hand, thumbnails where they are not, and other pictures told from the same ones in other files."""

import dataclasses
from dataclasses import asdict

import numpy as np
import pytest
import torch

from genens import data
from genens.recipe import Recipe
from genens_book.measures import gallery

RECIPE = Recipe("cifar10", steps=1, n=8, h=4)


@pytest.fixture
def photographs(monkeypatch):
    """Sixty pictures that pass for CIFAR-10, and their ensemble's manifest; what `data.load` gives can be changed."""
    pixels = torch.randint(256, (60, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    images = data.Dataset(pixels, torch.arange(60) % 10, "photographs", tuple("abcdefghij"))
    there = [images]

    def load(*_):
        if there[0] is None:
            raise FileNotFoundError("expected torchvision's cifar-10-batches-py folder")
        return there[0]

    monkeypatch.setattr(data, "load", load)
    return images, {"recipe": asdict(RECIPE), "data": images.digest, "images": 60}, there


def test_without_the_images_the_thumbnails_are_shown_and_grey_where_there_is_none(photographs, tmp_path):
    images, manifest, there = photographs
    whole = gallery.at_hand(manifest, tmp_path / "kept")
    assert whole.whole and "themselves" in whole.said
    gallery.keep(images, [[7, 3], [3, 59]], tmp_path / "kept")
    there[0] = None
    found = gallery.at_hand(manifest, tmp_path / "kept")
    assert len(found) == 60 and not found.whole and "not at hand" in found.said
    assert (found.name, found.classes) == (images.name, images.classes) and torch.equal(found.labels, images.labels)
    shown = found[np.array([[3, 5], [59, 7]])]
    assert shown.shape == (2, 2, 3, 8, 8)
    np.testing.assert_array_equal(shown[0, 0], whole[3])
    np.testing.assert_array_equal(shown[1], whole[[59, 7]])
    assert (shown[0, 1] == 0).all() and found.missing([3, 5, 5, 6]) == 2


def test_people_and_attributes_are_kept_of_all(photographs, tmp_path):
    images, manifest, there = photographs
    people = tuple(map(str, range(3000)))
    attributes = torch.rand((60, 11), generator=torch.Generator().manual_seed(1)) < 0.5
    faces = dataclasses.replace(
        images,
        labels=torch.arange(60) * 50,
        classes=people,
        attributes=attributes,
        attribute_names=tuple("abcdefghijk"),
    )
    gallery.keep(faces, [1], tmp_path / "kept")
    there[0] = None
    found = gallery.at_hand(manifest, tmp_path / "kept")
    assert torch.equal(found.labels, faces.labels) and torch.equal(found.attributes, attributes)
    assert found.attribute_names == faces.attribute_names == gallery.of(faces).attribute_names


def test_without_images_and_thumbnails_it_says_what_is_missing(photographs, tmp_path):
    _, manifest, there = photographs
    there[0] = None
    with pytest.raises(FileNotFoundError, match="expected torchvision's cifar-10-batches-py"):
        gallery.at_hand(manifest, tmp_path / "kept")


def test_the_same_pictures_from_other_files_are_taken_and_others_are_not(photographs, tmp_path):
    images, manifest, there = photographs
    gallery.keep(images, range(0, 60, 4), tmp_path / "kept")
    noise = torch.randint(-9, 10, images.images.shape, generator=torch.Generator().manual_seed(1))
    again = (images.images.int() + noise).clamp(0, 255).to(torch.uint8)
    there[0] = data.Dataset(again, images.labels, images.name, images.classes)
    found = gallery.at_hand(manifest, tmp_path / "kept")
    assert found.whole and "other files" in found.said and torch.equal(found.images, again)
    for other in (
        data.Dataset(again.roll(10, 0), images.labels, images.name, images.classes),  # same labels, other pictures
        data.Dataset(again, images.labels.roll(1), images.name, images.classes),
        images.take(59),
    ):
        there[0] = other
        with pytest.raises(ValueError, match="expected the 60 images that the members were trained on"):
            gallery.at_hand(manifest, tmp_path / "kept")


def test_damaged_thumbnails_are_refused(photographs, tmp_path):
    images, manifest, there = photographs
    gallery.keep(images, [1], tmp_path / "kept")
    file = tmp_path / "kept" / gallery.FILE
    file.write_bytes(file.read_bytes()[:-1])
    there[0] = None
    with pytest.raises(ValueError, match="truncated or edited"):
        gallery.at_hand(manifest, tmp_path / "kept")
