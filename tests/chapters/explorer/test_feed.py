"""The explorer's data against plain versions, and what stands in its place without JavaScript."""

from __future__ import annotations

import base64
import itertools
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from support.explorer import CODES, B

from genens import attribution, files, jacobians
from genens import codes as coding
from genens_book.chapters.explorer import feed, figures
from genens_book.measures import classifier, stats

# ---------------------------------------------------------------- what is regenerated


def test_choice_has_the_top_images_then_their_twins_then_others_in_the_order_of_influence():
    codes = CODES["images"]
    gram = jacobians.gram(np.random.default_rng(1).normal(size=(5, 10, 1, 6, 6)))
    scores, top = attribution.influence(gram, codes), attribution.top_k(gram, codes, 3).rows
    twins = coding.complements(codes)
    assert (twins[top] < 0).any() and (twins[top] >= 0).any()  # both cases are met
    chosen = feed.choose(gram, codes, 3, 2, 0)
    assert chosen.shape == (5, 8)
    for b, rows in enumerate(chosen):
        assert len(set(rows)) == 8
        assert set(top[b]) <= set(rows) and set(twins[top[b]]) - {-1} <= set(rows)
        assert (np.diff(scores[b, rows]) <= 0).all() and rows[0] == top[b, 0]


def test_choice_of_more_than_there_are_is_all_of_them():
    gram = jacobians.gram(np.random.default_rng(1).normal(size=(2, 7, 1, 6, 6)))
    assert [sorted(rows) for rows in feed.choose(gram, CODES["classes"], 4, 4, 0)] == [list(range(7))] * 2


def test_choice_of_none_is_refused():
    with pytest.raises(ValueError, match="expected top of at least 1"):
        feed.choose(np.eye(7)[None], CODES["classes"], 0, 4, 0)


def test_placebo_band_is_of_the_codes_that_nobody_holds():
    codes = coding.constant_weight(12, 6, 3, 0)
    gram = jacobians.gram(np.random.default_rng(1).normal(size=(2, 6, 1, 5, 5)))
    held = {tuple(row) for row in codes}
    free = [bits for bits in itertools.product([False, True], repeat=6) if sum(bits) == 3 and bits not in held]
    assert len(free) == 8
    expected = np.quantile(attribution.influence(gram, np.array(free)), [0.025, 0.975], axis=1).T
    np.testing.assert_allclose(feed.placebo(gram, codes), expected)
    assert feed.placebo(gram, coding.unrank(range(20), 6, 3)) is None  # all are held


# ---------------------------------------------------------------- the data


def unpacked(scaled, shape):
    """Floats out of int16 rows and their scales."""
    numbers = np.frombuffer(base64.b64decode(scaled["int16"]), "<i2").reshape(len(scaled["scale"]), -1)
    return (numbers * np.array(scaled["scale"])[:, None]).reshape(shape)


@pytest.mark.parametrize("name", CODES)
def test_arrays_come_back_from_the_data(name, arrays, whole):
    (y, J, items, truth), part = arrays[name], whole["ensembles"][name]
    np.testing.assert_allclose(unpacked(part["y"], y.shape), y, atol=1e-4)
    np.testing.assert_allclose(unpacked(part["J"], J.shape), jacobians.centred(J), atol=1e-4)
    bits = np.frombuffer(base64.b64decode(part["codes"]), np.uint8).reshape(len(items.codes), -1)
    assert np.array_equal(np.unpackbits(bits, axis=1)[:, : J.shape[1]], items.codes)
    assert part["truth"]["rows"] == truth.rows.tolist()


def test_distances_of_true_images_are_those_measured_one_by_one(arrays, whole):
    y, J, items, truth = arrays["images"]
    told, n = whole["ensembles"]["images"]["truth"], J.shape[1]
    for b, (column, mixture, image) in itertools.product(
        range(B),
        [
            (2, lambda b: np.eye(n)[2], lambda b: truth.alone[b, 2]),
            (n + 1, lambda b: coding.ablated(items.codes, truth.rows[b, 1]), lambda b: truth.without[b, 1]),
        ],
    ):
        linear = (y[b, 0] + np.einsum("n,nhw->hw", mixture(b) - 1 / n, J[b, :, 0].astype(float))).clip(-1, 1)
        assert told["moved"][b][column] == pytest.approx(np.linalg.norm(image(b)[0] - truth.whole[b, 0]), rel=1e-5)
        assert told["missed"][b][column] == pytest.approx(np.linalg.norm(linear - image(b)[0]), rel=1e-5)


def test_agreement_is_over_the_regenerated_ablations_alone(arrays, whole):
    y, J, items, truth = arrays["images"]
    part, gram, n = whole["ensembles"]["images"], jacobians.gram(jacobians.centred(J)), J.shape[1]
    predicted, moved, missed = [], [], []
    for b, k in itertools.product(range(B), range(truth.rows.shape[1])):
        change = coding.ablated(items.codes, truth.rows[b, k]) - 1 / n
        predicted.append(np.linalg.norm(np.einsum("n,nhw->hw", change, J[b, :, 0].astype(float))))
        moved.append(part["truth"]["moved"][b][n + k])
        missed.append(part["truth"]["missed"][b][n + k])
    told = feed.agreement(part, gram, items)
    assert told["rank"] == pytest.approx(stats.spearman(predicted, moved))
    assert told["moved"] == pytest.approx(np.mean(moved)) and told["missed"] == pytest.approx(np.mean(missed))
    assert feed.regenerated(truth) == B * (n + truth.rows.shape[1])


def test_generally_influential_images_are_those_in_two_lists(arrays, whole):
    y, J, items, truth = arrays["images"]
    top = np.argsort(-attribution.influence(jacobians.gram(jacobians.centred(J)), items.codes), axis=1, kind="stable")[
        :, :2
    ]
    rows, counts = np.unique(top, return_counts=True)
    assert whole["ensembles"]["images"]["general"] == rows[counts > 1].tolist()


def test_table_for_pages_without_javascript_names_the_top_images(arrays):
    y, J, items, truth = arrays["images"]
    gram = jacobians.gram(jacobians.centred(J))
    lines = figures.top_table(gram, items, [7, 8, 9], 2).text.splitlines()
    scores = attribution.influence(gram, items.codes)
    for b, line in enumerate(lines[1:]):
        row = int(np.argmax(scores[b]))
        assert line.split("\t")[:3] == [str(b), str(7 + b), f"{row} (a {items.labels[row]}): {scores[b, row]:.3g}"]


def test_picture_for_pages_without_javascript_has_a_column_a_sample(arrays):
    y, J, items, truth = arrays["images"]
    figure = figures.overview(y, J, items, truth, 2)
    sheet = figure.axes[0].images[0].get_array()
    assert sheet.shape[:2] == (4 * 30 - 2, 2 * 30 - 2)
    top = items.thumbs[truth.rows[1, 0]] / 255
    np.testing.assert_allclose(sheet[30:58, 30:58, 0], top, atol=1e-6)  # second row, second column
    plt.close(figure)


def test_arrays_of_other_members_are_refused(arrays):
    y, J, items, truth = arrays["images"]
    with pytest.raises(ValueError, match=r"expected y \(B, 1, H, W\)"):
        feed.part(y, J[:, :5], items, truth, classifier.load(), 2)


def test_file_is_a_script_under_the_profile_and_has_a_limit(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    size, digest = feed.write(whole, "smoke")
    script = (tmp_path / "explorer" / "smoke" / "explorer-data.js").read_bytes()
    assert (size, digest) == (len(script), files.sha256(script))
    assert json.loads(script.decode().removeprefix("window.GENENS_EXPLORER = ").removesuffix(";\n")) == whole
    monkeypatch.setattr(feed, "LIMIT", 1000)
    with pytest.raises(ValueError, match="expected at most 1,000 bytes"):
        feed.write(whole, "smoke")
