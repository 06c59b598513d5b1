"""What the lists of drawn faces have to do with the face that was drawn: who is in them, and what they show.

y are samples (B, 3, 32, 32), read by `reading`; of the images, people and attributes are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from genens.theory import identification
from genens_book.chapters.faces import drawing, reading
from genens_book.chapters.faces.reading import Reader
from genens_book.measures import imagenet, nulls, references
from genens_book.measures.gallery import Gallery
from genens_book.measures.not_run import NotRun
from genens_book.measures.nulls import Against
from genens_book.measures.references import Real
from genens_book.pages.words import number, share

STAND_IN, FOR = "faces", "celeba"  # as `data.load` knows them
UNREAD = NotRun("no network here reads photographs of faces, only drawn ones")


def reader_of(recipe: Mapping) -> Reader | NotRun:
    """What reads the samples of an ensemble of this recipe. Raises as `reading.load`."""
    return reading.load() if recipe["dataset"] == STAND_IN else UNREAD


def read(y: np.ndarray, reader: Reader) -> dict:
    """To be stored: what a reader makes of faces (..., 3, 32, 32); see `reading.read`."""
    return reading.read(reader, y)


def real(images: Gallery, kept: Path) -> dict[str, Real]:
    """What networks see in the training images, by their names: what the folder `kept` has of them, or, of images that
    are all at hand, EfficientNet now; nothing without either. Raises as `references.load`."""
    if (kept / "manifest.json").is_file():
        return references.load(kept)
    network = imagenet.efficientnet()
    if isinstance(network, NotRun) or not images.whole:
        return {}
    return {"efficientnet": references.seen(references.by_imagenet, images.images, network)}


def first(seen: Mapping[str, np.ndarray], B: int) -> dict[str, np.ndarray]:
    """What was read in the ensemble's first B samples; seen: of samples (B, 1 + n)."""
    return {name: value[:B, 0] for name, value in seen.items()}


def agreement_words(seen: Mapping[str, np.ndarray] | NotRun) -> dict[str, str]:
    """`agreement`, as prose has it."""
    if isinstance(seen, NotRun):
        return {"same": "not run", "same_chance": "not run"}
    same, chance = agreement(seen["attributes"])
    return {"same": share(same), "same_chance": share(chance)}


def agreement(attributes: np.ndarray) -> tuple[float, float]:
    """In which share of the attributes (B, 1 + n, A) a member's face is as the ensemble's, and in which it would be if
    both drew theirs independently, each attribute as often as it does overall."""
    whole, alone = attributes[:, :1], attributes[:, 1:]
    often = [side.mean((0, 1)) for side in (whole, alone)]
    chance = often[0] * often[1] + (1 - often[0]) * (1 - often[1])
    return float((alone == whole).mean()), float(chance.mean())


def agreeing(seen: np.ndarray, images: Gallery) -> np.ndarray:
    """In which share of the attributes a sample, seen bool (B, A), and an image agree: float32 (B, N)."""
    sides = [np.asarray(side, np.float32) for side in (seen, images.attributes)]
    both = sides[0] @ sides[1].T + (1 - sides[0]) @ (1 - sides[1]).T
    return both / sides[0].shape[1]


def resemblance(person: np.ndarray, reader: Reader, images: Gallery) -> np.ndarray:
    """How far each of the data set's people is from the sample's, as the reader has it (B, P), over the mean of all
    images: float32 (B, people)."""
    apart = reader.apart(torch.as_tensor(person), reading.everyone(len(images.classes))).numpy()
    return apart / apart[:, images.labels.numpy()].mean(1, keepdims=True)


Statistic = Callable[[np.ndarray], float]


def statistics(seen: Mapping[str, np.ndarray], reader: Reader, images: Gallery) -> dict[str, Statistic]:
    """What is asked of lists (B, k) of images, for samples as `read` has them; see `nulls.against`."""
    agree, apart = agreeing(seen["attributes"], images), resemblance(seen["person"], reader, images)
    labels, sample = images.labels.numpy(), np.arange(len(agree))[:, None]
    return {
        "attributes": lambda rows: float(agree[sample, rows].mean()),
        "person": lambda rows: float(apart[sample, labels[rows]].mean()),
        "distinct": lambda rows: float(len(np.unique(rows))),
        "several": lambda rows: float((np.unique(rows, return_counts=True)[1] > 1).sum()),
    }


def each(seen: np.ndarray, images: Gallery) -> dict[str, Statistic]:
    """Of every attribute, the share of lists' images that agree with their sample, seen bool (B, A), in it."""
    known = images.attributes.numpy()

    def of(a: int) -> Statistic:
        return lambda rows: float((known[rows, a] == seen[:, a, None]).mean())

    return {name: of(a) for a, name in enumerate(images.attribute_names)}


# ---------------------------------------------------------------- people as super samples


@dataclass(frozen=True)
class Together:
    """Whether people who resemble a sample more have, with all their images together, more influence on it: the mean
    over samples of the rank correlation of influence and likeness, found and with codes dealt anew."""

    found: float
    mean: float
    low: float
    high: float
    p: float
    deals: int


def of_people(gram: np.ndarray, codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The influence of each person's images together: float64 (B, people). gram (B, n, n), codes (N, n), labels (N,).

    The matched filter of a group: || J (mean of its codes - h/n) || times the root of its size, so that by chance all
    have one distribution. (With codes of their own, people would be super samples of Section 2.3; here every member has
    seen some of everybody.)
    """
    n, people = codes.shape[1], int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=people)
    sums = np.stack([np.bincount(labels, codes[:, i], people) for i in range(n)], 1)
    change = sums / sizes[:, None] - codes[0].sum() / n
    inside = np.einsum("pi,bij,pj->bp", change, np.asarray(gram), change, optimize=True)
    return np.sqrt(inside.clip(min=0) * sizes)


def together(
    gram: np.ndarray, codes: np.ndarray, labels: np.ndarray, apart: np.ndarray, deals: int, seed: int
) -> Together:
    """See `Together`; apart (B, people): how far people are from the sample, as `resemblance` has it."""
    near = rankdata(-apart, axis=1)
    near = (near - near.mean(1, keepdims=True)) / near.std(1, keepdims=True)

    def correlation(dealt: np.ndarray) -> float:
        ranks = rankdata(of_people(gram, dealt, labels), axis=1)
        return float(((ranks - ranks.mean(1, keepdims=True)) / ranks.std(1, keepdims=True) * near).mean())

    rng = np.random.default_rng(seed)
    found = correlation(codes)
    null = np.array([correlation(codes[rng.permutation(len(codes))]) for _ in range(deals)])
    p = (1 + (null >= found).sum()) / (1 + deals)
    return Together(found, float(null.mean()), *map(float, np.quantile(null, [0.025, 0.975])), float(p), deals)


@dataclass(frozen=True)
class Meaning:
    """What lists have to do with the faces they are of, beside codes dealt anew: by `statistics`, by `each` attribute,
    and by `together`."""

    lists: dict[str, Against]
    attributes: dict[str, Against]
    people: Together


def meaning(
    gram: np.ndarray,
    codes: np.ndarray,
    seen: Mapping[str, np.ndarray],
    reader: Reader | NotRun,
    images: Gallery,
    k: int,
    deals: int,
    seed: int,
) -> Meaning | NotRun:
    """All of it, for samples as `read` has them; the reason where nobody has read them. gram (B, n, n), codes (N, n),
    k images in a list."""
    if isinstance(reader, NotRun):
        return reader
    order, labels = nulls.order(gram, codes, k), images.labels.numpy()
    asked = [statistics(seen, reader, images), each(seen["attributes"], images)]
    lists = [nulls.against(order, codes, k, wanted, deals, seed) for wanted in asked]
    apart = resemblance(seen["person"], reader, images)
    return Meaning(*lists, together(gram, codes, labels, apart, deals, seed))


def meaning_words(found: Meaning | NotRun) -> dict[str, object]:
    """The numbers of `meaning` that prose has; each says that it was not run where it was not."""
    if isinstance(found, NotRun):
        return dict.fromkeys(SAID, "not run")
    one, who, outside = found.lists["attributes"], found.lists["person"], found.attributes.values()
    values = (
        *(share(x, 1) for x in (one.found, one.mean)), number(one.p, 3), number(100 * one.seen, 1),
        *(number(x, 3) for x in (who.found, who.mean, who.p)),
        sum(not a.low <= a.found <= a.high for a in outside), number(0.05 * len(outside), 1),
        *(number(x, 3) for x in (found.people.found, found.people.low, found.people.high, found.people.p)),
    )  # fmt: skip
    return dict(zip(SAID, values, strict=True))


SAID = (
    "attributes_found", "attributes_mean", "attributes_p", "attributes_seen", "who_found", "who_mean", "who_p",
    "outside", "expected", "people_found", "people_low", "people_high", "people_p",
)  # fmt: skip


# ---------------------------------------------------------------- what the law says


def law(gram: np.ndarray, N: int, people: int) -> dict[str, float]:
    """What the identification law says before anything is searched, if training had no noise of its own, which favours
    it, and all images pull alike: the members at which one image would be seen, or one person's images under one code
    of their own, and how many images must share a code for the n members there are. The noise's effective dimension is
    the mean of the samples', from gram (B, n, n)."""
    n = gram.shape[1]
    d = float(np.mean([identification.dimension(one, n) for one in gram]))
    g = N / people
    return {
        "dimension": d,
        "image": identification.members_needed(1 / (N - 1), N, d),
        "person": identification.members_needed(g / (N - g), people, d),
        "person_aligned": identification.members_needed(g * g / (N - g), people, d),
        "group": identification.group_needed(n, N, 0.0, d),
        "group_aligned": identification.group_needed(n, N, 0.0, d, aligned=True),
    }


def law_words(said: Mapping[str, float], n: int, N: int) -> dict[str, str]:
    """What `law` says of n members and N images, as prose has it, and what follows from it for a code a person."""
    members, groups = ("image", "person", "person_aligned"), ("group", "group_aligned")
    at = {name: f"{float(f'{said[name]:.2g}'):,.0f}" if np.isfinite(said[name]) else "no number" for name in members}
    large = {name: number(said[name], 3, "g") if said[name] < N else "no size" for name in groups}
    if n < min(said["person"], said["person_aligned"]):
        follows = "A second ensemble with a code a person was not trained: by the law it would see nobody."
    else:
        follows = "By the law a second ensemble with a code a person could see somebody; none was trained."
    return {f"law_{name}": shown for name, shown in (at | large).items()} | {"law_follows": follows}


def data_words(images: Gallery) -> dict[str, object]:
    """What the data set is, and how well its reader knows it, as prose has it."""
    tested = reading.manifest()["tested"]
    return {
        "people": len(images.classes),
        "each": number(len(images) / len(images.classes)),
        "n_attributes": len(images.attribute_names),
        "person_numbers": len(drawing.PERSON),
        "picture_numbers": len(drawing.PICTURE),
        "read_right": share(np.mean([*tested["attributes"].values()])),
        "read_who": share(tested["identified"]),
        "read_of": tested["faces"],
    }


# ---------------------------------------------------------------- a stand-in


def measured(recipe: Mapping) -> str:
    """Whose claims an ensemble of this recipe measures: CelebA's, where drawn faces stand in for it."""
    return FOR if recipe["dataset"] == STAND_IN else recipe["dataset"]


def stand_in(reduced: str, recipe: Mapping) -> str:
    """`systems.reduced`, said to be of a stand-in where it is."""
    drawn = ["a stand-in, drawn faces for photographs"] if recipe["dataset"] == STAND_IN else []
    return ", ".join([*drawn, *([reduced] if reduced else [])])


def no_fid(recipe: Mapping) -> NotRun | None:
    """Why the FID of a stand-in is not set beside the paper's; None of the data set itself."""
    if recipe["dataset"] == STAND_IN:
        return NotRun("a FID of drawn faces to drawn faces says nothing of CelebA's")
    return None
