"""A tiny book that is broken on purpose: what a build says, what it keeps, and what makes it run again."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sphinx.errors import ExtensionError
from support import Book, build_environment, run_build, visit

from bench.faults import books, project
from bench.faults.project import FRONT, GLUE
from genens_book.press import build


class Tiny(project.Tiny):
    """A fresh tiny book that builds."""

    def build(self, profile: str = "laptop"):
        """Builds this project."""
        return run_build("--profile", profile, home=self.root)


@pytest.fixture
def tiny(tmp_path) -> Tiny:
    """A fresh tiny book."""
    return Tiny(tmp_path)


@pytest.fixture
def builder(tiny, builder, monkeypatch):
    """The builder at home in the tiny book."""
    monkeypatch.setenv("GENENS_HOME", str(tiny.root))
    for name in ("GENENS_STORE", "GENENS_TRAINED", "GENENS_DATA"):  # which a build sets
        monkeypatch.setenv(name, str(tiny.root / name))
    monkeypatch.setattr(builder, "ROOT", tiny.root)
    monkeypatch.setattr(builder, "BOOK", tiny.root / "book")
    monkeypatch.setattr(builder, "PACKAGES", (tiny.root / "genens", tiny.root / "book" / "genens_book"))
    return builder


def refused(module, capsys, *arguments) -> str:
    """The one line that a build in this process ends with when it cannot begin."""
    assert module.main(list(arguments)) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_unknown_profile_is_one_line(builder, capsys):
    line = refused(builder, capsys, "--profile", "lapto")
    assert line.startswith("genens_book.press.build: expected a profile among laptop in ") and line.endswith("'lapto'")


def test_profile_and_notebook_that_disagree_are_one_line(tiny, builder, capsys):
    (tiny.root / "book" / "profiles" / "laptop.yml").write_text("01_tiny: {profile: laptop, sed: 3}\n")
    line = refused(builder, capsys, "--profile", "laptop", "--out", str(tiny.root / "_build"))
    assert "disagree on the parameters: sed" in line


def test_what_a_chapter_and_the_pages_depend_on(tiny, builder):
    """The fingerprints that decide what runs again, one edit after the other."""
    folder, notebook = tiny.root / "_build" / "laptop", tiny.root / "book" / "01_tiny.ipynb"
    (folder / "executed").mkdir(parents=True)

    def now() -> tuple[str, str]:
        shutil.copyfile(notebook, folder / "executed" / notebook.name)
        settings = builder.load_profile("laptop")
        given = builder.parameters_of(notebook, "laptop", settings)
        return builder.chapter_key(notebook, given, builder.code_digest("laptop"), "laptop"), builder.stage(folder)

    chapter, pages = now()
    assert now() == (chapter, pages)
    (tiny.root / "book" / "intro.md").write_text(FRONT.format("Reworded"))
    assert now()[0] == chapter and now()[1] != pages
    edited = chapter
    for package in ("genens", "book/genens_book"):
        (tiny.root / package / "more.py").write_text("edited = True\n")
        before, edited = edited, now()[0]
        assert edited != before
    tiny.write(GLUE, seed=3)
    other = now()[0]
    assert other not in (edited, chapter)
    weights = tiny.root / "weights" / "w"
    weights.mkdir(parents=True)
    (weights / "manifest.json").write_text("{}")
    with_weights = now()[0]
    (tiny.root / "GENENS_DATA" / "cifar-10-batches-py").mkdir(parents=True)
    assert now()[0] != with_weights  # the reader has brought images
    with_weights = now()[0]
    assert with_weights not in (other, edited, chapter)
    (tiny.root / "bench").mkdir(exist_ok=True)
    (tiny.root / "bench" / "retrained.json").write_text("[]")
    assert now()[0] != with_weights, "what was measured once, and is shown by a chapter"


def test_a_build_that_fails_says_why_in_one_line_and_the_previous_book_stays(tiny):
    tiny.write(GLUE + "\nimport sys\nprint('half', 'way', file=sys.stderr)\nprint('done')")
    done = tiny.build()
    assert done.returncode == 0 and "01_tiny                  executed in" in done.stdout
    assert "half way" in done.stderr  # progress is live on the terminal, and absent from the page
    before = tiny.page.read_bytes()
    assert b"half way" not in before and b"done" in before

    tiny.write(GLUE + "\nraise ValueError('expected 3 images,\\ngot none')")
    done = tiny.build()
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    assert "chapter 01_tiny failed" in done.stderr and "got none" in done.stderr
    assert not (tiny.root / "_build" / "laptop" / "executed" / "01_tiny.json").exists()  # does not count as up to date
    assert tiny.page.read_bytes() == before

    tiny.write("print('no answer')")
    for _ in range(2):  # Sphinx repeats no warning for a page it has read before
        done = tiny.build()
        assert done.returncode == 1
        assert "answer" in done.stderr and "rendering failed" in done.stderr
    assert tiny.page.read_bytes() == before

    (tiny.root / "book" / "intro.md").write_text(FRONT.format("<img src='https://example.org/x.png' alt='x'>"))
    tiny.write(GLUE)
    assert tiny.build().returncode == 1
    log = (tiny.root / "_build" / "laptop" / "sphinx.log").read_text()
    assert "intro.html would load https://example.org/x.png" in log


def test_launch_buttons_come_with_the_address_of_the_repository(tiny, browser):
    (tiny.root / "book" / "intro.md").write_text(FRONT.format("{repo}`LICENSE`"))
    front = tiny.page.parent / "intro.html"
    assert tiny.build().returncode == 0 and "mybinder" not in tiny.page.read_text()
    assert "LICENSE" in front.read_text() and "blob/HEAD" not in front.read_text()
    config = tiny.root / "_config.yml"
    config.write_text(config.read_text().replace('url: &url ""', "url: &url https://github.com/owner/name"))
    done = tiny.build()
    assert done.returncode == 0, done.stderr  # and no page loads anything from there
    page, place = tiny.page.read_text(), "book/01_tiny.ipynb"
    assert f'href="https://mybinder.org/v2/gh/owner/name/launch?urlpath=lab/tree/{place}"' in page
    assert f'href="https://colab.research.google.com/github/owner/name/blob/launch/{place}"' in page
    pictures = re.findall(r'src="([^"]*logo_(?:binder|colab)[^"]*)"', page)
    assert len(pictures) == 2 and all((tiny.page.parent / picture).is_file() for picture in pictures)
    assert "mybinder" not in front.read_text(), "a page that nothing can be run on"
    assert 'href="https://github.com/owner/name/blob/HEAD/LICENSE"' in front.read_text()
    with visit(browser, tiny.page.as_uri(), 390, "light") as seen:
        seen.page.click(".dropdown-launch-buttons > button")
        seen.page.locator("a[href*='mybinder']").wait_for(state="visible")
        assert not seen.complaints_about(Book(tiny.root / "_build", 0, "", ""))


def test_an_interrupted_build_says_so_and_leaves_no_kernel(tiny):
    wait = "\nimport os, sys, time\nprint('kernel', os.getpid(), file=sys.stderr, flush=True)\ntime.sleep(600)"
    tiny.write(GLUE + wait)
    # Whoever starts the tests in the background has them ignore Ctrl-C, and their children with them: undo that.
    heeding = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('genens_book.press.build', run_name='__main__')"
    )
    command, environment = [sys.executable, "-c", heeding], build_environment(home=tiny.root)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as build:
        kernel = int(next(line for line in build.stderr if line.startswith("kernel")).split()[1])
        os.killpg(build.pid, signal.SIGINT)  # as Ctrl-C does
        try:
            _, errors = build.communicate(timeout=60)
        finally:
            build.kill()
    assert build.returncode == 130
    assert (
        errors.strip().splitlines()[-1]
        == "genens_book.press.build: interrupted; finished chapters are kept, so run it again"
    )
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)


def test_two_builds_at_once_end_both_well(tiny):
    tiny.write(GLUE + "\nimport time\ntime.sleep(3)")
    with ThreadPoolExecutor(2) as pool:
        done = [job.result() for job in [pool.submit(tiny.build) for _ in range(2)]]
    assert [one.returncode for one in done] == [0, 0], done
    first, second = sorted(done, key=lambda one: "waiting" in one.stdout)
    assert "01_tiny                  executed in" in first.stdout and "waiting" not in first.stdout
    assert re.search(r"waiting +for process \d+, which builds in .*_build", second.stdout)
    assert (
        "01_tiny                  up to date" in second.stdout
        and "pages                    up to date" in second.stdout
    )
    assert "forty-two" in tiny.page.read_text()
    assert not [path for path in tiny.page.parents[2].iterdir() if path.name.startswith(".") or path.suffix == ".lock"]


def test_two_builds_of_one_book_are_the_same_to_the_last_bit(tiny, tmp_path, monkeypatch):
    tiny.write(GLUE)
    sums = []
    for seed in ("1", "2"):  # which decide in what order sets are gone through
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        done = run_build("--out", str(tmp_path / seed), home=tiny.root)
        assert done.returncode == 0, done.stderr
        sums.append(books.pages(tmp_path / seed))
    assert sums[0] == sums[1] and any("tippy" in name for name in sums[0])


@pytest.mark.filterwarnings("ignore:'BaseCommand' is deprecated")  # by Jupyter Book, as it is imported
def test_what_sphinx_cannot_write_is_said_as_what_it_is(tmp_path, monkeypatch):
    def full(arguments):
        try:
            raise ExtensionError("a handler failed") from OSError(errno.ENOSPC, "No space left on device", "page.html")
        except ExtensionError as problem:
            raise RuntimeError("There was an error in building your book") from problem

    monkeypatch.setattr("jupyter_book.cli.main.main", full)
    for name in ("dup2", "environ"):
        monkeypatch.setattr(build.os, name, {} if name == "environ" else lambda *given: None)
    with pytest.raises(OSError, match="No space left on device: 'page.html'"):
        build._jupyter_book(tmp_path, "smoke", tmp_path / "log")


def test_a_folder_that_cannot_be_written_to_is_one_line(tiny, builder, capsys):
    (tiny.root / "file").write_text("in the way")
    assert "Not a directory" in refused(builder, capsys, "--out", str(tiny.root / "file" / "out"))


def test_a_chapter_with_a_damaged_stamp_runs_again(builder, tmp_path):
    copy = tmp_path / "01_tiny.ipynb"
    copy.write_text("{}")
    for stamp, there in (
        ('{"key": "k", "records": []}', True),
        ('{"key": "k", "rec', False),
        ("[]", False),
        ("", False),
    ):
        copy.with_suffix(".json").write_text(stamp)
        assert builder.up_to_date(copy, "k", "laptop") == there


def test_plain_jupyter_book_build_works_in_place(tiny):
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", "-W", "-n", "."]
    done = subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "forty-two" in tiny.page.read_text()
    assert (tiny.root / "_build" / "html" / "_static" / "tex-svg-full.js").is_file()


def test_lines_of_chapters_side_by_side_stay_whole(monkeypatch):
    """Another thread may write whenever one piece is written."""
    written = []

    class Slow(io.StringIO):
        def write(self, text):
            written.append(text)
            time.sleep(1e-3 if text else 0)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Slow())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build.say, [f"chapter {k}" for k in range(40)]))
    assert sorted("".join(written).splitlines()) == sorted(f"chapter {k}" for k in range(40))
