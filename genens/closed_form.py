"""Members that need no training: the optimal denoiser of a finite set of images, in closed form.

The denoiser that minimises the training loss on a set S predicts the mean of S as seen from x, every image weighted by
how likely it is to have become x: weights proportional to exp(-|x - sqrt(abar) s|^2 / (2 (1 - abar))). Predicted
noise and predicted image say the same, x = sqrt(abar) image + sqrt(1 - abar) noise. The predicted image lies in the
hull of the data, so as a predictor of images f is bounded by C = 1, which Theorem 1 needs and predicted noise is not.

A member whose training set is empty predicts mid-grey, the image 0: the centre of the range, so that C = 1 still.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genens import codes as coding
from genens.data import to_unit
from genens.schedules import alpha_bars


class ClosedForm(ABC):
    """What all closed forms share: the images as float64 (N, D) in [-1, 1], and noise from the predicted image."""

    def __init__(self, images: Tensor, n: int, extra: bytes, T: int) -> None:
        if images.ndim != 4 or images.dtype != torch.uint8 or not len(images):
            raise ValueError(f"expected images as uint8 (N, C, H, W), got {tuple(images.shape)} of {images.dtype}")
        self.n, self.shape = n, tuple(images.shape[1:])
        self.data = to_unit(images).double().flatten(1)
        self._bars = alpha_bars(T)
        self._half = (self.data**2).sum(1) / 2
        header = f"{type(self).__name__} {tuple(images.shape)} {T}\n".encode()
        self.digest = hashlib.sha256(header + images.contiguous().numpy().tobytes() + extra).hexdigest()

    def logits(self, x: Tensor, t: int, rows: Tensor | slice = slice(None)) -> Tensor:
        """ln of the unnormalised posterior weight of each image, float64 (B, N): |x|^2, common to all, is left out."""
        bar = self._bars[int(t)]
        flat = x.double().flatten(1)
        return (bar**0.5 * (flat @ self.data[rows].T) - bar * self._half[rows]) / (1 - bar)

    def denoised(self, x: Tensor, t: int, which: Sequence[int] | None = None) -> Tensor:
        """The image each member predicts, float64 (n, B, C, H, W), every value in [-1, 1]."""
        members = range(self.n) if which is None else which
        return torch.stack([self._mean(x, t, int(i)).view(len(x), *self.shape) for i in members])

    def __call__(self, x: Tensor, t: int, which: Sequence[int] | None = None) -> Tensor:
        """See `ensemble.Members`. Computed in float64, returned in x's type."""
        bar = self._bars[int(t)]
        return ((x.double() - bar**0.5 * self.denoised(x, t, which)) / (1 - bar) ** 0.5).to(x.dtype)

    def plain(self, x: Tensor, t: int, i: int) -> Tensor:
        """See `ensemble.Members`; x (B, C, H, W)."""
        return self(x, t, [i])[0]

    @abstractmethod
    def _mean(self, x: Tensor, t: int, i: int) -> Tensor:
        """The image member i predicts, float64 (B, D)."""


class Members(ClosedForm):
    """The optimal denoiser of every split: `ensemble.Members` without training.

    images: uint8 (N, C, H, W); codes: bool (N, n); T: steps of the noise schedule.
    A softmax over float64 logits is stable at every t: near t = 0 it picks the nearest image, and never overflows.
    Raises ValueError when images and codes do not match. Source: the minimiser of Eq. 14 of Ho et al. (2020).
    """

    def __init__(self, images: Tensor, codes: np.ndarray, T: int = 1000) -> None:
        if codes.ndim != 2 or len(codes) != len(images):
            raise ValueError(f"expected a code for each of {len(images)} images, got codes of shape {codes.shape}")
        super().__init__(images, codes.shape[1], coding.digest(codes).encode(), T)
        self.codes = codes
        self._splits = [torch.from_numpy(rows) for rows in coding.splits(codes)]

    def _mean(self, x: Tensor, t: int, i: int) -> Tensor:
        rows = self._splits[i]
        if not len(rows):  # an empty training set: mid-grey, see the module
            return torch.zeros(len(x), self.data.shape[1], dtype=torch.float64)
        return torch.softmax(self.logits(x, t, rows), dim=1) @ self.data[rows]


class LeaveOneOut(ClosedForm):
    """The optimal denoiser of all N images, as member 0, and of all but image j, as member j + 1: n = N + 1.

    What retraining from scratch without an image would give, exactly: the truth that ablation stands in for.
    """

    def __init__(self, images: Tensor, T: int = 1000) -> None:
        if len(images) < 2:
            raise ValueError(f"expected at least two images, one to be left out; got {len(images)}")
        super().__init__(images, len(images) + 1, b"", T)

    def _mean(self, x: Tensor, t: int, i: int) -> Tensor:
        logits = self.logits(x, t)
        if i:
            logits[:, i - 1] = -torch.inf
        return torch.softmax(logits, dim=1) @ self.data
