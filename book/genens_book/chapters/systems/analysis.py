"""The paper's other systems beside MNIST: in what their settings fall short of the paper's, and what carries over."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from genens import unet
from genens.ensemble import Ensemble
from genens.recipe import recipe_of
from genens.unet import UNetConfig
from genens_book.measures.gallery import Gallery
from genens_book.pages import markup
from genens_book.pages.claims import NOT_RUN, Claim
from genens_book.pages.markup import Page
from genens_book.pages.words import number

PANELS = {"mnist": "ad", "cifar10": "be", "celeba": "cf"}  # pixels and sizes, in the paper's Figure 5
# What a chapter on MNIST measured and one on another data set does, by the claims that record it.
SAME = {
    "FID less the worst member's": "f3a-below-worst-member",
    "FID over the median member's": "f3-comparable",
    "Pearson correlation, median": "f5{0}-approximates",
    "… above the last step's": "f5{0}-higher-last-step",
    "… above individual models'": "f5{0}-higher-individual",
    "Rank correlation, median": "f5{1}-captures",
    "… above the last step's, sizes": "f5{1}-higher-last-step",
    "… above individual models', sizes": "f5{1}-higher-individual",
}


def reduced(book: Mapping[str, Claim], members: Ensemble, steps: int, dataset: str) -> str:
    """In what an ensemble, sampled in so many denoising steps, falls short of the paper's of a data set ("cifar10",
    "celeba"); "" where it does not. (Whose features a FID is by is said with the FID.)"""
    recipe, of = recipe_of(members.manifest), functools.partial(_value, book, dataset)
    apart = {
        "pixels a side": (members.shape[-1], int(book[f"s3.2-image-side-{dataset}"].value)),
        "million parameters": (_millions(UNetConfig(**recipe.unet)), _millions(UNetConfig.paper(3))),
        "training steps": (recipe.steps, of("epochs") * of("epoch-batches")),
        "images a minibatch": (recipe.batch, of("batch")),
        "denoising steps": (steps, book["b3-sampling-steps"].value),
    }
    return ", ".join(f"{here:,} {unit} for {there:,}" for unit, (here, there) in apart.items() if here != there)


def about(members: Ensemble, images: Gallery, n_samples: int, steps: int) -> dict[str, object]:
    """What an ensemble is and what it took, as prose has it."""
    recipe, spent = recipe_of(members.manifest), members.manifest["member_cpu_seconds"]
    return {
        "images": len(images),
        "n_members": members.n,
        "weight": members.codes[0].sum(),
        "shown": images.said,
        "parameters": number(unet.parameter_count(members.models[0]) / 1e6),
        "training_steps": recipe.steps,
        "batch": recipe.batch,
        "cost_each": markup.duration(np.mean(spent)),
        "cost": markup.duration(np.sum(spent)),
        "device": members.manifest["device"],
        "n": n_samples,
        "steps": steps,
    }


def paper_words(book: Mapping[str, Claim], dataset: str) -> dict[str, object]:
    """The paper's numbers for a data set, as prose has them."""
    ids = {name: f"s3.3-{name}" for name in ("samples", "counterfactuals")}
    ids |= {"members": "s3.2-members", "images": "b1-images"}
    return {f"paper_{name}": book[f"{id}-{dataset}"].value for name, id in ids.items()}


def settings(book: Mapping[str, Claim], members: Ensemble, images: Gallery, dataset: str) -> dict[str, object]:
    """What the paper states of a data set's ensemble and its training, as it is here: {claim id: value}. Its epochs are
    so many minibatches, whatever the size of a split."""
    recipe = recipe_of(members.manifest)
    return {
        f"s3.2-members-{dataset}": members.n,
        f"s3.2-image-side-{dataset}": members.shape[-1],
        f"f6{PANELS[dataset][0]}-searched-{dataset}": len(images),
        f"b2-learning-rate-{dataset}": recipe.lr,
        f"b2-batch-{dataset}": recipe.batch,
        f"b2-epochs-{dataset}": recipe.steps / _value(book, dataset, "epoch-batches"),
        **({"b2-flips": recipe.flip} if dataset == "cifar10" else {}),  # of both, and one chapter records a claim
    }


def _millions(config: UNetConfig) -> float:
    return round(unet.parameter_count(unet.build(config, 0)) / 1e6, 1)


def _value(book: Mapping[str, Claim], dataset: str, name: str) -> int:
    return int(book[f"b2-{name}-{dataset}"].value)


# ---------------------------------------------------------------- beside MNIST


def pairs(rows: Sequence[Mapping[str, object]], dataset: str) -> dict[str, list[Mapping[str, object]]]:
    """The rows of `ledger.scorecard`, MNIST's and a data set's, of what SAME names and the scorecard has of both."""
    found = {str(row["id"]): row for row in rows}
    wanted = {what: [f"{stem.format(*PANELS[one])}-{one}" for one in ("mnist", dataset)] for what, stem in SAME.items()}
    return {what: [found[id] for id in ids] for what, ids in wanted.items() if all(id in found for id in ids)}


def beside(rows: Sequence[Mapping[str, object]], dataset: str, name: str) -> Page:
    """`pairs` as a table, measured here and, beside it, in the paper; name: the data set's in words."""
    head = ["", "MNIST", "paper", name, "paper", "verdicts"]
    lines = []
    for what, pair in pairs(rows, dataset).items():
        shown = [text for row in pair for text in (str(row["here"]) or "not run", str(row["paper"]))]
        verdicts = dict.fromkeys(str(row["verdict"]) for row in pair)
        lines.append([what, *shown, " / ".join(verdicts)])
    return markup.lines_table(head, lines, numeric=True)


def beside_words(rows: Sequence[Mapping[str, object]], dataset: str, name: str) -> dict[str, object]:
    """`beside`, `carried`, and MNIST's correlation, as a chapter shows them."""
    mnist = next(row["here"] for row in rows if row["id"] == "f5a-approximates-mnist")
    return {"table_beside": beside(rows, dataset, name), "pearson_mnist": mnist, **carried(rows, dataset)}


def carried(rows: Sequence[Mapping[str, object]], dataset: str) -> dict[str, object]:
    """How many of the verdicts that both have are the same, and which are not, in words."""
    found = {what: [str(row["verdict"]) for row in pair] for what, pair in pairs(rows, dataset).items()}
    judged = {what: pair for what, pair in found.items() if NOT_RUN not in pair}
    other = [
        f"{what} ({' here, '.join(reversed(pair))} with MNIST)" for what, pair in judged.items() if len({*pair}) > 1
    ]
    said = f"Another one: {'; '.join(other)}." if other else ""
    return {"verdicts": len(judged), "same_verdict": len(judged) - len(other), "other_verdict": said}
