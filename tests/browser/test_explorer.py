"""The explorer in a browser: the page's own numbers against genens, and a reader's way through it."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from support import ROOT, SCREENSHOTS, WIDTHS, visit
from support.explorer import CODES, SUBJECTS, B, judge_of, made_up

from genens import attribution, jacobians
from genens import codes as coding
from genens_book.chapters.explorer import feed
from genens_book.measures import classifier, distances, stats

# ---------------------------------------------------------------- the page's numbers


PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>Explorer</title>
<link rel="stylesheet" href="genens.css"><link rel="stylesheet" href="explorer.css">
<style>body { background: var(--gb-paper); }</style>
<main class="bd-article"><h1>Explorer</h1><div id="genens-explorer"></div></main>
<script src="explorer-data.js"></script><script src="explorer.js"></script></html>"""


def bare_page(folder, whole, monkeypatch, world=None):
    """The explorer alone, without the book around it, and with a world of photographs if one is given: the address of
    a page below `folder`."""
    monkeypatch.setenv("GENENS_STORE", str(folder / "store"))
    for name in ("genens.css", "explorer.css", "explorer.js"):
        shutil.copyfile(ROOT / "book" / "_static" / name, folder / name)
    if whole:
        told = [feed.write_world(world, "photographs", "smoke", "Photographs", "60 images, 8 members")] if world else []
        feed.write(whole | {"more": told}, "smoke")
        for file in feed.written("smoke"):
            shutil.copyfile(file, folder / file.name)
    else:
        (folder / feed.FILE).write_text("")
    (folder / "page.html").write_text(PAGE)
    return (folder / "page.html").as_uri()


def ready(page):
    """Waits until the explorer has started, or has said why it cannot."""
    page.wait_for_selector("#genens-explorer[data-ready]")
    return page.get_attribute("#genens-explorer", "data-ready")


def pick(page, name):
    """Chooses the tab of an ensemble, and waits until it is shown where that is to be expected."""
    page.locator(f".gx-tab input[value={name}]").check(force=True)
    page.wait_for_selector(f"#genens-explorer[data-ensemble={name}]")


NUMBERS = """([name, s, mixtures]) => {
  const G = genensExplorer, E = G.ensembles[name], { scores, order } = G.influence(E, s);
  const { p, out, codes } = G.chance(E, s);
  return {
    p: [...p], out, codes, scores: [...scores], order: [...order], twins: [...E.twins],
    changes: mixtures.map(v => G.change(E, s, v)), images: mixtures.map(v => [...G.counterfactual(E, s, v)]),
    known: mixtures.map(v => G.regenerated(E, s, v)), truth: [...G.trueImage(E, s, E.truth.alone + 1)],
  };
}"""


def test_numbers_of_the_page_are_those_of_genens(arrays, whole, parts, browser, tmp_path, monkeypatch):
    with visit(browser, bare_page(tmp_path, whole, monkeypatch, parts["photographs"]), 1280, "light") as seen:
        assert ready(seen.page) == "yes"
        for name, (y, J, items, truth) in arrays.items():
            pick(seen.page, name)
            n, gram = J.shape[1], jacobians.gram(jacobians.centred(J))
            weighed = np.random.default_rng(0).dirichlet(np.ones(n))
            for s in range(B):
                row = truth.rows[s, 1]
                mixtures = np.stack([coding.ablated(items.codes, row), np.eye(n)[3], weighed])
                told = seen.page.evaluate(NUMBERS, [name, s, mixtures.tolist()])
                np.testing.assert_allclose(told["scores"], attribution.influence(gram, items.codes)[s], rtol=1e-9)
                assert told["order"] == attribution.top_k(gram, items.codes, len(items.codes)).rows[s].tolist()
                every = attribution.top_k(gram, items.codes, len(items.codes))
                chance = attribution.by_chance(gram, every, int(items.codes[0].sum()))
                assert told["codes"] == chance.codes
                np.testing.assert_allclose(np.array(told["p"])[every.rows[s]], chance.p[s])
                q = stats.adjusted(chance.p[s], len(items.codes))
                assert told["out"] == (q <= 0.05).sum()
                assert told["twins"] == coding.complements(items.codes).tolist()
                moves = mixtures - 1 / n
                lengths = np.sqrt(np.einsum("vi,ij,vj->v", moves, jacobians.gram(J)[s], moves))
                np.testing.assert_allclose(told["changes"], lengths, rtol=1e-6)
                linear = jacobians.linear_counterfactual(y[s : s + 1], J[s : s + 1], mixtures).flatten(1).numpy()
                error = np.linalg.norm(told["images"] - linear, axis=1) / np.linalg.norm(linear, axis=1)
                assert (error < 1e-3).all()
                assert told["known"] == [n + 1, 3, -1]
                image = np.reshape(told["truth"], y.shape[1:])
                assert distances.euclidean(image, truth.without[s, 1]) < image.size**0.5 / 255
        assert not seen.complaints


def test_page_without_data_says_what_to_do(browser, tmp_path, monkeypatch):
    with visit(browser, bare_page(tmp_path, None, monkeypatch), 1280, "light") as seen:
        assert ready(seen.page) == "failed"
        assert "make book" in seen.page.locator("#genens-explorer [role=alert]").inner_text()


def test_data_of_another_version_is_refused(whole, browser, tmp_path, monkeypatch):
    address = bare_page(tmp_path, whole, monkeypatch)
    file = tmp_path / feed.FILE
    file.write_text(file.read_text().replace(f'"version":{feed.VERSION}', '"version":99', 1))
    with visit(browser, address, 1280, "light") as seen:
        assert ready(seen.page) == "failed"
        assert "has version 99" in seen.page.locator("#genens-explorer [role=alert]").inner_text()


# ---------------------------------------------------------------- a world in a file of its own


def test_a_world_of_people_whom_nobody_reads(whole, browser, tmp_path, monkeypatch):
    """Ten thousand names are no menu, and do not fit into a byte."""
    names = tuple(f"person {k}" for k in range(300))
    y, J, items, truth = made_up(CODES["photographs"], 9, (3, 32, 32), names)
    people = replace(items, labels=np.arange(60) * 5)
    with visit(
        browser, bare_page(tmp_path, whole, monkeypatch, feed.part(y, J, people, truth, None, 2)), 1280, "light"
    ) as seen:
        page = seen.page
        pick(page, "photographs")
        assert page.evaluate("[...genensExplorer.ensembles.photographs.labels]") == people.labels.tolist()
        assert not page.locator(".gx-filters select").is_visible()
        assert page.locator(".gx-search").is_visible() and "reads" not in page.locator(".gx-cards").inner_text()
        first = int(truth.rows[0, 0])
        wanted = f"Without training image {first}, of person {5 * first}"
        assert page.locator(".gx-card").first.get_attribute("aria-label").startswith(wanted)
        pick(page, "images")
        assert page.locator(".gx-filters select").is_visible() and "reads as" in page.locator(".gx-cards").inner_text()
        assert not seen.complaints


# Keeps all that the status has said.
LISTEN = """() => {
  const status = document.querySelector(".gx-status");
  window.said = [];
  new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
}"""


def painted(page, selector):
    """The pixels (height, width, 4) of the first canvas that fits, 0 to 255."""
    get = "c => [c.height, c.width, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    H, W, *found = page.locator(selector).first.evaluate(get)
    return np.array(found, dtype=float).reshape(H, W, 4)


def test_world_is_loaded_once_and_only_when_it_is_picked(whole, parts, browser, tmp_path, monkeypatch):
    with visit(browser, bare_page(tmp_path, whole, monkeypatch, parts["photographs"]), 1280, "light") as seen:
        page, status = seen.page, seen.page.locator(".gx-status")
        assert ready(page) == "yes"
        loads = lambda: sum(url.endswith("explorer-photographs.js") for url in seen.requests)  # noqa: E731
        assert loads() == 0
        page.select_option(".gx-filters select", label="only 3")
        page.evaluate(LISTEN)
        pick(page, "photographs")
        assert any(text.startswith("Loading Photographs (") for text in page.evaluate("said"))
        assert "whole ensemble" in status.inner_text() and "e=photographs" in page.url
        assert page.locator(".gx-filters option").all_inner_texts() == ["all classes", *(f"only {c}" for c in SUBJECTS)]
        assert page.locator(".gx-filters select").input_value() == "", "a filter by digit does not pass to photographs"
        pick(page, "classes")
        pick(page, "photographs")
        assert loads() == 1 and not seen.complaints


def test_reader_who_has_gone_elsewhere_meanwhile_stays_there(whole, parts, browser, tmp_path, monkeypatch):
    with visit(browser, bare_page(tmp_path, whole, monkeypatch, parts["photographs"]), 1280, "light") as seen:
        ready(seen.page)
        tabs = "['photographs', 'classes'].forEach(e => document.querySelector(`.gx-tab input[value=${e}]`).click())"
        seen.page.evaluate(tabs)
        seen.page.wait_for_function("genensExplorer.ensembles.photographs")
        assert seen.page.get_attribute("#genens-explorer", "data-ensemble") == "classes"
        assert "whole ensemble" in seen.page.locator(".gx-status").inner_text() and not seen.complaints


def test_photographs_are_shown_in_colour_with_the_names_of_their_classes(
    arrays, whole, parts, browser, tmp_path, monkeypatch
):
    y, J, items, truth = arrays["photographs"]
    row = truth.rows[1, 0]
    with visit(browser, bare_page(tmp_path, whole, monkeypatch, parts["photographs"]), 1280, "light") as seen:
        page = seen.page
        ready(page)
        pick(page, "photographs")
        page.locator(".gx-choice").nth(1).click()
        page.locator(".gx-card").first.click()
        linear = jacobians.linear_counterfactual(y[1:2], J[1:2], coding.ablated(items.codes, row)[None])[0, 0].numpy()
        for name, image in (("sample", y[1].clip(-1, 1)), ("approximate", linear), ("true", truth.without[1, 0])):
            shown = painted(page, f".gx-tile-{name} canvas")[..., :3]
            np.testing.assert_allclose(shown, (np.moveaxis(image, 0, -1) + 1) * 127.5, atol=1.1)
        brighter = (linear - y[1].clip(-1, 1)).mean(0)
        red, _, blue, _ = np.moveaxis(painted(page, ".gx-tile-change canvas"), -1, 0)
        assert (red > blue)[brighter > 0.1].all() and (blue > red)[brighter < -0.1].all()
        assert (brighter > 0.1).any() and (brighter < -0.1).any()
        reads = [SUBJECTS[c] for c in classifier.predict(judge_of("photographs"), truth.whole)[0]]
        labels = page.locator(".gx-choice").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
        assert [label.split(", ")[1] for label in labels] == [f"reads as {name}" for name in reads]
        item = ("an " if items.labels[row] < 2 else "a ") + SUBJECTS[items.labels[row]]
        assert page.inner_text(".gx-status").startswith(f"Training image {row}, {item}, unlearned")


def test_item_without_a_thumbnail_is_an_empty_frame_that_says_so(arrays, whole, parts, browser, tmp_path, monkeypatch):
    items = arrays["photographs"][2]
    kept = items.rows.tolist()
    with visit(browser, bare_page(tmp_path, whole, monkeypatch, parts["photographs"]), 1280, "light") as seen:
        page = seen.page
        ready(page)
        pick(page, "photographs")
        met = set()
        for s, k in itertools.product(range(2), range(12)):  # the second sample's pictures replace those of the first
            page.locator(".gx-choice").nth(s).click()
            thumb = page.locator(".gx-thumb").nth(k)
            x, label = int(thumb.get_attribute("data-x")), thumb.get_attribute("aria-label")
            picture = painted(page, f".gx-thumb[data-x='{x}'] canvas")
            assert ("its picture is not kept" in label) == (x not in kept)
            assert np.array_equal(picture[..., :3], items.thumbs[kept.index(x)] if x in kept else 0 * picture[..., :3])
            met.add(x in kept)
        assert met == {True, False} and "Empty frame: its picture is not kept" in page.inner_text(".gx-search")


@pytest.mark.parametrize("fault", ["is not beside this page", "has version 99", "is damaged"])
def test_world_that_cannot_be_loaded_is_named_and_the_reader_stays(fault, whole, parts, browser, tmp_path, monkeypatch):
    address = bare_page(tmp_path, whole, monkeypatch, parts["photographs"])
    file = tmp_path / "explorer-photographs.js"
    script = file.read_text()
    if "version" in fault:
        file.write_text(script.replace(f'"version":{feed.VERSION}', '"version":99', 1))
    else:
        file.unlink() if "beside" in fault else file.write_text(script[:1000])
    with visit(browser, address, 1280, "light") as seen:
        page, status = seen.page, seen.page.locator(".gx-status")
        ready(page)
        page.locator(".gx-choice").nth(1).click()
        page.locator(".gx-thumb").nth(3).click()
        before, pictures = status.inner_text(), pixels(page, "approximate")
        page.locator(".gx-tab input[value=photographs]").click(force=True)
        page.wait_for_function("document.querySelector('.gx-status').textContent.includes('cannot be shown')")
        said = f"Photographs cannot be shown: explorer-photographs.js {fault}"
        assert status.inner_text().startswith(said) and status.inner_text().endswith(before)
        assert page.locator(".gx-tab input:checked").get_attribute("value") == "images"
        assert pixels(page, "approximate") == pictures and "e=images&s=1&x=" in page.url
        file.write_text(script)
        pick(page, "photographs")  # and once the file is there, the same click shows it


def test_link_to_a_world_loads_it(whole, parts, browser, tmp_path, monkeypatch):
    address = bare_page(tmp_path, whole, monkeypatch, parts["photographs"]) + "#e=photographs&s=2&x=7&c=3"
    with visit(browser, address, 1280, "light") as seen:
        page = seen.page
        page.wait_for_selector("#genens-explorer[data-ensemble=photographs]")
        assert page.inner_text(".gx-status").startswith("Training image 7, a")
        assert page.locator(".gx-choice").nth(2).get_attribute("aria-selected") == "true"
        assert page.locator(".gx-filters select").evaluate("e => e.selectedOptions[0].text") == "only cat"
        assert page.locator(".gx-tab input:checked").get_attribute("value") == "photographs" and not seen.complaints
    (tmp_path / "explorer-photographs.js").unlink()
    with visit(browser, address, 1280, "light") as seen:
        seen.page.wait_for_function("document.querySelector('.gx-status')?.textContent.includes('cannot be shown')")
        assert seen.page.get_attribute("#genens-explorer", "data-ensemble") == "images"
        assert seen.page.locator(".gx-thumb[aria-selected=true]").count() == 1, "digits stand there as without a link"


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
def test_world_is_readable_and_reached_by_keyboard(width, scheme, whole, parts, browser, tmp_path, monkeypatch):
    address = bare_page(tmp_path, whole, monkeypatch, parts["photographs"])
    with visit(browser, address, width, scheme) as seen:
        page = seen.page
        ready(page)
        page.evaluate("theme => document.documentElement.dataset.theme = theme", scheme)
        page.locator(".gx-tab input[value=classes]").check(force=True)
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#genens-explorer[data-ensemble=photographs]")
        assert page.evaluate(OUTLINED), "the tab that was reached shows its focus"
        page.locator(".gx-card").first.click()
        assert "unlearned" in page.inner_text(".gx-status")
        assert not page.evaluate(ACCESS)
        shot(page, f"world-{width}-{scheme}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_main_path_by_clicking(width, scheme, book, browser):
    with open_book(book, browser, width, scheme) as seen:
        page = seen.page
        assert ready(page) == "yes"
        status = page.locator(".gx-status")
        assert "rank 1 of 16" in status.inner_text(), "it opens with the most influential image unlearned"
        page.get_by_role("button", name="All members, equally").click()
        assert "whole ensemble" in status.inner_text()
        page.locator(".gx-choice").nth(2).click()
        assert page.locator(".gx-choice[aria-selected=true]").get_attribute("aria-label").startswith("Sample 2")
        before = pixels(page, "approximate")
        thumb = page.locator(".gx-thumb").first
        thumb.click()
        assert "unlearned" in status.inner_text() and "rank 1 of 16" in status.inner_text()
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
        assert "rank 1 of 16" in again.page.locator(".gx-status").inner_text()
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
    assert picture.get_attribute("alt").startswith("A grid of images")
    table = page.locator(".gx-static table").inner_text()
    assert "image of rank 1" in table and len(table.splitlines()) == 7  # a head, and one line a sample
    context.close()


def test_page_and_data_stay_within_their_size(book):
    found = [book.html / "book" / name for name in ("explorer.html", feed.FILE)]
    found += [book.html / "_static" / name for name in ("explorer.js", "explorer.css")]
    assert sum(file.stat().st_size for file in found) < 8e6
    made = json.loads(found[1].read_text().removeprefix("window.GENENS_EXPLORER = ").removesuffix(";\n"))
    assert made["made"]["commit"] and made["profile"] == "smoke"
