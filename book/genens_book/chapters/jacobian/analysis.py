"""How well approximate counterfactuals agree with true ones: the measurements of the Jacobian chapter.

A change is a counterfactual less its original. For every sample and ablated image, `compare` correlates the pixels of
the approximate and of the true change (Pearson; paper, Figures 5a to 5c) and, over the ablated images of one sample,
the sizes of the changes (Spearman; Figures 5d to 5f). Intervals are bootstraps over samples: the counterfactuals of
one sample are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from genens import codes, jacobians
from genens_book.chapters.jacobian import baselines
from genens_book.measures import stats
from genens_book.measures.not_run import NotRun
from genens_book.measures.stats import Interval
from genens_book.pages.claims import Claim
from genens_book.pages.words import number

METHODS = {
    "jacobian": "Jacobian,\nprediction clamped",
    "of_clamped": "Jacobian of the\nclamped image",
    "last_step": "baseline:\nlast step",
    "individual": "baseline:\nindividual models",
}
FIGURES = {
    "mnist": ("a", "d"),
    "cifar10": ("b", "e"),
    "celeba": ("c", "f"),
}  # pixels and sizes, in the paper's Figure 5


# ---------------------------------------------------------------- approximate and true changes


def images(
    y: object, J: object, mixtures: np.ndarray, last: object, singles: object, original: object
) -> dict[str, Tensor]:
    """The counterfactuals by every method: {method: (V, B, C, H, W)}.

    y (B, C, H, W) and J (B, n, C, H, W) as from `jacobians.jacobians`; mixtures (V, n); last (B, V, C, H, W), the
    last-step baseline; singles (B, n, C, H, W), each member's own sample; original (B, C, H, W), y(u_0), clamped.
    "of_clamped" is what the paper's released code computes.
    """
    y, last, singles = torch.as_tensor(y), torch.as_tensor(last), torch.as_tensor(singles)
    return {
        "jacobian": jacobians.linear_counterfactual(y, J, mixtures),
        "of_clamped": jacobians.linear_counterfactual(
            y.clamp(-1, 1), jacobians.of_clamped(y, J), mixtures, clamp=False
        ),
        "last_step": last.transpose(0, 1),
        "individual": baselines.individual_models(original, singles.transpose(0, 1), mixtures),
    }


def agree(true: np.ndarray, approximation: np.ndarray) -> dict[str, np.ndarray]:
    """Of one sample's changes (V, C, H, W), true and approximate: {"pearson": (V,) over pixels, "spearman": (1,) of the
    sizes, "size": (V,), the approximate sizes, Euclidean}. A change that is constant correlates with nothing: 0."""
    true, approximation = (np.asarray(side, dtype=np.float64).reshape(len(side), -1) for side in (true, approximation))
    sizes = [np.linalg.norm(side, axis=1) for side in (true, approximation)]
    found = {"pearson": stats.pearson(true, approximation), "spearman": stats.spearman(*sizes)[None]}
    return {name: np.nan_to_num(value, nan=0.0) for name, value in found.items()} | {"size": sizes[1]}


def compare(
    truth: object, original: object, y: object, J: object, mixtures: np.ndarray, last: object, singles: object
) -> dict[str, np.ndarray]:
    """Every sample's changes by every method against the true ones.

    truth (B, V, C, H, W), the true counterfactuals; the rest as for `images`. Returns {"true.size": (B, V)} and, for
    every method, {"METHOD.pearson": (B, V), "METHOD.size": (B, V), "METHOD.spearman": (B,)}; "METHOD.null" (B, V) is
    the Pearson correlation with the true change of the same sample by the next of the V ablations: what knowing the
    sample alone is worth.
    Raises ValueError when the samples or counterfactuals are not as many in all of them.
    """
    B, V = len(original), len(mixtures)
    shapes = {
        "truth": np.shape(truth)[:2],
        "last": np.shape(last)[:2],
        "y": (len(y), V),
        "J": (len(J), V),
        "singles": (len(singles), V),
    }
    if wrong := [f"{name} {shape}" for name, shape in shapes.items() if shape != (B, V)]:
        raise ValueError(
            f"expected {B} samples with {V} counterfactuals everywhere; got {', '.join(wrong)}: draw as many"
        )
    parts: dict[str, list] = {}
    for b in range(B):  # one sample at a time: all at once would not fit in memory at the paper's size
        one = slice(b, b + 1)
        true = np.asarray(truth[b] - original[b], dtype=np.float64)
        parts.setdefault("true.size", []).append(np.linalg.norm(true.reshape(V, -1), axis=1))
        for method, there in images(y[one], J[one], mixtures, last[one], singles[one], original[one]).items():
            # The Jacobian's own image is its origin: it may differ from `original` in the last digits.
            origin = np.clip(y[b], -1, 1) if method in ("jacobian", "of_clamped") else original[b]
            change = there[:, 0].numpy() - origin
            found = agree(true, change) | {"null": agree(np.roll(true, -1, axis=0), change)["pearson"]}
            for name, value in found.items():
                parts.setdefault(f"{method}.{name}", []).append(value)
    return {name: np.concatenate(rows) if name.endswith("spearman") else np.stack(rows) for name, rows in parts.items()}


def median(values: np.ndarray, axis: int) -> np.ndarray:
    """The median over axis `axis` and all that follow it, as `stats.bootstrap` wants it."""
    return np.median(values, axis=tuple(range(axis, values.ndim)))


def moved(found: Mapping[str, np.ndarray], numbers: int) -> dict[str, str]:
    """How far the true changes of `compare` go, as prose has it: the median of their Euclidean lengths, and the same a
    number of an image, of so many in [-1, 1], root mean square, in grey levels of 255."""
    length = np.median(found["true.size"])
    return {"moved": number(length), "levels": number(length / numbers**0.5 * 255 / 2, 1)}


def summary(found: Mapping[str, np.ndarray], seed: int) -> dict[str, dict]:
    """For every method {"pearson", "spearman": median with interval; "gain": how much higher the Jacobian's Pearson
    correlation is on average, pair by pair; "wins": in how many pairs it is higher; "length": of the change
    as a multiple of the true one's, where there is one, median with the middle nine tenths of the pairs;
    "pearson_test", "spearman_test": Mann-Whitney that the Jacobian's are greater; "pearson_effect",
    "spearman_effect": P(the Jacobian's exceeds), with interval; "null": median Pearson correlation with the true change
    by another ablation, and "null_effect": P(one with its own true change exceeds one of those), with interval}."""
    result, moved = {}, found["true.size"] > 0
    for method in METHODS:
        result[method] = {
            name: stats.bootstrap(found[f"{method}.{name}"], median, seed=seed)
            for name in ("pearson", "spearman", "null")
        }
        result[method]["null_effect"] = stats.exceedance(found[f"{method}.pearson"], found[f"{method}.null"], seed)
        gained = (found["jacobian.pearson"] - found[f"{method}.pearson"]).mean(axis=1)
        result[method]["gain"] = stats.bootstrap(gained, seed=seed)
        result[method]["wins"] = int((found["jacobian.pearson"] > found[f"{method}.pearson"]).sum())
        low, middle, high = np.quantile(found[f"{method}.size"][moved] / found["true.size"][moved], [0.05, 0.5, 0.95])
        result[method]["length"] = Interval(middle, low, high, int(moved.sum()), level=0.9)
        for name in ("pearson", "spearman"):
            ours, theirs = found[f"jacobian.{name}"], found[f"{method}.{name}"]
            result[method][f"{name}_test"] = stats.mann_whitney(ours, theirs, "greater")
            result[method][f"{name}_effect"] = stats.exceedance(ours, theirs, seed)
    return result


# ---------------------------------------------------------------- fewer members a step


def rotation(
    draws: Mapping[int, Mapping[str, np.ndarray]],
    truth: np.ndarray,
    original: np.ndarray,
    mixtures: np.ndarray,
    seed: int,
) -> list[dict]:
    """What fewer members a step cost and save: draws[k] as from `draws.timed_jacobians` with per_step=k, one of them
    exact (k = n); truth (B, V, ...) and original (B, ...) of the same B samples.

    One row for each k: {"per_step", "error": ||J_k - J_n|| / ||J_n|| and "cosine", both of centred Jacobians;
    "pearson", "spearman": with the true counterfactuals, mean over those of a sample; "pearson_loss", "spearman_loss":
    the exact one's less this one's, pair by pair; "seconds": a sample}. All but the last are means over samples, with
    intervals. Raises ValueError when the exact one is missing.
    """
    n = np.shape(mixtures)[1]
    if n not in draws:
        raise ValueError(f"expected per_step = {n}, the exact Jacobian, among those compared; got {sorted(draws)}")
    against = {k: against_truth(draw, truth, original, mixtures) for k, draw in draws.items()}
    exact = jacobians.centred(draws[n]["jacobian"]).double().flatten(1)
    rows = []
    for k in sorted(draws):
        here = jacobians.centred(draws[k]["jacobian"]).double().flatten(1)
        values = {
            "error": ((here - exact).norm(dim=1) / exact.norm(dim=1)).numpy(),
            "cosine": torch.cosine_similarity(here, exact).numpy(),
            **against[k],
            **{f"{name}_loss": against[n][name] - against[k][name] for name in against[k]},
        }
        intervals = {name: stats.bootstrap(value, seed=seed) for name, value in values.items()}
        rows.append({"per_step": k, **intervals, "seconds": float(np.mean(draws[k]["seconds"]))})
    return rows


def of_the_papers_code(
    exact: Mapping, truth: np.ndarray, original: np.ndarray, mixtures: np.ndarray, seed: int
) -> dict[str, Interval]:
    """The score of the exact Jacobian of the clamped image, which is what the released code has: mean {"pearson",
    "spearman"} over samples, with intervals. exact as from `draws.timed_jacobians` with all members used a step; truth
    (B, V, ...) and original (B, ...) of samples of which the first are those."""
    y, J = (torch.as_tensor(exact[name]) for name in ("y", "jacobian"))
    clamped = {"y": y.clamp(-1, 1), "jacobian": jacobians.of_clamped(y, J)}
    found = against_truth(clamped, truth[: len(y)], original[: len(y)], mixtures, clamp=False)
    return {name: stats.bootstrap(value, seed=seed) for name, value in found.items()}


def against_truth(
    draw: Mapping, truth: np.ndarray, original: np.ndarray, mixtures: np.ndarray, clamp: bool = True
) -> dict[str, np.ndarray]:
    """Each sample's mean Pearson and Spearman correlation with the true counterfactuals: {"pearson", "spearman":
    (B,)}."""
    linear = jacobians.linear_counterfactual(draw["y"], draw["jacobian"], mixtures, clamp=clamp).numpy()
    changes = linear - np.clip(np.asarray(draw["y"]), -1, 1)
    found = [agree(truth[b] - original[b], changes[:, b]) for b in range(len(original))]
    return {name: np.array([one[name].mean() for one in found]) for name in ("pearson", "spearman")}


def tangents(
    differences: Mapping, forward: Mapping, truth: np.ndarray, original: np.ndarray, mixtures: np.ndarray, seed: int
) -> dict[str, object]:
    """What it changes to take tangents as differences: both as from `draws.timed_jacobians`, of the first samples of
    truth (B, V, ...) and original (B, ...). {"error": ||J_d - J_f|| / ||J_f||, centred, median over samples with
    interval; "pearson": by how much the mean correlation with the true counterfactuals changes, with interval;
    "seconds": the ratio}."""
    R = len(forward["y"])
    one, other = (jacobians.centred(draw["jacobian"]).double().flatten(1) for draw in (differences, forward))
    error = ((one - other).norm(dim=1) / other.norm(dim=1)).numpy()
    pearson = [against_truth(draw, truth[:R], original[:R], mixtures)["pearson"] for draw in (differences, forward)]
    return {
        "error": stats.bootstrap(error, median, seed=seed),
        "pearson": stats.bootstrap(pearson[0] - pearson[1], seed=seed),
        "seconds": float(np.mean(differences["seconds"]) / np.mean(forward["seconds"])),
    }


def fewest(rows: Sequence[Mapping], tolerance: float) -> int:
    """The smallest per_step of `rotation`'s rows that loses no more than `tolerance` of either correlation, at the
    upper end of the interval; the exact Jacobian loses nothing."""
    return min(r["per_step"] for r in rows if max(r["pearson_loss"].high, r["spearman_loss"].high) <= tolerance)


# ---------------------------------------------------------------- along the path


def slopes(J: np.ndarray, mixtures: np.ndarray) -> np.ndarray:
    """J (u_-x - u_0), what a Jacobian J (B, n, C, H, W) at u_0 says of the way to every mixture (V, n): (B, V, C, H,
    W)."""
    moves = torch.from_numpy(mixtures - codes.uniform(J.shape[1])).float()
    return torch.einsum("vn,bnchw->bvchw", moves, torch.from_numpy(J)).numpy()


def along(walked: Mapping[str, np.ndarray], shares: Sequence[float], rotating: np.ndarray) -> dict[str, dict]:
    """Predictions of the image on its way from u_0 to u_-x against the true one.

    walked as from `draws.walk`, with shares that end with 1; rotating (B, V, C, H, W): the slope by the
    chapter's own Jacobian. For "linear" (the exact slope), "rotating" and "quadratic" (with the second-order term):
    {"images": (B, V, K, C, H, W) before the clamp; "error": (B, V, K), relative to the whole change, before the clamp;
    "pearson": (B, V, K), of the changes after the clamp, 0 where one is constant}.
    """
    s = np.asarray(shares, dtype=np.float64).reshape(-1, 1, 1, 1)
    start, true = walked["start"][:, None, None].astype(np.float64), walked["true"].astype(np.float64)
    first, second, other = (a[:, :, None].astype(np.float64) for a in (walked["first"], walked["second"], rotating))
    predictions = {
        "linear": start + s * first,
        "rotating": start + s * other,
        "quadratic": start + s * first + s * s / 2 * second,
    }
    whole = np.linalg.norm((true[:, :, -1] - start[:, :, 0]).reshape(*true.shape[:2], -1), axis=-1)
    origin, clamped = (np.clip(a, -1, 1).reshape(*a.shape[:3], -1) for a in (start, true))
    found = {}
    for name, predicted in predictions.items():
        error = np.linalg.norm((predicted - true).reshape(*true.shape[:3], -1), axis=-1) / whole[..., None]
        moved = np.clip(predicted, -1, 1).reshape(clamped.shape) - origin
        pearson = np.nan_to_num(stats.pearson(moved, clamped - origin), nan=0.0)
        found[name] = {"images": predicted, "error": error, "pearson": pearson}
    return found


def by_share(found: Mapping[str, Mapping], seed: int) -> dict[str, dict[str, list[Interval]]]:
    """`along`'s errors and correlations as medians over samples and directions, with intervals over samples:
    {prediction: {"error", "pearson": one interval a share}}."""
    return {
        prediction: {
            name: [stats.bootstrap(column, median, seed=seed) for column in np.moveaxis(values[name], -1, 0)]
            for name in ("error", "pearson")
        }
        for prediction, values in found.items()
    }


def orders(errors: np.ndarray, shares: Sequence[float], n_near: int, seed: int) -> Interval:
    """With which power of the distance from u_0 the error grows, over the first `n_near` shares: the median over
    samples and directions of errors (B, V, K), bootstrap over samples. Equation 4 promises 2."""
    near = np.moveaxis(errors[..., :n_near], -1, 0)
    return stats.bootstrap(baselines.error_order(np.asarray(shares[:n_near]), near), median, seed=seed)


def gained(before: np.ndarray, after: np.ndarray, seed: int) -> Interval:
    """How much smaller an error is at the end of the way: the mean of before - after over the directions of a sample,
    and over samples, both errors (B, V, K); bootstrap over samples."""
    return stats.bootstrap((before - after)[..., -1].mean(axis=1), seed=seed)


# ---------------------------------------------------------------- the paper's claims


def least_log10_p(n: int) -> float:
    """log10 of the smallest p-value that the test can give for n values a side: all of one side above all others."""
    return stats.mann_whitney(np.arange(n) + n, np.arange(n), "greater").log10_p


def records(
    book: Mapping[str, Claim], dataset: str, found: Mapping[str, Mapping], n_samples: int, V: int, n: int
) -> dict[str, dict]:
    """What Section 3.3, Appendix B.3 and Figure 5 claim of a data set ("mnist", "cifar10" or "celeba"): {claim id: the
    arguments of `Run.claim`}.

    found as from `summary`, of an ensemble of n members. A p-value that so few samples could not reach however far
    apart the distributions is NotRun; the claim has the command to run.
    """
    pixels, sizes = FIGURES[dataset]
    measured = {
        f"s3.3-samples-{dataset}": {"value": n_samples},
        f"s3.3-counterfactuals-{dataset}": {"value": V},
        f"b3-single-outputs-{dataset}": {"value": n},
        f"f5{pixels}-approximates-{dataset}": {
            "value": found["jacobian"]["pearson"],
            "note": f"{_baselines(found, 'pearson')} The correlation exceeds one with the change by another "
            f"ablation with probability {number(found['jacobian']['null_effect'])}.",
        },
        f"f5{sizes}-captures-{dataset}": {
            "value": found["jacobian"]["spearman"],
            "note": _baselines(found, "spearman"),
        },
    }
    for baseline, method in (("last-step", "last_step"), ("individual", "individual")):
        for panel, statistic in ((pixels, "pearson"), (sizes, "spearman")):
            id = f"f5{panel}-utest-{baseline}-{dataset}"
            if id in book:
                measured[id] = _p_value(book[id], found[method][f"{statistic}_test"], n_samples)
            measured[f"f5{panel}-higher-{baseline}-{dataset}"] = {"value": found[method][f"{statistic}_effect"]}
    return {id: record for id, record in measured.items() if id in book}


def _baselines(found: Mapping[str, Mapping], statistic: str) -> str:
    last, single = (number(found[method][statistic]) for method in ("last_step", "individual"))
    return f"The last-step baseline has {last}, the individual-models baseline {single}."


def _p_value(claim: Claim, test: stats.MannWhitney, n_samples: int) -> dict:
    least = least_log10_p(test.n_a)
    if least > claim.value:
        return {
            "value": NotRun(
                f"{n_samples} samples cannot give a p-value below 10^{least:.0f}, however far apart "
                f"the two; here it is 10^{test.log10_p:.1f}"
            )
        }
    return {"value": test.log10_p, "n": n_samples}
