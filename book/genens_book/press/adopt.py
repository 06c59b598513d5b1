"""Makes an ensemble of this book from what the authors' released code wrote (github.com/zheng-dai/GenEns).

    python -m genens_book.press.adopt data/mnist.pkl out/MNIST_split*_ckpt.pt --out trained/authors/mnist16

CreateSplits.py writes the splits, TrainModel.py a checkpoint for each of them, with the split's number in its name.
Both are pickles; they are read without executing anything that may be in them. The members stay in float32.
"""

from __future__ import annotations

import argparse
import pickle
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens import data, ensemble, provenance
from genens.recipe import Recipe
from genens.unet import UNet, UNetConfig
from genens_book.measures.not_run import UNREADABLE

# What TrainModel.py trains, by the channels of its images, and how (its option -m or -c; paper, Section B.2).
TRAINED = {
    1: ("mnist", UNetConfig.paper(1, (1, 2, 2)), {}),
    3: ("cifar10", UNetConfig.paper(3), {"flip": True, "replace": True}),
}
SETTINGS = {"batch": 128, "optimizer": "adam", "lr": 2e-4, "schedule": "constant", "ema": 0.0, "clip": 1e9}  # unclipped
RECENT = 200  # steps whose loss is averaged


# ---------------------------------------------------------------- the network

# Where w86763777/pytorch-ddpm keeps what we call `theirs -> ours`, inside a residual block or at the top.
_RENAME = (
    (r"^time_embedding\.timembedding\.1\.", "time1."),
    (r"^time_embedding\.timembedding\.3\.", "time2."),
    (r"^tail\.0\.", "norm."),
    (r"^tail\.2\.", "tail."),
    (r"^(down|middle|up)blocks\.", r"\1."),
    (r"\.main\.", "."),
    (r"\.block1\.0\.", ".norm1."),
    (r"\.block1\.2\.", ".conv1."),
    (r"\.temb_proj\.1\.", ".time."),
    (r"\.block2\.0\.", ".norm2."),
    (r"\.block2\.3\.", ".conv2."),
    (r"\.attn\.group_norm\.", ".attention.norm."),
    (r"\.attn\.proj_q\.", ".attention.query."),
    (r"\.attn\.proj_k\.", ".attention.key."),
    (r"\.attn\.proj_v\.", ".attention.value."),
    (r"\.attn\.proj\.", ".attention.out."),
)


def from_pytorch_ddpm(source: str | Path | dict[str, Tensor], config: UNetConfig | None = None) -> UNet:
    """A network with the weights of a w86763777/pytorch-ddpm checkpoint, the implementation the paper used.

    `source` is a state dict, or a file of one, read with `weights_only=True`, or of a training checkpoint: of that
    project's the averaged weights are taken; the authors' script keeps no average. `config` defaults to the paper's
    CIFAR-10 network with the checkpoint's channels. Raises ValueError for another file, and when names or shapes do not
    match.
    """
    state = source if isinstance(source, dict) else _loaded(source, "a pytorch-ddpm checkpoint")
    state = next((state[key] for key in ("ema_model", "net_model", "model_state_dict") if key in state), state)
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in _RENAME:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    renamed.pop("time_embedding.timembedding.0.weight", None)  # the sinusoids: recomputed, never trained
    if "head.weight" not in renamed:
        raise ValueError("expected a pytorch-ddpm state dict with 'head.weight'; got " + ", ".join(list(state)[:3]))
    model = UNet(config or UNetConfig.paper(renamed["head.weight"].shape[1]))
    try:
        model.load_state_dict(renamed)
    except RuntimeError as error:
        raise ValueError(f"the state dict does not fit {model.config}: {' '.join(str(error).split())[:300]}") from None
    return model


# ---------------------------------------------------------------- the files


ARRAYS = {  # all that a pickled array names, by older and by newer numpy
    "numpy": {"ndarray", "dtype"},
    "numpy.core.multiarray": {"_reconstruct"},
    "numpy._core.multiarray": {"_reconstruct"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
}


class _OnlyArrays(pickle.Unpickler):
    """Reads a pickled numpy array and refuses everything else, which might be a program."""

    def find_class(self, module: str, name: str) -> object:
        """What a pickle may name."""
        if name not in ARRAYS.get(module, ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def read_splits(path: str | Path) -> np.ndarray:
    """The codes in a file of CreateSplits.py, bool (N, n): it holds n splits of 0 and 1 for N images. FileNotFoundError
    when there is none, ValueError for another file, and for codes that are not unique and of one weight."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"expected the splits that CreateSplits.py wrote at {path}, found no file")
    try:
        with path.open("rb") as file:
            splits = np.asarray(_OnlyArrays(file).load())
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as problem:
        raise ValueError(
            f"expected one numpy array in {path}, as CreateSplits.py writes it, but {' '.join(str(problem).split())}"
        ) from problem
    if splits.ndim != 2 or splits.dtype.kind not in "biu" or not np.isin(splits, (0, 1)).all():
        raise ValueError(f"expected splits (n, N) of 0 and 1 in {path}, got {splits.dtype} {splits.shape}")
    codes = np.ascontiguousarray(splits.T.astype(bool))
    if len(np.unique(codes.sum(axis=1))) != 1 or len(np.unique(codes, axis=0)) != len(codes):
        raise ValueError(f"expected a code of one weight for every image in {path}, no two alike; got others")
    return codes


def read_checkpoint(path: str | Path) -> Mapping:
    """A checkpoint of TrainModel.py: {"model_state_dict", "loss": of every step, ...}. ValueError for another file."""
    found = _loaded(path, "a checkpoint of TrainModel.py")
    if not isinstance(found, dict) or not {"model_state_dict", "loss"} <= found.keys():
        raise ValueError(
            f"expected a checkpoint of TrainModel.py at {path}, with model_state_dict and loss; got another"
        )
    return found


def _loaded(path: str | Path, what: str) -> object:
    """What torch.save wrote, without executing anything. ValueError, one line, for what cannot be read so."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as problem:
        why = str(problem).split(chr(10))[0].partition("\x1b")[0][:120]
        raise ValueError(f"expected {what} at {path}, but it cannot be read: {why}") from problem


def by_split(paths: Sequence[str | Path], n: int) -> list[Path]:
    """The checkpoints of splits 0 to n - 1 in that order. ValueError unless there is just one of each."""
    found: dict[int, Path] = {}
    for path in map(Path, paths):
        number = re.search(r"split(\d+)", path.name)
        if not number or int(number[1]) in found:
            raise ValueError(f"expected names like MNIST_split0_ckpt.pt, each number once; got {path}")
        found[int(number[1])] = path
    if sorted(found) != list(range(n)):
        lacking = sorted(set(range(n)) - set(found))
        raise ValueError(
            f"expected a checkpoint for each of the {n} splits, 0 to {n - 1}; got {len(found)}"
            + (f", without {', '.join(map(str, lacking))}" if lacking else "")
        )
    return [found[i] for i in range(n)]


def in_our_order(dataset: str, root: str | Path | None, N: int) -> np.ndarray:
    """For every row of the book's data set the row of torchvision's, which the splits count by: int64 (N,). The book
    sorts each half of CIFAR-10 by class (see `data.load`)."""
    if dataset != "cifar10":
        return np.arange(N)
    first, second = (data.cifar10_half(train, root).labels.argsort(stable=True).numpy() for train in (True, False))
    return np.concatenate([first, len(first) + second])


# ---------------------------------------------------------------- the ensemble


def adopt(
    splits: str | Path, checkpoints: Sequence[str | Path], out: str | Path, root: str | Path | None = None
) -> dict:
    """Write the ensemble of these checkpoints to the folder `out`; returns its manifest.

    root: where torchvision's data lie (see `data.load`); MNIST needs none. Raises ValueError or FileNotFoundError, one
    line, for files that are not the script's, or do not fit one another or the data; nothing is written then.
    """
    codes = read_splits(splits)
    N, n = codes.shape
    read = [read_checkpoint(path) for path in by_split(checkpoints, n)]
    channels = int(read[0]["model_state_dict"].get("head.weight", torch.empty(0, 0)).shape[1])
    if channels not in TRAINED:
        raise ValueError(
            f"expected networks for 1 or 3 channels, MNIST's or CIFAR-10's; got {channels} in {checkpoints[0]}"
        )
    dataset, network, settings = TRAINED[channels]
    models = [from_pytorch_ddpm(one["model_state_dict"], network) for one in read]
    images = data.load(dataset, root)
    if len(images) != N:
        raise ValueError(f"expected splits of the {len(images):,} images of {images.name}, got {N:,} in {splits}")
    steps, ours = [len(one["loss"]) for one in read], codes[in_our_order(dataset, root, N)]
    made = Recipe(
        dataset,
        steps=max(1, round(float(np.mean(steps)))),
        n=n,
        h=int(codes[0].sum()),
        unet=network.to_dict(),
        **SETTINGS,
        **settings,
    )
    pixels = int(images.images[0].numel())
    manifest = {
        "recipe": asdict(made),
        "unet": network.to_dict(),
        "shape": list(images.images.shape[1:]),
        "data": images.digest,
        "images": N,
        "split_sizes": coding.split_sizes(ours).tolist(),
        "member_steps": steps,
        "member_cpu_seconds": [None] * n,  # the script does not note them
        "member_loss": [float(np.mean(one["loss"][-RECENT:])) / pixels for one in read],  # the script sums over pixels
        "adopted": "checkpoints of TrainModel.py, github.com/zheng-dai/GenEns",
        "made": provenance.describe(),
    }
    ensemble.save(out, [model.state_dict() for model in models], ours, manifest, torch.float32)
    return manifest


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see the module."""
    parser = argparse.ArgumentParser("python -m genens_book.press.adopt", description=__doc__.splitlines()[0])
    parser.add_argument("splits", type=Path, help="the file that CreateSplits.py wrote, such as data/mnist.pkl")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="those that TrainModel.py wrote, one a split")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, which chapters take as `weights`")
    parser.add_argument(
        "--root", type=Path, help="where torchvision's CIFAR-10 lies (default: $GENENS_DATA, else ./data)"
    )
    given = parser.parse_args(arguments)
    try:
        made = adopt(given.splits, given.checkpoints, given.out, given.root)
    except (ValueError, OSError) as problem:
        print(f"genens_book.press.adopt: {problem}", file=sys.stderr)
        return 2
    print(f"{made['recipe']['n']} members of {made['images']:,} images of {made['recipe']['dataset']} in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
