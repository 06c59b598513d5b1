"""Drawn faces, as many as CelebA has photographs, of as many people: a stand-in that anyone can make from a seed.

    python -m genens_book.chapters.faces.drawing --out data/faces-32

A person is a row of numbers (shape of the head, colours, hair, eyes, ...), a picture another (pose, light, expression,
clothes, hat, ...), so that identity and attributes are known. Shapes are signed distances, in half sides of the picture
(x to the right, y down, from -1 to 1), which one pixel's width turns into smooth coverage. Everything is made of
operations that IEEE 754 rounds correctly (no sine, no exponential): every machine draws the same pixels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genens import data
from genens.seeds import generator

PEOPLE, PICTURES = 10_177, 202_599  # CelebA's
FEWEST, MOST = 9, 31  # pictures of a person, about
SHARD = 512  # pictures whose numbers are drawn together

# What each number of a person, or of a picture, is drawn from evenly: (least, most).
PERSON = {
    "width": (0.40, 0.50),  # half of the head's, at the cheeks
    "height": (0.52, 0.62),
    "jaw": (0.70, 0.98),  # its width over the head's
    "ears": (0.07, 0.12),
    "eyes_apart": (0.165, 0.215),  # from the middle
    "eyes_high": (-0.09, -0.01),
    "eye_size": (0.060, 0.090),
    "eye_round": (0.55, 0.85),  # height over width
    "brow_thick": (0.014, 0.038),
    "brow_tilt": (-0.04, 0.05),
    "brow_high": (0.10, 0.15),  # above the eyes
    "nose_wide": (0.035, 0.080),
    "nose_long": (0.16, 0.24),
    "mouth_wide": (0.12, 0.21),
    "mouth_low": (0.33, 0.38),
    "lips": (0.014, 0.030),
    "skin": (0, 1),  # from pale to dark
    "skin_red": (-0.03, 0.03),
    "hair": (0, 1),  # which of HAIR
    "hair_light": (0.85, 1.15),
    "style": (0, 1),  # which of STYLES
    "hairline": (0.30, 0.42),
    "iris": (0, 1),  # which of IRIS
    "wears_glasses": (0, 1),
    "frame": (0, 1),
    "grows_beard": (0, 1),
    "wears_earrings": (0, 1),
}
PICTURE = {
    "shift_x": (-0.07, 0.07),
    "shift_y": (-0.05, 0.07),
    "zoom": (1.05, 1.22),
    "tilt": (-0.10, 0.10),  # the tangent of half the angle
    "turn": (-1, 1),  # of the head, to the side
    "smile": (-0.35, 1),
    "opening": (-1.2, 1),  # of the mouth: shut below 0
    "gaze": (-1, 1),
    "lids": (0, 1),  # shut above 0.95
    "light": (-1, 1),  # where from, left or right
    "bright": (0.88, 1.08),
    "glasses_on": (0, 1),
    "beard_on": (0, 1),
    "hat": (0, 1),
    "hat_hue": (0, 1),
    "cloth_hue": (0, 1),
    "cloth_light": (0.25, 0.95),
    "back_hue": (0, 1),
    "back_light": (0.25, 0.95),
    "back_pale": (0.35, 0.95),
}
HAIR = {  # name: colour, share of the people
    "black": ((0.10, 0.09, 0.10), 0.30),
    "brown": ((0.33, 0.20, 0.11), 0.32),
    "blond": ((0.86, 0.69, 0.36), 0.20),
    "red": ((0.66, 0.28, 0.10), 0.08),
    "grey": ((0.70, 0.70, 0.72), 0.10),
}
STYLES = {"short": 0.28, "fringe": 0.16, "long": 0.28, "curly": 0.12, "bun": 0.08, "bald": 0.08}  # shares of the people
IRIS = {"brown": ((0.30, 0.17, 0.08), 0.5), "blue": ((0.25, 0.45, 0.75), 0.3), "green": ((0.25, 0.50, 0.30), 0.2)}
SKIN = ((1.00, 0.86, 0.75), (0.93, 0.72, 0.55), (0.73, 0.50, 0.34), (0.42, 0.27, 0.18))  # from pale to dark
ATTRIBUTES = (
    "glasses", "hat", "beard", "smiling", "mouth open", "earrings", "bald", "long hair", "curly hair", "fringe",
    "black hair", "blond hair", "brown hair", "grey hair", "red hair", "dark skin", "light from the left",
    "bright background",
)  # fmt: skip
# Where the curls of curly hair lie, in half widths and half heights of the head.
CURLS = [
    (-1.02, 0.05), (-1.08, -0.28), (-0.98, -0.60), (-0.70, -0.86), (-0.36, -1.04), (0.0, -1.10), (0.36, -1.04),
    (0.70, -0.86), (0.98, -0.60), (1.08, -0.28), (1.02, 0.05),
]  # fmt: skip

WHITE, DARK, MOUTH, GOLD = (0.97, 0.97, 0.97), (0.08, 0.08, 0.08), (0.30, 0.07, 0.08), (0.95, 0.80, 0.25)

Numbers = Mapping[str, Tensor]


def numbers(ranges: Mapping[str, tuple[float, float]], count: int, *key: int) -> Numbers:
    """A column of `count` numbers for each of the ranges: {name: float32 (count,)}, a function of the key."""
    drawn = torch.rand((count, len(ranges)), generator=generator(*key), dtype=torch.float64)
    return {name: (a + (b - a) * drawn[:, k]).float() for k, (name, (a, b)) in enumerate(ranges.items())}


def pick(u: Tensor, shares: Sequence[float]) -> Tensor:
    """Which of several things of these shares a uniform number picks: int64, as u."""
    return torch.bucketize(u.double(), torch.tensor(shares[:-1], dtype=torch.float64).cumsum(0), right=True)


def faces(folder: str | Path, side: int, people: int = PEOPLE, pictures: int = PICTURES, seed: int = 0) -> data.Dataset:
    """Draw the data set into a folder (see `data.pack`): labels are people, attributes those of ATTRIBUTES. Raises
    ValueError as `whose`, OSError when it cannot be written."""
    who = whose(people, pictures, seed)
    attributes = torch.cat([torch.stack([seen[a] for a in ATTRIBUTES], 1) for *_, seen in shards(who, people, seed)])
    empty = torch.empty((pictures, 3, side, side), dtype=torch.uint8, device="meta")
    names = tuple(f"person {k}" for k in range(people))
    about = data.Dataset(empty, who, "drawn faces (a stand-in for CelebA)", names, attributes, ATTRIBUTES)
    return data.pack(folder, about, (draw(person, picture, side) for person, picture, _ in shards(who, people, seed)))


def shards(who: Tensor, people: int, seed: int) -> Iterator[tuple[Numbers, Numbers, dict[str, Tensor]]]:
    """What there is to be drawn, SHARD pictures at a time: numbers of their people, of the pictures, and `traits`."""
    everyone = numbers(PERSON, people, seed, 1)
    for k, rows in enumerate(who.split(SHARD)):
        person = {name: value[rows] for name, value in everyone.items()}
        picture = numbers(PICTURE, len(rows), seed, 2, k)
        yield person, picture, traits(person, picture)


def whose(people: int, pictures: int, seed: int) -> Tensor:
    """Who is in each picture: int64 (pictures,), every one of `people` about equally often, in no order.

    Raises ValueError unless there is at least a picture a person.
    """
    if not 1 <= people <= pictures:
        raise ValueError(f"expected at least a picture of each person; got {pictures:,} of {people:,}")
    draw = generator(seed, 0)
    weights = FEWEST + (MOST - FEWEST) * torch.rand(people, generator=draw, dtype=torch.float64)
    sums = weights.cumsum(0)
    ends = (sums * ((pictures - people) / sums[-1])).long()
    counts = 1 + torch.diff(ends, prepend=torch.zeros(1, dtype=torch.int64))
    counts[0] += pictures - counts.sum()
    return torch.repeat_interleave(counts)[torch.randperm(pictures, generator=draw)]


# Signed distances of shapes, negative inside: x, y (B, H, W), the rest (B, 1, 1) or numbers.


def root(x: Tensor) -> Tensor:
    """Square roots, correctly rounded: PyTorch's are MKL's, whose last digit depends on the processor's maker."""
    return torch.from_numpy(np.sqrt(x.numpy()))


def ellipse(x: Tensor, y: Tensor, a, b) -> Tensor:
    """Of an ellipse with half axes a, b, to first order near its edge."""
    p, q = x / a, y / b
    inside = root(p * p + q * q + 1e-6)
    steep = root((p / a) * (p / a) + (q / b) * (q / b) + 1e-6)
    return inside * (inside - 1) / steep


def segment(x: Tensor, y: Tensor, to_x, to_y, r) -> Tensor:
    """Of a line from the origin to a point, r thick to either side, with round ends."""
    along = ((x * to_x + y * to_y) / (to_x * to_x + to_y * to_y)).clamp(0, 1)
    dx, dy = x - along * to_x, y - along * to_y
    return root(dx * dx + dy * dy) - r


def both(*shapes: Tensor) -> Tensor:
    """Where all of them are."""
    found = shapes[0]
    for shape in shapes[1:]:
        found = torch.maximum(found, shape)
    return found


def either(*shapes: Tensor) -> Tensor:
    """Where any of them is."""
    found = shapes[0]
    for shape in shapes[1:]:
        found = torch.minimum(found, shape)
    return found


def hue(u: Tensor, light: Tensor, pale: Tensor | float) -> Tensor:
    """Colours (B, 3) around the colour circle: u, light, pale in [0, 1]."""
    offsets = torch.tensor([0.0, 2 / 3, 1 / 3])
    wheel = (((u[:, None] + offsets) % 1 - 0.5).abs() * 6 - 1).clamp(0, 1)
    pale = pale if isinstance(pale, float) else pale[:, None]
    return light[:, None] * (wheel * (1 - pale) + pale)


def _rgb(*parts: float) -> Tensor:
    return torch.tensor(parts)[None, :, None, None]


def _skin(shade: Tensor, red: Tensor) -> Tensor:
    """Colours (B, 3) between those of SKIN."""
    palette = torch.tensor(SKIN)
    place = shade * (len(SKIN) - 1)
    low = place.long().clamp(max=len(SKIN) - 2)
    part = (place - low)[:, None]
    found = palette[low] * (1 - part) + palette[low + 1] * part
    return found + red[:, None] * torch.tensor([1.0, -0.5, -0.5])


def traits(person: Numbers, picture: Numbers) -> dict[str, Tensor]:
    """What is to be seen: {attribute of ATTRIBUTES, or style: bool (B,)}, and the indices `hair`, `style`, `iris`."""
    hair = pick(person["hair"], [share for _, share in HAIR.values()])
    style = pick(person["style"], list(STYLES.values()))
    is_hair = {f"{name} hair": hair == k for k, name in enumerate(HAIR)}
    is_style = {name: style == k for k, name in enumerate(STYLES)}
    long = is_style["long"]
    return {
        **is_hair,
        **is_style,
        "glasses": (person["wears_glasses"] < 0.35) & (picture["glasses_on"] < 0.75),
        "hat": picture["hat"] < 0.10,
        "beard": (person["grows_beard"] < 0.32) & ~long & ~is_style["bun"] & (picture["beard_on"] < 0.85),
        "smiling": picture["smile"] > 0.25,
        "mouth open": picture["opening"] > 0,
        "mouth shut": picture["opening"] <= 0,
        "not bald": ~is_style["bald"],
        "earrings": (person["wears_earrings"] < 0.5) & (long | is_style["bun"]),
        "long hair": long,
        "curly hair": is_style["curly"],
        "dark skin": person["skin"] > 0.67,
        "light from the left": picture["light"] < 0,
        "bright background": picture["back_light"] > 0.6,
        "hair": hair,
        "style": style,
        "iris": pick(person["iris"], [share for _, share in IRIS.values()]),
    }


class Face:
    """B pictures in the making; each method paints a part over what is there.

    p, q: the people's and the pictures' numbers, (B, 1, 1) each; has: `traits` as 0 or 1; x, y: (B, side, side) where
    pixels lie in the face's frame, and u, v in the one of the shoulders, which do not tilt; pixels: float32
    (B, 3, side, side) in [0, 1].
    """

    def __init__(self, person: Numbers, picture: Numbers, side: int):
        self.p, self.q = ({name: value[:, None, None] for name, value in given.items()} for given in (person, picture))
        seen, q = traits(person, picture), self.q
        self.has = {name: value[:, None, None].float() for name, value in seen.items()}
        self.skin_colour = _skin(person["skin"], person["skin_red"]) * picture["bright"][:, None]
        self.hair = torch.tensor([c for c, _ in HAIR.values()])[seen["hair"]] * person["hair_light"][:, None]
        self.iris = torch.tensor([c for c, _ in IRIS.values()])[seen["iris"]]
        self.cloth = hue(picture["cloth_hue"], picture["cloth_light"], 0.25)
        self.hat = hue(picture["hat_hue"], torch.full_like(picture["hat_hue"], 0.7), 0.15)
        back = hue(picture["back_hue"], picture["back_light"], picture["back_pale"])

        at = (torch.arange(side) * 2 + 1) / side - 1
        px, py = at[None, None, :], at[None, :, None]
        self.u, self.v = (px - q["shift_x"]) / q["zoom"], (py - q["shift_y"] - 0.06) / q["zoom"]
        t = q["tilt"]
        cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        self.x, self.y = cos * self.u + sin * self.v, cos * self.v - sin * self.u
        self.nod = 0.05 * q["turn"]  # how far the features lie to the side of the head's middle
        self.fx = self.x - self.nod
        self.across = self.x / self.p["width"]  # from -1 at one cheek to 1 at the other
        self.skin = self._lit(self.skin_colour, 0.20)
        self.smooth = q["zoom"] * (side / 2)  # pixels a unit of distance
        back = back[:, :, None, None] * (1.0 - 0.18 * py)[:, None]
        self.pixels = back.expand(*back.shape[:3], side)

    def _lit(self, colour: Tensor, much: float) -> Tensor:
        """A colour (B, 3) under the light from the side: (B, 3, side, side)."""
        return colour[:, :, None, None] * (1 + much * self.q["light"] * self.across)[:, None]

    def lay(self, shape: Tensor, colour: Tensor | tuple[float, float, float], where: str = "", opacity=1.0) -> None:
        """Paint a shape (B, H, W) in a colour, (B, 3) or (B, 3, H, W); only in pictures that have the trait `where`."""
        opacity = opacity * self.has[where] if where else opacity
        colour = torch.tensor([colour]) if isinstance(colour, tuple) else colour
        colour = colour if colour.dim() == 4 else colour[:, :, None, None]
        cover = ((0.5 - shape * self.smooth).clamp(0, 1) * opacity)[:, None]
        self.pixels = self.pixels + (colour - self.pixels) * cover

    def behind(self) -> None:
        """Hair behind the head, shoulders, neck, ears."""
        p, x, y, u, v = self.p, self.x, self.y, self.u, self.v
        w, h, ear = p["width"], p["height"], p["ears"]
        hair = self.hair * 0.80
        self.lay(either(ellipse(x, y + 0.05, w * 1.28, h * 1.18), both(x.abs() - w * 1.22, -y, y - 0.80)), hair, "long")
        self.lay(ellipse(x + self.nod, y + h * 1.22, w * 0.42, w * 0.36), hair, "bun")
        self.lay(either(*self._curls()), hair, "curly")
        self.lay(ellipse(u, v - 1.16, 0.86, 0.46), self.cloth)
        self.lay(both(x.abs() - w * 0.46, -y, v - 0.80), self.skin * 0.80)
        self.lay(ellipse(u, v - 0.78, w * 0.46, 0.09), self.skin * 0.80)
        self.lay(ellipse(x.abs() - w * 0.99, y - 0.03, ear * 0.75, ear * 1.25), self.skin * 0.92)
        self.lay(ellipse(x.abs() - w * 1.03, y - 0.20, 0.030, 0.045), GOLD, "earrings")

    def _curls(self, above: float = 1.0) -> list[Tensor]:
        w, h = self.p["width"], self.p["height"]
        return [ellipse(self.x - a * w, self.y - b * h, w * 0.36, w * 0.36) for a, b in CURLS if b < above]

    def head(self) -> None:
        """An ellipse above, a narrower one for the jaw; cheeks, beard."""
        p, y = self.p, self.y
        w, h = p["width"], p["height"]
        jaw = ellipse(self.x - self.nod * 0.4, y - h * 0.28, w * p["jaw"], h * 0.76)
        head = either(ellipse(self.x, y + h * 0.14, w, h * 0.88), jaw)
        self.lay(head, self.skin)
        self.lay(
            ellipse(self.fx.abs() - w * 0.52, y - 0.17, 0.10, 0.075), self.skin * _rgb(1.0, 0.78, 0.74), opacity=0.35
        )
        square = self.across * self.across
        edge = p["mouth_low"] - 0.085 + 0.05 * (self.fx.abs() / w) - 0.42 * square * square
        self.lay(both(head + 0.012, edge - y), self.hair * 0.85, "beard", 0.9)

    def eyes(self) -> None:
        """White, iris, pupil, a glint; the lids close over them. Brows."""
        p, size, smile = self.p, self.p["eye_size"], self.q["smile"]
        shut = (self.q["lids"] > 0.95).float()
        tall = size * p["eye_round"] * (1 - 0.85 * shut) * (1 - 0.25 * (smile > 0.25).float())
        outward, y = self.fx.abs() - p["eyes_apart"], self.y - p["eyes_high"]
        eye = ellipse(outward, y, size, tall)
        self.lay(eye - 0.013, self.skin * 0.62)
        self.lay(eye, WHITE)
        looks = torch.where(self.fx < 0, -outward, outward) - 0.3 * size * self.q["gaze"]
        self.lay(both(eye, ellipse(looks, y, size * 0.56, size * 0.56)), self.iris)
        self.lay(both(eye, ellipse(looks, y, size * 0.27, size * 0.27)), DARK)
        self.lay(both(eye, ellipse(looks + size * 0.2, y + size * 0.2, size * 0.14, size * 0.14)), WHITE)
        brow = y + p["brow_high"] + 0.02 * (smile < -0.2).float()
        self.lay(segment(outward + size * 1.15, brow, size * 2.3, p["brow_tilt"], p["brow_thick"]), self.hair * 0.70)

    def nose(self) -> None:
        """A ridge to the side it is turned to, and the tip."""
        p, nod, y = self.p, self.nod, self.y - self.p["eyes_high"]
        ridge = segment(self.fx - 0.4 * nod, y - 0.05, 0.6 * nod, p["nose_long"] - 0.05, 0.010)
        self.lay(ridge, self.skin * 0.86, opacity=0.7)
        x, y = self.fx - 0.5 * nod, y - p["nose_long"]
        self.lay(ellipse(x, y, p["nose_wide"], 0.032), self.skin * 0.82)
        self.lay(ellipse(x, y + 0.012, p["nose_wide"] * 0.7, 0.028), self.skin * 1.06)

    def mouth(self) -> None:
        """Lips around a curve that smiles, or around teeth."""
        p, y, smile, thick = self.p, self.y, self.q["smile"], self.p["lips"]
        wide = p["mouth_wide"] * (1 + 0.15 * smile)
        side, bow = self.fx.abs() - wide, (self.fx / wide) * (self.fx / wide)
        line = p["mouth_low"] - 0.055 * smile * bow + 0.02 * smile
        under = line + 0.10 * self.q["opening"].clamp(min=0) * (1 - bow)
        inside = both(side, line - y, y - under)
        self.lay(both(side - 0.01, line - thick - y, y - under - thick), self.skin * _rgb(0.86, 0.50, 0.50))
        self.lay(inside, MOUTH, "mouth open")
        self.lay(both(inside, y - line - 0.035), WHITE, "mouth open")
        self.lay(both(side, (y - line).abs() - 0.006), self.skin * 0.45, "mouth shut")

    def front(self) -> None:
        """Hair in front: what lies above the hairline of a head a little larger; locks and curls."""
        p, has, y, across = self.p, self.has, self.y, self.across
        w, h = p["width"], p["height"]
        parted = -h * (0.30 + p["hairline"]) + h * 0.95 * across * across
        short = parted + 0.25 * h * across.abs() - 0.06
        fringe = -h * 0.36 + 0.03 * across
        edge = torch.where(has["fringe"] > 0, fringe, torch.where(has["short"] > 0, short, parted)).clamp(max=0.02)
        cap = ellipse(self.x, y + h * 0.17, w * 1.07, h * 0.93)
        self.lay(both(cap, y - edge), self._lit(self.hair, 0.15), "not bald")
        locks = both(self.x.abs() - w * 1.20, w * 0.93 - self.x.abs(), -0.30 - y, y - 0.75)
        self.lay(locks, self.hair * 0.95, "long")
        self.lay(either(*self._curls(above=-0.6)), self.hair, "curly")

    def worn(self) -> None:
        """Glasses and a hat."""
        p, size = self.p, self.p["eye_size"]
        w, h, gap = p["width"], p["height"], p["eyes_apart"]
        aside, y = self.fx.abs(), self.y - p["eyes_high"]
        lens, bar = ellipse(aside - gap, y - 0.01, size * 1.75, size * 1.50), y.abs() - 0.012
        bridge, arms = both(aside - gap + size * 1.7, bar), both(aside - w, gap + size * 1.7 - aside, bar)
        self.lay(lens, WHITE, "glasses", 0.12)
        frames = torch.where(p["frame"] < 0.6, 0.08, 0.55)[:, :, 0].expand(-1, 3)
        self.lay(either(lens.abs() - 0.013, bridge, arms), frames, "glasses")
        y = self.y + h * 0.55
        dome = both(ellipse(self.x, y + h * 0.07, w * 1.12, h * 0.66), y)
        self.lay(dome, self.hat, "hat")
        self.lay(both(dome, -y - h * 0.17), self.hat * 0.6, "hat")
        self.lay(ellipse(self.x - 0.6 * self.nod, y, w * 1.30, 0.055), self.hat * 0.75, "hat")


def draw(person: Numbers, picture: Numbers, side: int) -> Tensor:
    """Pictures of people: uint8 (B, 3, side, side), from numbers of B people and B pictures."""
    face = Face(person, picture, side)
    for part in (face.behind, face.head, face.eyes, face.nose, face.mouth, face.front, face.worn):
        part()
    return (face.pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m genens_book.chapters.faces.drawing", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--side", type=int, default=data.FACES_SIZE, help="of a picture, in pixels")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, help="the folder, for instance data/faces-32")
    given = parser.parse_args(arguments)
    try:
        found = faces(given.out, given.side, given.people, given.pictures, given.seed)
    except (ValueError, OSError) as problem:
        sys.exit(f"genens_book.chapters.faces.drawing: {problem}")
    print(f"{len(found):,} faces in {given.out}, digest {found.digest[:16]}")


if __name__ == "__main__":
    main()
