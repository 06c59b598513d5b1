"""How long the laptop book takes: from nothing, again, and after a plotting function was edited (`make bench-book`).

It works on a copy of the tree with a store of its own, and takes about as long as `make book`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__", "*.egg-info")


def build(tree: Path) -> tuple[float, str]:
    """Seconds of one build, and all it said."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tree), str(tree / "book")])}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "genens_book.press.build"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, done.stdout + done.stderr


def main() -> None:
    """Three builds."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "book"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        first, _ = build(tree)
        print(f"from nothing, on the shipped weights     {first:6.1f} s", flush=True)
        second, _ = build(tree)
        print(f"again, nothing changed                   {second:6.1f} s   (1/{first / second:.0f} of it)", flush=True)
        plots = tree / "book" / "genens_book" / "chapters" / "class_ablation" / "figures.py"
        plots.write_text(plots.read_text().replace("2.9))", "3.1))"))
        samples = {path: path.stat().st_mtime_ns for path in (tree / "_build" / "store").glob("samples-*")}
        third, said = build(tree)
        kept = samples == {path: path.stat().st_mtime_ns for path in (tree / "_build" / "store").glob("samples-*")}
        print(
            f"a plotting function edited               {third:6.1f} s   "
            f"({'no sample drawn' if kept and 'samples:' not in said else 'SAMPLES WERE DRAWN AGAIN'})"
        )


if __name__ == "__main__":
    main()
