"""The noise-prediction U-Net of Ho et al. (2020, Appendix B), with knobs from the paper's size down to a laptop's.

The paper took its model from w86763777/pytorch-ddpm; `UNetConfig.paper` is that network. The laptop network adds one
knob: the image is folded into `patch` x `patch` blocks of pixels first, which quarters the cost of every layer that
follows.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genens.schedules import alpha_bars

MOST = {"channels": 1024, "width": 4096, "blocks": 64, "patch": 64, "groups": 1024, "T": 10_000}  # of any sane network


@dataclass(frozen=True)
class UNetConfig:
    """The knobs of a U-Net.

    `attention` lists the levels (0 is the finest) whose residual blocks attend over all positions;
    `blocks` counts residual blocks a level on the way down (one more on the way up);
    `groups` is the number of groups in every GroupNorm; `patch` folds pixels into channels. With `skip` the
    layers' output F stands in eps = sqrt(1 - bar) x + sqrt(bar) F, so that they predict v = sqrt(bar) eps -
    sqrt(1 - bar) x0 (Salimans and Ho 2022): at high noise, eps is nearly x, which a small network is slow to learn.
    """

    channels: int = 1
    width: int = 32
    multipliers: tuple[int, ...] = (1, 2)
    attention: tuple[int, ...] = (1,)
    blocks: int = 2
    dropout: float = 0.0
    patch: int = 2
    groups: int = 8
    skip: bool = False
    T: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        object.__setattr__(self, "attention", tuple(self.attention))
        counts = [(name, getattr(self, name), most) for name, most in MOST.items()]
        for name, value, most in [*counts, *(("each multiplier", value, 64) for value in self.multipliers)]:
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"expected {name} as a whole number in 1..{most:,}, got {value!r:.40}")
        if not 1 <= len(self.multipliers) <= 10 or not 0 <= self.dropout < 1 or type(self.skip) is not bool:
            got = f"{len(self.multipliers)}, {self.dropout!r:.40} and {self.skip!r:.40}"
            raise ValueError(f"expected 1 to 10 multipliers, dropout below 1, and skip true or false; got {got}")
        levels = range(len(self.multipliers))
        if outside := [level for level in self.attention if level not in levels]:
            raise ValueError(f"attention levels lie in 0..{len(levels) - 1} (one a multiplier); got {outside}")
        if self.width % self.groups:
            raise ValueError(f"width must be a multiple of groups; got width {self.width}, groups {self.groups}")

    @classmethod
    def paper(cls, channels: int = 3, multipliers: tuple[int, ...] = (1, 2, 2, 2)) -> UNetConfig:
        """The paper's network: CIFAR-10 as by default, MNIST with multipliers (1, 2, 2) (Appendix B.2)."""
        return cls(channels, 128, multipliers, (1,), 2, 0.1, 1, 32)

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this many pixels."""
        return self.patch * 2 ** (len(self.multipliers) - 1)

    def to_dict(self) -> dict:
        """The configuration as JSON-able values; `UNetConfig(**d)` reads it back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def timestep_embedding(T: int, width: int) -> Tensor:
    """Sinusoids of geometrically spaced frequencies, sine and cosine interleaved: (T, width), float32."""
    frequency = torch.exp(-torch.arange(0, width, 2, device="cpu") / width * math.log(10000))
    angle = torch.arange(T, device="cpu").float()[:, None] * frequency  # numbers, even of a network on device meta
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class Attention(nn.Module):
    """Single-head self-attention over positions, with a residual connection.

    softmax(QK')V is written out: the fused kernels have no forward-mode derivative, and the Jacobian needs one.
    """

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, width)
        self.query, self.key, self.value, self.out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) and what its positions say to one another: the same shape."""
        h = self.norm(x)
        query, key, value = (layer(h).flatten(2) for layer in (self.query, self.key, self.value))
        weight = torch.softmax(query.transpose(1, 2) @ key / math.sqrt(x.shape[1]), dim=-1)
        return x + self.out((value @ weight.transpose(1, 2)).view_as(x))


class Residual(nn.Module):
    """Two 3x3 convolutions around the time embedding, a shortcut, and attention where asked."""

    def __init__(self, width_in: int, width: int, time_width: int, config: UNetConfig, attend: bool):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(config.groups, width_in), nn.Conv2d(width_in, width, 3, padding=1)
        self.time = nn.Linear(time_width, width)
        self.norm2, self.conv2 = nn.GroupNorm(config.groups, width), nn.Conv2d(width, width, 3, padding=1)
        self.dropout = nn.Dropout(config.dropout)
        self.shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()
        self.attention = Attention(width, config.groups) if attend else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (B, C, H, W) and the time's embedding (B, E): (B, C', H, W)."""
        h = self.conv1(F.silu(self.norm1(x))) + self.time(embedding)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        return self.attention(h + self.shortcut(x))


class Down(nn.Conv2d):
    """Halves height and width."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (B, C, H, W) to (B, C, H / 2, W / 2)."""
        return super().forward(x)


class Up(nn.Conv2d):
    """Doubles height and width (nearest), then convolves."""

    def __init__(self, width: int):
        super().__init__(width, width, 3, padding=1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (B, C, H, W) to (B, C, 2 H, 2 W)."""
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(nn.Module):
    """f(x, t, theta): the noise predicted in x at step t (paper Section 2.3; Ho et al. 2020, Appendix B)."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        width, time_width = config.width, 4 * config.width
        folded = config.channels * config.patch**2
        self.register_buffer("embedding", timestep_embedding(config.T, width), persistent=False)
        bar = torch.from_numpy(alpha_bars(config.T)).view(-1, 1, 1, 1)
        self.register_buffer("signal", bar.sqrt(), persistent=False)
        self.register_buffer("noise", (1 - bar).sqrt(), persistent=False)
        self.time1, self.time2 = nn.Linear(width, time_width), nn.Linear(time_width, time_width)
        self.head = nn.Conv2d(folded, width, 3, padding=1)

        self.down, self.up, skips, now = nn.ModuleList(), nn.ModuleList(), [width], width
        for level, multiplier in enumerate(config.multipliers):
            if level:
                self.down.append(Down(now))
                skips.append(now)
            for _ in range(config.blocks):
                self.down.append(Residual(now, width * multiplier, time_width, config, level in config.attention))
                now = width * multiplier
                skips.append(now)
        self.middle = nn.ModuleList(Residual(now, now, time_width, config, attend) for attend in (True, False))
        for level, multiplier in reversed(list(enumerate(config.multipliers))):
            for _ in range(config.blocks + 1):
                wide = skips.pop() + now
                self.up.append(Residual(wide, width * multiplier, time_width, config, level in config.attention))
                now = width * multiplier
            if level:
                self.up.append(Up(now))
        self.norm, self.tail = nn.GroupNorm(config.groups, now), nn.Conv2d(now, folded, 3, padding=1)
        self.initialize()

    def initialize(self) -> None:
        """Glorot weights and zero biases; the last convolution of a block and of the network start near zero."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Residual):
                nn.init.xavier_uniform_(module.conv2.weight, gain=1e-5)
        nn.init.xavier_uniform_(self.tail.weight, gain=1e-5)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x: (B, C, H, W) with sides a multiple of `config.stride`; t: (B,) int64 in 0..T-1; returns (B, C, H, W).

        The layers compute in the type of their weights, and the skip in that of x, whose last digits it needs.
        """
        dtype = self.head.weight.dtype
        embedding = F.silu(self.time2(F.silu(self.time1(self.embedding[t].to(dtype)))))
        h = self.head(F.pixel_unshuffle(x, self.config.patch).to(dtype))
        skips = [h]
        for layer in self.down:
            h = layer(h, embedding)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, embedding)
        for layer in self.up:
            h = layer(torch.cat([h, skips.pop()], dim=1) if isinstance(layer, Residual) else h, embedding)
        h = F.pixel_shuffle(self.tail(F.silu(self.norm(h))), self.config.patch).to(x.dtype)
        return self.noise[t].to(x.dtype) * x + self.signal[t].to(x.dtype) * h if self.config.skip else h


def build(config: UNetConfig, seed: int) -> UNet:
    """A freshly initialised network, a function of `seed` alone; the caller's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(config)


def parameter_count(model: nn.Module) -> int:
    """How many trainable numbers the model has."""
    return sum(p.numel() for p in model.parameters())
