"""Kernels that start at once: forked from one process that has imported what every chapter imports.

PyTorch, torchvision and matplotlib take a core six seconds to import, in each of 13 chapters. Python's own fork server
imports them once a build; a chapter's kernel is a copy of it. Nothing is computed in that process, so that it may be
copied; a kernel has the environment and the folder that it would have been started with.

    papermill.execute_notebook(notebook, copy, kernel_manager_class=kernels.Forked)
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from genens import ranks

IMPORTED = (  # before the first kernel; not OpenVINO, whose import leaves a process of its own behind
    "ipykernel.kernelapp",
    "matplotlib_inline.backend_inline",
    "matplotlib.pyplot",
    "scipy.stats",
    "seaborn",
    "torch",
    "torchvision",
    "torchmetrics",
)

_context = multiprocessing.get_context("forkserver")


def prepare(chapters: int) -> None:
    """To be called before the first kernel; a chapter alone gains nothing from imports that it does not need."""
    _context.set_forkserver_preload([*IMPORTED] if chapters > 1 else [])


def processes(count: int) -> ProcessPoolExecutor:
    """A pool of processes that are forked likewise, and end when the builder does."""
    return ProcessPoolExecutor(count, _context, ranks.follow_parent)


def _kernel(arguments: Sequence[str], environment: Mapping[str, str], folder: str | None, builder: Connection) -> None:
    """What a kernel's process does: `python -m ipykernel_launcher`, but for the start of Python."""
    threading.Thread(target=_follow, args=(builder,), daemon=True).start()
    os.setsid()  # Ctrl-C is for the builder, which asks its kernels to stop
    multiprocessing.current_process().daemon = False  # it may start processes, as training does
    multiprocessing.set_start_method(None, force=True)  # by the platform's own way, not by the fork server's
    os.environ.clear()
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    if (threads := environment.get("OMP_NUM_THREADS")) and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(threads))  # OpenMP read the variable before, at the import
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(list(arguments))


def _follow(builder: Connection) -> None:
    """Ends this process once the builder is gone, however it went: the other end of the pipe is then closed. Its parent
    would not tell: the fork server stays as long as a kernel does."""
    with contextlib.suppress(EOFError, OSError):
        builder.recv_bytes()
    os._exit(1)


class _Process:
    """A forked process with the methods of subprocess.Popen that a provisioner calls."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: str | None):
        followed, self._held = _context.Pipe(duplex=False)  # nothing is ever sent
        given = arguments, environment, folder, followed
        self._process = _context.Process(target=_kernel, args=given, daemon=True)
        self._process.start()
        followed.close()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Provisioner(LocalProvisioner):
    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        """See `LocalProvisioner`; cmd is [python, -m, ipykernel_launcher, arguments...]."""
        self.process = _Process(cmd[3:], kwargs.get("env") or os.environ.copy(), kwargs.get("cwd"))
        self.pid = self.process.pid
        return self.connection_info


class Forked(AsyncKernelManager):
    """A manager of Python kernels that are forked."""

    async def _async_pre_start_kernel(self, **kwargs: Any) -> tuple[list[str], dict[str, Any]]:
        if self.provisioner is None:
            self.provisioner = _Provisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
        return await super()._async_pre_start_kernel(**kwargs)


def stop() -> None:
    """Ends every kernel that runs; who waits for one sees it die."""
    for process in multiprocessing.active_children():
        process.kill()
