"""The command that measures Inception FIDs of any ensemble, on a toy one and on weights drawn at random."""

import numpy as np
import pytest
import torch
from support import inception_state as state

from genens import ensemble
from genens.recipe import Recipe
from genens.schedules import schedule
from genens.train import train_ensemble
from genens_book.chapters.fid import __main__
from genens_book.measures.not_run import NotRun

UNET = {"width": 8, "multipliers": [1, 1], "attention": [], "blocks": 1, "channels": 3}


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """A toy ensemble of 2 members on two colour images, in a store of its own."""
    from PIL import Image

    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for k in range(2):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{k}.png")
    made = Recipe(f"folder:{tmp_path / 'images'}", steps=2, n=2, h=1, size=8, batch=2, unet=UNET)
    train_ensemble(made, tmp_path / "toy", workers=1)
    return tmp_path / "toy"


def test_it_prints_the_fid_of_the_ensemble_and_of_every_member(colours, tmp_path, capsys):
    torch.save(state(), tmp_path / "inception.pth")
    line = f"--profile smoke --weights {colours} --inception {tmp_path}/inception.pth --samples 8 --steps 2 --n-boot 2"
    assert __main__.main(line.split()) == 0
    said = capsys.readouterr().out.splitlines()
    assert [one.split(" FID ")[0].strip() for one in said[:4]] == [
        "ensemble",
        *(f"member {i}" for i in range(1, 3)),
        "training images",
    ]
    assert said[4].startswith("ensemble less the largest of its members: ")


def test_without_inceptions_weights_nothing_is_drawn(colours, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = __main__.measure(ensemble.load(colours), 0, schedule(2), 8, 2, None)
    assert isinstance(found, NotRun)
    assert __main__.main(["--profile", "smoke", "--weights", str(colours), "--samples", "8"]) == 1
    assert "not run" in capsys.readouterr().err
    assert not list((tmp_path / "store").glob("samples*"))
