"""Forward passes of the members: plain PyTorch, or, faster on a CPU, each member's network as an OpenVINO graph.

    members = ensemble.load(folder, engine="openvino")      # what the chapters do; engine="eager" is plain PyTorch

OpenVINO is a wheel that compiles for the CPU it finds and needs no C++ compiler. It computes in float32. The eager pass
is its oracle (`tests/core/test_engines.py`) and runs on GPUs, recorded there and replayed. Nothing falls back from one
to the other. Both take images in blocks of fixed sizes, so that an image's result is the same whatever else is computed
with it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from genens import graphs
from genens.unet import Attention, Residual, UNet, UNetConfig, Up, build

ENGINES = ("openvino", "eager")
BLOCK = 16  # images a pass: few enough for a core's caches, enough to keep it busy
REST = 4  # images a pass for what is left over; OpenVINO's results do not depend on the block (tested), eager ones do
GPU_BLOCK = 64


def check(engine: str, precision: str) -> None:
    """ValueError for an unknown engine, one that does not compute in this precision, or one that is not installed."""
    if engine not in ENGINES:
        raise ValueError(f"expected engine as one of {', '.join(ENGINES)}; got {engine!r}")
    if engine == "openvino" and precision != "float32":
        raise ValueError(
            f"expected precision float32 with engine openvino, which computes in nothing else; got "
            f"{precision!r}: take engine eager with it"
        )
    if engine == "openvino":
        _openvino()  # what is missing is said before hours of work, not in the middle


def filled(x: Tensor, size: int) -> Tensor:
    """x (B, ...) followed by copies of its first row, up to a multiple of `size`."""
    return torch.cat([x, x[:1].expand(-len(x) % size, *x.shape[1:])])


def eager(model: UNet, x: Tensor, t: int) -> Tensor:
    """The noise that a network predicts in x (B, C, H, W) at time t, by PyTorch, a block of images at a time: BLOCK, or
    on a GPU GPU_BLOCK, whose pass is replayed."""
    run, size = (plain, BLOCK) if x.device.type == "cpu" else (replayed, GPU_BLOCK)
    return torch.cat([run(model, part, t) for part in filled(x, size).split(size)])[: len(x)]


def plain(model: UNet, x: Tensor, t: int) -> Tensor:
    """The same in one pass of all images (B, C, H, W): a function that can be differentiated."""
    return model(x, torch.full((1,), int(t), device=x.device))


def replayed(model: UNet, x: Tensor, t: int) -> Tensor:
    """The same on a GPU, x (B, C, H, W), by a pass that is recorded once for all networks of a configuration, types and
    sizes; their weights are copied into it."""
    place, run = _recording(model.config, x.shape, x.dtype, model.head.weight.dtype, x.device, graphs.is_rounded())
    torch._foreach_copy_([*place.parameters()], [*model.parameters()])
    return run(x, torch.full((1,), int(t), device=x.device))


@functools.lru_cache(maxsize=4)
def _recording(config: UNetConfig, *kind: object) -> tuple[UNet, Callable[..., Tensor]]:
    """Where the pass of such networks reads its weights, and the pass itself, of images and a time (1,)."""
    _, _, dtype, device, _ = kind
    place = build(config, 0).eval().requires_grad_(False).to(device)
    for weight in place.parameters():
        weight.data = weight.to(dtype)
    return place, graphs.recorded(place, list)


@functools.cache
def _openvino() -> ModuleType:
    try:
        import openvino
    except (ImportError, OSError) as problem:
        raise ValueError(
            f"expected to load OpenVINO for engine openvino, but: {problem}; install it (pip install "
            "openvino), or set the parameter engine to eager, which is slower"
        ) from problem
    return openvino


_one_at_a_time = threading.Lock()  # two threads that compile the same graph would have two, whose passes share a core


@functools.cache
def _compile(config: UNetConfig, shape: tuple[int, int, int], size: int, cores: int):
    """The graph of every network of this configuration, for `size` images a pass and `cores` passes side by side."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores}
    return _openvino().Core().compile_model(graph(build(config, 0), (size, *shape)), "CPU", settings)


class Compiled:
    """`eager` of one network through OpenVINO. Passes may run side by side, one a core.

    The weights are inputs of the graph, which is compiled once for all members, when the first of them is called.
    """

    def __init__(self, model: UNet, shape: tuple[int, int, int]):
        self.config, self.shape, self.cores = model.config, shape, torch.get_num_threads()
        self.weights = [value.detach().numpy() for value in model.parameters()]
        self._free: dict[int, list] = {BLOCK: [], REST: []}  # requests that no pass is using; pop and append are atomic

    def _request(self, size: int):
        """A way to run passes of `size` images, with the weights set, that nobody else is using."""
        if self._free[size]:
            return self._free[size].pop()
        with _one_at_a_time:
            request = _compile(self.config, self.shape, size, self.cores).create_infer_request()
        for k, weight in enumerate(self.weights):
            request.set_input_tensor(2 + k, _openvino().Tensor(weight, shared_memory=True))
        return request

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """See `eager`. Raises ValueError for images that are not float32 on the CPU."""
        if x.dtype != torch.float32 or x.device.type != "cpu":
            kind = f"{x.dtype} on {x.device}"
            raise ValueError(f"expected float32 images on the CPU for engine openvino, got {kind}: set engine to eager")
        images, time = filled(x.detach(), REST).contiguous().numpy(), np.array([t], np.int64)
        found, whole = np.empty_like(images), len(images) // BLOCK * BLOCK
        for size, start, stop in ((BLOCK, 0, whole), (REST, whole, len(images))):
            if start < stop:
                request = self._request(size)
                for b in range(start, stop, size):
                    inputs = {0: images[b : b + size], 1: time}
                    found[b : b + size] = request.infer(inputs, share_inputs=True, share_outputs=True)[0]
                self._free[size].append(request)
        return torch.from_numpy(found[: len(x)])


# ---------------------------------------------------------------- the network as a graph


def graph(model: UNet, shape: tuple[int, int, int, int]):
    """`UNet.forward`, layer by layer, as an OpenVINO model. Its inputs are images `shape` (B, C, H, W), one time, int64
    (1,), and every parameter of the network, in the order of `model.parameters()`."""
    ov = _openvino()
    from openvino import opset13 as op

    config: UNetConfig = model.config
    weights = {name: op.parameter(list(value.shape), np.float32, name) for name, value in model.named_parameters()}
    tables = {name: value.float().numpy() for name, value in model.named_buffers()}
    x, t = op.parameter(shape, np.float32, "x"), op.parameter([1], np.int64, "t")

    def linear(name: str, h):
        return op.add(op.matmul(h, weights[f"{name}.weight"], False, True), weights[f"{name}.bias"])

    def conv(name: str, h, stride: int = 1):
        weight, bias = weights[f"{name}.weight"], op.unsqueeze(weights[f"{name}.bias"], np.int64([0, 2, 3]))
        pad, ones = [weight.shape[3] // 2] * 2, [1, 1]
        return op.add(op.convolution(h, weight, [stride] * 2, pad, pad, ones), bias)

    def norm(name: str, h):
        return op.group_normalization(h, weights[f"{name}.weight"], weights[f"{name}.bias"], config.groups, 1e-5)

    def at(name: str):
        """Row t of a table."""
        return op.gather(tables[name], t, np.int64(0))

    def attention(name: str, h):
        B, C, H, W = h.get_output_shape(0)
        normed = norm(f"{name}.norm", h)
        query, key, value = (
            op.reshape(conv(f"{name}.{part}", normed), [B, C, H * W], False) for part in ("query", "key", "value")
        )
        weight = op.softmax(op.multiply(op.matmul(query, key, True, False), np.float32(C**-0.5)), 2)
        mixed = op.reshape(op.matmul(value, weight, False, True), [B, C, H, W], False)
        return op.add(h, conv(f"{name}.out", mixed))

    def layer(name: str, module, h, skip=None):
        if skip is not None:
            h = op.concat([h, skip], 1)
        if isinstance(module, Up):
            like_torch = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            return conv(name, op.interpolate(h, np.float32([2, 2]), "nearest", "scales", axes=[2, 3], **like_torch))
        if not isinstance(module, Residual):
            return conv(name, h, 2)
        inner = conv(f"{name}.conv1", op.swish(norm(f"{name}.norm1", h)))
        inner = op.add(inner, op.unsqueeze(linear(f"{name}.time", embedding), [2, 3]))
        inner = conv(f"{name}.conv2", op.swish(norm(f"{name}.norm2", inner)))
        h = op.add(inner, conv(f"{name}.shortcut", h) if f"{name}.shortcut.weight" in weights else h)
        return attention(f"{name}.attention", h) if isinstance(module.attention, Attention) else h

    embedding = op.swish(linear("time2", op.swish(linear("time1", at("embedding")))))
    h = conv("head", op.space_to_depth(x, "depth_first", config.patch))
    skips = [h]
    for i, module in enumerate(model.down):
        h = layer(f"down.{i}", module, h)
        skips.append(h)
    for i, module in enumerate(model.middle):
        h = layer(f"middle.{i}", module, h)
    for i, module in enumerate(model.up):
        h = layer(f"up.{i}", module, h, skips.pop() if isinstance(module, Residual) else None)
    h = op.depth_to_space(conv("tail", op.swish(norm("norm", h))), "depth_first", config.patch)
    if config.skip:
        h = op.add(op.multiply(at("noise"), x), op.multiply(at("signal"), h))
    return ov.Model([op.result(h)], [x, t, *weights.values()], "member")
