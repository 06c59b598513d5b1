"""Datasets as uint8 tensors with labels. MNIST's test split, the paper's MNIST, is inside the package.

What is too large to hold, or slow to decode, is packed: pixels in one file that is mapped into memory.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from genens import files, pictures, provenance

MNIST = Path(__file__).parent / "assets" / "mnist"
MNIST_SHA256 = {
    "t10k-images-idx3-ubyte.gz": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte.gz": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}
CIFAR_FOLDER, CIFAR_ZIP = "cifar-10-batches-py", "cifar-10-jpeg.zip"
CELEBA_SIZE = 128  # paper, Section B.1
FACES_SIZE = 32
PIXELS, BESIDE, ARRAYS = "pixels.u8", "beside", "arrays.safetensors"
LARGE = 1 << 30  # bytes of pixels, of which no digest is worked out again
CHUNK = 256  # images decoded at a time on their way into a packed data set


@dataclass(frozen=True)
class Dataset:
    """images: uint8 (N, C, H, W); labels: int64 (N,), label k is called classes[k]; attributes: bool (N, A), where they
    are known, and what they are called."""

    images: torch.Tensor
    labels: torch.Tensor
    name: str
    classes: tuple[str, ...]
    attributes: torch.Tensor | None = None
    attribute_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of shape, pixels and labels; not of the names, nor of where the data came from."""
        sha = _sha(self.images.shape)
        sha.update(np.ascontiguousarray(self.images.numpy()))
        sha.update(_bytes(self.labels))
        return sha.hexdigest()

    def select(self, labels: Sequence[int]) -> Dataset:
        """Only the images with one of these labels, in their old order and with their old labels.

        Raises ValueError when the list is empty or a label is not present.
        """
        wanted = [int(label) for label in labels]
        present = set(self.labels.unique().tolist())
        absent = [label for label in wanted if label not in present]
        if absent or not wanted:
            raise ValueError(f"expected labels among {sorted(present)} of {self.name}, got {absent or 'an empty list'}")
        keep = torch.isin(self.labels, torch.tensor(wanted))
        return self._rows(keep, f"{self.name}, classes {','.join(map(str, wanted))}")

    def take(self, N: int) -> Dataset:
        """The first N images. Raises ValueError unless 1 <= N <= len(self)."""
        if not 1 <= N <= len(self):
            raise ValueError(f"expected 1 <= N <= {len(self)} images of {self.name}, got N = {N}")
        return self._rows(slice(N), f"{self.name}, first {N}")

    def _rows(self, rows: slice | torch.Tensor, name: str) -> Dataset:
        attributes = None if self.attributes is None else self.attributes[rows]
        return replace(self, images=self.images[rows], labels=self.labels[rows], name=name, attributes=attributes)


@dataclass(frozen=True)
class Rows:
    """Some of the images of a data set, int64 (M,), that are looked up when they are asked for."""

    images: torch.Tensor
    rows: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: torch.Tensor) -> torch.Tensor:
        return self.images[self.rows[index]]


def load(spec: str, root: str | Path | None = None, size: int | None = None) -> Dataset:
    """One dataset, whole; in memory, or mapped into it where it is large (celeba, faces).

    spec: "mnist" (10,000 test digits, inside the package; the paper's MNIST), "cifar10" (both splits,
    60,000, training split first, each by class), "celeba" (all splits, 202,599, centre crop, 128 pixels unless size
    says otherwise; labels are people; packed in root/celeba-SIZE the first time), "faces" (as many drawn ones, in
    root/faces-SIZE, 32 pixels unless size says otherwise), or "folder:PATH" (png and jpg, grey or RGB; subfolders are
    classes in sorted order, a flat folder is one; PATH may be a zip file of such folders), or several of these joined
    by " + ": the labels of each count on from those before.
    root: where torchvision's cifar-10-batches-py or celeba lies, or for cifar10 a folder or zip of train|test/class
    folders (default: $GENENS_DATA, else ./data); nothing is downloaded.
    size: centre crop to a square and resize (PIL, bilinear with antialiasing) to size x size pixels.

    Raises ValueError for an unknown spec, an unreadable image, or images of different sizes without `size`;
    FileNotFoundError when data is absent. Source: paper, Section B.1.
    """
    if size is not None and size < 1:
        raise ValueError(f"expected a size of at least 1 pixel, got {size}")
    if " + " in spec:
        return _joined([load(part, root, size) for part in spec.split(" + ")])
    kind, _, path = spec.partition(":")
    if spec in LOADERS:
        return LOADERS[spec](_place(root), size)
    if kind == "folder" and path:
        return _folder(_open(place := Path(path).expanduser()) or place, size)
    raise ValueError(f"expected a dataset among {', '.join(LOADERS)}, folder:PATH, got {spec!r}")


def _joined(parts: Sequence[Dataset]) -> Dataset:
    shapes = {tuple(part.images.shape[1:]) for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"expected images of one size in {' and '.join(part.name for part in parts)}, got "
            f"{' and '.join(map(str, sorted(shapes)))}: give size= to crop and resize them all"
        )
    before = np.cumsum([0, *(len(part.classes) for part in parts)]).tolist()
    labels = torch.cat([part.labels + first for part, first in zip(parts, before, strict=False)])
    classes = tuple(name for part in parts for name in part.classes)
    return Dataset(torch.cat([part.images for part in parts]), labels, " + ".join(part.name for part in parts), classes)


def _place(root: str | Path | None) -> Path:
    return Path(root or os.environ.get("GENENS_DATA") or "data")


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """uint8 pixels (..., C, H, W) to float32 in [-1, 1] (paper, Section B.1)."""
    return images.to(torch.float32) / 127.5 - 1


def to_uint8(y: torch.Tensor) -> torch.Tensor:
    """Floats (..., C, H, W) to uint8 pixels, the inverse of to_unit; what lies outside [-1, 1] is clipped first."""
    return ((y.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def _mnist(root: Path, size: int | None) -> Dataset:
    images = _resized(_idx("t10k-images-idx3-ubyte.gz").unsqueeze(1), size)
    labels = _idx("t10k-labels-idx1-ubyte.gz").long()
    return Dataset(images, labels, "MNIST test", tuple("0123456789"))


def _idx(name: str) -> torch.Tensor:
    """An IDX file of bytes: 0, 0, type 8, the number of dimensions, each as a big-endian uint32, the data."""
    path, sha256 = MNIST / name, MNIST_SHA256[name]
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise ValueError(f"expected {path} with sha256 {sha256[:12]}..., got another file: restore it")
    raw = gzip.decompress(packed)
    shape = struct.unpack_from(f">{raw[3]}I", raw, 4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape).copy())


def _cifar10(root: Path, size: int | None) -> Dataset:
    """As torchvision has it, or as pictures; the images of a class keep their order, so that an image has one row."""
    pictures = next((at for at in map(_open, (root, root / CIFAR_ZIP)) if at and (at / "train").is_dir()), None)
    if pictures and not (root / CIFAR_FOLDER).is_dir():
        halves = [_folder(pictures / split, size) for split in ("train", "test")]
    else:
        halves = [cifar10_half(train, root) for train in (True, False)]
    order = [half.labels.argsort(stable=True) for half in halves]
    images = torch.cat([half.images[rows] for half, rows in zip(halves, order, strict=True)])
    labels = torch.cat([half.labels[rows] for half, rows in zip(halves, order, strict=True)])
    return Dataset(_resized(images, size), labels, "CIFAR-10", halves[0].classes)


def cifar10_half(train: bool, root: str | Path | None = None) -> Dataset:
    """The training half of CIFAR-10 or the test half, in torchvision's order. Raises and root as `load`."""
    from torchvision import datasets as tv  # seconds to import, and MNIST does without

    root = _place(root)
    half = _torchvision(partial(tv.CIFAR10, root, train=train), CIFAR_FOLDER, root)
    images = torch.from_numpy(half.data).permute(0, 3, 1, 2).contiguous()
    return Dataset(images, torch.tensor(half.targets), "CIFAR-10", tuple(half.classes))


def _celeba(root: Path, size: int | None) -> Dataset:
    size = size or CELEBA_SIZE
    if (folder := root / f"celeba-{size}").is_dir():
        return unpack(folder)
    from torchvision import datasets as tv

    whole = _torchvision(lambda: tv.CelebA(root, split="all", target_type=[]), "celeba", root)
    paths = [Path(whole.root, whole.base_folder, "img_align_celeba", name) for name in whole.filename]
    who, labels = whole.identity.unique(return_inverse=True)
    empty = torch.empty((len(paths), 3, size, size), dtype=torch.uint8, device="meta")
    people, names = tuple(map(str, who.tolist())), tuple(name for name in whole.attr_names if name)
    about = Dataset(empty, labels.flatten(), "CelebA", people, whole.attr.bool(), names)
    return pack(folder, about, (pictures.read(paths[i : i + CHUNK], size) for i in range(0, len(paths), CHUNK)))


def _faces(root: Path, size: int | None) -> Dataset:
    folder = root / f"faces-{size or FACES_SIZE}"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"expected the drawn faces in {folder.absolute()}, found none: draw them, which takes minutes, with "
            f"`python -m genens_book.chapters.faces.drawing --side {size or FACES_SIZE} --out {folder}`"
        )
    return unpack(folder)


LOADERS: dict[str, Callable[[Path, int | None], Dataset]] = {
    "mnist": _mnist,
    "cifar10": _cifar10,
    "celeba": _celeba,
    "faces": _faces,
}


def pack(folder: str | Path, about: Dataset, chunks: Iterable[torch.Tensor]) -> Dataset:
    """Write a data set to a folder that `unpack` maps into memory, and map it.

    about: all of it but the pixels, images (N, C, H, W) on the "meta" device; chunks: uint8 (k, C, H, W), N in all.
    Shows progress. Raises ValueError for chunks of another size, or too many or too few of them; then, and when it
    cannot be written (OSError), nothing is left.
    """
    with files.staged(folder) as new:
        new.mkdir()
        sha = _write_pixels(new / PIXELS, about, chunks)
        beside = {"labels": about.labels} | ({} if about.attributes is None else {"attributes": about.attributes})
        manifest = {
            "name": about.name,
            "shape": list(about.images.shape),
            "classes": about.classes,
            "attribute_names": about.attribute_names,
            "data": sha,
            "made": provenance.describe(),
        }
        files.write_folder(new / BESIDE, {ARRAYS: files.arrays_to_bytes(beside)}, manifest)
    return unpack(folder)


def _write_pixels(file: Path, about: Dataset, chunks: Iterable[torch.Tensor]) -> str:
    """Write the pixels one chunk after the other; returns the data set's digest."""
    shape, sha = about.images.shape, _sha(about.images.shape)
    bar = tqdm(desc=f"packing {about.name}", total=len(about), unit="image", file=sys.stderr)
    with bar, file.open("wb") as opened:
        for chunk in chunks:
            if chunk.shape[1:] != shape[1:] or bar.n + len(chunk) > len(about):
                raise ValueError(f"expected {tuple(shape)} pixels, got {tuple(chunk.shape)} at {bar.n}")
            pixels = chunk.numpy().tobytes()
            sha.update(pixels)
            opened.write(pixels)
            bar.update(len(chunk))
    if bar.n != len(about):
        raise ValueError(f"expected {len(about)} images, got {bar.n}")
    sha.update(_bytes(about.labels))
    return sha.hexdigest()


def unpack(folder: str | Path) -> Dataset:
    """What `pack` wrote; pixels come into memory as they are used. Raises FileNotFoundError when a file is missing,
    ValueError when one is not as it was written; of more than a gigabyte of pixels only the size is looked at."""
    folder, remedy = Path(folder), "delete the folder, and it is made anew"
    manifest, contents = files.read_folder(folder / BESIDE, remedy=remedy)
    with files.expecting("a packed data set", folder, remedy):
        beside = {k: torch.from_numpy(v) for k, v in files.arrays_from_bytes(contents[ARRAYS], folder).items()}
        name, classes, names = manifest["name"], tuple(manifest["classes"]), tuple(manifest["attribute_names"])
        size, file = int(np.prod(manifest["shape"])), folder / PIXELS
        if (found := file.stat().st_size) != size:
            raise ValueError(f"{PIXELS} is truncated or edited: expected {size} bytes, found {found}")
        pixels = torch.from_file(str(file), shared=False, size=size, dtype=torch.uint8).view(manifest["shape"])
        whole = Dataset(pixels, beside["labels"], name, classes, beside.get("attributes"), names)
        if size <= LARGE and whole.digest != manifest["data"]:
            raise ValueError(f"{PIXELS} was edited")
        whole.__dict__["digest"] = manifest["data"]  # known since it was written: no pixels are read for it
    return whole


def _sha(shape: Sequence[int]):
    return hashlib.sha256(f"images {tuple(shape)}\n".encode())


def _bytes(labels: torch.Tensor) -> bytes:
    return labels.numpy().astype("<i8").tobytes()


def _torchvision(make: Callable, folder: str, root: Path):
    """torchvision says only "not found or corrupted"; say which folder, and what to do."""
    try:
        return make()
    except RuntimeError as error:
        raise FileNotFoundError(
            f"expected torchvision's {folder} folder, complete, in {root.absolute()}, "
            "but it is absent or damaged: put it there or give another root"
        ) from error


def _open(path: Path) -> Path | zipfile.Path | None:
    """A folder, or a zip file as one; None for anything else."""
    if zipfile.is_zipfile(path):
        return zipfile.Path(path)
    return path if path.is_dir() else None


def _folder(path: Path | zipfile.Path, size: int | None) -> Dataset:
    if not path.is_dir():
        raise FileNotFoundError(f"expected a folder of images, but {path} is not a folder: check the path")
    subfolders = sorted((p for p in path.iterdir() if p.is_dir() and p.name[0] != "."), key=lambda p: p.name)
    for subfolder in subfolders:
        pictures.check_inside(subfolder)
    files = pictures.within(path)
    if files and subfolders:
        loose = f"move the {len(files)} loose images away"
        raise ValueError(f"expected images or class folders in {path}, got both: {loose}")
    if not files and not subfolders:
        raise FileNotFoundError(f"expected png or jpg images in {path}, got none: check the path")
    by_class = {folder.name: pictures.within(folder) for folder in subfolders or [path]}  # a flat folder is one class
    if empty := [name for name, members in by_class.items() if not members]:
        raise FileNotFoundError(
            f"expected png or jpg images in every class folder of {path}, got none in {empty[0]}: "
            "remove it, or give the folder one level down"
        )
    found = [file for members in by_class.values() for file in members]
    pictures.tell_identical(images := pictures.read(found, size), found)
    labels = torch.repeat_interleave(torch.tensor([len(members) for members in by_class.values()]))
    return Dataset(images, labels, path.name, tuple(by_class))


def _resized(images: torch.Tensor, size: int | None) -> torch.Tensor:
    """The same crop and resize for images already in memory."""
    if size is None or images.shape[-2:] == (size, size):
        return images
    from torchvision.transforms import functional as tvf

    return torch.stack([tvf.pil_to_tensor(pictures.squared(tvf.to_pil_image(image), size)) for image in images])
