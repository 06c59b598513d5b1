"""How different two images look: by the digit classifier's features, and by LPIPS.

Images come as tensors or arrays (..., C, H, W), floats in [-1, 1]; their leading axes broadcast, so that the
counterfactuals (V, B, C, H, W) can be set against their originals (B, C, H, W). Distances leave as float64
arrays. Nothing here touches the network: what needs weights that are not on this machine returns a NotRun.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from genens_book.measures import classifier, distances
from genens_book.measures.judges import Judge
from genens_book.measures.not_run import UNREADABLE, NotRun, find_weights

VGG_FILES = "vgg16-*.pth"  # torchvision's ImageNet VGG16 in the torch cache; today vgg16-397923af.pth


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


def feature_distance(model: Judge, a: object, b: object, batch: int = 256) -> np.ndarray:
    """The digit-feature distance of images (..., 1, 28, 28): float64 (...), from 0 (the same) to 2.

    The recipe of LPIPS (Zhang et al. 2018) in the digit classifier, with every channel weighing the same: in
    each of its five layers the activations of each position are scaled to length 1, their squared differences
    summed over channels and averaged over positions; the result is the mean over layers. It is not LPIPS and
    shares no unit with it. Raises ValueError for images of another shape or type.
    """
    a, b = distances.pairs(classifier.checked(model, a), classifier.checked(model, b))

    def distance(x: Tensor, y: Tensor) -> Tensor:
        layers = zip(model.layers(x), model.layers(y), strict=True)
        return torch.stack([(_unit(p) - _unit(q)).square().sum(1).mean((1, 2)) for p, q in layers]).mean(0)

    model.eval()
    return _by_pair(distance, a, b, batch, next(model.parameters()).device)


def find_vgg(path: str | Path | None = None) -> Path | NotRun:
    """The VGG16 weights behind LPIPS; see `find_weights`. They are read at once, before anything is drawn: ValueError
    for damaged ones, or another network's."""
    file = find_weights("VGG16", VGG_FILES, "vgg16-397923af.pth", path)
    if isinstance(file, Path):
        _vgg_lpips(file, file.stat().st_mtime_ns)
    return file


def lpips(a: object, b: object, weights: str | Path | None = None, batch: int = 64) -> np.ndarray | NotRun:
    """LPIPS with VGG16 between images (..., C, H, W) in [-1, 1]: float64 (...); NotRun without weights.

    The network is torchmetrics' (paper, Section B.3); grey images are repeated to three channels. `weights`:
    a file of torchvision's VGG16 weights; by default the torch cache is looked through. Nothing is
    downloaded. Raises FileNotFoundError for a given path without a file and ValueError for damaged weights or
    images that do not fit.
    """
    a, b = distances.pairs(a, b)
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
    except UNREADABLE as problem:
        raise ValueError(
            f"expected torchvision's VGG16 weights in {file}, but they are damaged or another "
            f"network's ({type(problem).__name__}); fetch vgg16-397923af.pth anew"
        ) from problem
    return network.requires_grad_(False)
