"""The book's own Sphinx extension: every page works from file:// with no network.

* MathJax: one file of the PyPI package `sphinx-mathjax-offline` (TeX to SVG, glyphs inside) is copied beside
  the pages; `mathjax_path` in _config.yml names it.
* Pages say in their footer what they were built from and with.
* Launch buttons are on the book's own pages only, and only once _config.yml says where the repository is.
* The explorer's data, which its notebook has written to the store, is copied beside its page, every file of it.
* The numbers of figures, which pages carry as data: links, become files beside them.
* {repo}`PATH` names a file of the repository, and leads to it once the repository has an address.
* The page of functions shows docstrings as they were written.
* What links lead to is shown beside them (sphinx-tippy); the files in which it would keep answers from the network go.
* The build fails if a page would load a script, a style, a font or an image from another host.
"""

from __future__ import annotations

import base64
import html
import os
import re
import shutil
from importlib.metadata import distribution, version
from pathlib import Path

import sphinx_tippy
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import SphinxError

from genens import provenance
from genens_book.pages import markup

MATHJAX = "tex-svg-full.js"
MARKUP = re.compile(r"[\\*|_]")  # what reStructuredText would read something into
# What a browser fetches by itself when it opens a page; a plain <a href> is not among them.
LOADS = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\ssrc=[\"']((?:https?:)?//[^\"']+)"
    r"|<link\b(?=[^>]*rel=[\"'](?:stylesheet|preload|icon|preconnect|dns-prefetch|modulepreload))"
    r"[^>]*\shref=[\"']((?:https?:)?//[^\"']+)",
    re.IGNORECASE,
)

DATA = re.compile(r'(<a class="ge-data" download="([\w.-]+)" href=")data:text/csv;base64,([^"]*)')  # plotting.Picture


def mathjax_file() -> Path:
    """The vendored MathJax bundle; SphinxError when the package that carries it lacks it."""
    package = distribution("sphinx-mathjax-offline")
    found = [file for file in package.files or [] if file.name == MATHJAX]
    if not found:
        raise SphinxError(f"sphinx-mathjax-offline {package.version} has no {MATHJAX}: install version 0.0.2")
    return Path(package.locate_file(found[0]))


def name_run(app: Sphinx, config: Config) -> None:
    """Puts what the pages were made with into their footer: profile, commit, machine, versions; chapters say more. And
    drops launch buttons that would lead nowhere."""
    profile = os.environ.get("GENENS_BOOK_PROFILE")
    made = provenance.describe()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "jupyter-book"))
    said = [
        f"profile <code>{html.escape(profile)}</code>" if profile else "the notebooks' default parameters",
        f"commit {markup.commit(made)}, {str(made['date'])[:10]}",
        html.escape(f"{made['machine']}, {made['cpus']} CPUs"),
        f"Python {made['python']}, {libraries}",
    ]
    footer = f"<p>Built from {'; '.join(said)}. Every chapter ends with its own parameters, seed and run time.</p>"
    config.html_theme_options["extra_footer"] = footer
    if not (profile and config.html_theme_options.get("repository_url")):
        config.html_theme_options.pop("launch_buttons", None)


def outside_loads(page: str) -> list[str]:
    """Addresses on other hosts that opening this page would request."""
    return [first or second for first, second in LOADS.findall(page)]


def copy_explorer(out: Path) -> None:
    """Puts the explorer's data and worlds beside its page, if the book has it; SphinxError for one that is missing."""
    if not (out / "book" / "explorer.html").is_file():
        return
    from genens_book.chapters.explorer import feed

    try:
        for found in feed.written(os.environ.get("GENENS_BOOK_PROFILE") or "laptop"):
            shutil.copyfile(found, out / "book" / found.name)
    except FileNotFoundError as missing:
        raise SphinxError(
            f"the explorer's {Path(missing.filename).name} is not in the store: delete the executed explorer.ipynb and "
            "build again"
        ) from missing
    except ValueError as damaged:
        raise SphinxError(str(damaged)) from damaged


def put_beside(page: Path) -> None:
    """Writes the numbers of a page's figures into files beside it, and makes the links lead there: with many points
    inside, a page would be slow to open."""

    def write(link: re.Match) -> str:
        folder = page.parent / "data"
        folder.mkdir(exist_ok=True)
        (folder / link[2]).write_bytes(base64.b64decode(link[3]))
        return f"{link[1]}data/{link[2]}"

    text = page.read_text(encoding="utf-8")
    if 'class="ge-data"' in text:
        page.write_text(DATA.sub(write, text), encoding="utf-8")


def as_rst(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Makes our docstrings, plain text with `names`, reStructuredText: names as code, all else as it is.

    The tables and mathematics in them are set in plain characters, which markup would take for its own.
    """
    found: list[str] = []
    for line in lines:
        example = line.startswith("    ")
        if example and found and not found[-1].startswith("    ") and found[-2:-1] != ["::"]:
            found += ["::", ""]
        parts = line.split("`")
        plain = [part if i % 2 and len(parts) > 2 else MARKUP.sub(r"\\\g<0>", part) for i, part in enumerate(parts)]
        found.append(line if example else "``".join(plain))
    lines[:] = found


def repository_file(
    name: str, rawtext: str, text: str, lineno: int, inliner: object, options: object = None, content: object = None
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """The role `repo`: a path in the repository as code, and as a link if _config.yml says where that is."""
    url = inliner.document.settings.env.config.html_theme_options.get("repository_url")
    shown = nodes.literal(rawtext, text)
    return [nodes.reference(rawtext, "", shown, refuri=f"{url}/blob/HEAD/{text}") if url else shown], []


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Copies MathJax and the explorer's data, puts the figures' numbers beside the pages, then checks that no page asks
    the network for anything."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    shutil.copyfile(mathjax_file(), out / "_static" / MATHJAX)
    copy_explorer(out)
    for asked in out.glob("tippy_*_cache.json"):  # written empty: it asks nobody here
        asked.unlink()
    for page in sorted(out.rglob("*.html")):
        put_beside(page)
        outside = outside_loads(page.read_text(encoding="utf-8"))
        if outside:
            name = page.relative_to(out)
            raise SphinxError(f"{name} would load {outside[0]}: the book must open without a network")


def settle_tips(app: Sphinx, exception: Exception | None) -> None:
    """Gives what sphinx-tippy writes about a page an order, which its sets have not."""
    for page in getattr(app.env, "tippy_data", {"pages": {}})["pages"].values():
        page["refs_in_page"] = sorted(page["refs_in_page"], key=str)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    sphinx_tippy.uuid4 = lambda: "tips"  # in the names of its scripts, random ones made two builds of one book differ
    app.add_role("repo", repository_file)
    app.connect("config-inited", name_run)
    app.connect("autodoc-process-docstring", as_rst)
    app.connect("build-finished", settle_tips, priority=400)  # before sphinx-tippy
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
