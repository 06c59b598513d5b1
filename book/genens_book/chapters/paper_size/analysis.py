"""What the paper's own sizes take, from what bench/paper.py measured: core-hours here, hours of a named GPU, disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from genens import files, store
from genens_book.pages import markup
from genens_book.pages.markup import Page
from genens_book.pages.words import number, share, words

Row = Mapping[str, object]
STAGES = {  # and what a unit of each is
    "train": ("training", "step"),
    "sample": ("sampling", "pass"),
    "fid": ("FID", "image"),
    "jacobian": ("Jacobians", "direction"),
    "search": ("search", "sample"),
}
GPU = "A100"
PEAK = 156e12  # its matrix products a second in TF32, dense (NVIDIA's data sheet)


def rows(file: Path | None = None) -> tuple[list[Row], Mapping]:
    """The rows of bench/paper.json, one an ensemble, and what they were measured with. ValueError for a file that is
    damaged or lacks a number."""
    file = file or store.home() / "bench" / "paper.json"
    with files.expecting("what bench/paper.py measured", file, "restore it or run the script"):
        found = json.loads(file.read_text(encoding="utf-8"))
        if not found["rows"]:
            raise ValueError("no rows")
        rows, made = found["rows"], found["made"]
        _ = table(rows, made, 1.0), sizes_table(rows), parts(rows), [row["name"] for row in rows]
        return rows, made


def core_hours(row: Row, stage: str, cores: int) -> float:
    """What a stage takes in all, in hours of one core of the machine it was measured on, all of whose cores it used."""
    found = row["stages"][stage]
    return found["seconds"] * found["units"] * cores / 3600


def gpu_hours(row: Row, stage: str, utilisation: float) -> float:
    """The same on the GPU that PEAK is of, from the floating-point operations, at this share of its peak; 0 for the
    search, which is no work for one."""
    found = row["stages"][stage]
    return found["flops"] * found["units"] / (PEAK * utilisation) / 3600


def table(found: Sequence[Row], made: Mapping, utilisation: float) -> Page:
    """A line for every stage of every ensemble."""
    head = ["ensemble", "stage", "unit", "seconds a unit", "memory", "core-hours", f"{GPU} hours"]
    lines = []
    for row in found:
        for stage, (name, unit) in STAGES.items():
            one = row["stages"][stage]
            lines.append(
                [
                    str(row["dataset"]) if stage == "train" else "",
                    name,
                    unit,
                    words(one["seconds"]),
                    f"{number(one['gigabytes'], 1)} GB",
                    hours(core_hours(row, stage, made["cpus"])),
                    hours(gpu_hours(row, stage, utilisation)) if one["flops"] else "–",
                ]
            )
    return markup.lines_table(head, lines, numeric=False)


def sizes_table(found: Sequence[Row]) -> Page:
    """What the ensembles are, and the disk they take: a line for each."""
    head = ["ensemble", "n", "N", "parameters", "members", "one checkpoint", "samples", "Jacobians"]
    lines = []
    for row in found:
        disk = row["disk_gigabytes"]
        kept = [f"{number(disk[key], 2, 'g')} GB" for key in ("members", "checkpoint", "samples", "jacobians")]
        lines.append([row["dataset"], str(row["n"]), words(row["N"]), f"{row['parameters'] / 1e6:.1f} M", *kept])
    return markup.lines_table(head, lines, numeric=True)


def hours(value: float) -> str:
    """Hours with as many digits as they deserve: 4.2, 457, 12,300; next to nothing as such."""
    if value < 0.01:
        return "< 0.01"
    return number(value, 3, "g") if value < 100 else f"{round(value, -2) if value >= 10_000 else value:,.0f}"


def parts(found: Sequence[Row]) -> str:
    """Which ensembles' minibatches were trained in parts, as a sentence."""
    split = [row for row in found if row["part"] < row["batch"]]
    if not split:
        return "Every minibatch was in memory at once."
    each = ", ".join(f"{row['dataset']}'s {row['batch']} images {row['part']} at a time" for row in split)
    return f"To fit in memory, minibatches were taken in parts whose gradients add up: {each}."


def total(found: Sequence[Row], utilisation: float, stages: Sequence[str] = tuple(STAGES)) -> float:
    """GPU-hours of some stages of all ensembles."""
    return sum(gpu_hours(row, stage, utilisation) for row in found for stage in stages)


def measured(found: Sequence[Row], utilisation: float, file: Path | None = None) -> str:
    """By how much the hours of stages differ from what a GPU took for a unit of them (bench/gpu.json), as a sentence.
    ValueError for a file that is damaged."""
    file = file or store.home() / "bench" / "gpu.json"
    if not file.is_file():
        return "Networks of this size were not run on a GPU."
    with files.expecting("what bench/gpu.py measured", file, "restore it or run make bench DEVICE=cuda"):
        made = json.loads(file.read_text(encoding="utf-8"))
        times = {}
        for stage in ("train", "sample", "jacobian"):
            took = [made["paper"][row["name"]][stage] for row in found]
            if not any("failed" in one for one in took):
                spent = sum(one["seconds"] * one["units"] for one in took) / 3600
                times[STAGES[stage][0]] = number(spent / total(found, utilisation, [stage]), 2, "g")
        told = ", ".join(f"{ratio} for {stage}" for stage, ratio in times.items())
        return (
            f"A unit of each was run in float32 on {made['gpu']}: the hours are those of the last column times {told}."
        )


def portions(found: Sequence[Row], utilisation: float) -> dict[str, str]:
    """What of all GPU-hours is training, and what is sampling, as shares."""
    whole = total(found, utilisation)
    return {STAGES[stage][0]: share(total(found, utilisation, [stage]) / whole) for stage in ("train", "sample")}
