"""Planted groups and twins: columns of J made up by the law's own model, and a toy ensemble."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import STEPS

from genens import closed_form, data, ensemble, jacobians, schedules, train
from genens import codes as coding
from genens.recipe import Recipe
from genens_book.chapters.meaning import glyphs, planted

RECIPE = Recipe(
    f"folder:{glyphs.FILE}",
    steps=2,
    n=6,
    h=3,
    limit=25,  # an arrow, four hashes, sixteen houses, four stars
    groups=(1, 2, 3),
    batch=8,
    unet={"width": 8, "multipliers": (1, 1), "attention": (), "blocks": 1, "skip": True},
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A toy ensemble of planted pictures, and twins of its first two members."""
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENENS_STORE", str(folder / "store"))
        train.train_ensemble(RECIPE, folder / "whole", workers=2)
        train.train_ensemble(replace(RECIPE, seed=1), folder / "twins", members=[0, 1], workers=2, alone=True)
    return ensemble.load(folder / "whole"), ensemble.load(folder / "twins")


def test_groups_have_one_code_each_and_come_after_the_single_images(trained):
    members, _ = trained
    known = planted.groups(members.manifest, members.codes, RECIPE.images())
    assert known.first == 1 and known.sizes.tolist() == [4, 16, 4] and known.names == ("hash", "house", "star")
    assert len(known.codes) == 4 and len(np.unique(known.codes, axis=0)) == 4
    assert np.array_equal(known.codes[2], members.codes[10])  # a house
    with pytest.raises(ValueError, match="with planted groups"):
        planted.groups({"recipe": {"groups": []}}, members.codes, RECIPE.images())


def test_a_late_start_is_the_rest_of_the_schedule():
    whole = schedules.schedule(10)
    late = planted.Late(whole, 4)
    assert len(late) == 6 and late.t.tolist() == whole.t[4:].tolist() and late.bar[0] == whole.bar[4]
    members = closed_form.Members(RECIPE.images().images[:5], coding.unrank(range(5), 4, 2))
    noise = torch.randn(2, 11, *members.shape, generator=torch.Generator().manual_seed(0)).double()
    y, J = jacobians.jacobian(members, noise[:, :7], late)
    assert y.shape == (2, *members.shape) and J.shape[1] == members.n
    with pytest.raises(AttributeError):
        _ = late.nothing


def test_samples_started_late_from_little_noise_stay_what_they_were(trained):
    members, _ = trained
    steps = schedules.schedule(50, "ddim")
    found = planted.started(range(12), members, 0, steps, 49, 2, 1, "forward")
    fresh = np.concatenate([glyphs.draw(shape, 2, planted.FRESH) for shape in glyphs.SHAPES])
    apart = (found["y"] - data.to_unit(torch.from_numpy(fresh))).abs().mean()
    assert found["jacobian"].shape == (12, 6, 1, 28, 28) and apart < 0.15
    some = planted.started(range(4, 6), members, 0, steps, 49, 2, 1, "forward")
    torch.testing.assert_close(some["y"], found["y"][4:6])


def test_a_sample_shows_the_group_of_its_nearest_training_image():
    images = RECIPE.images()
    y = data.to_unit(images.images[[0, 2, 9, 22]]) + 0.01
    assert planted.shown(y, images, RECIPE.groups).tolist() == [-1, 0, 1, 2]


def columns(A, N=400, n=64, B=6, noise=0.0, seed=0):
    """J by the model of the law: image 0 with a squared effect A, all others with 1, noise with that square."""
    rng = np.random.default_rng(seed)
    codes = coding.constant_weight(N, n, n // 2, seed)
    unit = rng.normal(size=(B, N, 40)) / 40**0.5
    unit[:, 0] *= A**0.5
    J = np.einsum("xi,bxm->bim", codes, unit) + rng.normal(size=(B, n, 40)) * (noise / 40) ** 0.5
    return J[..., None, None], codes


def test_a_share_is_that_of_the_law():
    for A, noise in ((200.0, 0.0), (200.0, 100.0)):
        J, codes = columns(A, noise=noise, B=40)
        gram = jacobians.gram(jacobians.centred(J))
        expected = A / (399 + 4 * noise)
        assert planted.shares(gram, codes[0]).mean() == pytest.approx(expected, rel=0.15)
        assert planted.shares(gram, codes[1]).mean() < 0.1 * expected


def test_a_search_says_place_chance_and_share_of_a_group():
    J, codes = columns(3000.0, N=60, n=16)
    known = planted.Groups(codes, 0, np.array([5]), ("star",))
    for ridge in (False, True):
        found = planted.search(J, 0, known, 3, ridge)
        assert (found.place == 1).all() and (found.p <= 2.5 / 12_870).all() and found.r.min() > 5
        assert (found.name, found.size, found.shows) == ("star", 5, 3)
    J, codes = columns(1.0, N=60, n=16)
    assert np.median(planted.search(J, 0, planted.Groups(codes, 0, np.array([5]), ("star",)), 3).p) > 0.05


def test_the_law_foresees_more_of_larger_groups_and_less_under_noise():
    known = planted.Groups(np.zeros((1006, 16), bool), 1000, np.array([1, 4, 16, 64, 256, 1024]), ("g",) * 6)
    quiet, noisy = (planted.foreseen(known, 16, noise, 10) for noise in (0.0, 3.0))
    assert quiet == sorted(quiet) and all(a >= b for a, b in zip(quiet, noisy, strict=True)) and quiet[-1] > 0.2


def test_twins_stand_beside_the_members_without_changing_them(trained):
    members, twins = trained
    both = planted.beside(range(2), members, twins, 0, STEPS, members.n, "forward")["gram"]
    alone = jacobians.jacobians(range(2), members, 0, STEPS)["jacobian"].double()
    gram = jacobians.gram(jacobians.centred(alone))
    np.testing.assert_allclose(both[:, :6, :6], gram, rtol=1e-3, atol=1e-4 * np.abs(gram).max())
    assert both.shape == (2, 8, 8)


def test_training_noise_is_half_the_squared_distance_of_twins_over_the_variance():
    rng = np.random.default_rng(0)
    B, n = 400, 12
    split, noise = rng.normal(size=(B, n, 30)) * 3**0.5, rng.normal(size=(B, n + 2, 30))
    J = np.concatenate([split, split[:, :2]], axis=1) + noise
    J = J - J[:, :n].mean(1, keepdims=True)
    share, units = planted.training_noise(J @ J.transpose(0, 2, 1), n, 0)
    assert share.low < 0.25 < share.high and share.n == B
    assert units == pytest.approx(1 / 3, rel=0.1)
