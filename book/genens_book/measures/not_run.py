"""Results that this machine cannot compute, and the weights of networks that they would take. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch

# What `torch.load` raises for a file of something else, which it takes for a program of its own (nothing is executed).
UNREADABLE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    UnpicklingError,
)


@dataclass(frozen=True)
class NotRun:
    """A result that this machine cannot compute, and why."""

    reason: str

    def __str__(self) -> str:
        return f"not run: {self.reason}"


def find_weights(network: str, pattern: str, file: str, path: str | Path | None = None) -> Path | NotRun:
    """torchvision's weights of a network: the file `path`, or what matches `pattern` in the torch cache ($TORCH_HOME).

    `file` is the name torchvision gives them today. Nothing is downloaded. Raises FileNotFoundError when a path is
    given and holds no file; without one, NotRun names what was looked for.
    """
    if path is not None:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"expected {network} weights (torchvision's {file}) at {path}, found no file; check the path"
            )
        return Path(path)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    found = sorted(folder.glob(pattern))
    shown = str(folder / pattern).replace(str(Path.home()), "~", 1)  # pages are read on other machines
    return (
        found[0]
        if found
        else NotRun(f"no trained {network} ({shown}); put torchvision's {file} there, or give its path")
    )
