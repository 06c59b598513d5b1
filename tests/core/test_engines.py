"""Every engine against the plain PyTorch loop; whatever the batch; and what is said when one cannot be had."""

import sys

import numpy as np
import pytest
import torch

from genens import codes, engines, ensemble, graphs, store
from genens.ensemble import Ensemble
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens.unet import UNetConfig, build
from genens_book.measures import machine

PIXEL = 1e-4  # of the range [-1, 1]: far below the half grey level, 4e-3, that could be seen


def perturbed(config, i):
    """A network none of whose parameters is zero."""
    model = build(config, i)
    for p in model.parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i))
    return model


def algorithm_2(members, noise, weights, steps):
    """Algorithm 2 of Ho et al. as printed, through PyTorch, every member at every step."""
    x = noise[:, 0]
    for k in range(len(steps)):
        eps = sum(w * members.plain(x, steps.t[k], i) for i, w in enumerate(weights))
        x = steps.a[k] * x + steps.b[k] * eps + steps.c[k] * noise[:, k + 1]
    return x.clamp(-1, 1)


def test_twenty_steps_of_a_shipped_ensemble_are_those_of_the_plain_loop_by_every_engine(record_property):
    folder, steps = store.home() / "weights" / "mnist7", schedule(20)
    members = ensemble.load(folder)
    noise = Noise(0, range(2), members.shape, 20).tensor()
    mixtures = np.stack([codes.uniform(members.n), codes.ablated(members.codes, 0)])
    with torch.no_grad():
        plain = torch.stack([algorithm_2(members, noise, weights, steps) for weights in mixtures])
    assert (plain[0] - plain[1]).abs().max() > 100 * PIXEL  # what is compared is not all alike
    for engine in engines.ENGINES:
        apart = (sample(ensemble.load(folder, engine=engine), noise, steps, mixtures) - plain).abs().max().item()
        record_property(f"{engine}, largest difference of a pixel", apart)
        print(f"{engine}: after 20 steps no pixel differs by more than {apart:.1e} from the plain loop's")
        assert apart < PIXEL


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(width=8, multipliers=(1, 2), attention=(0, 1), blocks=2),
        UNetConfig(channels=3, width=8, multipliers=(1, 2), attention=(), blocks=1, patch=1, skip=True),
        UNetConfig(width=16, multipliers=(1,), attention=(0,), blocks=1, patch=4, groups=4, dropout=0.1),
    ],
    ids=["attention", "colours", "one level"],
)
def test_a_compiled_network_of_any_configuration_predicts_what_pytorch_does(config):
    model, shape = perturbed(config, 3).eval(), (config.channels, 16, 16)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    compiled = engines.Compiled(model, shape)
    for t in (0, 500, 999):
        with torch.no_grad():
            torch.testing.assert_close(compiled(x, t), model(x, torch.full((5,), t)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_what_is_predicted_in_an_image_does_not_depend_on_the_others(engine):
    config = UNetConfig(width=8, multipliers=(1, 2), attention=(1,), blocks=1)
    members = Ensemble([perturbed(config, i) for i in range(2)], np.eye(2, dtype=bool), (1, 28, 28), engine=engine)
    x = torch.randn(37, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = members(x, 300)
        for rows in ([0], [36], [5, 4, 3], list(range(16)), list(range(20, 37))):
            assert torch.equal(members(x[rows], 300), whole[:, rows])
        assert torch.equal(members(x, 300, [1])[0], whole[1])


def test_passes_of_several_cores_at_once_do_not_mix():
    config = UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1)
    members = Ensemble([perturbed(config, i) for i in range(4)], np.eye(4, dtype=bool), (1, 28, 28), engine="openvino")
    noise, mixtures, threads = Noise(2, range(9), members.shape, 3), np.eye(4), torch.get_num_threads()
    try:
        found = []
        for cores in (1, 3):
            torch.set_num_threads(cores)
            found.append(sample(members, noise, schedule(3), mixtures))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_precision_and_engine_are_in_the_digest():
    folder = store.home() / "weights" / "mnist7"
    digests = {
        ensemble.load(folder, *given).digest for given in (("float32", "eager"), ("float32", "openvino"), ("float64",))
    }
    assert len(digests) == 3


def test_an_engine_that_cannot_be_loaded_names_the_parameter_that_does_without(monkeypatch):
    engines._openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ValueError, match="pip install openvino.*set the parameter engine to eager") as caught:
        ensemble.load(store.home() / "weights" / "mnist7", engine="openvino")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given, message",
    [
        (dict(engine="warp"), "expected engine as one of openvino, eager; got 'warp'"),
        (dict(engine="openvino", precision="bfloat16"), "expected precision float32 with engine openvino"),
        (dict(precision="float16"), "expected precision as one of float32, bfloat16, float64"),
    ],
)
def test_what_there_is_not_is_refused(given, message, monkeypatch):
    monkeypatch.setattr(ensemble, "has_bfloat16", lambda: True)
    with pytest.raises(ValueError, match=message):
        ensemble.load(store.home() / "weights" / "mnist7", **given)


def test_bfloat16_is_refused_where_the_cpu_emulates_it_and_taken_where_not(monkeypatch):
    folder = store.home() / "weights" / "mnist7"
    monkeypatch.setattr(ensemble, "has_bfloat16", lambda: False)
    with pytest.raises(ValueError, match="16 times as long as float32.*take float32") as caught:
        ensemble.load(folder, "bfloat16")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(ensemble, "has_bfloat16", lambda: True)
    assert next(ensemble.load(folder, "bfloat16").models[0].parameters()).dtype == torch.bfloat16


def test_images_of_another_type_are_refused_by_the_compiled_engine():
    members = ensemble.load(store.home() / "weights" / "mnist7", engine="openvino")
    with pytest.raises(ValueError, match="expected float32 images on the CPU.*set engine to eager"):
        members(torch.zeros(1, 1, 28, 28, dtype=torch.float64), 3)


def test_the_machine_is_described():
    found = machine.describe()
    assert found["cores"] >= 1 and found["instructions"] and found["pass_ms"] > 0
    assert found["engine"].startswith("openvino 20")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_records_one_pass_for_all_members(precision, monkeypatch):
    """On the CPU, the recording pretended: what is replayed reads the weights of the network that is asked for."""
    made = []
    monkeypatch.setattr(graphs, "recorded", lambda function, state: made.append(function) or function)
    engines._recording.cache_clear()
    config = UNetConfig(width=8, multipliers=(1, 2), attention=(0,), blocks=1, dropout=0.5)
    models = Ensemble([perturbed(config, i) for i in range(3)], np.ones((1, 3), bool), (1, 8, 8), "", precision).models
    x = torch.randn((4, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    for t in (3, 700):
        found = [engines.replayed(model, x, t) for model in models]
        assert all(torch.equal(one, engines.plain(model, x, t)) for one, model in zip(found, models, strict=True))
        assert not torch.equal(found[0], found[1])
    assert len(made) == 1
    engines.replayed(models[0], x[:2], 3)  # other sizes, another recording
    assert len(made) == 2
    engines._recording.cache_clear()
