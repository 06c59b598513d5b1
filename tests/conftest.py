"""What several test modules share: the smoke book, built once a session, and a browser to look at it with."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

os.environ.setdefault("GENENS_BOOK_DPI", "72")  # pictures that are only tested need not be sharp

import pytest
import torch
from hypothesis import settings
from support import Book, run_build

from genens_book.press import build, pdf

BOOK_FILES = ("test_book.py", "test_browser.py", "test_explorer.py")

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


# Workers side by side have a core each.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Side by side, the files that look at the smoke book stay with one worker, which starts with them: some of their
    tests build it again. (xdist's own groups are lost under pytest 9.2, which reads no group off a test's id.)"""
    from xdist.scheduler import LoadScopeScheduling

    class BookInOneWorker(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "book" if Path(nodeid.partition("::")[0]).name in BOOK_FILES else nodeid

    return BookInOneWorker(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """For whoever works on the pages: --book-out keeps the smoke book between sessions, --screenshots shows its
    pages."""
    parser.addoption("--book-out", type=Path, help="build the smoke book here and reuse what is up to date")
    parser.addoption("--screenshots", action="store_true", help="a picture of every page into _build/screenshots")


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """The module that builds the book."""
    return build


@pytest.fixture(scope="session")
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The smoke book, training included, built from nothing with a store of its own."""
    out = request.config.getoption("--book-out") or tmp_path_factory.mktemp("book")
    start = time.perf_counter()
    done = run_build("--profile", "smoke", "--out", str(out))
    seconds = time.perf_counter() - start
    if done.returncode:
        pytest.fail(f"the smoke book does not build:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return Book(Path(out).resolve(), seconds, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def arrays() -> dict[str, tuple]:
    """Made-up arrays of the explorer's ensembles: both of digits, and a world."""
    from support.explorer import every

    return every()


@pytest.fixture(scope="session")
def parts(arrays: dict[str, tuple]) -> dict[str, dict]:
    """What the explorer reads of each, made of them."""
    from support.explorer import packed

    return packed(arrays)


@pytest.fixture(scope="session")
def whole(parts: dict[str, dict]) -> dict:
    """All that the explorer reads at once."""
    from genens_book.chapters.explorer import feed

    return feed.gather(parts["images"], parts["classes"], "smoke", {"seed": 0})


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Debian's Chromium under playwright. Its absence is a failure: the pages would go unseen."""
    from playwright.sync_api import sync_playwright

    path = pdf.browser()
    if path is None:
        pytest.fail("chromium is not on PATH: apt-get install chromium, and test again", pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield running
        running.close()
