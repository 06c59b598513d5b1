"""How far other codes and other training seeds move the numbers of chapter 2: its ensemble, trained again.

`bench/retrained.yml` has the recipes; `bench/retrained.py` measures what was trained and writes bench/retrained.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from genens import files, store
from genens.recipe import Recipe
from genens_book.chapters.class_ablation import analysis
from genens_book.measures import stats
from genens_book.measures.stats import Interval
from genens_book.pages import claims as paper
from genens_book.pages.words import number, times

Row = Mapping[str, object]
NAMES = {
    "s3.1-influence-accuracy-euclidean": "own class moves furthest",
    "s3.1-class-changed-predicted": "own class ablated: digit changes",
    "s3.1-class-changed-other": "another ablated: digit changes",
    "f2c-larger-euclidean": "own moves further than another",
    "f2d-class-diminished": "still drawn, once ablated",
    "f2d-untrained-digits": "looks like a 5, 7 or 9",
}


def numbers(measured: Mapping[str, np.ndarray], classes: Sequence[int], seed: int) -> dict[str, Interval]:
    """The chapter's headline numbers, by claim, from `analysis.measure`; intervals over samples."""
    labels, row = measured["labels"], analysis.rows(measured["labels"], classes)
    rates = analysis.changes(labels, row, seed)
    own, other = analysis.own_and_other(measured["euclidean"], row)
    return {
        "s3.1-influence-accuracy-euclidean": analysis.accuracy(measured["euclidean"], row, seed),
        "s3.1-class-changed-predicted": rates["own"],
        "s3.1-class-changed-other": rates["other"],
        "f2c-larger-euclidean": stats.exceedance(own, other, seed),
        "f2d-class-diminished": analysis.diminished(labels, classes, seed),
        "f2d-untrained-digits": stats.bootstrap(np.isin(labels, (5, 7, 9)).mean(axis=1), seed=seed),
    }


def row(name: str, found: Mapping[str, Interval], drawn: Mapping[str, object], manifest: Mapping) -> Row:
    """One retrained ensemble for the file: its numbers, how its samples were drawn, and its manifest."""
    kept = {key: value for key, value in manifest.items() if key != "files"}
    return {"name": name, "numbers": {id: asdict(i) for id, i in found.items()}, "drawn": drawn, "manifest": kept}


def rows(recipe: Mapping, file: Path | None = None) -> list[Row]:
    """The rows of bench/retrained.json that were trained by this recipe but for seed and order of classes. ValueError
    for a file that is damaged or lacks a number."""
    file = file or store.home() / "bench" / "retrained.json"
    measured, remedy = "the retrained ensembles that bench/retrained.py measured", "restore it or run the script"
    with files.expecting(measured, file, remedy):
        found = json.loads(file.read_text(encoding="utf-8"))
        for one in found:
            _ = one["name"], one["drawn"]["n_samples"], [float(one["numbers"][id]["value"]) for id in NAMES]
        return [one for one in found if _kind(one["manifest"]["recipe"]) == _kind(recipe)]


def _kind(recipe: Mapping) -> dict:
    """A recipe without what a retraining changes; what an older manifest does not name has its default."""
    whole, changed = asdict(Recipe(**recipe)), {"seed", "classes", "precision"}
    return {name: value for name, value in whole.items() if name not in changed} | {"of": sorted(whole["classes"])}


def again(found: Sequence[Row]) -> dict[str, list[float]]:
    """Every number as the retrained ensembles have it: {claim: (K,)}, for each claim that it stands behind."""
    values = {id: [one["numbers"][id]["value"] for one in found] for id in NAMES}
    return values | {"f2b-above-chance-euclidean": values["s3.1-influence-accuracy-euclidean"]}


def one_more(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Where the number of one more training would fall: the prediction interval of a normal variable from K of them;
    anywhere for fewer than two."""
    if (K := len(values)) < 2:
        return -np.inf, np.inf
    reach = student.ppf((1 + level) / 2, K - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / K)
    return float(np.mean(values) - reach), float(np.mean(values) + reach)


def words(here: Mapping[str, Interval], found: Sequence[Row], book: Mapping[str, paper.Claim]) -> dict[str, object]:
    """For the prose: how often it was trained again; and what that says of the intervals and of the paper's numbers."""
    K, others = len(found), again(found)
    if not K:
        nothing = "By the recipe of this ensemble none was trained again"
        return {"again_n": f"{nothing}.", "again_all": 1, "again_says": ""}
    ratios = [deviation(here[id], others[id]) / error(here[id]) for id in NAMES]
    falls = {}
    for id in (id for id in NAMES if not book[id].says):
        low, high = one_more([here[id].value, *others[id]])
        falls[NAMES[id]] = low <= book[id].value <= high
    inside = [name for name, holds in falls.items() if holds]
    named = f": {'; '.join(inside)}" if inside else ""
    drawn, precision = found[0]["drawn"]["n_samples"], found[0]["manifest"]["recipe"]["precision"]
    return {
        "again_n": f"The ensemble was trained {times(K)} more by the same recipe (in {precision}), with the classes "
        "dealt anew to the codes and another seed of initialisation, minibatches and noise, and drew "
        f"{drawn} samples each time.",
        "again_all": K + 1,
        "again_says": f"The ratio of the two lies between {number(min(ratios), 1)} and {number(max(ratios), 1)}; where "
        "it is above 1, the bootstrap intervals of this chapter understate how far a repetition would move. Of the "
        f"paper's {len(falls)} numbers, {len(inside)} {'lies' if len(inside) == 1 else 'lie'} where one more training "
        f"could fall{named}.",
    }


def deviation(here: Interval, others: Sequence[float]) -> float:
    """The standard deviation between trainings: of a number here and by the (K,) others, K at least 1."""
    return float(np.std([here.value, *others], ddof=1))


def error(here: Interval) -> float:
    """The standard error that the draw of samples leaves, from a 95 % interval."""
    return (here.high - here.low) / 3.92
