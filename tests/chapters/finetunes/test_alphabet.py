"""The private pictures: what is shipped is what the code draws, and what is planted among it is there."""

import numpy as np
import pytest

from genens import data
from genens_book.chapters.finetunes import alphabet


@pytest.fixture(scope="module")
def shipped():
    with pytest.warns(UserWarning, match="12 of 256 images are identical"):
        return data.load(f"folder:{alphabet.FILE}")


def test_the_archive_is_what_the_code_draws_now(shipped):
    drawn = alphabet.pictures()
    assert len(shipped) == len(drawn) == 256
    assert shipped.classes == ("armenian", "cyrillic", "georgian", "greek", "latin", "other", "symbols")
    apart = np.abs(shipped.images[:, 0].numpy().astype(int) - np.stack([*drawn.values()]))
    assert apart.mean() < 1  # another release of the font, or of what draws it, moves a few pixels


def test_copies_near_copies_and_one_outlier_are_planted(shipped):
    flat = shipped.images.flatten(1).float()
    apart = (flat[:, None] - flat).abs().mean(-1).numpy()
    planted = alphabet.planted()
    assert len(planted["copy"]) == alphabet.COPIES and len(planted["near"]) == alphabet.NEAR
    for kind in ("copy", "near"):
        for twin, row in planted[kind]:
            assert (apart[row, twin] == 0) == (kind == "copy")
            others = np.delete(apart[row], [row, twin])
            assert apart[row, twin] < others.min()
    nearest = np.where(np.eye(256, dtype=bool), np.inf, apart).min(1)
    assert nearest.argmax() == planted["outlier"][0, 0]


def test_signs_that_nobody_has_are_of_their_kind(shipped):
    unseen, have = alphabet.unseen(), shipped.images.numpy()
    assert unseen.dtype == np.uint8 and unseen.shape[1:] == have.shape[1:] and len(unseen) >= 50
    assert not (unseen[:, None] == have).all(axis=(2, 3, 4)).any()
    assert not any(c in signs for c in alphabet.UNSEEN for signs in alphabet.SCRIPTS.values())
    assert unseen.mean() == pytest.approx(have.mean(), rel=0.2)
