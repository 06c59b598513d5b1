"""The planted pictures: what is shipped is what the code draws, and no digit looks like them."""

import numpy as np
import torch

from genens import data
from genens_book.chapters.meaning import glyphs
from genens_book.measures import archive


def test_the_archive_is_what_the_code_draws_now():
    shipped = data.load(f"folder:{glyphs.FILE}")
    assert shipped.classes == tuple(glyphs.SHAPES)
    assert np.bincount(shipped.labels).tolist() == list(glyphs.SIZES)
    drawn = np.concatenate([*glyphs.planted().values()])
    assert np.abs(shipped.images.numpy().astype(int) - drawn).max() <= 1  # libraries may round a half differently


def test_an_archive_has_the_same_bytes_twice_and_holds_plain_pngs(tmp_path):
    few = glyphs.planted((1, 1, 2, 1, 1, 3))
    written = archive.packed(glyphs.named(few))
    assert written == archive.packed(glyphs.named(few))
    (tmp_path / "few.zip").write_bytes(written)
    found = data.load(f"folder:{tmp_path / 'few.zip'}")
    assert torch.equal(found.images, torch.from_numpy(np.concatenate([*few.values()])))


def test_pictures_of_a_shape_differ_and_the_first_do_not_depend_on_how_many_there_are():
    some = glyphs.draw("star", 5, seed=1)
    assert np.array_equal(glyphs.draw("star", 2, seed=1), some[:2])
    assert len(np.unique(some, axis=0)) == 5 and not np.array_equal(glyphs.draw("star", 5, seed=2), some)


def test_the_nearest_image_to_a_planted_one_is_of_its_shape_and_not_a_digit():
    digits = data.to_unit(data.load("mnist").images).flatten(1)
    kinds = {shape: data.to_unit(torch.from_numpy(glyphs.draw(shape, 60, 0))).flatten(1) for shape in glyphs.SHAPES}
    everything = torch.cat([digits, *kinds.values()])
    shape_of = torch.cat([torch.full((len(digits),), -1), torch.arange(6).repeat_interleave(60)])
    for number, shape in enumerate(glyphs.SHAPES):
        fresh = data.to_unit(torch.from_numpy(glyphs.draw(shape, 20, seed=9))).flatten(1)
        nearest = shape_of[torch.cdist(fresh, everything).argmin(1)]
        assert (nearest == number).float().mean() >= 0.8, shape
