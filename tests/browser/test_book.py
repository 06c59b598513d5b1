"""The book as committed, and as built under the smoke profile."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from support import ROOT, build_environment, run_build

from genens import codes
from genens.theory import guarantee
from genens_book.press import build, launch

BOOK = ROOT / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
PROFILES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((BOOK / "profiles").glob("*.yml"))}
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


# ---------------------------------------------------------------- as committed


@by_name
def test_notebook_is_committed_without_outputs(path):
    for number, cell in enumerate(nbformat.read(path, 4).cells):
        if cell.cell_type == "code":
            assert not cell.outputs, f"cell {number} has outputs: clear them before committing"
            assert cell.execution_count is None, f"cell {number} has an execution count"


@by_name
def test_notebook_opens_with_a_title_and_runs_in_the_plain_kernel(path):
    notebook = nbformat.read(path, 4)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")


@by_name
def test_laptop_profile_equals_the_notebook_defaults(path, builder):
    assert PROFILES["laptop"][path.stem] == builder.defaults(path)


@pytest.mark.parametrize("profile", PROFILES)
@by_name
def test_profile_lists_every_parameter_of_the_chapter(path, profile, builder):
    given = PROFILES[profile][path.stem]
    assert given.keys() == builder.defaults(path).keys()
    assert given["profile"] == profile


def test_there_are_three_profiles_and_each_names_only_what_exists():
    assert {"smoke", "laptop", "paper"} <= PROFILES.keys()
    for entries in PROFILES.values():
        assert entries.keys() - {"train"} == {path.stem for path in NOTEBOOKS}


def test_the_checklists_name_files_that_are_there():
    named = re.findall(r"\{repo\}`([^`]+)`", (BOOK / "checklists.md").read_text())
    assert len(named) > 20 and not [name for name in named if not (ROOT / name).exists()]


def test_the_table_of_contents_and_the_files_agree(builder):
    pages = builder.toc_pages()
    assert all(builder.source_of(page).is_file() for page in pages)
    assert {path.stem for path in NOTEBOOKS} <= {Path(page).name for page in pages}


# ---------------------------------------------------------------- as built under the smoke profile


def test_smoke_book_is_whole(book, builder):
    assert (book.html / "index.html").is_file()
    assert all((book.html / f"{page}.html").is_file() for page in builder.toc_pages())
    assert "Traceback" not in book.stderr


def test_chapters_tell_how_long_they_took(book):
    for path in NOTEBOOKS:
        assert any(line.split()[:1] == [path.stem] for line in book.stdout.splitlines()), book.stdout
    assert book.stdout.splitlines()[-1].startswith("open ")


def test_the_build_says_what_machine_it_found_and_where_the_time_went(book):
    said = {line.split()[0]: line for line in book.stdout.splitlines() if line.strip()}
    assert re.search(r"[1-9]\d* cores, \w+.*; engine openvino \d+.*, float32: \d+ ms for 64 digits", said["machine"])
    assert all(path.stem in said["chapters"] for path in NOTEBOOKS)
    kinds = {name: float(value) for name, value in re.findall(r"(sampling|tangents|reading) (\d+) s", said["kinds"])}
    assert kinds.keys() == {"sampling", "tangents", "reading"} and sum(kinds.values()) > 0


def test_every_chapter_says_its_memory_and_fits_where_binder_runs_it(book):
    """A chapter's process and a Jupyter server in 1 to 2 GB."""
    said = re.findall(r"^(\w+) +executed in [\d.]+ s, at most ([\d,]+) MB$", book.stdout, re.MULTILINE)
    peaks = {name: int(megabytes.replace(",", "")) for name, megabytes in said}
    assert peaks.keys() == {path.stem for path in NOTEBOOKS}
    assert 100 < max(peaks.values()) < 1500, peaks
    assert re.search(rf"^memory +at most {max(peaks.values()):,} MB in a chapter \(\w+\)", book.stdout, re.MULTILINE)


REPOSITORY = {"url": "https://example.org/owner/name", "branch": "launch"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the branch is laid out from a clone")
def test_a_launched_chapter_only_reads_what_the_branch_brings(book, tmp_path):
    branch = tmp_path / "branch"
    launch.lay_out(book.out, branch, REPOSITORY)
    for path in NOTEBOOKS:
        cells = nbformat.read(branch / "book" / path.name, 4).cells
        assert cells[0].source.startswith("# ") and REPOSITORY["url"] in cells[1].source
        assert any("'smoke'" in cell.source or '"smoke"' in cell.source for cell in cells), "its parameters are smoke's"
    results = branch / "_build" / "store"
    before = {path.name for path in results.iterdir()}
    command = [sys.executable, "-m", "papermill", "02_class_ablation.ipynb", str(tmp_path / "out.ipynb")]
    environment = build_environment(home=branch)
    del environment["GENENS_HOME"]
    done = subprocess.run(command, cwd=branch / "book", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in results.iterdir()} == before, "something was computed"
    record = json.loads((results / "ledger" / "smoke" / "02_class_ablation.json").read_text())
    assert record["peak_memory"] < 1.5e9


def test_a_branch_is_laid_out_once_the_repository_has_an_address(tmp_path, capsys):
    built = ["--built", str(tmp_path), "--out", str(tmp_path / "branch")]
    assert launch.main(built) == 1
    assert capsys.readouterr().err.startswith("genens_book.press.launch: expected the address of the repository in")
    with pytest.raises(build.BuildError, match="was not built in"):
        launch.lay_out(tmp_path, tmp_path / "branch", REPOSITORY)


@by_name
def test_executed_copy_is_fit_for_the_page(path, book):
    copy = nbformat.read(book.out / "smoke" / "book" / path.name, 4)
    assert copy.metadata.mystnb.execution_mode == "off"
    assert not {"widgets", "papermill"} & copy.metadata.keys()
    outputs = [out for cell in copy.cells if cell.cell_type == "code" for out in cell.outputs]
    bad = [out for out in outputs if out.get("name") == "stderr" or out.output_type == "error"]
    assert outputs and not bad


@by_name
def test_page_shows_no_progress_bar_and_no_local_path(path, book):
    page = (book.html / "book" / f"{path.stem}.html").read_text()
    assert "it/s]" not in page and "s/it]" not in page
    for place in (book.out, ROOT, Path.home()):
        assert f"{place}/" not in page, f"the page names a folder of this machine: {place}"


def test_the_codes_page_states_the_papers_own_numbers(book):
    """Glued numbers are read as a reader reads them: a loop once showed one data set's N for all three."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", (book.html / "book" / "01_codes.html").read_text()))
    sentence = (
        r"MNIST.s ([\d,]+) images need (\d+) members and the paper has (\d+); for CIFAR-10 and CelebA (\d+) and (\d+) "
        r"would do for the guarantee, where the paper has (\d+) and (\d+)"
    )
    found = re.search(sentence, text)
    N, needed, *rest = (int(number.replace(",", "")) for number in found.groups())
    paper = codes.PAPER
    assert N == paper["mnist"][0] and [rest[0], *rest[3:]] == [
        paper[name][1] for name in ("mnist", "cifar10", "celeba")
    ]
    assert [needed, *rest[1:3]] == [
        guarantee.members_for_guarantee(paper[name][0]) for name in ("mnist", "cifar10", "celeba")
    ]


def test_scorecard_lies_beside_the_pages_as_data(book):
    scorecard = json.loads((book.html / "book" / "scorecard.json").read_text())
    table = list(csv.DictReader(io.StringIO((book.html / "book" / "scorecard.csv").read_text())))
    claims = [claim["id"] for claim in yaml.safe_load((BOOK / "claims.yml").read_text())]
    assert [row["id"] for row in scorecard["rows"]] == [row["id"] for row in table] == claims


def test_a_second_build_executes_nothing_and_changes_nothing(book):
    before = {p: p.read_bytes() for p in sorted(book.html.rglob("*.html"))}
    done = run_build("--profile", "smoke", "--out", str(book.out))
    assert done.returncode == 0, done.stderr
    assert "executed in" not in done.stdout and "rendered in" not in done.stdout
    assert done.stdout.count("up to date") == len(NOTEBOOKS) + 1
    assert {p: p.read_bytes() for p in sorted(book.html.rglob("*.html"))} == before


def test_pages_without_a_notebook_say_what_they_were_built_from(book):
    footer = (book.html / "book" / "references.html").read_text()
    assert "profile <code>smoke</code>" in footer and re.search(r"commit ([0-9a-f]{12}|unknown)", footer)
    assert all(name in footer for name in ("Python 3", "torch 2", "CPU"))


def test_the_whole_book_prints_and_the_front_page_leads_to_it(book):
    done = run_build("--profile", "smoke", "--out", str(book.out), module="genens_book.press.pdf")
    assert done.returncode == 0, done.stderr
    printed = (book.html / "book" / "encoded-ensembles.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", printed)) > len(NOTEBOOKS)
    assert 'href="encoded-ensembles.pdf"' in (book.html / "book" / "intro.html").read_text()


def test_printing_without_a_book_says_to_build_it_first(tmp_path):
    done = run_build("--profile", "smoke", "--out", str(tmp_path), module="genens_book.press.pdf")
    assert done.returncode == 1 and "make book PROFILE=smoke" in done.stderr and len(done.stderr.splitlines()) == 1
