"""The page of speeds: what a reader would see wrong in its tables and pictures."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from genens_book.chapters.speed import analysis, figures
from genens_book.pages import ledger

MADE = {
    "made": {"machine": "Linux x86_64, Some CPU", "date": "2026-11-25T00:00:00Z"},
    "machine": {"cores": 2, "instructions": "AVX2"},
}


def line(name, median, target=None, low=None, high=None, apart=0.0):
    ratio = {"median": median, "low": low or median, "high": high or median}
    seconds = {"plain": 0.004 * median, "fast": 0.004}
    return {"name": name, "ratio": ratio, "target": target, "apart": apart, "seconds": seconds}


LINES = [
    line("a pass: a loop", 1.8, 3, 1.6, 1.9, 2.4e-6),
    line("a search: J times", 3164.2, 500),
    line("codes: drawn", 179.0),
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_lines_without_a_target_count_for_nothing():
    assert analysis.met(LINES) == (1, 2)
    assert analysis.lines({"parts": {"one": {"lines": LINES[:1]}, "two": {"lines": LINES[1:]}}}) == LINES


def test_the_table_says_ratio_range_target_and_difference():
    first, second, third = analysis.ratios_table(LINES).text.splitlines()[1:]
    assert first.split("\t")[1:5] == ["1.8 (1.6 to 1.9)", "3", "2\u00a0×\u00a010⁻⁶", "7.2 ms"]
    assert second.split("\t")[1:4] == ["3,164 (3,164 to 3,164)", "500", "0"] and second.endswith("4.0 ms")
    assert third.split("\t")[2] == "–"


def test_a_bar_that_misses_its_target_has_another_colour():
    (ax,) = figures.ratios(LINES).axes
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[1] == colours[2] != colours[0]
    assert [bar.get_x() + bar.get_width() for bar in ax.patches] == [1.8, 3164.2, 179.0]
    assert ax.get_xscale() == "log" and "a pass:\na loop" in [label.get_text() for label in ax.get_yticklabels()]


def test_engines_that_lost_and_engines_that_were_not_run_are_in_the_table():
    row = {"ms": 30.0, "ms_low": 29.0, "ms_high": 31.0, "gflops": 113.4, "share": 0.577}
    found = {
        "forward": {"eager": row, "openvino": row | {"ms": 20.0}, "torch.compile": {"not run": "no compiler"}},
        "training": {"as it is, 1 thread": row},
        "tangents": {"forward mode": {"ms": 210.0, "ms_low": 200.0, "ms_high": 220.0}},
    }
    text = analysis.limit_table(found).text
    assert text.count("\n") == 5 and "not run: no compiler" in text and "58\u00a0%" in text
    assert analysis.best(found, "forward") == ("openvino", row | {"ms": 20.0})


def test_the_operators_that_take_most_are_listed_by_pass_and_step():
    one = {"operator": "aten::mkldnn_convolution", "share": 0.72, "calls": 1234}
    lines = analysis.operators_table({"operators": {"forward": [one], "training": [one, one]}}).text.splitlines()
    assert len(lines) == 4 and lines[1].split("\t") == [
        "forward pass",
        "aten::mkldnn_convolution",
        "72\u00a0%",
        "1,234",
    ]
    assert lines[3].startswith("training step")


def curve(exponent, x=(4, 8, 16, 32)):
    return {"theory": 1, "points": [{"x": n, "seconds": 0.1 * n**exponent, "megabytes": 100 + n} for n in x]}


def test_exponents_are_those_of_powers():
    found = {"curves": {"sampling, members": curve(1.0), "search, images": curve(2.0, (10, 100, 1000))}}
    curves = analysis.growth(found)
    assert [one.exponent.value for one in curves] == pytest.approx([1, 2])
    assert all(one.exponent.high - one.exponent.low < 1e-6 for one in curves)
    noisy = curve(1.0)
    for point, factor in zip(noisy["points"], (1.3, 0.8, 1.2, 0.9), strict=True):
        point["seconds"] *= factor
    (rough,) = analysis.growth({"curves": {"a, b": noisy}})
    assert rough.exponent.low < 1 < rough.exponent.high
    assert "1,000" in analysis.growth_table(curves).text and "0.10 to 0.13 GB" in analysis.growth_table(curves).text


def test_every_curve_has_a_panel_with_its_points_and_two_slopes():
    curves = analysis.growth({"curves": {f"sampling, {k}": curve(1.0) for k in "abcde"}})
    panels = [ax for ax in figures.growth(curves).axes if ax.lines]
    assert len(panels) == 5 and all(len(ax.lines) == 3 for ax in panels)
    fitted, theory, points = panels[0].lines
    np.testing.assert_allclose(fitted.get_ydata(), theory.get_ydata())
    assert len(points.get_xdata()) == 4


def rule(name, passes, ranks, **rest):
    return {"name": name, "passes": passes, "ranks": [ranks, ranks - 0.01, ranks + 0.01], **rest}


def test_rules_are_named_by_their_kind_and_stand_where_their_passes_are():
    rows = [
        rule("all members", 5000, 0.98, cosine=[1, 1, 1]),
        rule("two in turn", 900, 0.9),
        rule("one, then three", 950, 0.91),
        rule("two in turn, 8 directions", 700, 0.8),
        rule("adjoint, 8 random projections", 8000, 0.7),
    ]
    (ax,) = figures.rules(rows).axes
    assert {tuple(point.get_xdata()) for point in ax.lines[1::2]} == {(one["passes"],) for one in rows}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "members in turn",
        "members in turn, more at some steps",
        "fewer directions",
        "adjoint",
    ]
    head, first, second, *_ = analysis.rules_table({"rows": rows}).text.splitlines()
    assert (
        first.startswith("adjoint")
        and first.split("\t")[2] == "–"
        and second.split("\t")[:2] == ["all members", "5,000"]
    )
    assert "cosine" in head and second.split("\t")[2] == "1.000 (1.000 to 1.000)"


def test_two_chapters_at_once_are_set_against_one_after_the_other():
    found = {"chapters": ["a", "b"], "seconds": {"in turn": [90, 110], "side by side": [75, 85]}}
    told = analysis.side_by_side_words(found, {"a": "A", "b": "B"})
    assert told["pair"] == "“A” and “B”" and told["pair_verdict"] == "20\N{NO-BREAK SPACE}% less"
    assert told["pair_follows"].endswith("all the same.")
    found["seconds"]["side by side"] = [130]
    assert "busy by themselves" in analysis.side_by_side_words(found, {"a": "A", "b": "B"})["pair_follows"]
    assert analysis.side_by_side_words(found, {"a": "A", "b": "B"})["pair_verdict"] == "30\N{NO-BREAK SPACE}% more"


@pytest.mark.parametrize("text", ["{", "[]", "{}", None])
def test_a_damaged_file_is_one_line(tmp_path, text):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(
        FileNotFoundError if text is None else ValueError, match="what python -m bench measured in .* run the command"
    ) as caught:
        analysis.read(tmp_path / "results.json", "python -m bench", lambda found: found["parts"])
    assert "\n" not in str(caught.value)


def test_the_shipped_measurements_are_whole():
    results, engines, scaling = analysis.results(), analysis.engines(), analysis.scaling()
    assert len(analysis.lines(results)) >= 10 and results["scan"]["codes"] == 10**9
    held = analysis.engines(analysis.BENCH / "engines_avx2.json")
    assert held["machine"]["instructions"] == "AVX2" and len(held["operators"]["training"]) == 5
    assert len(analysis.growth(scaling)) >= 8
    assert analysis.rules_words(analysis.rules())["rule_exact_cosine"].startswith("1.000")
    assert analysis.side_by_side_words(analysis.side_by_side(), ledger.titles())["pair"].count("“") == 2
    told = analysis.machines(results, engines, scaling)
    assert all("cores of" in text for text in told.values()) and json.dumps(told)
    assert analysis.machines({"parts": {"a": MADE}, "scan": MADE}, MADE, MADE)["scan_machine"] == (
        "2 cores of Some CPU with AVX2, 2026-11-25"
    )


def test_a_gpu_that_was_not_at_hand_is_said_so_and_one_that_was_has_a_line_for_each_way(tmp_path):
    missing = analysis.gpu(tmp_path / "gpu.json")
    assert analysis.gpu_words(missing).startswith(
        "This was not run: no bench/gpu.json, which make bench DEVICE=cuda writes"
    )
    assert analysis.gpu_table(missing) is None
    seconds = {"a loop over members": 2.5, "the loop, recorded": 0.5, "all members in one batch": 1.0}
    ways = {name: {"seconds": value, "apart": 0.0} for name, value in seconds.items()}
    found = {
        "gpu": "NVIDIA X1",
        "made": MADE["made"],
        "training": {"apart": 1e-7, "kernel by kernel": 32.0, "recorded": 215.0},
        "sampling": {"samples": 64, "steps": 10, "ways": ways},
        "jacobian": {"failed": "out of memory"},
        "paper": {"cifar20": {"sample": {"seconds": 0.0016, "units": 1e7, "gigabytes": 1.25}}},
    }
    (tmp_path / "gpu.json").write_text(json.dumps(found))
    read = analysis.gpu(tmp_path / "gpu.json")
    words = analysis.gpu_words(read)
    assert words.startswith("Measured on NVIDIA X1, 2026-11-25. ") and "training step is 6.7 times as fast" in words
    assert "sampling 5.0 times by the loop, or 2.5 times by all members in one batch." in words
    assert analysis.gpu_words(read | {"sampling": {"failed": "x"}}) == "Measured on NVIDIA X1, 2026-11-25."
    rows = [row.split("\t") for row in analysis.gpu_table(read).text.splitlines()[1:]]
    assert rows == [
        ["a training step", "kernel by kernel", "31\u00a0ms", "1\u00a0×\u00a010⁻⁷", "–", "–"],
        ["", "recorded", "4.7\u00a0ms", "1\u00a0×\u00a010⁻⁷", "–", "–"],
        ["64 samples, 10 steps", "a loop over members", "2.5\u00a0s", "0", "–", "–"],
        ["", "the loop, recorded", "500\u00a0ms", "0", "–", "–"],
        ["", "all members in one batch", "1.0\u00a0s", "0", "–", "–"],
        ["Jacobians", "all ways", "failed: out of memory", "–", "–", "–"],
        ["the paper's cifar20", "sample", "1.6\u00a0ms", "–", "1.2\u00a0GB", "4\u00a0h"],
    ]
    (tmp_path / "gpu.json").write_text(json.dumps(found | {"paper": []}))
    with pytest.raises(ValueError, match="make bench DEVICE=cuda"):
        analysis.gpu(tmp_path / "gpu.json")
