"""What averaging weights instead of predictions changes, in pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from genens import codes, finetunes, recipe, sampling, store
from genens.finetunes import FineTunes
from genens.schedules import Schedule, schedule


def distances(
    weights: FineTunes, predictions: FineTunes, steps: Schedule, samples: int, seed: int
) -> dict[str, Tensor | list]:
    """To be stored: how far, in Euclidean distance, samples from the same noise lie from what the mean of the members'
    predictions draws: "apart" (B,), what the mean of their weights draws; "members" (n, B), what each draws by itself;
    "base" (B,), what their base does. weights, predictions: the same members, mixed so."""
    noise, n = sampling.exogenous(range(samples), weights, seed, steps), weights.n
    whole = sampling.sample(predictions, noise, steps)
    mixtures = np.vstack([codes.uniform(n), np.eye(n)])
    drawn = sampling.sample(weights, noise, steps, mixtures), sampling.sample(weights.mean(np.zeros(n)), noise, steps)
    apart, *alone, base = (one for part in drawn for one in (part - whole).flatten(2).norm(dim=2))
    return {"apart": apart, "members": alone, "base": base}


def line(folder: Path, steps: int, samples: int, seed: int) -> dict[str, object]:
    """The means of `distances` for the ensemble in a folder, with how many steps its fine-tunes took."""
    both = [finetunes.load(folder, average) for average in (True, False)]
    given = dict(steps=schedule(steps), samples=samples, seed=seed)
    found = store.compute(distances, weights=both[0], predictions=both[1], **given)
    tuned = recipe.recipe_of(both[0].manifest)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    density = float(both[0].codes.mean())
    return {"steps": tuned.steps, "n": both[0].n, "samples": samples, "density": density, **means}
