"""The Euclidean distance between images, and how two sets of images are set against each other.

The counterfactuals (V, B, C, H, W) stand against their originals (B, C, H, W): leading axes broadcast. Distances by
networks are in `perceptual`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def pairs(a: object, b: object) -> tuple[Tensor, Tensor]:
    """Two sets of images (..., C, H, W) with their leading axes broadcast. ValueError when they do not fit."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    if min(a.ndim, b.ndim) < 3 or a.shape[-3:] != b.shape[-3:]:
        raise ValueError(
            f"expected two sets of images (..., C, H, W) of one size, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    try:
        return torch.broadcast_tensors(a, b)
    except RuntimeError as problem:
        raise ValueError(
            f"expected leading axes that broadcast, got {tuple(a.shape)} and {tuple(b.shape)}; "
            "give originals (B, C, H, W) beside counterfactuals (V, B, C, H, W)"
        ) from problem


def euclidean(a: object, b: object) -> np.ndarray:
    """The Euclidean distance between images (..., C, H, W): float64 (...), in units of [-1, 1] pixels.

    Source: paper, Section 3.1. Raises ValueError when the shapes do not fit.
    """
    a, b = pairs(a, b)
    return (a.double() - b.double()).flatten(-3).norm(dim=-1).cpu().numpy()


def every_pair(a: object, b: object) -> np.ndarray:
    """The Euclidean distance between each of the images, or features, (N, ...) and each of (M, ...): float32 (N, M),
    exact where they are small."""
    flat = (torch.as_tensor(side).float().flatten(1) for side in (a, b))
    return torch.cdist(*flat, compute_mode="donot_use_mm_for_euclid_dist").numpy()
