"""The U-Net is Ho et al.'s."""

import pytest
import torch
from torch.nn import functional as F

from genens.unet import UNet, UNetConfig, build, parameter_count

SMALL = UNetConfig(width=16, multipliers=(1, 2), blocks=1)


def test_the_papers_cifar_network_has_the_known_size():
    assert parameter_count(UNet(UNetConfig.paper())) == 35_746_307


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
