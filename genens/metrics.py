"""How far two images are apart, how far two sets of images are, and how sure a number is.

Images come as tensors or arrays (..., C, H, W), floats in [-1, 1]; their leading axes broadcast, so that the
counterfactuals (V, B, C, H, W) can be set against their originals (B, C, H, W). Distances leave as float64
arrays. Nothing here touches the network: what needs weights that are not on this machine returns a NotRun.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises for a damaged file; nothing is unpickled here

import numpy as np
import torch
from torch import Tensor, nn

from genens import classifier
from genens.stats import Interval, MannWhitney, bootstrap, finite, mann_whitney, pearson, proportion, spearman

__all__ = [
    "Interval",
    "MannWhitney",
    "NotRun",
    "bootstrap",
    "euclidean",
    "feature_distance",
    "fid",
    "find_vgg",
    "find_weights",
    "influence_accuracy",
    "lpips",
    "mann_whitney",
    "most_influential",
    "pearson",
    "proportion",
    "spearman",
]
VGG_FILES = "vgg16-*.pth"  # torchvision's ImageNet VGG16 in the torch cache; today vgg16-397923af.pth


@dataclass(frozen=True)
class NotRun:
    """A result that this machine cannot compute, and why."""

    reason: str

    def __str__(self) -> str:
        return f"not run: {self.reason}"


# ---------------------------------------------------------------- distances between images


def _pairs(a: object, b: object) -> tuple[Tensor, Tensor]:
    """Two sets of images with their leading axes broadcast. ValueError when they do not fit."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    if min(a.ndim, b.ndim) < 3 or a.shape[-3:] != b.shape[-3:]:
        raise ValueError(
            f"expected two sets of images (..., C, H, W) of one size, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    try:
        return torch.broadcast_tensors(a, b)
    except RuntimeError as problem:
        raise ValueError(
            f"expected leading axes that broadcast, got {tuple(a.shape)} and {tuple(b.shape)}; "
            "give originals (B, C, H, W) beside counterfactuals (V, B, C, H, W)"
        ) from problem


def euclidean(a: object, b: object) -> np.ndarray:
    """The Euclidean distance between images (..., C, H, W): float64 (...), in units of [-1, 1] pixels.

    Source: paper, Section 3.1. Raises ValueError when the shapes do not fit.
    """
    a, b = _pairs(a, b)
    return (a.double() - b.double()).flatten(-3).norm(dim=-1).cpu().numpy()


def _by_pair(
    function: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, batch: int, device: torch.device
) -> np.ndarray:
    """`function` on batches of pairs, one float64 number for each."""
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1, got {batch}")
    sides = [side.reshape(-1, *side.shape[-3:]).split(batch) for side in (a, b)]
    with torch.no_grad():
        rows = [function(x.to(device), y.to(device)).double().cpu() for x, y in zip(*sides, strict=True)]
    return torch.cat(rows).reshape(a.shape[:-3]).numpy()


def _unit(activations: Tensor) -> Tensor:
    """Activations (B, C, h, w) scaled to length 1 over the channels at every position, as LPIPS does."""
    return activations / (activations.square().sum(1, keepdim=True) + 1e-8).sqrt()


def feature_distance(model: classifier.DigitNet, a: object, b: object, batch: int = 256) -> np.ndarray:
    """The digit-feature distance of images (..., 1, 28, 28): float64 (...), from 0 (the same) to 2.

    The recipe of LPIPS (Zhang et al. 2018) in the digit classifier, with every channel weighing the same: in
    each of its five layers the activations of each position are scaled to length 1, their squared differences
    summed over channels and averaged over positions; the result is the mean over layers. It is not LPIPS and
    shares no unit with it. Raises ValueError for images of another shape or type.
    """
    a, b = _pairs(classifier.digits(a), classifier.digits(b))

    def distance(x: Tensor, y: Tensor) -> Tensor:
        layers = zip(model.layers(x), model.layers(y), strict=True)
        return torch.stack([(_unit(p) - _unit(q)).square().sum(1).mean((1, 2)) for p, q in layers]).mean(0)

    model.eval()
    return _by_pair(distance, a, b, batch, next(model.parameters()).device)


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
        else NotRun(f"no {network} weights ({shown}); put torchvision's {file} there, or give its path")
    )


def find_vgg(path: str | Path | None = None) -> Path | NotRun:
    """The VGG16 weights behind LPIPS; see `find_weights`."""
    return find_weights("VGG16", VGG_FILES, "vgg16-397923af.pth", path)


def lpips(a: object, b: object, weights: str | Path | None = None, batch: int = 64) -> np.ndarray | NotRun:
    """LPIPS with VGG16 between images (..., C, H, W) in [-1, 1]: float64 (...); NotRun without weights.

    The network is torchmetrics' (paper, Section B.3); grey images are repeated to three channels. `weights`:
    a file of torchvision's VGG16 weights; by default the torch cache is looked through. Nothing is
    downloaded. Raises FileNotFoundError for a given path without a file and ValueError for damaged weights or
    images that do not fit.
    """
    a, b = _pairs(a, b)
    floats = a.is_floating_point() and b.is_floating_point()
    if a.shape[-3] not in (1, 3) or min(a.shape[-2:]) < 16 or not floats:
        raise ValueError(
            "expected float images (..., 1 or 3, H, W) of at least 16 x 16 pixels, got "
            f"{a.dtype} and {b.dtype}, {tuple(a.shape)}"
        )
    file = find_vgg(weights)
    if isinstance(file, NotRun):
        return file
    network = _vgg_lpips(file, file.stat().st_mtime_ns).to(a.device)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return network(*(side.float().expand(-1, 3, -1, -1) for side in (x, y))).flatten()

    return _by_pair(distance, a, b, batch, a.device)


def _vgg_or_linear(key: str, vgg: dict[str, Tensor], linear: dict[str, Tensor]) -> Tensor:
    """A weight of the LPIPS network by its name: net.slice2.5.bias is features.5.bias of VGG16."""
    if key.startswith("net."):
        return vgg["features." + key.split(".", 2)[2]].float()
    return linear[key.replace("lins.", "lin")]


@functools.lru_cache(maxsize=1)
def _vgg_lpips(file: Path, changed: int) -> nn.Module:
    """torchmetrics' LPIPS network on the VGG16 weights in `file`; a new time `changed` reads it again."""
    import torchmetrics.functional.image.lpips as tm_lpips

    with torch.device("meta"):  # torchvision would draw 138 million random weights first
        network = tm_lpips._NoTrainLpips(pretrained=False, net="vgg", pnet_rand=True)
    network.scaling_layer = tm_lpips.ScalingLayer()  # its constants are in no file
    read = functools.partial(torch.load, map_location="cpu", weights_only=True)
    linear = read(Path(tm_lpips.__file__).parent / "lpips_models" / "vgg.pth")
    try:
        vgg = read(file)
        state = {key: _vgg_or_linear(key, vgg, linear) for key in network.state_dict()}
        network.load_state_dict(state, assign=True)
    except (RuntimeError, EOFError, KeyError, TypeError, AttributeError, UnpicklingError) as problem:
        raise ValueError(
            f"expected torchvision's VGG16 weights in {file}, but they are damaged or another "
            f"network's ({type(problem).__name__}); fetch vgg16-397923af.pth anew"
        ) from problem
    return network.requires_grad_(False)


# ---------------------------------------------------------------- distance between sets


class _Given(nn.Module):
    """Stands where torchmetrics expects a feature extractor: the features are already there."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, rows: Tensor) -> Tensor:
        return rows


def fid(features_a: object, features_b: object) -> float:
    """The Frechet distance between Gaussians fitted to two sets of features, (N, F) and (M, F).

    Through torchmetrics, accumulated in float64. Source: paper, Sections 3.2 and B.3.
    Raises ValueError for fewer than two rows in a set, different numbers of features, or features not finite.
    """
    a, b = (torch.as_tensor(side).double() for side in (features_a, features_b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(
            f"expected features (N, F) and (M, F) with at least 2 rows each, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("expected finite features, got NaN or infinity; check the weights and the samples")
    from torchmetrics.image.fid import FrechetInceptionDistance  # seconds to import, and not needed by every chapter

    metric = FrechetInceptionDistance(feature=_Given(a.shape[1])).to(a.device)
    metric.update(a, real=True)
    metric.update(b.to(a.device), real=False)
    return max(0.0, float(metric.compute()))  # equal sets come out at about -1e-14


# ---------------------------------------------------------------- which ablation mattered most


def _largest(distances: object) -> np.ndarray:
    """Which entries of distances (V, B) are the largest of their column: bool (V, B), all of a tie."""
    distances = finite(distances, "distances")
    if distances.ndim != 2:
        raise ValueError(f"expected distances (V, B), one row for each ablation, got shape {distances.shape}")
    return distances == distances.max(axis=0)


def most_influential(distances: object) -> np.ndarray:
    """The ablation, a row of distances (V, B), that changed each sample most: int64 (B,), -1 in a tie."""
    largest = _largest(distances)
    return np.where(largest.sum(axis=0) == 1, largest.argmax(axis=0), -1)


def influence_accuracy(distances: object, predicted: object) -> np.ndarray:
    """(B,): 1 where ablating the sample's predicted class changed it most, 1/k in a tie of k, else 0.

    distances (V, B); predicted (B,): the row that is the sample's predicted class, -1 for a class without a
    row (never the most influential, so 0). Blind guessing scores 1/V on average, ties or not. Take
    `bootstrap` of it for an interval. Source: paper, Section 3.1 and Figure 2b. Raises ValueError when the
    shapes do not fit.
    """
    largest, predicted = _largest(distances), np.asarray(predicted)
    if predicted.shape != largest.shape[1:] or predicted.min() < -1 or predicted.max() >= len(largest):
        raise ValueError(
            f"expected rows from -1 to {len(largest) - 1} for {largest.shape[1]} samples, "
            f"got {predicted.shape}, {predicted.min()} to {predicted.max()}"
        )
    hit = largest[predicted, np.arange(len(predicted))] & (predicted >= 0)
    return hit / largest.sum(axis=0)
