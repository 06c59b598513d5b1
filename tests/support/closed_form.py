"""What tests of members in closed form share: images, and the posterior mean by its definition."""

from __future__ import annotations

from math import exp

import numpy as np
import torch

from genens.schedules import alpha_bars


def some_images(N: int, shape=(1, 3, 3), seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (N, *shape), dtype=np.uint8))


def posterior_mean(x: torch.Tensor, images: torch.Tensor, t: int) -> torch.Tensor:
    """The mean of the images as seen from one noisy x, by the definition; mid-grey for no images."""
    bar = float(alpha_bars()[t])
    distances = [float(((x - bar**0.5 * image) ** 2).sum()) / (2 * (1 - bar)) for image in images]
    weights = [exp(min(distances) - d) for d in distances]
    total = torch.zeros_like(x)
    for weight, image in zip(weights, images, strict=True):
        total += weight / sum(weights) * image
    return total
