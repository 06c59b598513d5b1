"""What is shipped is what the laptop profile says, and small enough for git."""

import dataclasses

import numpy as np
import pytest

from genens import codes, ensemble, files, recipe, store
from genens.sampling import samples
from genens.schedules import schedule
from genens_book.measures import classifier, gallery
from genens_book.pages import parameters

RECIPES = recipe.recipes(parameters.profile_file("laptop"))
PAPER_SIZES = [3103, 2972, 3016, 3147, 3091, 2912, 2972]  # Appendix B.1


def images_of(name, wanted):
    """What an ensemble was trained on, and its digest; of images that are not shipped, what thumbnails keep."""
    if wanted.dataset not in ("cifar10", "faces"):
        return (images := wanted.images()), images.digest
    folder = parameters.thumbnails(name)
    return gallery.load(folder), files.read_folder(folder)[0]["data"]


@pytest.mark.filterwarnings("ignore:.*images are identical to others")  # planted copies among the signs
@pytest.mark.parametrize("name", RECIPES)
def test_shipped_ensemble_was_trained_by_the_profile(name):
    manifest, contents = files.read_folder(folder := store.home() / "weights" / name)
    wanted = RECIPES[name]
    # The first were trained under bfloat16, where the profile has float32 now, which every CPU is fast at.
    if name in ("mnist7", "mnist16"):
        wanted = dataclasses.replace(wanted, precision="bfloat16")
    assert recipe.recipe_of(manifest) == wanted
    images, digest = images_of(name, wanted)
    assert manifest["data"] == digest and manifest["images"] == len(images)
    codes = ensemble.read_codes(folder, manifest, contents)
    assert np.array_equal(codes, wanted.codes(images)[:, list(wanted.members)])


def test_class_splits_have_the_papers_sizes():
    members = ensemble.load(store.home() / "weights" / "mnist7")
    assert members.manifest["split_sizes"] == codes.split_sizes(members.codes).tolist() == PAPER_SIZES


def test_the_class_ensemble_draws_digits_and_forgets_a_class():
    """Thirty-two samples are enough to see that the weights are trained ones, and that ablation does something."""
    members = ensemble.load(store.home() / "weights" / "mnist7", engine="openvino")
    mixtures = np.vstack([codes.uniform(7), codes.ablated(codes.walsh(8), 0)])
    y = samples(range(32), members, 1, schedule(15), mixtures)["y"]
    labels, confidence = classifier.predict(classifier.load(), y.flatten(0, 1))
    labels = labels.view(32, 2)
    assert (confidence > 0.9).float().mean() > 0.4  # pure noise: none
    assert len(labels[:, 0].unique()) >= 5
    assert (labels[:, 1] == 0).sum() < (labels[:, 0] == 0).sum()


def test_weights_stay_within_their_limit():
    shipped = [file for file in (store.home() / "weights").rglob("*.safetensors") if "unfinished" not in file.parts]
    assert sum(file.stat().st_size for file in shipped) < 140e6


@pytest.mark.filterwarnings("ignore:.*images are identical to others")
def test_pictures_of_the_book_are_found_from_any_folder(tmp_path, monkeypatch):
    manifest, _ = files.read_folder(store.home() / "weights" / "signs")
    monkeypatch.chdir(tmp_path)
    assert len(recipe.trained_on(manifest)) == manifest["images"]
