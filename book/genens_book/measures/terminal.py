"""What long work says while a notebook runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def announced() -> Iterator[TextIO]:
    """What is printed to standard error meanwhile also reaches the terminal of a plain `papermill` command.

    papermill takes a notebook's output for the notebook alone, and minutes of silence look like a hang. The kernel
    keeps the terminal's descriptor; elsewhere than in a kernel standard error is the terminal.
    """
    real, kept = sys.stderr, getattr(sys.stderr, "_original_stdstream_copy", None)
    if kept is None:
        yield real
        return
    with os.fdopen(os.dup(kept), "w", buffering=1) as terminal:
        sys.stderr = _Both(real, terminal)
        try:
            yield sys.stderr
        finally:
            sys.stderr = real


class _Both:
    """Writes to two streams."""

    def __init__(self, *streams: TextIO) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()
