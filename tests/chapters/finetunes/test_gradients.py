"""TRAK and D-TRAK against their formula, written out."""

import numpy as np
import pytest
import torch

from genens.unet import UNetConfig, build
from genens_book.chapters.finetunes import gradients

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


def test_a_projection_keeps_products_and_is_a_function_of_its_seed():
    phi = torch.randn((6, 9000), generator=torch.Generator().manual_seed(0))
    small = gradients.projected(phi, 4096, 1)
    assert torch.equal(small, gradients.projected(phi, 4096, 1))
    assert not torch.equal(small, gradients.projected(phi, 4096, 2))
    assert ((small @ small.T - phi @ phi.T).abs() < 0.1 * 9000).all()


def test_losses_compare_networks_at_the_same_looks(network):
    x = images(3)
    assert np.array_equal(gradients.losses(network, x, 5), gradients.losses(network, x, 5))
    assert not np.array_equal(gradients.losses(network, x, 5), gradients.losses(network, x, 6))
    assert gradients.losses(network, x, 5).shape == (3,)
