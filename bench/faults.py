"""Faults on purpose: what is on disk is damaged at random, and must then be refused in one clear line; writers are
killed at random, and must leave what they write whole.

    python -m bench.faults --mutations 1000 --kills 200
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load as from_bytes

from genens import codes as coding
from genens import data, ensemble, files, recipe, store
from genens.unet import UNetConfig, build
from genens_book.chapters.class_ablation import retrained
from genens_book.chapters.networks import analysis as networks
from genens_book.chapters.paper_size import analysis as paper_size
from genens_book.chapters.speed import analysis as speed
from genens_book.measures import classifier, gallery, references
from genens_book.measures.judges import DigitNet
from genens_book.pages import claims, walkthrough

Draw = np.random.Generator
BENCH = store.home() / "bench"
NETWORK = UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1)
RECIPE = recipe.Recipe("mnist", steps=1, n=4, h=2, limit=6, batch=4, unet=NETWORK.to_dict())
NONSENSE = (None, True, -1, 0, 3.5, 1e300, 10**30, "", "../x", "\ud800", [], [[]], {}, {"a": None})


# ---------------------------------------------------------------- what is damaged


@dataclass(frozen=True)
class Subject:
    """Something that lies in a folder. make: writes it below a folder, and says where; use: reads it there as the book
    does, and returns what came of it."""

    name: str
    make: Callable[[Path], Path]
    use: Callable[[Path], object]
    manifest: str = "manifest.json"


def make_ensemble(root: Path) -> Path:
    """Four untrained members of six digits."""
    images = RECIPE.images()
    about = {"recipe": asdict(RECIPE), "unet": NETWORK.to_dict(), "shape": [1, 28, 28], "data": images.digest}
    codes = RECIPE.codes(images)
    more = {"images": len(images), "split_sizes": coding.split_sizes(codes).tolist(), "member_loss": [0.5] * 4}
    ensemble.save(root / "members", [build(NETWORK, i).state_dict() for i in range(4)], codes, about | more)
    return root / "members"


def use_ensemble(folder: Path) -> object:
    """What the members predict in one image, and what they say that they were trained on."""
    members = ensemble.load(folder)
    noise = members(torch.full((1, *members.shape), 0.5), 0) if members.shape == (1, 28, 28) else members.shape
    return members.digest, str(noise), str(recipe.recipe_of(members.manifest)), members.codes.tolist()


def make_judge(root: Path) -> Path:
    """An untrained classifier of digits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier.save([DigitNet()], root / "judge", {"judge": "digits", "cross_validation": {"mean": 0.5}})
    return root / "judge"


def use_judge(folder: Path) -> object:
    """What it sees in a grey image."""
    return str(classifier.read(classifier.load(folder), torch.full((1, 1, 28, 28), 0.25)))


def squares(indices: range) -> dict[str, np.ndarray]:
    """Something to be stored."""
    return {"squares": np.array([i**2 for i in indices], float), "roots": np.sqrt([*indices])}


def make_stored(root: Path) -> Path:
    """A chunk of a stored result. GENENS_STORE is this folder from now on."""
    os.environ["GENENS_STORE"] = str(root / "store")
    store.chunked(squares, 8, 4)
    return next((root / "store").glob("squares-*"))


def use_stored(folder: Path) -> object:
    """The result, from both chunks."""
    return {name: value.tolist() for name, value in store.chunked(squares, 8, 4).items()}


def make_thumbnails(root: Path) -> Path:
    """Three of twelve pictures."""
    pictures = torch.arange(12 * 3 * 8 * 8).view(12, 3, 8, 8).to(torch.uint8)
    images = data.Dataset(pictures, torch.arange(12) % 2, "pictures", ("a", "b"))
    gallery.keep(images, [1, 5, 7], root / "thumbnails")
    return root / "thumbnails"


def use_thumbnails(folder: Path) -> object:
    """One that is there, one that is not, and the name of the first."""
    found = gallery.load(folder)
    return str(found[[1, 2]]), found.classes[found.labels[0]], found.said


def make_references(root: Path) -> Path:
    """Moments and features of two networks."""
    rows = np.random.default_rng(0).normal(size=(9, 4))
    parts = {"one": references.Real(rows), "other": references.Real(rows, confidence=np.linspace(0, 1, 9))}
    packed = {f"{name}.{part}": value for name, real in parts.items() for part, value in references._pack(real).items()}
    files.write_folder(root / "references", {references.FILE: files.arrays_to_bytes(packed)}, {"data": {"images": 9}})
    return root / "references"


def use_references(folder: Path) -> object:
    """What FIDs are measured against."""
    return str(
        [(name, real.reference().mean, real.draw(3, 0)) for name, real in sorted(references.load(folder).items())]
    )


SUBJECTS = (
    Subject("ensemble", make_ensemble, use_ensemble),
    Subject("classifier", make_judge, use_judge),
    Subject("stored result", make_stored, use_stored, "meta.json"),
    Subject("thumbnails", make_thumbnails, use_thumbnails),
    Subject("references", make_references, use_references),
)


# ---------------------------------------------------------------- damage


def _pick(folder: Path, draw: Draw, pattern: str = "*") -> Path:
    return sorted(folder.glob(pattern))[draw.integers(len(list(folder.glob(pattern))))]


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
    """Damage a folder whose manifest has this name; whether its digests were made to match, and what was done."""
    manifest = json.loads((folder / name).read_text())
    if not draw.integers(2):
        return False, CLUMSY[draw.integers(len(CLUMSY))](folder, draw)
    if draw.integers(2):
        done = lie_in_manifest(manifest, draw)
        sign(folder, manifest, name, listed=False)
    else:
        done = SLY[draw.integers(len(SLY))](folder, draw)
        sign(folder, manifest, name)
    return True, f"{done}, and signed it"


# ---------------------------------------------------------------- the campaigns


def refusal(problem: Exception, folder: Path, manifest: str) -> str:
    """What is wrong with an error as a refusal of a folder; nothing, if it is one clear line that names it."""
    said, named = str(problem), (str(folder), manifest, f"{folder.name.rpartition('-')[0]}-*")
    if type(problem) not in (ValueError, FileNotFoundError, files.Damaged):
        return f"a foreign exception, {type(problem).__name__}: {said}"
    clear = "\n" not in said and any(word in said for word in ("expected", "edited", "unknown field"))
    if not clear or not any(name in said for name in named):
        return f"no clear line: {said}"
    return ""


def mutate(root: Path, count: int, seed: int, subjects: tuple[Subject, ...] = SUBJECTS) -> tuple[Counter, list[str]]:
    """Damage each subject `count` times; how often which was refused, harmless, or, if signed, another that can be
    used; and what went wrong: damaged data used without a word, or refused in other words than one clear line."""
    came, wrong = Counter(), []
    for subject in subjects:
        folder, draw = subject.make(root), np.random.default_rng(seed)
        whole = shutil.copytree(folder, root / f"whole-{folder.name}")
        expected = subject.use(folder)
        for number in range(count):
            shutil.rmtree(folder)
            shutil.copytree(whole, folder)
            signed, done = damage(folder, subject.manifest, draw)
            try:
                found = subject.use(folder)
                how = "harmless" if found == expected else "another" if signed else "used"
            except Exception as problem:  # noqa: BLE001
                how = refusal(problem, folder, subject.manifest) or "refused"
            came[subject.name, how if how in ("harmless", "another", "refused") else "wrong"] += 1
            if how not in ("harmless", "another", "refused"):
                wrong.append(f"{subject.name} {number}, {done}: {how}")
    return came, wrong


def read_retrained(file: Path) -> object:
    """Those of the recipe of the first."""
    return retrained.rows(json.loads((BENCH / "retrained.json").read_text())[0]["manifest"]["recipe"], file)


READERS: dict[Path, Callable[[Path], object]] = {  # of files that have no sha256
    BENCH / "results.json": speed.results,
    BENCH / "engines.json": speed.engines,
    BENCH / "scaling.json": speed.scaling,
    BENCH / "networks.json": networks.candidates,
    BENCH / "paper.json": paper_size.rows,
    BENCH / "retrained.json": read_retrained,
    store.home() / "book" / "claims.yml": claims.load,
    store.home() / "book" / "own_images" / "run.json": lambda file: walkthrough.load(file.parent),
}


def misread(root: Path, count: int, seed: int) -> list[str]:
    """Damage each of these files `count` times; what was refused in other words than one clear line."""
    draw, wrong = np.random.default_rng(seed), []
    for source, read in READERS.items():
        folder, file = root / source.stem, root / source.stem / source.name
        folder.mkdir(parents=True)
        for number in range(count):
            for whole in (source, *source.parent.glob("*.png")):
                shutil.copyfile(whole, folder / whole.name)
            if file.suffix == ".json" and draw.integers(2):
                said = json.loads(file.read_text())
                done = lie_in_manifest(said, draw)
                file.write_text(json.dumps(said))
            else:
                done = (truncate, flip, garble)[draw.integers(3)](folder, draw)
            try:
                read(file)
            except Exception as problem:  # noqa: BLE001
                if how := refusal(problem, folder, file.name):
                    wrong.append(f"{file.name} {number}, {done}: {how}")
    return wrong


WRITER = """
import sys, time
from genens import files
root, k = sys.argv[1], 0
print(flush=True)
while True:
    k = (k + 1) % 251
    content = {f"{i}.bin": bytes([k]) * 20_000 for i in range(k % 3 + 1)}
    files.write_folder(f"{root}/replaced", content, {"k": k})
    files.write_folder(f"{root}/kept-{k}", content, {"k": k}, replace=False)
    files.atomic_write(f"{root}/note.json", f"[{k}, {k}]")
"""


def kill(root: Path, count: int, seed: int) -> tuple[int, list[str]]:
    """Kill a writer `count` times; how many folders and files were there, and what was not whole, or left behind once
    another writer had come."""
    draw, there, wrong = np.random.default_rng(seed), 0, []
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        with subprocess.Popen([sys.executable, "-c", WRITER, root], stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(draw.uniform(0, 0.2))
            writer.kill()
        try:
            for path in (path for path in root.iterdir() if not path.name.startswith(".")):
                there += 1
                if path.is_dir():
                    manifest, contents = files.read_folder(path)
                    expected = {f"{i}.bin": bytes([manifest["k"]]) * 20_000 for i in range(manifest["k"] % 3 + 1)}
                    wrong += [f"kill {number}: {path.name} is not what was written"] * (contents != expected)
                elif path.name == "note.json" and len(set(json.loads(path.read_text()))) != 1:
                    wrong.append(f"kill {number}: {path.name} is not what was written")
        except (OSError, ValueError) as problem:
            wrong.append(f"kill {number}: {problem}")
        files.atomic_write(root / "another.json", "{}")
        wrong += [f"kill {number}: {path.name} was left" for path in root.iterdir() if path.name.startswith(".")]
        for path in root.glob("kept-*"):
            shutil.rmtree(path)
    return there, wrong


def main() -> int:
    """The command line; 1 if anything went wrong."""
    parser = argparse.ArgumentParser("python -m bench.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=1000, help="of each kind of folder")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        came, wrong = mutate(Path(root), given.mutations, given.seed)
        wrong += misread(Path(root, "read"), given.mutations, given.seed)
        there, more = kill(Path(root, "killed"), given.kills, given.seed)
    for (subject, how), times in sorted(came.items()):
        print(f"{subject:<16}{how:<10}{times:6}")
    print(f"{len(READERS)} files without a sha256, {given.mutations} times each")
    print(f"{given.kills} writers killed, {there} folders and files looked at")
    print("\n".join(wrong := [*wrong, *more]) or "nothing went wrong")
    return bool(wrong)


if __name__ == "__main__":
    from bench import faults  # results are stored under the module's name, which here is __main__

    sys.exit(faults.main())
