"""The noise schedule of Ho et al. (2020): linear betas, respaced to S steps, and every step as three numbers.

A denoising step is affine in the image, the predicted noise and the fresh noise,

    x <- a x + b eps + c z,

for ancestral sampling (Algorithm 2 of Ho et al.) and for DDIM alike; a sampler needs only a, b and c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

BETA_FIRST, BETA_LAST = 1e-4, 0.02  # Ho et al., Section 4, for T = 1000; the paper keeps them (Section B.2)


def alpha_bars(T: int = 1000) -> np.ndarray:
    """The product of 1 - beta up to and with each step: float64 (T,). Index 0 is the paper's t = 1."""
    return np.cumprod(1 - np.linspace(BETA_FIRST, BETA_LAST, T))


# The variance of the noise added at a step, from its beta, its alpha bar and the one before. Ho et al. (Section 3.2)
# allow the first two and find them alike; the third is what the paper's released code uses.
VARIANCES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "beta": lambda beta, bar, before: beta,
    "posterior": lambda beta, bar, before: beta * (1 - before) / (1 - bar),
    "alpha_beta": lambda beta, bar, before: (1 - beta) * beta,
}
SAMPLERS = ("ancestral", "ddim")


@dataclass(frozen=True)
class Schedule:
    """What a sampler needs, made by `schedule`: its steps, in the order they are taken (noisiest first).

    t: int64 (S,), the network's time argument, 0..T-1; a, b, c: float64 (S,), see the module; bar: float64 (S,).
    """

    steps: int
    sampler: str = "ancestral"
    variance: str = "posterior"
    T: int = 1000
    t: np.ndarray = field(init=False, repr=False, compare=False)
    a: np.ndarray = field(init=False, repr=False, compare=False)
    b: np.ndarray = field(init=False, repr=False, compare=False)
    c: np.ndarray = field(init=False, repr=False, compare=False)
    bar: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps, T = self.steps, self.T
        if not 1 <= steps <= T:
            raise ValueError(f"expected between 1 and T = {T} steps, got {steps}")
        for name, known in (("sampler", SAMPLERS), ("variance", tuple(VARIANCES))):
            if getattr(self, name) not in known:
                raise ValueError(f"expected {name} as one of {', '.join(known)}; got {getattr(self, name)!r}")
        # Evenly spaced, and the first and the last time are always among them: sampling starts from noise at T - 1.
        t = np.linspace(0, T - 1, steps).round().astype(np.int64) if steps > 1 else np.array([T - 1])
        bar = alpha_bars(T)[t]
        before = np.concatenate([[1.0], bar[:-1]])
        alpha = bar / before
        if self.sampler == "ddim":
            a = np.sqrt(1 / alpha)
            b = np.sqrt(1 - before) - np.sqrt((1 - bar) / alpha)
            c = np.zeros(steps)
        else:
            a = 1 / np.sqrt(alpha)
            b = -(1 - alpha) / np.sqrt(alpha * (1 - bar))
            c = np.sqrt(VARIANCES[self.variance](1 - alpha, bar, before))
            c[0] = 0.0  # Algorithm 2: z = 0 in the last step
        for name, values in zip("t a b c bar".split(), (t, a, b, c, bar), strict=True):
            object.__setattr__(self, name, values[::-1].copy())

    def __len__(self) -> int:
        return self.steps


def schedule(steps: int, sampler: str = "ancestral", variance: str = "posterior", T: int = 1000) -> Schedule:
    """The schedule of `steps` evenly spaced times out of T; `steps = T` is Algorithm 2 of Ho et al. (2020).

    sampler: "ancestral", or "ddim" (Song et al. 2021 with eta = 0, no fresh noise).
    variance: "beta", "posterior" or "alpha_beta" (see VARIANCES); DDIM ignores it.
    Raises ValueError for an unknown name, or steps outside 1..T.
    """
    return Schedule(steps, sampler, variance, T)
