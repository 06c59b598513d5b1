"""Attribution by gradients of one network, the rivals of codes: TRAK (Park et al. 2023) and D-TRAK (Zheng et al. 2024).

    score(z, x) = phi(z)' (Phi' Phi + lambda)^-1 phi(x),    phi the gradient of a function of an image by the weights,

Phi the private images' phi, one a row. Published implementations project phi at random, to fit into memory; with few
images the kernel Phi Phi' is small, and nothing need be projected.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genens.schedules import alpha_bars
from genens.seeds import generator
from genens.unet import UNet

TIMES = 20  # at which an image is looked at, one from each of so many equal parts
FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {  # of predicted and true noise
    "loss": lambda predicted, noise: (predicted - noise).square(),  # TRAK, of the loss itself
    "square": lambda predicted, noise: predicted.square(),  # D-TRAK
}


def looks(count: int, shape: tuple[int, int, int], T: int, seed: int) -> tuple[Tensor, Tensor]:
    """The times, int64 (count, TIMES), and noise (count, TIMES, C, H, W) at which images are looked at."""
    draw = generator(seed)
    t = (torch.arange(TIMES) + torch.rand((count, TIMES), generator=draw)) * T / TIMES
    return t.long().clamp(max=T - 1), torch.randn((count, TIMES, *shape), generator=draw)


def values(network: UNet, image: Tensor, t: Tensor, noise: Tensor, of: str = "loss") -> Tensor:
    """The mean of a function over an image's looks: image (C, H, W) in [-1, 1], t (TIMES,), noise (TIMES, C, H, W)."""
    bar = torch.from_numpy(alpha_bars(network.config.T)).to(noise)[t].view(-1, 1, 1, 1)
    return FUNCTIONS[of](network(bar.sqrt() * image + (1 - bar).sqrt() * noise, t), noise).mean()


def losses(network: UNet, images: Tensor, seed: int) -> np.ndarray:
    """The denoising loss of every image (N, C, H, W): (N,). The same looks for every network."""
    looked = looks(len(images), images.shape[1:], network.config.T, seed)
    with torch.no_grad():
        return np.array([values(network, *one).item() for one in zip(images, *looked, strict=True)])


def features(network: UNet, images: Tensor, of: str, seed: int) -> Tensor:
    """The gradient by the weights of a function of every image (N, C, H, W): (N, P)."""
    weights = [weight.requires_grad_(True) for weight in network.parameters()]
    looked = looks(len(images), images.shape[1:], network.config.T, seed)
    rows = []
    for one in zip(images, *looked, strict=True):
        found = torch.autograd.grad(values(network, *one, of), weights)
        rows.append(torch.cat([part.flatten() for part in found]))
    return torch.stack(rows)


def scores(of_images: Tensor, of_samples: Tensor, damping: float) -> np.ndarray:
    """The score of every image for every sample, of features (N, P) and (B, P): (N, B). damping: lambda, in units of
    the mean eigenvalue of Phi Phi'."""
    kernel, cross = of_images.double() @ of_images.double().T, of_images.double() @ of_samples.double().T
    kernel += damping * kernel.trace() / len(kernel) * torch.eye(len(kernel))
    return torch.linalg.solve(kernel, cross).numpy()
