"""Steps made orthogonal, all matrices of one shape at once, against singular values and against torch's own."""

import copy

import pytest
import torch
from torch import nn

from genens.muon import ITERATIONS, A, B, C, Muon, orthogonal
from genens.seeds import generator


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def test_singular_values_follow_the_polynomial_and_singular_vectors_stay():
    matrices = drawn(3, 5, 9)
    for matrix, found in zip(matrices, orthogonal(matrices), strict=True):
        U, S, V = torch.linalg.svd(matrix, full_matrices=False)
        S /= S.norm()
        for _ in range(ITERATIONS):
            S = A * S + B * S**3 + C * S**5
        torch.testing.assert_close(found, U @ torch.diag(S) @ V)
        assert 0.6 < S.min() and S.max() < 1.3
    assert torch.equal(orthogonal(torch.zeros(1, 2, 3)), torch.zeros(1, 2, 3))


@pytest.mark.parametrize("momentum", [0.95, 0.5])
def test_steps_are_those_of_torchs_muon_but_for_its_bfloat16(momentum):
    shapes = [(4, 6), (3, 8), (4, 6)]
    ours = [nn.Parameter(drawn(*shape, seed=k, dtype=torch.float32)) for k, shape in enumerate(shapes)]
    before, theirs = copy.deepcopy(ours), copy.deepcopy(ours)
    muon = Muon(ours, torch.tensor(0.1), weight_decay=0.01, momentum=momentum)
    muon.state.update({matrix: {"momentum_buffer": torch.zeros_like(matrix)} for matrix in ours})
    other = torch.optim.Muon(theirs, 0.1, weight_decay=0.01, momentum=momentum, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for k, pair in enumerate(zip(ours, theirs, strict=True)):
            gradient = drawn(*shapes[k], seed=10 * step + k, dtype=torch.float32)
            for matrix in pair:
                matrix.grad = gradient.clone()
        muon.param_groups[0]["lr"].fill_(0.1 / (step + 1))
        other.param_groups[0]["lr"] = 0.1 / (step + 1)
        muon.step()
        other.step()
    for one, same, start in zip(ours, theirs, before, strict=True):
        assert (one - same).norm() < 0.02 * (same - start).norm()
