"""Moved digits stay digits; noise is noise; both are functions of their generator."""

import pytest
import torch

from genens import data
from genens_book.measures import augment


@pytest.fixture(scope="module")
def y():
    return data.to_unit(data.load("mnist").images[:64])


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_moved_digits_stay_in_range_and_keep_their_ink_and_move(y):
    moved = augment.move(y, drawn())
    assert moved.shape == y.shape and moved.min() >= -1 and moved.max() <= 1.001
    assert (moved - y).abs().flatten(1).amax(1).min() > 0.5
    torch.testing.assert_close(moved.mean(), y.mean(), rtol=0.1, atol=0)


def test_a_move_of_nothing_is_the_identity(y, monkeypatch):
    for name in ("ROTATION", "SCALE", "SHEAR", "SHIFT"):
        monkeypatch.setattr(augment, name, 0.0)
    torch.testing.assert_close(augment.move(y, drawn()), y, rtol=0, atol=1e-4)


def test_a_dot_moves_by_no_more_than_the_largest_shift(monkeypatch):
    for name in ("ROTATION", "SCALE", "SHEAR"):
        monkeypatch.setattr(augment, name, 0.0)
    dot = torch.zeros(500, 1, 28, 28)
    dot[:, :, 13, 13] = 1
    moved, at = augment.move(dot, drawn()), torch.arange(28.0)
    for axis in (2, 3):
        centre = (moved.sum(5 - axis)[:, 0] * at).sum(1) / moved.sum((1, 2, 3))
        assert (centre - 13).abs().max() < augment.SHIFT + 1e-3
        assert (centre - 13).abs().max() > 0.9 * augment.SHIFT


def test_noise_has_all_grains_contrasts_and_brightnesses():
    draws = drawn()
    batches = [augment.noise(torch.Size((8, 1, 28, 28)), draws) for _ in range(60)]
    noise = torch.cat(batches)
    assert noise.shape == (480, 1, 28, 28) and noise.min() == -1 and noise.max() == 1
    spread, level = noise.flatten(1).std(1), noise.flatten(1).mean(1)
    assert spread.min() < 0.1 and spread.max() > 0.6 and level.min() < -0.8 and level.max() > 0.8
    rough = torch.stack([(b[..., 1:] - b[..., :-1]).abs().mean() for b in batches])
    assert rough.min() < 0.2 * rough.max()


def test_the_same_generator_gives_the_same_images(y):
    for function, argument in ((augment.move, y), (augment.noise, y.shape)):
        one, again, other = (function(argument, drawn(seed)) for seed in (1, 1, 2))
        assert torch.equal(one, again) and not torch.equal(one, other)


# ---------------------------------------------------------------- photographs


def photographs(count=64):
    return torch.rand(count, 3, 32, 32, generator=drawn(5)) * 2 - 1


def test_about_half_of_the_photographs_are_mirrored_and_the_others_left():
    y = photographs(400)
    seen = augment.mirror(y, drawn())
    same = (seen == y).flatten(1).all(1)
    assert torch.equal(seen[~same], y[~same].flip(-1)) and 0.4 < same.double().mean() < 0.6


def test_a_shift_is_a_crop_of_the_mirrored_photograph():
    y = photographs()
    seen, crops = augment.shift(y, 2, drawn()), {}
    for k, image in enumerate(y):
        wide = torch.nn.functional.pad(image[None], (2,) * 4, mode="reflect")[0]
        for down in range(5):
            for right in range(5):
                if torch.equal(seen[k], wide[:, down : down + 32, right : right + 32]):
                    crops[k] = (down, right)
    assert len(crops) == len(y) and len(set(crops.values())) > 15


def test_a_square_is_cut_out_and_nothing_else_is_changed():
    y = photographs(300)
    seen = augment.cut_out(y, 8, drawn())
    gone = (seen != y).all(1)
    assert torch.equal(seen, torch.where(gone[:, None], 0.0, y))
    sides = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(gone.sum((1, 2)), sides[0] * sides[1])  # a rectangle
    assert max(side.max() for side in sides) == 7 and min(side.min() for side in sides) < 7  # less at the border
