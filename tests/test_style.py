"""One style and one direction of imports; docstrings that say shapes and errors; notebooks that read like a paper."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from support import ROOT

CORE = sorted((ROOT / "genens").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
WIDEST = 84  # characters of code that a page of 1280 pixels shows
LONGEST = 12  # lines of code in a cell


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"],
    ],
    ids=["ruff check", "ruff format", "import contracts"],
)
def test_the_linters_have_nothing_to_say(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def public(tree: ast.Module):
    """The functions, classes and methods of a module that are for others, by their qualified names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


def complaints(path: Path) -> list[str]:
    """What a module's docstrings leave unsaid."""
    found = []
    for name, node in public(ast.parse(path.read_text())):
        said = ast.get_docstring(node) or ""
        if not said:
            found.append(f"{name}: no docstring")
        if not isinstance(node, ast.FunctionDef):
            continue
        annotations = [ast.unparse(part) for part in (*(a.annotation for a in node.args.args), node.returns) if part]
        if any("ndarray" in text or "Tensor" in text for text in annotations) and "(" not in said:
            found.append(f"{name}: takes or returns arrays, and no shape is said")
        raised = [part for part in ast.walk(node) if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call)]
        if raised and not any(word in said for word in ("Error", "Raises", "See `")):
            found.append(f"{name}: raises, and does not say what and when")
    return found


@pytest.mark.parametrize("path", CORE, ids=[path.relative_to(ROOT).as_posix() for path in CORE])
def test_public_names_of_the_core_say_their_shapes_and_errors(path):
    assert not complaints(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_cells_are_short_and_no_line_is_cut_off_on_the_page(path):
    wrong = []
    for number, cell in enumerate(nbformat.read(path, 4).cells):
        tags = cell.metadata.get("tags", [])
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if cell.cell_type != "code" or "parameters" in tags:
            continue
        imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(cell.source).body)
        if imports and "hide-input" not in tags:
            wrong.append(f"cell {number}: imports that are not folded away")
        if len(lines) > LONGEST and not imports:
            wrong.append(f"cell {number}: {len(lines)} lines")
        wrong += [f"cell {number}: {len(line)} characters: {line}" for line in lines if len(line) > WIDEST]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sorted((ROOT / "bench").rglob("[a-z]*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_is_there(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("genens"):
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or importlib.util.find_spec(f"{node.module}.{name.name}")
