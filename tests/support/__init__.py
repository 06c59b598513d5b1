"""What several test modules share: members in closed form, a built book, a chapter run here, an open page."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import torch

from bench.faults.project import build_environment
from genens import codes as coding
from genens.ensemble import Ensemble
from genens.sampling import Noise
from genens.schedules import schedule
from genens.unet import UNetConfig, build

ROOT = Path(__file__).resolve().parents[2]


# ---------------------------------------------------------------- members

CODES = coding.unrank(range(3), 3, 1)


STEPS = schedule(5)


BLUR = 0.3  # the variance around each point


class Posterior:
    """Members in closed form, smooth and cheap: each is the optimal denoiser of a few random points,
    blurred."""

    def __init__(self, n=4, points=3, side=2):
        self.n, self.shape, self.digest = n, (1, side, side), "points"
        draws = torch.Generator().manual_seed(0)
        self.points = torch.randn(n, points, *self.shape, generator=draws).double().clamp(-1, 1)
        self.bar = {int(t): bar for steps in (STEPS, schedule(8)) for t, bar in zip(steps.t, steps.bar, strict=True)}

    def __call__(self, x, t, which=None):
        bar = self.bar[int(t)]
        found = []
        for i in range(self.n) if which is None else which:
            points = self.points[i].to(x.dtype)
            away, spread = x[:, None] - bar**0.5 * points, 1 - bar + bar * BLUR
            weight = torch.softmax(-away.square().flatten(2).sum(-1) / (2 * spread), -1)
            mean = torch.einsum("bp,bpchw->bchw", weight, points + bar**0.5 * BLUR / spread * away)
            found.append((x - bar**0.5 * mean) / (1 - bar) ** 0.5)
        return torch.stack(found)

    def plain(self, x, t, i):
        return self(x, t, [i])[0]


def ensemble(precision="float64", side=8, attention=()):
    models = []
    for i in range(3):
        config = UNetConfig(width=8, multipliers=(1,), attention=attention, blocks=1, skip=True)
        models.append(build(config, i))
        for p in models[-1].parameters():
            p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(i))
    return Ensemble(models, CODES, (1, side, side), precision=precision)


def exogenous(members, samples=2, steps=STEPS):
    return Noise(5, range(samples), members.shape, len(steps)).tensor().double()


def unclamped(members, noise, weights, steps=STEPS):
    """Algorithm 2 as printed, under weights that need not sum to 1, as a function that can be
    differentiated."""
    x = noise[:, 0]
    for k in range(len(steps)):
        eps = sum(w * f for w, f in zip(weights, members(x, steps.t[k]), strict=True))
        x = steps.a[k] * x + steps.b[k] * eps + steps.c[k] * noise[:, k + 1]
    return x


@functools.cache
def inception_state():
    """Inception's weights, drawn at random."""
    from torchvision.models import Inception3  # seconds to import

    with torch.device("meta"):
        network = Inception3(transform_input=True, init_weights=False)
    draws = torch.Generator().manual_seed(0)
    return {
        name: torch.ones(value.shape)
        if "running_var" in name or value.ndim == 0
        else torch.randn(value.shape, generator=draws) / max(1, value[0].numel()) ** 0.5
        for name, value in network.state_dict().items()
    }


# ---------------------------------------------------------------- the book


@dataclass(frozen=True)
class Book:
    """A built smoke book and what its build said."""

    out: Path
    seconds: float
    stdout: str
    stderr: str

    @property
    def html(self) -> Path:
        """Folder of the finished pages."""
        return self.out / "html"


def run_build(
    *arguments: str, store: Path | None = None, home: Path | None = None, module: str = "genens_book.press.build"
):
    """The builder as a person runs it, in a process of its own; returns the finished process.

    home: another repository than this one, whose packages come before the installed ones.
    """
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=build_environment(store, home), capture_output=True, text=True, check=False)


def run_chapter(chapter: str, **parameters: object) -> None:
    """The cells of a chapter one after the other in this process, with parameters set as papermill sets them."""
    namespace: dict[str, object] = {"display": lambda *_: None}
    for cell in nbformat.read(ROOT / "book" / f"{chapter}.ipynb", 4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, chapter, "exec"), namespace)
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= parameters


# ---------------------------------------------------------------- a page

WIDTHS = {"phone": 390, "desk": 1280}


SCREENSHOTS = ROOT / "_build" / "screenshots"


@dataclass
class Visit:
    """An open page and what it did while it was open."""

    page: object
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def complaints_about(self, book) -> list[str]:
        """Console errors, failed requests, and requests that left the book."""
        home = book.html.as_uri()
        outside = [url for url in self.requests if not url.startswith((home, "data:", "blob:"))]
        return self.complaints + [f"request left the book: {url[:200]}" for url in outside]


@contextmanager
def visit(browser, address: str, width: int, scheme: str) -> Iterator[Visit]:
    """Opens an address in a fresh profile and waits until formulas are set."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    seen = Visit(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("requestfailed", lambda request: seen.complaints.append(f"failed: {request.url[:200]}"))
    page.on("pageerror", lambda error: seen.complaints.append(f"script error: {error}"))
    page.on("console", lambda line: line.type == "error" and seen.complaints.append(f"console: {line.text}"))
    page.goto(address, wait_until="load")
    page.wait_for_function("!window.MathJax || MathJax.startup?.promise?.then(() => true)")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    yield seen
    context.close()
