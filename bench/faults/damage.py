"""Files that are damaged at random: what is done to them, and what must come of it, a refusal in one clear line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load as from_bytes
from tqdm import tqdm

from bench.faults.report import Report, timed
from bench.faults.subjects import READERS, SUBJECTS, Subject
from genens import files

Draw = np.random.Generator
NONSENSE = (None, True, -1, 0, 3.5, 1e300, 10**30, "", "../x", "\ud800", [], [[]], {}, {"a": None})


def _pick(folder: Path, draw: Draw, pattern: str = "*") -> Path:
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return found[draw.integers(len(found))]


def truncate(folder: Path, draw: Draw) -> str:
    """Cut a file short."""
    file = _pick(folder, draw)
    os.truncate(file, draw.integers(file.stat().st_size))
    return f"truncated {file.name}"


def flip(folder: Path, draw: Draw) -> str:
    """Flip a few bits of a file."""
    file = _pick(folder, draw)
    content = bytearray(file.read_bytes())
    for place in draw.integers(len(content), size=draw.integers(1, 9)):
        content[place] ^= 1 << int(draw.integers(8))
    file.write_bytes(content)
    return f"flipped bits of {file.name}"


def garble(folder: Path, draw: Draw) -> str:
    """Random bytes for a file, as many as it had, or one more."""
    file = _pick(folder, draw)
    file.write_bytes(draw.bytes(file.stat().st_size + int(draw.integers(2))))
    return f"garbled {file.name}"


def swap(folder: Path, draw: Draw) -> str:
    """Exchange two files."""
    one, other = _pick(folder, draw), _pick(folder, draw)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    return f"swapped {one.name} and {other.name}"


def remove(folder: Path, draw: Draw) -> str:
    """Remove a file, or put a folder in its place."""
    file = _pick(folder, draw)
    file.unlink()
    if draw.integers(2):
        file.mkdir()
    return f"removed {file.name}"


def lie_in_header(folder: Path, draw: Draw) -> str:
    """Change what the header of a safetensors file says of an array."""
    file = _pick(folder, draw, "*.safetensors")
    content = file.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    name = sorted(header)[draw.integers(len(header))]
    key = ("shape", "dtype", "data_offsets")[draw.integers(3)]
    header[name][key] = [*NONSENSE, "F64", "BF16", "I32", [2**40, 2**40], [1], [0, 2**60]][draw.integers(20)]
    said = json.dumps(header).encode()
    file.write_bytes(len(said).to_bytes(8, "little") + said + content[end:])
    return f"{key} of {name} in the header of {file.name}: {header[name][key]!r}"


def lie_in_array(folder: Path, draw: Draw) -> str:
    """Put NaN into an array of a file, or drop it, rename it, or change its shape or its type."""
    file = _pick(folder, draw, "*.safetensors")
    arrays = {name: value.copy() for name, value in from_bytes(file.read_bytes()).items()}
    name = sorted(arrays)[draw.integers(len(arrays))]
    value = arrays.pop(name)
    how = ("NaN", "infinity", "dropped", "renamed", "flat", "longer", "int64", "float64", "bool", "empty")[
        draw.integers(10)
    ]
    changed = {
        "NaN": lambda: {name: np.full(value.shape, np.nan, np.float32)},
        "infinity": lambda: {name: np.full(value.shape, np.inf, np.float16)},
        "dropped": lambda: {},
        "renamed": lambda: {f"{name}.": value},
        "flat": lambda: {name: value.reshape(-1)},
        "longer": lambda: {name: np.concatenate([np.atleast_1d(value)] * 2)},
        "int64": lambda: {name: np.full(value.shape, draw.integers(-(2**62), 2**62))},
        "float64": lambda: {name: value.astype(float) * 1e300},
        "bool": lambda: {name: value > 0},
        "empty": lambda: {name: np.zeros((0, *value.shape[1:]), value.dtype)},
    }
    file.write_bytes(files.arrays_to_bytes(arrays | changed[how]() or {"nothing": np.zeros(1)}))
    return f"{how}: {name} in {file.name}"


def lie_in_manifest(manifest: dict | list, draw: Draw) -> str:
    """Put nonsense for a value of a manifest, or of other JSON, at any depth, or drop it."""
    node, key, path = {"": manifest}, "", []
    while isinstance(node[key], dict | list) and node[key] and (not path or draw.integers(3)):
        node = node[key]
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        key = keys[draw.integers(len(keys))]
        path.append(str(key))
    deep: object = 0
    for _ in range(200):
        deep = [deep]
    what = [*NONSENSE, deep][draw.integers(len(NONSENSE) + 1)]
    if dropped := isinstance(node, dict) and path and not draw.integers(4):
        del node[key]
    else:
        node[key] = what
    return f"{'.'.join(path)} in the JSON: {'dropped' if dropped else repr(what)[:40]}"


def sign(folder: Path, manifest: dict, name: str = "manifest.json", listed: bool = True) -> None:
    """Write a manifest that has the right sha256 of itself and, of the files as they are now, with `listed`."""
    if listed:
        there = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != name}
        manifest["files"] = {
            key: {"sha256": files.sha256(content), "bytes": len(content)} for key, content in there.items()
        }
    body = json.loads(files.canonical({key: value for key, value in manifest.items() if key != "manifest_sha256"}))
    (folder / name).write_text(json.dumps({**body, "manifest_sha256": files.digest(body)}))


CLUMSY = (truncate, flip, garble, swap, remove, lie_in_header, lie_in_array)
SLY = (lie_in_header, lie_in_array, truncate, flip, garble, swap)  # of files whose digests are then made to match


def damage(folder: Path, name: str, draw: Draw) -> tuple[bool, str]:
    """Damage a folder whose manifest has this name; whether its digests were made to match, and what was done. Without
    a name none are made to match."""
    manifest = json.loads((folder / name).read_text()) if name else {}
    if not (name and draw.integers(2)):
        return False, CLUMSY[draw.integers(len(CLUMSY))](folder, draw)
    if draw.integers(2):
        done = lie_in_manifest(manifest, draw)
        sign(folder, manifest, name, listed=False)
    else:
        done = SLY[draw.integers(len(SLY))](folder, draw)
        sign(folder, manifest, name)
    return True, f"{done}, and signed it"


# ---------------------------------------------------------------- the campaigns


def refusal(problem: Exception, *named: str) -> str:
    """What is wrong with an error as a refusal; nothing, if it is one clear line that names one of these."""
    said = str(problem)
    if type(problem) not in (ValueError, FileNotFoundError, files.Damaged):
        return f"a foreign exception, {type(problem).__name__}: {said}"
    clear = said.isprintable() and any(word in said for word in ("expected", "edited", "unknown field"))
    return "" if clear and any(name in said for name in named) else f"no clear line: {said}"


def mutate(report: Report, root: Path, count: int, subjects: Sequence[Subject] = SUBJECTS) -> None:
    """Damage each subject `count` times. What comes of it: refused; harmless, used as what it was; another, which was
    signed and can be used; or wrong, used without a word or refused in other words than one clear line."""
    for subject in subjects:
        folder, draw = subject.make(root), np.random.default_rng(report.seed)
        whole = shutil.copytree(folder, root / f"whole-{folder.name}")
        expected, named = subject.use(folder), (str(folder), subject.manifest, f"{folder.name.rpartition('-')[0]}-*")
        for number in tqdm(range(count), f"damaging {subject.name}", unit="time"):
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
            signed, done = damage(folder, subject.manifest, draw)
            came, wrong = "refused", ""
            try:
                came = "harmless" if subject.use(folder) == expected else "another"
                wrong = "used" if came == "another" and not signed else ""
            except Exception as problem:  # noqa: BLE001
                wrong = refusal(problem, *filter(None, named))
            report.count(subject.name, came, wrong and f"{number}, {done}: {wrong}")


def misread(report: Report, root: Path, count: int) -> None:
    """Damage each of the files without a sha256 `count` times: taken, or refused in one clear line."""
    draw = np.random.default_rng(report.seed)
    for source, read in READERS.items():
        folder, file = root / source.stem, root / source.stem / source.name
        folder.mkdir(parents=True)
        for number in tqdm(range(count), f"damaging {source.name}", unit="time"):
            for whole in (source, *source.parent.glob("*.png")):
                shutil.copyfile(whole, folder / whole.name)
            if file.suffix == ".json" and draw.integers(2):
                said = json.loads(file.read_text())
                done = lie_in_manifest(said, draw)
                file.write_text(json.dumps(said))
            else:
                done = (truncate, flip, garble)[draw.integers(3)](folder, draw)
            came, wrong = "taken", ""
            try:
                read(file)
            except Exception as problem:  # noqa: BLE001
                came, wrong = "refused", refusal(problem, str(folder), file.name)
            report.count(source.name, came, wrong and f"{number}, {done}: {wrong}")


def run(root: Path, seed: int, count: int) -> list[Report]:
    """Each kind of folder so many times, and each of the files without a sha256."""
    folders = Report("mutations", "a file cut short, flipped, garbled, swapped, removed, lying in its header", seed)
    plain = Report("measurements", "a file without a sha256 cut short, flipped, garbled, or with nonsense in it", seed)
    with timed(folders):
        mutate(folders, root, count)
    with timed(plain):
        misread(plain, root / "read", count)
    return [folders, plain]
