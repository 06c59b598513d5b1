"""Samples and counterfactuals with nothing behind them but a generator, as the Jacobian chapter stores them."""

from __future__ import annotations

import numpy as np

from genens import codes as coding

B, V, n, SHAPE = 3, 5, 5, (1, 4, 4)
MIXTURES = coding.ablations(coding.unrank(range(V), n, 2))  # no two complementary, which would tie but for rounding


def made(seed=0):
    """Images and Jacobians of nobody, inside [-1, 1] or not."""
    rng = np.random.default_rng(seed)

    def draw(*lead):
        return rng.normal(size=(*lead, *SHAPE)).astype(np.float32) * 0.8

    y = draw(B)
    return dict(
        y=y,
        J=draw(B, n),
        original=y.clip(-1, 1),
        truth=draw(B, V).clip(-1, 1),
        last=draw(B, V).clip(-1, 1),
        singles=draw(B, n).clip(-1, 1),
        mixtures=MIXTURES,
    )


def draws():
    given = made()
    rng = np.random.default_rng(1)
    off = rng.normal(size=given["J"].shape).astype(np.float32)
    return given, {
        k: {"y": given["y"], "jacobian": given["J"] + scale * off, "seconds": np.full(B, k + 1.0)}
        for k, scale in ((0, 1.0), (1, 1e-5), (n, 0.0))
    }


def walked(shares):
    """A way that is a polynomial of the third degree in the share."""
    rng = np.random.default_rng(2)
    start, first, second, third = (rng.normal(size=(B, 2, 1, *SHAPE)) for _ in range(4))
    start = start[:, :1] * 0.1
    s = np.asarray(shares).reshape(-1, 1, 1, 1)
    true = start + s * first + s * s / 2 * second + s**3 * third
    return {"start": start[:, 0, 0], "true": true, "first": first[:, :, 0], "second": second[:, :, 0]}, third[:, :, 0]
