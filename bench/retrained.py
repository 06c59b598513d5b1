"""Measures the class ensembles that were trained again, those of bench/retrained.yml that are there:

    python -m genens.train bench/retrained.yml && python -m bench.retrained

and writes bench/retrained.json: for each the headline numbers of chapter 2, from as many samples of the same noises,
and its manifest. The ensembles themselves are not shipped.
"""

from __future__ import annotations

import json

import numpy as np

from genens import codes, ensemble, files, sampling, schedules, store
from genens.recipe import recipes
from genens_book.chapters.class_ablation import analysis, retrained
from genens_book.measures import classifier, perceptual
from genens_book.pages import parameters

FILE = store.home() / "bench" / "retrained.json"


def measure(name: str) -> retrained.Row:
    """One of them, under chapter 2's parameters."""
    given = parameters.load("laptop")["02_class_ablation"]
    drawn = {key: given[key] for key in ("seed", "n_samples", "steps", "sampler", "variance")}
    members = ensemble.load(store.trained() / "retrained" / name, engine=given["engine"])
    classes = members.manifest["recipe"]["classes"]
    y = store.chunked(
        sampling.samples, drawn["n_samples"], 64,
        members=members, seed=drawn["seed"],
        steps=schedules.schedule(drawn["steps"], drawn["sampler"], drawn["variance"]),
        mixtures=np.vstack([codes.uniform(members.n), codes.ablations(codes.walsh(len(classes) + 1))]),
    )["y"]  # fmt: skip
    digits, vgg = classifier.load(parameters.folder("digits", "laptop")), perceptual.find_vgg(None)
    measured = store.compute(analysis.measure, y=y, digits=digits, vgg=vgg)
    return retrained.row(name, retrained.numbers(measured, classes, drawn["seed"]), drawn, members.manifest)


def main() -> None:
    known = {row["name"]: row for row in json.loads(FILE.read_text())} if FILE.exists() else {}
    for name in recipes(FILE.with_suffix(".yml")):
        if name not in known and (store.trained() / "retrained" / name / "manifest.json").exists():
            known[name] = measure(name)
            files.atomic_write(FILE, json.dumps([*known.values()], indent=1) + "\n")
            print(name, {id: round(found["value"], 3) for id, found in known[name]["numbers"].items()})


if __name__ == "__main__":
    main()
