"""Several processes on one job, started by torchrun: which of them this one is, waiting for each other, gathering.

    torchrun --nproc-per-node=4 -m genens.train book/profiles/paper.yml --device cuda

Members, chunks of samples and shards of a database are independent, so a process takes every so-manieth of them, and
results are those of one process to the last bit. What lies on disk (checkpoints, members, artifacts) is shared, and
what passes between processes is numbers. A process that nobody started so is alone.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

Item = TypeVar("Item")


def started() -> tuple[int, int]:
    """This process's rank among those that torchrun started, and how many these are: (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def here() -> tuple[int, int]:
    """The same within the `group`: (0, 1) outside one."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def mine(items: Sequence[Item]) -> Sequence[Item]:
    """Those of the items that are this process's to do in its `group`: every so-manieth."""
    rank, size = here()
    return items[rank::size]


def device(name: str) -> str:
    """This process's device of a kind: with "cuda" one for each process of a node; anything else as it is."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if name == "cuda" and "LOCAL_RANK" in os.environ else name


def called(name: str) -> str:
    """What a device is called: with "cuda" the GPU's own name too."""
    return f"{name} ({torch.cuda.get_device_name()})" if name != "cpu" and torch.cuda.is_available() else name


def follow_parent() -> None:
    """End this process as soon as the one that started it has ended, however that went: it would wait for ever for work
    that nobody gives."""

    def end() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


@contextmanager
def group() -> Iterator[None]:
    """Within it the processes that torchrun started can wait for each other and gather; one by itself has nobody to
    wait for. Raises RuntimeError, torch's, when the others cannot be reached."""
    if started()[1] == 1 or dist.is_initialized():
        yield
        return
    store, rank, size = next(rendezvous("env://"))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(size):  # restarted on one node, they find what they left in its store
        store = dist.PrefixStore(f"restart_{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    dist.init_process_group(
        "gloo", store=store, rank=rank, world_size=size
    )  # numbers in memory; no GPU has to be there
    try:
        yield
    finally:
        dist.destroy_process_group()


def wait() -> None:
    """Until every process of the `group` is here."""
    if dist.is_initialized():
        dist.barrier()


def gather(values: Tensor) -> list[Tensor]:
    """Everybody's tensor, of one shape (...) and type, by rank; outside a `group` only one's own."""
    if not dist.is_initialized():
        return [values]
    found = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(found, values.contiguous())
    return found
