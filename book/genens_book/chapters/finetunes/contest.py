"""Estimators of what single images did, against retraining: each at several numbers of members, with what it costs.

    python -m genens_book.chapters.finetunes.contest trained/finetunes weights/signs_truth --out bench/finetunes.json

An estimator says how each sample moves without each image, and is asked: is the order of the images by length that of
retraining (Spearman), is the image that moves a sample most the one (hit@1), are ten of its ten (recall@10), does the
sample move in that direction (cosine). What only scores images has no direction. By signed scores for the loss of a
sample, summed over random halves of the images, it is asked for the order of the losses in networks fine-tuned on them
(LDS, Park et al. 2023; the protocol of Zheng et al. 2024), on every other half: dampings are chosen on those between.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from genens import data, files, finetunes, jacobians, provenance, store, tuning
from genens.finetunes import Averaged, FineTunes
from genens.recipe import recipe_of, trained_on
from genens_book.chapters.finetunes import analysis, drift, estimators, gradients, truth
from genens_book.chapters.finetunes.truth import Truth
from genens_book.measures import classifier, stats

COUNTS = (16, 32, 64, 128, 256, 512, 1024)
SPARSE = 256  # members up to which a group lasso is tried: its time grows fast
TANGENTS = 64  # members up to which the Jacobian is, in forward mode, a column for each of them
FORWARD = 3  # passes that a column costs where a pass costs one
TUNED = ("tuned_6", "tuned_24", "tuned_96")
RATED = "tuned_24"  # of as many steps as the members, trained on a CPU: what an image of a member takes
DAMPINGS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of TRAK and D-TRAK: the one that does best is shown
CHOSEN_ON, JUDGED_ON = slice(0, None, 2), slice(1, None, 2)  # which of the random halves
TOP = 10
COMPARED = 256  # members with which designs are set beside each other
SETS = {"signs": ("signs", "signs_more"), **{name: (name,) for name in ("signs_quarter", "signs_half", "signs_own")}}


@dataclass(frozen=True)
class Found:
    """What an estimator says, None where it says nothing. lengths: (N, B), by which images are put in order; changes:
    (N, B, C, H, W); scores: (N, B) for the loss of a sample, higher for an image that lowers it. passes: through a
    network, forward ones (a backward one counts two), on top of the members' training."""

    name: str
    n: int
    lengths: np.ndarray | None = None
    changes: Tensor | None = None
    scores: np.ndarray | None = None
    passes: float = 0.0


def joined(parts: Sequence[Averaged]) -> Averaged:
    """Several ensembles of fine-tunes of one base on the same images as one. ValueError for others."""
    first = parts[0]
    for other in parts[1:]:
        if any(other.manifest[key] != first.manifest[key] for key in ("base", "data", "rank")):
            raise ValueError("expected fine-tunes of one base on the same images, got others")
    differences, codes = torch.cat([one.differences for one in parts]), np.concatenate([one.codes for one in parts], 1)
    digest = files.digest([one.digest for one in parts])
    about, engine = first.manifest, first.settings["engine"]
    return Averaged(first.base, differences, codes, first.shape, digest, about, engine, rank=about["rank"])


def first(members: FineTunes, n: int) -> FineTunes:
    """The first n of the members, mixed as they are."""
    about, engine = members.manifest, members.settings["engine"]
    digest = files.digest([members.digest, n])
    given = members.differences[:n], members.codes[:, :n], members.shape, digest, about, engine
    return type(members)(members.base, *given, rank=about["rank"])


# ---------------------------------------------------------------- what each estimator says


def by_members(members: Averaged, true: Truth, drawn: Tensor, losses: np.ndarray) -> Iterator[Found]:
    """Those that know an ensemble's members: drawn (n, B, C, H, W), what each draws by itself, and losses (n, B) of the
    true samples in each."""
    codes, steps, noise, n = members.codes, true.steps, true.noise(members), members.n
    (N, _), B = codes.shape, true.y.shape[1]
    trajectory = len(steps) * B
    flat = drawn.flatten(1)
    matched = np.nan_to_num(estimators.matched(codes))

    def moved(effects: Tensor) -> Tensor:
        """How samples move when these effects (N, Q) are taken from the network of all images."""
        whole = analysis.whole(members, effects)
        changed = estimators.drawn(members, torch.cat([whole[None], whole - effects]), noise, steps)
        return changed[1:] - changed[0]

    def of_samples(decoder: np.ndarray) -> Tensor:
        return -estimators.decoded(decoder, flat).unflatten(1, drawn.shape[1:])

    def found(name: str, changes: Tensor, passes: float) -> Found:
        return Found(name, n, estimators.norms(changes), changes, passes=passes)

    ablation = -torch.from_numpy(codes.mean(axis=1)).float()[:, None] * estimators.decoded(matched, members.differences)
    mean = members.differences.mean(0)
    without = estimators.drawn(members, torch.cat([mean[None], mean + ablation]), noise, steps)
    yield found("ablation", without[1:] - without[0], (N + 1) * trajectory)
    ridge = estimators.ridge(codes, estimators.products(members.differences))
    yield found("ridge of weights", moved(estimators.decoded(ridge, members.differences)), (N + 1) * trajectory)
    if n <= TANGENTS:
        columns = jacobians.jacobian(members, noise, steps)[1].transpose(0, 1)  # (n, B, C, H, W)
        changes = -estimators.decoded(ridge, columns.flatten(1)).unflatten(1, drawn.shape[1:])
        yield found("ridge of weights, by the Jacobian", changes, FORWARD * n * trajectory)
    yield found("in minus out of samples", of_samples(matched), n * trajectory)
    yield found("ridge of samples", of_samples(estimators.ridge(codes, estimators.products(flat))), n * trajectory)
    if n <= SPARSE:
        effects = torch.from_numpy(estimators.sparse(codes, flat.double().numpy())).float()
        yield found("sparse regression of samples", -effects.unflatten(1, drawn.shape[1:]), n * trajectory)
    looked = n * B * gradients.TIMES
    yield Found("in minus out of losses", n, scores=-matched @ losses, passes=looked)
    decoder = estimators.ridge(codes, estimators.products(torch.from_numpy(losses)))
    yield Found("ridge of losses", n, scores=-decoder @ losses, passes=looked)


def by_gradients(members: Averaged, images: Tensor, true: Truth, seed: int, scale: Tensor) -> Iterator[Found]:
    """TRAK and D-TRAK at the mean network, with the damping by which each has its best LDS on half of the halves: by
    gradients of all weights, as published, and by those along the directions that the fine-tunes moved in, in the
    metric of their steps (scale (Q,), see `tuning.gradient_scale`)."""
    network = members.network(np.full(members.n, 1 / members.n))
    shapes, count = [w.shape for w in network.parameters()], (len(images) + true.y.shape[1]) * gradients.TIMES * 3

    def along(phi: Tensor) -> Tensor:
        parts = zip(phi.split([shape.numel() for shape in shapes], dim=1), shapes, strict=True)
        rows = zip(*(part.unflatten(1, shape) for part, shape in parts), strict=True)
        return torch.stack([members.subspace.of(row) for row in rows]) / scale.sqrt()

    for name, of in (("TRAK", "loss"), ("D-TRAK", "square")):
        sides = [gradients.features(network, x, of, seed + k) for k, x in enumerate((images, true.y[0]))]
        for kind, (phi, psi) in {name: sides, f"{name} along the fine-tunes": [along(side) for side in sides]}.items():
            tried = [gradients.scores(phi, psi, damping) for damping in DAMPINGS]
            best = max(tried, key=lambda scores: lds(scores, true, CHOSEN_ON).mean())
            yield Found(kind, 0, np.abs(best), None, best, count)


def by_nobody(true: Truth) -> Found:
    """One list for all samples, which knows the truth, but of the other samples only."""
    lengths = true.lengths[0]
    others = (lengths.sum(axis=1, keepdims=True) - lengths) / (lengths.shape[1] - 1)
    return Found("one list for all samples", 0, others)


def by_likeness(images: Tensor, true: Truth) -> Iterator[Found]:
    """Nearest in pixels, and in the features of the digit classifier."""
    reader = classifier.load()
    seen = (classifier.read(reader, side)["features"] for side in (images, true.y[0]))
    for name, sides in {"pixels": (images.flatten(1), true.y[0].flatten(1)), "features": seen}.items():
        yield Found(f"nearest {name}", 0, -torch.cdist(*sides).numpy())


# ---------------------------------------------------------------- how it does


def lds(scores: np.ndarray, true: Truth, halves: slice) -> np.ndarray:
    """For each sample the Spearman correlation, over some of the halves, of the summed scores (N, B) with minus the
    mean loss over seeds: (B,)."""
    predicted, losses = (true.masks.T @ scores)[halves], true.losses.mean(axis=0)[halves]  # (H, B) both
    return np.array([spearmanr(predicted[:, b], -losses[:, b])[0] for b in range(scores.shape[1])])


def judged(found: Found, true: Truth, lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Every measure of an estimator, for each sample (B,), against true lengths (N, B)."""
    by_sample = {}
    if found.lengths is not None:
        pairs = zip(found.lengths.T, lengths.T, strict=True)
        by_sample["spearman"] = np.array([spearmanr(*pair)[0] for pair in pairs])
        by_sample["hit@1"] = estimators.hit(found.lengths, lengths)
        by_sample["recall@10"] = estimators.hit(found.lengths, lengths, TOP)
    if found.changes is not None:
        by_sample["cosine"] = estimators.cosine(found.changes, true.moved)
    if found.scores is not None:
        by_sample["LDS"] = lds(found.scores, true, JUDGED_ON)
    return by_sample


def row(found: Found, members: str, true: Truth, seconds: float) -> dict[str, object]:
    """A line of the table: against retraining in this run (the first seed) and in another (the second)."""
    questions = {"this run": true.lengths[0], "another run": true.lengths[1]}
    line = {"estimator": found.name, "n": found.n, "members": members, "passes": found.passes, "seconds": seconds}
    for question, lengths in questions.items():
        for measure, values in judged(found, true, lengths).items():
            if question == "this run" or measure not in ("cosine", "LDS"):
                hits = measure == "hit@1"  # yes or no
                interval = stats.proportion(int(values.sum()), len(values)) if hits else stats.student(values)
                line[f"{measure}, {question}"] = [interval.value, interval.low, interval.high]
    return line


def contest(folder: Path, true: Truth) -> tuple[list[dict[str, object]], dict[str, dict[str, float]]]:
    """Every line, from the ensembles in a folder: at all numbers of members of the first, and at one of the other
    designs; and of each the noise in its weights and samples."""
    lines, noise = [], {}
    for name, parts in SETS.items():
        whole = joined([finetunes.load(folder / part) for part in parts])
        given = dict(steps=true.steps, samples=true.y.shape[1], seed=true.manifest["noise_seed"])
        drawn = torch.from_numpy(store.chunked(truth.draws, whole.n, 16, members=whole, **given)["y"])
        asked = dict(images=true.y[0], seed=true.manifest["loss_seed"])
        losses = store.chunked(truth.losses, whole.n, 16, members=whole, **asked)["losses"]
        noise[name] = {
            "weights": analysis.noise_share(whole.codes, estimators.products(whole.differences)),
            "samples": analysis.noise_in_samples(whole.codes, drawn),
        }
        counts = COUNTS if name == "signs" else (min(COMPARED, whole.n),)
        for n in tqdm([n for n in counts if n <= whole.n], name, unit="size"):
            began = time.perf_counter()
            for found in by_members(first(whole, n), true, drawn[:n], losses[:n]):
                lines.append(row(found, name, true, time.perf_counter() - began))
                began = time.perf_counter()
        if name == "signs":
            images, began = data.to_unit(trained_on(whole.manifest).images), time.perf_counter()
            base = tuning.base_of(recipe_of(whole.manifest), folder / name)
            settings = trained_on(base.manifest).images, recipe_of(base.manifest)
            scale = tuning.gradient_scale(base.models[0], whole.subspace, *settings)
            rivals = by_gradients(whole, images, true, 2, scale)
            for found in chain(rivals, by_likeness(images, true), [by_nobody(true)]):
                lines.append(row(found, name, true, time.perf_counter() - began))
                began = time.perf_counter()
    return lines, noise


def load(file: Path | None = None) -> dict:
    """What `main` wrote, by default as it is shipped. ValueError for a file that is something else."""
    file = file or store.home() / "bench" / "finetunes.json"
    with files.expecting("what the contest of estimators found", file, "restore it or run the contest"):
        found = json.loads(file.read_text(encoding="utf-8"))
        for line in found["lines"]:
            if not {"estimator", "n", "members", "passes", "seconds"} <= line.keys():
                raise ValueError(f"a line with {', '.join(line)}")
        if not all({"steps", "n", "apart", "members", "base"} <= one.keys() for one in found["drift"]):
            raise ValueError("a drift without its distances")
        [float(one[kind]) for one in found["noise"].values() for kind in ("weights", "samples")]
        float(found["rate"])
        return found


def rate(folder: Path) -> float:
    """Seconds of one core that an image of a member took in training. ValueError for members trained elsewhere."""
    manifest = finetunes.load(folder).manifest
    if manifest["device"] != "cpu":
        raise ValueError(f"expected {folder.name} trained on a CPU, whose seconds are told, got {manifest['device']}")
    return sum(manifest["member_cpu_seconds"]) / sum(manifest["split_sizes"])


def of(lines: Sequence[dict], members: str) -> list[dict]:
    """The lines about one ensemble."""
    return [line for line in lines if line["members"] == members and line["n"]]


def largest(lines: Sequence[dict], members: str) -> list[dict]:
    """Of every estimator the line with the most members, and those that take none."""
    mine = [line for line in lines if line["members"] == members]
    most = {line["estimator"]: line["n"] for line in sorted(mine, key=lambda line: line["n"])}
    return [line for line in mine if line["n"] == most[line["estimator"]]]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.chapters.finetunes.contest", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="where the ensembles lie")
    parser.add_argument("truth", type=Path, help="what retraining says")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    given = parser.parse_args(arguments)
    try:
        true = truth.load(given.truth)
        asked = dict(steps=true.manifest["steps"], samples=true.y.shape[1], seed=true.manifest["noise_seed"])
        lines, noise = contest(given.folder, true)
        found = {
            "lines": lines,
            "noise": noise,
            "drift": [drift.line(given.folder / name, **asked) for name in TUNED],
            "rate": rate(given.folder / RATED),
            "made": provenance.describe(),
        }
        files.atomic_write(given.out, json.dumps(found, indent=1))
    except (OSError, ValueError) as problem:
        sys.exit(f"genens_book.chapters.finetunes.contest: {problem}")


if __name__ == "__main__":
    main()
