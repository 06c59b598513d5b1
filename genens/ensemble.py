"""n trained members and their codes: the predicted noise of each member at (x, t); saving and loading.

A trained ensemble is a folder, `weights/<name>/`: one safetensors file a member, in float16 unless asked otherwise, the
codes, and a manifest (configuration, data and code digests, seed, commit, versions, time). Loading checks every file's
sha256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from genens import codes as coding
from genens import engines, files, graphs
from genens.unet import UNet, UNetConfig

CODES = "codes.safetensors"
MAX_SIDE = 4096  # pixels
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 numbers in hardware (AVX512-BF16 or AMX; on ARM, BF16), and PyTorch uses
    it."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        return any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.cpu._is_avx512_bf16_supported()  # what older releases have


def check_precision(precision: str, device: str = "cpu") -> None:
    """ValueError for an unknown precision, and for bfloat16 on a CPU that would emulate it."""
    if precision not in PRECISIONS:
        raise ValueError(f"expected precision as one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision == "bfloat16" and device == "cpu" and not has_bfloat16():
        raise ValueError(
            "expected a CPU with bfloat16 instructions for precision bfloat16; this one emulates them, which "
            "was measured to take 16 times as long as float32 (11 times in training): take float32"
        )


class Members(Protocol):
    """What sampling, counterfactuals, Jacobian and search ask of an ensemble; trained or in closed form."""

    n: int
    shape: tuple[int, int, int]  # of one image: (C, H, W)
    digest: str  # of all that decides what they predict

    def __call__(self, x: Tensor, t: int, which: Sequence[int] | None = None) -> Tensor:
        """The noise predicted in x (B, C, H, W) at time t by the members `which` (all by default): (n, B, C, H, W).

        What is predicted in an image does not depend on the other images.
        """
        ...

    def plain(self, x: Tensor, t: int, i: int) -> Tensor:
        """The same by member i, as a function that torch can differentiate, in no particular blocks: (B, C, H, W)."""
        ...


class Ensemble:
    """Trained members. `precision` is what they compute in (see PRECISIONS), `engine` by what (see `engines`); x keeps
    its own type."""

    def __init__(
        self,
        models: Sequence[UNet],
        codes: np.ndarray,
        shape: Sequence[int],
        digest: str = "",
        precision: str = "float32",
        manifest: dict | None = None,
        engine: str = "eager",
    ):
        engines.check(engine, precision)
        if len(models) != codes.shape[1]:
            raise ValueError(f"expected one model a column of the codes; got {len(models)} and {codes.shape[1]}")
        self.models = [model.eval().requires_grad_(False) for model in models]
        for weight in (weight for model in self.models for weight in model.parameters()):
            weight.data = weight.to(PRECISIONS[precision])
        self.n, self.shape, self.codes, self.digest = len(models), tuple(shape), codes, digest
        self.manifest = manifest or {}
        make = engines.Compiled if engine == "openvino" else lambda model, shape: partial(engines.eager, model)
        self._passes = [make(model, self.shape) for model in self.models]

    def __call__(self, x: Tensor, t: int, which: Sequence[int] | None = None) -> Tensor:
        """See `Members`."""
        return torch.stack([self._passes[i](x, t) for i in (range(self.n) if which is None else which)])

    def plain(self, x: Tensor, t: int, i: int) -> Tensor:
        """See `Members`: PyTorch's pass, whatever the engine; x (B, C, H, W)."""
        return engines.plain(self.models[i], x, t)

    @property
    def device(self) -> torch.device:
        """Where the members are, and images must be."""
        return next(self.models[0].parameters()).device

    def to(self, device: str | torch.device) -> Ensemble:
        """The members moved to a device. Raises ValueError for engine openvino, which is for CPUs."""
        if torch.device(device).type != "cpu" and any(isinstance(one, engines.Compiled) for one in self._passes):
            raise ValueError(f"expected device cpu with engine openvino, got {device}: set engine to eager")
        graphs.exact()
        for model in self.models:
            model.to(device)
        return self


def to_file(state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16) -> bytes:
    """A member's state dict {name: tensor (as the network has it)} as it goes to disk: safetensors."""
    return to_bytes({name: value.to(dtype).contiguous() for name, value in state.items()})


def save(
    folder: str | Path,
    states: Sequence[dict[str, Tensor]],
    codes: np.ndarray,
    manifest: dict,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write members' state dicts, codes bool (N, n) and manifest as one folder, all or nothing."""
    written = {f"member_{i:02d}.safetensors": to_file(state, dtype) for i, state in enumerate(states)}
    written[CODES] = codes_to_file(codes)
    files.write_folder(folder, written, {**manifest, "n": len(states), "codes": coding.digest(codes)})


def load(folder: str | Path, precision: str = "float32", engine: str = "eager", device: str = "cpu") -> Ensemble:
    """The ensemble in a folder written by `save`; its digest is of the files, the precision and the engine.

    Raises ValueError for a precision or an engine that this machine does not have (nothing else is taken instead).
    Raises FileNotFoundError when a file is missing; ValueError, which names the file, when one is truncated or edited,
    when the codes are not those the members were trained with, when a weight is not a number, and for a manifest that
    does not describe them.
    """
    check_precision(precision, device)
    engines.check(engine, precision)
    folder = Path(folder)
    manifest, contents = files.read_folder(folder)
    codes = read_codes(folder, manifest, contents)
    with files.expecting("the manifest of an ensemble", folder / "manifest.json", files.RESTORE):
        config = network(manifest, codes)
    models = []
    for i in range(codes.shape[1]):
        name = f"member_{i:02d}.safetensors"
        with files.expecting("finite weights of the network in the manifest", folder / name, files.RESTORE):
            models.append(member(contents.pop(name), config))
    written = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    digest = files.digest({"files": written, "precision": precision, "engine": engine})
    return Ensemble(models, codes, manifest["shape"], digest, precision, manifest, engine).to(device)


def codes_to_file(codes: np.ndarray) -> bytes:
    """Codes, bool (N, n), as they go to disk: safetensors, eight bits a byte."""
    packed = np.packbits(np.ascontiguousarray(codes), axis=1)
    return to_bytes({"codes": torch.from_numpy(packed), "n": torch.tensor(codes.shape[1])})


def read_codes(folder: Path, manifest: dict, contents: Mapping[str, bytes]) -> np.ndarray:
    """The codes (N, n) in an ensemble's folder. ValueError unless they are those that its manifest names."""
    with files.expecting("the codes the members were trained with", folder / CODES, files.RESTORE):
        stored = from_bytes(contents[CODES])
        codes = stored["codes"].numpy()
        if "n" in stored:  # those that earlier versions wrote have a byte for every bit
            codes = np.unpackbits(codes, axis=1)[:, : stored["n"].item()].astype(bool)
        if coding.digest(codes) != manifest["codes"]:
            raise ValueError(f"digest {coding.digest(codes)[:12]}, not {manifest['codes'][:12]}")
    return codes


def network(manifest: dict, codes: np.ndarray) -> UNetConfig:
    """The members' network. ValueError unless it suits the images' shape, and the manifest the codes (N, n)."""
    config, (N, n), (C, H, W) = UNetConfig(**manifest["unet"]), codes.shape, manifest["shape"]
    sides = range(config.stride, MAX_SIDE + 1, config.stride)
    if {*map(type, (C, H, W))} != {int} or C != config.channels or H not in sides or W not in sides:
        kind = f"[{config.channels}, H, W] in multiples of {config.stride} up to {MAX_SIDE}"
        raise ValueError(f"shape {[C, H, W]}, not {kind}")
    known = {"n": n, "images": N, "split_sizes": coding.split_sizes(codes).tolist()}
    if odd := [name for name, value in known.items() if manifest.get(name, value) != value]:
        raise ValueError(f"{odd[0]} {manifest[odd[0]]}, of which the codes have {known[odd[0]]}")
    return config


def member(content: bytes, config: UNetConfig) -> UNet:
    """A member from its file. ValueError for a weight that is no number, or another network's."""
    state = {name: value.to(torch.float32, copy=True) for name, value in from_bytes(content).items()}
    if bad := [name for name, value in state.items() if not value.isfinite().all()]:
        raise ValueError(f"NaN or infinity in {bad[0]}")
    with torch.device("meta"):  # no numbers are drawn, and no memory is taken, for weights that are replaced at once
        model = UNet(config)
    model.load_state_dict(state, assign=True)
    return model
