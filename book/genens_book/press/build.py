"""Builds the book: executes the chapters with papermill, then renders the executed copies with Jupyter Book.

    python -m genens_book.press.build --profile laptop

What lands where, below --out (_build unless told otherwise):

    <profile>/executed/   each chapter as executed, with a stamp of what it was executed from
    <profile>/book/       the staged source tree that Jupyter Book reads
    html/index.html       the book; a build that fails leaves the previous one as it was
    store/                the artifacts that the chapters compute (unless GENENS_STORE names another place)

Ensembles that are trained on the way lie in `trained/` beside _build, which `make clean` leaves alone (or in --out's
own `trained/`, or where GENENS_TRAINED says). Images that the book cannot ship are looked for in `data/`, or where
GENENS_DATA says.

A chapter runs again when its notebook, its parameters, a module of genens or genens_book, a weights manifest, the
claims, what was measured once (bench/*.json, book/own_images) or a library has changed; what it computes is kept in the
store, so running it again is cheap.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import yaml

import genens
import genens_book
from genens import files, provenance, store
from genens_book.pages import parameters
from genens_book.press import pdf

ROOT = store.home()
BOOK = ROOT / "book"
SCORECARD = "scorecard"
DEFAULT = parameters.SHIPPED
PACKAGES = tuple(Path(package.__file__).parent for package in (genens, genens_book))
FROM_SCRATCH = "smoke"  # the laptop's weights come with the clone, the paper's take days: a chapter says if they lack
LIBRARIES = ("matplotlib", "numpy", "scipy", "torch", "torchvision")
RENDERERS = (
    "jupyter-book",
    "myst-nb",
    "sphinx",
    "sphinx-book-theme",
    "sphinx-proof",
    "sphinx-tippy",
    "sphinxcontrib-bibtex",
)


def say(line: str) -> None:
    """A line of progress, at once even into a pipe, and whole: chapters that run side by side say theirs in between,
    and print() would write a line and its end one after the other."""
    print(f"{line}\n", end="", flush=True)


class BuildError(Exception):
    """What went wrong, in one line for the person at the terminal."""


# ---------------------------------------------------------------- what there is to build


def load_profile(name: str) -> dict[str, dict[str, Any]]:
    """Parameters of every chapter under this profile; BuildError for an unknown name."""
    try:
        return parameters.load(name)
    except ValueError as problem:
        raise BuildError(str(problem)) from None


def toc_pages() -> list[str]:
    """Every page in the table of contents, in reading order, as a path without suffix (`book/01_codes`)."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for item in node:
                yield from walk(item)
            return
        yield from (node[key] for key in ("root", "file") if key in node)
        yield from walk([child for value in node.values() if isinstance(value, list) for child in value])

    return list(walk(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


def source_of(page: str) -> Path:
    """The file behind a page of the table of contents."""
    for suffix in (".ipynb", ".md"):
        path = ROOT / f"{page}{suffix}"
        if path.is_file():
            return path
    raise BuildError(f"_toc.yml lists {page}, but there is no {page}.ipynb or {page}.md")


def defaults(notebook: Path) -> dict[str, Any]:
    """Values in a notebook's one `parameters` cell; BuildError when there is not just one, or it computes."""
    cells = [c for c in nbformat.read(notebook, 4).cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise BuildError(f"{notebook.name}: expected one cell tagged `parameters`, found {len(cells)}")
    values: dict[str, Any] = {}
    for statement in ast.parse(cells[0].source).body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            raise BuildError(f"{notebook.name}: the parameters cell holds more than `name = value` lines")
        try:
            values[ast.unparse(statement.targets[0])] = ast.literal_eval(statement.value)
        except ValueError:
            line = ast.unparse(statement)
            raise BuildError(f"{notebook.name}: parameter `{line}` is not a plain value") from None
    return values


def parameters_of(notebook: Path, profile: str, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """This chapter's parameters under the profile, checked against the names that the notebook declares."""
    declared, given = defaults(notebook), settings.get(notebook.stem)
    if given is None:
        raise BuildError(f"book/profiles/{profile}.yml has no entry for chapter {notebook.stem}")
    if declared.keys() != given.keys():
        odd = ", ".join(sorted(declared.keys() ^ given.keys()))
        raise BuildError(f"book/profiles/{profile}.yml and {notebook.name} disagree on the parameters: {odd}")
    return given


# ---------------------------------------------------------------- what a result depends on


def digest_of(paths: Iterable[Path], base: Path) -> str:
    """sha256 over names (relative to base) and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(base).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Every file under a folder but Python's caches."""
    return [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]


def code_digest(profile: str) -> str:
    """Changes with anything but the notebook and its parameters that a chapter's output can depend on."""
    trained = Path(os.environ["GENENS_TRAINED"]) / profile
    measured = [*(ROOT / "bench").glob("*.json"), *files_below(BOOK / "own_images")]  # once, and shown by chapters
    shipped = (ROOT / "weights" / part for part in ("", "references", "thumbnails"))
    manifests = [path for part in shipped for path in part.glob("*/manifest.json")]
    code = [digest_of(files_below(package), package) for package in PACKAGES]
    here = digest_of([*BOOK.glob("claims.yml"), *measured, *manifests], ROOT)
    there = digest_of(trained.glob("*/manifest.json"), trained)
    own = sorted(path.name for path in Path(os.environ["GENENS_DATA"]).glob("*"))  # images that the user has brought
    return " ".join([*code, here, there, *own, *(f"{name} {version(name)}" for name in LIBRARIES)])


def fingerprint(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def ledger_folder(profile: str) -> Path:
    """Where the chapters record what they measured under this profile."""
    return Path(os.environ["GENENS_STORE"]) / "ledger" / profile


def chapter_key(notebook: Path, given: dict[str, Any], code: str, profile: str) -> str:
    """Fingerprint of all that determines a chapter's executed copy."""
    parts = [notebook.read_text(encoding="utf-8"), given, code]
    if notebook.stem == SCORECARD:  # it reads what the other chapters recorded
        records = [path for path in ledger_folder(profile).glob("*.json") if path.stem != SCORECARD]
        parts.append(digest_of(records, ledger_folder(profile)))
    return fingerprint(parts)


def stamped(path: Path) -> Any:
    """What a stamp says; None when there is none, or a damaged one: what it stands for is then made again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def up_to_date(copy: Path, key: str, profile: str) -> bool:
    """Whether the executed copy was made from this key and what it recorded is still in the store."""
    known = stamped(copy.with_suffix(".json"))
    if not (copy.is_file() and isinstance(known, dict) and known.get("key") == key):
        return False
    return all((ledger_folder(profile) / name).is_file() for name in known["records"])


# ---------------------------------------------------------------- executing


def train_missing(profile: str, folder: Path) -> None:
    """Trains the ensembles of the profile that are not there yet; BuildError when that fails.

    A stamp in `folder` spares the start of PyTorch when nothing has changed since the last time.
    """
    stamp, recipes = folder / "trained.json", load_profile(profile).get("train")
    if stamped(stamp) == fingerprint([recipes, code_digest(profile)]):
        return
    command = [sys.executable, "-m", "genens_book.press.train", "--profile", profile, "--missing"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode:
        raise BuildError(f"training the ensembles of profile {profile} failed (exit code {done.returncode})")
    files.atomic_write(stamp, json.dumps(fingerprint([recipes, code_digest(profile)])))


def execute(notebook: Path, copy: Path, given: dict[str, Any]) -> None:
    """Runs one chapter; its progress bars appear on this terminal. BuildError tells what stopped it."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillException, PapermillExecutionError

    from genens_book.press import kernels

    declared = defaults(notebook)
    changed = {name: value for name, value in given.items() if declared[name] != value}
    running = copy.with_name(f"{copy.stem}.running.ipynb")
    try:
        papermill.execute_notebook(
            notebook,
            running,
            changed,
            cwd=BOOK,
            progress_bar=False,  # the chapters show their own progress, on stderr
            stderr_file=sys.stderr,
            extra_arguments=["--IPKernelApp.log_level=50"],  # not a word about loopback TCP in every chapter
            kernel_manager_class=kernels.Forked,
        )
    except PapermillExecutionError as error:
        last = [line for line in f"{error.ename}: {error.evalue}".splitlines() if line.strip()][-1]
        raise BuildError(f"chapter {notebook.stem} failed: {last} (as far as it got: {running})") from None
    except (PapermillException, CellTimeoutError, DeadKernelError) as error:
        raise BuildError(f"chapter {notebook.stem} failed: {str(error).strip().splitlines()[-1]}") from None
    tidy(running)
    os.replace(running, copy)


def tidy(path: Path) -> None:
    """Makes an executed copy fit for a page: not to be run again, no widget state, progress or paths."""
    notebook = nbformat.read(path, 4)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["mystnb"] = {"execution_mode": "off"}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.removeprefix("# Parameters\n")
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    nbformat.write(notebook, path)


def timed(notebook: Path, copy: Path, given: dict[str, Any]) -> float:
    """Runs one chapter and returns its seconds; until its stamp is written it does not count as up to date."""
    say(f"{notebook.stem:<24} running")
    copy.with_suffix(".json").unlink(missing_ok=True)
    start = time.perf_counter()
    execute(notebook, copy, given)
    return time.perf_counter() - start


def execute_chapters(profile: str, folder: Path) -> None:
    """Brings <folder>/executed up to date, chapter by chapter in reading order; prints the time each took."""
    settings, code = load_profile(profile), code_digest(profile)
    notebooks = [path for path in map(source_of, toc_pages()) if path.suffix == ".ipynb"]
    # All parameters are checked before the first chapter runs.
    given = {path: parameters_of(path, profile, settings) for path in notebooks}
    copies = {path: folder / "executed" / path.name for path in notebooks}
    (folder / "executed").mkdir(parents=True, exist_ok=True)
    # The scorecard comes last: it reads what the others record.
    others = [path for path in notebooks if path.stem != SCORECARD]
    stale = [
        path for path in others if not up_to_date(copies[path], chapter_key(path, given[path], code, profile), profile)
    ]
    for path in others:
        if path not in stale:
            say(f"{path.stem:<24} up to date")
    if stale:
        from genens_book.press import kernels

        if profile == FROM_SCRATCH:  # toy pictures need not be sharp
            os.environ.setdefault("GENENS_BOOK_DPI", "72")
        kernels.prepare(len(stale))
        say_machine(profile, [path.stem for path in stale])
    before, began = artifacts(), time.perf_counter()

    def note(path: Path, seconds: float) -> None:
        records = [record.name for record in ledger_folder(profile).glob(f"{path.stem}.json")]
        stamp = {"key": chapter_key(path, given[path], code, profile), "records": records, "seconds": round(seconds, 1)}
        files.atomic_write(copies[path].with_suffix(".json"), json.dumps(stamp, indent=1))
        if peak := peak_memory(path.stem, profile):
            peaks[path.stem] = peak
        say(f"{path.stem:<24} executed in {seconds:.1f} s" + (f", at most {peak / 1e6:,.0f} MB" if peak else ""))
        spent[path.stem] = seconds

    spent: dict[str, float] = {}
    peaks: dict[str, int] = {}
    if stale and profile == FROM_SCRATCH:  # toy chapters are mostly figures, one core's work each
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = {path: pool.submit(timed, path, copies[path], given[path]) for path in stale}
            try:
                for path, job in jobs.items():
                    note(path, job.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                kernels.stop()
                raise
    else:  # others fill all cores, and two of them side by side would wait for each other at every operation
        for path in stale:
            note(path, timed(path, copies[path], given[path]))
    for path in (path for path in notebooks if path.stem == SCORECARD):
        if up_to_date(copies[path], chapter_key(path, given[path], code, profile), profile):
            say(f"{path.stem:<24} up to date")
        else:
            note(path, timed(path, copies[path], given[path]))
    if stale:
        say_spent(spent, before, time.perf_counter() - began)
        say_memory(peaks)


# ---------------------------------------------------------------- what it takes


# Kinds of artifacts whose computation is forward passes, or passes and tangents; the others read what
# these drew, or compute without sampling.
SAMPLING = ("samples", "counterfactual-samples", "nested-samples", "last-step-samples", "walk", "follow", "influence")
TANGENTS = ("jacobians", "timed-jacobians")
# What a chapter of the laptop book costs beyond what those before it leave in the store, in forward passes of 64
# digits: samples times steps times members with weight, over 64 (theory and dual numbers by their time). And the start
# of a kernel, its imports and its figures, in seconds.
PASSES = {
    "00_method": 300,
    "01b_theory": 1700,
    "02_class_ablation": 6700,
    "03_fid": 10300,
    "04_convergence": 5300,
    "05_jacobian": 7100,
    "06_search": 700,
    "07_meaning": 9000,
    "08_cifar10": 12000,
    "09_faces": 10000,
    "10_finetunes": 3700,
    "explorer": 2500,
}
START = 12


def artifacts() -> set[Path]:
    """The results in the store."""
    return set(Path(os.environ["GENENS_STORE"]).glob("*/meta.json"))


def _machine() -> dict[str, Any]:
    from genens_book.measures import machine  # PyTorch comes with it

    return machine.describe()


def say_machine(profile: str, chapters: list[str]) -> None:
    """Says what machine was found and, for the laptop book, how long these chapters may take on it."""
    from genens_book.press import kernels

    with kernels.processes(1) as pool:
        job = pool.submit(_machine)
    if job.exception():  # no machine to run chapters on; they will say why
        return
    found = job.result()
    say(
        f"{'machine':<24} {found['cores']} cores, {found['instructions']}; engine {found['engine']}, float32: "
        f"{found['pass_ms']:.0f} ms for 64 digits"
    )
    if profile == DEFAULT:
        seconds = sum(PASSES.get(chapter, 0) * found["pass_ms"] / 1e3 + START for chapter in chapters)
        say(f"{'expected':<24} about {seconds / 60:.0f} minutes, as busy as it is now, less for what the store has")


def say_spent(chapters: dict[str, float], before: set[Path], total: float) -> None:
    """Says where the time went: by chapter, and by kind as the new artifacts tell."""
    kinds = dict.fromkeys(("sampling", "tangents", "reading"), 0.0)
    for meta in artifacts() - before:
        found = json.loads(meta.read_text(encoding="utf-8"))
        name = "sampling" if found["kind"] in SAMPLING else "tangents" if found["kind"] in TANGENTS else "reading"
        kinds[name] += found["seconds"]
    kinds["starting, drawing"] = max(0.0, sum(chapters.values()) - sum(kinds.values()))
    say(f"{'chapters':<24} " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in chapters.items()))
    say(
        f"{'kinds':<24} "
        + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in kinds.items())
        + f"; {total:.0f} s by the clock"
    )


def peak_memory(chapter: str, profile: str) -> int | None:
    """The most memory that a chapter's process held, in bytes, as the chapter recorded it; None for one that did
    not."""
    record = ledger_folder(profile) / f"{chapter}.json"
    return json.loads(record.read_text(encoding="utf-8")).get("peak_memory") if record.is_file() else None


def say_memory(peaks: dict[str, int]) -> None:
    """Says which chapter took most memory; this process and the one that kernels are forked from are not in it."""
    if peaks:
        most, here = max(peaks, key=peaks.__getitem__), provenance.peak_memory() or 0
        line = f"at most {peaks[most] / 1e6:,.0f} MB in a chapter ({most}), {here / 1e6:,.0f} MB in this process"
        say(f"{'memory':<24} {line}")


# ---------------------------------------------------------------- rendering


def stage(folder: Path) -> str:
    """Lays out the source tree for Jupyter Book; returns a fingerprint of all that rendering depends on."""
    shutil.rmtree(folder / "book", ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(BOOK / "_static", folder / "book" / "_static", ignore=ignore)
    for path in [ROOT / "_config.yml", ROOT / "_toc.yml", BOOK / "references.bib"]:
        shutil.copyfile(path, folder / path.relative_to(ROOT))
    for source in map(source_of, toc_pages()):
        executed = folder / "executed" / source.name
        shutil.copyfile(executed if source.suffix == ".ipynb" else source, folder / source.relative_to(ROOT))
    staged = [folder / "_config.yml", folder / "_toc.yml", *files_below(folder / "book")]
    extension = Path(__file__).with_name("sphinx_ext.py").read_text(encoding="utf-8")
    return fingerprint([digest_of(staged, folder), extension, [f"{name} {version(name)}" for name in RENDERERS]])


def _jupyter_book(folder: Path, profile: str, log: Path) -> bool:
    """Jupyter Book's command in a process of its own, all that it says going to a file; whether it failed. OSError for
    what could not be written."""
    os.environ["GENENS_BOOK_PROFILE"] = profile
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from jupyter_book.cli.main import main

    try:
        main(["build", "-W", "-n", "--keep-going", "-q", str(folder)])
    except SystemExit as end:
        return bool(end.code)
    except RuntimeError as problem:  # of an error within Sphinx, or within an extension of it
        cause: BaseException | None = problem
        while (cause := cause.__cause__) is not None:
            if isinstance(cause, OSError):
                raise cause from None
        return True
    return False


def render(profile: str, folder: Path, key: str) -> Path:
    """Runs Jupyter Book on the staged tree, warnings being errors; returns the folder of finished pages."""
    html, stamp = folder / "_build" / "html", folder / "rendered.json"
    if stamped(stamp) == key and html.is_dir():
        say(f"{'pages':<24} up to date")
        return html
    stamp.unlink(missing_ok=True)
    # Always from nothing: a page that Sphinx has read before does not repeat its warnings.
    shutil.rmtree(folder / "_build", ignore_errors=True)
    start = time.perf_counter()
    from genens_book.press import kernels

    log = folder / "sphinx.log"
    with kernels.processes(1) as pool:
        failed = pool.submit(_jupyter_book, folder, profile, log).result()
    said = re.sub(r"\x1b\[[\d;]*m", "", log.read_text(encoding="utf-8"))  # without colours
    log.write_text(said, encoding="utf-8")
    if failed:
        complaints = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
        for line in complaints:
            print(line, file=sys.stderr)
        raise BuildError(f"rendering failed with {len(complaints)} warnings; Sphinx's words are in {log}")
    files.atomic_write(stamp, json.dumps(key))
    say(f"{'pages':<24} rendered in {time.perf_counter() - start:.1f} s")
    return html


def publish(html: Path, profile: str, out: Path) -> Path:
    """Puts the finished pages, the scorecard as data and their PDF in place of the last book, at once; returns its
    index."""
    final = out / "html"
    with files.staged(final) as fresh:
        for path in files_below(html):  # shutil.copytree would go on when the disk is full, and name every file
            copy = fresh / path.relative_to(html)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        for path in (Path(os.environ["GENENS_STORE"]) / "scorecard" / profile).glob("scorecard.*"):
            shutil.copyfile(path, fresh / "book" / path.name)
        pdf.attach(fresh, out / profile)
    # Left by a plain `jupyter-book build .`, it would make the next one take these pages for its own.
    shutil.rmtree(out / ".doctrees", ignore_errors=True)
    return final / "index.html"


# ---------------------------------------------------------------- the command


def build(profile: str, out: Path) -> Path:
    """Executes, renders and publishes the book under a profile; returns the path of its index.html."""
    load_profile(profile)
    given = os.environ.get("GENENS_STORE")
    beside = given or (ROOT if out == ROOT / "_build" else out)
    os.environ["GENENS_TRAINED"] = str(Path(os.environ.get("GENENS_TRAINED") or Path(beside, "trained")).resolve())
    os.environ["GENENS_STORE"] = str(Path(given or out / "store").resolve())
    os.environ["GENENS_DATA"] = str(Path(os.environ.get("GENENS_DATA") or ROOT / "data").resolve())
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a debugger's notice in every kernel's log
    folder = out / profile
    out.mkdir(parents=True, exist_ok=True)
    with files.locked(out / "build.lock", lambda who: say(f"{'waiting':<24} for {who}, which builds in {out}")):
        if profile == FROM_SCRATCH:
            train_missing(profile, folder)
        execute_chapters(profile, folder)
        return publish(render(profile, folder, stage(folder)), profile, out)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.press.build", description="Execute the chapters and render the book."
    )
    parser.add_argument("--profile", default=DEFAULT, help=f"{', '.join(parameters.profiles())} (default: laptop)")
    parser.add_argument("--out", type=Path, default=ROOT / "_build", help="folder for everything built")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        index = build(options.profile, options.out.resolve())
    except (BuildError, OSError) as error:
        print(f"genens_book.press.build: {error!s:.1000}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("genens_book.press.build: interrupted; finished chapters are kept, so run it again", file=sys.stderr)
        return 130
    say(f"{'total':<24} {time.perf_counter() - start:.1f} s")
    say(f"open {os.path.relpath(index)}  (profile {options.profile})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
