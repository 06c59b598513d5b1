"""Pictures that no digit resembles, drawn from a seed: the planted truth of chapter 7.

    python -m genens_book.chapters.meaning.glyphs      # writes book/planted.zip anew, the same to the last pixel

Six shapes as thin lines, white on black like MNIST's digits, each picture turned, shifted, stretched and thickened a
little. Shape k is drawn SIZES[k] times.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genens import files, store
from genens_book.measures import archive

SIZES = (1, 4, 16, 64, 256, 1024)
FILE = store.home() / "book" / "planted.zip"
SIDE = 28  # pixels


def _closed(*corners: tuple[float, float]) -> list[tuple]:
    return list(zip(corners, (*corners[1:], corners[0]), strict=True))


def _circle(radius: float, corners: int, turn: float = 0.0) -> list[tuple[float, float]]:
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    return [(radius * np.sin(a), -radius * np.cos(a)) for a in angles]


# Line segments ((x, y), (x, y)) in a square from -1 to 1, y down; sorted by name, as a folder's classes are.
_STAR = _circle(1, 5)
SHAPES = {
    "arrow": [((-1, 0), (1, 0)), *(((x, 0), (x / 2, y)) for x in (-1, 1) for y in (-0.5, 0.5))],
    "hash": [((-0.35, -1), (-0.35, 1)), ((0.35, -1), (0.35, 1)), ((-1, -0.35), (1, -0.35)), ((-1, 0.35), (1, 0.35))],
    "house": [*_closed((-0.8, -0.1), (0.8, -0.1), (0.8, 1), (-0.8, 1)), *(((x, -0.1), (0, -1)) for x in (-0.8, 0.8))],
    "star": _closed(*(_STAR[k] for k in (0, 2, 4, 1, 3))),
    "triangle": _closed((0, -0.9), (1, 0.8), (-1, 0.8)),
    "zigzag": [((-1, 0.5), (-0.5, -0.5)), ((-0.5, -0.5), (0, 0.5)), ((0, 0.5), (0.5, -0.5)), ((0.5, -0.5), (1, 0.5))],
}  # fmt: skip


def draw(shape: str, count: int, seed: int) -> np.ndarray:
    """Pictures of one of SHAPES: uint8 (count, 1, 28, 28). The first pictures of a seed are the same for any count."""
    lines = np.array(SHAPES[shape])  # (L, 2, 2)
    at = np.stack(np.meshgrid(*[np.arange(SIDE) - (SIDE - 1) / 2] * 2), axis=-1)  # (28, 28, 2): x, y
    pictures = np.empty((count, 1, SIDE, SIDE), np.uint8)
    for k in range(count):
        rng = np.random.default_rng([seed, list(SHAPES).index(shape), k])
        turn, thick = rng.normal(0, 0.15), rng.uniform(1.6, 3.0)
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        here = lines @ (turned @ np.diag(rng.uniform(7.5, 9.5, 2))).T + rng.uniform(-1.5, 1.5, 2)
        from_, way = here[:, 0, None, None], (here[:, 1] - here[:, 0])[:, None, None]
        along = ((at - from_) * way).sum(-1) / (way**2).sum(-1)  # where on each line a pixel's nearest point lies
        far = np.linalg.norm(at - from_ - along.clip(0, 1)[..., None] * way, axis=-1).min(0)
        pictures[k, 0] = np.round(255 * (thick / 2 - far + 0.5).clip(0, 1))
    return pictures


def planted(sizes: tuple[int, ...] = SIZES, seed: int = 0) -> dict[str, np.ndarray]:
    """All that is planted, by shape: uint8 (size, 1, 28, 28)."""
    return {shape: draw(shape, size, seed) for shape, size in zip(SHAPES, sizes, strict=True)}


def named(pictures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each picture by itself, uint8 (28, 28), under shape/number."""
    return {f"{shape}/{k:04d}": image[0] for shape, images in pictures.items() for k, image in enumerate(images)}


if __name__ == "__main__":
    files.atomic_write(FILE, archive.packed(named(planted())))
    print(f"{FILE}: {sum(SIZES):,} pictures, {Path(FILE).stat().st_size:,} bytes")
