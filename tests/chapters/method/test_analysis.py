"""What the method page draws, against plain versions of it."""

import numpy as np
import pytest
import torch

from genens import closed_form, codes
from genens.jacobians import jacobian, linear_counterfactual
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens_book.chapters.method import analysis


@pytest.fixture(scope="module")
def members():
    """Four closed-form members on six 4x4 images."""
    images = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return closed_form.Members(images, codes.constant_weight(6, 4, 2, 0))


def test_the_film_and_the_walk_end_where_sampling_ends(members):
    v = [0.5, 0.5, 0.0, 0.0]
    taken, noise = schedule(8), Noise(7, [3], members.shape, 8)
    told = analysis.follow(3, members, 7, taken, v)
    ends = sample(members, noise, taken, np.array([codes.uniform(4), v]), clamp=False)[:, 0].numpy()
    np.testing.assert_allclose(told["film"][:, -1], ends, atol=1e-5)
    np.testing.assert_allclose(told["walk"][0, [4, 8]], ends, atol=1e-5)
    assert told["share"][[0, 4, 8]].tolist() == [-1, 0, 1]
    np.testing.assert_array_equal(*told["film"][:, 0])  # one noise for both


def test_the_line_touches_the_walk_at_the_original(members):
    told = analysis.follow(0, members, 0, schedule(8), [0.5, 0.0, 0.5, 0.0])
    gaps = np.linalg.norm((told["walk"][0] - told["walk"][1]).reshape(9, -1), axis=1)
    assert gaps[4] < 1e-5 and gaps[[3, 5]].max() < gaps[[0, 8]].max()


def test_the_line_is_the_jacobians(members):
    v = np.array([0.5, 0.0, 0.5, 0.0])
    told = analysis.follow(0, members, 0, schedule(8), v)
    y, J = jacobian(members, Noise(0, [0], members.shape, 8), schedule(8))
    expected = linear_counterfactual(y, J, v[None], clamp=False)[0, 0].numpy()
    np.testing.assert_allclose(told["walk"][1, 8], expected, atol=1e-5)


def test_a_mixture_without_a_mirror_image_is_walked_from_the_original_on(members):
    told = analysis.follow(0, members, 0, schedule(4), [1.0, 0.0, 0.0, 0.0])
    assert told["share"][0] == 0 and told["share"][-1] == 1


def test_lengths_are_those_of_the_change_the_prediction_and_the_gap(members):
    told = analysis.follow(0, members, 0, schedule(8), [0.5, 0.0, 0.5, 0.0])
    true, predicted = (told["walk"][k, 8] - told["walk"][k, 4] for k in range(2))
    changed, length, gap = analysis.lengths(told)
    assert changed == pytest.approx(np.linalg.norm(true), abs=1e-5)
    assert length == pytest.approx(np.linalg.norm(predicted), abs=1e-5)
    assert gap <= np.linalg.norm(true - predicted) + 1e-5  # seen in a plane, it is no longer than it is


def test_the_plane_keeps_lengths_along_the_line_and_beside_it():
    line = torch.zeros(3, 1, 2, 2)
    line[:, 0, 0, 0] = torch.tensor([0.0, 1.0, 2.0])
    true = line.clone()
    true[:, 0, 1, 1] = torch.tensor([0.0, 0.5, 2.0])
    where, predicted = analysis.plane(true, line)
    np.testing.assert_allclose(predicted, [[0, 0], [1, 0], [2, 0]], atol=1e-12)
    np.testing.assert_allclose(where, [[0, 0], [1, 0.5], [2, 2]], atol=1e-12)


MANIFEST = {
    "recipe": {
        "dataset": "mnist",
        "steps": 30,
        "n": 4,
        "h": 2,
        "batch": 8,
        "lr": 2e-4,
        "schedule": "constant",
        "ema": 0.0,
    },
    "images": 12,
    "data": "none",
    "split_sizes": [5, 7],
    "member_cpu_seconds": [60.0, 120.0],
}


def test_how_members_were_trained_is_read_off_the_manifest():
    told = analysis.training(MANIFEST)
    assert (told["training_steps"], told["batch"], told["epochs"]) == (30, 8, "40")
    assert told["optimizer"] == "AdamW" and told["rate"] == "stays at 0.0002" and "at the end" in told["kept"]
    assert (told["cost"], told["cost_each"]) == ("3 min 00 s", "1 min 30 s")
    other = analysis.training(
        MANIFEST
        | {"recipe": {"dataset": "mnist", "steps": 1, "n": 4, "h": 2, "optimizer": "muon", "lr": 7e-3, "ema": 0.9975}}
        | {"member_cpu_seconds": [None, None]}
    )
    assert (
        other["rate"] == "rises to 0.007 and falls again" and "0.9975" in other["kept"] and "Muon" in other["optimizer"]
    )
    assert other["cost"] == "an unknown time"
