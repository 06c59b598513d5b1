"""The code that a chapter leans on, shown on its page."""

from __future__ import annotations

import ast
import html
import inspect
from collections.abc import Callable, Mapping, Sequence

from genens import store
from genens_book.pages.markup import Page


def listing(functions: Sequence[Callable], tests: Mapping[str, Sequence[str]]) -> Page:
    """The code of functions and of the tests that check them, folded away, each under an anchor that the text links to.

    tests: {file in tests/: names of test functions}. Raises ValueError for a test that is not there, so that the
    chapter cannot cite one that is gone.
    """
    parts = [(function.__name__, inspect.getsource(function)) for function in functions]
    parts += [(name, source) for file, names in tests.items() for name, source in _test_sources(file, names)]
    body = "".join(
        f'<details id="code-{html.escape(name)}"><summary><code>{html.escape(name)}</code></summary>'
        f"<pre>{html.escape(source)}</pre></details>"
        for name, source in parts
    )
    return Page(body, "\n".join(name for name, _ in parts))


def _test_sources(file: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, code) of test functions in a file of tests/."""
    path = store.home() / "tests" / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {
        node.name: ast.get_source_segment(text, node)
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"expected the test {missing[0]} in {path.name}, found none: name the test that checks it")
    return [(name, found[name]) for name in names]
