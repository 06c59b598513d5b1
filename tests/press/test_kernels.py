"""Forked kernels outlive nobody: a build that is killed outright leaves none computing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from support import build_environment

PROGRAM = """
import sys, papermill
from genens_book.press import kernels
kernels._context.set_forkserver_preload(["ipykernel.kernelapp"])  # as for a book, whose server imports it first
papermill.execute_notebook(
    "one.ipynb", "out.ipynb", progress_bar=False, stderr_file=sys.stderr, kernel_manager_class=kernels.Forked
)
"""
WAITING = """
import os, sys, time
from genens_book.press import kernels
if __name__ == "__main__":
    with kernels.processes(1) as pool:
        print("process", pool.submit(os.getpid).result(), file=sys.stderr, flush=True)
        time.sleep(120)
"""
CELL = "import os, sys, time\nprint('kernel', os.getpid(), file=sys.stderr, flush=True)\ntime.sleep(120)"


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    """Whether a process ends by itself in time."""
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive(pid)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_a_process_that_renders_goes_with_the_builder(tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING)
    command = [sys.executable, "waiting.py"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=build_environment()) as program:
        pid = int(next(line for line in program.stderr if line.startswith("process")).split()[1])
        program.kill()
        assert ends(pid)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kernel_goes_with_the_process_that_started_it(tmp_path, number):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(CELL, id="work")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "one.ipynb")
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=build_environment()) as program:
        pid = int(next(line for line in program.stderr if line.startswith("kernel")).split()[1])
        assert alive(pid)
        os.kill(program.pid, number)
        assert ends(pid)
