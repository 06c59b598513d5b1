"""A base of digits and fine-tunes of it, trained for a few steps: all that the chapter's commands ask for."""

import pytest

from genens.recipe import FineTune, Recipe
from genens.train import train_ensemble
from genens_book.chapters.finetunes import truth

TINY = dict(width=8, multipliers=[1], attention=[], blocks=1, skip=True)
TUNED = dict(dataset="mnist", base="base", steps=3, lr=1e-4, limit=5, rank=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A base, and for two seeds all that truth asks for, of five digits."""
    place = tmp_path_factory.mktemp("trained")
    base = Recipe(dataset="mnist", steps=4, n=1, h=1, limit=8, batch=4, unet=TINY)
    train_ensemble(base, place / "base", workers=1, checkpoints=place / "c")
    for seed in range(2):
        kinds = {"all": dict(n=1, h=1), "without": dict(n=5, h=4), "halves": dict(n=4, h=2, code_seed=2)}
        for name, codes in kinds.items():
            recipe = FineTune(**TUNED, **codes, seed=seed)
            train_ensemble(recipe, place / f"{name}_{seed}", workers=1, checkpoints=place / "c")
    kinds = {"signs": {}, "signs_more": {"code_seed": 1}, "signs_own": {"common": False}, "tuned": {"n": 5, "h": 3}}
    for name, more in kinds.items():
        recipe = FineTune(**TUNED | {"n": 8, "h": 6} | more)
        train_ensemble(recipe, place / name, workers=1, checkpoints=place / "c")
    return place


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    for name, value in {"SEEDS": 2, "SAMPLES": 2, "STEPS": 3}.items():
        monkeypatch.setattr(truth, name, value)
