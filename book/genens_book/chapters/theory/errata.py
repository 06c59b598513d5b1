"""Slips in the paper's Sections 2.3 and A, or in our copy of it, each shown by a computation. None changes what the
paper concludes.

A function a slip: it returns the numbers that show it. The words are in `errata.yml`; `table` puts the numbers there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import yaml

from genens import codes as coding
from genens.theory import bias, designs, guarantee
from genens_book.chapters.theory import catalogue, exact

WORDS = Path(__file__).with_suffix(".yml")


@dataclass(frozen=True)
class Erratum:
    """where: the place in the paper; printed and meant: the two readings; shown: the computation's outcome, in words;
    matters: whether anything depends on it; check: the function behind it, of this module or of the theory's."""

    where: str
    printed: str
    meant: str
    shown: str
    matters: str
    check: str


def equation_2(p: float) -> float:
    """The total weight that Eq. 2 as printed gives the subsets without x, when x is in a subset with probability p.

    A mean needs 1; dividing by Pr(x in S) gives (1 - p) / p.
    """
    return (1 - p) / p


def equation_15(N: int, M: int) -> dict[str, float]:
    """Equations 13, 14, 15 as printed, and 15 with the outer exponent (N - 1)^2 / M that it lost."""
    a = math.log1p(-(N - 1) / M)
    return {
        "13": exact.collision(N, M),
        "14": -math.expm1((N - 1) * a),
        "printed": -math.expm1(M / (N - 1) * a),
        "repaired": -math.expm1(M / (N - 1) * a * ((N - 1) ** 2 / M)),
    }


def equation_36(N: int, M: int) -> dict[str, float]:
    """Both sides of Eq. 36 as printed, and the right side with the exponent (N - 1) / M that it lost."""
    a = math.log1p(-1 / M)
    return {
        "left": -math.expm1((N - 1) * a),
        "printed": 1 - math.exp(M * a) / M,
        "repaired": -math.expm1(M * a * ((N - 1) / M)),
    }


def falls_in(N: int, M: int) -> tuple[float, float]:
    """The chance that none, and that at least one, of N - 1 uniform draws falls into (0.5, b'), of length 1 / (2 (M -
    1))."""
    hit = -math.expm1((N - 1) * math.log1p(-1 / (2 * (M - 1))))
    return 1 - hit, hit


def inclusion(p: float, draws: int, seed: int) -> float:
    """How often G(b, p) includes an element, by its definition: "if and only if the coordinate of b is at least p"."""
    return float((np.random.default_rng(seed).random(draws) >= p).mean())


def equation_24(n: int, h: int) -> tuple[Fraction, Fraction]:
    """Given the ablated image's code, the chance that another image is in a member that is left, by counting codes:
    drawn with replacement (from all M), and without (from the other M - 1). The paper uses the second for the first."""
    book = coding.unrank(range(math.comb(n, h)), n, h)
    ablated, column = book[0], book[:, ~book[0]][:, 0]  # any member that is left will do: codes are symmetric
    others = (book != ablated).any(axis=1)
    return Fraction(int(column.sum()), len(book)), Fraction(int(column[others].sum()), int(others.sum()))


def row_distances(table: np.ndarray) -> tuple[float, float]:
    """The distance between two rows of a balanced incidence table, and sqrt(2 z1 - z2), which A.2 prints for it."""
    balance = designs.check(table)
    if not balance.balanced or balance.z2 is None:
        raise ValueError("expected a balanced table of at least two points, got one that is not")
    return float(np.linalg.norm(table[0].astype(float) - table[1])), math.sqrt(2 * balance.z1 - balance.z2)


def released_assignment(N: int, n: int, seed: int) -> np.ndarray:
    """Codes as the released CreateSplits.py assigns them: drawn into a Python set, then listed in the set's order.

    A set of tuples of integers is listed by their hashes, which are fixed: bool (N, n).
    """
    rng, drawn = np.random.default_rng(seed), set()
    while len(drawn) < N:
        drawn.add(tuple(rng.permutation([0] * (n // 2) + [1] * (n // 2)).tolist()))
    return np.array(list(drawn), dtype=bool)


def orders_seen(assignments: Iterable[np.ndarray]) -> int:
    """How many different ordered assignments there are among these."""
    return len({assignment.tobytes() for assignment in assignments})


def condition_needed(largest: int) -> list[tuple[int, int, int]]:
    """The (N, n, h) with M < 2N, n = 2h <= largest, where the inequality of Theorem 1 would fail: there are none,
    because it follows from the birthday bound, which needs no such condition."""
    found = []
    for h in range(1, largest // 2 + 1):
        M = math.comb(2 * h, h)
        for N in range(M // 2 + 1, M + 1):
            if bias.bias_bound(N, 2 * h, h).value > math.log(16) * (N - 1) ** 2 / M + 1e-12:
                found.append((N, 2 * h, h))
    return found


def evidence(N: int, n: int, h: int, trials: int, seed: int) -> dict[str, object]:
    """What the computations give for N images and codes of weight h out of n: the fields of `errata.yml`."""
    M, coin = math.comb(n, h), 2 / 3
    lost, other, fano = equation_15(N, M), equation_36(N, M), catalogue.sylvester(7)
    with_replacement, without_replacement = equation_24(6, 3)
    none_falls_in, one_falls_in = falls_in(N, M)
    distance, distance_printed = row_distances(fano)
    return {
        "N": N,
        "M": M,
        "asked": 2 * N,
        "trials": trials,
        "coin": coin,
        "weights": equation_2(coin),
        "weights_fair": equation_2(0.5),
        "bias": exact.bound(3, 4, 2, statement=2),
        "violated": len(condition_needed(8)),
        "fano": designs.balanced(catalogue.as_sets(fano)),
        "single": designs.balanced([{0}], points=2),
        "line_14": lost["14"],
        "line_15": lost["printed"],
        "line_15_repaired": lost["repaired"],
        "included": inclusion(coin, 10**5, seed),
        "with_replacement": with_replacement,
        "without_replacement": without_replacement,
        "none_falls_in": none_falls_in,
        "one_falls_in": one_falls_in,
        "line_36_left": other["left"],
        "line_36": other["printed"],
        "line_36_repaired": other["repaired"],
        "distance": distance,
        "distance_printed": distance_printed,
        "orders": orders_seen(released_assignment(2, 4, seed + k) for k in range(trials)),
        "orders_here": orders_seen(coding.constant_weight(2, 4, 2, seed + k) for k in range(trials)),
    }


def table(N: int = 10_000, n: int = 16, h: int = 8, trials: int = 2000, seed: int = 0) -> list[Erratum]:
    """Every slip found, in the paper's order, with its evidence computed for N images and n members."""
    found, written = evidence(N, n, h, trials, seed), yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return [Erratum(**{**entry, "shown": entry["shown"].format_map(found)}) for entry in written]


def _vanishes(bounds: Sequence[float]) -> bool:
    """Whether the bounds (K,) of 10 images and more and more members fall, to next to nothing with 64."""
    return bool(np.all(np.diff(bounds) < 0)) and bounds[-1] < 1e-15


def appendix(settings: Iterable[tuple[int, int, int]] = tuple(coding.PAPER.values())) -> dict[str, tuple]:
    """What the computations say of each claim of Sections 2.3 and A: {claim: (verdict or number, cases looked at)}."""
    settings = list(settings)
    small = [(N, n, n // 2) for n in range(2, 13, 2) for N in range(1, min(math.comb(n, n // 2) // 2, 12) + 1)]
    under = [(N, math.comb(n, h)) for N, n, h in [*small, *settings] if math.comb(n, h) >= 2 * N]
    log4, log16 = math.log(4), math.log(16)
    full = [float(exact.bound(N, n, h, 1)) <= log16 * (N - 1) ** 2 / math.comb(n, h) for N, n, h in small]
    without_x = [float(exact.bound(N, n, h, 2)) <= log16 * N**2 / math.comb(n, h) for N, n, h in small]
    grows = [guarantee.members_for_guarantee(2**k) <= k + math.log2(k) / 2 + 2 for k in range(1, 200)]
    shrinks = {k: [bias.bias_bound(10, n, n // 2, "paper", k).value for n in range(6, 65, 2)] for k in (1, 2)}
    tables = catalogue.hadamard_designs(64).values()
    families = [catalogue.exhaustive(points) for points in range(1, 5)]
    fano = row_distances(catalogue.sylvester(7))
    lines_15, lines_36 = ([line(N, math.comb(n, h)) for N, n, h in settings] for line in (equation_15, equation_36))
    with_, without = equation_24(6, 3)
    simplices = [np.linalg.matrix_rank(np.eye(k) + np.ones((k, k))) == k for k in range(1, 65)]
    no_conflict = all(f[2] == 0 for f in families) and all(designs.check(t).concludes for t in tables)
    return {
        "s2.3-models-logarithmic": (all(grows), len(grows)),
        "s2.3-unbiased": (_vanishes(shrinks[2]), len(shrinks[2])),
        "t1-bias-full": (all(full), len(full)),
        "t1-bias-ablated": (all(without_x), len(without_x)),
        "t1-asymptotically-unbiased": (_vanishes(shrinks[1]), len(shrinks[1])),
        "t2-balanced-needs-n": (no_conflict, sum(f[0] for f in families) + len(tables)),
        "a1-collision": (all(exact.collision(N, M) <= log4 * (N - 1) ** 2 / M + 1e-12 for N, M in under), len(under)),
        "a1-equation-15": (all(line["repaired"] >= line["14"] - 1e-12 for line in lines_15), len(lines_15)),
        "a1-equation-24": (with_ == without, 1),
        "a1-gap": (all(Fraction(1, 2 * (M - 1)) <= Fraction(1, M) for _, M in under), len(under)),
        "a1-any-falls-in": (
            all(-math.expm1((N - 1) * math.log1p(-1 / M)) <= log4 * (N - 1) / M for N, M in under),
            len(under),
        ),
        "a1-equation-36": (all(math.isclose(line["left"], line["repaired"]) for line in lines_36), len(lines_36)),
        "a1-sum": (all((N - 1) + (N - 1) ** 2 <= N**2 for N, _ in under), len(under)),
        "a2-row-distance": (math.isclose(*fano), 1),
        "a2-equidistant": (all(simplices), len(simplices)),
    }
