"""Artifacts on disk, each under the hash of what determines it; and where a result came from.

A costly result is one folder, `<root>/<kind>-<first 16 hex digits of its key>/`, holding `arrays.safetensors` and
`meta.json`. The key hashes the scientific parameters, the digests of the inputs, and the source of every module of
the package that the computing function's module imports, directly or not. Paths, batch sizes and comments are not
in it. Only safetensors and JSON are read back, and every file is checked against its sha256 before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as _from_bytes, save as _to_bytes
from tqdm import tqdm

from genens import source
from genens.source import provenance

Arrays = dict[str, np.ndarray]
_PACKAGE = Path(__file__).resolve().parent
_RESTORE = "restore the folder (git checkout, or your copy) or make it again (make train)"


def home() -> Path:
    """The repository this package lies in, or the current folder when it is installed elsewhere."""
    return _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else Path.cwd()


def root() -> Path:
    """Where artifacts lie: the environment's GENENS_STORE, or `_build/store` in the repository."""
    return Path(os.environ.get("GENENS_STORE") or home() / "_build" / "store")


# ---------------------------------------------------------------- writing: all of it, or nothing


@contextlib.contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, gone afterwards whatever happens; a failed write becomes one clear line."""
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.tmp"  # mkdtemp would make it private
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
    except OSError as problem:
        advice = "check that the folder may be written to"
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some space there, or point GENENS_STORE at another disk"
        raise OSError(problem.errno, f"could not write {path} ({os.strerror(problem.errno or errno.EIO)}); "
                                     f"nothing half-written is left; {advice}") from problem
    finally:  # also after KeyboardInterrupt; a finished write has moved the temporary name away
        for leftover in (temporary, _aside(temporary)):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _aside(temporary: Path) -> Path:
    return temporary.with_suffix(".old")


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def atomic_write(path: str | Path, content: bytes | str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part. OSError when it cannot."""
    path = Path(path)
    with _staged(path) as temporary:
        _write(temporary, content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)


def write_folder(path: str | Path, files: Mapping[str, bytes], manifest: Mapping[str, object], *,
                 name: str = "manifest.json", replace: bool = True) -> None:
    """Write a folder of files and a manifest that lists each one's sha256 and size, all at once.

    An existing folder is replaced, or kept as it is with `replace=False` (two writers of one artifact: both right).
    Raises OSError, one line, when it cannot be written; then the old folder, if any, is untouched.
    """
    path = Path(path)
    listed = {key: {"sha256": sha256(content), "bytes": len(content)} for key, content in files.items()}
    body = json.loads(_canonical({**manifest, "files": listed}))
    body["manifest_sha256"] = digest(body)
    with _staged(path) as temporary:
        temporary.mkdir()
        for key, content in files.items():
            _write(temporary / key, content)
        _write(temporary / name, (json.dumps(body, indent=1) + "\n").encode())
        if replace and path.is_dir():
            os.replace(path, _aside(temporary))
        try:
            os.replace(temporary, path)
        except OSError as problem:
            if _aside(temporary).is_dir() and not path.exists():
                os.replace(_aside(temporary), path)
            if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another writer was first: keep its folder
                raise


def read_folder(path: str | Path, *, name: str = "manifest.json", remedy: str = _RESTORE) -> dict:
    """The manifest of a folder made by `write_folder`, after checking every file it lists.

    Raises FileNotFoundError for a missing folder or file and ValueError for a truncated or edited one.
    """
    path = Path(path)
    if not (path / name).is_file():
        raise FileNotFoundError(f"expected {path / name}, found no such file; {remedy}")
    try:
        manifest = json.loads((path / name).read_text())
        stated = manifest.pop("manifest_sha256")
        files = dict(manifest["files"])
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"{path / name} is damaged ({type(problem).__name__}); {remedy}") from problem
    if digest(manifest) != stated:
        raise ValueError(f"{path / name} was edited: it no longer has the sha256 it states; {remedy}")
    for key, expected in files.items():
        file = path / key
        if not file.is_file():
            raise FileNotFoundError(f"expected {file}, which {name} lists, found no such file; {remedy}")
        if file.stat().st_size != expected["bytes"]:
            raise ValueError(f"{file} is truncated or edited: expected {expected['bytes']} bytes, found "
                             f"{file.stat().st_size}; {remedy}")
        if sha256_file(file) != expected["sha256"]:
            raise ValueError(f"{file} was edited: its sha256 is not the one in {name}; {remedy}")
    return manifest


def save_arrays(path: str | Path, arrays: Mapping[str, object]) -> None:
    """Write arrays (numpy or torch, on any device) as one safetensors file, atomically."""
    atomic_write(path, arrays_to_bytes(arrays))


def load_arrays(path: str | Path) -> Arrays:
    """Read a safetensors file. FileNotFoundError when missing, ValueError when it is not whole."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a safetensors file at {path}, found none")
    try:
        return _from_bytes(Path(path).read_bytes())
    except SafetensorError as problem:
        raise ValueError(f"{path} is not a whole safetensors file ({problem})") from problem


def arrays_to_bytes(arrays: Mapping[str, object]) -> bytes:
    """Arrays (numpy or torch) in the safetensors format."""
    return _to_bytes(_as_numpy(arrays))


def _as_numpy(arrays: object) -> Arrays:
    if not isinstance(arrays, Mapping) or not arrays:
        raise ValueError(f"expected a dict with at least one array, got {type(arrays).__name__}: {arrays!r:.60}")
    # safetensors writes a strided array's buffer as it lies, so each is made contiguous first.
    found = {key: np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
             for key, value in arrays.items()}
    for key, value in found.items():
        if value.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers in '{key}', got dtype {value.dtype}; store floats, integers or booleans")
    return {key: value if value.flags.c_contiguous else np.ascontiguousarray(value) for key, value in found.items()}


# ---------------------------------------------------------------- hashing


def sha256(content: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: object) -> str:
    """Hex sha256 of a JSON value in canonical form. ValueError for anything JSON cannot hold."""
    return sha256(_canonical(value).encode())


def _canonical(value: object) -> str:
    def plain(item: object) -> object:
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        raise ValueError(f"expected parameters that JSON can hold, got a {type(item).__name__}: {item!r:.60}; "
                         f"pass live objects and paths as `uncounted`, other results by digest in `inputs`")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=plain)


# ---------------------------------------------------------------- artifacts


def source_digest() -> str:
    """Hex sha256 of the code of every module of the package."""
    return digest(source.package(_PACKAGE))


def closure_digest(function: Callable) -> str:
    """Hex sha256 of the code that decides what `function` computes: its module and all it imports in the package."""
    return digest(source.closure(source.module_of(function)))


def _identity(kind: str, function: Callable, params: Mapping, inputs: Mapping[str, str] | None) -> dict:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", kind):
        raise ValueError(f"expected a kind of small letters, digits, '-' and '_', got {kind!r}")
    for name, value in (inputs or {}).items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected the digest of input '{name}' as a string, got {value!r:.60}")
    return {"kind": kind, "params": json.loads(_canonical(dict(params))), "inputs": dict(inputs or {}),
            "source": closure_digest(function)}


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
    arrays = _as_numpy(call())
    for name, value in arrays.items():
        if length is not None and value.shape[:1] != (length,):
            raise ValueError(f"expected '{name}' with {length} rows, one for each index, got shape {value.shape}")
    meta = {**identity, "key": digest(identity), "seconds": round(time.perf_counter() - began, 3),
            "made": provenance()}
    write_folder(folder, {"arrays.safetensors": arrays_to_bytes(arrays)}, meta, name="meta.json", replace=False)
    return arrays


def compute(kind: str, function: Callable[..., Mapping[str, object]], params: Mapping[str, object],
            inputs: Mapping[str, str] | None = None, uncounted: Mapping[str, object] | None = None) -> Arrays:
    """`function(**params, **uncounted)`, or what it gave last time.

    `params` (JSON values) and `inputs` (name -> digest of another result, of weights, of data) are in the key, with
    the code of `function`'s module and of all it imports. `uncounted` is not: live objects, paths, batch sizes.
    Returns the arrays as numpy. A stored result that was damaged is an error that says which folder to delete.
    """
    identity = _identity(kind, function, params, inputs)
    return _make(identity, lambda: function(**params, **(uncounted or {})))


def chunked(kind: str, function: Callable[..., Mapping[str, object]], n: int, chunk: int, params: Mapping[str, object],
            inputs: Mapping[str, str] | None = None, uncounted: Mapping[str, object] | None = None,
            progress: bool = True) -> Arrays:
    """`function(indices=range(a, b), **params, **uncounted)` over 0..n in chunks, joined along axis 0.

    Each chunk is an artifact, so that a stopped run goes on where it was and a larger n only adds chunks. Every array
    that `function` returns must have one row for each index. Progress goes to stderr.
    """
    for name, value in (("n", n), ("chunk", chunk)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            raise ValueError(f"expected {name} as a whole number of at least 1, got {value!r}")

    def identity(start: int, stop: int) -> dict:
        return _identity(kind, function, {**params, "indices": [start, stop]}, inputs)

    def rows(start: int, stop: int) -> Arrays:
        whole = identity(start, start + chunk)
        if stop < start + chunk and _folder(whole).exists():  # a larger run has already made this chunk in full
            return {name: value[:stop - start] for name, value in _read(whole).items()}
        return _make(identity(start, stop), lambda: function(indices=range(start, stop), **params,
                                                             **(uncounted or {})), stop - start)

    spans = [(start, min(start + chunk, int(n))) for start in range(0, int(n), chunk)]
    new = {span for span in spans if not any(_folder(identity(span[0], stop)).exists()
                                             for stop in (span[1], span[0] + chunk))}
    parts = []
    with tqdm(total=sum(stop - start for start, stop in new), desc=kind, unit="sample",
              disable=not (progress and new)) as bar:
        for span in spans:
            parts.append(rows(*span))
            bar.update((span[1] - span[0]) * (span in new))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
