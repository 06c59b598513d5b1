"""What retraining says is what the retrained networks draw."""

import numpy as np
import pytest

from genens import files, finetunes, sampling
from genens.schedules import schedule
from genens_book.chapters.finetunes import gradients, truth


def test_it_keeps_how_samples_move_without_each_image_and_their_losses_in_halves(trained, tmp_path, small):
    truth.main([str(trained), "--out", str(tmp_path / "truth")])
    found = truth.load(tmp_path / "truth")
    assert found.y.shape == (2, 2, 1, 28, 28) and found.lengths.shape == (2, 5, 2) and found.masks.shape == (5, 4)
    whole, without = (finetunes.load(trained / f"{name}_1") for name in ("all", "without"))
    noise = sampling.Noise(0, range(2), (1, 28, 28), 3)
    for image in range(5):
        (member,) = np.flatnonzero(~without.codes[image])
        y, moved = (
            sampling.sample(m.mean(v), noise, schedule(3))[0] for m, v in ((whole, [1]), (without, np.eye(5)[member]))
        )
        np.testing.assert_allclose(found.lengths[1, image], (moved - y).flatten(1).norm(dim=1), rtol=1e-3)
    np.testing.assert_allclose(found.moved.flatten(2).norm(dim=2), found.lengths[0], rtol=2e-3)
    halves = finetunes.load(trained / "halves_1")
    expected = gradients.losses(halves.network(np.eye(4)[2]), found.y[0], truth.LOSS_SEED)
    np.testing.assert_allclose(found.losses[1, 2], expected, rtol=1e-4)
    assert found.manifest["recipes"]["halves_1"]["seed"] == 1 and len(found.noise(whole)) == 2


def test_what_is_damaged_or_not_there_is_refused(trained, tmp_path, small):
    with pytest.raises(SystemExit, match="all_0"):
        truth.main([str(tmp_path), "--out", str(tmp_path / "truth")])
    arrays, about = truth.gather(trained)
    for change in ({"lengths": arrays["lengths"][:, :3]}, {"losses": arrays["losses"] * np.nan}):
        files.write_folder(tmp_path / "t", {truth.FILE: files.arrays_to_bytes(arrays | change)}, about)
        with pytest.raises(ValueError, match="expected what retraining says"):
            truth.load(tmp_path / "t")


def test_each_image_is_left_out_by_one_member():
    codes = ~np.eye(4, dtype=bool)[:, [2, 0, 3, 1]]
    assert truth.lacking(codes).tolist() == [1, 3, 0, 2]
    with pytest.raises(ValueError, match="leave out each image once"):
        truth.lacking(np.ones((4, 4), bool))


def test_a_part_of_it_is_asked_for_in_the_setting_that_it_is_of(trained, tmp_path, small):
    truth.main([str(trained), "--out", str(tmp_path / "truth")])
    whole, members = truth.load(tmp_path / "truth"), finetunes.load(trained / "signs")
    part = whole.first(1, members, schedule(3))
    assert part.y.shape[:2] == (2, 1) and part.lengths.shape == (2, 5, 1) and part.losses.shape == (2, 4, 1)
    rows = np.array([3])
    np.testing.assert_allclose(part.without(rows)[0], part.y[0, 0] + part.moved[3, 0], rtol=1e-6)
    order = np.argsort(-part.lengths[0, :, 0])
    assert part.among(order[None], 2).tolist() == [[True, True, False, False, False]]
    for samples, steps, told in ((3, 3, "at most 2 samples of 3 steps"), (1, 4, "got 1 of 4")):
        with pytest.raises(ValueError, match=told):
            whole.first(samples, members, schedule(steps))
    members.manifest = members.manifest | {"base": "other"}
    with pytest.raises(ValueError, match="expected the base that was retrained on"):
        whole.first(1, members, schedule(3))
