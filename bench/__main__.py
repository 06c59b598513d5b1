"""Each fast path against the plain way of doing the same, in one run: `make bench`.

Every line gives the median ratio of several pairs of runs, and the smallest and largest; the two ways alternate, so a
machine that slows down slows both. Both must agree before they are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import comb

import numpy as np
import torch

from genens import codes, ensemble, store
from genens.sampling import Noise, sample
from genens.schedules import Schedule, schedule
from genens.theory import guarantee


def compare(name: str, plain: Callable[[], object], fast: Callable[[], object], pairs: int = 5) -> None:
    """Print how many times longer `plain` takes than `fast`."""
    ratios, seconds = [], []
    for _ in range(pairs):
        took = []
        for way in (plain, fast):
            began = time.perf_counter()
            way()
            took.append(time.perf_counter() - began)
        ratios.append(took[0] / took[1])
        seconds.append(took[1])
    middle, low, high = np.median(ratios), min(ratios), max(ratios)
    print(f"{name:<62} {middle:8.1f}x   ({low:.1f} to {high:.1f}), {np.median(seconds):.3f} s")


def algorithm_2(members: ensemble.Ensemble, noise: torch.Tensor, weights: np.ndarray, steps: Schedule) -> torch.Tensor:
    """Sampling as printed in the article: one mixture at a time, every member at every step."""
    x = noise[:, 0]
    for k in range(len(steps)):
        eps = sum(w * f for w, f in zip(weights, members(x, steps.t[k]), strict=True))
        x = steps.a[k] * x + steps.b[k] * eps + steps.c[k] * noise[:, k + 1]
    return x.clamp(-1, 1)


def bench_sampling(samples: int = 64, S: int = 4) -> None:
    """Eight mixtures of the shipped class ensemble."""
    folder, steps = store.home() / "weights" / "mnist7", schedule(S)
    slow, fast = ensemble.load(folder), ensemble.load(folder, engine="openvino")
    mixtures = np.vstack([codes.uniform(7), codes.ablations(codes.walsh(8))])
    noise = Noise(0, range(samples), slow.shape, S).tensor()

    def plain() -> torch.Tensor:
        return torch.stack([algorithm_2(slow, noise, weights, steps) for weights in mixtures])

    torch.testing.assert_close(plain(), sample(slow, noise, steps, mixtures), atol=1e-4, rtol=0)
    compare(
        "samples under 8 mixtures: all members, one by one, by PyTorch",
        plain,
        lambda: sample(fast, noise, steps, mixtures),
        3,
    )
    compare("the same, both by PyTorch", plain, lambda: sample(slow, noise, steps, mixtures), 3)


def bench_guarantee(N: int = 4000) -> None:
    """Every ordered pair of codes: one at a time in numpy, against the subset sums."""
    drawn = codes.constant_weight(N, 16, 8, 0)

    def plain() -> bool:
        return all((~row & drawn).any(axis=1).sum() == N - 1 for row in drawn)

    assert plain() and guarantee.guarantee(drawn).holds
    compare(f"the guarantee on {N:,} codes of 16 bits: row by row", plain, lambda: guarantee.guarantee(drawn))


def bench_codes(n: int = 16) -> None:
    """All C(n, h) codes in random order: drawing again after a collision, against unranking."""
    M = comb(n, n // 2)

    def plain() -> np.ndarray:
        rng, seen = np.random.default_rng(0), {}
        while len(seen) < M:
            row = np.zeros(n, bool)
            row[rng.permutation(n)[: n // 2]] = True
            seen.setdefault(row.tobytes(), row)
        return np.stack(list(seen.values()))

    assert len(np.unique(codes.constant_weight(M, n, n // 2, 0), axis=0)) == len(plain()) == M
    compare(
        f"all {M:,} codes of 16 bits: draw until none is missing",
        plain,
        lambda: codes.constant_weight(M, n, n // 2, 0),
        3,
    )


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; plain / fast, median (range), fast alone")
    bench_codes()
    bench_guarantee()
    bench_sampling()
