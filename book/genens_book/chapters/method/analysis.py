"""One sample, followed: what the method page draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens.ensemble import Members
from genens.jacobians import dual
from genens.recipe import recipe_of
from genens.sampling import Noise, sample
from genens.schedules import Schedule
from genens_book.pages.markup import duration
from genens_book.pages.words import number

FRAMES = 6  # of the film, the start and the end among them
STOPS = 9  # mixtures on the way
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "muon": "Muon for the inner {inner} and AdamW for the rest"}
INNER = {"3x3": "convolutions", "wide": "weights that are at least as wide as high"}


def filmed(index: int, members: Members, seed: int, steps: Schedule, mixture: Sequence[float]) -> dict[str, np.ndarray]:
    """To be stored: "film", sample `index` after `taken` steps under u_0 and under another mixture (n,), before the
    clamp: (2, FRAMES, C, H, W)."""
    mixtures, noise = np.stack([coding.uniform(members.n), mixture]), Noise(seed, [index], members.shape, len(steps))
    stops = np.linspace(0, len(steps), FRAMES).round().astype(int)
    frames = [sample(members, noise, steps, mixtures, stop=int(stop), clamp=False)[:, 0] for stop in stops]
    return {"film": torch.stack(frames, dim=1).numpy(), "taken": stops}


def follow(index: int, members: Members, seed: int, steps: Schedule, mixture: Sequence[float]) -> dict[str, np.ndarray]:
    """To be stored: sample `index` under u_0 and under another mixture v (n,), and on the line through both.

    "film" and "taken" as from `filmed`; "share": the s of the mixtures u_0 + s (v - u_0), (STOPS,), from -1 where that
    is still a mixture and from 0 otherwise, to 1; "walk": the true images there and y + s J (v - u_0), (2, STOPS, C, H,
    W); "where" and "line": both in the plane of `plane`, (STOPS, 2). Images before the clamp, float32. Raises
    ValueError when v is no mixture.
    """
    v, whole = np.asarray(mixture), coding.uniform(members.n)
    noise = Noise(seed, [index], members.shape, len(steps))

    strip = filmed(index, members, seed, steps, mixture)
    share = np.linspace(-1.0 if (2 * whole >= v).all() else 0.0, 1.0, STOPS)
    mixtures = whole + share[:, None] * (v - whole)
    true = sample(members, noise, steps, mixtures, clamp=False)[:, 0]
    y = torch.from_numpy(strip["film"][0, -1])
    slope = dual(members, noise, steps, v - whole)  # one direction of J, not its n columns
    predicted = y + torch.from_numpy(share).to(y).view(-1, 1, 1, 1) * slope
    where, line = plane(true - y, predicted - y)
    return {**strip, "share": share, "walk": torch.stack([true, predicted]).numpy(), "where": where, "line": line}


def lengths(told: Mapping[str, np.ndarray]) -> tuple[float, float, float]:
    """How far the other mixture moves the sample that was followed, how far that was predicted, and how far apart, in
    the plane that is drawn, the two end; `told` as from `follow`."""
    start, end = told["film"][:, -1]
    where, line = told["where"][-1], told["line"][-1]
    return tuple(float(np.linalg.norm(change)) for change in (end - start, line, where - line))


def plane(true: Tensor, predicted: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Changes of an image, true and predicted ones along a line, (K, C, H, W) each, as points (K, 2) of one plane.

    The first axis is the direction of the prediction; the second, at a right angle to it, that in which the true
    changes leave it most, pointing to where the last of them lies.
    """
    true, predicted = (change.double().flatten(1).numpy() for change in (true, predicted))
    first = predicted[-1] / np.linalg.norm(predicted[-1])
    beside = true - np.outer(true @ first, first)
    second = np.linalg.svd(beside, full_matrices=False)[2][0]
    second *= np.sign(beside[-1] @ second) or 1.0
    axes = np.stack([first, second], axis=1)
    return true @ axes, predicted @ axes


def training(manifest: Mapping) -> dict[str, str | int]:
    """How the members of an ensemble were trained, from its manifest, as prose has it."""
    recipe = recipe_of(manifest)
    spent = np.array(manifest["member_cpu_seconds"], dtype=float)
    rate = number(recipe.lr, 2, "g")
    return {
        "training_steps": recipe.steps,
        "batch": recipe.batch,
        "epochs": number(recipe.steps * recipe.batch / np.mean(manifest["split_sizes"]), 0),
        "optimizer": OPTIMIZERS[recipe.optimizer].format(inner=INNER[recipe.matrices]),
        "rate": f"stays at {rate}" if recipe.schedule == "constant" else f"rises to {rate} and falls again",
        "precision": recipe.precision,
        "kept": f"averaged along the way (an exponential average of decay {recipe.ema})"
        if recipe.ema
        else "as they were at the end",
        "cost": duration(np.sum(spent)),
        "cost_each": duration(np.mean(spent)),
    }
