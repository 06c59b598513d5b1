"""256 signs as the private pictures of the chapter on fine-tunes, of scripts that no digit resembles.

    python -m genens_book.chapters.finetunes.alphabet      # writes book/alphabet.zip anew

Every sign is another one, in bold DejaVu Sans (which matplotlib brings), white on black as MNIST is. Among them are
planted: copies of some, the same to the last pixel; near copies, half-way to the font's regular weight; and one outlier
that is no sign. The archive is what is used; a newer font may draw other pixels.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genens import files, store
from genens_book.measures import archive

FILE = store.home() / "book" / "alphabet.zip"
SIDE, INNER, FINER = 28, 20, 8  # pixels; of these the sign's; drawn so many times as large
BOLD, REGULAR = "DejaVuSans-Bold.ttf", "DejaVuSans.ttf"
SCRIPTS = {
    "armenian": "ԱԲԳԴԵԶԷԸԹԺԻԼԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՍՎՏՐՑՒՓՔՕՖ",
    "cyrillic": "БДЖЗИЛУФЦЧШЭЮЯ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "greek": "ΓΔΘΛΞΠΣΦΨΩαβγδζηθλμξπρσφψω",
    "latin": "ABCDEFGHJKLMNPQRSTUVWXYZabdefghknrty",
    "symbols": "←↑→↓↔↕↖↗↺↻∀∃∅∇∈∏∑√∞∫≈≠≤≥⊂⊕⊗⌂⌘☀☁☂☃★☎☠☢☮☯☺♀♂♠♣♥♦♪♫♭♯⚀⚁⚂⚃⚄⚅⚑⚓⚖⚙⚛⚡✂✈✉✌✎✓✗✝✡✦✪❄❤➔@#&%?!$€£§",
}
UNSEEN = "աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆЂЉЊЋЏѢѪѰѠҖҠҨӁ"  # as good signs as any, but in nobody's training
COPIES = NEAR = 12  # signs of which there is a copy, and others of which there is a near one
OUTLIER = "other/chessboard"


def sign(character: str, font: str = BOLD) -> np.ndarray:
    """A sign, its longer side INNER pixels, in the middle: uint8 (28, 28)."""
    large = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", font)), INNER * FINER)
    left, top, right, bottom = large.getbbox(character)
    drawn = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(drawn).text((-left, -top), character, 255, large)
    scale = INNER * FINER / max(drawn.size)
    drawn = drawn.resize([max(1, round(side * scale)) for side in drawn.size], Image.Resampling.LANCZOS)
    whole = Image.new("L", (SIDE * FINER, SIDE * FINER))
    whole.paste(drawn, ((whole.width - drawn.width) // 2, (whole.height - drawn.height) // 2))
    return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BOX))


def chessboard() -> np.ndarray:
    """The outlier: uint8 (28, 28)."""
    dark = np.add.outer(np.arange(SIDE) // 4, np.arange(SIDE) // 4) % 2
    return (255 * dark).astype(np.uint8)


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((one.astype(int) + other) // 2).astype(np.uint8)


def pictures(seed: int = 0) -> dict[str, np.ndarray]:
    """All of them by name, such as latin/U+0041: uint8 (28, 28) each, with -copy and -near for what is planted."""
    every = {f"{script}/U+{ord(c):04X}": c for script, signs in SCRIPTS.items() for c in signs}
    rng = np.random.default_rng(seed)
    left_out = {*rng.choice([*every], len(every) + COPIES + NEAR + 1 - 256, replace=False)}
    kept = [name for name in every if name not in left_out]
    letters = [name for name in kept if not name.startswith("symbols")]  # symbols have but one weight
    chosen = rng.choice(letters, COPIES + NEAR, replace=False)
    found = {name: sign(every[name]) for name in kept}
    found |= {f"{name}-copy": found[name] for name in chosen[:COPIES]}
    found |= {f"{name}-near": _between(found[name], sign(every[name], REGULAR)) for name in chosen[COPIES:]}
    return dict(sorted({**found, OUTLIER: chessboard()}.items(), key=lambda one: f"{one[0]}.png"))  # as a folder is


def unseen() -> np.ndarray:
    """Signs that are not among the pictures: uint8 (M, 1, 28, 28)."""
    return np.stack([sign(character)[None] for character in UNSEEN])


def planted() -> dict[str, np.ndarray]:
    """Which rows of the archive were planted, int64: "copy" and "near" (12, 2), a sign and its copy, and "outlier" (1,
    1)."""
    with zipfile.ZipFile(FILE) as file:
        names = [name.removesuffix(".png") for name in file.namelist()]
    row = {name: k for k, name in enumerate(names)}
    pairs = {
        kind: np.array([(row[name.removesuffix(f"-{kind}")], row[name]) for name in names if name.endswith(f"-{kind}")])
        for kind in ("copy", "near")
    }
    return {**pairs, "outlier": np.array([[row[OUTLIER]]])}


def main() -> None:
    """Write the archive."""
    files.atomic_write(FILE, archive.packed(pictures()))
    print(f"{len(pictures())} pictures in {FILE}")


if __name__ == "__main__":
    main()
