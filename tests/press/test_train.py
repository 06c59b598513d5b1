"""What `make train` and `make trained` say and do."""

import re

import numpy as np

from genens import ensemble, store, train
from genens.recipe import Recipe
from genens.unet import UNetConfig, build
from genens_book.measures import classifier
from genens_book.press import train as press

TINY = dict(width=8, multipliers=[1], attention=[], blocks=1)
RECIPE = Recipe("mnist", steps=2, n=2, h=1, limit=2, batch=4, unet=TINY)


def test_training_says_its_precision_and_what_it_expects_to_take(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(classifier, "build", lambda folder, profile: None)
    monkeypatch.setattr(train, "recipes", lambda file: {"some": RECIPE})
    assert press.main(["--profile", "smoke", "--only", "some", "--workers", "2"]) == 0
    said = capsys.readouterr().err
    assert "some: 2 members, 2 steps of 4 images each, in float32, 2 at a time" in said
    assert "some: up to about 1 min on this machine as busy as it is now" in said
    assert re.search(r"some: at most [\d,]+ MB of memory for each member in training", said)


def test_trained_ensembles_are_listed_deleted_by_name_and_left_alone_by_make_clean(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    folder = store.trained() / "toy" / "pair"
    states = [build(UNetConfig(**RECIPE.unet), i).state_dict() for i in range(2)]
    ensemble.save(folder, states, np.eye(2, dtype=bool), {"unet": RECIPE.unet, "shape": [1, 28, 28]})
    (folder.parents[1] / "checkpoints" / "half-done").mkdir(parents=True)
    assert press.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert "toy/pair" in listed and "checkpoints/half-done" in listed and "unfinished" in listed
    assert press.main(["--delete", "toy/nobody"]) == 2
    assert "one of toy/pair, checkpoints/half-done; got 'toy/nobody'" in capsys.readouterr().err
    assert press.main(["--delete", "toy/pair"]) == 0 and not folder.exists()
    monkeypatch.delenv("GENENS_STORE")
    assert store.home() / "_build" not in store.trained().parents
