"""Files written whole or not at all, and checked by their sha256 when read; JSON and safetensors only."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as _from_bytes
from safetensors.numpy import save as _to_bytes
from yaml import YAMLError

Arrays = dict[str, np.ndarray]
RESTORE = "restore the folder (git checkout, or your copy) or make it again (make train)"


# ---------------------------------------------------------------- written at once


@contextlib.contextmanager
def locked(path: Path, wait: Callable[[str], object] | None = None) -> Iterator[bool]:
    """Hold a lock file until the block ends, or this process, however it ends; False where the file system has no
    locks, and nothing is held.
    While another process holds it: BlockingIOError, or with `wait`, which is told what process that is, waiting.
    """
    with contextlib.ExitStack() as opened:
        while True:
            file, held = opened.enter_context(open(path, "a+")), True
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if wait is None:
                    raise
                file.seek(0)
                wait(file.read() or "another process")
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                held = False
            if _is_at(file.fileno(), path):  # who held it may have removed it
                break
        try:
            with contextlib.suppress(OSError):  # it is held, if a full disk has no room for saying by whom
                os.ftruncate(file.fileno(), 0)
                os.write(file.fileno(), f"process {os.getpid()}".encode())
            yield held
        finally:
            path.unlink(missing_ok=True)


def _is_at(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


_TEMPORARY = re.compile(r"(\..+\.[0-9a-f]{12})\.(tmp|lock)")


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in a new folder beside `path`, which goes whatever happens, and by its lock tells that it is in use."""
    name = f".{path.name}.{uuid.uuid4().hex[:12]}"
    temporary = path.with_name(f"{name}.tmp")
    with locked(path.with_name(f"{name}.lock"), wait=lambda _: None):  # sweep may try it
        try:
            temporary.mkdir()
            yield temporary / path.name
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed have left: temporary folders whose locks nobody holds."""
    for left in filter(None, map(_TEMPORARY.fullmatch, os.listdir(folder))):
        with contextlib.suppress(OSError), locked(folder / f"{left[1]}.lock") as held:
            if held:
                shutil.rmtree(folder / f"{left[1]}.tmp", ignore_errors=True)


@contextlib.contextmanager
def staged(path: str | Path, replace: bool = True) -> Iterator[Path]:
    """A name for a new file or folder, which becomes `path` at once when the block ends well: a reader sees the old one
    or the new one, never a part and never neither (but see `_exchange`).

    An existing folder is replaced, or kept with `replace=False` (two writers of one artifact: both right). What killed
    writers have left beside it is removed. Raises OSError, one line, when it cannot be written; nothing is lost then.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        with _beside(path) as new:
            yield new
            try:
                os.replace(new, path)
            except OSError as problem:
                if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                if replace:
                    _exchange(new, path)
    except OSError as problem:
        advice = "check that the folder may be written to"
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "free some space there, or point GENENS_STORE at another disk"
        why = os.strerror(problem.errno) if problem.errno else str(problem)
        said = f"could not write {path} ({why}); nothing half-written is left; {advice}"
        raise OSError(problem.errno, said) from problem


def _exchange(new: Path, old: Path) -> None:
    """Each folder gets the other's name, at once, for which Python has no function. On a file system that cannot, such
    as NFS, there is neither for a moment, and a process that is killed just then leaves the old one as `NAME.old`."""
    system, names = ctypes.CDLL(None), (os.fsencode(new), os.fsencode(old))
    if sys.platform == "darwin":
        failed = system.renamex_np(*names, 2)  # RENAME_SWAP
    else:
        failed = system.renameat2(-100, names[0], -100, names[1], 2)  # AT_FDCWD; RENAME_EXCHANGE
    if failed:
        aside = old.with_name(f"{old.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(old, aside)
        try:
            os.replace(new, old)
        except OSError:
            os.replace(aside, old)
            raise
        shutil.rmtree(aside)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def atomic_write(path: str | Path, content: bytes | str) -> None:
    """Write a file as `staged` says."""
    with staged(path) as new:
        _write(new, content.encode() if isinstance(content, str) else content)


def write_folder(
    path: str | Path, files: Mapping[str, bytes], manifest: dict, *, name: str = "manifest.json", replace: bool = True
) -> None:
    """Write a folder of files and a manifest that lists each one's sha256 and size, as `staged` says."""
    listed = {key: {"sha256": sha256(content), "bytes": len(content)} for key, content in files.items()}
    body = json.loads(canonical({**manifest, "files": listed}))
    body["manifest_sha256"] = digest(body)
    with staged(path, replace) as new:
        new.mkdir()
        for key, content in files.items():
            _write(new / key, content)
        _write(new / name, (json.dumps(body, indent=1) + "\n").encode())


def remove_folder(path: str | Path) -> None:
    """Remove a folder so that others see all of it or nothing. FileNotFoundError when there is none."""
    with _beside(Path(path)) as aside:
        os.replace(path, aside)


# ---------------------------------------------------------------- read and checked


class Damaged(ValueError):
    """Data on disk that are not what they should be: the error of `expecting`."""


_NONSENSE = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def printable(text: str) -> str:
    """Text with escapes for what a terminal would act on, or could not encode."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@contextlib.contextmanager
def expecting(what: str, where: str | Path, remedy: str) -> Iterator[None]:
    """Whatever goes wrong in making sense of data becomes a `Damaged`, one line: what was expected, in which file, what
    came, what to do. A file that is not there is a FileNotFoundError as clear."""
    try:
        yield
    except Damaged:
        raise
    except FileNotFoundError as problem:
        if problem.errno is None:  # it has been said
            raise
        raise FileNotFoundError(f"expected {what} in {where}, found no such file; {remedy}") from None
    except (*_NONSENSE, SafetensorError, YAMLError) as problem:
        said = printable(" ".join(f"{type(problem).__name__}: {problem}".removeprefix("ValueError: ").split()))
        raise Damaged(f"expected {what} in {where}, got something else ({said:.200}); {remedy}") from problem


def read_folder(
    path: str | Path, *, name: str = "manifest.json", remedy: str = RESTORE
) -> tuple[dict, dict[str, bytes]]:
    """The manifest of a folder made by `write_folder` and the files that it lists, {name: content}, all checked.

    They are of one folder even if it is being replaced. Raises FileNotFoundError for a missing folder or file and
    ValueError for a truncated or edited one.
    """
    path = Path(path)
    while True:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(f"expected {path / name}, found no such file; {remedy}") from None
        try:
            return _read(folder, path, name, remedy)
        except FileNotFoundError:
            if _is_at(folder, path):
                raise
        finally:
            os.close(folder)


def _read(folder: int, path: Path, name: str, remedy: str) -> tuple[dict, dict[str, bytes]]:
    def content(file: str, listed: str = "") -> bytes:
        try:
            with open(file, "rb", opener=partial(os.open, dir_fd=folder)) as opened:
                return opened.read()
        except (FileNotFoundError, IsADirectoryError):
            raise FileNotFoundError(f"expected {path / file}{listed}, found no such file; {remedy}") from None

    written, found = content(name), {}
    with expecting("a manifest and its sha256", path / name, remedy):
        manifest = json.loads(written)
        if manifest.pop("manifest_sha256") != digest(manifest):
            raise ValueError("it was edited")
        listed = {file: (entry["bytes"], entry["sha256"]) for file, entry in manifest["files"].items()}
        if odd := [file for file in listed if os.path.basename(file) != file or not file.isprintable()]:
            raise ValueError(f"{odd[0]!r:.60} is not the name of a file in this folder")
    for file, (size, sum_) in listed.items():
        found[file] = content(file, f", which {name} lists")
        if len(found[file]) != size:
            got = f"expected {size!r:.40} bytes, found {len(found[file])}"
            raise ValueError(f"{path / file} is truncated or edited: {got}; {remedy}")
        if sha256(found[file]) != sum_:
            raise ValueError(f"{path / file} was edited: its sha256 is not the one in {name}; {remedy}")
    return manifest, found


def arrays_from_bytes(content: bytes, where: str | Path, remedy: str = RESTORE) -> Arrays:
    """Arrays in the safetensors format. ValueError, which names the file `where` they were read, for anything else."""
    with expecting("a whole safetensors file of numbers", where, remedy):
        return as_numpy(_from_bytes(content))


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
