"""What one digit and a few samples show of a diffusion model: noising, guessing, denoising, and one noise for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genens.ensemble import Members
from genens.sampling import Noise, sample
from genens.schedules import Schedule, alpha_bars
from genens.seeds import generator

FRAMES = 6  # of the way back, the start and the end among them


def guessed(members: Members, x: Tensor, t: int) -> Tensor:
    """The picture that the whole ensemble sees in x (B, C, H, W) at time t: x less the noise it predicts, rescaled;
    clamped to [-1, 1]. Source: Ho et al. (2020), Eq. 15."""
    bar = float(alpha_bars()[t])
    return ((x - (1 - bar) ** 0.5 * members(x, t).mean(0)) / bar**0.5).clamp(-1, 1)


def forward(members: Members, image: np.ndarray, times: Sequence[int], seed: int) -> dict[str, Tensor]:
    """To be stored: one image (C, H, W) in [-1, 1] at each of `times`, under one noise: "noised" and what is "guessed"
    from it, (len(times), C, H, W)."""
    noise = torch.randn(image.shape, generator=generator(seed))
    bars = torch.from_numpy(alpha_bars()[list(times)]).float().view(-1, 1, 1, 1)
    noised = bars.sqrt() * torch.as_tensor(image) + (1 - bars).sqrt() * noise
    seen = [guessed(members, x[None], t)[0] for x, t in zip(noised, times, strict=True)]
    return {"noised": noised, "guessed": torch.stack(seen)}


def backward(members: Members, index: int, seed: int, steps: Schedule) -> dict[str, np.ndarray | Tensor]:
    """To be stored: sample `index` of a seed on its way from noise to a picture, under the whole ensemble: "x" after
    each number of steps in "taken" (FRAMES,), and the "guessed" picture there, both (FRAMES, C, H, W)."""
    noise = Noise(seed, [index], members.shape, len(steps))
    taken = np.linspace(0, len(steps), FRAMES).round().astype(int)
    x = torch.cat([sample(members, noise, steps, stop=int(k), clamp=False)[0] for k in taken])
    seen = [guessed(members, x[i : i + 1], int(steps.t[k])) for i, k in enumerate(taken[:-1])]
    return {"x": x.clamp(-1, 1), "guessed": torch.cat([*seen, x[-1:].clamp(-1, 1)]), "taken": taken}


def grid(members: Members, which: Sequence[int], n_noises: int, seed: int, steps: Schedule) -> dict[str, Tensor]:
    """To be stored: "y" (M, n_noises, C, H, W), what the M members `which` alone make of a seed's first noises."""
    noise = Noise(seed, range(n_noises), members.shape, len(steps))
    return {"y": sample(members, noise, steps, np.eye(members.n)[list(which)])}


def likeness(y: np.ndarray) -> tuple[float, float]:
    """How far apart two pictures lie, the median over pairs: of the same noise by two members, and of two noises by the
    same member; y (M, B, C, H, W) as from `grid`."""
    flat = np.asarray(y, dtype=np.float64).reshape(*y.shape[:2], -1)
    members = [np.linalg.norm(a - b, axis=-1) for i, a in enumerate(flat) for b in flat[:i]]
    columns = flat.transpose(1, 0, 2)
    noises = [np.linalg.norm(a - b, axis=-1) for i, a in enumerate(columns) for b in columns[:i]]
    return float(np.median(members)), float(np.median(noises))
