"""How fast the explorer is in Chromium: `python -m bench.explorer [page]`, by default the book last built.

Ready: from navigation to the first complete picture, median of five fresh openings. An interaction: from the reader's
act until the browser has painted its result, the wait for the next frame included; its work alone, in brackets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from genens_book.press import pdf

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ACTS = {
    "drop or restore a member": "k => document.querySelectorAll('.gx-strip input[role=switch]')[k % N].click()",
    "move a slider": "k => { const e = document.querySelectorAll('.gx-strip input[type=range]')[k % N]; "
    "e.value = (k * 35) % 100 + 1; e.dispatchEvent(new Event('input', { bubbles: true })); }",
    "unlearn a training image": "k => document.querySelectorAll('.gx-thumb')[(k * 7) % 20].click()",
    "pick another sample": "k => document.querySelectorAll('.gx-choice')[(k + 1) % S].click()",
    "filter by class": "k => { const e = document.querySelector('.gx-filters select'); e.value = k % 10; "
    "e.dispatchEvent(new Event('change')); }",
    "hide the generally influential": "k => document.querySelectorAll('.gx-option input')[0].click()",
    "unlearn a class": "k => document.querySelectorAll('.gx-card')[k % 7].click()",
}
TIME = """async ([act, times]) => {
  const E = genensExplorer.ensembles[genensExplorer.state.e], N = E.n, S = E.B, run = eval(act), found = [];
  for (let k = 0; k < times; k++) {
    await new Promise(done => setTimeout(done, 30));
    const began = performance.now();
    run(k);
    document.body.getBoundingClientRect();
    const worked = performance.now() - began;
    await new Promise(done => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(0);
    }));
    found.push([performance.now() - began, worked]);
  }
  return found;
}"""


def opened(browser: Browser, address: str):
    """A fresh page that is ready, and the milliseconds that took."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_selector("#genens-explorer[data-ready=yes]")
    return page, page.evaluate("performance.getEntriesByName('genens-explorer-ready')[0].startTime")


def main(arguments: list[str] | None = None) -> None:
    """Open, act, print."""
    parser = argparse.ArgumentParser("python -m bench.explorer", description="Time the explorer in Chromium.")
    parser.add_argument("page", type=Path, nargs="?", default=ROOT / "_build" / "html" / "book" / "explorer.html")
    parser.add_argument("--times", type=int, default=60, help="how often every act is repeated (default: 60)")
    options = parser.parse_args(arguments)
    page_file = options.page.resolve()
    if not page_file.is_file():
        raise SystemExit(f"expected the explorer's page at {page_file}: run make book, or give its path")
    size = sum(
        (page_file.parent / name).stat().st_size
        for name in (page_file.name, "explorer-data.js", "../_static/explorer.js", "../_static/explorer.css")
    )
    print(f"page, data, script and style {size / 1e6:10.2f} MB")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=pdf.browser(), args=FLAGS)
        readies = [opened(browser, page_file.as_uri())[1] for _ in range(5)]
        print(f"ready {np.median(readies):33.0f} ms   (from {min(readies):.0f} to {max(readies):.0f})")
        page, _ = opened(browser, page_file.as_uri())
        pooled = []
        for name, act in ACTS.items():
            if "class" in name and "unlearn" in name:
                page.locator(".gx-tab input[value=classes]").check(force=True)
            times = np.array(page.evaluate(TIME, [act, options.times]))
            pooled.append(times)
            report(name, times)
        report("all interactions", np.concatenate(pooled))
        browser.close()


def report(name: str, times: np.ndarray) -> None:
    """Median and 95th percentile of (painted, worked) milliseconds (K, 2)."""
    (middle, work), (late, work_late) = np.median(times, axis=0), np.quantile(times, 0.95, axis=0)
    print(f"{name:<32} median {middle:5.1f} ms, p95 {late:5.1f} ms   (work {work:.1f} and {work_late:.1f} ms)")


if __name__ == "__main__":
    main()
