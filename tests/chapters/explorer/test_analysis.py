"""What is computed for the explorer is what the core computes, and a world brings the thumbnails that it shows."""

import json

import numpy as np
import pytest
import torch

from genens import codes as coding
from genens import data, ensemble, sampling, schedules, unet
from genens_book.chapters.explorer import analysis, feed
from genens_book.measures import gallery, judges

TINY = dict(channels=3, width=8, multipliers=(1,), attention=(), blocks=1, skip=True)


@pytest.fixture
def members():
    codes = coding.constant_weight(6, 4, 2, 0)
    models = [unet.build(unet.UNetConfig(**TINY), seed) for seed in range(4)]
    about = {"recipe": {"dataset": "cifar10"}}
    return ensemble.Ensemble(models, codes, (3, 32, 32), digest="made up", manifest=about)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    return analysis.Asked(2, 0, schedules.schedule(3), 2, "differences", top=1, others=1, place=2)


def test_what_is_regenerated_is_what_the_core_draws(members, asked):
    found = analysis.seen(members, asked)
    noise = sampling.Noise(0, range(2), members.shape, 3)
    expected = sampling.counterfactuals(members, noise, asked.steps, members.codes, found.truth.rows).transpose(0, 1)
    np.testing.assert_allclose(found.truth.without, expected, atol=1e-5)
    whole = sampling.sample(members, noise, asked.steps)[0]
    np.testing.assert_allclose(found.truth.whole, whole, atol=1e-5)
    np.testing.assert_allclose(np.clip(found.y, -1, 1), whole, atol=1e-5)
    assert found.truth.alone.shape == found.J.shape == (2, 4, 3, 32, 32)


def test_a_world_has_a_file_of_its_own_and_thumbnails_as_far_as_they_are_at_hand(members, asked):
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8))
    classes = tuple(f"class {k}" for k in range(10))
    whole = gallery.of(data.Dataset(pixels, torch.arange(6), "photographs", classes))
    kept = gallery.Gallery("photographs", classes, whole.labels, torch.tensor([1, 4]), pixels[[1, 4]], "")
    judge = judges.PhotoNet().eval()
    for images, rows in ((whole, [*range(6)]), (kept, [1, 4])):
        told = analysis.world("cifar20", members, images, judge, asked, "laptop")
        assert told["title"] == "Photographs" and told["words"] == "6 images, 4 members"
        text = feed.where("laptop", told["file"]).read_text()
        part = json.loads(text.partition('"cifar20": ')[2].removesuffix("};\n"))
        assert (part["items"], part["n"], part["samples"]) == (6, 4, 2)
        assert part["kept"] == rows
    found = analysis.seen(members, asked)
    items = analysis.pictured(found, members.codes, kept)
    assert np.array_equal(items.thumbs, pixels[[1, 4]].movedim(1, -1).numpy())
