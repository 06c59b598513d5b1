"""Artifacts on disk, each under the hash of what determines it.

    y = store.chunked(sampling.samples, 640, 64, members=members, seed=0, steps=schedule(20), mixtures=mixtures)["y"]

A costly result is one folder, `<root>/<kind>-<first 16 hex digits of its key>/`, with `arrays.safetensors` and
`meta.json`; its kind is the name of the function that computed it. What a result depends on is read off the call: the
function's arguments, and the code of every module of the core and of its own package that its module imports, directly
or not. Comments are not in the key, nor where files lie. Every file is checked against its sha256 before it is used.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from genens import files, provenance, ranks
from genens.files import Arrays, digest

FILE = "arrays.safetensors"


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


def identity(value: object, name: str = "value") -> object:
    """What stands for an argument in a key, as JSON: the value, if JSON can say it, else a digest of its content.

    An ensemble and a dataset have a `digest` attribute; arrays, tensors and the weights of a network are hashed with
    their shape and type; a path is the content of the file there; of a dataclass, the fields count that it is made
    with. Raises ValueError for anything else, and for numbers that are not finite.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.generic):
        return json.loads(files.canonical(value.item() if isinstance(value, np.generic) else value))
    if digest_ := getattr(value, "digest", None):
        return str(digest_)
    if isinstance(value, np.ndarray) or hasattr(value, "detach"):
        array = files.as_numpy({name: value})[name]
        return f"{array.dtype} {list(array.shape)} {files.sha256(array)}"
    if isinstance(value, Mapping):
        return {str(key): identity(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [identity(item, f"{name}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Path):
        return files.sha256(value.read_bytes())
    if hasattr(value, "state_dict"):
        return digest(identity(dict(value.state_dict()), name))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: identity(getattr(value, field.name), field.name) for field in fields(value) if field.init}
    raise ValueError(
        f"expected {name} as something whose content can be hashed (numbers, text, arrays, paths, or with a `digest`), "
        f"got {value!r:.60}"
    )


def _identity(function: Callable, arguments: Mapping[str, object]) -> dict:
    code = provenance.closure(provenance.module_of(function))  # first: it refuses what is no function of a module
    return {
        "kind": function.__name__.strip("_").replace("_", "-"),
        "arguments": {name: identity(value, name) for name, value in sorted(arguments.items())},
        "source": digest(code),
    }


def _folder(identity: Mapping) -> Path:
    return root() / f"{identity['kind']}-{digest(identity)[:16]}"


def where(function: Callable, /, **arguments: object) -> Path:
    """The folder in which `compute` with these arguments keeps its result, whether or not it is there yet."""
    return _folder(_identity(function, arguments))


def _read(identity: Mapping, length: int | None = None) -> Arrays:
    folder, key = _folder(identity), digest(identity)
    remedy = f"delete the folder {folder} and run again"
    meta, contents = files.read_folder(folder, name="meta.json", remedy=remedy)
    with files.expecting(f"the result of key {key[:24]}", folder, remedy):
        if meta["key"] != key:
            raise ValueError(f"another result, of key {meta['key'][:24]}")
        return _rows(files.arrays_from_bytes(contents[FILE], folder / FILE, remedy), length)


def _rows(arrays: Arrays, length: int | None) -> Arrays:
    """The arrays, if each has as many rows. ValueError otherwise."""
    for name, value in arrays.items():
        if length is not None and value.shape[:1] != (length,):
            raise ValueError(f"expected '{name}' with {length} rows, one for each index, got shape {value.shape}")
    return arrays


def _make(identity: Mapping, call: Callable[[], Mapping[str, object]], length: int | None = None) -> Arrays:
    """The stored result, or a new one: computed, written whole, returned."""
    folder = _folder(identity)
    if folder.exists():
        return _read(identity, length)
    began = time.perf_counter()
    arrays = _rows(files.as_numpy(call()), length)
    took = round(time.perf_counter() - began, 3)
    meta = {**identity, "key": digest(identity), "seconds": took, "made": provenance.describe()}
    written = {FILE: files.arrays_to_bytes(arrays)}
    files.write_folder(folder, written, meta, name="meta.json", replace=False)
    return arrays


def compute(function: Callable[..., Mapping[str, object]], /, **arguments: object) -> Arrays:
    """`function(**arguments)`, or what it gave last time: its dict of arrays, as numpy.

    In the key are the arguments (see `identity`) and the code of `function`'s module and of all it imports. A damaged
    stored result is an error that says which folder to delete. Raises ValueError for an argument that cannot be hashed.
    """
    return _make(_identity(function, arguments), lambda: function(**arguments))


def chunked(
    function: Callable[..., Mapping[str, object]], indices: int | range, chunk: int, /, **arguments: object
) -> Arrays:
    """`function(indices=range(a, b), **arguments)` over all indices in chunks, joined along axis 0.

    indices: how many, or a range that starts at a multiple of `chunk`. Each chunk is an artifact, so that a stopped run
    goes on where it was and a larger number only adds chunks (unless an argument changes with it); in a group of
    processes (`ranks`) that share a store, each computes some of them. Every array that
    `function` returns must have one row for each index. Progress goes to stderr. Raises ValueError for sizes that
    cannot be, and as `compute`.
    """
    span = indices if isinstance(indices, range) else range(indices) if _is_count(indices) else None
    if span is None or not _is_count(chunk):
        got = f"{indices!r}, {chunk!r}"
        raise ValueError(f"expected a whole number of at least 1, of indices and of a chunk, got {got}")
    if not 0 <= span.start < span.stop or span.start % chunk or span.step != 1:
        raise ValueError(f"expected indices from a multiple of the chunk, {chunk}, on; got {span}")
    common = _identity(function, arguments)

    def part(start: int, stop: int) -> dict:
        return {**common, "indices": [start, stop]}

    def rows(start: int, stop: int) -> Arrays:
        whole = part(start, start + chunk)
        if stop < start + chunk and _folder(whole).exists():  # a larger run has made this chunk in full
            return {name: value[: stop - start] for name, value in _read(whole, chunk).items()}
        return _make(part(start, stop), lambda: function(indices=range(start, stop), **arguments), stop - start)

    def end(start: int) -> int:
        return min(start + chunk, span.stop)

    def stored(start: int) -> bool:
        return any(_folder(part(start, stop)).exists() for stop in (end(start), start + chunk))

    starts = range(span.start, span.stop, chunk)  # which may be so many that one after the other is looked at
    mine = ranks.mine(starts)
    old = next((i for i, start in enumerate(mine) if not stored(start)), len(mine))
    own, new = {start: rows(start, end(start)) for start in mine[:old]}, mine[old:]
    total = len(new) * chunk - (new[-1] + chunk - end(new[-1])) if new else 0
    with tqdm(total=total, desc=common["kind"], unit="sample", disable=not new) as bar:
        for start in new:
            own[start] = rows(start, end(start))
            bar.update(end(start) - start)
    ranks.wait()
    parts = [own[start] if start in own else rows(start, end(start)) for start in starts]
    with files.expecting("the same arrays in all chunks", root() / f"{common['kind']}-*", "delete these and run again"):
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
