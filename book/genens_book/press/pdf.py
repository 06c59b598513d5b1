"""Prints the whole book into one PDF, from the chapters that `make book` executed: `make pdf`.

    python -m genens_book.press.pdf --profile laptop

Jupyter Book renders all chapters as one page, and Chromium prints it with book/_static/print.css. The PDF lands beside
the pages, and the front page links to it. `build.publish` calls `attach`, so that a book built again keeps the PDF of
the same chapters and drops the one of others.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from genens import store

FILE = "encoded-ensembles.pdf"
PLACE = re.compile(
    r'(<span class="ge-pdf">).*?(</span>)', re.DOTALL
)  # on the front page; says `make pdf` until there is one
LINK = rf'\1<a class="reference external" href="{FILE}">the whole book as one PDF</a>\2'
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--virtual-time-budget=120000",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
)


NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def browser() -> str | None:
    """Where Chromium or Chrome is, by any of its names; None when there is none."""
    return next(filter(None, map(shutil.which, (*NAMES, MAC))), None)


def attach(html: Path, folder: Path) -> bool:
    """Puts the PDF of these very pages beside them and links it from the front page; False when there is none."""
    pdf, stamp, rendered = folder / FILE, folder / "pdf.json", folder / "rendered.json"
    if not (pdf.is_file() and stamp.is_file() and stamp.read_bytes() == rendered.read_bytes()):
        return False
    shutil.copyfile(pdf, html / "book" / FILE)
    front = html / "book" / "intro.html"
    front.write_text(PLACE.sub(LINK, front.read_text(encoding="utf-8")), encoding="utf-8")
    return True


def one_page(folder: Path, profile: str) -> Path:
    """All chapters as one HTML page, from the tree that `build` staged. RuntimeError when Jupyter Book fails."""
    program = "from jupyter_book.cli.main import main; main()"
    tree = folder / "pdf"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(folder, tree, ignore=shutil.ignore_patterns("_build", "executed", "pdf", "*.json", "*.log", FILE))
    done = subprocess.run(
        [sys.executable, "-c", program, "build", "-q", "--builder", "singlehtml", str(tree)],
        env={**os.environ, "GENENS_BOOK_PROFILE": profile},
        capture_output=True,
        text=True,
        check=False,
    )
    made = tree / "_build" / "singlehtml"
    if done.returncode or not (made / "book" / "intro.html").is_file():
        raise RuntimeError(f"rendering as one page failed: {(done.stdout + done.stderr).strip()[-400:]}")
    # Sphinx writes this page's links as seen from the top folder.
    return (made / "book" / "intro.html").rename(made / "whole.html")


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.press.pdf", description="Print the book that was built into one PDF."
    )
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--out", type=Path, default=store.home() / "_build", help="where the book was built")
    given = parser.parse_args(arguments)
    folder, html = given.out.resolve() / given.profile, given.out.resolve() / "html"
    chromium = browser()
    try:
        if not (folder / "rendered.json").is_file() or not html.is_dir():
            raise RuntimeError(f"there is no built book in {folder}: run `make book PROFILE={given.profile}` first")
        if chromium is None:
            raise RuntimeError("it takes Chromium to print: apt-get install chromium, and try again")
        page, fresh = one_page(folder, given.profile), folder / f"{FILE}.new"
        print(f"printing {page.stat().st_size / 1e6:.1f} MB", flush=True)
        done = subprocess.run(
            [chromium, *CHROMIUM, f"--print-to-pdf={fresh}", page.as_uri()], capture_output=True, text=True, check=False
        )
        if done.returncode or not fresh.is_file():
            raise RuntimeError(f"Chromium printed nothing: {done.stderr.strip()[-300:]}")
    except RuntimeError as problem:
        print(f"genens_book.press.pdf: {problem}", file=sys.stderr)
        return 1
    os.replace(fresh, folder / FILE)
    shutil.copyfile(folder / "rendered.json", folder / "pdf.json")
    shutil.rmtree(folder / "pdf")
    attach(html, folder)
    print(f"open {os.path.relpath(html / 'book' / FILE)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
