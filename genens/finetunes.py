"""Fine-tunes of one base as members: kept as differences of weights, and averaged as weights.

Short fine-tunes of one network stay close enough to each other that the mean of their weights predicts what the mean of
their predictions does, so that a whole ensemble, under any mixture, samples as one network:

    theta(v) = theta_0 + sum_i v_i d_i,    d_i = theta_i - theta_0.

`Averaged` are members that are mixed so, `FineTunes` the same mixed as those of any ensemble, by their predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from genens import codes as coding
from genens import engines, ensemble, files
from genens.ensemble import Ensemble
from genens.seeds import generator
from genens.unet import UNet

BASE, DIFFERENCES = "base.safetensors", "differences.safetensors"
CHANGE = "change"  # of one member's weights
SUBSPACE = 0x5AB  # the seed of directions


class Subspace:
    """The directions in which the weights of a network move in fine-tunes: all (rank 0), or of each matrix of weights
    (of a convolution, flattened, (outputs, inputs)) a sum B A, A (rank, inputs) random, the same for whoever asks. Q
    numbers, all B's and what is no matrix, stand for a change of P weights."""

    def __init__(self, network: UNet, rank: int = 0):
        self.shapes = {name: weight.shape for name, weight in network.named_parameters()}
        self.inner: dict[str, Tensor] = {}
        for k, (name, shape) in enumerate(self.shapes.items()):
            if 0 < rank < min(shape[0], shape[1:].numel()) and len(shape) > 1:
                drawn = torch.randn(rank, shape[1:].numel(), generator=generator(SUBSPACE, k))
                self.inner[name] = drawn / drawn.shape[1] ** 0.5
        self.sizes = [
            shape[0] * len(self.inner[name]) if name in self.inner else shape.numel()
            for name, shape in self.shapes.items()
        ]

    def of(self, gradients: Iterable[Tensor]) -> Tensor:
        """The gradient by the Q numbers (Q,), of those by the weights, as the network has them."""
        pairs = zip(self.shapes, gradients, strict=True)
        return torch.cat(
            [(g.flatten(1) @ self._of(name, g).T if name in self.inner else g).flatten() for name, g in pairs]
        )

    def change(self, numbers: Tensor) -> dict[str, Tensor]:
        """What Q numbers (Q,) change the weights by: {name: tensor (as the network has it)}."""
        found = {}
        for (name, shape), part in zip(self.shapes.items(), numbers.split(self.sizes), strict=True):
            moved = part.view(shape[0], -1) @ self._of(name, part) if name in self.inner else part
            found[name] = moved.view(shape)
        return found

    def _of(self, name: str, like: Tensor) -> Tensor:
        if self.inner[name].device != like.device:  # once, not at every step
            self.inner[name] = self.inner[name].to(like.device)
        return self.inner[name].to(like)


class FineTunes:
    """n fine-tunes of a base, as `ensemble.Members`. differences: (n, Q), theirs to the base's weights, in a `Subspace`
    of a rank; codes: bool (N, n)."""

    def __init__(
        self,
        base: UNet,
        differences: Tensor,
        codes: np.ndarray,
        shape: Sequence[int],
        digest: str = "",
        manifest: dict | None = None,
        engine: str = "eager",
        precision: str = "float32",
        rank: int = 0,
    ):
        self.base = base.eval().requires_grad_(False)
        self.weights = dict(base.named_parameters())
        self.subspace = Subspace(base, rank)
        if differences.shape != (codes.shape[1], Q := sum(self.subspace.sizes)):
            raise ValueError(
                f"expected differences ({codes.shape[1]}, {Q}), a row for each column of the codes, a column for each "
                f"number of the subspace; got {tuple(differences.shape)}"
            )
        self.differences, self.codes, self.n, self.shape = differences, codes, len(differences), tuple(shape)
        self.digest, self.manifest, self.settings = digest, manifest or {}, {"precision": precision, "engine": engine}
        self._own: dict[int, Ensemble] = {}

    @property
    def device(self) -> torch.device:
        """Where the members are, and images must be."""
        return self.differences.device

    def network(self, mixture: np.ndarray | Tensor) -> UNet:
        """theta_0 + sum_i v_i d_i, for weights v (n,) of any sum."""
        v = torch.as_tensor(np.asarray(mixture)).to(self.differences)
        return self.moved(v @ self.differences)

    def moved(self, difference: Tensor) -> UNet:
        """The network whose weights are theta_0 + a difference (Q,)."""
        with torch.device("meta"):  # no numbers are drawn for weights that are replaced at once
            network = UNet(self.base.config)
        change = self.subspace.change(difference)
        network.load_state_dict({name: old + change[name].to(old) for name, old in self.weights.items()}, assign=True)
        return network

    def mean(self, mixture: np.ndarray | Tensor) -> Ensemble:
        """The one network of a mixture (n,), as an ensemble of one member; its code (N, 1) says what those with weight
        have seen."""
        v = np.asarray(mixture)
        seen = self.codes[:, v != 0].any(axis=1, keepdims=True)
        digest = files.digest([self.digest, v.tolist()])
        return Ensemble([self.network(v)], seen, self.shape, digest, **self.settings)

    def _member(self, i: int) -> Ensemble:
        if i not in self._own:
            self._own[i] = self.mean(np.eye(self.n)[i])
        return self._own[i]

    def __call__(self, x: Tensor, t: int, which: Sequence[int] | None = None) -> Tensor:
        """See `ensemble.Members`."""
        return torch.cat([self._member(i)(x, t) for i in (range(self.n) if which is None else which)])

    def plain(self, x: Tensor, t: int, i: int) -> Tensor:
        """See `ensemble.Members`; x (B, C, H, W)."""
        return self._member(i).plain(x, t, 0)


class Averaged(FineTunes):
    """The same, mixed by averaging their weights: what `sampling` and `jacobians` do with n predictions, they do with
    one network a mixture, its `mean`."""


def save(
    folder: str | Path, base: Ensemble, differences: Tensor, codes: np.ndarray, manifest: dict, rank: int = 0
) -> None:
    """Write a base (an ensemble of one), its fine-tunes' differences (n, Q), in a `Subspace` of a rank, codes bool (N,
    n) and manifest as one folder, all or nothing; differences in float16, as shares of each one's largest."""
    largest = differences.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    written = {
        BASE: ensemble.to_file(dict(base.models[0].named_parameters())),
        DIFFERENCES: to_bytes(
            {"shares": (differences / largest).half().contiguous(), "largest": largest[:, 0].float()}
        ),
        ensemble.CODES: ensemble.codes_to_file(codes),
    }
    about = {**manifest, "rank": rank, "base": base.digest, "n": len(differences), "codes": coding.digest(codes)}
    files.write_folder(folder, written, about)


def load(folder: str | Path, average: bool = True, engine: str = "eager") -> FineTunes:
    """The fine-tunes in a folder written by `save`, in float32, mixed by their weights or, without `average`, by their
    predictions. Raises as `ensemble.load`."""
    engines.check(engine, "float32")
    folder = Path(folder)
    manifest, contents = files.read_folder(folder)
    codes = ensemble.read_codes(folder, manifest, contents)
    with files.expecting("the manifest of an ensemble", folder / "manifest.json", files.RESTORE):
        config = ensemble.network(manifest, codes)
    with files.expecting("finite weights of the network in the manifest", folder / BASE, files.RESTORE):
        base = ensemble.member(contents[BASE], config)
    with files.expecting("finite differences of weights, a row for each member", folder / DIFFERENCES, files.RESTORE):
        found = from_bytes(contents[DIFFERENCES])
        differences = found["shares"].float() * found["largest"][:, None]
        if not differences.isfinite().all():
            raise ValueError("NaN or infinity")
        digest = files.digest(
            {
                "files": {name: entry["sha256"] for name, entry in manifest["files"].items()},
                "average": average,
                "engine": engine,
            }
        )
        kind = Averaged if average else FineTunes
        return kind(base, differences, codes, manifest["shape"], digest, manifest, engine, rank=manifest["rank"])
