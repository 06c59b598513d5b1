"""The U-Net is Ho et al.'s, and reads the checkpoints of the implementation that the paper used."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from genens.unet import UNet, UNetConfig, build, from_pytorch_ddpm, parameter_count

# Names, shapes and outputs of w86763777/pytorch-ddpm's model.py at the commit the paper cites (B.2), run once on
# weights given by the formula below; every 97th number of the output was kept.
RECORDED = json.loads((Path(__file__).parent / "pytorch_ddpm.json").read_text())
SMALL = UNetConfig(width=16, multipliers=(1, 2), blocks=1)


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


def test_the_papers_cifar_network_has_the_known_size():
    assert parameter_count(UNet(UNetConfig.paper())) == 35_746_307


def test_a_training_checkpoint_on_disk_gives_its_averaged_weights(tmp_path):
    state = recorded_state(RECORDED["mnist"]["shapes"])
    other = {name: value + 1 for name, value in state.items()}
    torch.save({"net_model": other, "ema_model": state}, tmp_path / "ckpt.pt")
    model = from_pytorch_ddpm(tmp_path / "ckpt.pt", UNetConfig.paper(3, (1, 2, 2)))
    assert torch.equal(model.head.weight, state["head.weight"])


def test_wrong_checkpoints_are_refused_in_one_line():
    state = recorded_state(RECORDED["mnist"]["shapes"])
    with pytest.raises(ValueError, match="does not fit") as caught:
        from_pytorch_ddpm(state)  # the CIFAR-10 network has a level more
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="expected a pytorch-ddpm state dict"):
        from_pytorch_ddpm({"weight": torch.zeros(1)})


def test_initialisation_is_a_function_of_the_seed_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = build(SMALL, 3), build(SMALL, 3), build(SMALL, 4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


def test_images_of_a_batch_do_not_mix():
    model = build(SMALL, 0).double()
    for p in model.parameters():  # away from the near-zero last layers of a fresh network
        p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1), dtype=p.dtype)
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    t = torch.tensor([0, 400, 999])
    together = model(x, t)
    alone = torch.cat([model(x[i : i + 1], t[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)


def test_attention_is_scaled_dot_product_attention():
    layer = build(SMALL, 0).middle[0].attention.double()
    x = torch.randn(2, 32, 7, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    h = layer.norm(x)
    query, key, value = (f(h).flatten(2).mT for f in (layer.query, layer.key, layer.value))
    expected = x + layer.out(F.scaled_dot_product_attention(query, key, value).mT.reshape(x.shape))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    "wrong, message", [(dict(attention=(2,)), "attention levels"), (dict(width=12), "multiple of groups")]
)
def test_impossible_networks_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        UNetConfig(**wrong)
