"""Artifacts on disk, each under the hash of what determines it.

A costly result is one folder, `<root>/<kind>-<first 16 hex digits of its key>/`, with `arrays.safetensors`
and `meta.json`. The key hashes the scientific parameters, the digests of the inputs, and the code of every
module of the package that the computing function's module imports, directly or not. Paths, batch sizes and
comments are not in it. Every file is checked against its sha256 before it is used.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from genens import provenance
from genens.files import Arrays, arrays_to_bytes, as_numpy, canonical, digest, load_arrays, read_folder, write_folder
from genens.provenance import describe


def home() -> Path:
    """The repository: the environment's GENENS_HOME, or where this package lies, or, when it is installed elsewhere,
    the current folder."""
    around = Path(__file__).resolve().parent.parent
    return Path(os.environ.get("GENENS_HOME") or (around if (around / "pyproject.toml").is_file() else Path.cwd()))


def root() -> Path:
    """Where artifacts lie: the environment's GENENS_STORE, or `_build/store` in the repository."""
    return Path(os.environ.get("GENENS_STORE") or home() / "_build" / "store")


def trained() -> Path:
    """Where trained ensembles lie that are not shipped, days of work, out of the reach of `make clean`: the
    environment's GENENS_TRAINED, or `trained` in GENENS_STORE if that is set, or else in the repository."""
    return Path(os.environ.get("GENENS_TRAINED") or Path(os.environ.get("GENENS_STORE") or home()) / "trained")


def closure_digest(function: Callable) -> str:
    """Hex sha256 of the code that decides what `function` computes: its module and all that it imports."""
    return digest(provenance.closure(provenance.module_of(function)))


def _identity(kind: str, function: Callable, params: Mapping, inputs: Mapping[str, str] | None) -> dict:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", kind):
        raise ValueError(f"expected a kind of small letters, digits, '-' and '_', got {kind!r}")
    for name, value in (inputs or {}).items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected the digest of input '{name}' as a string, got {value!r:.60}")
    return {
        "kind": kind,
        "params": json.loads(canonical(dict(params))),
        "inputs": dict(inputs or {}),
        "source": closure_digest(function),
    }


def _folder(identity: Mapping) -> Path:
    return root() / f"{identity['kind']}-{digest(identity)[:16]}"


def where(kind: str, function: Callable, params: Mapping, inputs: Mapping[str, str] | None = None) -> Path:
    """The folder in which `compute` with these arguments keeps its result, whether or not it is there yet."""
    return _folder(_identity(kind, function, params, inputs))


def _read(identity: Mapping) -> Arrays:
    folder = _folder(identity)
    meta = read_folder(folder, name="meta.json", remedy=f"delete the folder {folder} and run again")
    if meta["key"] != digest(identity):
        raise ValueError(f"{folder} holds another result (key {meta['key'][:24]}); delete that folder and run again")
    return load_arrays(folder / "arrays.safetensors")


def _make(identity: Mapping, call: Callable[[], Mapping[str, object]], length: int | None = None) -> Arrays:
    """The stored result, or a new one: computed, written whole, returned."""
    folder = _folder(identity)
    if folder.exists():
        return _read(identity)
    began = time.perf_counter()
    arrays = as_numpy(call())
    for name, value in arrays.items():
        if length is not None and value.shape[:1] != (length,):
            raise ValueError(f"expected '{name}' with {length} rows, one for each index, got shape {value.shape}")
    meta = {**identity, "key": digest(identity), "seconds": round(time.perf_counter() - began, 3), "made": describe()}
    write_folder(folder, {"arrays.safetensors": arrays_to_bytes(arrays)}, meta, name="meta.json", replace=False)
    return arrays


def compute(
    kind: str,
    function: Callable[..., Mapping[str, object]],
    params: Mapping[str, object],
    inputs: Mapping[str, str] | None = None,
    uncounted: Mapping[str, object] | None = None,
) -> Arrays:
    """`function(**params, **uncounted)`, or what it gave last time.

    `params` (JSON values) and `inputs` (name -> digest of another result, of weights, of data) are in the
    key, with the code of `function`'s module and of all it imports. `uncounted` is not: live objects, paths,
    batch sizes. Returns the arrays as numpy. A damaged stored result is an error that says which folder to
    delete.
    """
    identity = _identity(kind, function, params, inputs)
    return _make(identity, lambda: function(**params, **(uncounted or {})))


def chunked(
    kind: str,
    function: Callable[..., Mapping[str, object]],
    n: int,
    chunk: int,
    params: Mapping[str, object],
    inputs: Mapping[str, str] | None = None,
    uncounted: Mapping[str, object] | None = None,
    progress: bool = True,
    start: int = 0,
) -> Arrays:
    """`function(indices=range(a, b), **params, **uncounted)` over start..n in chunks, joined along axis 0.

    Each chunk is an artifact, so that a stopped run goes on where it was and a larger n only adds chunks.
    Every array that `function` returns must have one row for each index. Progress goes to stderr.
    """
    for name, value in (("n", n), ("chunk", chunk)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"expected {name} as a whole number of at least 1, got {value!r}")
    if not 0 <= start < n or start % chunk:
        raise ValueError(f"expected start as a multiple of the chunk, {chunk}, below n = {n}; got {start!r}")

    def identity(start: int, stop: int) -> dict:
        return _identity(kind, function, {**params, "indices": [start, stop]}, inputs)

    def rows(start: int, stop: int) -> Arrays:
        whole = identity(start, start + chunk)
        if stop < start + chunk and _folder(whole).exists():  # a larger run has already made this chunk in full
            return {name: value[: stop - start] for name, value in _read(whole).items()}
        return _make(
            identity(start, stop),
            lambda: function(indices=range(start, stop), **params, **(uncounted or {})),
            stop - start,
        )

    spans = [(start, min(start + chunk, int(n))) for start in range(start, int(n), chunk)]
    new = {
        span
        for span in spans
        if not any(_folder(identity(span[0], stop)).exists() for stop in (span[1], span[0] + chunk))
    }
    parts = []
    with tqdm(
        total=sum(stop - start for start, stop in new), desc=kind, unit="sample", disable=not (progress and new)
    ) as bar:
        for span in spans:
            parts.append(rows(*span))
            bar.update((span[1] - span[0]) * (span in new))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
