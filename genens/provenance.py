"""Which code decides a result: the modules that a function's module imports, found by reading their source.
And what else a page tells about a run: commit, versions, machine.

Comments, layout and docstrings do not count. Imports made by name at run time (importlib) are not seen.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

CORE = __name__.partition(".")[0]
# Modules that decide where results lie and how they are kept, not what they are.
APART = frozenset({"genens.store", "genens.files", "genens.provenance"})

# module -> (its spec when it was read, digest of its code, modules it imports). A process runs the code it
# imported, even if the file has changed since; importing or reloading the module again gives it a new spec.
_read: dict[str, tuple[ModuleSpec, str, frozenset[str]]] = {}


def module_of(function: Callable) -> str:
    """The module that defines a function. ValueError for one whose source cannot be found by name."""
    name = getattr(function, "__qualname__", "")
    if not inspect.isfunction(function) or "<" in name or function.__module__ == "__main__":
        raise ValueError(
            f"expected a function defined at the top of a module, so that its source can be hashed, got "
            f"{getattr(function, '__module__', '')}.{name or function!r:.60}; move it into the package"
        )
    return function.__module__


def closure(module: str) -> dict[str, str]:
    """Every module of the core and of `module`'s own package that it needs, itself too, each with the hex sha256 of its
    code."""
    found: dict[str, str] = {}
    waiting = {module}
    while waiting:
        name = waiting.pop()
        spec = _spec(name)
        if name in found or name in APART or spec is None:
            continue
        if name not in _read or _read[name][0] is not spec:
            tree = _code(Path(spec.origin))
            code = hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
            _read[name] = (spec, code, _imported(tree, name, spec.submodule_search_locations is not None))
        found[name] = _read[name][1]
        waiting |= _read[name][2]
        if name == CORE:  # `import genens as ge`: any of the names that it loads when asked
            waiting |= {f"{CORE}.{home.rpartition('.')[0]}" for home in sys.modules[CORE]._HOME.values()}
    return dict(sorted(found.items()))


def _spec(module: str) -> ModuleSpec | None:
    """Where a module's source is; None for a name that is no module with a source file."""
    if module in sys.modules:
        spec = sys.modules[module].__spec__
    else:
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:  # `from module import name` asks for module.name, whose parent is no package
            return None
    return spec if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _code(path: Path) -> ast.Module:
    """The parsed source without its docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _imported(tree: ast.Module, module: str, is_package: bool) -> frozenset[str]:
    """The modules of `module`'s own package that its source imports, wherever in it the import stands."""
    found = set()
    parts = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:  # a module of that name, or else a name inside `base`
                inner = f"{base}.{alias.name}"
                found.add(inner if _ours(base, module) and _spec(inner) else base)
    return frozenset(name for name in found if _ours(name, module))


def _ours(name: str, module: str) -> bool:
    """Whether a module is of the core, or of `module`'s own package, be it the book's or a user's."""
    return name.partition(".")[0] in (CORE, module.partition(".")[0])


@functools.cache
def _commit(folder: Path) -> tuple[str, bool | None]:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout

    try:
        return git("rev-parse", "HEAD").strip(), bool(git("status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.CalledProcessError):  # no git here, or not a clone
        return "unknown", None


def _processor() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()):
            return found[1].strip()
    return platform.processor() or "unknown"


def peak_memory() -> int | None:
    """The most memory, in bytes, that this process has held at once; None where the system does not tell (no /proc)."""
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text()):
            return int(found[1]) * 1024
    return None


def describe() -> dict[str, object]:
    """Where and with what this runs: commit, whether files differ from it, versions, machine, CPUs, date."""
    commit, dirty = _commit(Path(__file__).resolve().parent)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "numpy": importlib.metadata.version("numpy"),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cpus": cpus,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
