"""The reader of drawn faces: what describes a person, what it learns in a moment, and what it refuses."""

import dataclasses

import pytest
import torch
from torch import nn

from genens import data
from genens_book.chapters.faces import drawing, reading
from genens_book.measures import imagenet, references


@pytest.fixture(scope="module")
def reader():
    return reading.train(steps=6, batch=16)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return drawing.faces(tmp_path_factory.mktemp("faces") / "faces-32", 32, people=30, pictures=200)


def test_a_person_is_described_alike_in_every_picture():
    people = reading.everyone(5)
    assert people.shape == (5, reading.PERSON) and people.min() >= 0 and people.max() <= 1
    kinds = people[:, len(reading.SHAPES) :].split([*reading.KINDS.values()], 1)
    assert all((kind.sum(1) == 1).all() for kind in kinds)
    who = torch.tensor([3, 3])
    person = {name: value[who] for name, value in drawing.numbers(drawing.PERSON, 5, 0, 1).items()}
    again = reading.described(person, drawing.numbers(drawing.PICTURE, 2, 0, 9))
    assert torch.equal(again[0], again[1]) and torch.equal(again[0], people[3])


def test_training_is_deterministic_and_learns(reader):
    again = reading.train(steps=6, batch=16)
    assert all(
        torch.equal(a, b) for a, b in zip(reader.state_dict().values(), again.state_dict().values(), strict=True)
    )
    y, person, _ = next(reading.fresh(64, seed=5))
    read = reading.read(reading.train(steps=40, batch=32), y)["person"]
    guess = (person - person.mean(0)).square().mean()
    assert (read - person).square().mean() < 0.95 * guess  # better than the mean of everybody


def test_whom_it_takes_for_nearest_is_the_one_it_read(reader):
    people = reading.everyone(30)
    assert reader.apart(people, people).argmin(1).tolist() == list(range(30))


def test_it_is_tested_on_the_data_set(reader, images):
    found = reading.tested(reader, images, 50)
    assert found["faces"] == 50 and set(found["attributes"]) == set(drawing.ATTRIBUTES)
    perfect = dataclasses.replace(images, attributes=reading.read(reader, data.to_unit(images.images))["attributes"])
    assert set(reading.tested(reader, perfect, 50)["attributes"].values()) == {1.0}


def test_it_is_kept_and_damage_is_refused(reader, tmp_path):
    reading.save(reader, tmp_path / "kept", {"tested": {"faces": 1}})
    y = next(reading.fresh(4, seed=2))[0]
    found = reading.read(reading.load(tmp_path / "kept"), y)
    torch.testing.assert_close(found["person"], reading.read(reader, y)["person"], atol=2e-3, rtol=0)
    assert reading.manifest(tmp_path / "kept")["tested"]["faces"] == 1
    file = tmp_path / "kept" / reading.FILE
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ValueError, match="truncated or edited"):
        reading.load(tmp_path / "kept")


def test_what_it_sees_in_all_faces_is_kept_for_those_without_them(reader, images, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(data, "load", lambda name: images)
    monkeypatch.setattr(reading, "train", lambda *_: pytest.fail("trained a reader"))
    quick = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    quick.side, quick.black = 8, -1.0
    monkeypatch.setattr(imagenet, "efficientnet", lambda: quick)
    reading.main(["--references", str(tmp_path / "kept")])
    found = references.load(tmp_path / "kept")
    assert sorted(found) == ["efficientnet", "faces"]
    seen = reading.read(reading.load(), data.to_unit(images.images))["features"]  # by the shipped reader
    assert found["faces"].mean == pytest.approx(seen.double().mean(0).numpy(), rel=1e-5, abs=1e-6)
    with pytest.raises(SystemExit, match="expected --out, --references or both, got neither"):
        reading.main([])


def test_other_shapes_are_refused(reader):
    with pytest.raises(ValueError, match=r"floats \(..., 3, 32, 32\), got torch.uint8 \(2, 3, 32, 32\)"):
        reading.read(reader, torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"got torch.float32 \(2, 1, 32, 32\)"):
        reading.read(reader, torch.zeros(2, 1, 32, 32))
