"""What an encoded ensemble of billions of images takes, from what was measured: members, codes, training, search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

from genens import store
from genens.theory import guarantee, identification
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.words import number, words


@dataclass(frozen=True)
class Plan:
    """n members for N images, codes of weight n / 2.

    codes: how many there are; bytes: of one packed code; group, aligned: how many images must share a code for their
    common effect to be seen, if the effects are orthogonal and if they are aligned, without noise of training; lds: the
    linear datamodeling score that the law allows.
    """

    n: int
    N: int
    codes: int
    bytes: int
    group: float
    aligned: float
    lds: float


def plan(n: int, N: int) -> Plan:
    """What n members do for N images. Raises ValueError where the images outnumber the codes, or n is odd."""
    if n < 2 or n % 2:
        raise ValueError(f"expected an even number of members, got n = {n}")
    if (codes := comb(n, n // 2)) < N:
        raise ValueError(
            f"expected at most C({n}, {n // 2}) = {codes:,} images, one a code; got {N:,}: take more members"
        )
    group, aligned = (identification.group_needed(n, N, aligned=side) for side in (False, True))
    return Plan(n, N, codes, -(-n // 8), group, aligned, identification.lds(n, N))


def fewest(N: int) -> dict[str, int | float]:
    """The smallest even number of members that give each of N images a code of its own, those that give Theorem 1's
    condition C(n, n/2) >= 2 N, and those at which the law sees a single image."""
    even = [n + n % 2 for n in (guarantee.members_for_guarantee(N), guarantee.members_for_guarantee(2 * N))]
    return {"unique": even[0], "theorem": even[1], "single": identification.members_needed(1 / max(N - 1, 1), N)}


def training_hours(row: Mapping, n: int, N: int, epochs: float, peak: float, utilisation: float) -> float:
    """Hours of a GPU with this peak (operations a second), at a share of it, to train n members on half of N images
    each, `epochs` times, from the operations of a step that bench/paper.py counted (a row of bench/paper.json)."""
    of_an_image = row["stages"]["train"]["flops"] / row["batch"]
    return of_an_image * epochs * n * N / 2 / (peak * utilisation) / 3600


def scan(file: Path | None = None) -> Mapping:
    """The measured search of a billion codes, from bench/results.json. ValueError for a file without one."""
    file = file or store.home() / "bench" / "results.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["scan"]
        _ = (
            [float(found[key]) for key in ("codes", "n", "samples", "k", "seconds", "gigabytes")],
            found["machine"]["cores"],
        )
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ValueError(
            f"expected the scan of a billion codes in {file}, found none ({type(problem).__name__}); restore it or run "
            "python -m bench"
        ) from problem
    return found


def scan_minutes(found: Mapping, N: int, processes: int = 1) -> float:
    """How long as many processes, each on cores like those of the measured scan, take for N codes."""
    return found["seconds"] * N / found["codes"] / processes / 60


def table(plans: Sequence[Plan]) -> Page:
    """A line for each number of members."""
    head = ["members", "codes, at least", "a code", "all codes", "group seen", "if aligned", "LDS at most"]
    lines = []
    for one in plans:
        seen = [words(round(size)) if size < one.N else "none" for size in (one.group, one.aligned)]
        size = one.bytes * one.N / 1e9
        kept = [f"{one.bytes:,} bytes", f"{size:,.0f} GB" if size >= 10 else f"{number(size, 2, 'g')} GB"]
        lines.append([words(one.n), f"10^{len(str(one.codes)) - 1}", *kept, *seen, number(one.lds, 2, "g")])
    return markup.lines_table(head, lines, numeric=True)
