"""The explorer's data against plain versions, and what stands in its place without JavaScript."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from sphinx.errors import SphinxError
from support.explorer import CODES, SUBJECTS, B, judge_of

from genens import attribution, data, files, jacobians
from genens import codes as coding
from genens_book.chapters.explorer import feed, figures
from genens_book.measures import stats
from genens_book.press import sphinx_ext

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
def test_arrays_come_back_from_the_data(name, arrays, parts):
    (y, J, items, truth), part = arrays[name], parts[name]
    np.testing.assert_allclose(unpacked(part["y"], y.shape), y, atol=1e-4)
    np.testing.assert_allclose(unpacked(part["J"], J.shape), jacobians.centred(J), atol=1e-4)
    bits = np.frombuffer(base64.b64decode(part["codes"]), np.uint8).reshape(len(items.codes), -1)
    assert np.array_equal(np.unpackbits(bits, axis=1)[:, : J.shape[1]], items.codes)
    assert part["truth"]["rows"] == truth.rows.tolist() and part["shape"] == list(y.shape[1:])


def tiles(address, columns, side):
    """The tiles of a sheet one after the other, (N, side, side) or (N, side, side, 3)."""
    sheet = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    pixels = np.asarray(sheet.convert("L" if sheet.mode == "P" else sheet.mode))
    rows, channels = len(pixels) // side, pixels.shape[2:]
    return pixels.reshape(rows, side, columns, side, *channels).swapaxes(1, 2).reshape(-1, side, side, *channels)


@pytest.mark.parametrize("name", ["images", "photographs"])
def test_pictures_come_back_from_their_sheets(name, arrays, parts):
    (y, _, items, truth), part = arrays[name], parts[name]
    side, M, step = y.shape[-1], len(items.thumbs), {"images": 17, "photographs": 0}[name]  # 4 bits of grey
    found = tiles(part["thumbs"], 100, side)[:M].astype(int)
    assert abs(found - items.thumbs).max() <= step / 2
    assert part["kept"] == (None if name == "images" else items.rows.tolist())
    images = np.concatenate([truth.alone, truth.without], axis=1)
    found = tiles(part["truth"]["sheet"], images.shape[1], side).reshape(*images.shape[:2], side, side, -1)
    np.testing.assert_allclose(np.moveaxis(found, -1, 2) / 127.5 - 1, images, atol=0.51 / 127.5)


@pytest.mark.parametrize("name", ["images", "photographs"])
def test_distances_of_true_images_are_those_measured_one_by_one(name, arrays, parts):
    y, J, items, truth = arrays[name]
    told, n = parts[name]["truth"], J.shape[1]
    for b, (column, mixture, image) in itertools.product(
        range(B),
        [
            (2, lambda b: np.eye(n)[2], lambda b: truth.alone[b, 2]),
            (n + 1, lambda b: coding.ablated(items.codes, truth.rows[b, 1]), lambda b: truth.without[b, 1]),
        ],
    ):
        linear = (y[b] + np.einsum("n,nchw->chw", mixture(b) - 1 / n, J[b].astype(float))).clip(-1, 1)
        assert told["moved"][b][column] == pytest.approx(np.linalg.norm(image(b) - truth.whole[b]), rel=1e-5)
        assert told["missed"][b][column] == pytest.approx(np.linalg.norm(linear - image(b)), rel=1e-5)


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


def test_picture_of_photographs_shows_the_right_ones_of_the_thumbnails_kept(arrays):
    y, J, items, truth = arrays["photographs"]
    rows = np.where(np.isin(truth.rows, items.rows), truth.rows, items.rows[7])[:, :1]
    figure = figures.overview(y, J, items, dataclasses.replace(truth, rows=rows), B)
    sheet = figure.axes[0].images[0].get_array()
    for b, row in enumerate(rows[:, 0]):
        top = items.thumbs[items.rows.tolist().index(row)] / 255
        np.testing.assert_allclose(sheet[34:66, 34 * b : 34 * b + 32, :3], top, atol=1e-6)
    plt.close(figure)


def test_photographs_as_items_have_the_thumbnails_of_the_rows_asked_for():
    images = torch.arange(5 * 3 * 4 * 4).reshape(5, 3, 4, 4).to(torch.uint8)
    dataset = data.Dataset(images, torch.tensor([0, 1, 2, 1, 0]), "made up", ("cat", "dog", "ship"))
    items = feed.images_as_items(coding.walsh(8)[:5], dataset, np.array([4, 1]))
    assert items.thumbs.shape == (2, 4, 4, 3) and items.kept.tolist() == [4, 1]
    assert items.thumbs[0, 2, 3].tolist() == images[4, :, 2, 3].tolist()
    assert [items.classes[label] for label in items.labels] == ["cat", "dog", "ship", "dog", "cat"]
    assert feed.images_as_items(coding.walsh(8)[:5], dataset).kept.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y, J, items: (y, J[:, :5], items), r"expected y \(B, C, H, W\)"),
        (lambda y, J, items: (y[:, :2], J[:, :, :2], items), "C = 1 or 3"),
        (lambda y, J, items: (y, J, dataclasses.replace(items, rows=None)), "expected a thumbnail of every row"),
        (lambda y, J, items: (y, J, dataclasses.replace(items, classes=SUBJECTS[:3])), "a name for every class; got 3"),
    ],
    ids=["other members", "two colours", "too few thumbnails", "too few names"],
)
def test_what_does_not_go_together_is_refused(change, said, arrays):
    *given, truth = arrays["photographs"]
    with pytest.raises(ValueError, match=said):
        feed.part(*change(*given), truth, judge_of("photographs"), 2)


def test_file_is_a_script_under_the_profile_and_has_a_limit(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    size, digest = feed.write(whole, "smoke")
    script = (tmp_path / "explorer" / "smoke" / "explorer-data.js").read_bytes()
    assert (size, digest) == (len(script), files.sha256(script))
    assert json.loads(script.decode().removeprefix("window.GENENS_EXPLORER = ").removesuffix(";\n")) == whole
    monkeypatch.setattr(feed, "LIMIT", 1000)
    with pytest.raises(ValueError, match="expected at most 1,000 bytes"):
        feed.write(whole, "smoke")


def test_world_is_a_script_of_its_own_and_has_a_limit(parts, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    told = feed.write_world(parts["photographs"], "photographs", "smoke", "Photographs", "60 images, 8 members")
    script = (tmp_path / "explorer" / "smoke" / "explorer-photographs.js").read_bytes()
    assert told["file"] == "explorer-photographs.js" and told["bytes"] == len(script)
    monkeypatch.setattr(feed, "WORLD_LIMIT", len(script))
    feed.write_world(parts["photographs"], "photographs", "smoke", "Photographs", "60 images, 8 members")
    monkeypatch.setattr(feed, "WORLD_LIMIT", len(script) - 1)
    with pytest.raises(ValueError, match=rf"at most {len(script) - 1:,} bytes for explorer-photographs\.js"):
        feed.write_world(parts["photographs"], "photographs", "smoke", "Photographs", "60 images, 8 members")


def test_book_copies_every_world_that_the_data_names_and_says_which_is_missing(whole, parts, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("GENENS_BOOK_PROFILE", "smoke")
    page = tmp_path / "book" / "explorer.html"
    page.parent.mkdir()
    page.touch()
    with pytest.raises(SphinxError, match=r"the explorer's explorer-data\.js is not in the store"):
        sphinx_ext.copy_explorer(tmp_path)
    worlds = [feed.write_world(parts["photographs"], name, "smoke", name, "") for name in ("photographs", "faces")]
    feed.write(whole | {"more": worlds}, "smoke")
    sphinx_ext.copy_explorer(tmp_path)
    copied = {"explorer-data.js", "explorer-photographs.js", "explorer-faces.js"}
    assert {file.name for file in page.parent.glob("*.js")} == copied
    feed.where("smoke", "explorer-faces.js").unlink()
    with pytest.raises(SphinxError, match=r"the explorer's explorer-faces\.js is not in the store"):
        sphinx_ext.copy_explorer(tmp_path)
