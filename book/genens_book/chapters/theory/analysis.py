"""The numbers of the theory chapter that need no experiment: bounds side by side, and the planner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt

import numpy as np

from genens.theory import bias
from genens.theory.bias import Bound, bias_bound
from genens_book.chapters.theory import exact

ROWS = 256  # images whose pairs with all others are looked at together


def load(N: int, n: int) -> float:
    """N / M: which share of the codes of weight n / 2 the images fill."""
    return N / comb(n, n // 2)


def bounds(settings: Mapping[str, tuple[int, int, int]]) -> dict[str, dict[str, Bound]]:
    """Every kind of bound, {kind: bound}, for each of {name: (N, n, h)}."""
    return {name: {kind: bias_bound(*setting, kind) for kind in bias.KINDS} for name, setting in settings.items()}


def bound_curves(images: Sequence[int], most: int) -> dict[int, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """{N: {kind: (n, bound)}} for even n from the fewest with a code for every image up to `most`, n = 2h."""
    found = {}
    for N in images:
        members = [n for n in range(2, most + 1, 2) if comb(n, n // 2) >= N]
        found[N] = {
            kind: (np.array(members), np.array([bias_bound(N, n, n // 2, kind).value for n in members]))
            for kind in bias.KINDS
        }
    return found


def plan(images: Sequence[int], targets: Sequence[float], kind: str) -> dict[tuple[int, float], int]:
    """{(N, target): the fewest members that keep the bias within the target}, by one kind of bound."""
    return {(N, target): bias.members_needed(N, target, kind) for N in images for target in targets}


def statements_agree(n: int = 10, N: int = 10) -> dict[tuple[int, int], bool]:
    """Whether both statements of Theorem 1 have one and the same sharp bound, in rational arithmetic: {(N, n): whether}
    for every even number of members from 4 up to n and every number of images up to N that has codes."""
    cases = [(k, m) for m in range(4, n + 1, 2) for k in range(1, min(N, comb(m, m // 2)) + 1)]
    return {(k, m): exact.bound(k, m, m // 2, 1) == exact.bound(k, m, m // 2, 2) for k, m in cases}


@dataclass(frozen=True)
class Representation:
    """How many members still hold another image after one is ablated, over all ordered pairs of images.

    A balanced code (Theorem 2) has sd 0; smallest and largest are over all pairs.
    """

    mean: float
    sd: float
    smallest: int
    largest: int


def representation(codes: np.ndarray) -> Representation:
    """The unevenness of codes, bool (N, n), by a look at every pair. Raises ValueError for fewer than two images."""
    if len(codes) < 2:
        raise ValueError(f"expected at least one pair of images, got {len(codes)} of them")
    ones, pairs = codes.astype(np.float32), np.zeros(codes.shape[1] + 1, dtype=np.int64)
    for some in np.array_split(ones, -(-len(ones) // ROWS)):
        left = (1 - some) @ ones.T  # [x, y]: how many of the members that are left when x is ablated hold y
        pairs += np.bincount(left.astype(np.int64).ravel(), minlength=len(pairs))
    pairs[0] -= len(codes)  # every image with itself
    m, total = np.arange(len(pairs)), pairs.sum()
    mean, found = float(m @ pairs / total), np.flatnonzero(pairs)
    return Representation(mean, sqrt((m - mean) ** 2 @ pairs / total), int(found[0]), int(found[-1]))


def in_order(ranks: Iterable[int]) -> str:
    """Places in an order, best first, in words: 1, 4, 1,020."""
    return ", ".join(f"{rank:,}" for rank in sorted(ranks))
