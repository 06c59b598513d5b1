"""What several test modules share: the smoke book, built once a session, and a browser to look at it with."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import settings
from support import Book, run_build

from genens_book.press import build

BOOK = {"test_book.py": "book", "test_explorer.py": "book", "test_browser.py": "pages"}

# The same examples on every machine, and no failure because a machine was busy.
settings.register_profile("genens", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("genens")

# Chromium without a desktop: no sandbox for root, and not a word to the network.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Workers side by side have about a core each.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: a worker that waits for Chromium or for the book keeps none of them busy."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Side by side, files whose tests look at the smoke book stay together, and begin: those of `BOOK` some of whose
    tests build it again, and those that look at its pages. (xdist's own groups are lost under pytest 9.2, which reads
    no group off a test's id.)"""
    from xdist.scheduler import LoadScopeScheduling

    class BookFirst(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return BOOK.get(Path(nodeid.partition("::")[0]).name, nodeid)

    return BookFirst(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """--book-out keeps the smoke book between sessions, for whoever works on the pages."""
    parser.addoption("--book-out", type=Path, help="build the smoke book here and reuse what is up to date")


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """The module that builds the book."""
    return build


@pytest.fixture(scope="session")
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The smoke book, training included, built from nothing with a store of its own: once, for all workers."""
    mine = tmp_path_factory.getbasetemp()
    shared = mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine
    out, told = request.config.getoption("--book-out") or shared / "book", shared / "book.json"
    with open(shared / "book.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits for the first one's book
        if not told.is_file():
            start = time.perf_counter()
            done = run_build("--profile", "smoke", "--out", str(out))
            said = (done.returncode, time.perf_counter() - start, done.stdout, done.stderr)
            if done.returncode == 0:
                shutil.copytree(Path(out) / "html", shared / "looked-at" / "html")
            told.write_text(json.dumps(said))
    code, seconds, stdout, stderr = json.loads(told.read_text())
    if code:
        pytest.fail(f"the smoke book does not build:\n{stdout}\n{stderr}", pytrace=False)
    return Book(Path(out).resolve(), shared / "looked-at", seconds, stdout, stderr)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Debian's Chromium under playwright. Its absence is a failure: the pages would go unseen."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not on PATH: apt-get install chromium, and test again", pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield running
        running.close()
