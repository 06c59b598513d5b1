"""Unlearning: the network of those that never had an image, with a certificate that can be checked."""

import json

import numpy as np
import pytest
import torch

from genens import data, ensemble, files, finetunes, unlearn
from genens.recipe import FineTune, Recipe
from genens.train import train_ensemble

TINY = dict(width=8, multipliers=[1], attention=[], blocks=1, skip=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("unlearn")
    base = Recipe(dataset="mnist", steps=3, n=1, h=1, limit=8, batch=4, unet=TINY)
    tuned = FineTune(dataset="mnist", base="base", steps=2, lr=1e-4, n=6, h=4, limit=5)
    train_ensemble(base, place / "base", workers=1, checkpoints=place / "c")
    train_ensemble(tuned, place / "tuned", workers=1, checkpoints=place / "c")
    return place


def test_the_network_without_an_image_is_the_mean_of_those_that_never_had_it(trained, tmp_path, capsys):
    assert unlearn.main([str(trained / "tuned"), "--images", "3", "--out", str(tmp_path / "out")]) == 0
    said = json.loads(capsys.readouterr().out)
    members, found = finetunes.load(trained / "tuned"), ensemble.load(tmp_path / "out")
    stays = np.flatnonzero(~members.codes[3])
    assert said["members"] == stays.tolist() and len(said["trained_on"]) == len(stays)
    assert not said["removed_image_in_any"] and not said["copy_of_it_in_any"] and "base" in said["outside"]
    assert not found.codes[3, 0] and found.codes.sum() == members.codes[:, stays].any(axis=1).sum()
    mean = members.differences[stays].mean(0)
    for name, weight in found.models[0].named_parameters():
        expected = members.weights[name] + members.subspace.change(mean)[name]
        torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-7)
    assert unlearn.main([str(trained / "tuned"), "--check", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out) == said


def test_a_copy_that_stays_is_told(trained):
    members = finetunes.load(trained / "tuned")
    images = data.load("mnist").take(5)
    images.images[1] = images.images[0]
    members.manifest = members.manifest | {"data": images.digest}
    assert unlearn.certificate(members, images, [0])["copy_of_it_in_any"]
    assert not unlearn.certificate(members, images, [2])["copy_of_it_in_any"]


def test_what_is_not_so_is_refused_in_one_line(trained, tmp_path, capsys):
    tuned, out = str(trained / "tuned"), str(tmp_path / "out")

    def refused(*arguments):
        assert unlearn.main([tuned, *arguments]) == 2
        return capsys.readouterr().err

    assert "--images and --out" in refused()
    assert "row indices in 0..4" in refused("--images", "9", "--out", out)
    assert "at least one member" in refused("--images", "0", "1", "2", "3", "4", "--out", out)
    assert not (tmp_path / "out").exists()
    unlearn.main([tuned, "--images", "1", "--out", out])
    capsys.readouterr()
    members, images = finetunes.load(tuned), data.load("mnist").take(5)
    said = unlearn.certificate(members, images, [2])
    unlearn.write(out, unlearn.unlearned(members, [1]), said, members.shape)
    assert "found another network" in refused("--check", out)
    unlearn.write(out, unlearn.unlearned(members, [1]), said | {"members": [0]}, members.shape)
    assert "of others, or edited" in refused("--check", out)
    assert "expected a certificate" in refused("--check", str(trained / "base"))
    with pytest.raises(ValueError, match="trained on, got others"):
        unlearn.certificate(members, data.load("mnist").take(4), [0])
    assert files.read_folder(tmp_path / "out")[0]["n"] == 1
