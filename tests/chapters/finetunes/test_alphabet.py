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
    names, flat = [*alphabet.pictures()], shipped.images.flatten(1).float()
    apart = (flat[:, None] - flat).abs().mean(-1).numpy()
    kinds = {kind: [k for k, name in enumerate(names) if name.endswith(kind)] for kind in ("copy", "near")}
    assert len(kinds["copy"]) == alphabet.COPIES and len(kinds["near"]) == alphabet.NEAR
    for kind, rows in kinds.items():
        for row in rows:
            twin = names.index(names[row].removesuffix(f"-{kind}"))
            assert (apart[row, twin] == 0) == (kind == "copy")
            others = np.delete(apart[row], [row, twin])
            assert apart[row, twin] < others.min()
    outlier = names.index(alphabet.OUTLIER)
    nearest = np.where(np.eye(256, dtype=bool), np.inf, apart).min(1)
    assert nearest.argmax() == outlier
