"""Planted groups and twins: columns of J made up by the law's own model, and a toy ensemble."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support import STEPS

from genens import closed_form, data, ensemble, jacobians, sampling, schedules, train
from genens import codes as coding
from genens.recipe import Recipe
from genens_book.chapters.meaning import glyphs, planted, testbed

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
        train.train_ensemble(replace(RECIPE, seed=1, only=(0, 1)), folder / "twins", workers=2)
    return ensemble.load(folder / "whole"), ensemble.load(folder / "twins")


def test_groups_have_one_code_each_and_come_after_the_single_images(trained):
    members, _ = trained
    known = planted.groups(members.manifest, members.codes, RECIPE.images())
    assert known.first == 1 and known.sizes.tolist() == [4, 16, 4] and known.names == ("hash", "house", "star")
    assert np.array_equal(known.own, members.codes[[1, 5, 21]])
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


@pytest.fixture(scope="module")
def known(trained):
    members, _ = trained
    return planted.groups(members.manifest, members.codes, RECIPE.images())


def test_a_time_is_a_step_of_the_schedule():
    steps = schedules.schedule(20)
    first = planted.first_step(steps, 500)
    assert steps.t[first] <= 500 < steps.t[first - 1]
    assert planted.first_step(steps, 1000) == 0
    with pytest.raises(ValueError, match="expected a time of .* to start from; got -1"):
        planted.first_step(steps, -1)


def test_examples_are_the_first_picture_of_each_group(known):
    images = RECIPE.images()
    assert np.array_equal(planted.examples(images, known), data.to_unit(images.images[[1, 5, 21]]).numpy())


def test_samples_started_late_from_little_noise_stay_what_they_were(trained, known):
    members, _ = trained
    steps = schedules.schedule(50, "ddim")
    found = planted.started(range(6), members, 0, steps, known, 49, 2, 1, "forward")
    fresh = np.concatenate([glyphs.draw(shape, 2, planted.FRESH) for shape in known.names])
    for name in ("start", "y", "without", "placebo"):
        assert (found[name] - data.to_unit(torch.from_numpy(fresh))).abs().mean() < 0.15
    assert found["jacobian"].shape == (6, 6, 1, 28, 28) and not torch.equal(found["y"], found["without"])
    some = planted.started(range(4, 6), members, 0, steps, known, 49, 2, 1, "forward")
    torch.testing.assert_close(some["y"], found["y"][4:6])
    torch.testing.assert_close(some["without"], found["without"][4:6])


def test_each_sample_is_drawn_again_without_its_own_group(trained, known):
    members, _ = trained
    found = planted.started(range(3), members, 0, STEPS, known, 2, 1, 6, "forward")
    late, noise = planted.Late(STEPS, 2), sampling.Noise(0, range(3), members.shape, len(STEPS) - 2).tensor()
    noise[:, 0] = found["start"]
    for g, code in enumerate(known.own):
        alone = sampling.sample(members, noise[g : g + 1], late, coding.ablated(code[None], 0)[None])
        torch.testing.assert_close(found["without"][g], alone[0, 0])
    single = sampling.sample(members, noise, late, coding.ablations(known.codes[:1]))  # there is one single image
    torch.testing.assert_close(found["placebo"], single[0])


def test_a_sample_shows_the_group_of_its_nearest_training_image(known):
    images = RECIPE.images()
    y = data.to_unit(images.images[[0, 2, 9, 22]]) + 0.01
    assert planted.shown(y, images, known).tolist() == [-1, 0, 1, 2]


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


def grouped(codes, size=5):
    return planted.Groups(codes, len(codes) - 1, np.array([size]), (10,), ("star",))


def one_search(J, codes):
    nothing = np.zeros(len(J), bool)
    return planted.search(J, 0, grouped(codes), nothing, nothing)


def test_a_search_says_place_and_share_of_a_group():
    J, codes = columns(3000.0, N=60, n=16)
    found = one_search(J, np.roll(codes, -1, axis=0))  # the image with the effect comes last, as groups do
    assert list(found.place) == ["matched filter", "ridge regression", "lasso"]
    assert all((place == 1).all() for place in found.place.values()) and found.first("lasso") == len(J)
    assert found.r.min() > 5
    assert (found.name, found.size, len(found)) == ("star", 5, len(J))
    J, codes = columns(1.0, N=60, n=16)
    found = one_search(J, np.roll(codes, -1, axis=0))
    assert np.median(found.place["matched filter"]) > 5


def test_a_group_and_its_complement_share_their_places():
    J, codes = columns(3000.0, N=60, n=16)
    codes = np.vstack([~codes[:1], np.roll(codes, -1, axis=0)])
    found = one_search(J, codes)
    assert all((place == 1.5).all() for place in found.place.values())
    assert planted.complemented(grouped(codes)) == 1 and planted.complemented(grouped(codes[1:])) == 0


def test_groups_are_searched_for_in_the_samples_that_show_them(known):
    images = RECIPE.images()
    shows = data.to_unit(images.images[[1, 0, 22, 23]]).numpy()  # a hash, an arrow, two stars
    J = np.random.default_rng(0).normal(size=(4, 6, 1, 28, 28))
    found = planted.searches(
        {"y": shows, "without": shows[[1, 1, 2, 1]], "placebo": shows, "jacobian": J}, images, known
    )
    assert [(one.name, len(one)) for one in found] == [("hash", 1), ("house", 0), ("star", 2)]
    assert [one.lost.tolist() for one in found] == [[True], [], [False, True]]
    assert not any(one.placebo.any() for one in found)
    alone = planted.search(J[[0]], 0, known, np.ones(1, bool), np.zeros(1, bool))
    assert found[0].place["matched filter"] == alone.place["matched filter"] and found[0].r == alone.r


def test_the_sample_to_look_at_loses_its_group_if_one_does(known):
    images = RECIPE.images()
    picture = dict(
        zip(("arrow", "hash", "house", "star"), data.to_unit(images.images[[0, 1, 5, 21]]).numpy(), strict=True)
    )
    y = [picture[name] for name in ("hash", "hash", "arrow", "house", "arrow", "arrow")]
    without = [picture[name] for name in ("hash", "star", "arrow", "house", "arrow", "arrow")]
    drawn = {"y": np.stack(y), "without": np.stack(without)}
    assert planted.picked(drawn, images, known, 2).tolist() == [1, 3, 4]


def test_a_group_is_first_when_only_its_complement_is_beside_it():
    place = {"matched filter": np.array([1.0, 1.5, 2.0, 9.0])}
    found = planted.Found("star", 1, place, *[np.ones(4)] * 3)
    assert found.first("matched filter") == 2
    assert planted.found_from([found], "matched filter") == 1
    assert (
        planted.found_from(
            [found, planted.Found("a", 4, {"matched filter": np.zeros(0)}, *[np.zeros(0)] * 3)], "matched filter"
        )
        is None
    )


@pytest.mark.parametrize(
    ("shares", "size"), [((0.0, 0.5, 0.9), 4), ((0.6, 0.4, 0.9), 16), ((1.0, 1.0, 1.0), 1), ((0.9, 0.9, 0.4), None)]
)
def test_groups_are_found_from_the_size_on_from_which_all_are(shares, size):
    assert planted.from_size((1, 4, 16), shares) == size


def crowd(*sizes):
    """Groups of pictures among 300 single ones, by 12 members."""
    codes, number = coding.constant_weight(300 + len(sizes), 12, 6, 0), range(len(sizes))
    return planted.Groups(codes, 300, np.array(sizes), tuple(number), tuple("abc"[g] for g in number))


def test_the_law_foresees_more_of_larger_groups_of_what_pulls_one_way_and_less_under_noise():
    known, spectrum = crowd(1, 16, 64), np.ones(8)
    apart, aligned = (planted.foreseen(known, spectrum, 0.0, 0, side, 40) for side in (False, True))
    noisy = planted.foreseen(known, spectrum, 40.0, 0, True, 40)
    assert apart["a"] == aligned["a"] < 0.2 and aligned["a"] <= aligned["b"] < aligned["c"]
    assert apart["c"] < 0.5 < 0.9 < aligned["c"] and noisy["c"] < 0.8


def test_what_the_law_foresees_is_what_a_search_finds_in_columns_of_its_model():
    """The same draws, by the search for a group in J itself."""
    known, first, D = crowd(1, 16, 256), 0, 8
    foreseen = planted.foreseen(known, np.ones(D), 1.0, 3, False, 30)["c"]
    rng, N = np.random.default_rng(3), 300 + 273
    for _ in range(30):
        effects = rng.normal(size=(303, D)) / D**0.5
        effects[300:] *= np.sqrt(known.sizes)[:, None]
        errors = rng.normal(size=(12, D)) / D**0.5 * np.sqrt(N * 36) / 12
        scores = testbed.matched(torch.from_numpy(known.codes.T.astype(float) @ effects + errors), known.codes)
        first += (scores.round(4) > scores[302].round(4)).sum() == 0
    assert foreseen == pytest.approx(first / 30, abs=0.04) and 0 < foreseen < 1


def test_a_spectrum_is_that_of_the_columns():
    rng = np.random.default_rng(0)
    J = rng.normal(size=(200, 16, 3)) * np.sqrt([6.0, 3.0, 1.0])
    found = planted.spectrum(jacobians.gram(jacobians.centred(J[..., None, None])))
    assert found.shape == (15,) and found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found[::-1][:3], [0.6, 0.3, 0.1], atol=0.06)


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
    noise[:, -1] *= 2  # the second twin's own noise is larger
    J = np.concatenate([split, split[:, :2]], axis=1) + noise
    J[0] *= 100  # a sample with a large Jacobian counts like any other
    J = J - J[:, :n].mean(1, keepdims=True)
    found = planted.training_noise(J @ J.transpose(0, 2, 1), n, 0)
    assert found.each == pytest.approx((0.25, (1 + 4) / 8), rel=0.1)
    assert found.share.value == pytest.approx(np.mean(found.each)) and found.share.n == B
    assert found.share.low < (0.25 + 0.625) / 2 < found.share.high
    assert found.least == pytest.approx(found.share.low / (1 - found.share.low))
    J[0] /= 100
    assert planted.training_noise(J @ J.transpose(0, 2, 1), n, 0).of_sums == pytest.approx(found.share.value, rel=0.1)


def test_members_that_are_all_noise_have_a_share_of_one():
    J = np.random.default_rng(0).normal(size=(60, 10, 50))
    J = J - J[:, :8].mean(1, keepdims=True)
    found = planted.training_noise(J @ J.transpose(0, 2, 1), 8, 0)
    assert found.share.value == pytest.approx(1, abs=0.05) and 5 < found.least < np.inf


def test_twins_of_other_images_are_refused(trained):
    members, twins = trained
    others = ensemble.Ensemble(twins.models, ~twins.codes, twins.shape)
    with pytest.raises(ValueError, match="expected twins of the first 2 members, trained on the same images"):
        planted.together(members, others)
