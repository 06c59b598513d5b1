"""The judges: how good it is, what it refuses, and that a run can be stopped and repeated."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from genens import data, store
from genens_book.measures import classifier
from genens_book.measures.judges import DigitNet, PhotoNet

SHIPPED = store.home() / "weights" / "digits"
(WEIGHTS,) = classifier.weights_of(DigitNet, 5)


@pytest.fixture(scope="module")
def mnist():
    return data.load("mnist")


@pytest.fixture(scope="module")
def model():
    return classifier.load()


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "digits")


# ---------------------------------------------------------------- how good it is


def test_a_fold_retrained_in_one_epoch_reads_digits_it_never_saw(mnist):
    assert classifier.held_out(mnist.images, mnist.labels, fold=0, folds=5, seed=7, epochs=1)[1] >= 0.97


def test_the_shipped_weights_read_the_embedded_digits(model, mnist):
    assert classifier.accuracy(model, mnist.images, mnist.labels) >= 0.99


def test_the_manifest_states_the_data_the_settings_and_the_cross_validation(mnist):
    manifest = classifier.manifest()
    folds = manifest["cross_validation"]
    assert folds["folds"] == len(folds["accuracies"]) == 5
    assert folds["mean"] == pytest.approx(np.mean(folds["accuracies"]), abs=1e-6)
    assert folds["mean"] >= 0.985
    assert manifest["data"]["digest"] == mnist.digest and manifest["data"]["images"] == 10_000
    assert manifest["training"]["profile"] == "laptop"
    assert manifest["network"]["widths"] == list(DigitNet.widths)
    assert {"seed", "threads"} <= set(manifest["training"])
    assert manifest["made"]["torch"] and manifest["seconds"] > 0


def test_confidence_tells_digits_from_static(model, mnist):
    draws = torch.Generator().manual_seed(0)
    _, sure = classifier.predict(model, data.to_unit(mnist.images[:1000]))
    assert (sure > 0.9).double().mean() > 0.95
    uniform = torch.rand(500, 1, 28, 28, generator=draws) * 2 - 1
    normal, blank = torch.randn(500, 1, 28, 28, generator=draws), -torch.ones(1, 1, 28, 28)
    for image in (uniform, normal, normal.sign(), blank, -blank):
        assert (classifier.predict(model, image)[1] > 0.9).double().mean() < 0.01


# ---------------------------------------------------------------- what it returns


def test_predictions_are_the_softmax_and_do_not_depend_on_the_batch(model, mnist):
    y = data.to_unit(mnist.images[:50])
    labels, confidence = classifier.predict(model, y, batch=7)
    with torch.no_grad():
        logits = DigitNet.forward(model, y).double()
    oracle = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert labels.dtype == torch.int64 and confidence.dtype == torch.float32
    assert labels.tolist() == oracle.argmax(1).tolist()
    torch.testing.assert_close(confidence.double(), oracle.amax(1), rtol=1e-5, atol=1e-6)


def test_counterfactuals_of_many_mixtures_are_read_at_once_and_arrays_too(model, mnist):
    y = data.to_unit(mnist.images[:6]).reshape(2, 3, 1, 28, 28)
    labels, confidence = classifier.predict(model, y.numpy())
    assert labels.shape == confidence.shape == (2, 3)
    assert labels.flatten().tolist() == classifier.predict(model, y.flatten(0, 1))[0].tolist()


def test_features_are_what_the_last_layer_reads(model, mnist):
    y = data.to_unit(mnist.images[:20])
    found = classifier.read(model, y, batch=8)["features"]
    assert found.shape == (20, model.num_features) and found.dtype == torch.float32
    logits = found @ model.head.weight.T + model.head.bias
    assert logits.argmax(1).tolist() == classifier.predict(model, y)[0].tolist()


# ---------------------------------------------------------------- training


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(mnist):
    few = mnist.take(96)
    one, again, other = (classifier.train(few.images, few.labels, seed, epochs=2).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_training_leaves_the_global_generator_and_the_threads_alone(mnist):
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    classifier.train(mnist.images[:8], mnist.labels[:8], seed=0, epochs=1)
    classifier.load()
    assert torch.equal(torch.random.get_rng_state(), before) and torch.get_num_threads() == threads


def test_a_handful_of_images_is_enough_and_progress_is_reported(mnist):
    steps = []
    model = classifier.train(mnist.images[:3], mnist.labels[:3], seed=0, epochs=2, progress=steps.append)
    assert sum(steps) == classifier.count_steps(DigitNet, 3, 2) == 2
    assert classifier.predict(model, data.to_unit(mnist.images[:3]))[0].shape == (3,)


def test_folds_hold_every_image_out_once():
    parts = [classifier.split(23, k, 5, seed=1) for k in range(5)]
    assert sorted(torch.cat([held for _, held in parts]).tolist()) == list(range(23))
    for inside, held in parts:
        assert sorted(inside.tolist() + held.tolist()) == list(range(23))


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize("shape", [(4, 1, 32, 32), (4, 3, 28, 28), (28, 28), (0, 1, 28, 28)])
def test_images_that_are_no_mnist_digits_are_refused(model, shape):
    for function in (classifier.predict, classifier.read):
        with pytest.raises(ValueError, match=r"expected digits \(\.\.\., 1, 28, 28\).*got shape"):
            function(model, torch.zeros(shape))


def test_raw_pixels_and_nan_are_refused(model, mnist):
    with pytest.raises(ValueError, match="to_unit"):
        classifier.predict(model, mnist.images[:2])
    with pytest.raises(ValueError, match="finite"):
        classifier.predict(model, torch.full((1, 1, 28, 28), torch.nan))
    with pytest.raises(ValueError, match="batch"):
        classifier.predict(model, torch.zeros(1, 1, 28, 28), batch=0)


def test_a_training_set_that_does_not_fit_is_refused(mnist):
    images, labels = mnist.images[:4], mnist.labels[:4]
    for bad, match in [
        ((images[:, :, :20], labels, 0), "uint8 image"),
        ((images.float(), labels, 0), "uint8 image"),
        ((images[:0], labels[:0], 0), "at least one"),
        ((images, labels[:3], 0), "one for each image"),
        ((images, labels + 9, 0), "from 0 to 9"),
        ((images, labels, 0, 0), "epoch"),
    ]:
        with pytest.raises(ValueError, match=match):
            classifier.train(*bad)
    with pytest.raises(ValueError, match="folds"):
        classifier.split(4, 0, 5, seed=0)


def test_missing_weights_say_so(tmp_path, copy):
    with pytest.raises(FileNotFoundError, match=r"expected .*manifest\.json.*\(make train\)"):
        classifier.load(tmp_path / "nothing")
    (copy / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=rf"expected .*{WEIGHTS}"):
        classifier.load(copy)


def test_truncated_or_edited_weights_say_so(copy):
    file = copy / WEIGHTS
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="truncated"):
        classifier.load(copy)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="edited"):
        classifier.load(copy)


def test_a_judge_of_another_kind_says_so(tmp_path):
    classifier.save([DigitNet()], tmp_path / "other", {"judge": "sounds"})
    with pytest.raises(ValueError, match="expected a judge of digits or photographs in .*, got .*'sounds'"):
        classifier.load(tmp_path / "other")


def test_an_edited_manifest_says_so(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["cross_validation"]["mean"] = 1.0
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="edited"):
        classifier.manifest(copy)


def test_weights_of_another_network_say_so(tmp_path):
    classifier.save([DigitNet(widths=(2, 3, 4))], tmp_path / "small", {})
    with pytest.raises(ValueError, match="DigitNet"):
        classifier.load(tmp_path / "small")


# ---------------------------------------------------------------- saved, loaded, built


def test_a_saved_classifier_loads_as_its_float16_self(tmp_path, mnist):
    few = mnist.take(64)
    trained = classifier.train(few.images, few.labels, seed=0, epochs=1)
    classifier.save([trained], tmp_path / "here", {"training": {}})
    loaded = classifier.load(tmp_path / "here").state_dict()
    for name, value in trained.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded[name], expected), name


def test_a_smoke_build_from_the_command_line_and_again_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    command = [sys.executable, "-m", "genens_book.measures.classifier", "--profile", "smoke", "--out", tmp_path / "one"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=store.home(), check=False)
    assert ran.returncode == 0, ran.stderr
    assert "of held-out digits right" in ran.stdout and "classifier of digits, all images" in ran.stderr
    again = classifier.build(tmp_path / "two", profile="smoke")  # every fold is in the store
    first = json.loads((tmp_path / "one" / "manifest.json").read_text())
    assert first["files"] == json.loads((tmp_path / "two" / "manifest.json").read_text())["files"]
    assert first["cross_validation"] == again["cross_validation"] and first["seconds"] == again["seconds"]
    classifier.load(tmp_path / "one")


def test_an_interrupted_build_keeps_its_folds_and_writes_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setitem(classifier.PROFILES, "smoke", {"images": 20, "epochs": 1, "folds": 2})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(classifier, "_describe", stop)
        classifier.build(tmp_path / "out", profile="smoke")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(classifier, "train", stop)
    classifier.build(tmp_path / "out", profile="smoke")
    classifier.load(tmp_path / "out")


def test_bad_arguments_are_one_line_and_not_a_traceback(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="expected a profile among smoke, laptop, paper, got 'huge'"):
        classifier.build(tmp_path / "out", profile="huge")
    with pytest.raises(SystemExit) as stopped:
        classifier.main(["--out", str(tmp_path / "out"), "--profile", "huge"])
    assert stopped.value.code == 2


# ---------------------------------------------------------------- photographs


@pytest.fixture
def photographs(monkeypatch, tmp_path):
    """A data set in CIFAR-10's shape that is easy: each class has a colour."""
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(150) % 10
    colours = torch.randint(256, (10, 3), generator=draws)
    noise = torch.randint(-20, 21, (150, 3, 32, 32), generator=draws)
    images = (colours[labels][:, :, None, None] + noise).clamp(0, 255).to(torch.uint8)
    found = data.Dataset(images, labels, "colours", tuple("abcdefghij"))
    monkeypatch.setattr(data, "load", lambda name: found)
    monkeypatch.setitem(classifier.PROFILES, "smoke", {"images": 100, "epochs": 4, "folds": 2})
    return found


def test_photographs_are_judged_by_the_network_that_has_not_seen_them(photographs, tmp_path):
    written = classifier.build(tmp_path / "judge", profile="smoke", judge=PhotoNet)
    model = classifier.load(tmp_path / "judge")
    folds = written["cross_validation"]
    assert folds["folds"] == 2 and written["data"]["images"] == 100 and written["judge"] == "photographs"
    for fold, right in enumerate(folds["accuracies"]):
        rows = model.unseen(fold)
        assert classifier.accuracy(model.nets[fold], photographs.images[rows], photographs.labels[rows]) == right
    assert sorted(torch.cat([model.unseen(fold) for fold in range(2)]).tolist()) == list(range(100))
    y = data.to_unit(photographs.images[100:150])
    each = torch.stack([net(y).softmax(1) for net in model.nets]).mean(0)
    labels, confidence = classifier.predict(model, y)
    torch.testing.assert_close(confidence, each.amax(1))
    assert torch.equal(labels, each.argmax(1)) and (labels == photographs.labels[100:150]).double().mean() > 0.15
    found = classifier.read(model, y, batch=20)
    assert torch.equal(found["labels"], labels) and found["features"].shape == (50, model.nets[0].num_features)
    torch.testing.assert_close(found["features"], model.nets[0].features(y))
    with pytest.raises(ValueError, match=r"expected photographs \(\.\.\., 3, 32, 32\)"):
        classifier.predict(model, torch.zeros(2, 1, 28, 28))


def test_folds_trained_one_by_one_are_taken_by_the_build(photographs, tmp_path, monkeypatch):
    for fold in range(2):
        assert classifier.build(tmp_path / "judge", profile="smoke", judge=PhotoNet, only=fold) is None
    assert not (tmp_path / "judge").exists()
    monkeypatch.setattr(classifier, "train", None)  # nothing is left to train
    classifier.build(tmp_path / "judge", profile="smoke", judge=PhotoNet)
    with pytest.raises(ValueError, match=r"a fold in 0\.\.1, got 2"):
        classifier.build(tmp_path / "judge", profile="smoke", judge=PhotoNet, only=2)


def test_a_row_is_the_place_of_a_label_among_classes():
    assert classifier.row_of([[4, 9], [1, 1]], [1, 4]).tolist() == [[1, -1], [0, 0]]
