"""Randomness as an argument: a generator is a function of integers, and nothing reads the global one."""

from __future__ import annotations

import numpy as np
import torch


def generator(*key: int) -> torch.Generator:
    """A CPU generator whose state is a function of the non-negative integers `key` alone.

    The integers are mixed by numpy's SeedSequence, so that neighbouring keys give unrelated streams.
    Raises ValueError for a negative one.
    """
    if any(k < 0 for k in key):
        raise ValueError(f"expected seeds of at least 0, got {key}")
    state = np.random.SeedSequence(key).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
