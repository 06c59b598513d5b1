"""Leaner rules for the Jacobian than a few members in turn: `python -m bench.rules` writes bench/rules.json.

A rule says which members lend their input Jacobian at a step, and how many directions they push: of a sample's n
columns, less their mean, the few strongest (their principal components), beside the mean. Each rule is set beside the
exact Jacobian and the true counterfactuals, on the same samples; what it costs is counted in passes of one network, not
in seconds. The adjoint is judged by what it could at best know: random projections of the exact J.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from genens import attribution, codes, ensemble, files, jacobians, provenance, store
from genens.jacobians import difference_images, differences
from genens.sampling import Noise, counterfactuals, drawing
from genens.schedules import Schedule, schedule
from genens_book.chapters.jacobian import draws
from genens_book.chapters.jacobian.analysis import against_truth
from genens_book.measures import machine, stats

FILE = store.home() / "bench" / "rules.json"
SAMPLES, COUNTERFACTUALS, STEPS, SEED = 12, 32, 20, 0
TOP = 10  # images in a list
BACKWARD = 2  # passes that a gradient costs beside the pass it is of

Turn = Callable[[int], list[int]]


# ---------------------------------------------------------------- rules


def in_turn(count: Callable[[int], int], order: Sequence[int]) -> Turn:
    """So many members at step k, going round in an order, from the first step on (which needs none: J is 0 there)."""

    def turn(k: int) -> list[int]:
        start = sum(count(j) for j in range(k))
        return [order[(start + j) % len(order)] for j in range(count(k))]

    return turn


def early(first: int, then: int, share: float = 0.5) -> Callable[[int], int]:
    """So many members in the first steps, a share of all, the noisy ones; and then."""
    return lambda k: first if k < share * STEPS else then


def apart(held: np.ndarray) -> list[int]:
    """An order of members (columns of codes) in which each, of those left, shares fewest images with the last."""
    shared = held.T.astype(int) @ held.astype(int)
    order = [0]
    while len(order) < len(shared):
        left = [i for i in range(len(shared)) if i not in order]
        order.append(min(left, key=lambda i: shared[order[-1], i]))
    return order


def rules(held: np.ndarray) -> dict[str, tuple[Turn, int | None]]:
    """By name: who lends an input Jacobian at a step, and how many directions of each sample are pushed, None for all
    columns."""
    n = held.shape[1]
    plain, far = [*range(n)], apart(held)
    every, two, one = (in_turn(lambda k, m=m: m, plain) for m in (n, 2, 1))
    return {
        "all members": (every, None),
        "four in turn": (in_turn(lambda k: 4, plain), None),
        "two in turn": (two, None),
        "two in turn, each far from the last": (in_turn(lambda k: 2, far), None),
        "three, then one": (in_turn(early(3, 1), plain), None),
        "one, then three": (in_turn(early(1, 3), plain), None),
        "two, then one": (in_turn(early(2, 1), plain), None),
        "one, then two": (in_turn(early(1, 2), plain), None),
        "one, in the last quarter four": (in_turn(early(1, 4, 0.75), plain), None),
        "one in turn": (one, None),
        "one at every other step": (lambda k: one((k + 1) // 2) if k % 2 else [], None),
        "two in turn, 8 directions": (two, 8),
        "two in turn, 4 directions": (two, 4),
        "two in turn, 2 directions": (two, 2),
        "four in turn, 4 directions": (in_turn(lambda k: 4, plain), 4),
        "four in turn, 2 directions": (in_turn(lambda k: 4, plain), 2),
        "all members, 4 directions": (every, 4),
        "one in turn, 4 directions": (one, 4),
    }


@torch.no_grad()
def jacobian(
    members: ensemble.Members, noise: Noise, steps: Schedule, turn: Turn, directions: int | None
) -> tuple[Tensor, Tensor, int]:
    """y, J as `jacobians.jacobian` has them, by a rule, with tangents from differences; and passes a sample. A step at
    which nobody lends an input Jacobian takes the last step's D J."""
    draw = drawing(noise, steps)
    x, passes = draw(0), 0
    J = x.new_zeros(members.n, *x.shape)
    DJ = torch.zeros_like(J)
    for k in range(len(steps)):
        using = turn(k) if k else []
        F = members(x, steps.t[k])
        passes += members.n
        if using:
            coefficients, pushed = strongest(J, directions)
            images, h = difference_images(x, pushed)
            seen = [members(images[1:].flatten(0, 1), steps.t[k], [i])[0].unflatten(0, h.shape[:2]) for i in using]
            moved = [differences(torch.cat([F[i][None], there]), h) for i, there in zip(using, seen, strict=True)]
            DJ = torch.einsum("bnr,rb...->nb...", coefficients, sum(moved) / len(using))
            passes += len(using) * len(h)
        J = steps.a[k] * J + steps.b[k] * (F + DJ)
        x = steps.a[k] * x + steps.b[k] * F.mean(0)
        if steps.c[k]:
            x += steps.c[k] * draw(k + 1)
    return x, J.transpose(0, 1), passes


def strongest(J: Tensor, directions: int | None) -> tuple[Tensor, Tensor]:
    """Coefficients (B, n, r) and images (r, B, ...) whose product is J (n, B, ...), as nearly as r - 1 directions
    beside the columns' mean can have it; all columns themselves for None."""
    n, B = J.shape[:2]
    if directions is None:
        return torch.eye(n).expand(B, n, n).to(J), J
    mean = J.mean(0, keepdim=True)
    columns = (J - mean).transpose(0, 1).flatten(2)
    _, vectors = torch.linalg.eigh(columns @ columns.transpose(1, 2))
    kept = vectors[:, :, -directions:]
    images = (kept.transpose(1, 2) @ columns).unflatten(2, J.shape[2:]).transpose(0, 1)
    return torch.cat([kept, torch.ones(B, n, 1).to(J)], dim=2), torch.cat([images, mean])


# ---------------------------------------------------------------- what they are worth


def row(name: str, passes: float, values: dict[str, np.ndarray]) -> dict:
    """A line of the table: values (B,) of samples as means with 95 % intervals."""
    found = {key: stats.bootstrap(value, seed=SEED) for key, value in values.items()}
    told = {key: [one.value, one.low, one.high] for key, one in found.items()}
    print(f"{name:<40} {passes:>7,.0f} passes  " + "  ".join(f"{key} {one[0]:.3f}" for key, one in told.items()))
    return {"name": name, "passes": passes, **told}


def against_exact(gram: np.ndarray, exact: np.ndarray, held: np.ndarray) -> dict[str, np.ndarray]:
    """Of the lengths of all images' predicted changes, by the Gram matrices (B, n, n): the rank correlation with the
    exact ones, and the share of the first TOP that both name."""
    lists = [attribution.top_k(one, held, TOP).rows for one in (gram, exact)]
    both = [len(np.intersect1d(*rows)) / TOP for rows in zip(*lists, strict=True)]
    lengths = [attribution.influence(one, held) for one in (gram, exact)]
    return {"ranks": stats.spearman(*lengths), "listed": np.array(both)}


def study() -> list[dict]:
    """Every rule of `rules`, and projections by the adjoint, on MNIST's ensemble."""
    members = ensemble.load(store.home() / "weights" / "mnist16", engine="openvino")
    steps, held = schedule(STEPS), members.codes
    noise = Noise(SEED, range(SAMPLES), members.shape, STEPS)
    chosen = draws.chosen(len(held), COUNTERFACTUALS, SEED)
    mixtures, truth = (
        codes.ablations(held[chosen]),
        counterfactuals(members, noise, steps, held, chosen).transpose(0, 1),
    )
    rows, exact = [], {}
    for name, (turn, directions) in rules(held).items():
        y, J, passes = jacobian(members, noise, steps, turn, directions)
        original, centred = y.clamp(-1, 1).numpy(), jacobians.centred(J)
        worth = against_truth({"y": y, "jacobian": J}, truth.numpy(), original, mixtures)
        exact = exact or {"J": centred, "gram": jacobians.gram(centred), **worth}
        values = {
            "cosine": torch.cosine_similarity(centred.flatten(1), exact["J"].flatten(1)).numpy(),
            **{f"{key}_loss": exact[key] - value for key, value in worth.items()},
            **against_exact(jacobians.gram(centred), exact["gram"], held),
        }
        rows.append(row(name, passes, values))
    columns, draw = exact["J"].flatten(2), torch.Generator().manual_seed(SEED)
    for count in (8, 32, 128, 512):
        seen = columns @ torch.randn(columns.shape[2], count, generator=draw)
        gram = (seen @ seen.transpose(1, 2) / count).double().numpy()
        passes = members.n * STEPS * (1 + count * (1 + BACKWARD))
        rows.append(row(f"adjoint, {count} random projections", passes, against_exact(gram, exact["gram"], held)))
    return rows


def main() -> None:
    found = {
        "made": provenance.describe(),
        "machine": machine.describe(),
        "samples": SAMPLES,
        "counterfactuals": COUNTERFACTUALS,
        "steps": STEPS,
        "rows": study(),
    }
    files.atomic_write(FILE, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
