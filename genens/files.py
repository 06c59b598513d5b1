"""Files written whole or not at all, and checked by their sha256 when read; JSON and safetensors only."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as _from_bytes
from safetensors.numpy import save as _to_bytes

Arrays = dict[str, np.ndarray]
LARGE = 2**30  # bytes
_RESTORE = "restore the folder (git checkout, or your copy) or make it again (make train)"


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, gone afterwards whatever happens; a failed write becomes one line, an OSError."""
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.tmp"  # mkdtemp would make it private
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
    except OSError as problem:
        advice = "check that the folder may be written to"
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some space there, or point GENENS_STORE at another disk"
        why = os.strerror(problem.errno or errno.EIO)
        said = f"could not write {path} ({why}); nothing half-written is left; {advice}"
        raise OSError(problem.errno, said) from problem
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
    with staged(path) as temporary:
        _write(temporary, content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)


def write_folder(
    path: str | Path,
    files: Mapping[str, bytes | Path],
    manifest: dict,
    *,
    name: str = "manifest.json",
    replace: bool = True,
) -> None:
    """Write a folder of files and a manifest that lists each one's sha256 and size, all at once. A file given by its
    path, on the same disk, is moved there.

    An existing folder is replaced, or kept with `replace=False` (two writers of one artifact: both right).
    Raises OSError, one line, when it cannot be written; then the old folder, if any, is untouched.
    """
    path = Path(path)
    listed = {key: _stated(content) for key, content in files.items()}
    body = json.loads(canonical({**manifest, "files": listed}))
    body["manifest_sha256"] = digest(body)
    with staged(path) as temporary:
        temporary.mkdir()
        for key, content in files.items():
            if isinstance(content, Path):
                os.replace(content, temporary / key)
            else:
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


def _stated(content: bytes | Path) -> dict:
    if isinstance(content, Path):
        return {"sha256": sha256_file(content), "bytes": content.stat().st_size}
    return {"sha256": sha256(content), "bytes": len(content)}


def read_folder(path: str | Path, *, name: str = "manifest.json", remedy: str = _RESTORE) -> dict:
    """The manifest of a folder made by `write_folder`, after checking every file it lists; of one beyond LARGE only the
    size, which takes no time.

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
        size, found = expected["bytes"], file.stat().st_size
        if found != size:
            raise ValueError(f"{file} is truncated or edited: expected {size} bytes, found {found}; {remedy}")
        if size <= LARGE and sha256_file(file) != expected["sha256"]:
            raise ValueError(f"{file} was edited: its sha256 is not the one in {name}; {remedy}")
    return manifest


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
    return _to_bytes(as_numpy(arrays))


def as_numpy(arrays: object) -> Arrays:
    """A dict of numpy or torch arrays as contiguous numpy. ValueError for anything but numbers."""
    if not isinstance(arrays, Mapping) or not arrays:
        raise ValueError(f"expected a dict with at least one array, got {type(arrays).__name__}: {arrays!r:.60}")
    found = {}
    for key, value in arrays.items():
        array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers in '{key}', got dtype {array.dtype}; store floats, ints or bools")
        found[key] = np.asarray(array, order="C")  # safetensors would write a strided buffer as it lies
    return found


def sha256(content: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: object) -> str:
    """Hex sha256 of a JSON value in canonical form. ValueError for anything JSON cannot hold."""
    return sha256(canonical(value).encode())


def canonical(value: object) -> str:
    """A JSON value as one text: keys sorted, no spaces, numpy made plain. ValueError for anything else."""

    def plain(item: object) -> object:
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        raise ValueError(f"expected what JSON can hold, got a {type(item).__name__}: {item!r:.60}")

    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=plain)
