"""Each fast path against the plain way of doing the same, in one run: `make bench`.

Every line has the median ratio of several pairs of runs, and the smallest and largest; the two ways alternate, so that
a machine that slows down slows both. They must agree before they are timed. All of it is written to bench/results.json,
which a page of the book is made from. `--only NAME` runs one part and keeps the other lines; `--scan FOLDER` times the
search of a billion codes, for which it writes 5 GB there.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import torch

from bench import reference
from genens import attribution, codes, ensemble, files, jacobians, provenance, store
from genens.sampling import Noise, counterfactuals, sample
from genens.schedules import schedule
from genens.theory import guarantee
from genens_book.measures import machine

FILE = store.home() / "bench" / "results.json"
LEAST = 0.3  # seconds: a way that takes less is called several times
MNIST16 = store.home() / "weights" / "mnist16"


def line(
    name: str,
    plain: Callable[[], object],
    fast: Callable[[], object],
    apart: float,
    within: float,
    target: float | None = None,
    pairs: int = 3,
) -> dict:
    """How many times longer `plain` takes than `fast`. apart: by how much their results differ, relatively; ValueError
    when by more than `within`."""
    if not apart <= within:
        raise ValueError(f"expected {name} to agree to {within:g}, got {apart:.1e}")
    took = {"plain": [], "fast": []}
    for _ in range(pairs):
        for way, call in (("plain", plain), ("fast", fast)):
            calls, began = 0, time.perf_counter()
            while (spent := time.perf_counter() - began) < LEAST or not calls:
                call()
                calls += 1
            took[way].append(spent / calls)
    ratios = np.array(took["plain"]) / np.array(took["fast"])
    found = {
        "name": name,
        "ratio": {"median": float(np.median(ratios)), "low": float(ratios.min()), "high": float(ratios.max())},
        "target": target,
        "apart": float(apart),
        "seconds": {way: float(np.median(seconds)) for way, seconds in took.items()},
    }
    show(found)
    return found


def show(found: dict) -> None:
    """A line on the terminal."""
    ratio, wanted = found["ratio"], f", asked {found['target']:g}" if found["target"] else ""
    print(
        f"{found['name']:<66} {ratio['median']:8.1f}x ({ratio['low']:.1f} to {ratio['high']:.1f}{wanted}), "
        f"{found['seconds']['fast']:.3g} s, apart {found['apart']:.0e}"
    )


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    """The length of a difference over that of the second."""
    return float((one - other).norm() / other.norm())


# ---------------------------------------------------------------- the parts


@torch.no_grad()
def sampling(samples: int = 32, S: int = 4, of_one: int = 10) -> list[dict]:
    """The 16 members of MNIST: one mixture; and 48 counterfactuals of one sample, in `of_one` steps."""
    slow, fast = ensemble.load(MNIST16), ensemble.load(MNIST16, engine="openvino")
    noise, weights = Noise(0, range(samples), slow.shape, S).tensor(), torch.full((16,), 1 / 16)
    few, rows, steps = Noise(0, range(1), slow.shape, of_one).tensor(), range(48), schedule(S)

    def loop() -> torch.Tensor:
        return reference.sample(slow.models, noise, weights, steps).clamp(-1, 1)

    def each() -> torch.Tensor:
        return torch.cat([counterfactuals(fast, few, schedule(of_one), fast.codes, [row]) for row in rows])

    def at_once() -> torch.Tensor:
        return counterfactuals(fast, few, schedule(of_one), fast.codes, list(rows))

    def loops() -> torch.Tensor:
        return reference.counterfactuals(slow.models, few, slow.codes, rows, schedule(of_one))

    whole = sample(fast, noise, steps)
    apart = [float((one - other).abs().max()) / 2 for one, other in ((whole[0], loop()), (at_once(), loops()))]
    return [
        line(
            "sampling, 16 members: a loop over members, by PyTorch",
            loop,
            lambda: sample(fast, noise, steps),
            apart[0],
            1e-4,
            3,
        ),
        line("48 counterfactuals of a sample: each by itself", each, at_once, relative(at_once(), each()), 1e-5, 2),
        line("48 counterfactuals: a loop over images and members, by PyTorch", loops, at_once, apart[1], 1e-4),
    ]


@torch.no_grad()
def jacobian(samples: int = 2, S: int = 3) -> list[dict]:
    """The Jacobian of the 16 members, exact and by the rotating rule of chapter 5 (two members a step)."""
    slow, fast, steps = ensemble.load(MNIST16), ensemble.load(MNIST16, engine="openvino"), schedule(S)
    noise = Noise(0, range(samples), slow.shape, S).tensor()
    jacobians.prepare()

    def plain() -> torch.Tensor:
        return reference.jacobian(slow.models, noise, steps)

    expected, found = jacobians.centred(plain()), []
    for name, per_step, tangents, within, target in (
        ("by forward mode", None, "forward", 1e-3, 3),
        ("by differences", None, "differences", 5e-3, 3),
        ("by differences, two members a step", 2, "differences", 0.5, 12),
    ):
        way = functools.partial(jacobians.jacobian, fast, noise, steps, None, per_step, tangents)
        apart = relative(jacobians.centred(way()[1]), expected)
        found.append(line(f"Jacobian {name}: a dual number for each weight", plain, way, apart, within, target, 2))
    return found


def search(k: int = 10) -> list[dict]:
    """J times every change of the mixture, against the tables of the Gram matrix: random columns of the true shapes."""
    found, rng = [], torch.Generator().manual_seed(0)
    for name, B, target in (("mnist", 64, 50), ("celeba", 1, 500)):
        (N, n, h), m = codes.PAPER[name], {"mnist": 784, "celeba": 49152}[name]
        J, drawn = torch.randn(B, n, m, generator=rng), codes.constant_weight(N, n, h, 0)
        G, packed, as_tensor = jacobians.gram(J[:, :, :, None, None]), codes.pack(drawn), torch.from_numpy(drawn)
        plain = lambda J=J, c=as_tensor: reference.search(J, c, k)  # noqa: E731
        fast = lambda G=G, c=packed: attribution.top_k(G, c, k)  # noqa: E731
        best = torch.from_numpy(fast().influence)
        apart = relative(best, plain()[1].double())
        title = f"search of {N:,} images for {B} sample{'s' * (B > 1)}, {m:,} pixels: J times each change"
        found.append(line(title, plain, fast, apart, 1e-5, target))
    return found


def loading(most: float = 2.0) -> list[dict]:
    """Reading 16 members and compiling them, to the end of the first pass, in new processes; against `most` seconds."""
    program = (
        "import time, torch; from genens import ensemble, store; x = torch.zeros(1, 1, 28, 28); "
        "ensemble.engines._openvino(); began = time.perf_counter(); "
        "members = ensemble.load(store.home() / 'weights' / 'mnist16', engine='openvino'); members(x, 500); "
        "print(time.perf_counter() - began)"
    )
    took = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout) for _ in "abc"
    ]
    ratio = {"median": most / float(np.median(took)), "low": most / max(took), "high": most / min(took)}
    found = {"name": f"loading and compiling 16 members: {most:g} seconds", "ratio": ratio, "target": 1, "apart": 0.0}
    found["seconds"] = {"plain": most, "fast": float(np.median(took))}
    show(found)
    return [found]


def theory(N: int = 4000, n: int = 16) -> list[dict]:
    """Every ordered pair of codes, one at a time, against subset sums; drawing codes until none is missing, against
    unranking."""
    drawn, M = codes.constant_weight(N, n, n // 2, 0), comb(n, n // 2)

    def pairs() -> bool:
        return all((~row & drawn).any(axis=1).sum() == N - 1 for row in drawn)

    def again() -> np.ndarray:
        rng, seen = np.random.default_rng(0), {}
        while len(seen) < M:
            row = np.zeros(n, bool)
            row[rng.permutation(n)[: n // 2]] = True
            seen.setdefault(row.tobytes(), row)
        return np.stack(list(seen.values()))

    every = codes.constant_weight(M, n, n // 2, 0)
    same = float(pairs() != guarantee.guarantee(drawn).holds), float(len(np.unique(every, axis=0)) != len(again()))
    return [
        line(f"the guarantee on {N:,} codes: row by row", pairs, lambda: guarantee.guarantee(drawn), same[0], 0),
        line(
            f"all {M:,} codes: draw until none is missing",
            again,
            lambda: codes.constant_weight(M, n, n // 2, 0),
            same[1],
            0,
        ),
    ]


PARTS = {part.__name__: part for part in (sampling, jacobian, search, loading, theory)}


# ---------------------------------------------------------------- a billion codes


class _Memory(threading.Thread):
    """The most memory of its own that this process has had, in bytes: pages of a mapped file belong to the system."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.done = 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.2):
            status = Path("/proc/self/status").read_text()
            self.most = max(self.most, 1024 * int(status.partition("RssAnon:")[2].split()[0]))


def scan(folder: Path, N: int = 10**9, n: int = 36, B: int = 16, k: int = 100, check: int = 10**6) -> dict:
    """The k most influential of N codes for B samples, whose columns are random, in one pass over a file; on the first
    `check` codes the same as by sorting all influences. Raises ValueError where it is not."""
    columns = np.random.default_rng(0).normal(size=(B, n, 400))
    G, file = columns @ columns.transpose(0, 2, 1), folder / f"codes-{N}-{n}.bin"
    shape, block = (N, -(-n // 8)), 10**6
    if not file.exists() or file.stat().st_size != np.prod(shape, dtype=np.int64):
        with file.open("wb") as out:
            for start in range(0, N, block):
                codes.scattered(range(start, min(start + block, N)), n, n // 2, 0).bits.tofile(out)
    packed = codes.Packed(np.memmap(file, np.uint8, "r", shape=shape), n, n // 2)
    few = packed[: min(check, N)]
    expected = np.argsort(-attribution.influence(G, few), axis=1, kind="stable")[:, :k]
    if not (attribution.top_k(G, few, k).rows == expected).all():
        raise ValueError("expected the scan to find what sorting all influences finds")
    memory = _Memory()
    memory.start()
    began = time.perf_counter()
    attribution.top_k(G, packed, k)
    took = time.perf_counter() - began
    memory.done.set()
    found = {
        "codes": N,
        "n": n,
        "samples": B,
        "k": k,
        "seconds": took,
        "gigabytes": memory.most / 1e9,
        "checked": check,
    }
    print(f"scan of {N:,} codes of {n} bits for {B} samples: {took:.1f} s, {memory.most / 1e9:.2f} GB")
    return found


# ---------------------------------------------------------------- the command


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--scan", type=Path, metavar="FOLDER", help="search a billion codes, kept in this folder")
    given = parser.parse_args()
    found = json.loads(FILE.read_text()) if FILE.exists() else {"parts": {}}
    for name, part in PARTS.items():
        if given.only in (None, name) and not (given.scan and not given.only):
            made = {"machine": machine.describe(), "made": provenance.describe()}
            found["parts"][name] = {"lines": part(), **made}
            files.atomic_write(FILE, json.dumps(found, indent=1) + "\n")
    if given.scan:
        found["scan"] = scan(given.scan) | {"machine": machine.describe(), "made": provenance.describe()}
        files.atomic_write(FILE, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
