"""What chapter 3 measures: features of every set, FIDs that survive storage, a plane of known axes."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from support import inception_state as state

from genens import data
from genens.recipe import Recipe, trained_on
from genens_book.chapters.fid import analysis
from genens_book.measures import classifier, fid, gallery, imagenet, not_run, stats
from genens_book.measures.references import Real


def normal(n, F=3, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1.0, (n, F)).astype(np.float32)


def test_reading_is_what_the_classifier_says():
    model = classifier.DigitNet().eval()
    y = torch.rand(3, 2, 1, 28, 28) * 2 - 1
    found = analysis.read(y, model)
    labels, confidence = classifier.predict(model, y)
    assert torch.equal(found["labels"], labels)
    torch.testing.assert_close(found["confidence"], confidence)
    torch.testing.assert_close(found["features"].flatten(0, 1), model.features(y.flatten(0, 1)))


def test_estimates_are_those_of_every_column_and_of_real_images_and_survive_storage():
    sets = np.stack([normal(60, seed=1), normal(60, seed=2, shift=0.5), normal(60, seed=3, shift=1.5)], axis=1)
    reference = normal(500, seed=9)
    found = analysis.unpack(analysis.estimates(sets, Real(reference), seed=4, n_boot=30))
    assert len(found) == 4  # three sets, and training images drawn again
    for v in range(3):
        alone = fid.estimate(sets[:, v], fid.Reference(reference), 4, 30)
        assert found[v].spread == alone.spread and found[v].infinite == alone.infinite
        assert found[v].value == fid.fid(sets[:, v], reference) and found[v].bias == alone.bias
        np.testing.assert_array_equal(found[v].curve, alone.curve)
        np.testing.assert_array_equal(found[v].draws, alone.draws)
    assert found[3].value < found[1].value < found[2].value
    assert abs(found[3].infinite.value) < found[3].value  # what the truth, 0, is nearer to
    assert analysis.worse(found[1], [found[0], found[2]]) == 1
    assert isinstance(fid.below_largest(found[0], found[1:3]), stats.Interval)


def test_fids_are_stored_once_and_read_back_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    sets, reference = np.stack([normal(20, seed=1), normal(20, seed=2)], axis=1), Real(normal(50, seed=9))
    first = analysis.fids(sets, reference, seed=0, n_boot=3)
    monkeypatch.setattr(fid, "estimate", None)  # a second time they are read, not computed
    again = analysis.fids(sets, reference, seed=0, n_boot=3)
    assert [(e.spread, e.bias, e.infinite) for e in again] == [(e.spread, e.bias, e.infinite) for e in first]


def test_samples_that_the_classifier_is_sure_of_are_counted_sheet_by_sheet():
    marked = analysis.sure(torch.tensor([0.95, 0.9, 0.99, 0.2, 0.91, 0.3, 0.99]))
    assert marked.tolist() == [True, False, True, False, True, False, True]
    assert analysis.by_sheet(marked, 3).tolist() == [2, 1]  # the seventh fills no sheet


def test_agreement_is_set_against_what_independent_draws_would_give():
    labels = np.array([[3, 3, 3], [3, 3, 5], [5, 5, 5], [5, 5, 3]])
    assert analysis.agreement(labels) == (0.75, 0.5)
    assert analysis.agreement(np.array([[1, 2], [2, 1]])) == (0.0, 0.5)


def test_luck_is_the_share_of_places_with_so_many_members_behind():
    """Against every place that the ensemble can have among four members."""
    for k in range(5):
        assert analysis.by_luck(4, k) == np.mean([behind >= k for behind in range(5)])


def test_what_the_difference_says_in_words():
    assert analysis.below_words(stats.Interval(-2, -3, -1, 9)) == {"below": "below", "clear": "does not reach 0"}
    assert analysis.below_words(stats.Interval(-2, -3, 0, 9)) == {"below": "below", "clear": "reaches or passes 0"}
    assert analysis.below_words(stats.Interval(0, -1, 1, 9))["below"] == "not below"


def test_whether_inception_was_run_is_said():
    missing = not_run.NotRun("no weights")
    assert analysis.inception_words(missing) == "It was not run on this machine: no weights."
    assert analysis.inception_words((0, 1)).startswith("It was found")
    assert "of the digit classifier;" in analysis.judge_words(missing, "features of the digit classifier")
    assert analysis.judge_words((0, 1), "digit classifier") == ""


def test_the_picture_has_every_set_and_says_how_much_of_the_variance_it_shows():
    scales = np.array([3.0, 2.0, 1.0, 0.0])
    sets = np.stack([normal(4000, 4, 1), normal(4000, 4, 2)], axis=1) * scales
    found = analysis.picture(sets, normal(100, 4, 3) * scales, 3000, seed=0)
    assert found["samples"].shape == (2, 3000, 2) and found["training"].shape == (100, 2)
    assert found["share"] == pytest.approx(13 / 14, abs=0.01)
    np.testing.assert_allclose(found["samples"].std(axis=(0, 1)), [3, 2], rtol=0.05)
    with pytest.raises(ValueError, match=r"expected n in 1\.\.4000"):
        analysis.picture(sets, normal(100, 4), 5000, seed=0)


def test_training_images_are_those_of_the_manifest_or_an_error():
    recipe = Recipe("mnist", steps=1, n=6, h=3, limit=20)
    images = recipe.images()
    manifest = {"recipe": asdict(recipe), "data": images.digest, "images": 20}
    assert trained_on(manifest).digest == images.digest
    with pytest.raises(ValueError, match="the 20 images that the members were trained on"):
        trained_on(manifest | {"data": "0" * 64})


def test_inception_end_to_end_on_random_weights(tmp_path, monkeypatch):
    """From a weights file to an estimate: the real weights are not to be had, so these are drawn at random."""
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    torch.save(state(), tmp_path / "inception.pth")
    rng = np.random.default_rng(0)
    y = rng.uniform(-1, 1, (8, 1, 1, 28, 28)).astype(np.float32)
    training = gallery.of(data.load("mnist").take(8))
    features, real = analysis.through_inception(y, training, tmp_path / "inception.pth")
    assert features.shape == (8, 1, 1000) and real.rows.shape == (8, 1000)
    network = imagenet.inception(tmp_path / "inception.pth")
    direct = imagenet.deep_features(network, y[5, 0][None])
    np.testing.assert_allclose(features[5, 0], direct[0], rtol=1e-3, atol=1e-4)
    monkeypatch.setattr(imagenet, "deep_features", None)  # a second time they are read, not computed
    again, _ = analysis.through_inception(y, training, tmp_path / "inception.pth")
    np.testing.assert_array_equal(again, features)
    found = analysis.unpack(analysis.estimates(features[..., :40], Real(real.rows[:, :40]), 0, 2))
    assert [e.spread.n for e in found] == [8, 8]


def test_without_inceptions_weights_it_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    found = analysis.through_inception(np.zeros((2, 2, 1, 28, 28), np.float32), gallery.of(data.load("mnist").take(2)))
    assert isinstance(found, not_run.NotRun) and "Inception v3" in found.reason


def test_fids_want_a_network():
    networks = {"EfficientNet-lite0": "side", "Inception v3": not_run.NotRun("none")}
    found = analysis.sides({"face reader": "own"}, networks)
    assert found == {"features of the face reader": "own", "features of EfficientNet-lite0": "side"}
    assert [*analysis.sides({}, networks)] == ["features of EfficientNet-lite0"]
    with pytest.raises(ValueError, match="network to judge samples by, found none .Inception v3: not run: none"):
        analysis.sides({}, {"Inception v3": not_run.NotRun("none")})
