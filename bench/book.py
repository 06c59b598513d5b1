"""How long the laptop book takes: from nothing, again, and after a plotting function was edited (`make bench-book`).

It works on a copy of the tree with a store of its own, and takes about as long as `make book`. What the first build says of
its chapters goes to bench/book.json, from which later builds, on whatever machine, tell how long they may take.
"""

from __future__ import annotations

import json
import os
import re
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
    environment = os.environ | {"PYTHONPATH": str(tree)}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "book/build.py"], cwd=tree, env=environment, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, done.stdout + done.stderr


def keep(said: str, total: float) -> None:
    """Notes the machine, its milliseconds a forward pass, and the seconds of every chapter, as a build said them."""
    line = {found[1]: found[2] for found in re.finditer(r"^(machine|chapters|kinds) +(.+)$", said, re.MULTILINE)}
    chapters = {name: float(seconds) for name, seconds in re.findall(r"(\w+) (\d+) s", line["chapters"])}
    pass_ms = float(re.search(r"(\d+) ms for 64 digits", line["machine"])[1])
    body = {"machine": line["machine"], "pass_ms": pass_ms, "chapters": chapters, "kinds": line["kinds"],
            "total": round(total)}
    (ROOT / "bench" / "book.json").write_text(json.dumps(body, indent=1) + "\n")


def main() -> None:
    """Three builds."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "book"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        first, said = build(tree)
        keep(said, first)
        print(f"from nothing, on the shipped weights     {first:6.1f} s", flush=True)
        second, _ = build(tree)
        print(f"again, nothing changed                   {second:6.1f} s   (1/{first / second:.0f} of it)", flush=True)
        plots = tree / "genens" / "plots_ablation.py"
        plots.write_text(plots.read_text().replace("2.9))", "3.1))"))
        samples = {path: path.stat().st_mtime_ns for path in (tree / "_build" / "store").glob("samples-*")}
        third, said = build(tree)
        kept = samples == {path: path.stat().st_mtime_ns for path in (tree / "_build" / "store").glob("samples-*")}
        print(f"a plotting function edited               {third:6.1f} s   "
              f"({'no sample drawn' if kept and 'samples:' not in said else 'SAMPLES WERE DRAWN AGAIN'})")


if __name__ == "__main__":
    main()
