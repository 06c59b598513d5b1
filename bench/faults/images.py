"""Folders of pictures, composed at random, with names in any script and something odd in some of them: taken with the
pixels that were written, or refused in one line that names the odd one. No program is started for any."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from bench.faults.damage import Draw
from bench.faults.report import Report, timed
from genens import data

Write = Callable[[Path, Draw, tuple[int, int]], np.ndarray | None]
SCRIPTS = (  # letters that names are made of; those of the last are not fit to be printed
    "abcXYZ 019_-+()'&",
    "ابتثجحخد",
    "漢字かなカナ",
    "Ωλψжщю",
    "😀🎨🧪👩",
    "éüñ" + "e\u0301",
    "हिन्दी",
    "עברית",
    "a\n\t\x1b\u202e\u200b\udcff",
)


# ---------------------------------------------------------------- pictures that are taken


def grey(file: Path, draw: Draw, side: tuple[int, int]) -> np.ndarray:
    """A grey picture; returns its pixels (1, H, W)."""
    pixels = draw.integers(0, 256, side, np.uint8)
    Image.fromarray(pixels).save(file)
    return pixels[None]


def colour(file: Path, draw: Draw, side: tuple[int, int]) -> np.ndarray:
    """A picture in colour, some with alpha that says nothing; returns its pixels (3, H, W)."""
    pixels = draw.integers(0, 256, (*side, 3), np.uint8)
    opaque = np.concatenate([pixels, np.full((*side, 1), 255, np.uint8)], 2)
    Image.fromarray(opaque if draw.integers(2) else pixels).save(file)
    return pixels.transpose(2, 0, 1)


def palette(file: Path, draw: Draw, side: tuple[int, int]) -> np.ndarray:
    """A picture of few colours; returns its pixels (3, H, W)."""
    image = Image.fromarray(draw.integers(0, 9, side, np.uint8), "P")
    image.putpalette(draw.integers(0, 256, 9 * 3, np.uint8).tolist())
    image.save(file)
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def bits(file: Path, draw: Draw, side: tuple[int, int]) -> np.ndarray:
    """Black and white; returns the pixels (1, H, W)."""
    pixels = draw.integers(0, 2, side).astype(bool)
    Image.fromarray(pixels).save(file)
    return np.uint8(255) * pixels[None]


GOOD: tuple[Write, ...] = (grey, colour, palette, bits)


# ---------------------------------------------------------------- what is refused


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A few bytes that say that they are a picture of a few billion pixels."""
    width = int(draw.integers(50_000, 2**31 - 1))
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, width, 8, 0, 0, 0, 0))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(bytes(99))) + _chunk(b"IEND", b""))


def text_bomb(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A picture with a comment that unpacks to hundreds of megabytes."""
    note = PngInfo()
    note.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    Image.new("L", side[::-1]).save(file, pnginfo=note)


def animation(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """Several frames, as PNG, or as GIF under PNG's name."""
    first, *more = (Image.fromarray(draw.integers(0, 256, side, np.uint8)) for _ in range(3))
    first.save(file, format="GIF" if draw.integers(2) else "PNG", save_all=True, append_images=more)


def deep(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """16 bits a pixel."""
    Image.fromarray(draw.integers(0, 2**16, side, np.uint16)).save(file, format="PNG")


def cmyk(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A JPEG for printers."""
    Image.fromarray(draw.integers(0, 256, (*side, 4), np.uint8), "CMYK").save(file, format="JPEG")


def alpha(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """Transparent here and there, in grey or in colour."""
    pixels = draw.integers(0, 255, (*side, 2 if draw.integers(2) else 4), np.uint8)
    Image.fromarray(pixels).save(file, format="PNG")


def transparent(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """One colour of it is transparent."""
    mode, one = ("L", 7) if draw.integers(2) else ("RGB", (7, 7, 7))
    Image.new(mode, side[::-1], one).save(file, format="PNG", transparency=one)


def cut(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A picture of which a part is missing."""
    Image.fromarray(draw.integers(0, 256, (*side, 3), np.uint8)).save(file, format=("PNG", "JPEG")[draw.integers(2)])
    os.truncate(file, draw.integers(file.stat().st_size - 20))


def eps(file: Path, draw: Draw | None = None, side: tuple[int, int] = (4, 4)) -> None:
    """What Pillow would start Ghostscript for."""
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n")


def foreign(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """Another format, under PNG's name."""
    kind = ("GIF", "BMP", "TIFF", "PPM", "WEBP", "ICO", "TGA")[draw.integers(7)]
    Image.fromarray(draw.integers(0, 256, (*side, 3), np.uint8)).save(file, format=kind)


def noise(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """Random bytes, or none."""
    file.write_bytes(draw.bytes(int(draw.integers(200))))


def another_size(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A picture of another size than the others."""
    grey(file, draw, (side[0] + 1, side[1]))


def link_out(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A link to a picture elsewhere, or to a device."""
    outside = next(path for path in file.parents if path.name == "pictures").with_name("outside.png")
    grey(outside, draw, side)
    file.symlink_to(outside if draw.integers(2) else "/dev/zero")


def dangling(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A link to nothing, or to itself."""
    file.symlink_to(file.parent / "nothing.png" if draw.integers(2) else file)


def pipe(file: Path, draw: Draw, side: tuple[int, int]) -> None:
    """A pipe, at whose other end nobody writes."""
    os.mkfifo(file)


ODD: tuple[Write, ...] = (
    *(bomb, text_bomb, animation, deep, cmyk, alpha, transparent, cut, eps, foreign, noise),
    *(another_size, link_out, dangling, pipe),
)


# ---------------------------------------------------------------- the campaign


@dataclass
class Folder:
    """A folder that was composed: where, its pictures' pixels by path, and what is odd in it, if anything."""

    path: Path
    pixels: dict[str, np.ndarray]
    kind: str = ""
    odd: Path | None = None


def a_name(draw: Draw, scripts: int = len(SCRIPTS) - 1) -> str:
    """A name of a few letters of one of so many scripts."""
    letters = SCRIPTS[draw.integers(scripts)]
    return "x" + "".join(letters[i] for i in draw.integers(len(letters), size=draw.integers(1, 9)))


def compose(path: Path, draw: Draw) -> Folder:
    """Two to five pictures in a folder, or in class folders; in two of three folders one of them is odd, or its name is
    not fit to be printed."""
    side, classes = tuple(draw.integers(4, 9, 2).tolist()), draw.integers(2) and [a_name(draw), a_name(draw) + "2"]
    found, number = Folder(path, {}), int(draw.integers(2, 6))
    for k in range(number):
        home = path / classes[k % 2] if classes else path
        home.mkdir(parents=True, exist_ok=True)
        file = home / f"{a_name(draw)}{k}{('.png', '.PNG')[draw.integers(2)]}"
        found.pixels[str(file)] = GOOD[draw.integers(len(GOOD))](file, draw, side)
    if draw.integers(3):
        kinds = [*ODD, "name", *(["class name"] if classes else [])]
        kind = kinds[draw.integers(len(kinds))]
        bad = "".join(SCRIPTS[-1][i] for i in draw.integers(1, len(SCRIPTS[-1]), size=3))
        if kind == "class name":
            found.odd = path / f"{classes[0]}{bad}"
            (path / classes[0]).rename(found.odd)
        else:
            found.odd = home / f"{a_name(draw)}{'' if callable(kind) else bad}.png"
            (kind if callable(kind) else grey)(found.odd, draw, side)
        found.kind = kind.__name__.replace("_", " ") if callable(kind) else f"{kind} that cannot be printed"
    return found


def outcome(folder: Folder) -> tuple[str, str]:
    """What came of loading a folder, and what is wrong with that, if anything."""
    try:
        images = data.load(f"folder:{folder.path}").images.numpy()
    except Exception as problem:  # noqa: BLE001
        said = str(problem)
        if not isinstance(problem, ValueError | FileNotFoundError):
            return "", f"a foreign exception, {type(problem).__name__}: {said}"
        if folder.odd is None:
            return "", f"refused, and nothing is wrong with it: {said}"
        named = any(name in said for name in (folder.odd.name, repr(folder.odd.name)[1:-1]))
        return "refused in one line", "" if named and said.isprintable() else f"no clear line: {said}"
    if folder.odd is not None:
        return "", "taken without a word"
    ordered = [folder.pixels[name] for name in sorted(folder.pixels, key=_place)]
    channels = max(len(pixels) for pixels in ordered)
    expected = np.stack([np.broadcast_to(pixels, (channels, *pixels.shape[1:])) for pixels in ordered])
    return "taken with its pixels", "" if np.array_equal(images, expected) else "taken with other pixels"


def _place(name: str) -> tuple[str, str]:
    return Path(name).parent.name, Path(name).name


STARTED: list[str] = []  # programs, while a campaign listens
_listening = False


def _listen(event: str, arguments: tuple) -> None:
    if _listening and event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
        STARTED.append(f"{event} {arguments!r:.100}")


def run(root: Path, seed: int, count: int) -> Report:
    """So many folders."""
    global _listening
    report = Report("images", "folders of pictures with names in any script, and something odd in most", seed)
    draw = np.random.default_rng(seed)
    sys.addaudithook(_listen)  # which cannot be removed
    _listening = True
    try:
        with timed(report), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pictures that are alike
            for number in tqdm(range(count), "folders of pictures", unit="folder"):
                folder = compose(root / f"folder{number}" / "pictures", draw)
                came, wrong = outcome(folder)
                if STARTED:
                    wrong = f"started a program: {STARTED.pop()}"
                    STARTED.clear()
                report.count(folder.kind or "nothing odd", came, wrong and f"{folder.odd}: {wrong}")
                shutil.rmtree(folder.path.parent)
    finally:
        _listening = False
    return report
