"""genens.store: what a user of stored results would notice."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from genens import files, provenance, store

calls: list[dict] = []


def squares(n: int, power: int = 2) -> dict[str, object]:
    calls.append({"n": n})
    return {"values": torch.arange(n, dtype=torch.float64) ** power, "even": np.arange(n) % 2 == 0}


stop_at: list[int] = []


def noise_rows(indices: range, seed: int) -> dict[str, object]:
    calls.append({"indices": indices})
    if stop_at and indices.start >= stop_at[0]:
        raise KeyboardInterrupt
    return {"rows": np.stack([np.random.default_rng((seed, i)).normal(size=3) for i in indices])}


def wrong_rows(indices: range) -> dict[str, object]:
    return {"rows": np.zeros((1, 2))}


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    calls.clear()
    return tmp_path / "store"


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ---------------------------------------------------------------- compute


def test_a_result_is_computed_once_and_then_read(fresh: Path) -> None:
    first = store.compute(squares, n=5)
    second = store.compute(squares, n=5)
    assert len(calls) == 1
    for key in ("values", "even"):
        assert first[key].dtype == second[key].dtype
        np.testing.assert_array_equal(first[key], second[key])
    np.testing.assert_array_equal(second["values"], [0, 1, 4, 9, 16])
    (folder,) = fresh.iterdir()
    assert folder == store.where(squares, n=5)
    assert everything_in(folder) == ["arrays.safetensors", "meta.json"]
    meta = json.loads((folder / "meta.json").read_text())
    assert (
        meta["arguments"] == {"n": 5}
        and meta["kind"] == "squares"
        and meta["made"]["torch"] == torch.__version__.partition("+")[0]
    )


@dataclasses.dataclass(frozen=True)
class Setting:
    power: int
    seen: int = dataclasses.field(init=False, default=3)


class Named:
    """Something that knows the digest of its content, as an ensemble does."""

    def __init__(self, digest: str) -> None:
        self.digest = digest


def test_the_key_is_read_off_the_arguments(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("same")
    (tmp_path / "other").write_text("same")
    array = np.arange(4.0)
    alike = [
        (5, np.int64(5)),
        (array, torch.arange(4, dtype=torch.float64)),
        (array, np.arange(8.0)[::2] / 2),
        ((1, 2), [1, 2]),
        (Setting(2), Setting(2)),
        (Named("ab"), Named("ab")),
        (tmp_path / "one", tmp_path / "other"),  # where a file lies does not matter
    ]
    for one, other in alike:
        assert store.where(squares, n=one) == store.where(squares, n=other)
    net = torch.nn.Linear(2, 2)
    different = [5, 6, 5.0, "5", None, True, array, array + 1, array.astype(np.float32), array.reshape(2, 2), [1, 2]]
    different += [
        Setting(2),
        Setting(3),
        Named("ab"),
        Named("cd"),
        tmp_path / "one",
        net,
        torch.nn.Linear(2, 2),
        {"a": 1},
    ]
    assert len({store.where(squares, n=value) for value in different}) == len(different)
    assert len({store.where(squares, n=5), store.where(squares, power=5), store.where(noise_rows, n=5)}) == 3


def test_strided_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    content = files.arrays_to_bytes({"turned": array.T, "every": array[::2, ::-1], "one": np.float64(3)})
    back = files.arrays_from_bytes(content, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(back["turned"], array.T)
    np.testing.assert_array_equal(back["every"], array[::2, ::-1])
    assert back["one"].shape == () and back["one"] == 3


@pytest.mark.parametrize(
    ("function", "argument", "words"),
    [
        (squares, object(), "expected n as something whose content can be hashed"),
        (squares, [1, {"a": object()}], r"expected n\[1\]\['a'\] as something"),
        (squares, Named(""), "expected n as something"),
        (squares, float("nan"), "JSON"),
        (lambda n: {}, 1, "top of a module"),
        (squares, "three", None),
    ],
)
def test_arguments_that_cannot_be_hashed_are_refused(
    function: object, argument: object, words: str | None, fresh: Path
) -> None:
    if words is None:
        with pytest.raises(TypeError):  # the function's own error passes through
            store.compute(function, n=argument)
    else:
        with pytest.raises(ValueError, match=words) as caught:
            store.compute(function, n=argument)
        assert "\n" not in str(caught.value)
    assert not fresh.exists()


@pytest.mark.parametrize("damage", ["truncate", "edit", "remove", "edit_meta", "truncate_meta", "remove_meta"])
def test_a_damaged_result_is_an_error_that_says_what_to_delete(damage: str) -> None:
    store.compute(squares, n=5)
    folder = store.where(squares, n=5)
    arrays, meta = folder / "arrays.safetensors", folder / "meta.json"
    content = arrays.read_bytes()
    if damage == "truncate":
        arrays.write_bytes(content[:-3])
    elif damage == "edit":
        arrays.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "remove":
        arrays.unlink()
    elif damage == "edit_meta":
        meta.write_text(meta.read_text().replace('"n": 5', '"n": 6'))
    elif damage == "truncate_meta":
        meta.write_text(meta.read_text()[:100])
    else:
        meta.unlink()
    error = FileNotFoundError if damage.startswith("remove") else ValueError
    with pytest.raises(error, match="delete the folder") as caught:
        store.compute(squares, n=5)
    culprit = meta if damage.endswith("meta") else arrays
    assert str(culprit) in str(caught.value) and "\n" not in str(caught.value)
    assert len(calls) == 1, "a damaged result is never recomputed in silence"


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [0, 1])
def test_a_write_that_fails_leaves_nothing(
    problem: BaseException, at: int, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = files._write

    def failing(path: Path, content: bytes) -> None:
        write(path, content[: len(content) // 2])
        if len(written) == at:
            raise problem
        written.append(path)

    monkeypatch.setattr(files, "_write", failing)
    with pytest.raises(type(problem)) as caught:
        store.compute(squares, n=5)
    assert everything_in(fresh) == []
    if isinstance(problem, OSError):
        assert caught.value.errno == errno.ENOSPC
        assert str(fresh) in str(caught.value) and "free some space" in str(caught.value)
        assert str(caught.value).count("could not write") == 1 and "\n" not in str(caught.value)
    monkeypatch.setattr(files, "_write", write)
    assert len(store.compute(squares, n=5)["values"]) == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_disk_is_reported(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = files._write
    monkeypatch.setattr(files, "_write", lambda path, content: write(Path("/dev/full"), content))
    with pytest.raises(OSError, match="No space left on device"):
        store.compute(squares, n=5)
    assert everything_in(fresh) == []


def _compute_slowly(barrier: object, root: str) -> None:
    os.environ["GENENS_STORE"] = root
    barrier.wait()
    for n in range(12):
        store.compute(squares, n=n + 1)


def test_two_writers_of_the_same_results_do_not_disturb_each_other(fresh: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    writers = [context.Process(target=_compute_slowly, args=(barrier, str(fresh))) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(list(fresh.iterdir())) == 12, "no temporary folder is left"
    for n in range(12):
        np.testing.assert_array_equal(store.compute(squares, n=n + 1)["values"], np.arange(n + 1) ** 2)
    assert calls == []


# ---------------------------------------------------------------- chunked


def oracle(n: int, seed: int) -> np.ndarray:
    return np.stack([np.random.default_rng((seed, i)).normal(size=3) for i in range(n)])


@pytest.mark.parametrize("chunk", [1, 4, 10, 64])
def test_chunks_join_to_the_whole(chunk: int) -> None:
    np.testing.assert_array_equal(store.chunked(noise_rows, 10, chunk, seed=3)["rows"], oracle(10, 3))


def test_a_larger_n_only_adds_chunks_and_a_smaller_one_computes_nothing(capsys: pytest.CaptureFixture) -> None:
    store.chunked(noise_rows, 8, 4, seed=3)
    assert "noise-rows" in capsys.readouterr().err
    calls.clear()
    np.testing.assert_array_equal(store.chunked(noise_rows, 12, 4, seed=3)["rows"], oracle(12, 3))
    assert [call["indices"] for call in calls] == [range(8, 12)]
    calls.clear()
    capsys.readouterr()
    np.testing.assert_array_equal(store.chunked(noise_rows, 6, 4, seed=3)["rows"], oracle(6, 3))
    output = capsys.readouterr()
    assert calls == [] and output.err == output.out == "", "nothing to compute: no progress bar"


def test_a_run_may_start_further_on_and_share_its_chunks_with_one_from_the_start() -> None:
    late = store.chunked(noise_rows, range(4, 12), 4, seed=3)["rows"]
    np.testing.assert_array_equal(late, oracle(12, 3)[4:])
    calls.clear()
    store.chunked(noise_rows, 12, 4, seed=3)
    assert [call["indices"] for call in calls] == [range(4)]
    for start in (3, 12, -4):
        with pytest.raises(ValueError, match="expected indices from a multiple of the chunk, 4, on; got range"):
            store.chunked(noise_rows, range(start, 12), 4, seed=3)


def test_a_stopped_run_goes_on_where_it_was() -> None:
    stop_at.append(8)
    with pytest.raises(KeyboardInterrupt):
        store.chunked(noise_rows, 12, 4, seed=3)
    stop_at.clear()
    calls.clear()
    np.testing.assert_array_equal(store.chunked(noise_rows, 12, 4, seed=3)["rows"], oracle(12, 3))
    assert [call["indices"] for call in calls] == [range(8, 12)]


def test_the_first_chunk_does_not_wait_until_all_are_counted() -> None:
    stop_at.append(0)
    with pytest.raises(KeyboardInterrupt):
        store.chunked(noise_rows, 10**15, 4, seed=3)
    stop_at.clear()
    assert [call["indices"] for call in calls] == [range(4)]


@pytest.mark.parametrize(("n", "chunk"), [(0, 4), (-1, 4), (4, 0), (2.5, 4), (True, 4), (4, None)])
def test_sizes_must_be_positive_whole_numbers(n: object, chunk: object) -> None:
    with pytest.raises(ValueError, match="expected a whole number of at least 1"):
        store.chunked(noise_rows, n, chunk, seed=3)


def test_a_function_must_return_one_row_for_each_index(fresh: Path) -> None:
    with pytest.raises(ValueError, match="expected 'rows' with 4 rows"):
        store.chunked(wrong_rows, 4, 4)
    assert not fresh.exists()


# ---------------------------------------------------------------- source


FILES = {
    "__init__": "from fakepack.plots import draw\n",
    "base": "def double(x):\n    return 2 * x\n",
    "middle": "from . import base\n\n\ndef four(x):\n"
    "    from fakepack.late import shift\n    return shift(base.double(x))\n",
    "late": "SHIFT = 1\n\n\ndef shift(x):\n    return x + SHIFT\n",
    "top": "import numpy\nfrom fakepack.middle import four\n\n\n"
    "def run(n):\n    return {'x': numpy.array([four(n)])}\n",
    "plots": "from fakepack import top\n\n\ndef draw(x):\n    return x\n",
}


@pytest.fixture
def fakepack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "path" / "fakepack"
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "fakepack"]:
        del sys.modules[name]


def fake_run() -> object:
    for name in [name for name in sys.modules if name.partition(".")[0] == "fakepack"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    return importlib.import_module("fakepack.top").run


def test_the_closure_holds_what_a_module_imports_and_no_more(fakepack: Path) -> None:
    fake_run()
    assert set(provenance.closure("fakepack.top")) == {f"fakepack.{name}" for name in ("top", "middle", "base", "late")}
    assert "fakepack.plots" in provenance.closure("fakepack"), "the package itself imports plots"


@pytest.mark.parametrize(
    ("module", "old", "new", "changes"),
    [
        ("plots", "return x", "return 3 * x", False),
        ("__init__", "draw", "draw as paint", False),
        ("top", "[four(n)]", "[four(n + 1)]", True),
        ("base", "2 * x", "3 * x", True),
        ("late", "SHIFT = 1", "SHIFT = 2", True),
        ("base", "def double(x):\n", 'def double(x):\n    """Twice."""\n    # a comment\n\n', False),
    ],
)
def test_editing_a_module_makes_a_new_key_exactly_where_it_matters(
    module: str, old: str, new: str, changes: bool, fakepack: Path
) -> None:
    before = store.where(fake_run(), n=1)
    file = fakepack / f"{module}.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    assert (store.where(fake_run(), n=1) != before) == changes


def test_a_file_edited_after_its_import_counts_once_it_is_reloaded(fakepack: Path) -> None:
    run = fake_run()
    assert store.compute(run, n=1)["x"] == 3
    before = store.where(run, n=1)
    (fakepack / "late.py").write_text(FILES["late"].replace("SHIFT = 1", "SHIFT = 10"))
    assert store.where(run, n=1) == before, "this process still runs the code it imported"
    importlib.reload(sys.modules["fakepack.late"])
    assert store.compute(run, n=1)["x"] == 12


def test_a_chapter_depends_on_its_own_package_and_on_the_core() -> None:
    found = set(provenance.closure("genens_book.chapters.class_ablation.analysis"))
    assert {"genens_book.measures.classifier", "genens.data"} <= found
    assert not [name for name in found if "figures" in name or name.startswith("genens_book.pages")]
    assert not [name for name in provenance.closure("genens.sampling") if name.startswith("genens_book")]


def test_the_names_that_the_package_loads_when_asked_count_as_imported(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.py").write_text("import genens as ge\n\n\ndef run(n):\n    return {'x': ge.uniform(n)}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = set(provenance.closure("mine"))
    assert {"mine", "genens", "genens.sampling", "genens.jacobians", "genens.codes", "genens.unet"} <= found


# ---------------------------------------------------------------- folders of files


def test_a_folder_is_read_back_with_its_manifest(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "w" / "demo", {"a.bin": b"alpha", "b.bin": b""}, {"seed": 3})
    manifest, contents = files.read_folder(tmp_path / "w" / "demo")
    assert manifest["seed"] == 3 and manifest["files"]["a.bin"] == {"sha256": files.sha256(b"alpha"), "bytes": 5}
    assert contents == {"a.bin": b"alpha", "b.bin": b""}
    files.write_folder(tmp_path / "w" / "demo", {"c.bin": b"gamma"}, {"seed": 4})
    assert everything_in(tmp_path / "w") == ["demo", "demo/c.bin", "demo/manifest.json"]
    assert files.read_folder(tmp_path / "w" / "demo")[0]["seed"] == 4


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        ("no folder", FileNotFoundError, "manifest.json, found no such file"),
        ("missing", FileNotFoundError, "a.bin, which manifest.json lists, found no such file"),
        ("truncated", ValueError, "a.bin is truncated or edited: expected 5 bytes, found 4"),
        ("edited", ValueError, "a.bin was edited"),
        ("a folder in its place", FileNotFoundError, "a.bin, which manifest.json lists, found no such file"),
        ("manifest edited", ValueError, "sha256 in .*manifest.json, got something else \\(it was edited"),
        ("manifest truncated", ValueError, "manifest.json, got something else"),
        ("manifest not ours", ValueError, "manifest.json, got something else"),
        ("manifest nested deeply", ValueError, "manifest.json, got something else \\(RecursionError"),
        ("manifest without files", ValueError, "manifest.json, got something else"),
        ("manifest lists another folder's", ValueError, "'../x' is not the name of a file in this folder"),
    ],
)
def test_a_damaged_folder_is_one_clear_error(damage: str, error: type[Exception], words: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    files.write_folder(folder, {"a.bin": b"alpha"}, {"seed": 3})
    manifest = folder / "manifest.json"
    match damage:
        case "no folder":
            folder = tmp_path / "other"
        case "missing":
            (folder / "a.bin").unlink()
        case "a folder in its place":
            (folder / "a.bin").unlink()
            (folder / "a.bin").mkdir()
        case "truncated":
            (folder / "a.bin").write_bytes(b"alph")
        case "edited":
            (folder / "a.bin").write_bytes(b"alpHa")
        case "manifest edited":
            manifest.write_text(manifest.read_text().replace('"seed": 3', '"seed": 4'))
        case "manifest truncated":
            manifest.write_text(manifest.read_text()[:40])
        case "manifest not ours":
            manifest.write_text("[1, 2]")
        case "manifest nested deeply":
            manifest.write_text("[" * 10**5 + "]" * 10**5)
        case "manifest without files":
            manifest.write_text(json.dumps({"manifest_sha256": files.digest({})}))
        case "manifest lists another folder's":
            body = {"files": {"../x": {"sha256": files.sha256(b""), "bytes": 0}}}
            manifest.write_text(json.dumps({**body, "manifest_sha256": files.digest(body)}))
            (tmp_path / "x").write_bytes(b"")
    with pytest.raises(error, match=words) as caught:
        files.read_folder(folder)
    assert "\n" not in str(caught.value) and "make train" in str(caught.value)


class Unable:
    """A system whose file system cannot exchange folders."""

    def __init__(self, *_: object, **__: object) -> None:
        self.renameat2 = self.renamex_np = lambda *_: -1


def test_where_folders_cannot_be_exchanged_one_takes_the_others_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", Unable)
    files.write_folder(tmp_path / "demo", {"a.bin": b"alpha"}, {"seed": 3})
    (tmp_path / "demo.old").mkdir()  # of a process that was killed
    files.write_folder(tmp_path / "demo", {"a.bin": b"beta"}, {"seed": 4})
    assert files.read_folder(tmp_path / "demo")[1] == {"a.bin": b"beta"}
    assert everything_in(tmp_path) == ["demo", "demo/a.bin", "demo/manifest.json"]


@pytest.mark.parametrize("moves", [0, 1])
def test_a_failed_replacement_keeps_the_old_folder(moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", Unable)
    files.write_folder(tmp_path / "demo", {"a.bin": b"alpha"}, {"seed": 3})
    replace, made = os.replace, []

    def failing(origin: Path, target: Path) -> None:
        if target == tmp_path / "demo" and not made and not target.exists():
            made.append(target)  # the old folder is aside, the new one is about to take its place
            raise OSError(errno.EIO, "Input/output error")
        if moves == 0 and target == tmp_path / "demo.old":
            raise OSError(errno.EIO, "Input/output error")
        replace(origin, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="could not write"):
        files.write_folder(tmp_path / "demo", {"a.bin": b"beta"}, {"seed": 4})
    assert files.read_folder(tmp_path / "demo")[0]["seed"] == 3
    assert everything_in(tmp_path) == ["demo", "demo/a.bin", "demo/manifest.json"]


def test_a_folder_that_is_replaced_again_and_again_is_whole_at_every_moment(tmp_path: Path) -> None:
    def write(k: int) -> None:
        files.write_folder(tmp_path / "demo", {f"{i}.bin": bytes([k]) * 3000 for i in range(k % 3 + 1)}, {"k": k})

    write(0)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [write(k) for k in range(1, 60)])
        while not writing.done():
            manifest, contents = files.read_folder(tmp_path / "demo")
            k = manifest["k"]
            assert contents == {f"{i}.bin": bytes([k]) * 3000 for i in range(k % 3 + 1)}
    writing.result()
    assert files.read_folder(tmp_path / "demo")[0]["k"] == 59


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer comes in just after a reader has the manifest."""
    files.write_folder(tmp_path / "demo", {"a.bin": b"alpha"}, {"seed": 3})
    digest = files.digest

    def after_a_writer(value: object) -> str:
        monkeypatch.setattr(files, "digest", digest)
        files.write_folder(tmp_path / "demo", {"b.bin": b"beta"}, {"seed": 4})
        return digest(value)

    monkeypatch.setattr(files, "digest", after_a_writer)
    manifest, contents = files.read_folder(tmp_path / "demo")
    assert manifest["seed"] == 4 and contents == {"b.bin": b"beta"}


STAGES = (
    "import sys, time; from genens import files\nwith files.staged(sys.argv[1]) as new: new.mkdir(); print(flush=True)"
)


def staging(path: Path) -> subprocess.Popen:
    """A process that is writing a folder and does not come to an end."""
    writer = subprocess.Popen([sys.executable, "-c", f"{STAGES}; time.sleep(600)", path], stdout=subprocess.PIPE)
    writer.stdout.readline()
    return writer


def test_what_a_killed_writer_has_left_goes_with_the_next_write_and_what_one_at_work_has_does_not(
    tmp_path: Path,
) -> None:
    with staging(tmp_path / "living") as living:
        with staging(tmp_path / "dead") as dead:
            dead.kill()
        (tmp_path / ".older.0123456789ab.tmp").mkdir()  # of versions without locks
        (tmp_path / ".mine.tmp").mkdir()
        assert len(everything_in(tmp_path)) == 8
        files.atomic_write(tmp_path / "new.json", "{}")
        left = [name for name in everything_in(tmp_path) if "/" not in name]
        living.kill()
    assert [name.partition(".living.")[0] for name in left] == ["", "", ".mine.tmp", "new.json"]


@pytest.mark.skipif(not Path("/sys/kernel").exists(), reason="needs a folder that even root may not write to")
@pytest.mark.parametrize("path", ["/sys/kernel/a.json", "/sys/kernel/store/a.json"])
def test_where_nothing_can_be_written_that_is_said(path: str) -> None:
    with pytest.raises(OSError, match=f"could not write {path} .*; nothing half-written is left; check that") as caught:
        files.atomic_write(path, "{}")
    assert "\n" not in str(caught.value)


def test_who_finds_a_lock_held_is_told_by_whom_and_waits_or_not(tmp_path: Path) -> None:
    lock, told = tmp_path / "lock", []

    def wait() -> None:
        with files.locked(lock, told.append) as held:
            told.append(held)

    with ThreadPoolExecutor(1) as pool:
        with files.locked(lock):
            with pytest.raises(BlockingIOError), files.locked(lock):
                pass
            waiting = pool.submit(wait)
            while not told:
                time.sleep(0.01)
        waiting.result()
    assert told == [f"process {os.getpid()}", True] and not lock.exists()


def test_a_lock_is_held_where_a_full_disk_has_no_room_to_say_by_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with files.locked(tmp_path / "lock") as held, pytest.raises(BlockingIOError):
        assert held
        with files.locked(tmp_path / "lock"):
            pass


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.atomic_write(tmp_path / "deep" / "a.json", "old")
    write = files._write

    def failing(path: Path, content: bytes) -> None:
        write(path, content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_write", failing)
    with pytest.raises(OSError, match="nothing half-written is left"):
        files.atomic_write(tmp_path / "deep" / "a.json", "newer")
    assert (tmp_path / "deep" / "a.json").read_text() == "old"
    assert everything_in(tmp_path) == ["deep", "deep/a.json"]


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"not safetensors at all"])
def test_a_file_of_arrays_that_is_not_whole_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a whole safetensors file of numbers in .*a.safetensors, got"):
        files.arrays_from_bytes(content, tmp_path / "a.safetensors")


@pytest.mark.parametrize("bad", [{}, None, {"a": np.array(["text"])}, {"a": np.array([1j])}, [1, 2]])
def test_only_arrays_of_numbers_are_stored(bad: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        files.arrays_to_bytes(bad)


def test_provenance_names_no_folder_or_host() -> None:
    found = provenance.describe()
    assert set(found) == {"commit", "dirty", "python", "torch", "numpy", "machine", "cpus", "date"}
    assert found["cpus"] >= 1 and os.uname().nodename not in str(found) and str(Path.home()) + "/" not in str(found)
