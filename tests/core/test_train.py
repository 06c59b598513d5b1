"""Training: deterministic, and not disturbed by being stopped at any moment."""

import dataclasses
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from support import ROOT

from genens import codes as coding
from genens import data, ensemble, files, train, training
from genens.recipe import Recipe
from genens.schedules import alpha_bars
from genens.seeds import generator
from genens.train import train_ensemble
from genens.training import Trainer, batches, learning_rate, loss, train_member, training_times
from genens.unet import UNetConfig, build

TINY = dict(width=8, multipliers=[1], attention=[], blocks=1)
RECIPE = Recipe("mnist", steps=12, classes=(0, 1, 2, 3, 4, 6, 8), limit=64, batch=8, unet=TINY)
PLAIN = Recipe("mnist", steps=12, n=4, h=2, limit=6, batch=4, unet=TINY)


def images(count=20):
    return data.load("mnist").images[:count]


def test_a_worker_keeps_one_members_images_in_memory(tmp_path, monkeypatch):
    """Each has its own view of them, and a large data set is mapped once for every view."""
    alive, views = [], weakref.WeakSet()

    class Watched(Trainer):
        def __init__(self, images, *rest):
            views.add(images)
            alive.append(len(views))
            super().__init__(images, *rest)

    monkeypatch.setattr(training, "Trainer", Watched)
    monkeypatch.setattr(train, "_progress", {}, raising=False)
    gc.disable()
    try:
        for member in range(3):
            train._work(dataclasses.replace(RECIPE, steps=1), "cpu", 60, None, member, tmp_path / str(member))
    finally:
        gc.enable()
    assert alive == [1, 1, 1]


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_is_the_simple_objective():
    model, bars = build(UNetConfig(**TINY), 0).double(), torch.from_numpy(alpha_bars())
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise, t = x.flip(0), torch.tensor([0, 500, 999])
    expected = np.mean(
        [
            (
                (
                    model(bars[t[i]].sqrt() * x[i : i + 1] + (1 - bars[t[i]]).sqrt() * noise[i : i + 1], t[i : i + 1])
                    - noise[i]
                )
                ** 2
            )
            .mean()
            .item()
            for i in range(3)
        ]
    )
    assert loss(model, x, t, noise, bars).item() == pytest.approx(expected, rel=1e-6)


def test_gradients_of_a_minibatch_in_parts_add_up_to_those_of_the_whole():
    """In float64: Adam divides a gradient by its own size, and so makes much of what float32 rounds away."""
    recipe = dataclasses.replace(PLAIN, batch=7, steps=3)
    torch.set_default_dtype(torch.float64)
    try:
        whole, parts = Trainer(images(), recipe, 0), Trainer(images(), recipe, 0, part=3)
        for _ in range(3):
            assert parts.advance().item() == pytest.approx(whole.advance().item(), rel=1e-5)
    finally:
        torch.set_default_dtype(torch.float32)
    for name, weight in whole.state().items():
        torch.testing.assert_close(parts.state()[name], weight, rtol=1e-9, atol=1e-11)


def test_training_lowers_the_loss():
    recipe = dataclasses.replace(PLAIN, steps=60, batch=16)
    trainer = Trainer(images(200), recipe, 0)
    values = [trainer.advance().item() for _ in range(60)]
    assert np.mean(values[-10:]) < 0.8 * np.mean(values[:10])


def test_a_member_is_a_function_of_seed_and_member():
    first = train_member(images(), PLAIN, 1)
    assert equal(first, train_member(images(), PLAIN, 1))
    assert not equal(first, train_member(images(), PLAIN, 2))
    assert not equal(first, train_member(images(), dataclasses.replace(PLAIN, seed=1), 1))


@pytest.mark.parametrize(
    "change", [{}, {"replace": True, "flip": True}, {"unet": TINY | {"dropout": 0.3}}, {"optimizer": "muon"}]
)
def test_a_stopped_run_ends_with_the_same_weights(tmp_path, change):
    recipe = dataclasses.replace(PLAIN, **change)
    whole = train_member(images(), recipe, 0)

    class Stop(Exception):
        pass

    def stop_at_seven(step):
        if step == 7:
            raise Stop

    with pytest.raises(Stop):
        train_member(images(), recipe, 0, tmp_path / "c", stop_at_seven, save_every=0)
    resumed = Trainer(images(), recipe, 0)
    resumed.resume(tmp_path / "c")
    assert resumed.step == 6
    assert equal(whole, train_member(images(), recipe, 0, tmp_path / "c"))


def test_a_checkpoint_with_a_flipped_bit_is_refused_and_one_of_an_earlier_version_is_not(tmp_path):
    trainer, file = Trainer(images(), PLAIN, 0), tmp_path / "c"
    trainer.losses.append(trainer.advance())
    trainer.save(file, 1.0, 1.0)
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    (tmp_path / "flipped").write_bytes(content)
    with pytest.raises(ValueError, match="flipped, got something else .its sha256 is not the one in it.; delete it"):
        Trainer(images(), PLAIN, 0).resume(tmp_path / "flipped")
    with safe_open(file, "pt") as opened:
        note, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    del note["sha256"]
    (tmp_path / "earlier").write_bytes(to_bytes(tensors, note))
    assert Trainer(images(), PLAIN, 0).resume(tmp_path / "earlier") == (1.0, 1.0)


def test_what_a_process_leaves_that_is_killed_when_all_is_written_goes_the_next_time(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(train, "recipes", lambda file: {"pair": dataclasses.replace(PLAIN, n=2, h=1, limit=2, steps=1)})
    command = ["toy.yml", "--out", str(tmp_path), "--workers", "1", "--missing"]
    assert train.main(command) == 0
    runs = train._runs(train.recipes("")["pair"], None, tmp_path / "pair", None)
    for left in (runs / "member_00", runs.with_name(f".{runs.name}.0123456789ab.tmp")):
        left.mkdir(parents=True)
    runs.with_name(f"{runs.name}.01.lock").touch()
    with files.locked(runs.with_name(f"{runs.name}.00.lock")):  # another process trains it again
        assert train.main(command) == 0 and runs.is_dir()
    assert train.main(command) == 0 and not list(runs.parent.iterdir())


def test_epochs_see_every_image_equally_often():
    stream = batches(10, 4, False, 0, 0)
    rows = torch.cat([next(stream) for _ in range(15)])  # 60 draws: 6 epochs
    assert torch.equal(rows.bincount(), torch.full((10,), 6))
    later = batches(10, 4, False, 0, 0, start=9)
    assert torch.equal(next(later), rows[36:40])


def test_muon_turns_the_inner_convolutions_in_all_directions_alike():
    """Its step is the gradient made orthogonal: all singular values alike, of a size that suits AdamW's rate."""
    trainer = Trainer(images(), dataclasses.replace(PLAIN, optimizer="muon", schedule="constant"), 0)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.advance()
    after = dict(trainer.model.named_parameters())
    inner = {f"{block}.conv{i}.weight" for block in ("down.0", "middle.0", "middle.1", "up.0", "up.1") for i in (1, 2)}
    assert {name for name in after if name in trainer.matrices} == inner
    matrix = (
        (after["up.1.conv2.weight"] - before["up.1.conv2.weight"]).detach().flatten(1)
    )  # the first to get a gradient
    values = torch.linalg.svdvals(matrix) / (PLAIN.lr * 0.2 * max(matrix.shape) ** 0.5)
    assert 0.4 < values.min() and values.max() < 1.4
    assert (after["tail.bias"] - before["tail.bias"]).abs().max() <= 1.01 * PLAIN.lr  # AdamW


def test_muon_takes_every_inner_weight_that_is_wide_if_asked():
    trainer = Trainer(images(), dataclasses.replace(PLAIN, optimizer="muon", matrices="wide"), 0)
    inner = {name: p for name, p in trainer.model.named_parameters() if name.split(".")[0] not in ("head", "tail")}
    wide = {name for name, p in inner.items() if p.ndim > 1 and p.shape[0] <= p[0].numel()}
    high = {name for name, p in inner.items() if p.ndim > 1} - wide
    assert set(trainer.matrices) == wide and high and {inner[name].ndim for name in wide} == {2, 4}
    before = {name: p.detach().clone() for name, p in inner.items()}
    trainer.advance()
    assert all((p != before[name]).any() for name, p in inner.items() if name in wide | high)


def test_muons_momentum_is_the_recipes():
    ends = []
    for momentum in (0.95, 0.95, 0.5):
        trainer = Trainer(images(), dataclasses.replace(PLAIN, optimizer="muon", momentum=momentum), 0)
        trainer.advance()
        trainer.advance()
        ends.append(trainer.state()["middle.0.conv1.weight"])
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_times_are_uniform_or_logit_normal():
    drawn = training_times(20000, 1000, (), generator(0)).double()
    assert drawn.min() == 0 and drawn.max() == 999 and abs(drawn.mean() - 499.5) < 10
    draws = [training_times(64, 1000, (-0.8, 0.5), generator(seed)) for seed in range(300)]
    share = (torch.stack(draws).double() + 0.5) / 1000  # the middle of the interval that was rounded down to this time
    z = torch.log(share / (1 - share))
    assert abs(z.mean() + 0.8) < 0.01 and abs(z.std() - 0.5) < 0.01
    below = (share < share.median()).sum(dim=1)
    assert ((below - 32).abs() <= 1).all()  # every minibatch is spread alike
    assert (torch.stack(draws)[0] != torch.stack(draws)[1]).any()
    assert training_times(20, 1000, (40.0, 1.0), generator(0)).max() == 999  # never one past the last


def test_a_share_of_the_times_is_uniform():
    draws = torch.stack([training_times(64, 1000, (-0.8, 0.05, 0.25), generator(seed)) for seed in range(300)])
    far = ((draws < 260) | (draws > 365)).sum(dim=1)  # four deviations of the narrow part and more
    assert ((far - 16 * 0.895).abs() <= 2).all()  # a quarter of every minibatch, less what falls into the narrow part
    high = draws[draws > 365].double()
    assert abs(high.mean() - 682.5) < 10 and high.max() > 990


def test_one_cycle_climbs_and_falls_to_zero():
    rates = [learning_rate(step, dataclasses.replace(PLAIN, steps=200)) for step in range(200)]
    assert max(rates) == pytest.approx(PLAIN.lr) and np.argmax(rates) in (19, 20)
    assert rates[0] < PLAIN.lr / 10 and rates[-1] < PLAIN.lr / 1000
    assert np.all(np.diff(rates[:20]) > 0) and np.all(np.diff(rates[20:]) < 0)


def test_the_rate_climbs_as_long_as_asked_and_falls_along_a_line():
    recipe = dataclasses.replace(PLAIN, steps=200, schedule="linear", climb=0.04)
    rates = np.array([learning_rate(step, recipe) for step in range(200)]) / PLAIN.lr
    assert rates[:8] == pytest.approx(np.arange(1, 9) / 8) and rates[8:] == pytest.approx(1 - np.arange(192) / 192)
    assert learning_rate(0, dataclasses.replace(recipe, climb=0.0)) == PLAIN.lr


@pytest.mark.parametrize(
    "given", [{"momentum": 1.0}, {"climb": -0.1}, {"climb": float("nan")}, {"matrices": "all"}, {"schedule": "cosine"}]
)
def test_settings_of_the_optimiser_that_cannot_be_are_refused(given):
    with pytest.raises(ValueError, match="expected .*" + next(iter(given)).replace("climb", "climbing")):
        dataclasses.replace(PLAIN, **given)


def test_the_class_ensemble_trains_loads_and_knows_its_codes(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    recipe = dataclasses.replace(RECIPE, steps=2)
    assert train_ensemble(recipe, tmp_path / "mnist7", workers=2)
    members = ensemble.load(tmp_path / "mnist7")
    chosen = recipe.images()
    assert members.n == 7 and members.shape == (1, 28, 28)
    assert np.array_equal(members.codes, recipe.codes(chosen)) and members.manifest["data"] == chosen.digest
    split = chosen.images[members.codes[:, 3]]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers have: sums of float32 depend on it in their last digits
    alone = train_member(split, recipe, 3)
    torch.set_num_threads(threads)
    weights = members.models[3].state_dict()
    assert all(torch.equal(weights[name], value.half().float()) for name, value in alone.items())
    assert not list(
        (tmp_path / "store" / "trained" / "checkpoints").iterdir()
    )  # checkpoints go once the ensemble is written


def test_members_that_are_done_are_kept_one_by_one_and_refused_when_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    recipe, kept = Recipe(dataset="mnist", steps=2, n=2, h=1, limit=2, batch=4, unet=TINY), tmp_path / "kept"
    assert not train_ensemble(recipe, tmp_path / "pair", [1], checkpoints=kept)
    (done,) = kept.glob("pair-*")
    assert [p.name for p in done.iterdir()] == ["member_01"]
    weights = done / "member_01" / "weights.safetensors"
    first = weights.read_bytes()
    weights.write_bytes(first[:-1] + b"x")
    with pytest.raises(ValueError, match="delete it to train this member again"):
        train_ensemble(recipe, tmp_path / "pair", checkpoints=kept)
    assert not (tmp_path / "pair").exists()
    weights.write_bytes(first)
    assert train_ensemble(recipe, tmp_path / "pair", checkpoints=kept) and not list(kept.iterdir())
    assert (tmp_path / "pair" / "member_01.safetensors").read_bytes() == first
    assert ensemble.load(tmp_path / "pair").manifest["member_loss"][1] > 0


def test_two_trainings_of_one_ensemble_end_well_and_the_second_waits_for_the_first(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    recipe = Recipe("mnist", steps=2, n=2, h=1, limit=2, batch=4, unet=TINY)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(train_ensemble, recipe, tmp_path / "pair", workers=1) for _ in range(2)]
        assert [job.result() for job in jobs] == [True, True]
    said = [line for line in capsys.readouterr().err.splitlines() if "waiting" in line]
    assert len(said) == 1 and "is training it" in said[0]
    assert ensemble.load(tmp_path / "pair").n == 2
    assert not list((tmp_path / "store" / "trained" / "checkpoints").iterdir())


def test_what_another_training_has_done_meanwhile_is_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(train, "_train_members", None)
    recipe, kept = Recipe("mnist", steps=2, n=2, h=1, limit=2, batch=4, unet=TINY), tmp_path / "kept"

    def others_write_it(path, wait):
        if path.name.endswith(".00.lock"):
            shutil.rmtree(path.with_name(path.name.removesuffix(".00.lock")))
        return nullcontext()

    monkeypatch.setattr(files, "locked", others_write_it)
    assert train_ensemble(recipe, tmp_path / "pair", checkpoints=kept)


def test_a_damaged_checkpoint_is_one_line(tmp_path):
    checkpoint = tmp_path / "member_00.safetensors"
    train_member(images(), PLAIN, 0, checkpoint)
    whole = checkpoint.read_bytes()
    other = dataclasses.replace(PLAIN, unet=TINY | {"width": 16})
    for content, recipe in ((whole[:-1], PLAIN), (b"", PLAIN), (whole, other)):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=f"expected a checkpoint of this recipe in {checkpoint}, got") as caught:
            train_member(images(), recipe, 0, checkpoint)
        assert "delete it to train this member from the start" in str(caught.value)


def test_kill_minus_nine_and_start_again(tmp_path):
    """The command line, killed in the middle of training and run again, against members trained without a stop."""
    recipe = {"dataset": "mnist", "n": 2, "h": 1, "limit": 2, "batch": 4, "steps": 100, "unet": TINY}
    (tmp_path / "toy.yml").write_text(f"train:\n  pair: {recipe}\n")
    program = (
        "import functools, sys; from genens import train\n"
        "train.train_ensemble = functools.partial(train.train_ensemble, save_every=0.3)\n"
        "if __name__ == '__main__': sys.exit(train.main(['toy.yml', '--only', 'pair', '--workers', '1']))\n"
    )
    script = tmp_path / "toy.py"
    script.write_text(program)

    def start():
        return subprocess.Popen(
            [sys.executable, script],
            cwd=tmp_path,
            env=os.environ | {"GENENS_STORE": str(tmp_path / "store")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    killed, trained = start(), tmp_path / "store" / "trained"
    waited = time.monotonic() + 60
    while not list(trained.glob("checkpoints/*/member_00.safetensors")):
        assert killed.poll() is None and time.monotonic() < waited, killed.stderr.read().decode()
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (trained / "toy").exists()

    again = start()
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors.decode()
    assert "step" in errors.decode()  # a bar with the time left
    made = Recipe(**recipe)
    digits = made.images()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the workers have
    for i, split in enumerate(coding.splits(made.codes(digits))):
        undisturbed = ensemble.to_file(train_member(digits.images[split], made, i))
        assert (trained / "toy" / "pair" / f"member_{i:02d}.safetensors").read_bytes() == undisturbed
    torch.set_num_threads(threads)


def test_a_process_of_several_is_killed_and_started_again_and_its_member_goes_on(tmp_path):
    """torchrun, two processes, three members; one process is killed in the middle of its first."""
    recipe = {"dataset": "mnist", "n": 3, "h": 1, "limit": 3, "batch": 4, "steps": 60, "unet": TINY}
    (tmp_path / "toy.yml").write_text(f"train:\n  three: {recipe}\n")
    (tmp_path / "toy.py").write_text(
        "import functools, os, sys; from genens import train\n"
        "train.train_ensemble = functools.partial(train.train_ensemble, save_every=0.2)\n"
        "if __name__ == '__main__':\n"
        "    open(f'rank{os.environ[\"RANK\"]}', 'a').write(f'{os.getpid()}\\n')\n"
        "    sys.exit(train.main(['toy.yml', '--only', 'three']))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=2"]
    environment = os.environ | {"GENENS_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(
        [*command, "toy.py"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    trained, waited = tmp_path / "store" / "trained", time.monotonic() + 120
    while not list(trained.glob("checkpoints/*/member_01.safetensors")):
        assert run.poll() is None and time.monotonic() < waited, run.stderr.read().decode()
        time.sleep(0.01)
    os.kill(int((tmp_path / "rank1").read_text()), signal.SIGKILL)
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors.decode()
    assert (tmp_path / "rank1").read_text().count("\n") == 2  # it was started a second time
    made = Recipe(**recipe)
    digits, threads = made.images(), torch.get_num_threads()
    torch.set_num_threads(1)
    for i, split in enumerate(coding.splits(made.codes(digits))):
        undisturbed = ensemble.to_file(train_member(digits.images[split], made, i))
        assert (trained / "toy" / "three" / f"member_{i:02d}.safetensors").read_bytes() == undisturbed
    torch.set_num_threads(threads)


def test_only_some_members_make_an_ensemble_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    recipe = dataclasses.replace(RECIPE, steps=2, only=(1, 4))
    assert train.train_ensemble(recipe, tmp_path / "two", workers=2)
    found = ensemble.load(tmp_path / "two")
    assert found.n == 2 and np.array_equal(found.codes, recipe.codes(recipe.images())[:, [1, 4]])
    assert found.manifest["split_sizes"] == found.codes.sum(axis=0).tolist()
    assert len(found.manifest["member_loss"]) == 2
    assert Recipe(**found.manifest["recipe"]) == recipe
    assert not any((tmp_path / "store").glob("**/member_*"))


def test_members_that_an_ensemble_does_not_have_are_not_trained(tmp_path):
    with pytest.raises(ValueError, match="expected members of two, 1, 4; got 0, 2"):
        train.train_ensemble(dataclasses.replace(RECIPE, only=(1, 4)), tmp_path / "two", members=[0, 1, 2])
    assert not any(tmp_path.iterdir())


def test_images_of_a_group_share_a_code_and_all_others_have_their_own():
    recipe = Recipe("mnist", steps=1, n=16, h=8, limit=200, groups=(3, 7))
    images = recipe.images()
    codes, labels = recipe.codes(images), images.labels.numpy()
    for group in (3, 7):
        assert len(np.unique(codes[labels == group], axis=0)) == 1
    alone = ~np.isin(labels, (3, 7))
    assert len(np.unique(codes, axis=0)) == alone.sum() + 2 < len(codes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "sgd"},
        {"precision": "int8"},
        {"steps": 0},
        {"times": (0.5,)},
        {"times": (0.0, -1.0)},
        {"times": (0.0, 1.0, 1.0)},
        {"times": (0.0, 1.0, 0.2, 0.1)},
        {"only": (1, 0)},
        {"only": (0, 1, 99)},
    ],
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(ValueError, match="^expected"):
        dataclasses.replace(PLAIN, **wrong)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nope.yml"], "expected recipes under 'train' (name: settings) in nope.yml, found no such file"),
        ([], "expected a file that lists recipes, such as book/profiles/laptop.yml"),
        (
            [str(ROOT / "book" / "profiles" / "laptop.yml"), "--only", "nope"],
            "laptop.yml's mnist7, mnist16, planted16, twins16, digits1, signs, cifar20, faces24; got nope",
        ),
    ],
)
def test_the_command_line_says_what_it_expected(arguments, message, capsys):
    assert train.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_training_says_its_precision(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(train, "recipes", lambda file: {"some": dataclasses.replace(RECIPE, steps=2)})
    assert train.main(["toy.yml", "--only", "some", "--workers", "2"]) == 0
    said = capsys.readouterr().err
    assert "some: 7 members, 2 steps of 8 images each, in float32, 2 at a time\n" in said


def test_training_in_bfloat16_is_refused_where_the_cpu_emulates_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(ensemble, "has_bfloat16", lambda: False)
    monkeypatch.setattr(train, "recipes", lambda file: {"some": dataclasses.replace(RECIPE, precision="bfloat16")})
    assert train.main(["toy.yml", "--only", "some"]) == 2
    assert "11 times in training" in capsys.readouterr().err and not (tmp_path / "store").exists()
