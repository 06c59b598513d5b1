"""Muon (Jordan et al. 2024): gradient descent on matrices whose steps are made orthogonal, all of one shape at once.

The settings are those of torch.optim.Muon with adjust_lr_fn "match_rms_adamw" (Liu et al. 2025), its coefficients and
its momentum, Nesterov's. That one takes matrices one by one and multiplies in bfloat16, which processors without such
instructions do sixteen times slower than float32; here it is a batch of products in the matrices' own type, and the
rate is a tensor, so that a step can be recorded as a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

A, B, C = 3.4445, -4.7750, 2.0315  # of s -> A s + B s^3 + C s^5, which five times over takes (0, 1] to about 1
ITERATIONS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """U S' V^T of matrices U S V^T, (K, r, c) with r <= c, singular values S' roughly 1: Newton and Schulz's iteration
    (Jordan et al. 2024), from S over the Frobenius norm."""
    X = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), X, beta=A)
    return X


class Muon(torch.optim.Optimizer):
    """For matrices (r, c), r <= c. lr is a tensor that holds one number; a matrix's state is its "momentum_buffer"."""

    def __init__(self, matrices: Iterable[nn.Parameter], lr: Tensor, weight_decay: float, momentum: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step; every matrix has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for matrix in group["params"]:
                alike.setdefault(matrix.shape, []).append(matrix)
            for matrices in alike.values():
                self._move(matrices, group["lr"], group["weight_decay"], group["momentum"])

    def _move(self, matrices: Sequence[nn.Parameter], lr: Tensor, weight_decay: float, momentum: float) -> None:
        """Matrices of one shape."""
        gradients = [matrix.grad for matrix in matrices]
        momenta = [self.state[matrix]["momentum_buffer"] for matrix in matrices]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, momenta, momentum)
        size = 0.2 * max(matrices[0].shape) ** 0.5  # so that entries move as far as AdamW moves them
        moves = orthogonal(torch.stack(ahead)) * (lr * size)
        torch._foreach_mul_(matrices, 1 - lr * weight_decay)
        torch._foreach_sub_(matrices, moves.unbind())
