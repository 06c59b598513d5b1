"""The plain reference of the benchmark is the method, and a benchmark whose two sides differ is none."""

import json

import numpy as np
import pytest
import torch

import bench.__main__ as program
from bench import gpu, paper, reference, rules, shorter
from genens import attribution, codes, jacobians
from genens.ensemble import Ensemble
from genens.recipe import Recipe
from genens.sampling import Noise, counterfactuals, sample
from genens.schedules import schedule
from genens.unet import UNetConfig, build

STEPS = schedule(3)


@pytest.fixture
def members():
    """Four small untrained networks, and the noise of two samples."""
    config = UNetConfig(width=8, multipliers=(1, 2), attention=(), blocks=1, skip=True)
    found = Ensemble([build(config, i) for i in range(4)], codes.constant_weight(6, 4, 2, 0), (1, 8, 8))
    return found, Noise(0, range(2), found.shape, len(STEPS)).tensor()


@torch.no_grad()
def test_the_reference_samples_ablates_and_differentiates_as_the_core_does(members):
    found, noise = members
    plain = reference.sample(found.models, noise, torch.full((4,), 0.25), STEPS)
    torch.testing.assert_close(plain.clamp(-1, 1), sample(found, noise, STEPS)[0], atol=1e-5, rtol=0)
    without = reference.counterfactuals(found.models, noise, found.codes, [0, 3], STEPS)
    torch.testing.assert_close(without, counterfactuals(found, noise, STEPS, found.codes, [0, 3]), atol=1e-5, rtol=0)
    jacobians.prepare()
    J = reference.jacobian(found.models, noise, STEPS)
    torch.testing.assert_close(J, jacobians.jacobian(found, noise, STEPS)[1], atol=1e-4, rtol=1e-3)


def test_the_reference_finds_what_the_search_finds():
    drawn, J = codes.constant_weight(500, 12, 6, 0), torch.randn(3, 12, 40, generator=torch.Generator().manual_seed(0))
    rows, lengths = reference.search(J, torch.from_numpy(drawn), 5, part=100)
    top = attribution.top_k(jacobians.gram(J[:, :, :, None, None]), drawn, 5)
    np.testing.assert_allclose(lengths, top.influence, rtol=1e-5)
    influence = attribution.influence(jacobians.gram(J[:, :, :, None, None]), drawn)
    np.testing.assert_allclose(np.take_along_axis(influence, rows.numpy(), 1), top.influence, rtol=1e-5)  # or its tie


def test_a_line_has_the_ratio_of_two_ways_that_agree(capsys, monkeypatch):
    monkeypatch.setattr(program, "LEAST", 0.0)
    calls = []
    found = program.line("one: other", lambda: calls.append("plain"), lambda: calls.append("fast"), 1e-7, 1e-6, 2, 3)
    assert calls == ["plain", "fast"] * 3
    assert found["ratio"]["low"] <= found["ratio"]["median"] <= found["ratio"]["high"] and found["target"] == 2
    assert "one: other" in capsys.readouterr().out
    with pytest.raises(ValueError, match="expected one to agree to 1e-06, got 1.0e-03"):
        program.line("one", None, None, 1e-3, 1e-6)
    with pytest.raises(ValueError, match="got nan"):
        program.line("one", None, None, float("nan"), 1e-6)


def test_the_scan_writes_its_codes_once_and_checks_itself(tmp_path):
    found = program.scan(tmp_path, N=3000, n=16, B=2, k=7, check=1000)
    assert found["codes"] == 3000 and found["seconds"] > 0
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == 6000
    np.testing.assert_array_equal(
        np.fromfile(file, np.uint8).reshape(-1, 2), codes.scattered(range(3000), 16, 8, 0).bits
    )
    before = file.stat().st_mtime_ns
    program.scan(tmp_path, N=3000, n=16, B=2, k=7)
    assert file.stat().st_mtime_ns == before


def test_a_rule_of_all_columns_is_the_cores_jacobian(members):
    found, noise = members
    for per_step in (1, 2, 4):
        turn = rules.in_turn(lambda k, m=per_step: m, range(4))
        y, J, passes = rules.jacobian(found, noise, STEPS, turn, None)
        wanted = jacobians.jacobian(found, noise, STEPS, None, per_step, "differences")
        torch.testing.assert_close(y, wanted[0])
        assert program.relative(J, wanted[1]) < 1e-3 and passes == 3 * 4 + 2 * per_step * 5
    for directions in (3, 4):  # with their mean, all that four columns can have
        _, J, _ = rules.jacobian(found, noise, STEPS, turn, directions)
        assert program.relative(J, wanted[1]) < 1e-2  # differences, along other lines


def test_the_strongest_directions_are_the_best_of_their_number():
    J = torch.randn(5, 2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    for r in (1, 2, 4):
        coefficients, images = rules.strongest(J, r)
        left = J - torch.einsum("bnr,rb...->nb...", coefficients, images)
        columns = (J - J.mean(0)).transpose(0, 1).flatten(2)
        rest = torch.linalg.svdvals(columns)[:, r:].square().sum(1).sqrt()
        torch.testing.assert_close(left.transpose(0, 1).flatten(1).norm(dim=1), rest, atol=1e-5, rtol=1e-4)


def test_members_take_turns_without_a_gap():
    turn = rules.in_turn(lambda k: 3 if k < 3 else 1, [*range(4)])
    assert [turn(k) for k in range(1, 6)] == [[3, 0, 1], [2, 3, 0], [1], [2], [3]]
    held = codes.constant_weight(20, 6, 3, 0)
    order = rules.apart(held)
    shared = held.T.astype(int) @ held.astype(int)
    assert sorted(order) == [*range(6)] and shared[order[0], order[1]] == np.delete(shared[order[0]], order[0]).min()


def test_the_gpus_bench_keeps_every_part_and_says_which_failed(members, monkeypatch, tmp_path):
    """On the CPU, a GPU pretended: none of its figures means anything, but its code has run before one is lent."""
    found, out = members[0], tmp_path / "gpu.json"
    small = Recipe(dataset="mnist", n=2, h=1, steps=3, batch=4, unet=found.models[0].config.to_dict())
    one = paper.Size("mnist16", small, 10, 4, 4, 2)
    for name in ("synchronize", "empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(gpu, "name", lambda: "pretended")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    monkeypatch.setattr(gpu, "LEAST", 0.0)
    monkeypatch.setattr(gpu, "recipes", lambda file: {"mnist16": small})
    monkeypatch.setattr(gpu.paper, "sizes", lambda: {"mnist16": one})
    monkeypatch.setattr(gpu.ensemble, "load", lambda folder, device: found)
    monkeypatch.setattr(gpu.graphs, "recorded", lambda function, state: function)
    monkeypatch.setitem(gpu.STAGES, "train, bfloat16", lambda size: (_ for _ in ()).throw(RuntimeError("no memory")))
    monkeypatch.setattr("sys.argv", ["bench.gpu", "--out", str(out)])
    gpu.main()
    said = json.loads(out.read_text())
    assert said["gpu"] == "pretended" and said["training"]["apart"] == 0
    ways = said["sampling"]["ways"]
    assert len(ways) == 5 and all(way["apart"] < 1e-4 for name, way in ways.items() if "bfloat16" not in name), ways
    assert [way["apart"] < 1e-3 for way in said["jacobian"]["ways"].values()] == [True] * 3
    assert {*said["paper"]["mnist16"]} == {*gpu.STAGES}
    assert said["paper"]["mnist16"].pop("train, bfloat16") == {"failed": "no memory"}
    assert all(stage["seconds"] > 0 and stage["units"] > 0 for stage in said["paper"]["mnist16"].values())


def test_trainings_are_judged_in_pairs(members, monkeypatch, tmp_path):
    theirs = np.random.default_rng(0).normal(10, 1, 400)
    value, error = shorter.relative(theirs * 1.02, theirs)
    assert value == pytest.approx(0.02) and 0 < error < 2e-4  # unpaired, it would be 0.007
    value, error = shorter.more(np.mean, theirs + 1, theirs)
    assert value == pytest.approx(1) and error < 1e-9
    monkeypatch.setattr(shorter, "DRAWN", 5)
    monkeypatch.setattr(shorter, "AT_ONCE", 5)
    monkeypatch.setattr(shorter, "STEPS", 3)
    y = shorter.drawn(members[0], tmp_path / "y.npz")
    assert y.shape == (5, *members[0].shape) and y.dtype == np.uint8 and y.std() > 1
    assert [*tmp_path.iterdir()] == [tmp_path / "y.npz"]
    assert np.array_equal(shorter.drawn(None, tmp_path / "y.npz"), y)  # nothing is drawn again
