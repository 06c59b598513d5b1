"""The explorer: its data against plain versions, the page's own numbers against genens, and a reader's way through
it."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from support import ROOT, SCREENSHOTS, WIDTHS, visit

from genens import attribution, files, jacobians
from genens import codes as coding
from genens.ensemble import Ensemble
from genens.sampling import Noise, sample
from genens.schedules import schedule
from genens.unet import UNetConfig, build
from genens_book.chapters.explorer import feed, figures
from genens_book.measures import classifier

CODES = {  # one with twins and unused codes, one without either
    "images": coding.constant_weight(150, 10, 5, 3),
    "classes": coding.walsh(8),
}
B, K = 3, 4


def made_up(codes, seed):
    """y, J, items and truth with nothing behind them but a generator; J's columns share a large part, as true ones
    do."""
    rng = np.random.default_rng(seed)
    n = codes.shape[1]
    y = rng.normal(0, 0.7, (B, 1, 28, 28)).astype(np.float32)
    J = (rng.normal(0, 0.5, (B, n, 1, 28, 28)) + 20 * rng.normal(0, 1, (B, 1, 1, 28, 28))).astype(np.float32)
    items = feed.Items(codes, rng.integers(0, 10, len(codes)), rng.integers(0, 256, (len(codes), 28, 28), np.uint8))
    rows = feed.choose(jacobians.gram(jacobians.centred(J)), codes, 1, K - 2, seed)
    truth = feed.Truth(y.clip(-1, 1), *(rng.uniform(-1, 1, (B, k, 1, 28, 28)).astype(np.float32) for k in (n, K)), rows)
    return y, J, items, truth


@pytest.fixture(scope="module")
def arrays():
    """The made-up arrays of both ensembles."""
    return {name: made_up(codes, seed) for seed, (name, codes) in enumerate(CODES.items())}


@pytest.fixture(scope="module")
def whole(arrays):
    """All of the explorer's data, made of them."""
    parts = {name: feed.part(*given, classifier.load(), 2) for name, given in arrays.items()}
    return feed.gather(parts["images"], parts["classes"], "smoke", {"seed": 0}, (B, 1, 28, 28))


# ---------------------------------------------------------------- what is regenerated


def test_choice_has_the_top_images_then_their_twins_then_others_in_the_order_of_influence():
    codes = CODES["images"]
    gram = jacobians.gram(np.random.default_rng(1).normal(size=(5, 10, 1, 6, 6)))
    scores, top = attribution.influence(gram, codes), attribution.top_k(gram, codes, 3).rows
    twins = attribution.complements(codes)
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


def test_regenerated_images_are_those_drawn_one_by_one():
    codes = coding.unrank(range(3), 3, 1)
    models = [build(UNetConfig(width=8, multipliers=(1,), attention=(), blocks=1, skip=True), i) for i in range(3)]
    members = Ensemble(models, codes, (1, 8, 8))
    rows = np.array([[0, 1], [2, 0], [1, 2]])
    found = feed.regenerate(range(1, 3), 5, 4, "ancestral", "posterior", rows, codes, members)["y"]
    for b, index in enumerate((1, 2)):
        noise = Noise(5, [index], members.shape, 4)
        for k in range(2):
            alone = sample(members, noise, coding.ablated(codes, rows[index, k])[None], schedule(4))[0, 0]
            torch.testing.assert_close(found[b, k], alone, atol=1e-5, rtol=0)


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
    """Floats out of a SCALED field."""
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


BROKEN = {
    "version": lambda d: d.update(version=9),
    "explorer: expected the fields": lambda d: d.pop("made"),
    "made.commit": lambda d: d["made"].update(commit=None),
    "images.n": lambda d: d["ensembles"]["images"].update(n="ten"),
    "classes.gram": lambda d: d["ensembles"]["classes"].update(gram="AAAA"),
    "images.codes": lambda d: d["ensembles"]["images"].update(items=151),
    "images.y.scale": lambda d: d["ensembles"]["images"]["y"].update(scale=[1.0]),
    "images.truth.moved": lambda d: d["ensembles"]["images"]["truth"]["moved"][0].__setitem__(0, float("nan")),
    "images.truth.rows": lambda d: d["ensembles"]["images"]["truth"]["rows"][0].__setitem__(0, 150),
    "images.general": lambda d: d["ensembles"]["images"].update(general=[-1]),
    "classes.thumbs": lambda d: d["ensembles"]["classes"].update(thumbs="https://example.org/x.png"),
}


@pytest.mark.parametrize("field", BROKEN)
def test_schema_names_the_field_that_is_wrong(field, whole):
    feed.validate(whole)
    broken = copy.deepcopy(whole)
    BROKEN[field](broken)
    with pytest.raises(ValueError, match=field.replace(".", r"\.")) as caught:
        feed.validate(broken)
    assert "\n" not in str(caught.value)


def test_file_is_a_script_under_the_profile_and_has_a_limit(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    size, digest = feed.write(whole, "smoke")
    script = (tmp_path / "explorer" / "smoke" / "explorer-data.js").read_bytes()
    assert (size, digest) == (len(script), files.sha256(script))
    assert json.loads(script.decode().removeprefix("window.GENENS_EXPLORER = ").removesuffix(";\n")) == whole
    monkeypatch.setattr(feed, "LIMIT", 1000)
    with pytest.raises(ValueError, match="expected at most 1,000 bytes"):
        feed.write(whole, "smoke")


# ---------------------------------------------------------------- the page's numbers


PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Explorer</title>
<link rel="stylesheet" href="genens.css"><link rel="stylesheet" href="explorer.css">
<main class="bd-article"><h1>Explorer</h1><div id="genens-explorer"></div></main>
<script src="explorer-data.js"></script><script src="explorer.js"></script></html>"""


def bare_page(folder, whole, monkeypatch):
    """The explorer alone, without the book around it: the address of a page below `folder`."""
    monkeypatch.setenv("GENENS_STORE", str(folder / "store"))
    for name in ("genens.css", "explorer.css", "explorer.js"):
        shutil.copyfile(ROOT / "book" / "_static" / name, folder / name)
    if whole:
        feed.write(whole, "smoke")
        shutil.copyfile(feed.where("smoke"), folder / feed.FILE)
    else:
        (folder / feed.FILE).write_text("")
    (folder / "page.html").write_text(PAGE)
    return (folder / "page.html").as_uri()


def ready(page):
    """Waits until the explorer has started, or has said why it cannot."""
    page.wait_for_selector("#genens-explorer[data-ready]")
    return page.get_attribute("#genens-explorer", "data-ready")


NUMBERS = """([name, s, mixtures]) => {
  const G = genensExplorer, E = G.ensembles[name], { scores, order } = G.influence(E, s);
  return {
    scores: [...scores], order: [...order], twins: [...E.twins],
    changes: mixtures.map(v => G.change(E, s, v)), images: mixtures.map(v => [...G.counterfactual(E, s, v)]),
    known: mixtures.map(v => G.regenerated(E, s, v)), truth: [...G.trueImage(E, s, E.truth.alone + 1)],
  };
}"""


def test_numbers_of_the_page_are_those_of_genens(arrays, whole, browser, tmp_path, monkeypatch):
    with visit(browser, bare_page(tmp_path, whole, monkeypatch), 1280, "light") as seen:
        assert ready(seen.page) == "yes"
        for name, (y, J, items, truth) in arrays.items():
            n, gram = J.shape[1], jacobians.gram(jacobians.centred(J))
            weighed = np.random.default_rng(0).dirichlet(np.ones(n))
            for s in range(B):
                row = truth.rows[s, 1]
                mixtures = np.stack([coding.ablated(items.codes, row), np.eye(n)[3], weighed])
                told = seen.page.evaluate(NUMBERS, [name, s, mixtures.tolist()])
                np.testing.assert_allclose(told["scores"], attribution.influence(gram, items.codes)[s], rtol=1e-9)
                assert told["order"] == attribution.top_k(gram, items.codes, len(items.codes)).rows[s].tolist()
                assert told["twins"] == attribution.complements(items.codes).tolist()
                moves = mixtures - 1 / n
                lengths = np.sqrt(np.einsum("vi,ij,vj->v", moves, jacobians.gram(J)[s], moves))
                np.testing.assert_allclose(told["changes"], lengths, rtol=1e-6)
                linear = jacobians.linear_counterfactual(y[s : s + 1], J[s : s + 1], mixtures)[:, 0, 0].numpy()
                images = np.reshape(told["images"], linear.shape)
                error = np.linalg.norm(images - linear, axis=(1, 2)) / np.linalg.norm(linear, axis=(1, 2))
                assert (error < 1e-3).all()
                assert told["known"] == [n + 1, 3, -1]
                assert attribution.euclidean(np.reshape(told["truth"], (1, 28, 28)), truth.without[s, 1]) < 28 / 255
        assert not seen.complaints


def test_page_without_data_says_what_to_do(browser, tmp_path, monkeypatch):
    with visit(browser, bare_page(tmp_path, None, monkeypatch), 1280, "light") as seen:
        assert ready(seen.page) == "failed"
        assert "make book" in seen.page.locator("#genens-explorer [role=alert]").inner_text()


def test_data_of_another_version_is_refused(whole, browser, tmp_path, monkeypatch):
    address = bare_page(tmp_path, whole, monkeypatch)
    file = tmp_path / feed.FILE
    file.write_text(file.read_text().replace('"version":1', '"version":2', 1))
    with visit(browser, address, 1280, "light") as seen:
        assert ready(seen.page) == "failed"
        assert "has version 2" in seen.page.locator("#genens-explorer [role=alert]").inner_text()


# ---------------------------------------------------------------- a reader's way through it


def open_book(book, browser, width, scheme, state=""):
    """The explorer's page of the smoke book."""
    return visit(browser, (book.html / "book" / "explorer.html").as_uri() + state, width, scheme)


def shot(page, name):
    """A screenshot for whoever looks at a test run."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"explorer-{name}.png", full_page=True, animations="disabled")


def pixels(page, name):
    """What a tile shows, as a string to compare."""
    return page.evaluate("name => document.querySelector(`.gx-tile-${name} canvas`).toDataURL()", name)


# What is wrong with the explorer for those who see or hear little, in words.
ACCESS = """() => {
  const wrong = [], root = document.getElementById("genens-explorer"), seen = e => e.checkVisibility();
  const rgb = text => {
    const c = text.match(/[\\d.]+/g).map(Number);
    return text.includes("srgb") ? c.slice(0, 3).map(v => 255 * v).concat(c[3] ?? 1) : c;
  };
  const light = c => c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = e => {  // the colours behind an element, laid over each other
    const layers = [];
    for (; e; e = e.parentElement) layers.push(rgb(getComputedStyle(e).backgroundColor));
    const over = (under, [r, g, b, a = 1]) => under.map((v, k) => v * (1 - a) + a * [r, g, b][k]);
    return layers.reverse().reduce(over, [255, 255, 255]);
  };
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || !seen(e) || e.closest(":disabled, .gx-hidden")) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: ${node.data.slice(0, 40)}`);
  }
  for (const e of root.querySelectorAll("input, select, button, [role=option]")) {
    if (!seen(e)) continue;
    const name = e.getAttribute("aria-label") || [...(e.labels ?? [])].map(l => l.textContent).join("") ||
                 e.textContent;
    if (!name.trim()) wrong.push("no name: " + e.outerHTML.slice(0, 90));
    const { width, height } = (e.closest("label") ?? e).getBoundingClientRect();
    if (Math.min(width, height) < 24) wrong.push(`small (${width} x ${height}): ` + e.outerHTML.slice(0, 90));
  }
  for (const e of root.querySelectorAll("canvas")) {
    if (!e.getAttribute("aria-label") && e.getAttribute("aria-hidden") !== "true") wrong.push("canvas without words");
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the window");
  return [...new Set(wrong)];
}"""


# Whether what has the focus, or the label around it, shows it.
OUTLINED = """() => [document.activeElement, document.activeElement.closest("label")].some(e => {
  const style = e && getComputedStyle(e);
  return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_main_path_by_clicking(width, scheme, book, browser):
    with open_book(book, browser, width, scheme) as seen:
        page = seen.page
        assert ready(page) == "yes"
        status = page.locator(".gx-status")
        assert "rank 1 of 20" in status.inner_text(), "it opens with the most influential image unlearned"
        page.get_by_role("button", name="All members, equally").click()
        assert "whole ensemble" in status.inner_text()
        page.locator(".gx-choice").nth(2).click()
        assert page.locator(".gx-choice[aria-selected=true]").get_attribute("aria-label").startswith("Sample 2")
        before = pixels(page, "approximate")
        thumb = page.locator(".gx-thumb").first
        thumb.click()
        assert "unlearned" in status.inner_text() and "rank 1 of 20" in status.inner_text()
        assert page.locator(".gx-strip.gx-off").count() == page.locator(".gx-strip.gx-holds").count() == 3
        assert page.locator(".gx-strip input[role=switch]:checked").count() == 3
        assert pixels(page, "approximate") != before
        assert page.locator(".gx-tile-true.gx-empty").count() == 0, "the top image was regenerated"
        assert page.locator(".gx-twin").count() >= 1
        assert not page.evaluate(ACCESS)
        shot(page, f"ablated-{width}-{scheme}")
        linked = page.url
        page.locator(".gx-strip input[type=range]").first.fill("35")
        assert "mixture of your own" in status.inner_text()
        page.locator(".gx-strip .gx-only").nth(1).click()
        assert page.locator(".gx-strip.gx-off").count() == 5
        page.locator(".gx-strip input[role=switch]").nth(1).click(force=True)
        assert "One member has to stay" in status.inner_text()
        page.get_by_role("button", name="All members, equally").click()
        assert pixels(page, "approximate") == before
        page.locator(".gx-tab input[value=classes]").check(force=True)
        page.locator(".gx-card").nth(3).click()
        assert "Class 3, unlearned" in status.inner_text()
        assert "true change" in page.locator(".gx-tile-true").inner_text()
        assert not page.evaluate(ACCESS)
        shot(page, f"class-{width}-{scheme}")
        assert not seen.complaints_about(book)
    with visit(browser, linked, width, scheme) as again:
        ready(again.page)
        assert "rank 1 of 20" in again.page.locator(".gx-status").inner_text()
        assert again.page.locator(".gx-choice").nth(2).get_attribute("aria-selected") == "true"


def test_filters_narrow_the_list_and_are_kept_in_the_address(book, browser):
    with open_book(book, browser, 1280, "light") as seen:
        page = seen.page
        ready(page)
        everything = page.locator(".gx-thumb:visible").count()
        general = page.evaluate("genensExplorer.ensembles.images.general.size")
        page.locator(".gx-option input").nth(0).check()
        assert page.locator(".gx-thumb:visible").count() == everything - general
        page.locator(".gx-option input").nth(0).uncheck()
        digit = page.locator(".gx-thumb").first.get_attribute("aria-label").split(", a ")[1][0]
        page.select_option(".gx-filters select", digit)
        labels = page.locator(".gx-thumb:visible").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
        assert 0 < len(labels) < everything and all(f", a {digit}," in label for label in labels)
        assert f"c={digit}" in page.url and not seen.complaints_about(book)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_main_path_by_keyboard_alone(width, book, browser):
    with open_book(book, browser, width, "light") as seen:
        page = seen.page
        ready(page)
        page.evaluate("document.querySelector('#genens-explorer').setAttribute('tabindex', -1)")
        page.evaluate("document.querySelector('#genens-explorer').focus()")
        met = []

        def tab_to(selector):
            for _ in range(60):
                page.keyboard.press("Tab")
                met.append(page.evaluate("document.activeElement.className || document.activeElement.type"))
                assert page.evaluate(OUTLINED), f"no visible focus on {met[-1]}"
                if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                    return
            raise AssertionError(f"the tab key does not lead to {selector}: {met}")

        tab_to(".gx-tab input")
        tab_to(".gx-choice")
        page.keyboard.press("ArrowRight")
        assert page.locator(".gx-choice[aria-selected=true]").get_attribute("aria-label").startswith("Sample 1")
        tab_to(".gx-button")
        page.keyboard.press("Enter")
        assert "whole ensemble" in page.locator(".gx-status").inner_text()
        tab_to("input[role=switch]")
        page.keyboard.press("Space")
        assert page.locator(".gx-strip.gx-off").count() == 1
        tab_to("input[type=range]")
        page.keyboard.press("ArrowUp")
        assert page.locator(".gx-strip.gx-off").count() == 0
        tab_to(".gx-filters select")
        tab_to(".gx-thumb")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert page.locator(".gx-thumb").nth(1).get_attribute("aria-selected") == "true"
        assert "unlearned" in page.locator(".gx-status").inner_text()
        tab_to(".gx-card")
        page.keyboard.press("End")
        page.keyboard.press("Space")
        assert page.locator(".gx-card").last.get_attribute("aria-selected") == "true"
        page.keyboard.press("Space")
        assert "whole ensemble" in page.locator(".gx-status").inner_text()
        assert not seen.complaints_about(book)


def test_address_that_asks_for_what_is_not_there_says_so(book, browser):
    with open_book(book, browser, 1280, "light", "#e=images&s=999&w=1.2") as seen:
        ready(seen.page)
        said = seen.page.locator(".gx-status").inner_text()
        assert "s=999 and w=1.2" in said and "whole ensemble" in said
        seen.page.goto(seen.page.url.split("#")[0] + "#e=classes&s=1&x=2")
        seen.page.wait_for_function("document.querySelector('.gx-status').textContent.includes('Class 2')")
        assert not seen.complaints


def test_theme_button_repaints_the_change(book, browser):
    with open_book(book, browser, 1280, "light") as seen:
        ready(seen.page)
        looks = {pixels(seen.page, "change")}
        for _ in range(2):
            seen.page.locator("button.theme-switch-button").locator("visible=true").first.click()
            seen.page.wait_for_timeout(100)
            looks.add(pixels(seen.page, "change"))
        assert len(looks) == 2


def test_without_javascript_a_picture_and_the_table_stand_there(book, browser):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((book.html / "book" / "explorer.html").as_uri())
    picture = page.locator(".gx-static img").locator("visible=true").first
    assert picture.get_attribute("alt").startswith("A grid of digits")
    table = page.locator(".gx-static table").inner_text()
    assert "image of rank 1" in table and len(table.splitlines()) == 7  # a head, and one line a sample
    context.close()


def test_page_and_data_stay_within_their_size(book):
    found = [book.html / "book" / name for name in ("explorer.html", feed.FILE)]
    found += [book.html / "_static" / name for name in ("explorer.js", "explorer.css")]
    assert sum(file.stat().st_size for file in found) < 8e6
    made = json.loads(found[1].read_text().removeprefix("window.GENENS_EXPLORER = ").removesuffix(";\n"))
    feed.validate(made)
    assert made["made"]["commit"] and made["profile"] == "smoke"
