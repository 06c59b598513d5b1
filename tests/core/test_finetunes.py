"""Fine-tunes mixed by their weights: sampling, Jacobian and counterfactuals as of one network a mixture."""

import dataclasses

import numpy as np
import pytest
import torch

from genens import codes as coding
from genens import data, ensemble, files, finetunes, jacobians
from genens.ensemble import Ensemble
from genens.finetunes import Averaged, FineTunes, Subspace
from genens.recipe import FineTune, Recipe, recipes
from genens.sampling import Noise, counterfactuals, sample
from genens.schedules import alpha_bars, schedule
from genens.train import train_ensemble
from genens.tuning import gradient_scale, tune_member, tuning_draws
from genens.unet import UNetConfig, build

CONFIG = UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1, skip=True)
CODES = coding.constant_weight(6, 4, 2, 0)
STEPS = schedule(4)


def made(kind=Averaged, dtype=torch.float64, n=4):
    torch.manual_seed(0)
    base = build(CONFIG, 0).to(dtype)
    P = sum(value.numel() for value in base.parameters())
    draws = torch.Generator().manual_seed(1)
    theta = torch.cat([weight.flatten() for weight in base.parameters()])
    return kind(
        base,
        0.02 * torch.randn(n, P, generator=draws, dtype=dtype) * (theta.abs() + 0.1),
        CODES,
        (1, 28, 28),
        precision="float64",
    )


def flat(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def noise(dtype=torch.float64, B=2):
    return Noise(3, range(B), (1, 28, 28), len(STEPS)).tensor().to(dtype)


def test_a_mixture_of_weights_draws_as_the_network_of_the_mean_weights():
    members, v = made(), np.array([[0.25] * 4, [0.5, 0, 0.5, 0]])
    y = sample(members, noise(), STEPS, v)
    for row, weights in zip(y, v, strict=True):
        torch.testing.assert_close(row, sample(members.mean(weights), noise(), STEPS)[0], rtol=0, atol=0)
    mean = flat(members.base) + (members.differences[0] + members.differences[2]) / 2
    torch.testing.assert_close(flat(members.network(v[1])), mean)


def test_counterfactuals_of_each_sample_its_own():
    members, rows = made(), np.array([[0, 3], [5, 3]])
    y = counterfactuals(members, noise(), STEPS, CODES, rows)
    for b in range(2):
        for k in range(2):
            alone = members.mean(coding.ablated(CODES, rows[b, k]))
            torch.testing.assert_close(y[k, b], sample(alone, noise()[b : b + 1], STEPS)[0, 0], rtol=0, atol=1e-12)


def test_the_jacobian_is_that_of_the_mean_network_by_the_mixture():
    members = made()
    y, J = jacobians.jacobian(members, noise(), STEPS)
    h = 1e-5
    for i in range(4):
        moved = [members.network(np.full(4, 0.25) + sign * h * np.eye(4)[i]) for sign in (1, -1)]
        sides = [jacobians.trajectory(_single(members, network), noise(), STEPS, torch.ones(1)) for network in moved]
        torch.testing.assert_close(J[:, i], (sides[0] - sides[1]) / (2 * h), rtol=1e-4, atol=1e-6)


def test_a_rule_that_averaged_members_have_not_is_refused_and_not_passed_over():
    for given in ({"per_step": 1}, {"tangents": "differences"}):
        with pytest.raises(ValueError, match="expected per_step 4 and tangents forward"):
            jacobians.jacobian(made(), noise(), STEPS, **given)


def _single(members, network):
    return Ensemble([network], CODES[:, :1], members.shape, precision="float64")


# ---------------------------------------------------------------- training

TINY = dict(width=8, multipliers=[1], attention=[], blocks=1, skip=True)
BASE = Recipe(dataset="mnist", steps=6, n=1, h=1, limit=12, batch=4, unet=TINY)
TUNED = FineTune(dataset="mnist", base="base", steps=5, lr=1e-4, n=4, h=2, limit=6)


def rows(*which, of=6):
    return data.Rows(data.load("mnist").images[:of], torch.tensor(which))


def untrained():
    """A network that is not at the start of training, where its last layer hardly does anything."""
    base = build(UNetConfig(**TINY), 0)
    for weight in base.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return base


def tuned(which, recipe=TUNED, member=0):
    base = untrained()
    scale = gradient_scale(base, Subspace(base, recipe.rank), data.load("mnist").images[:12], BASE, 4)
    return tune_member(rows(*which), recipe, member, base, scale)[0]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_fine_tune_is_gradient_descent_scaled_by_public_numbers(momentum):
    """Against torch's SGD in other units, fed by a loop over images."""
    base, recipe = untrained(), dataclasses.replace(TUNED, momentum=momentum)
    scale = gradient_scale(base, Subspace(base), data.load("mnist").images[:12], BASE, 4)
    change, _ = tune_member(rows(0, 2, 5), recipe, 0, base, scale)
    model, bars = untrained(), torch.from_numpy(alpha_bars()).float()
    sizes = scale.split([weight.numel() for weight in model.parameters()])
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=momentum)
    for t, noise in tuning_draws(6, (1, 28, 28), recipe, 0, 1000):
        optimiser.zero_grad()
        for row in (0, 2, 5):
            bar = bars[t[row]]
            x = data.to_unit(data.load("mnist").images[row : row + 1])
            predicted = model(bar.sqrt() * x + (1 - bar).sqrt() * noise[row], t[row : row + 1])
            ((predicted - noise[row]).square().mean() / bar / 6).backward()
        for weight, size in zip(model.parameters(), sizes, strict=True):
            weight.grad /= size.view_as(weight)
        optimiser.step()
    expected = flat(model) - flat(base)
    assert (change - expected).norm() < 1e-3 * expected.norm()
    assert scale.min() > 0 and scale.median() > 0


def test_with_common_random_numbers_only_the_images_tell_members_apart():
    assert torch.equal(tuned([0, 1]), tuned([0, 1], member=3))
    own = FineTune(**{**vars(TUNED), "common": False})
    assert not torch.equal(tuned([0, 1], own), tuned([0, 1], own, member=3))
    other = FineTune(**{**vars(TUNED), "seed": 1})
    assert not torch.equal(tuned([0, 1]), tuned([0, 1], other))
    apart = tuned([0]) + tuned([1])  # a short fine-tune on both is nearly the sum of one on each
    assert (tuned([0, 1]) - apart).norm() < 0.2 * apart.norm()


def test_a_subspace_moves_each_matrix_along_few_directions_and_everything_else_freely():
    network, rank = untrained(), 3
    subspace = Subspace(network, rank)
    numbers = torch.randn(sum(subspace.sizes), generator=torch.Generator().manual_seed(3))
    moved = subspace.change(numbers)
    for name, weight in network.named_parameters():
        narrow = weight.ndim > 1 and min(weight.shape[0], weight[0].numel()) > rank
        if narrow:
            assert torch.linalg.matrix_rank(moved[name].flatten(1)) == rank
        assert moved[name].shape == weight.shape and (name in subspace.inner) == narrow
    assert len(numbers) < len(flat(network)) == sum(Subspace(network).sizes)
    # Its gradient is the whole one along those directions.
    gradients = [torch.randn(w.shape, generator=torch.Generator().manual_seed(k)) for k, w in enumerate(moved.values())]
    along = sum((g * m).sum() for g, m in zip(gradients, moved.values(), strict=True))
    torch.testing.assert_close(subspace.of(gradients) @ numbers, along, rtol=1e-4, atol=1e-4)


def test_fine_tunes_of_low_rank_learn_in_their_subspace_and_come_back(tmp_path):
    train_ensemble(BASE, tmp_path / "base", checkpoints=tmp_path / "c")
    low = FineTune(**{**vars(TUNED), "rank": 2})
    train_ensemble(low, tmp_path / "low", workers=1, checkpoints=tmp_path / "c")
    members = finetunes.load(tmp_path / "low")
    assert members.differences.shape[1] == sum(Subspace(members.base, 2).sizes)
    change = members.subspace.change(members.differences[1])
    for name, weight in members.network(np.eye(4)[1]).named_parameters():
        torch.testing.assert_close(weight, members.weights[name] + change[name])


def test_an_image_is_seen_at_times_from_all_parts():
    times = torch.stack([t for t, _ in tuning_draws(6, (1, 2, 2), TUNED, 0, 1000)])
    assert torch.equal((times // 200).sort(0).values, torch.arange(5)[:, None].expand(5, 6))


def test_fine_tunes_are_trained_beside_their_base_and_come_back(tmp_path):
    assert train_ensemble(BASE, tmp_path / "base", checkpoints=tmp_path / "c")
    assert train_ensemble(TUNED, tmp_path / "tuned", workers=2, checkpoints=tmp_path / "c")
    assert not list((tmp_path / "c").glob("tuned*[0-9a-f]"))
    base, members = ensemble.load(tmp_path / "base"), finetunes.load(tmp_path / "tuned")
    assert base.codes.all() and members.manifest["base"] == base.digest
    scale = gradient_scale(base.models[0], Subspace(base.models[0]), data.load("mnist").images[:12], BASE)
    for i in range(4):
        change = tune_member(rows(*np.flatnonzero(members.codes[:, i])), TUNED, i, base.models[0], scale)[0]
        assert (members.differences[i] - change).norm() < 1e-3 * change.norm()
    apart = finetunes.load(tmp_path / "tuned", average=False)
    given = noise(torch.float32)
    whole, each = sample(members, given, STEPS)[0], sample(apart, given, STEPS)[0]
    assert not torch.equal(whole, each)
    torch.testing.assert_close(whole, each, rtol=0, atol=1e-3)


def test_what_cannot_be_a_fine_tune_is_refused(tmp_path):
    several = Recipe(dataset="mnist", steps=1, n=2, h=1, limit=2, batch=2, unet=TINY)
    train_ensemble(several, tmp_path / "base", checkpoints=tmp_path / "c")
    with pytest.raises(ValueError, match="expected one network in base, the base of tuned; got 2"):
        train_ensemble(TUNED, tmp_path / "tuned", checkpoints=tmp_path / "c")
    wrong = (
        {"base": "../x"},
        {"lr": 0},
        {"steps": 0},
        {"rank": -1},
        {"momentum": 1.0},
        {"times": (0, 1, 0.5)},
        {"weight": "w"},
    )
    for change in wrong:
        with pytest.raises(ValueError, match="expected"):
            FineTune(**{**vars(TUNED), **change})
    (tmp_path / "r.yml").write_text("train: {a: {dataset: mnist, base: b, steps: 2, lr: 0.1, n: 4, h: 2}}")
    assert recipes(tmp_path / "r.yml")["a"] == FineTune(dataset="mnist", base="b", steps=2, lr=0.1, n=4, h=2)
    with pytest.raises(ValueError, match=r"expected differences \(4, "):
        FineTunes(build(CONFIG, 0), torch.zeros(3, 2), CODES, (1, 28, 28))


def test_damaged_differences_are_refused(tmp_path):
    base = Ensemble([build(CONFIG, 0)], np.ones((6, 1), bool), (1, 28, 28))
    about = {"unet": CONFIG.to_dict(), "shape": [1, 28, 28]}
    changes = made(dtype=torch.float32).differences
    finetunes.save(tmp_path / "ok", base, changes, CODES, about)
    torch.testing.assert_close(finetunes.load(tmp_path / "ok").differences, changes, rtol=2e-3, atol=1e-5)
    changes[1, 2] = float("nan")
    finetunes.save(tmp_path / "bad", base, changes, CODES, about)
    with pytest.raises(ValueError, match="expected finite differences"):
        finetunes.load(tmp_path / "bad")
    file = tmp_path / "ok" / finetunes.DIFFERENCES
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="truncated"):
        finetunes.load(tmp_path / "ok")
    assert files.read_folder(tmp_path / "bad")[0]["n"] == 4
