"""Pictures in folders and zip files: png and jpeg, decoded one by one into one tensor. What cannot be meant is refused.

Files are opened as what they contain, and as nothing but these two: a file of another kind under their names, some of
which other programs would be started for, is no picture here. Nothing outside the folder is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
# What PIL raises for a file that is no image, cut short, damaged, or a bomb.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
PROGRESS_FROM = 2_000  # files; fewer are read before a bar would be of use
MEMORY = 0.5  # the share of the machine's that pictures may fill

Place = Path | zipfile.Path


def within(path: Place) -> list[Place]:
    """The png and jpeg files of a folder, by name, without hidden ones. Raises ValueError for one that is no regular
    file, that lies outside the folder, or whose name is not fit to be printed."""
    found = sorted((p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES) and p.name[0] != "."), key=_name)
    for file in found:
        check_inside(file)
    return [file for file in found if file.is_file()]


def _name(path: Place) -> str:
    return path.name


def check_inside(file: Place) -> None:
    """Raises ValueError for a name that is not fit to be printed, for a link that leads out of its folder, or to
    nothing, and for what is no file at all."""
    if not file.name.isprintable():
        raise ValueError(f"expected names that can be printed in {file.parent}, got {file.name!r}: rename it")
    if not isinstance(file, Path):  # in a zip file
        return
    try:
        kind = file.stat().st_mode
    except OSError as problem:
        raise ValueError(f"expected a picture at {file}, got a link to nothing: remove it") from problem
    if file.is_symlink() and (target := file.resolve()).parent != file.parent.resolve():
        shown = target if str(target).isprintable() else repr(str(target))
        raise ValueError(f"expected pictures inside {file.parent}, but {file} is a link to {shown}: copy it")
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise ValueError(f"expected a picture at {file}, got a pipe, device or socket: remove it")


def read(files: Sequence[Place], size: int | None) -> torch.Tensor:
    """Decode files into uint8 (N, C, H, W), cropped and resized as `data.load` says. Grey files among RGB ones become
    RGB, which loses nothing.

    Raises ValueError for a file that cannot be decoded, for pictures of several sizes, and for more than the memory
    holds.
    """
    images: np.ndarray | None = None
    quiet = len(files) < PROGRESS_FROM
    for i, file in enumerate(tqdm(files, "reading images", unit="file", file=sys.stderr, disable=quiet)):
        pixels = _decode(file, size)
        if images is None:
            images = _room(len(files), pixels)
        if pixels.shape[1:] != images.shape[2:]:
            (h, w), (h0, w0) = pixels.shape[1:], images.shape[2:]
            raise ValueError(
                f"expected images of one size, but {file} is {w}x{h} and {files[0]} is {w0}x{h0}: "
                "give size= to crop and resize them all"
            )
        if len(pixels) > images.shape[1]:
            images = np.repeat(images, 3, axis=1)
        images[i] = pixels
    return torch.from_numpy(images)


def _room(N: int, pixels: np.ndarray) -> np.ndarray:
    """An array for N images like this one, (C, H, W). ValueError where the machine has no memory for it."""
    asked, there = N * pixels.nbytes, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if asked > MEMORY * there:
        h, w = pixels.shape[1:]
        raise ValueError(
            f"expected images that fit into memory, got {N:,} of {w}x{h} pixels, {asked / 1e9:,.1f} GB where "
            f"{there / 1e9:,.1f} GB are built in: give size= to crop and resize them all"
        )
    return np.empty((N, *pixels.shape), np.uint8)


def tell_identical(images: torch.Tensor, files: Sequence[Place]) -> None:
    """Warn of identical images (N, C, H, W) and name the first two: ablating one leaves its copies."""
    first: dict[bytes, int] = {}
    sums = (hashlib.blake2b(np.ascontiguousarray(image)).digest() for image in images.numpy())
    again = [(first.setdefault(sum_, i), i) for i, sum_ in enumerate(sums)]
    if copies := [(one, other) for one, other in again if one != other]:
        one, other = (files[i].name for i in copies[0])
        warnings.warn(
            f"{len(copies):,} of {len(files):,} images are identical to others ({other} to {one}); each has a code of "
            "its own, so that ablating it leaves its copies",
            stacklevel=2,
        )


def _decode(file: Place, size: int | None) -> np.ndarray:
    """One image file as uint8 (C, H, W), turned upright as its EXIF orientation says."""
    try:
        with file.open("rb") as stream, Image.open(stream, formats=FORMATS) as opened:
            if (frames := getattr(opened, "n_frames", 1)) > 1:
                raise ValueError(f"it has {frames} frames")
            image = ImageOps.exif_transpose(opened)
            image.load()
    except DECODE_ERRORS as error:
        raise ValueError(f"expected a readable png or jpg, but {file} is not ({error}): repair or remove it") from error
    image = _opaque(image, file)
    if size is not None:
        image = squared(image, size)
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _opaque(image: Image.Image, file: Place) -> Image.Image:
    """The image as L or RGB. Alpha is dropped only where it says nothing."""
    if image.mode == "1":
        image = image.convert("L")
    if "transparency" in image.info:  # one colour is transparent, which may not occur
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert(image.mode[:-1])
    if image.mode not in ("L", "RGB"):
        raise ValueError(f"expected an opaque 8-bit grey or RGB image, but {file} is {image.mode}: convert it")
    return image


def squared(image: Image.Image, size: int) -> Image.Image:
    """The centre of an image, a square as large as can be, resized (bilinear, antialiased) to size x size pixels."""
    from torchvision.transforms import functional as tvf

    square = image if image.width == image.height else tvf.center_crop(image, min(image.size))
    return square if square.width == size else tvf.resize(square, [size, size])
