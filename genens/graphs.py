"""Work of fixed shapes on a GPU, recorded once as a CUDA graph and replayed: a small network's step is a thousand short
kernels, which take longer to launch one by one than to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

WARM_UP = 3  # calls before the recording, in which libraries choose their kernels and reserve memory


def exact() -> None:
    """Have a GPU compute convolutions of float32 in float32. PyTorch lets cuDNN round their factors to the 10 bits of
    TF32, in which the difference of two passes drowns; who wants speed asks for bfloat16."""
    torch.backends.cudnn.allow_tf32 = False


def is_rounded() -> bool:
    """Whether a GPU's convolutions of float32 round to TF32, which they do unless `exact` was called."""
    return torch.backends.cudnn.allow_tf32


def sent(value: Tensor, device: str) -> Tensor:
    """A CPU's tensor (...) on a device; a GPU's from pinned memory, so that nobody waits for what it is still doing."""
    return value.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else value.to(device)


def recorded(function: Callable[..., Tensor], state: Callable[[], Iterable[Tensor]]) -> Callable[..., Tensor]:
    """`function`, of tensors on a GPU whose shapes are always the same, to be replayed from its second call on.

    It returns one tensor, asks the GPU for no value, and changes nothing but what is in `state()`, in place.
    """
    record: list[tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]] = []

    def run(*inputs: Tensor) -> Tensor:
        if not record:
            record.append(_record(function, list(state()), [value.clone() for value in inputs]))
        graph, places, result = record[0]
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value)
        graph.replay()
        return result.clone()

    return run


def _record(
    function: Callable[..., Tensor], state: list[Tensor], places: list[Tensor]
) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Tensor]:
    """The graph, where it reads its inputs, and where it leaves its result; state as it was."""
    stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        before = [value.clone() for value in state]
        for _ in range(WARM_UP):
            function(*places)
        for value, old in zip(state, before, strict=True):
            value.copy_(old)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        result = function(*places)
    current.wait_stream(stream)
    return graph, places, result
