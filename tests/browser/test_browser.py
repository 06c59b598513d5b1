"""The smoke book as a reader sees it: in Chromium, from file://, on a phone and a desk, by day and night."""

from __future__ import annotations

from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from support import ROOT, SCREENSHOTS, WIDTHS, visit


def toc_pages(node) -> list[str]:
    """Pages of _toc.yml, found without the builder."""
    if isinstance(node, list):
        return [page for item in node for page in toc_pages(item)]
    own = [node[key] for key in ("root", "file") if key in node]
    return own + [page for value in node.values() if isinstance(value, list) for page in toc_pages(value)]


PAGES = [f"{page}.html" for page in toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))]


# ---------------------------------------------------------------- every page, four ways

# Run in the page: what a reader would find wrong with it, in words.
FAULTS = """scheme => {
  const wrong = [], all = selector => [...document.querySelectorAll(selector)];
  const say = (fault, elements) => elements.length && wrong.push(
    fault + ": " + elements.slice(0, 3).map(e => e.outerHTML.replace(/\\s+/g, " ").slice(0, 99)).join(" | "));
  say("no visible title", all("main h1").some(e => e.offsetParent) ? [] : [document.body]);
  say("formula not set", all(".math").filter(e => !e.querySelector("mjx-container")));
  say("formula with an error", all("mjx-merror, [data-mml-node=merror], mjx-container [fill=red]"));
  say("broken image", all("img").filter(e => !e.complete || !e.naturalWidth));
  say("image without alternative text", all("main img").filter(e => !e.alt.trim()));
  say("number that shows its type", all("main p, main figcaption, main td").filter(
    e => /np\\.(int|float)\\d+\\(/.test(e.textContent)));
  const other = scheme === "dark" ? "light" : "dark";
  say("picture drawn for the other theme", all(".only-" + other).filter(e => e.offsetParent));
  say("wrong theme", document.documentElement.dataset.theme === scheme ? [] : [document.body]);
  const beyond = all("main *").filter(e => e.getBoundingClientRect().right > innerWidth);
  say("page wider than the window", document.documentElement.scrollWidth > innerWidth ? beyond : []);
  return wrong;
}"""


AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"], preload: false})).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => found.id + ": " + found.nodes.map(node => node.html.slice(0, 120)).join(" | "))"""
AXED = {(390, "dark"), (1280, "light")}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("name", [*PAGES, "search.html", "genindex.html"])
def test_page_is_sound_by_day_and_by_night(name, width, book, browser, request):
    """Nothing amiss in either theme, and no serious barrier for anyone; the theme follows the system's in place."""
    with visit(browser, (book.html / name).as_uri(), width, "light") as seen:
        faults = []
        for scheme in ("light", "dark"):
            seen.page.emulate_media(color_scheme=scheme)
            seen.page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
            seen.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            faults += [f"{scheme}: {fault}" for fault in seen.page.evaluate(FAULTS, scheme)]
            if (width, scheme) in AXED and name != "genindex.html":
                seen.page.evaluate(AXE)
                faults += [f"{scheme}, axe: {fault}" for fault in seen.page.evaluate(SERIOUS)]
            # Last: a picture of the whole page makes the window as high, and the page adapts to that and back.
            if request.config.getoption("--screenshots"):
                shot = SCREENSHOTS / f"{Path(name).stem}-{width}-{scheme}.png"
                seen.page.screenshot(path=shot, full_page=True, animations="disabled")
        faults += seen.complaints_about(book)
        assert not faults, "\n".join(faults)


def test_without_javascript_each_picture_is_shown_once(book, browser):
    context = browser.new_context(java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto((book.html / "book" / "00_method.html").as_uri())
    for light, dark in zip(page.locator(".only-light").all(), page.locator(".only-dark").all(), strict=True):
        assert light.is_visible() and not dark.is_visible()
    context.close()


def test_a_long_word_in_a_sentence_breaks_on_a_phone(book, browser):
    """A path that a chapter glues into its prose, or code with no space in it, whatever the fonts of the machine."""
    with visit(browser, (book.html / "book" / "03_fid.html").as_uri(), 390, "light") as seen:
        texts = seen.page.locator("main p .pasted-text, main figcaption .pasted-text, main p code")
        assert texts.count() > 10
        texts.evaluate_all("all => all.forEach(text => text.textContent = '/home/' + 'x'.repeat(120))")
        wide = seen.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"the page is {wide} px wider than the phone"


def test_a_number_in_a_table_stays_on_one_line_on_a_phone(book, browser):
    with visit(browser, (book.html / "book" / "01_codes.html").as_uri(), 390, "light") as seen:
        number = seen.page.locator("main td .pasted-text").first
        number.evaluate("text => text.textContent = '41,046,152,202,000,000'")
        assert number.evaluate("text => text.getClientRects().length") == 1


FADES = """() => {
  const wide = [...document.querySelectorAll("main .output")].filter(part => part.scrollWidth > part.clientWidth + 4);
  const faded = side => wide.map(part => part.classList.contains("ge-more-" + side) &&
    getComputedStyle(part).maskImage.startsWith("linear-gradient"));
  const before = faded("after");
  wide.forEach(part => part.scrollLeft = part.scrollWidth);
  return new Promise(done => setTimeout(() => done([before, faded("after"), faded("before")]), 200));
}"""


@pytest.mark.parametrize("name", ["01_codes", "05_jacobian", "06_search", "07_meaning", "scorecard"])
def test_a_figure_that_is_wider_than_a_phone_shows_that_there_is_more(name, book, browser):
    with visit(browser, (book.html / "book" / f"{name}.html").as_uri(), 390, "light") as seen:
        first, ended, behind = seen.page.evaluate(FADES)
        assert len(first) > 0 and all(first), "more to the right"
        assert not any(ended) and all(behind), "scrolled to the end: more to the left"


def test_index_leads_to_the_first_page(book, browser):
    with visit(browser, (book.html / "index.html").as_uri(), 1280, "light") as seen:
        seen.page.wait_for_url("**/intro.html")
        assert not seen.complaints_about(book)


# ---------------------------------------------------------------- moving about


def test_sidebar_folds_away_and_comes_back_on_a_desk(book, browser):
    with visit(browser, (book.html / PAGES[1]).as_uri(), 1280, "light") as seen:
        link = seen.page.locator(f"#pst-primary-sidebar a[href*='{Path(PAGES[2]).name}']")
        assert link.is_visible()
        seen.page.click(".primary-toggle")
        link.wait_for(state="hidden")
        seen.page.click(".primary-toggle")
        link.wait_for(state="visible")
        link.click()
        seen.page.wait_for_url(f"**/{PAGES[2]}")
        assert not seen.complaints_about(book)


def test_sidebar_opens_on_a_phone_and_leads_somewhere(book, browser):
    with visit(browser, (book.html / PAGES[1]).as_uri(), 390, "light") as seen:
        link = seen.page.locator(f"#pst-primary-sidebar-modal a[href*='{Path(PAGES[2]).name}']")
        assert not link.is_visible()
        seen.page.click(".primary-toggle")
        link.wait_for(state="visible")
        link.click()
        seen.page.wait_for_url(f"**/{PAGES[2]}")
        assert not seen.complaints_about(book)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_search_finds_a_word_and_leads_to_it(width, book, browser):
    with visit(browser, (book.html / PAGES[0]).as_uri(), width, "light") as seen:
        page = seen.page
        page.locator("button.search-button-field, button.search-button").locator("visible=true").first.click()
        field = page.locator("#pst-search-dialog input[type=search], .search-dialog input").first
        field.fill("scorecard")
        field.press("Enter")
        page.wait_for_url("**/search.html?q=scorecard*")
        result = page.locator("#search-results li a").first
        result.wait_for(state="visible")
        result.click()
        page.wait_for_load_state("load")
        assert "scorecard" in page.locator("main").inner_text().lower()
        assert not seen.complaints_about(book)


def test_search_finds_where_placebos_are(book, browser):
    """The index is a script, which a page from file:// may load; the search itself asks nobody."""
    with visit(browser, f"{(book.html / 'search.html').as_uri()}?q=placebo", 1280, "light") as seen:
        found = seen.page.locator("#search-results li a")
        found.first.wait_for(state="visible")
        assert "07_meaning.html" in " ".join(found.evaluate_all("all => all.map(link => link.href)"))
        assert not seen.complaints_about(book)


def test_the_numbers_of_a_figure_are_a_click_away(book, browser):
    with visit(browser, (book.html / "book" / "02_class_ablation.html").as_uri(), 1280, "light") as seen:
        with seen.page.expect_download() as download:
            seen.page.locator("a.ge-data[href*=fig_accuracy]").first.click()
        lines = [line for line in Path(download.value.path()).read_text().splitlines() if not line.startswith("#")]
        assert lines[0].startswith("panel,mark,series,x,") and any(",chance," in line for line in lines)
        assert seen.page.locator("a.ge-data[href*=fig_chosen]").count() == 0, "images have no numbers"


def test_theme_button_changes_the_theme(book, browser):
    with visit(browser, (book.html / PAGES[1]).as_uri(), 1280, "light") as seen:
        themes = set()
        for _ in range(3):
            seen.page.locator("button.theme-switch-button").locator("visible=true").first.click()
            themes.add(seen.page.locator("html").get_attribute("data-theme"))
        assert themes == {"light", "dark"}


# ---------------------------------------------------------------- what a link leads to, shown beside it

TIPS = {
    "citation": ("05_jacobian", "references.html#", "Training data attribution for diffusion models."),
    "term": ("00_method", "glossary.html#term-code", "The row of ones and zeros"),
    "term from a page without formulas": ("ten_minutes", "glossary.html#term-influence", "How far a picture moves"),
    "theorem of this page": ("01b_theory", "#thm-fisher", "(Fisher’s inequality)"),
    "theorem of another page": ("intro", "01b_theory.html#thm-sharp", "(The sharp bound)"),
    "equation": ("05_jacobian", "#equation-jacobian-linear", ""),
    "section": ("02_class_ablation", "#other-codes-other-seeds", "Other codes, other seeds"),
}


SET = """() => [...document.querySelectorAll(".tippy-content .math")].every(e => e.querySelector("mjx-container"))"""


def link_to(seen, target: str):
    """The first link of the text to an address that begins so."""
    return seen.page.locator(f"article.bd-article a[href^='{target}']:not(.headerlink)").first


@pytest.mark.parametrize("name, target, words", TIPS.values(), ids=TIPS.keys())
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_link_leads_to_is_shown_beside_it(name, target, words, scheme, book, browser):
    with visit(browser, (book.html / "book" / f"{name}.html").as_uri(), 1280, scheme) as seen:
        tip = seen.page.locator(".tippy-box")
        link_to(seen, target).hover()
        tip.wait_for()
        assert words in tip.inner_text() and tip.locator("[id]:not(mjx-container *)").count() == 0
        seen.page.wait_for_function(SET)
        assert not seen.page.evaluate(FAULTS, scheme)
        seen.page.evaluate(AXE)
        assert not seen.page.evaluate(SERIOUS)
        tip.hover()  # it stays, to be read and scrolled
        assert tip.is_visible()
        seen.page.keyboard.press("Escape")
        tip.wait_for(state="detached")
        assert not seen.complaints_about(book)


def test_a_tip_is_shown_to_the_keyboard_and_goes_with_it(book, browser):
    with visit(browser, (book.html / "book" / "00_method.html").as_uri(), 1280, "light") as seen:
        link, tip = link_to(seen, "glossary.html#term-code"), seen.page.locator(".tippy-box")
        link.focus()
        tip.wait_for()
        assert link.get_attribute("aria-describedby") == tip.locator("xpath=..").get_attribute("id")
        seen.page.keyboard.press("Tab")
        seen.page.wait_for_function("link => !link.hasAttribute('aria-describedby')", arg=link.element_handle())


def test_a_finger_follows_a_link_at_once(book, browser):
    context = browser.new_context(viewport={"width": 390, "height": 900}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto((book.html / "book" / "00_method.html").as_uri())
    page.locator("article.bd-article a[href='glossary.html#term-code']").first.tap()
    page.wait_for_url("**/glossary.html#term-code")
    page.go_back()
    link = page.locator("article.bd-article a[href='glossary.html#term-code']").first
    link.evaluate("link => link.addEventListener('click', event => event.preventDefault())")
    link.tap()
    page.wait_for_timeout(500)
    assert page.locator(".tippy-box").count() == 0
    context.close()


def test_tips_are_small_and_hold_no_picture_and_no_formula_that_their_page_cannot_set(book):
    scripts = {path.name.partition(".")[0]: path.read_text() for path in book.html.glob("_static/tippy/book/*.js")}
    assert scripts.keys() == {Path(name).stem for name in PAGES}
    for name, script in scripts.items():
        assert len(script.encode()) < 60_000 and "data:image" not in script and "<img" not in script, name
        if "tex-svg-full.js" not in (book.html / "book" / f"{name}.html").read_text():
            assert 'class=\\"math' not in script, f"{name} shows a formula, and has none to set"


# ---------------------------------------------------------------- every link


class Anchors(HTMLParser):
    """The names on a page, and what it links to or shows."""

    def __init__(self, html: str):
        super().__init__()
        self.names: set[str] = {""}
        self.targets: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Collects ids, hrefs and sources."""
        given = dict(attrs)
        self.names |= {given[key] for key in ("id", "name") if given.get(key)}
        target = given.get("href" if tag in ("a", "link") else "src")
        if target:
            self.targets.append(target)


def finished_pages(book) -> list[Path]:
    """Every page of the book; the theme leaves a template of its own among the static files."""
    return [path for path in book.html.rglob("*.html") if "_static" not in path.parts]


def test_every_internal_link_and_image_leads_somewhere(book):
    pages = {path.resolve(): Anchors(path.read_text()) for path in finished_pages(book)}
    broken = []
    for path, anchors in pages.items():
        for target in anchors.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.is_file() or (file in pages and unquote(parts.fragment) not in pages[file].names):
                broken.append(f"{path.relative_to(book.html)} -> {target}")
    assert not broken


def test_links_that_leave_the_book_are_https(book):
    targets = {t for path in finished_pages(book) for t in Anchors(path.read_text()).targets}
    leaving = {t for t in targets if urlsplit(t).scheme not in ("", "data", "mailto")}
    assert all(t.startswith("https://") for t in leaving), leaving
