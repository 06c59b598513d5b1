"""The contest of estimators: who knows the effects wins it, and the command writes a line for each."""

import json

import numpy as np
import pytest
import torch

from genens import finetunes
from genens_book.chapters.finetunes import contest, estimators, truth, words

MASKS = np.random.default_rng(0).random((5, 12)) < 0.5


def made(noise=0.0):
    """What retraining says of effects that are known, and one who knows them, but for noise."""
    draw = torch.Generator().manual_seed(0)
    moved = torch.randn((5, 3, 1, 4, 4), generator=draw) * torch.arange(1.0, 6).view(5, 1, 1, 1, 1)
    lengths, scores = estimators.norms(moved), np.random.default_rng(1).normal(size=(5, 3))
    true = truth.Truth(torch.zeros(2, 3, 1, 4, 4), np.stack([lengths] * 2), moved, MASKS, -(MASKS.T @ scores)[None], {})
    changes = moved + noise * torch.randn(moved.shape, generator=draw)
    return true, contest.Found("it", 4, estimators.norms(changes), changes, scores, 10)


def test_whoever_knows_the_effects_has_every_point():
    true, found = made()
    line = contest.row(found, "few", true, 1.0)
    wanted = {"spearman, this run", "hit@1, this run", "recall@10, this run", "cosine, this run", "LDS, this run"}
    assert wanted | {"spearman, another run", "hit@1, another run"} <= line.keys()
    for measure in wanted - {"recall@10, this run"}:
        assert line[measure][0] == pytest.approx(1, abs=1e-6), measure
    worse = contest.row(made(noise=8)[1], "few", true, 1.0)
    assert worse["spearman, this run"][0] < 0.9 and worse["cosine, this run"][0] < 0.9


def test_parts_of_an_ensemble_are_joined_and_cut(trained):
    parts = [finetunes.load(trained / name) for name in ("signs", "signs_more")]
    whole = contest.joined(parts)
    assert whole.n == 16 and np.array_equal(whole.codes[:, 8:], parts[1].codes)
    few = contest.first(whole, 9)
    assert few.n == 9 and torch.equal(few.differences, whole.differences[:9])
    assert len({whole.digest, few.digest, parts[0].digest}) == 3
    parts[1].manifest = parts[1].manifest | {"base": "other"}
    with pytest.raises(ValueError, match="one base on the same images"):
        contest.joined(parts)


def test_the_command_writes_a_line_for_each_estimator(trained, tmp_path, small, monkeypatch):
    monkeypatch.setattr(contest, "COUNTS", (8, 16))
    monkeypatch.setattr(contest, "SETS", {"signs": ("signs", "signs_more"), "signs_own": ("signs_own",)})
    monkeypatch.setattr(contest, "TUNED", ("tuned",))
    monkeypatch.setattr(contest, "RATED", "tuned")
    truth.main([str(trained), "--out", str(tmp_path / "truth")])
    contest.main([str(trained), str(tmp_path / "truth"), "--out", str(tmp_path / "found.json")])
    written = json.loads((tmp_path / "found.json").read_text())
    lines, (tuned,) = written["lines"], written["drift"]
    assert tuned["steps"] == 3 and 0 < tuned["apart"] < tuned["members"] < tuned["base"]
    told = [(line["estimator"], line["n"]) for line in lines if line["members"] == "signs"]
    assert {
        ("ridge of weights", 8),
        ("ridge of weights", 16),
        ("TRAK", 0),
        ("D-TRAK along the fine-tunes", 0),
        ("nearest pixels", 0),
        ("one list for all samples", 0),
    } <= {*told}
    assert {("ridge of weights, by the Jacobian", 8), ("nearest features", 0)} <= {*told}
    best = next(line for line in lines if (line["estimator"], line["n"]) == ("ridge of weights", 16))
    linear = next(one for one in lines if one["estimator"] == "ridge of weights, by the Jacobian" and one["n"] == 16)
    assert linear["cosine, this run"][0] == pytest.approx(best["cosine, this run"][0], abs=0.02)
    assert best["cosine, this run"][0] > 0.9  # three times as many members as images, and short fine-tunes
    with pytest.raises(SystemExit, match="nowhere"):
        contest.main([str(tmp_path / "nowhere"), str(tmp_path / "truth"), "--out", str(tmp_path / "x.json")])


def test_prose_names_the_best_rival_and_the_recalls_around_as_many_members_as_pictures():
    def line(name, n, **values):
        measures = {f"{key.replace('_', '@')}, this run": [v, v - 0.1, v + 0.1] for key, v in values.items()}
        return {"estimator": name, "n": n, "members": "signs", **measures}

    lines = [line("ridge of weights", n, recall_10=n / 16, spearman=0.9) for n in (4, 8, 16)]
    lines += [line("ablation", 16, recall_10=0.3), line("ridge of losses", 16, LDS=0.8)]
    lines += [line("in minus out of losses", 16, LDS=0.5), line("nearest pixels", 0, spearman=0.2, recall_10=0.1)]
    lines += [line("TRAK", 16, LDS=0.1, spearman=0.3, recall_10=0.2), line("D-TRAK", 16, LDS=0.4, spearman=0.1)]
    lines.append(line("one list for all samples", 0, hit_1=0.6, recall_10=0.2))
    said = words.compared(lines, 8)
    assert [float(said[f"recall_{when}"].split("\xa0")[0]) for when in ("half", "once", "twice")] == [25, 50, 100]
    assert (said["rival"], said["lds_rival"], said["most"]) == ("TRAK", "D-TRAK", "16")
    assert said["recall_ablation"].startswith("30\xa0%") and said["lds_in_out"].startswith("0.50")
