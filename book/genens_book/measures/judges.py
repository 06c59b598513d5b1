"""The networks that judge samples: which class an image shows, and the features in which distances and FIDs are taken.

The paper runs its samples "through a CNN predictor" (Section 3.1) and does not say which. Here digits are read by five
small convolutions, photographs by a small residual network. `classifier` trains them and keeps them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genens_book.measures import augment

CLASSES = 10


class Judge(nn.Module, ABC):
    """What the judges have in common: as features each channel's largest activation after the last of their `blocks`,
    which a linear `head` reads.

    shape (C, H, W) of an image, and kind, what it is called; thing and reader, what an image shows and the judge in
    words. batch, rate (the largest), weight_decay, epochs: of
    training, by AdamW; folds: of the data, held out in turn. cross_fitted: the networks of the folds are what is kept,
    so that every image of the data can be judged by one that has not seen it; otherwise it is one network, trained on
    all of them.
    """

    shape: ClassVar[tuple[int, int, int]]
    kind: ClassVar[str]
    thing: ClassVar[str]
    reader: ClassVar[str]
    dataset: ClassVar[str]
    batch: ClassVar[int]
    rate: ClassVar[float]
    weight_decay: ClassVar[float]
    epochs: ClassVar[int]
    folds: ClassVar[int]
    cross_fitted: ClassVar[bool]
    blocks: nn.ModuleList
    head: nn.Linear

    @property
    def num_features(self) -> int:
        """How many features (F) there are."""
        return self.head.in_features

    def layers(self, y: Tensor) -> list[Tensor]:
        """The activations (B, channels, h, w) after each block, for y (B, C, H, W) in [-1, 1]."""
        return list(accumulate(self.blocks, lambda x, block: block(x), initial=y))[1:]

    def features(self, y: Tensor) -> Tensor:
        """The penultimate features (B, F)."""
        return self.layers(y)[-1].amax((2, 3))

    def read(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) and logits (B, 10)."""
        features = self.features(y)
        return features, self.head(features)

    def forward(self, y: Tensor) -> Tensor:
        """Logits (B, 10)."""
        return self.read(y)[1]

    @abstractmethod
    def loss(self, y: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """What training lowers, on a minibatch y (B, C, H, W) with its labels int64 (B,), which are on the CPU."""

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """The settings of network and training, for its manifest."""


def _block(inputs: int, outputs: int, momentum: float, size: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, momentum=momentum), nn.ReLU())


# ---------------------------------------------------------------- digits


class DigitNet(Judge):
    """Five convolutions at 28, 14, 14, 7, 7 pixels."""

    shape, kind, dataset = (1, 28, 28), "digits", "mnist"
    thing, reader = "digit", "digit classifier"
    batch, rate, epochs, folds, cross_fitted = 64, 3e-3, 5, 5, False
    widths = (16, 48, 96)
    weight_decay = 0.02
    momentum = 0.2  # of the batch statistics: twice torch's, so that a short run settles too
    noise = 8  # images of noise that join every batch of digits

    def __init__(self, widths: Sequence[int] = widths) -> None:
        super().__init__()
        (a, b, c), momentum = widths, self.momentum
        self.blocks = nn.ModuleList(
            [
                _block(1, a, momentum, size=5),
                nn.Sequential(nn.MaxPool2d(2), _block(a, b, momentum)),
                _block(b, b, momentum),
                nn.Sequential(nn.MaxPool2d(2), _block(b, c, momentum)),
                _block(c, c, momentum),
            ]
        )
        self.head = nn.Linear(c, CLASSES)

    def loss(self, y: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """Cross entropy on moved digits, y (B, 1, 28, 28); noise is to be given every class alike.

        Without it static is a digit with confidence 1.00, and the confidence says nothing about samples.
        """
        noise = augment.noise(y[: self.noise].shape, draws)
        place = self.head.weight.device
        logits = self(torch.cat([augment.move(y, draws), noise]).to(place))
        alike = -logits[len(y) :].log_softmax(1).mean()
        return F.cross_entropy(logits[: len(y)], labels.to(place)) + alike * len(noise) / len(y)

    def describe(self) -> dict[str, object]:
        """See `Judge`."""
        moves = {name: getattr(augment, name.upper()) for name in ("rotation", "scale", "shear", "shift")}
        return {
            "network": {"widths": self.widths},
            "training": {"momentum": self.momentum},
            "augmentation": {**moves, "noise": self.noise},
        }


# ---------------------------------------------------------------- photographs


class _Residual(nn.Module):
    """Half the resolution, a convolution, and another one that is added to it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down, self.more = (_block(width, outputs, 0.1) for width in (inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h / 2, w / 2)."""
        x = self.down(F.max_pool2d(x, 2))
        return x + self.more(x)


class PhotoNet(Judge):
    """A residual network for CIFAR-10: a convolution at 32 pixels, two at 16, two at 8, two at 4. It reads an image and
    its mirror image and takes the mean of the two probabilities."""

    shape, kind, dataset = (3, 32, 32), "photographs", "cifar10"
    thing, reader = "subject", "photograph classifier"
    batch, rate, epochs, folds, cross_fitted = 128, 4e-3, 15, 3, True
    widths = (32, 64, 128, 256)
    weight_decay, smoothing = 0.05, 0.1
    shift, cut = 2, 8  # pixels

    def __init__(self, widths: Sequence[int] = widths) -> None:
        super().__init__()
        stages = [_Residual(inputs, outputs) for inputs, outputs in pairwise(widths)]
        self.blocks = nn.ModuleList([_block(3, widths[0], 0.1), *stages])
        self.head = nn.Linear(widths[-1], CLASSES)

    def layers(self, y: Tensor) -> list[Tensor]:
        """See `Judge`. Colours side by side in memory, convolutions take a sixth less time."""
        return super().layers(y.contiguous(memory_format=torch.channels_last))

    def read(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) of the images as they are, and log probabilities (B, 10)."""
        features = self.features(y)
        sides = torch.stack([self.head(features), self.head(self.features(y.flip(-1)))])
        return features, sides.softmax(-1).mean(0).log()

    def loss(self, y: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """Cross entropy, with smoothed labels, on photographs y (B, 3, 32, 32) mirrored, shifted and cut out of."""
        seen = augment.cut_out(augment.shift(augment.mirror(y, draws), self.shift, draws), self.cut, draws)
        place = self.head.weight.device
        logits = self.head(self.features(seen.to(place)))
        return F.cross_entropy(logits, labels.to(place), label_smoothing=self.smoothing)

    def describe(self) -> dict[str, object]:
        """See `Judge`."""
        return {
            "network": {"widths": self.widths},
            "training": {"label_smoothing": self.smoothing},
            "augmentation": {"mirror": True, "shift": self.shift, "cut_out": self.cut},
        }


JUDGES: dict[str, type[Judge]] = {network.kind: network for network in (DigitNet, PhotoNet)}


def of(dataset: str) -> type[Judge]:
    """The judge of a data set, "mnist" or "cifar10". ValueError for one that has none."""
    for judge in JUDGES.values():
        if judge.dataset == dataset:
            return judge
    known = " or ".join(judge.dataset for judge in JUDGES.values())
    raise ValueError(f"expected images of {known}, for which there is a classifier, got {dataset}: give other weights")
