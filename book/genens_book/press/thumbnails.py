"""The training images that the pages show of an ensemble, kept as thumbnails with the weights for readers without them.

    python -m genens_book.press.thumbnails cifar20

What the chapter (its lists) and the explorer (its first places, and what it regenerates) compute for this is stored,
and not computed again when the book is built on this machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from genens import attribution, ensemble, files, jacobians, recipe, schedules, store
from genens.ensemble import Ensemble
from genens_book.chapters.explorer import analysis
from genens_book.chapters.faces import figures
from genens_book.chapters.search import analysis as searching
from genens_book.measures import gallery
from genens_book.measures.not_run import NotRun
from genens_book.pages import parameters

CHAPTERS = {"cifar10": "08_cifar10", "faces": "09_faces"}  # by data set: what lists its images


def listed(members: Ensemble, settings: Mapping, discounted: bool = False) -> np.ndarray:
    """The rows in the lists of a chapter with these settings, of every sample with a Jacobian: (B, k); or those left
    after discounting among the samples whose lists are shown."""
    taken = schedules.schedule(settings["steps"], settings["sampler"], settings["variance"])
    how = {name: settings[name] for name in ("seed", "per_step", "tangents")}
    drawn = store.chunked(jacobians.jacobians, settings["n_jacobian"], 8, members=members, steps=taken, **how)
    gram = jacobians.gram(jacobians.centred(drawn["jacobian"].astype(np.float64)))
    if not discounted:
        return attribution.top_k(gram, members.codes, settings["k"]).rows
    left = searching.discounted(gram[: settings["n_lists"]], members.codes, settings["k"])
    return np.zeros((0, settings["k"]), int) if isinstance(left, NotRun) else left.top.rows


def explored(members: Ensemble, settings: Mapping) -> np.ndarray:
    """The rows that the explorer with these settings has pictures of, of an ensemble in a tab of its own: (M,)."""
    taken = schedules.schedule(settings["steps"], settings["sampler"], settings["variance"])
    names = {"samples": "n_world", "top": "n_top", "others": "n_random", "place": "n_list"}
    how = {name: settings[names.get(name, name)] for name in analysis.Asked.__dataclass_fields__ if name != "steps"}
    return analysis.shown(analysis.seen(members, analysis.Asked(steps=taken, **how)), members.codes)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m genens_book.press.thumbnails", description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="a shipped ensemble, for instance cifar20")
    name = parser.parse_args(arguments).weights
    settings = parameters.load(parameters.SHIPPED)
    try:
        folder = parameters.folder(name, parameters.SHIPPED)
        manifest, _ = files.read_folder(folder)
        if (dataset := manifest["recipe"]["dataset"]) not in CHAPTERS:
            raise ValueError(f"expected an ensemble of {' or '.join(CHAPTERS)}, got {name} of {dataset}: it needs none")
        images, chapter = recipe.trained_on(manifest), settings[CHAPTERS[dataset]]
        members = ensemble.load(folder, chapter["precision"], chapter["engine"])
        rows = [listed(members, chapter), explored(members, settings["explorer"])]
        if dataset == "faces":
            rows += [listed(members, chapter, discounted=True), figures.shown(gallery.of(images))]
        gallery.keep(images, np.concatenate([part.ravel() for part in rows]), parameters.thumbnails(name))
    except (ValueError, OSError) as problem:
        sys.exit(f"genens_book.press.thumbnails: {problem}")
    print(f"thumbnails in {parameters.thumbnails(name)}")


if __name__ == "__main__":
    main()
