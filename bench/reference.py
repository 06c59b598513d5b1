"""The method as the paper says it, as plainly as it can be written: float32, PyTorch, loops.

What `python -m bench` sets the book's own ways against.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import jvp

from genens.schedules import Schedule


def sample(models: Sequence[nn.Module], noise: Tensor, weights: Tensor, steps: Schedule) -> Tensor:
    """Algorithm 2 of Ho et al. with the weighted mean of the models' predictions (paper, Section 2.4): images
    (B, C, H, W) before the clamp. noise (B, S + 1, C, H, W), the start and one draw a step; weights (n,)."""
    x = noise[:, 0]
    for k in range(len(steps)):
        t = torch.full((len(x),), int(steps.t[k]))
        predicted = sum(weight * model(x, t) for weight, model in zip(weights, models, strict=True))
        x = steps.a[k] * x + steps.b[k] * predicted + steps.c[k] * noise[:, k + 1]
    return x


def counterfactuals(
    models: Sequence[nn.Module], noise: Tensor, codes: Tensor, rows: Sequence[int], steps: Schedule
) -> Tensor:
    """The same noise without the models that saw an image, one image after the other: (K, B, C, H, W) in [-1, 1]; codes
    bool (N, n)."""
    found = []
    for row in rows:
        left = [model for model, saw in zip(models, codes[row], strict=True) if not saw]
        found.append(sample(left, noise, torch.full((len(left),), 1 / len(left)), steps).clamp(-1, 1))
    return torch.stack(found)


def jacobian(models: Sequence[nn.Module], noise: Tensor, steps: Schedule) -> Tensor:
    """dy/dv at equal weights, a trajectory of dual numbers for each of the n weights (paper, Section 2.4): (B, n, C, H,
    W)."""
    weights, columns = torch.full((len(models),), 1 / len(models)), []
    for direction in torch.eye(len(models)):
        columns.append(jvp(lambda v: sample(models, noise, v, steps), (weights,), (direction,))[1])
    return torch.stack(columns, dim=1)


def search(J: Tensor, codes: Tensor, k: int, part: int = 4096) -> tuple[Tensor, Tensor]:
    """The k images x with the longest J (u_-x - u_0) for each sample (paper, Section 3.3): rows and lengths, (B, k).
    J (B, n, m); codes bool (N, n); `part` images at a time, so that their changes fit into memory."""
    n, rows, lengths = codes.shape[1], [], []
    moves = (~codes).float() / (~codes).sum(1, keepdim=True) - 1 / n
    for one in J:
        influence = torch.cat([(some @ one).norm(dim=1) for some in moves.split(part)])
        best = influence.topk(k)
        rows.append(best.indices)
        lengths.append(best.values)
    return torch.stack(rows), torch.stack(lengths)
