"""Checkpoints of the implementation that the paper used, and of the authors' own training script, become ours."""

import json
import math
import os
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from genens import codes as coding
from genens import data, ensemble
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens.unet import UNetConfig, build, parameter_count
from genens_book.press import adopt
from genens_book.press.adopt import from_pytorch_ddpm

# Names, shapes and outputs of w86763777/pytorch-ddpm's model.py at the commit the paper cites (B.2), run once on
# weights given by the formula below; every 97th number of the output was kept.
RECORDED = json.loads((Path(__file__).parent / "pytorch_ddpm.json").read_text())
SMALL = UNetConfig(1, 8, (1, 2), (1,), 1, 0.1, 1, 8)


def recorded_state(shapes):
    """The weights by formula, so that no binary need be shipped."""
    state = {}
    for j, (name, shape) in enumerate(shapes):
        wave = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * (0.7310 + 0.0013 * j) + j).view(*shape)
        norm = ".0.weight" in name and len(shape) == 1 or name.endswith("group_norm.weight")
        scale = 1.5 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.1
        state[name] = (wave * scale + (1 if norm else 0)).float()
    return state


@pytest.mark.parametrize("label", ["cifar10", "mnist"])
def test_pytorch_ddpm_checkpoints_give_the_same_output(label):
    case = RECORDED[label]
    config = UNetConfig.paper(3, tuple(case["multipliers"]))
    model = from_pytorch_ddpm(recorded_state(case["shapes"]), config).eval()
    size = case["size"]
    x = torch.sin(torch.arange(2 * 3 * size * size, dtype=torch.float64) * 0.917).view(2, 3, size, size).float()
    with torch.no_grad():
        y = model(x, torch.tensor(case["t"]))
    torch.testing.assert_close(y.flatten()[::97], torch.tensor(case["output"]), atol=1e-5, rtol=0)
    assert parameter_count(model) == case["parameters"]


def test_a_training_checkpoint_on_disk_gives_its_averaged_weights(tmp_path):
    state = recorded_state(RECORDED["mnist"]["shapes"])
    other = {name: value + 1 for name, value in state.items()}
    torch.save({"net_model": other, "ema_model": state}, tmp_path / "ckpt.pt")
    model = from_pytorch_ddpm(tmp_path / "ckpt.pt", UNetConfig.paper(3, (1, 2, 2)))
    assert torch.equal(model.head.weight, state["head.weight"])


def test_a_checkpoint_of_a_file_that_is_none_is_one_line(tmp_path):
    (tmp_path / "ckpt.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a pytorch-ddpm checkpoint at .*ckpt\.pt, but it cannot be read") as caught:
        adopt.from_pytorch_ddpm(tmp_path / "ckpt.pt")
    assert str(caught.value).isprintable()


def test_wrong_checkpoints_are_refused_in_one_line():
    state = recorded_state(RECORDED["mnist"]["shapes"])
    with pytest.raises(ValueError, match="does not fit") as caught:
        from_pytorch_ddpm(state)  # the CIFAR-10 network has a level more
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="expected a pytorch-ddpm state dict"):
        from_pytorch_ddpm({"weight": torch.zeros(1)})


# ---------------------------------------------------------------- the authors' script


def theirs(state):
    """A state dict under the names that the authors' model.py has."""
    inner = {
        "norm1": "block1.0",
        "conv1": "block1.2",
        "time": "temb_proj.1",
        "norm2": "block2.0",
        "conv2": "block2.3",
        "attention.norm": "attn.group_norm",
        "attention.query": "attn.proj_q",
        "attention.key": "attn.proj_k",
        "attention.value": "attn.proj_v",
        "attention.out": "attn.proj",
        "shortcut": "shortcut",
        "": "main",
    }
    ends = {
        "time1": "time_embedding.timembedding.1",
        "time2": "time_embedding.timembedding.3",
        "head": "head",
        "norm": "tail.0",
        "tail": "tail.2",
    }
    found = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        where, _, rest = layer.partition(".")
        if where in ("down", "middle", "up"):
            number, _, part = rest.partition(".")
            found[f"{where}blocks.{number}.{inner[part]}.{kind}"] = value
        else:
            found[f"{ends[layer]}.{kind}"] = value
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Files as CreateSplits.py and TrainModel.py write them, of small random networks: codes and a folder."""
    codes, folder = coding.constant_weight(10_000, 16, 8, 0), tmp_path_factory.mktemp("released")
    (folder / "mnist.pkl").write_bytes(pickle.dumps(codes.T.astype(np.int64)))
    for i in range(16):
        state = {}
        for name, value in build(SMALL, i).state_dict().items():
            draws = torch.Generator().manual_seed(i)
            state[name] = value + 0.05 * torch.randn(value.shape, generator=draws)
        checkpoint = {"epoch": 0, "model_state_dict": theirs(state), "optimizer_state_dict": {}, "loss": [900.0, 784.0]}
        torch.save(checkpoint, folder / f"MNIST_split{i}_ckpt.pt")
    return codes, folder


@pytest.fixture
def released(written, tmp_path):
    """Codes, the file of splits, and the checkpoints, to be spoiled."""
    codes, folder = written
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return codes, tmp_path / "mnist.pkl", [tmp_path / f"MNIST_split{i}_ckpt.pt" for i in range(16)]


def as_released(models, noise, steps):
    """The first `steps` steps of the authors' Sample.py, written out from its formulas."""
    betas = np.linspace(1e-4, 0.02, 1000)
    alphas = 1 - betas
    bars = np.exp(np.cumsum(np.log(alphas)))
    spread = np.concatenate(([0], bars[1:] / bars[:-1] * betas[1:])) ** 0.5
    x = noise[:, 0]
    for k, i in enumerate(range(999, 999 - steps, -1)):
        predicted = torch.stack([model(x, torch.tensor([i] * len(x))) for model in models]).mean(0)
        x = (1 / alphas[i]) ** 0.5 * (x - betas[i] / (1 - bars[i]) ** 0.5 * predicted) + spread[i] * noise[:, k + 1]
    return x


def test_samples_of_an_adopted_ensemble_are_the_released_codes(released, tmp_path, monkeypatch, capsys):
    codes, splits, files = released
    monkeypatch.setitem(adopt.TRAINED, 1, ("mnist", SMALL, {}))
    assert adopt.main([str(splits), *map(str, files[::-1]), "--out", str(tmp_path / "adopted")]) == 0
    assert "16 members of 10,000 images of mnist" in capsys.readouterr().out
    members = ensemble.load(tmp_path / "adopted")
    assert np.array_equal(members.codes, codes) and members.shape == (1, 28, 28)
    assert members.manifest["data"] == data.load("mnist").digest
    assert members.manifest["member_loss"] == [842 / 784] * 16 and members.manifest["recipe"]["steps"] == 2
    noise = Noise(0, range(2), members.shape, 1000).tensor()
    models = [from_pytorch_ddpm(file, SMALL).eval() for file in files]
    for row in (None, 7):
        mixture = coding.uniform(16) if row is None else coding.ablated(codes, row)
        kept = [model for model, weight in zip(models, mixture, strict=True) if weight]
        ours = sample(members, noise, schedule(1000, variance="alpha_beta"), mixture[None], stop=3, clamp=False)[0]
        with torch.no_grad():
            torch.testing.assert_close(ours, as_released(kept, noise, 3), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("protocol", range(3, 6))  # 3 was the first default of Python 3
def test_splits_are_read_whatever_protocol_they_were_pickled_by(tmp_path, protocol):
    codes = coding.constant_weight(20, 6, 3, 0)
    (tmp_path / "splits.pkl").write_bytes(pickle.dumps(codes.T.astype(np.int64), protocol))
    assert np.array_equal(adopt.read_splits(tmp_path / "splits.pkl"), codes)


def test_rows_of_cifar10_are_put_in_the_books_order(tmp_path, monkeypatch):
    def half(train, root=None):
        draws = torch.Generator().manual_seed(int(train))
        images = torch.randint(256, (9 if train else 4, 3, 32, 32), generator=draws, dtype=torch.uint8)
        return data.Dataset(images, torch.randint(3, (len(images),), generator=draws), "half", tuple("abc"))

    monkeypatch.setattr(data, "cifar10_half", half)
    theirs = torch.cat([half(True).images, half(False).images])
    order = adopt.in_our_order("cifar10", tmp_path, 13)
    assert torch.equal(theirs[order], data.load("cifar10", tmp_path).images) and order.tolist() != list(range(13))


class Program:
    """What a pickle can hold besides an array."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda splits, files: files.pop(3), "a checkpoint for each of the 16 splits, 0 to 15; got 15, without 3"),
        (lambda splits, files: files.append(files[0]), "each number once; got .*MNIST_split0_ckpt.pt"),
        (lambda splits, files: splits.unlink(), "expected the splits that CreateSplits.py wrote at"),
        (lambda splits, files: splits.write_bytes(pickle.dumps(Program())), "but it names posix.system"),
        (lambda splits, files: splits.write_bytes(b"ccore.multiarray\n_reconstruct\n."), "it names core.multiarray"),
        (lambda splits, files: splits.write_bytes(pickle.dumps({"codes": 1})), "expected splits"),
        (lambda splits, files: splits.write_bytes(b""), "expected one numpy array"),
        (lambda splits, files: splits.write_bytes(pickle.dumps(np.zeros((16, 9), int))), "no two alike"),
        (
            lambda splits, files: splits.write_bytes(pickle.dumps(coding.constant_weight(9_999, 16, 8, 0).T)),
            "expected splits of the 10,000 images of MNIST test, got 9,999",
        ),
        (lambda splits, files: files[2].write_bytes(b"nothing"), "cannot be read"),
        (lambda splits, files: torch.save({"model_state_dict": Program(), "loss": []}, files[2]), "cannot be read"),
        (lambda splits, files: torch.save({"weights": 1}, files[2]), "with model_state_dict and loss; got another"),
        (
            lambda splits, files: torch.save(
                {"model_state_dict": {"head.weight": torch.ones(8, 1, 3, 3)}, "loss": [1.0]}, files[2]
            ),
            "does not fit",
        ),
    ],
)
def test_what_is_not_theirs_is_refused_in_one_line_and_nothing_is_executed_or_written(
    released, tmp_path, monkeypatch, capsys, change, message
):
    _, splits, files = released
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(adopt.TRAINED, 1, ("mnist", SMALL, {}))
    change(splits, files)
    assert adopt.main([str(splits), *map(str, files), "--out", "adopted"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line), line
    assert not (tmp_path / "adopted").exists() and not (tmp_path / "executed").exists()
