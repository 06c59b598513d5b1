"""Jacobians with nothing behind them but a generator, and the plain route from them to influence."""

from __future__ import annotations

import torch

from genens import codes as coding

CODES = coding.constant_weight(50, 8, 4, 0)


def jacobians(B=3, n=8, seed=0):
    return torch.randn(B, n, 1, 5, 5, generator=torch.Generator().manual_seed(seed)).double()


def plain(J, codes):
    """||J (u_-x - u_0)|| with the whole change formed, one image of the database at a time."""
    rows = []
    for weights in coding.ablations(codes):
        delta = torch.from_numpy(weights - 1 / codes.shape[1])
        rows.append(sum(delta[j] * J[:, j] for j in range(len(delta))).flatten(1).norm(dim=1))
    return torch.stack(rows, dim=1).numpy()
