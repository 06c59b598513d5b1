"""A CelebA of a few made-up pictures, in torchvision's layout."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets as tv

PEOPLE = (7, 3000, 7, 12)  # who is on a picture, over and over


def fabricate(root: Path, monkeypatch: pytest.MonkeyPatch, shapes: Sequence[tuple[int, int]]) -> None:
    """A celeba folder with a picture of every shape (H, W); torchvision's list of checksums is replaced, its check
    runs."""
    base, names = root / "celeba", [f"{i + 1:06d}.jpg" for i in range(len(shapes))]
    (base / "img_align_celeba").mkdir(parents=True)
    for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        pixels = np.random.default_rng(i).integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(base / "img_align_celeba" / name, quality=95)
    tables = {
        "list_attr_celeba.txt": ([[len(names)], ["Smiling", "Young"]], lambda i: [1, -1]),
        "identity_CelebA.txt": ([], lambda i: [PEOPLE[i % len(PEOPLE)]]),
        "list_bbox_celeba.txt": ([[len(names)], ["image_id", "x_1", "y_1", "width", "height"]], lambda i: [1, 2, 3, 4]),
        "list_landmarks_align_celeba.txt": ([[len(names)], ["lefteye_x", "lefteye_y"]], lambda i: [5, 6]),
        "list_eval_partition.txt": ([], lambda i: [0]),
    }
    listed = [entry for entry in tv.CelebA.file_list if entry[2].endswith(".zip")]
    for table, (head, row) in tables.items():
        with (base / table).open("w", newline="") as file:
            rows = [[name, *row(i)] for i, name in enumerate(names)]
            csv.writer(file, delimiter=" ").writerows(head + rows)
        listed.append((None, hashlib.md5((base / table).read_bytes()).hexdigest(), table))
    monkeypatch.setattr(tv.CelebA, "file_list", listed)
