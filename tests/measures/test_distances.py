"""Distances between images and between sets of them, against slow float64 oracles; no network."""

import copy
import functools
import math
import socket
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
import torchmetrics.functional.image.lpips as tm_lpips
import torchvision

from genens import data
from genens_book.chapters.class_ablation import analysis
from genens_book.measures import classifier, distances, fid, not_run, perceptual


@pytest.fixture(scope="module")
def model():
    return classifier.load()


@pytest.fixture(scope="module")
def y():
    return data.to_unit(data.load("mnist").images[:40])


# ---------------------------------------------------------------- Euclidean


def test_euclidean_is_the_root_of_the_summed_squares(y):
    a, b = y[:4].double(), y[4:8].double()
    for x, z, found in zip(a, b, distances.euclidean(a, b), strict=True):
        squares = [(p - q) ** 2 for p, q in zip(x.flatten().tolist(), z.flatten().tolist(), strict=True)]
        assert found == pytest.approx(math.sqrt(sum(squares)), rel=1e-12)
    assert distances.euclidean(y, y).max() == 0


def test_counterfactuals_are_set_against_their_originals(y):
    many = torch.stack([y[:5], y[5:10], y[10:15]])
    found = distances.euclidean(many, y[:5])
    assert found.shape == (3, 5) and found.dtype == np.float64
    np.testing.assert_array_equal(found[2], distances.euclidean(y[10:15].numpy(), y[:5]))


def test_unsigned_pixels_do_not_wrap_around():
    black = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    assert distances.euclidean(black, black + 255).tolist() == [510.0]


@pytest.mark.parametrize(("a", "b"), [((3, 1, 8, 8), (3, 1, 9, 9)), ((3, 1, 8, 8), (4, 1, 8, 8)), ((8,), (8,))])
def test_images_that_do_not_fit_are_refused(a, b):
    with pytest.raises(ValueError, match=r"expected .* got"):
        distances.euclidean(torch.zeros(a), torch.zeros(b))


# ---------------------------------------------------------------- digit-feature distance


def feature_oracle(model, a, b):
    """The definition, one position at a time, in float64."""
    model, total = copy.deepcopy(model).double(), 0.0
    with torch.no_grad():
        for p, q in zip(*(model.layers(image[None].double()) for image in (a, b)), strict=True):
            h, w = p.shape[-2:]
            for i in range(h):
                for j in range(w):
                    u, v = p[0, :, i, j], q[0, :, i, j]
                    u, v = u / (u @ u + 1e-8).sqrt(), v / (v @ v + 1e-8).sqrt()
                    total += float((u - v) @ (u - v)) / (h * w)
    return total / 5


def test_feature_distance_is_its_definition(model, y):
    found = perceptual.feature_distance(model, y[:2], y[2:4], batch=1)
    np.testing.assert_allclose(found, [feature_oracle(model, y[i], y[i + 2]) for i in range(2)], rtol=2e-5)


def test_feature_distance_is_symmetric_bounded_and_zero_for_the_same_image(model, y):
    there = perceptual.feature_distance(model, y[:20], y[20:])
    back = perceptual.feature_distance(model, y[20:], y[:20])
    np.testing.assert_allclose(there, back, rtol=1e-6)
    assert there.min() > 0 and there.max() <= 2
    assert perceptual.feature_distance(model, y, y).max() == 0


def test_a_shifted_digit_is_nearer_than_another_digit_in_features_more_than_in_pixels(model, y):
    shifted, other = y.roll(2, dims=-1), y.roll(1, dims=0)
    near, far = perceptual.feature_distance(model, y, shifted), perceptual.feature_distance(model, y, other)
    plain = distances.euclidean(y, shifted).mean() / distances.euclidean(y, other).mean()
    assert near.mean() / far.mean() < plain


def test_feature_distance_broadcasts_and_refuses_other_images(model, y):
    many = torch.stack([y[:5], y[5:10]])
    found = perceptual.feature_distance(model, many, y[:5], batch=3)
    assert found.shape == (2, 5) and found.dtype == np.float64 and found[0].max() == 0
    with pytest.raises(ValueError, match="28, 28"):
        perceptual.feature_distance(model, torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 32, 32))


# ---------------------------------------------------------------- LPIPS


@functools.cache
def vgg_state():
    """A VGG16's convolutions, drawn at random; the real file holds a linear head too, which is not read."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        features = torchvision.models.vgg16(weights=None).features
    state, draws = {}, torch.Generator().manual_seed(1)
    for name, value in features.state_dict().items():
        scale = math.sqrt(2 / value[0].numel()) if value.ndim > 1 else 0.1
        state[f"features.{name}"] = torch.randn(value.shape, generator=draws) * scale
    return state


@pytest.fixture
def offline(monkeypatch):
    """Any attempt to reach the network fails the test."""

    def refuse(*_args, **_kwargs):
        pytest.fail("the network was asked for something")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def cache(tmp_path, monkeypatch, offline):
    """An empty torch cache; returns where torchvision would put its VGG16."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth"


def lpips_oracle(a, b):
    """Zhang et al. (2018) in float64, from the state itself."""
    state = {name: value.double() for name, value in vgg_state().items()}
    file = Path(tm_lpips.__file__).parent / "lpips_models" / "vgg.pth"
    linear = torch.load(file, map_location="cpu", weights_only=True)
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).view(1, 3, 1, 1)
    sides, total = [(x.double().expand(-1, 3, -1, -1) - shift) / scale for x in (a, b)], 0.0
    with torch.device("meta"):
        layers = torchvision.models.vgg16(weights=None).features
    taps = {3: 0, 8: 1, 15: 2, 22: 3, 29: 4}
    for i, layer in enumerate(layers[:30]):
        if isinstance(layer, torch.nn.Conv2d):
            weight, bias = state[f"features.{i}.weight"], state[f"features.{i}.bias"]
            sides = [torch.nn.functional.conv2d(x, weight, bias, padding=1) for x in sides]
        else:
            sides = [layer(x.clone()) for x in sides]
        if i in taps:
            u, v = (x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt() for x in sides)
            weights = linear[f"lin{taps[i]}.model.1.weight"].double()
            total = total + (weights * (u - v).square()).sum(1).mean((1, 2))
    return total.numpy()


def test_lpips_without_weights_says_which_file_it_looked_for(y, cache):
    result = perceptual.lpips(y[:2], y[2:4])
    assert isinstance(result, not_run.NotRun) and str(result).startswith("not run: no trained VGG16")
    assert str(cache.parent) in str(result) and "vgg16-397923af.pth" in str(result)


def test_a_path_without_weights_is_an_error_and_not_a_silent_skip(y, cache, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected VGG16 weights.*nowhere"):
        perceptual.lpips(y[:1], y[1:2], weights=tmp_path / "nowhere.pth")


def test_lpips_is_its_definition_from_the_torch_cache(y, cache):
    torch.save(vgg_state(), cache)
    found = perceptual.lpips(y[:3], y[3:6], batch=2)
    np.testing.assert_allclose(found, lpips_oracle(y[:3], y[3:6]), rtol=1e-4)


def test_lpips_reads_the_old_file_format_of_the_published_weights_and_broadcasts(y, cache, tmp_path):
    torch.save(vgg_state(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    found = perceptual.lpips(torch.stack([y[:2], y[2:4]]), y[:2], weights=tmp_path / "old.pth")
    assert found.shape == (2, 2) and found[0].max() == 0 and found[1].min() > 0
    np.testing.assert_allclose(found[1], lpips_oracle(y[2:4], y[:2]), rtol=1e-4)
    grey, colour = (
        perceptual.lpips(y[:1], y[1:2], tmp_path / "old.pth"),
        perceptual.lpips(y[:1].repeat(1, 3, 1, 1), y[1:2].repeat(1, 3, 1, 1), tmp_path / "old.pth"),
    )
    np.testing.assert_array_equal(grey, colour)


@pytest.mark.parametrize("damage", ["truncated", "text", "accounts", "another network", "empty"])
def test_damaged_vgg_weights_are_one_clear_error(y, cache, damage):
    if damage == "another network":
        torch.save({"features.0.weight": torch.zeros(1)}, cache)
    else:
        small = {"features.0.weight": torch.zeros(1000)}
        torch.save(small, cache)
        whole = cache.read_bytes()
        texts = {"text": b"not found", "accounts": b"root:x:0:0:root:/root:/bin/bash\n", "empty": b""}
        cache.write_bytes(texts.get(damage, whole[:700]))
    for asked in (perceptual.find_vgg, lambda: perceptual.lpips(y[:1], y[1:2])):
        with pytest.raises(ValueError, match=r"expected torchvision's VGG16 weights in .*vgg16-397923af.pth"):
            asked()


def test_lpips_refuses_raw_pixels_and_tiny_images(cache):
    raw = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    for bad in (raw, torch.zeros(2, 1, 8, 8), torch.zeros(2, 2, 28, 28)):
        with pytest.raises(ValueError, match="float images"):
            perceptual.lpips(bad, bad)


# ---------------------------------------------------------------- FID


def fid_oracle(a, b):
    ca, cb = np.cov(a.T), np.cov(b.T)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * scipy.linalg.sqrtm(ca @ cb).real)


def test_fid_is_the_frechet_distance_of_two_gaussians():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(150, 6)) + 0.3
    assert fid.fid(a, b) == pytest.approx(fid_oracle(a, b), rel=1e-8)
    assert fid.fid(torch.from_numpy(a), torch.from_numpy(b)) == fid.fid(a, b)


def test_fid_of_a_set_with_itself_is_zero_and_a_shift_counts_squared():
    a = np.random.default_rng(1).normal(size=(300, 5))
    assert fid.fid(a, a) == pytest.approx(0, abs=1e-9)
    assert fid.fid(a, a + 2) == pytest.approx(5 * 4, rel=1e-6)


def test_fid_works_with_fewer_samples_than_features():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(10, 30)), rng.normal(size=(12, 30))
    da, db = a - a.mean(0), b - b.mean(0)  # tr (Ca Cb)^(1/2) is the nuclear norm of Da Db' / sqrt(..)
    cross = np.linalg.svd(da @ db.T, compute_uv=False).sum() / math.sqrt(9 * 11)
    oracle = ((a.mean(0) - b.mean(0)) ** 2).sum() + (da**2).sum() / 9 + (db**2).sum() / 11 - 2 * cross
    assert fid.fid(a, b) == pytest.approx(oracle, rel=1e-5)


def test_fid_of_digit_features_grows_with_noise(model, y):
    clean = classifier.read(model, y)["features"]
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    little, much = (classifier.read(model, y + scale * noise)["features"] for scale in (0.1, 0.5))
    assert 0 < fid.fid(clean, little) < fid.fid(clean, much)


def test_fid_refuses_what_has_no_covariance():
    for a, b in [((1, 3), (5, 3)), ((5, 3), (5, 4)), ((3,), (3,))]:
        with pytest.raises(ValueError, match="at least 2 rows"):
            fid.fid(np.zeros(a), np.zeros(b))
    with pytest.raises(ValueError, match="finite"):
        fid.fid(np.full((5, 3), np.nan), np.zeros((5, 3)))


# ---------------------------------------------------------------- which ablation mattered most


def test_blind_guessing_scores_one_over_the_number_of_ablations_ties_or_not():
    rng = np.random.default_rng(0)
    apart = rng.integers(0, 3, (7, 20_000))
    predicted = rng.integers(0, 7, 20_000)
    assert analysis.influence_accuracy(apart, predicted).mean() == pytest.approx(1 / 7, abs=0.01)


def test_every_pair_is_the_loop_and_nothing_apart_from_itself(y):
    found = distances.every_pair(y[:4], y[:6])
    slow = [[float((a - b).double().norm()) for b in y[:6]] for a in y[:4]]
    np.testing.assert_allclose(found, slow, rtol=1e-5)
    assert (np.diagonal(found) == 0).all()
