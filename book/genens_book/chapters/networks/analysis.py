"""The appendix's table: the networks that were tried for the laptop, as `bench/networks.py` measured them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from genens import files, store
from genens.recipe import recipes
from genens.unet import UNetConfig
from genens_book.pages import markup, parameters
from genens_book.pages.markup import Page
from genens_book.pages.words import NARROW, number, share, signed

Row = Mapping[str, object]
TRIED = {  # in bench/shorter.yml
    "mnist16": "as shipped",
    "again1": "the same, another seed",
    "again0": "the same seed, on a GPU",
    "short0": "shorter",
    "short1": "shorter, another seed",
    "cosine": "shorter, falling along a cosine",
    "climb": "shorter, climbing for a tenth of the steps",
    "average": "shorter, averaged over twice as many steps",
    "momentum": "shorter, Muon's momentum as shipped",
    "rate": "shorter, rate as shipped",
    "matrices": "shorter, Muon's weights as shipped",
}
SETTINGS = ("batch", "lr", "ema", "weight", "optimizer", "times")


def candidates(file: Path | None = None) -> list[Row]:
    """The rows of bench/networks.json. ValueError for a file that is damaged or lacks a number."""
    file = file or store.home() / "bench" / "networks.json"
    with files.expecting("the candidates that bench/networks.py measured", file, "restore it or run the script"):
        rows = json.loads(file.read_text(encoding="utf-8"))
        if not rows:
            raise ValueError("no rows")
        _ = table(rows), [(UNetConfig(**row["unet"]), *(row[key] for key in SETTINGS)) for row in rows]
        return rows


def photographs(file: Path | None = None) -> dict:
    """bench/networks_cifar10.json, the same for CIFAR-10. Raises as `candidates`."""
    file = file or store.home() / "bench" / "networks_cifar10.json"
    with files.expecting("the candidates that were tried on CIFAR-10", file, "restore it"):
        found = json.loads(file.read_text(encoding="utf-8"))
        _ = photographs_table(found["rows"]), photographs_words(found)
        return found


def photographs_table(rows: Sequence[Row]) -> Page:
    """The candidates for CIFAR-10: held-out loss, plain and weighted as the skip is."""
    lines = [
        [str(row["name"]), f"{row['held_out']:.4f}", f"{row['v_loss']:.3f}" if "v_loss" in row else "–"] for row in rows
    ]
    return markup.lines_table(["candidate", "held-out loss", "weighted"], lines, numeric=True)


def photographs_words(found: Mapping) -> dict[str, object]:
    """What prose has of them."""
    least, most = found["seconds"]
    return {"photo_runs": int(found["runs"]), "photo_seconds": f"{least} to {most}", "photo_kept": str(found["kept"])}


def shorter(file: Path | None = None) -> dict:
    """bench/shorter.json, trainings of MNIST's members in fewer steps. Raises as `candidates`."""
    file = file or store.home() / "bench" / "shorter.json"
    with files.expecting("what bench/shorter.py measured", file, "restore it or run the script"):
        found = json.loads(file.read_text(encoding="utf-8"))
        _ = shorter_table(found), shorter_words(found)
        return found


def shorter_table(found: Mapping) -> Page:
    """A line for each training: losses, FID and confident digits, less the shipped members'."""

    def change(row: Row, key: str, digits: int, factor: float = 1) -> str:
        if key not in row:
            return "–"
        value, error = (factor * one for one in row[key])
        return "–" if row["name"] == "mnist16" else f"{signed(value, digits)}{NARROW}±{NARROW}{number(error, digits)}"

    lines = [
        [
            TRIED[row["name"]],
            f"{row['recipe']['steps']:,}",
            *(change(row, side, 2, 100) for side in ("seen", "held")),
            number(row["fid"], 2) if "fid" in row else "–",
            change(row, "fid_more", 2),
            change(row, "sure_more", 1, 100),
        ]
        for row in found["rows"]
    ]
    head = ["training", "steps", "loss, %", "on others, %", "FID", "more", "sure, points"]
    return markup.lines_table(head, lines, numeric=True)


def shorter_words(found: Mapping) -> dict[str, str]:
    """What prose has of it: steps, minutes of all cores for all members, FIDs."""
    rows, drawn = {row["name"]: row for row in found["rows"]}, found["drawn"]
    told = {
        "short_machine": f"{found['cores']} cores with {found['machine']['instructions']}",
        "short_drawn": f"{drawn['samples']:,}",
        "short_more": " and ".join(number(rows[name]["fid_more"][0], 2) for name in ("short0", "short1")),
        "short_again": signed(rows["again1"]["fid_more"][0], 2),
        "short_sure": share(rows["short0"]["sure"]) + " and " + share(rows["short1"]["sure"]),
        "short_whole_sure": share(rows["mnist16"]["sure"]),
    }
    for word, name in (("whole", "again1"), ("short", "short0")):
        steps, second = rows[name]["recipe"]["steps"], found["seconds"][name]
        minutes = steps * second * rows[name]["members"] / found["cores"] / 60
        told |= {f"short_{word}_steps": f"{steps:,}", f"short_{word}_minutes": f"{number(minutes, 0)}{NARROW}min"}
    return told


def table(rows: Sequence[Row]) -> Page:
    """All candidates, a line each."""
    head = [
        "candidate",
        "parameters",
        "steps",
        "processor time",
        "held-out loss",
        "digit-feature FID",
        "confident",
        "forward",
    ]
    lines = [
        [
            str(row["name"]),
            f"{row['parameters']:,}",
            f"{row['steps']:,}",
            f"{row['seconds']:.0f} s",
            f"{row['held_out']:.4f}",
            f"{row['fid']:,.0f}",
            f"{row['confident']:.0%}",
            f"{row['forward_64_ms']:.0f} ms",
        ]
        for row in rows
    ]
    return markup.lines_table(head, lines, numeric=True)


def words(row: Row) -> str:
    """A candidate's results as a sentence."""
    return (
        f"digit-feature FID {row['fid']:,.0f}, {share(row['confident'])} confident samples and a held-out loss of "
        f"{row['held_out']:.4f} after {row['steps']:,} steps in {row['seconds']:.0f} s."
    )


def lettered(rows: Sequence[Row], letter: str) -> Row:
    """The candidate whose name begins with a letter. ValueError for one that is not there."""
    for row in rows:
        if str(row["name"]).startswith(letter):
            return row
    raise ValueError(f"expected a candidate {letter} in bench/networks.json; got {', '.join(r['name'] for r in rows)}")


def best(rows: Sequence[Row]) -> Row:
    """The candidate with the lowest digit-feature FID."""
    return min(rows, key=lambda row: row["fid"])


def shipped(rows: Sequence[Row], profile: str = "laptop", name: str = "mnist16") -> Row:
    """The candidate whose network and settings are those of an ensemble of a profile (its number of steps apart).

    Raises ValueError when none is: the recipe was changed without measuring it.
    """
    recipe = recipes(parameters.profile_file(profile))[name]
    for row in rows:
        same = replace(recipe, **{key: row[key] for key in SETTINGS}) == recipe
        if same and UNetConfig(**row["unet"]) == UNetConfig(**recipe.unet):
            return row
    raise ValueError(
        f"expected a candidate with the network and settings of {profile}'s {name}, got none: "
        "add it to bench/networks.py and measure it"
    )
