"""The drawn faces: the same pixels everywhere, people who look like themselves, attributes that are to be seen."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import ROOT

from genens import data
from genens_book.chapters.faces import drawing

SHA256 = "65ed168e8feb947c"  # of the pixels below, with and without AVX-512, also where MKL sees an Intel processor


def pixels() -> str:
    found = hashlib.sha256()
    for side in (32, 64):
        for person, picture, _ in drawing.shards(drawing.whose(20, 200, 0), 20, 0):
            found.update(drawing.draw(person, picture, side).numpy().tobytes())
    return found.hexdigest()[:16]


def test_pixels_do_not_depend_on_the_processor():
    """The shipped ensemble knows its images by their digest."""
    assert pixels() == SHA256
    simple = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": f"{ROOT / 'tests/chapters/faces'}:{ROOT}"}
    code = "import test_drawing; print(test_drawing.pixels())"
    done = subprocess.run([sys.executable, "-c", code], env=simple, cwd=ROOT / "tests", capture_output=True, text=True)
    assert done.stdout.strip() == SHA256, done.stderr


def test_square_roots_are_correctly_rounded():
    """PyTorch's are not, and differ between processors of two makers."""
    x = torch.rand(100_000, generator=torch.Generator().manual_seed(0)) * 3
    assert torch.equal(drawing.root(x), torch.from_numpy(np.sqrt(x.numpy().astype(np.float64)).astype(np.float32)))


def test_everybody_is_drawn_about_equally_often():
    counts = drawing.whose(100, 2000, seed=1).bincount()
    assert len(counts) == 100 and counts.sum() == 2000 and counts.min() >= 9 and counts.max() <= 35
    assert not torch.equal(drawing.whose(100, 2000, seed=2), drawing.whose(100, 2000, seed=1))
    assert drawing.whose(7, 7, seed=0).sort().values.tolist() == list(range(7))
    with pytest.raises(ValueError, match="a picture of each person; got 3 of 4"):
        drawing.whose(4, 3, seed=0)


def test_pictures_of_a_person_are_nearer_than_others_and_none_is_twice():
    who = drawing.whose(30, 300, 0)
    (person, picture, _), *_ = drawing.shards(who, 30, 0)
    drawn = drawing.draw(person, picture, 32)[:, :, 8:24, 8:24].flatten(1).float()  # without the background
    apart = torch.cdist(drawn, drawn)
    same, other = who[:, None] == who, ~torch.eye(300, dtype=torch.bool)
    assert apart[same & other].mean() < 0.75 * apart[~same].mean()
    assert apart[other].min() > 0


SHORT, LONG = {"style": 0.1}, {"style": 0.6}
SEEN = {  # attribute: of whom it can be, the number that it depends on, with it and without
    "glasses": ({"wears_glasses": 0.0}, "glasses_on", 0.1, 0.9),
    "hat": ({}, "hat", 0.05, 0.5),
    "beard": ({**SHORT, "grows_beard": 0.0}, "beard_on", 0.1, 0.9),
    "smiling": ({}, "smile", 0.9, 0.0),
    "mouth open": ({}, "opening", 0.8, -0.5),
    "earrings": (LONG, "wears_earrings", 0.1, 0.9),
    "bald": ({}, "style", 0.99, 0.1),
    "long hair": ({}, "style", 0.6, 0.1),
    "curly hair": ({}, "style", 0.8, 0.1),
    "fringe": ({}, "style", 0.35, 0.1),
    "black hair": (SHORT, "hair", 0.1, 0.4),
    "brown hair": (SHORT, "hair", 0.4, 0.1),
    "blond hair": (SHORT, "hair", 0.7, 0.1),
    "red hair": (SHORT, "hair", 0.85, 0.1),
    "grey hair": (SHORT, "hair", 0.95, 0.1),
    "dark skin": ({}, "skin", 0.9, 0.1),
    "light from the left": ({}, "light", -1.0, 1.0),
    "bright background": ({}, "back_light", 0.9, 0.3),
}


@pytest.mark.parametrize("attribute", drawing.ATTRIBUTES)
def test_an_attribute_is_to_be_seen(attribute):
    whom, column, yes, no = SEEN[attribute]
    person, picture = drawing.numbers(drawing.PERSON, 2, 0, 1), drawing.numbers(drawing.PICTURE, 2, 0, 2)
    for numbers in (person, picture):  # the same person in the same pose twice, but for that number
        for name in numbers:
            numbers[name][:] = torch.tensor([yes, no]) if name == column else whom.get(name, numbers[name][0])
    assert drawing.traits(person, picture)[attribute].tolist() == [True, False]
    with_it, without = drawing.draw(person, picture, 32).float()
    assert (with_it - without).abs().max() > 15  # grey levels


def test_the_data_set_is_packed_and_read_back(tmp_path, capsys):
    drawing.main(["--side", "16", "--people", "40", "--pictures", "600", "--out", str(tmp_path / "faces-16")])
    assert "600 faces in" in capsys.readouterr().out
    found = data.load("faces", root=tmp_path, size=16)
    assert found.images.shape == (600, 3, 16, 16) and found.attribute_names == drawing.ATTRIBUTES
    assert found.labels.bincount().tolist() == drawing.whose(40, 600, 0).bincount().tolist()
    (person, picture, seen), *_ = drawing.shards(drawing.whose(40, 600, 0), 40, 0)
    assert torch.equal(found.images[:512], drawing.draw(person, picture, 16))
    assert torch.equal(found.attributes[:512, 0], seen["glasses"])


def test_faces_that_were_not_drawn_name_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"drawing --side 32 --out .*faces-32"):
        data.load("faces", root=tmp_path)
    with pytest.raises(SystemExit, match="a picture of each person; got 3 of 4"):
        drawing.main(["--people", "4", "--pictures", "3", "--out", str(tmp_path / "few")])
    assert not list(tmp_path.iterdir())
