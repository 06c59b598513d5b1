"""The named sets of parameters in book/profiles: what every chapter and every training run is called with."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from genens import store

TRAIN = "train"  # the section of a profile that lists ensembles; every other section is a chapter


def folder() -> Path:
    """Where the profiles lie."""
    return store.home() / "book" / "profiles"


def names() -> list[str]:
    """The profiles there are."""
    return sorted(path.stem for path in folder().glob("*.yml"))


@functools.cache
def load(profile: str) -> dict[str, dict]:
    """{chapter: {parameter: value}}, and under "train" {ensemble: recipe}. ValueError for an unknown profile."""
    if profile not in names():
        raise ValueError(f"expected a profile among {', '.join(names()) or '(none)'} in {folder()}; got {profile!r}")
    return yaml.safe_load((folder() / f"{profile}.yml").read_text()) or {}
