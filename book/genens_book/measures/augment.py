"""What judges are trained on besides images as they are: moved digits and noise; photographs mirrored, shifted, cut."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# The largest rotation (radians), relative change of scale, shear, and shift (pixels).
ROTATION, SCALE, SHEAR, SHIFT = math.radians(12), 0.10, 0.15, 2.0
GRAINS = (28, 14, 7)  # grains of noise along a side


def move(y: Tensor, generator: torch.Generator) -> Tensor:
    """Each image of y (B, C, H, W) rotated, scaled, sheared and shifted a little, at random."""
    turn, scale, shear, right, down = torch.rand(5, len(y), generator=generator) * 2 - 1
    angle, scale, shear = ROTATION * turn, 1 + SCALE * scale, SHEAR * shear
    shift = SHIFT * 2 / y.shape[-1]  # affine_grid measures in half images
    rows = torch.stack(
        [
            scale * angle.cos(),
            shear - scale * angle.sin(),
            shift * right,
            scale * angle.sin(),
            scale * angle.cos(),
            shift * down,
        ],
        dim=1,
    )
    grid = F.affine_grid(rows.view(-1, 2, 3), list(y.shape), align_corners=False)
    return F.grid_sample(y, grid, padding_mode="border", align_corners=False)


def noise(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W) in [-1, 1] of noise: one random grain, each its own contrast and brightness."""
    B, C, H, W = shape
    grain = GRAINS[int(torch.randint(len(GRAINS), (), generator=generator))]
    contrast, brightness = torch.rand(2, B, 1, 1, 1, generator=generator)
    rows = torch.randn(B, C, grain, grain, generator=generator) * contrast * 2 + brightness * 2 - 1
    return F.interpolate(rows, (H, W), mode="bilinear", align_corners=False).clamp(-1, 1)


def mirror(y: Tensor, generator: torch.Generator) -> Tensor:
    """Each image of y (B, C, H, W) flipped left to right, or not, at random."""
    return torch.where(torch.rand((len(y), 1, 1, 1), generator=generator) < 0.5, y.flip(-1), y)


def shift(y: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image of y (B, C, H, W) shifted by at most so many pixels each way, at random, mirrored at the border."""
    B, _, H, W = y.shape
    padded = F.pad(y, (most,) * 4, mode="reflect")
    down, right = torch.randint(2 * most + 1, (2, B, 1), generator=generator)
    rows, columns = down + torch.arange(H), right + torch.arange(W)
    return padded[torch.arange(B)[:, None, None], :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def cut_out(y: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Each image of y (B, C, H, W) with a square of `side` pixels somewhere in grey (DeVries and Taylor 2017); at the
    border less of it."""
    B, _, H, W = y.shape
    across, along = (
        (torch.arange(size) - torch.randint(size, (B, 1), generator=generator)).abs() < side / 2 for size in (H, W)
    )
    return y.masked_fill((across[:, :, None] & along[:, None])[:, None], 0.0)
