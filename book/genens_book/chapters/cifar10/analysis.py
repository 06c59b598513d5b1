"""CIFAR-10 beside MNIST: in what its setting falls short of the paper's, and which verdicts carry over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genens import unet
from genens.ensemble import Ensemble
from genens.recipe import recipe_of
from genens.unet import UNetConfig
from genens_book.pages import markup
from genens_book.pages.claims import NOT_RUN, Claim
from genens_book.pages.markup import Page

# What a chapter on MNIST measured and this one does, by the claims that record it.
SAME = {
    "FID less the worst member's": ("f3a-below-worst-member-mnist", "f3a-below-worst-member-cifar10"),
    "FID over the median member's": ("f3-comparable-mnist", "f3-comparable-cifar10"),
    "Pearson correlation, median": ("f5a-approximates-mnist", "f5b-approximates-cifar10"),
    "… above the last step's": ("f5a-higher-last-step-mnist", "f5b-higher-last-step-cifar10"),
    "… above individual models'": ("f5a-higher-individual-mnist", "f5b-higher-individual-cifar10"),
    "Rank correlation, median": ("f5d-captures-mnist", "f5e-captures-cifar10"),
    "… above the last step's, sizes": ("f5d-higher-last-step-mnist", "f5e-higher-last-step-cifar10"),
    "… above individual models', sizes": ("f5d-higher-individual-mnist", "f5e-higher-individual-cifar10"),
}


def reduced(book: Mapping[str, Claim], members: Ensemble, steps: int) -> str:
    """In what an ensemble of CIFAR-10, sampled in so many denoising steps, falls short of the paper's setting; "" where
    it does not. (Whose features a FID is by is said with the FID.)"""
    recipe = recipe_of(members.manifest)
    apart = {
        "million parameters": (_millions(UNetConfig(**recipe.unet)), _millions(UNetConfig.paper(3))),
        "training steps": (recipe.steps, _value(book, "epochs") * _value(book, "epoch-batches")),
        "images a minibatch": (recipe.batch, _value(book, "batch")),
        "denoising steps": (steps, book["b3-sampling-steps"].value),
    }
    return ", ".join(f"{here:,} {unit} for {there:,}" for unit, (here, there) in apart.items() if here != there)


def settings(recipe: Mapping, images: int) -> dict[str, object]:
    """What Section B.2 states of CIFAR-10's training, as trained here: {claim id: value}."""
    return {
        "b2-learning-rate-cifar10": recipe["lr"],
        "b2-batch-cifar10": recipe["batch"],
        "b2-epochs-cifar10": round(recipe["steps"] * recipe["batch"] / images),
        "b2-flips": bool(recipe["flip"]),
    }


def _millions(config: UNetConfig) -> float:
    return round(unet.parameter_count(unet.build(config, 0)) / 1e6, 1)


def _value(book: Mapping[str, Claim], name: str) -> int:
    return int(book[f"b2-{name}-cifar10"].value)


# ---------------------------------------------------------------- beside MNIST


def beside(rows: Sequence[Mapping[str, object]]) -> Page:
    """The rows of `ledger.scorecard` that MNIST and CIFAR-10 have both: measured here and, beside it, in the paper."""
    found = {row["id"]: row for row in rows}
    head = ["", "MNIST", "paper", "CIFAR-10", "paper", "verdicts"]
    lines = []
    for what, ids in SAME.items():
        pair = [found[id] for id in ids]
        shown = [text for row in pair for text in (str(row["here"]) or "not run", str(row["paper"]))]
        verdicts = dict.fromkeys(str(row["verdict"]) for row in pair)
        lines.append([what, *shown, " / ".join(verdicts)])
    return markup.lines_table(head, lines, numeric=True)


def carried(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """How many of the verdicts that both have are the same, and which are not, in words."""
    found = {row["id"]: row for row in rows}
    pairs = {what: [str(found[id]["verdict"]) for id in ids] for what, ids in SAME.items()}
    judged = {what: pair for what, pair in pairs.items() if NOT_RUN not in pair}
    other = [
        f"{what} ({' here, '.join(reversed(pair))} with MNIST)" for what, pair in judged.items() if len({*pair}) > 1
    ]
    said = f"Another one: {'; '.join(other)}." if other else ""
    return {"verdicts": len(judged), "same_verdict": len(judged) - len(other), "other_verdict": said}
