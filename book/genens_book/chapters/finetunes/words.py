"""What the chapter on fine-tunes says in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from genens.finetunes import Averaged
from genens.recipe import recipe_of
from genens.unet import parameter_count
from genens_book.chapters.finetunes import analysis, contest, estimators
from genens_book.chapters.finetunes.analysis import Plan
from genens_book.chapters.finetunes.truth import Truth
from genens_book.measures import stats
from genens_book.measures.stats import Interval
from genens_book.pages.words import number, power, share

Line = Mapping[str, object]
OWN = "This run is on your own pictures: the text was written for the book's, and what needs retraining stays empty."
GRADIENTS = tuple(f"{name}{kind}" for name in ("TRAK", "D-TRAK") for kind in ("", " along the fine-tunes"))
RIVALS = (*GRADIENTS, "nearest pixels", "nearest features")


def setting(members: Averaged, every: Averaged, samples: int, steps: int) -> dict[str, object]:
    """The ensemble, and what of it is used."""
    recipe, manifest, codes = recipe_of(every.manifest), every.manifest, every.codes
    return {
        "N": len(codes),
        "n": members.n,
        "n_all": every.n,
        "h": int(codes[0].sum()),
        "density": share(codes.mean()),
        "Q": every.differences.shape[1],
        "parameters": parameter_count(every.base),
        "tuning_steps": recipe.steps,
        "rate": power(recipe.lr, 0),
        "megabytes": number(sum(entry["bytes"] for entry in manifest["files"].values()) / 1e6, 2, "g"),
        "samples": samples,
        "steps": steps,
    }


def drift(apart: Mapping[str, np.ndarray], lines: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """How far averages of weights and of predictions lie apart."""
    far, member, base = (float(np.mean(apart[name])) for name in ("apart", "members", "base"))
    grown = np.polyfit(np.log([line["steps"] for line in lines]), np.log([line["apart"] for line in lines]), 1)[0]
    return {
        "apart": number(far, 2, "g"),
        "apart_share": share(far / member, 1),
        "member_far": number(member, 2, "g"),
        "base_far": number(base, 1),
        "drift_n": lines[0]["n"],
        "drift_samples": lines[0]["samples"],
        "drift_density": share(lines[0]["density"]),
        "drift_power": number(grown, 1),
        "drift_most": share(lines[-1]["apart"] / lines[-1]["members"]),
        "drift_longest": lines[-1]["steps"],
    }


def noise(weights: float, samples: float, measured: Mapping[str, Mapping[str, float]]) -> dict[str, object]:
    """The part of the members' variance that is no sum over images, over the part that is."""
    own = measured["signs_own"]
    return {
        "noise_weights": share(weights, 2),
        "noise_samples": share(samples),
        "noise_own_weights": share(own["weights"]),
        "noise_own_samples": share(own["samples"]),
    }


def retraining(true: Truth, again: Mapping[str, Interval], apart: Interval, k: int, rate: float) -> dict[str, object]:
    """What the truth says of itself. rate: seconds of one core that an image of a member takes in training."""
    return {
        "seeds": len(true.lengths),
        "halves": true.masks.shape[1],
        "seeds_halves": len(true.losses),
        "moved": number(np.median(true.lengths[0])),
        "moved_most": number(true.lengths[0].max(), 1),
        "seeds_apart": number(apart, 1),
        "again_spearman": number(again["spearman"]),
        "again_hit": share(again["hit@1"]),
        "again_recall": share(again[f"recall@{k}"]),
        "retrain_s": number(rate * (len(true.moved) - 1), 2, "g"),
    }


def found(true: Truth | None, lengths: np.ndarray, p: np.ndarray, k: int, level: float = 0.05) -> dict[str, object]:
    """How well the lists of the regression do, lengths (N, B), and how sure they are, p (B, N)."""
    N, order = len(lengths), np.sort(p, axis=1)
    sure = (stats.adjusted(order, N) <= level).sum(axis=1)
    said = {
        "sure": number(float(np.median(sure)), 0),
        "sure_least": int(sure.min()),
        "sure_most": int(sure.max()),
        "least_p": power(p.min(), 0),
        "level": share(level),
        "hit_chance": share(1 / N, 1),
        "recall_chance": share(k / N),
    }
    if true is None:
        return said
    hits, recalls = (stats.student(estimators.hit(lengths, true.lengths[0], j)) for j in (1, k))
    ranks = [stats.spearman(a, b) for a, b in zip(lengths.T, true.lengths[0].T, strict=True)]
    return said | {
        "hit": share(stats.proportion(round(hits.value * hits.n), hits.n)),
        "recall": share(recalls),
        "rank": number(stats.student(ranks)),
    }


def removed(losses: Mapping[str, np.ndarray], codes: np.ndarray) -> dict[str, object]:
    """Whether what fine-tuning lowers tells a picture that is in it from one that is not; how many codes (N, n) let
    go."""
    kept, gone, never = (losses[name] for name in ("kept", "removed", "never"))
    sides = {"auc_kept": (kept, never), "auc_removed": (gone, never), "auc_same": (kept[losses["rows"]], gone)}
    return {name: number(auc(*side)) for name, side in sides.items()} | {
        "n_never": len(never),
        "stay_one": number(np.median((~codes).sum(axis=1)), 0),
        "stay_two": number(codes.shape[1] * (~codes).mean() ** 2, 2, "g"),
        "pairs": share(analysis.removable_pairs(codes)),
        "lowered_kept": number(stats.student(kept), 4),
        "lowered_removed": number(stats.student(gone), 4),
        "lowered_never": number(stats.student(never), 4),
        "paired": share((kept[losses["rows"]] > gone).mean()),
    }


def auc(inside: np.ndarray, outside: np.ndarray, n_boot: int = 2000, seed: int = 0) -> Interval:
    """The probability that a score from inside exceeds one from outside, with its bootstrap interval over either."""
    rng = np.random.default_rng(seed)

    def of(a: np.ndarray, b: np.ndarray) -> float:
        ranks = rankdata(np.concatenate([a, b]))[: len(a)]
        return float((ranks.sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))

    drawn = [of(*(rng.choice(side, len(side)) for side in (inside, outside))) for _ in range(n_boot)]
    return Interval(of(inside, outside), *np.quantile(drawn, [0.025, 0.975]), len(inside) + len(outside))


def compared(lines: Sequence[Line], N: int) -> dict[str, object]:
    """Figures of the contest for prose: recall of the regression at half, once and twice as many members as images, of
    the ablation at most members; the rivals that take no members; LDS."""
    ours, most = contest.of(lines, "signs"), contest.largest(lines, "signs")

    def value(found: Sequence[Line], name: str, key: str, n: int | None = None) -> Interval:
        line = next(one for one in found if one["estimator"] == name and n in (None, one["n"]))
        return Interval(*line[f"{key}, this run"], n=0)

    rivals = [one["estimator"] for one in most if one["estimator"] in RIVALS]
    best = max(rivals, key=lambda name: value(most, name, "spearman").value)
    scored = max((name for name in rivals if name in GRADIENTS), key=lambda name: value(most, name, "LDS").value)
    said = {f"recall_{name}": share(value(ours, "ridge of weights", "recall@10", n)) for name, n in _counts(N).items()}
    return said | {
        "recall_ablation": share(value(most, "ablation", "recall@10")),
        "nobody_hit": share(value(most, "one list for all samples", "hit@1")),
        "nobody_recall": share(value(most, "one list for all samples", "recall@10")),
        "most": f"{max(line['n'] for line in ours):,}",
        "rival": best,
        "rival_rank": number(value(most, best, "spearman")),
        "rival_recall": share(value(most, best, "recall@10")),
        "ours_rank": number(value(most, "ridge of weights", "spearman")),
        "lds_rival": scored,
        "lds_theirs": number(value(most, scored, "LDS")),
        "lds_ridge": number(value(most, "ridge of losses", "LDS")),
        "lds_in_out": number(value(most, "in minus out of losses", "LDS")),
    }


def _counts(N: int) -> dict[str, int]:
    return {"half": N // 2, "once": N, "twice": 2 * N}


def planted(true: Truth, lengths: np.ndarray, rows: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Where the outlier stands among all pictures, by retraining and by the regression, lengths (N, B)."""
    row = int(rows["outlier"][0, 0])
    places = [1 + (side > side[row]).sum(axis=0) for side in (true.lengths[0], lengths)]
    rest = estimators.hit(*(np.delete(side, row, axis=0) for side in (lengths, true.lengths[0])))
    return {
        "hit_rest": share(stats.proportion(int(rest.sum()), len(rest))),
        "copies": len(rows["copy"]),
        "near": len(rows["near"]),
        "outlier_first": f"{int((places[0] == 1).sum())} of {lengths.shape[1]}",
        "outlier_place": number(float(np.median(places[0])), 0),
        "outlier_found": number(float(np.median(places[1])), 0),
    }


def plans(found_: Sequence[Plan]) -> dict[str, object]:
    """Members for each picture in a plan."""
    return {"plan_ratio": number(found_[0].members / found_[0].N, 1), "plan_hours": power(found_[-1].hours, 1)}
