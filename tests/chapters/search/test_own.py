"""A user's own images: what is refused, what is kept, and the whole way through the chapter with plain papermill."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from support import ROOT, run_chapter

from genens import codes as coding
from genens import ensemble
from genens.recipe import Recipe
from genens.training import Trainer
from genens_book.chapters.search import own


def pictures(folder, count=26, classes=("",), colour=True):
    """Images of unequal sizes, in class folders or in one."""
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            size = (12 + i % 3, 10, 3) if colour else (12 + i % 3, 10)
            Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(folder / name / f"{i:02d}.png")
    return folder


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.mark.parametrize("N, n", [(24, 8), (70, 8), (71, 10), (2000, 14), (10_000, 16)])
def test_as_few_members_as_give_every_image_a_code(N, n):
    assert own.members_for(N) == n


def test_a_recipe_fits_the_images(tmp_path):
    made, images = own.recipe(f"folder:{pictures(tmp_path / 'a', 13, ('cat', 'dog'))}", 8, None, 5)
    assert (made.n, made.h, made.unet["channels"], images.images.shape) == (8, 4, 3, (26, 3, 8, 8))
    assert images.classes == ("cat", "dog")
    grey, _ = own.recipe(f"folder:{pictures(tmp_path / 'b', colour=False)}", 8, 10, 5)
    assert (grey.n, grey.h, grey.unet["channels"]) == (10, 5, 1)


def test_an_ensemble_belongs_to_images_and_settings_not_to_a_place(tmp_path, monkeypatch, store):
    place = pictures(tmp_path / "here")
    home = own.home(*own.recipe(f"folder:{place}", 8, None, 5))
    monkeypatch.chdir(tmp_path)
    assert own.home(*own.recipe("folder:here", 8, None, 5)) == home
    shutil.copytree(place, tmp_path / "there")
    assert own.home(*own.recipe("folder:there", 8, None, 5)) == home
    assert own.home(*own.recipe("folder:there", 8, None, 6)) != home
    (tmp_path / "there" / "00.png").unlink()
    assert own.home(*own.recipe("folder:there", 8, None, 5)) != home


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(spec="mnist"), ValueError, "expected dataset as folder:PATH"),
        (dict(spec="folder:/nowhere/at/all"), FileNotFoundError, "/nowhere/at/all is not a folder"),
        (dict(spec="folder:{empty}"), FileNotFoundError, "expected png or jpg images"),
        (dict(spec="folder:{small}"), ValueError, "expected at least 24 images to search, got 3"),
        (dict(spec="folder:{broken}"), ValueError, "expected a readable png or jpg"),
        (dict(side=10), ValueError, "a multiple of 4, at least 8 pixels; got 10"),
        (dict(n=6), ValueError, "expected between 8 and 64 members"),
        (dict(steps=0), ValueError, "at least one step"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_written(tmp_path, store, change, error, message):
    places = {name: tmp_path / name for name in ("good", "empty", "small", "broken")}
    places["empty"].mkdir()
    pictures(places["good"])
    pictures(places["small"], 3)
    pictures(places["broken"])
    (places["broken"] / "10.png").write_bytes(b"not an image")
    given = dict(spec="folder:{good}", side=8, n=None, steps=2) | change
    given["spec"] = given["spec"].format(**places)
    with pytest.raises(error, match=message) as caught:
        own.trained(**given)
    assert "\n" not in str(caught.value)
    assert not store.exists()


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(k=26), "expected k at most 25 with an ensemble of 26 images; got 26"),
        (dict(per_step=9), "expected per_step at most 8 with an ensemble of 8 members; got 9"),
        (dict(n_members=10, per_step=11), "expected per_step at most 10"),
        (dict(side=40_000), "side = 40000"),
        (dict(train_steps=10**9), "train_steps = 1000000000"),
        (dict(precision="int8"), "expected precision as one of float32"),
        (dict(sampler="euler"), "expected sampler as one of ancestral, ddim; got 'euler'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_chapter_refuses_what_its_images_do_not_bear_before_reading_or_training(tmp_path, store, change, message):
    place, usual = pictures(tmp_path / "mine"), dict(side=8, train_steps=2, k=5)
    with pytest.raises(ValueError) as caught:
        run_chapter("06_search", **{**usual, "dataset": f"folder:{place}", **change})
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not store.exists() or [path.name for path in store.iterdir()] == ["ledger"]


def test_images_in_a_zip_file_count_as_well(tmp_path):
    pictures(tmp_path / "mine", 13, ("cat", "dog"))
    packed = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "mine")
    for place in (tmp_path / "mine", packed):
        known = own.foretold(f"folder:{place}", 8, None, 5)
        assert (known["n"], known["images"], known["shape"]) == (8, 26, (3, 8, 8))
    assert own.foretold("folder:/nowhere", 8, None, 5) is None


def saved(folder, recipe, codes, images):
    """Untrained members as an ensemble's folder."""
    states = [Trainer(images.images, recipe, i).state() for i in range(codes.shape[1])]
    ensemble.save(
        folder,
        states,
        codes,
        {
            "recipe": dataclasses.asdict(recipe),
            "unet": recipe.unet,
            "shape": list(images.images.shape[1:]),
            "data": images.digest,
            "images": len(images),
        },
    )
    return ensemble.load(folder)


def test_the_database_is_what_the_members_were_trained_on(tmp_path):
    made, images = own.recipe(f"folder:{pictures(tmp_path / 'a')}", 8, None, 2)
    members = saved(tmp_path / "w", made, made.codes(images), images)
    found = own.database(members, tmp_path / "none")
    assert found.whole and torch.equal(found.images, images.images)
    (tmp_path / "a" / "00.png").unlink()
    with pytest.raises(ValueError, match="expected the 26 images that the members were trained on.* got 25 others"):
        own.database(members, tmp_path / "none")


def test_an_ensemble_of_classes_cannot_be_searched(tmp_path):
    made = Recipe(
        "mnist", steps=1, classes=(0, 1, 2), limit=9, unet=dict(width=8, multipliers=[1], attention=[], blocks=1)
    )
    images = made.images()
    with pytest.raises(ValueError, match="a code for every class"):
        own.database(
            saved(tmp_path / "w", made, coding.by_class(coding.walsh(4), images.labels.numpy(), (0, 1, 2)), images),
            tmp_path / "none",
        )


def test_the_chapter_searches_a_folder_of_pictures_and_uses_what_it_trained_again(tmp_path, monkeypatch, capsys):
    pictures(tmp_path / "mine", 13, ("cat", "dog"))
    small = {"dataset": "folder:mine", "side": 8, "train_steps": 3, "steps": 2, "n_samples": 2, "k": 3}
    words = [word for name, value in small.items() for word in ("-p", name, str(value))]
    environment = os.environ | {"GENENS_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTEST_CURRENT_TEST", None)  # with it, a kernel does not keep the terminal's descriptor

    done = subprocess.run(
        [sys.executable, "-m", "papermill", ROOT / "book" / "06_search.ipynb", "out.ipynb", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]

    said = done.stderr
    assert "26 images of 8 x 8 pixels: training 8 members" in said and "This takes about" in said
    outputs = (tmp_path / "out.ipynb").read_text()
    assert "That is a toy" in outputs and "this run is of your own images" in outputs
    (folder,) = (tmp_path / "store" / "trained").glob("own-*")
    before = json.loads((folder / "manifest.json").read_text())
    assert before["images"] == 26
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    assert own.trained("folder:mine", 8, None, 3) == folder and "were trained before" in capsys.readouterr().err
    assert json.loads((folder / "manifest.json").read_text()) == before
