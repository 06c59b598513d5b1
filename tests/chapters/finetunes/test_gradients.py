"""TRAK and D-TRAK against their formula, written out."""

import numpy as np
import pytest
import torch
from dattri.algorithm import trak
from dattri.task import AttributionTask
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

from genens.schedules import alpha_bars
from genens.unet import UNetConfig, build
from genens_book.chapters.finetunes import gradients

TINY = {"width": 4, "multipliers": [1], "attention": [], "blocks": 1, "groups": 2}
CONFIG = UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1, skip=True)


@pytest.fixture(scope="module")
def network():
    made = build(CONFIG, 0)
    for weight in made.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return made


def images(count, seed=0):
    return torch.rand((count, 1, 8, 8), generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("of", gradients.FUNCTIONS)
def test_features_are_the_gradients_of_what_a_step_along_them_changes(network, of):
    x, h = images(2), 1e-2
    phi = gradients.features(network, x, of, 0)
    t, noise = gradients.looks(2, (1, 8, 8), 1000, 0)
    direction = torch.randn(phi.shape[1], generator=torch.Generator().manual_seed(2)) * 0.01

    def moved(sign):
        other = build(CONFIG, 0)
        begin = 0
        for mine, weight in zip(other.parameters(), network.parameters(), strict=True):
            step = direction[begin : begin + weight.numel()].view_as(weight)
            mine.data = weight.data.double() + sign * h * step
            begin += weight.numel()
        with torch.no_grad():
            return gradients.values(other.double(), x[1].double(), t[1], noise[1].double(), of).item()

    assert (moved(1) - moved(-1)) / (2 * h) == pytest.approx((phi[1] @ direction).item(), rel=1e-3)


def test_scores_are_the_formula_in_the_space_of_the_weights():
    draw = torch.Generator().manual_seed(0)
    phi, psi = (torch.randn((count, 7), generator=draw, dtype=torch.float64) for count in (5, 3))
    damping = 0.3
    whole = phi.T @ phi + damping * (phi @ phi.T).trace() / 5 * torch.eye(7)
    expected = phi @ torch.linalg.inv(whole) @ psi.T
    np.testing.assert_allclose(gradients.scores(phi, psi, damping), expected)


def test_scores_are_those_of_dattri(monkeypatch):
    """Of its TRAK without random projection, and for a loss that is no probability."""
    model, bars, damping = build(UNetConfig(**TINY), 0).double(), torch.from_numpy(alpha_bars()), 0.1
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    sides = [(images(5).double(), 0), (images(3, 7).double(), 1)]

    def loss(weights, one):
        image, t, noise = one
        bar = bars[t].view(-1, 1, 1, 1)
        return (
            (functional_call(model, weights, (bar.sqrt() * image + (1 - bar).sqrt() * noise, t)) - noise)
            .square()
            .mean()
        )

    def loader(x, seed):
        t, noise = gradients.looks(len(x), x.shape[1:], 1000, seed)
        return DataLoader(TensorDataset(x, t, noise.double()), batch_size=2)

    phi, psi = (gradients.features(model, *side[:1], "loss", side[1]) for side in sides)
    monkeypatch.setattr(trak, "random_project", lambda *_, **__: lambda rows, ensemble_id: rows)
    shrunk = damping * (phi @ phi.T).trace() / len(phi) / phi.shape[1]  # it divides gradients by sqrt(P)
    task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
    theirs = trak.TRAKAttributor(task, lambda *_: torch.zeros(1), regularization=shrunk.item())
    theirs.cache(loader(*sides[0]))
    found, expected = gradients.scores(phi, psi, damping), theirs.attribute(loader(*sides[1])).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
