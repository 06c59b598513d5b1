"""Work in forked processes, which have PyTorch at once, and can be killed as any other.

Forked without a new start of Python, also where training would ask a fork server for its workers: it would import
PyTorch anew after every kill.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

LIMIT = 120.0  # seconds after which a process is taken to hang
VICTIMS = ("process", "group", "child")
_fork = multiprocessing.get_context("fork")


def start(work: Callable[[], int | None], said: Path) -> BaseProcess:
    """A process that does some work and ends with the exit code that it returns; all that it prints goes to a file.
    Returned once it is about to begin."""
    begun, begins = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_do, args=(work, said, begins))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, of which the child uses none
        process.start()
    begins.close()
    with begun, contextlib.suppress(EOFError):
        begun.recv_bytes()
    return process


def _do(work: Callable[[], int | None], said: Path, begins: Connection) -> None:
    os.setsid()
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)  # pytest has others
    torch.set_num_threads(1)  # a fork does not copy OpenMP's others
    tqdm.set_lock(threading.RLock())  # the parent's is shared: killed with it in hand, one would stop all bars for ever
    multiprocessing.get_context = lambda method=None: _fork
    begins.send_bytes(b"begun")
    begins.close()
    sys.exit(work())


def finish(process: BaseProcess, limit: float = LIMIT) -> int | None:
    """The exit code of a process; None for one that hangs, and is killed."""
    process.join(limit)
    if process.exitcode is None:
        end(process.pid)
        process.join()
        return None
    return process.exitcode


def run(work: Callable[[], int | None], said: Path) -> tuple[int | None, str]:
    """Some work's exit code in a process of its own, None if it hangs, and the last line that it said."""
    code = finish(start(work, said))
    return code, last_line(said)


def last_line(said: Path) -> str:
    """The last line of a file, of a bar that is drawn again and again the last state."""
    lines = said.read_text(errors="replace").replace("\r", "\n").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")


def end(pid: int) -> None:
    """Kill a process that has a group of its own, and all of the group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def strike(process: BaseProcess, draw: np.random.Generator) -> str:
    """Kill a process, or all of its group, or one of its children; says which, and waits for the process to end."""
    victim = VICTIMS[draw.integers(len(VICTIMS))]
    started = children(process.pid) if victim == "child" else []
    with contextlib.suppress(ProcessLookupError):
        if started:
            os.kill(started[draw.integers(len(started))], signal.SIGKILL)
        elif victim == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    return "child" if started else "group" if victim == "group" else "process"


def children(pid: int) -> list[int]:
    """Those that a process has started, and that have not ended."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _those(is_meant: Callable[[Path], bool]) -> list[int]:
    """Processes by what their folders in /proc say, but for those that have ended and are only not yet waited for."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if is_meant(folder) and _status(folder)[0] != "Z":
                found.append(int(folder.name))
    return found


def _status(folder: Path) -> list[str]:
    """State, parent, group, ... of a process."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def of_group(group: int) -> list[int]:
    """Processes of a group."""
    return _those(lambda folder: _status(folder)[2] == str(group))


def marked(mark: str) -> list[int]:
    """Processes that were started with this text in their environment."""
    return _those(lambda folder: mark.encode() in (folder / "environ").read_bytes())


def gone(those: Callable[[], list[int]], limit: float = 20.0) -> bool:
    """Whether these processes end by themselves in time; those that do not are killed."""
    until = time.monotonic() + limit
    while (left := those()) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not left
