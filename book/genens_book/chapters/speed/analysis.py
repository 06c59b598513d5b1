"""What bench/ measured of speed: ratios to the plain reference, shares of the best matrix product, how cost grows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats as scipy_stats

from genens import files, store
from genens_book.measures.not_run import NotRun
from genens_book.measures.stats import Interval
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.words import NARROW, number, power, share, words

Line = Mapping[str, object]
BENCH = store.home() / "bench"
PASSES = {"forward": "forward pass", "training": "training step"}  # of which operations are counted


def read(file: Path, command: str, shown: Callable[[dict], object]) -> dict:
    """A file of measurements, of which can be made what is `shown`. ValueError or FileNotFoundError, naming the command
    that makes it, for any other."""
    with files.expecting(f"what {command} measured", file, "restore it or run the command"):
        found = json.loads(file.read_text(encoding="utf-8"))
        shown(found)
        return found


def results(file: Path | None = None) -> dict:
    """bench/results.json. Raises as `read`."""

    def shown(found: Mapping) -> object:
        scan = [float(found["scan"][key]) for key in ("codes", "samples", "seconds", "gigabytes", "k", "n", "checked")]
        return scan, machine(found["scan"]), ratios_table(lines(found)), met(lines(found))

    return read(file or BENCH / "results.json", "python -m bench", shown)


def engines(file: Path | None = None) -> dict:
    """bench/engines.json. Raises as `read`."""

    def shown(found: Mapping) -> object:
        eager = float(found["forward"]["eager"]["share"])
        tables = limit_table(found), operators_table(found)
        return eager, machine(found), tables, [best(found, part) for part in PASSES]

    return read(file or BENCH / "engines.json", "python -m bench.engines", shown)


def scaling(file: Path | None = None) -> dict:
    """bench/scaling.json. Raises as `read`."""

    def shown(found: Mapping) -> object:
        return machine(found), growth_table(growth(found))

    return read(file or BENCH / "scaling.json", "python -m bench.scaling", shown)


def rules(file: Path | None = None) -> dict:
    """bench/rules.json. Raises as `read`."""

    def shown(found: Mapping) -> object:
        return machine(found), rules_table(found), rules_words(found)

    return read(file or BENCH / "rules.json", "python -m bench.rules", shown)


def side_by_side(file: Path | None = None) -> dict:
    """bench/side_by_side.json. Raises as `read`."""

    def shown(found: Mapping) -> object:
        return machine(found), side_by_side_words(found, dict.fromkeys(found["chapters"], ""))

    return read(file or BENCH / "side_by_side.json", "python -m bench.side_by_side", shown)


def gpu(file: Path | None = None) -> dict | NotRun:
    """bench/gpu.json, or that it is not there: a GPU is not at everybody's hand. Raises ValueError as `read`."""

    def shown(found: Mapping) -> object:
        return gpu_words(found), gpu_table(found)

    try:
        return read(file or BENCH / "gpu.json", "make bench DEVICE=cuda", shown)
    except FileNotFoundError:
        return NotRun("no bench/gpu.json, which make bench DEVICE=cuda writes on a machine with a GPU")


def machines(results: Mapping, engines: Mapping, scaling: Mapping) -> dict[str, str]:
    """On what each file was measured, as prose has it."""
    first = next(iter(results["parts"].values()))
    given = {"results": first, "scan": results["scan"], "engines": engines, "scaling": scaling}
    return {f"{name}_machine": machine(found) for name, found in given.items()}


def machine(found: Mapping) -> str:
    """On what a file was measured: cores, processor, instructions, day."""
    made, machine = found["made"], found["machine"]
    model = str(made["machine"]).rpartition(", ")[2]
    cores = f"{machine['cores']} core{'s' * (machine['cores'] != 1)}"
    return f"{cores} of {model} with {machine['instructions']}, {str(made['date'])[:10]}"


# ---------------------------------------------------------------- ratios


def lines(found: Mapping) -> list[Line]:
    """Every line of every part, in order."""
    return [line for part in found["parts"].values() for line in part["lines"]]


def met(found: Sequence[Line]) -> tuple[int, int]:
    """How many of the lines that have a target meet it with their median, and how many have one."""
    asked = [line for line in found if line["target"]]
    return sum(line["ratio"]["median"] >= line["target"] for line in asked), len(asked)


def ratios_table(found: Sequence[Line]) -> Page:
    """A line for each: the ratio with its range, its target, how far the results are apart, and the seconds."""
    head = ["what: against what", "times as fast", "target", "results differ by", "plain", "here"]
    rows = [
        [
            str(line["name"]),
            f"{_times(line['ratio']['median'])} ({_times(line['ratio']['low'])} to {_times(line['ratio']['high'])})",
            f"{line['target']:g}" if line["target"] else "–",
            "0" if not line["apart"] else power(line["apart"], 0),
            _seconds(line["seconds"]["plain"]),
            _seconds(line["seconds"]["fast"]),
        ]
        for line in found
    ]
    return markup.lines_table(head, rows, numeric=False)


def _times(ratio: float) -> str:
    return number(ratio, 0) if ratio >= 100 else number(ratio, 2, "g")


def _seconds(value: float) -> str:
    if value >= 1:
        return f"{number(value, 1)} s"
    return f"{number(1e3 * value, 0 if value > 0.01 else 1)} ms"


# ---------------------------------------------------------------- the limit


def limit_table(found: Mapping) -> Page:
    """The engines, the losers too: milliseconds, GFLOP/s, and the share of the best matrix product of the same run."""
    head = ["what", "by", "time", "GFLOP/s", "of the best product"]
    rows = []
    for part, what in PASSES.items():
        for name, row in found[part].items():
            if "not run" in row:
                rows.append([what, name, f"not run: {row['not run']}", "–", "–"])
            else:
                time = f"{number(row['ms'], 1)} ms ({number(row['ms_low'], 1)} to {number(row['ms_high'], 1)})"
                rows.append([what, name, time, number(row["gflops"], 0), share(row["share"])])
    for name, row in found["tangents"].items():
        time = f"{number(row['ms'], 0)} ms ({number(row['ms_low'], 0)} to {number(row['ms_high'], 0)})"
        rows.append(["16 tangents", name, time, "–", "–"])
    return markup.lines_table(head, rows, numeric=False)


def operators_table(found: Mapping) -> Page:
    """Where the time of a pass and of a training step by PyTorch goes on one core: the operators that take most."""
    rows = [
        [PASSES[part], str(one["operator"]), share(one["share"]), f"{one['calls']:,}"]
        for part, shares in found["operators"].items()
        for one in shares
    ]
    return markup.lines_table(["what", "operator", "of its time", "calls"], rows, numeric=False)


def best(found: Mapping, part: str) -> tuple[str, Mapping]:
    """The fastest way of a part that was run, by name."""
    run = {name: row for name, row in found[part].items() if "not run" not in row}
    return min(run.items(), key=lambda item: item[1]["ms"])


# ---------------------------------------------------------------- how cost grows


@dataclass(frozen=True)
class Growth:
    """One curve: its points, the exponent of a line through their logarithms, with a 95 % interval, and theory's."""

    name: str
    x: np.ndarray
    seconds: np.ndarray
    megabytes: np.ndarray
    exponent: Interval
    intercept: float
    theory: float


def growth(found: Mapping) -> list[Growth]:
    """Every curve of bench/scaling.json, with its exponent in time. ValueError for one of too few points."""
    curves = []
    for name, curve in found["curves"].items():
        x, seconds, megabytes = (
            np.array([p[key] for p in curve["points"]], float) for key in ("x", "seconds", "megabytes")
        )
        if len(x) < 3 or not (np.isfinite([x, seconds]).all() and min(x.min(), seconds.min()) > 0):
            raise ValueError(f"{len(x)} points of {name!r:.40}, not three or more above 0")
        fit = scipy_stats.linregress(np.log(x), np.log(seconds))
        half = float(fit.stderr * scipy_stats.t.ppf(0.975, len(x) - 2))
        slope = float(fit.slope)
        exponent = Interval(slope, slope - half, slope + half, len(x))
        curves.append(Growth(name, x, seconds, megabytes, exponent, float(fit.intercept), float(curve["theory"])))
    return curves


def growth_table(curves: Sequence[Growth]) -> Page:
    """Exponents beside theory's, and the memory at both ends."""
    head = ["what grows", "from", "to", "exponent of the time", "theory", "memory"]
    rows = [
        [
            one.name,
            words(int(one.x[0])),
            words(int(one.x[-1])),
            number(one.exponent),
            f"{one.theory:g}",
            f"{number(one.megabytes[0] / 1e3, 2)} to {number(one.megabytes[-1] / 1e3, 2)} GB",
        ]
        for one in curves
    ]
    return markup.lines_table(head, rows, numeric=False)


# ---------------------------------------------------------------- leaner rules for the Jacobian

JUDGED = {  # what of a rule: a heading, and digits
    "cosine": ("cosine", 3),
    "pearson_loss": ("Pearson lost", 3),
    "spearman_loss": ("Spearman lost", 3),
    "ranks": ("ranks", 3),
    "listed": ("first ten", 2),
}
NAMED = {  # rules that prose names, by the words it has for them
    "exact": "all members",
    "two": "two in turn",
    "far": "two in turn, each far from the last",
    "early": "three, then one",
    "late": "one, then three",
    "lean": "one, then two",
    "one": "one in turn",
    "directions": "two in turn, 8 directions",
    "adjoint": "adjoint, 128 random projections",
}


def judged(row: Mapping, key: str) -> Interval | None:
    """A mean over samples with its interval, None where a rule has none."""
    return Interval(*map(float, row[key]), 0) if key in row else None


def rules_table(found: Mapping) -> Page:
    """A line for each rule, the dearest first: passes a sample, and what is left of the Jacobian, with intervals."""
    head = ["rule", "passes", *(heading for heading, _ in JUDGED.values())]
    rows = [
        [str(row["name"]), f"{row['passes']:,.0f}"]
        + [number(one, digits) if (one := judged(row, key)) else "–" for key, (_, digits) in JUDGED.items()]
        for row in sorted(found["rows"], key=lambda row: -row["passes"])
    ]
    return markup.lines_table(head, rows, numeric=True)


def rules_words(found: Mapping) -> dict[str, object]:
    """What prose has of the rules in NAMED: passes, and everything that is JUDGED."""
    by_name = {row["name"]: row for row in found["rows"]}
    told = {"samples_ruled": found["samples"], **{key: found[key] for key in ("counterfactuals", "steps")}}
    for word, name in NAMED.items():
        told[f"rule_{word}_passes"] = f"{by_name[name]['passes']:,.0f}"
        there = {key: judged(by_name[name], key) for key in JUDGED}
        told |= {f"rule_{word}_{key}": number(one, JUDGED[key][1]) for key, one in there.items() if one}
    return told


# ---------------------------------------------------------------- a GPU


def gpu_words(found: Mapping | NotRun) -> str:
    """On what it was measured, or that it was not, as a sentence of the page."""
    if isinstance(found, NotRun):
        return f"This was {found}."
    said = f"Measured on {found['gpu']}, {str(found['made']['date'])[:10]}."
    if {"failed"} & {*found["training"], *found["sampling"]}:
        return said
    steps, ways = found["training"], found["sampling"]["ways"]
    plain = ways["a loop over members"]["seconds"]
    gains = {way: number(plain / ways[way]["seconds"], 1) for way in ("the loop, recorded", "all members in one batch")}
    return (
        f"{said} Small networks keep a GPU waiting for launches: recorded, a training step is "
        f"{number(steps['recorded'] / steps['kernel by kernel'], 1)} times as fast, and sampling "
        f"{gains['the loop, recorded']} times by the loop, or {gains['all members in one batch']} times by all members "
        "in one batch."
    )


def gpu_table(found: Mapping | NotRun) -> Page | None:
    """A line for each way: its seconds, how far its results are from the first's; of the paper's networks the memory,
    and the hours of the whole stage."""
    if isinstance(found, NotRun):
        return None
    steps, rows = found["training"], []
    for way in ("kernel by kernel", "recorded"):
        rows.append(["a training step", way, *_gpu({**steps, "seconds": 1 / steps[way]} if way in steps else steps)])
    for part, what in (("sampling", "samples"), ("jacobian", "Jacobians")):
        named = f"{found[part]['samples']} {what}, {found[part]['steps']} steps" if "ways" in found[part] else what
        ways = found[part].get("ways", {"all ways": found[part]})
        rows += [[named, way, *_gpu(row)] for way, row in ways.items()]
    for name, stages in found["paper"].items():
        rows += [[f"the paper's {name}", stage, *_gpu(row)] for stage, row in stages.items()]
    names = [row[0] for row in rows]
    lines = [
        ["" if name == before else name, *row[1:]]
        for row, name, before in zip(rows, names, ["", *names[:-1]], strict=True)
    ]
    return markup.lines_table(["what", "way", "time", "results differ by", "memory", "in all"], lines, numeric=False)


def _gpu(row: Mapping) -> tuple[str, str, str, str]:
    """A line's last four columns; of what failed, why."""
    if "failed" in row:
        return f"failed: {row['failed']}", "–", "–", "–"
    apart = ("0" if not row["apart"] else power(row["apart"], 0)) if "apart" in row else "–"
    seconds = _seconds(row["seconds"]).replace(" ", NARROW)
    if "units" not in row:
        return seconds, apart, "–", "–"
    hours = number(row["seconds"] * row["units"] / 3600, 0)
    return seconds, apart, f"{number(row['gigabytes'], 1)}{NARROW}GB", f"{hours}{NARROW}h"


# ---------------------------------------------------------------- chapters


def side_by_side_words(found: Mapping, titles: Mapping[str, str]) -> dict[str, str]:
    """How long two chapters take in turn and side by side, as prose has it; titles: by chapter."""
    turn, side = (float(np.mean(found["seconds"][way])) for way in ("in turn", "side by side"))
    less = 1 - side / turn
    return {
        "pair": " and ".join(f"“{titles[chapter]}”" for chapter in found["chapters"]),
        "pair_in_turn": _seconds(turn),
        "pair_side": _seconds(side),
        "pair_rounds": "once" if (rounds := len(found["seconds"]["in turn"])) == 1 else f"{rounds} times, their mean",
        "pair_verdict": f"{share(abs(less))} {'less' if less > 0 else 'more'}",
        "pair_follows": "The build takes chapters one after the other"
        + (", as passes of members keep all cores busy by themselves." if less < 0.05 else " all the same."),
    }
