"""What the lists of drawn faces have to do with the face that was drawn: who is in them, and what they show.

y are samples (B, 3, 32, 32), read by `reading`; of the images, people and attributes are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.stats import rankdata

from genens.sampling import side_by_side
from genens.theory import identification
from genens_book.chapters.faces import drawing, reading
from genens_book.chapters.faces.reading import Reader
from genens_book.measures import imagenet, nulls, references, stats
from genens_book.measures.gallery import Gallery
from genens_book.measures.not_run import NotRun
from genens_book.measures.nulls import Against
from genens_book.measures.references import Real
from genens_book.pages.words import number, share

STAND_IN, FOR = "faces", "celeba"  # as `data.load` knows them
UNREAD = NotRun("no network here reads photographs of faces, only drawn ones")
SIDED = {"light from the left"}  # members see every picture mirrored half of the time: not asked about
FRESH = 512  # faces drawn anew, of people whom nobody knows, that samples are set against


def reader_of(recipe: Mapping) -> Reader | NotRun:
    """What reads the samples of an ensemble of this recipe. Raises as `reading.load`."""
    return reading.load() if recipe["dataset"] == STAND_IN else UNREAD


def read(y: np.ndarray, reader: Reader) -> dict:
    """To be stored: what a reader makes of faces (..., 3, 32, 32); see `reading.read`."""
    return reading.read(reader, y)


def real(reader: Reader | NotRun, images: Gallery, kept: Path) -> dict[str, Real]:
    """What networks see in the training images, by their names: what the folder `kept` has of them, or, of images that
    are all at hand, what the reader ("faces") and EfficientNet do now; nothing without either. Raises as
    `references.load`."""
    if (kept / "manifest.json").is_file():
        return references.load(kept)
    sides = {"faces": (reading.by_reader, reader), "efficientnet": (references.by_imagenet, imagenet.efficientnet())}
    return {
        name: references.seen(function, images.images, network)
        for name, (function, network) in sides.items()
        if images.whole and not isinstance(network, NotRun)
    }


def own(
    reader: Reader | NotRun, seen: Mapping[str, np.ndarray] | NotRun, real: Mapping[str, Real]
) -> dict[str, tuple[np.ndarray, Real]]:
    """By the reader, if it read both: its features of the samples, and what it sees in the training images."""
    if isinstance(seen, NotRun) or "faces" not in real:
        return {}
    return {reader.reader: (seen["features"], real["faces"])}


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


def readable_words(seen: Mapping[str, np.ndarray] | NotRun, reader: Reader, people: int, seed: int) -> dict[str, str]:
    """Whether samples, (B, 1 + n, ...) as `read` has them, look like people to the reader, as prose has it: how far the
    nearest of the data set's people is, in the median, from the ensemble's and from other people, drawn anew."""
    if isinstance(seen, NotRun):
        return dict.fromkeys(["nearest", "nearest_fresh"], "not run")
    y, _, _ = next(reading.fresh(FRESH, seed + 2))
    sides = {"nearest": seen["person"][:, 0], "nearest_fresh": reading.read(reader, y)["person"]}
    everyone = reading.everyone(people)
    apart = {name: reader.apart(torch.as_tensor(one), everyone).min(1).values for name, one in sides.items()}
    return {name: number(nearest.median().item(), 1) for name, nearest in apart.items()}


def asked(images: Gallery) -> np.ndarray:
    """Which of the attributes are asked about, bool (A,): all but those that tell left from right."""
    return np.array([name not in SIDED for name in images.attribute_names])


def agreeing(seen: np.ndarray, images: Gallery) -> np.ndarray:
    """In which share of the attributes `asked` about a sample, seen bool (B, A), and an image agree: float32 (B, N)."""
    sides = [np.asarray(side, np.float32)[:, asked(images)] for side in (seen, images.attributes)]
    both = sides[0] @ sides[1].T + (1 - sides[0]) @ (1 - sides[1]).T
    return both / sides[0].shape[1]


def resemblance(person: np.ndarray, reader: Reader, images: Gallery) -> np.ndarray:
    """How far each of the data set's people is from the sample's, as the reader has it (B, P), over the mean of all
    images: float32 (B, people)."""
    apart = reader.apart(torch.as_tensor(person), reading.everyone(len(images.classes))).numpy()
    return apart / apart[:, images.labels.numpy()].mean(1, keepdims=True)


Statistic = Callable[[np.ndarray], float]


def statistics(seen: Mapping[str, np.ndarray], reader: Reader, images: Gallery) -> dict[str, Statistic]:
    """What is asked of lists (B, k) of images, for samples as `read` has them; see `nulls.against`. The first is the
    question, the others are asked beside it."""
    agree, apart = agreeing(seen["attributes"], images), resemblance(seen["person"], reader, images)
    labels, sample = images.labels.numpy(), np.arange(len(agree))[:, None]
    return {
        "attributes": lambda rows: float(agree[sample, rows].mean()),
        "single": lambda rows: largest(rows, seen["attributes"], images),
        "person": lambda rows: float(apart[sample, labels[rows]].mean()),
        "distinct": lambda rows: float(len(np.unique(rows))),
        "several": lambda rows: float((np.unique(rows, return_counts=True)[1] > 1).sum()),
    }


def largest(rows: np.ndarray, seen: np.ndarray, images: Gallery) -> float:
    """The largest, over the attributes `asked` about, of how much more lists (B, k) agree with their samples, seen bool
    (B, A), than images at random, in standard errors of lists drawn at random."""
    known, chosen = images.attributes.numpy(), asked(images)
    often = known.mean(0)
    expected = np.where(seen, often, 1 - often)[:, chosen]
    error = np.sqrt((expected * (1 - expected)).sum(0) * rows.shape[1]) / rows.size
    found = (known[rows] == seen[:, None])[..., chosen].mean((0, 1))
    return float(((found - expected.mean(0)) / error.clip(min=1e-12)).max())


def each(seen: np.ndarray, images: Gallery) -> dict[str, Statistic]:
    """Of every attribute `asked` about, the share of lists' images that agree with their sample, seen bool (B, A)."""
    known = images.attributes.numpy()

    def of(a: int) -> Statistic:
        return lambda rows: float((known[rows, a] == seen[:, a, None]).mean())

    return {name: of(a) for a, name in enumerate(images.attribute_names) if name not in SIDED}


# ---------------------------------------------------------------- people as super samples


@dataclass(frozen=True)
class Together:
    """Whether people who resemble a sample more have, with all their images together, more influence on it: the mean
    over samples of the rank correlation of influence and likeness, found, and its mean and the middle 95 % with the
    codes that are in use dealt anew; p on the side of more; the smallest correlation that would be seen."""

    found: float
    mean: float
    low: float
    high: float
    p: float
    seen: float
    deals: int


def of_people(gram: np.ndarray, codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The influence of each person's images together: float64 (B, people). gram (B, n, n), codes (N, n), labels (N,).

    The matched filter of a group: || J (mean of its codes - h/n) || times the root of its size, so that by chance all
    have one distribution. (With codes of their own, people would be super samples of Section 2.3; here every member has
    seen some of everybody.)
    """
    n, sizes = codes.shape[1], np.bincount(labels)
    theirs = csr_array((np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))))
    change = (theirs @ codes.astype(np.float32)) / sizes[:, None] - codes[0].sum() / n
    inside = ((np.asarray(gram) @ change.T) * change.T).sum(1)  # change_p^T gram_b change_p
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

    def by_chance(deal: int) -> float:
        return correlation(codes[np.random.default_rng([seed, deal]).permutation(len(codes))])

    found = correlation(codes)
    with side_by_side(torch.device("cpu")) as run:
        null = np.array([*run(by_chance, range(deals))])
    p = (1 + (null >= found).sum()) / (1 + deals)
    low, high = map(float, np.quantile(null, [0.025, 0.975]))
    return Together(found, float(null.mean()), low, high, float(p), stats.smallest_seen(float(null.std())), deals)


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
    return Meaning(*lists, together(gram, codes, labels, apart, min(deals, 200), seed))


def meaning_words(found: Meaning | NotRun) -> dict[str, object]:
    """The numbers of `meaning` that prose has; each says that it was not run where it was not."""
    if isinstance(found, NotRun):
        return dict.fromkeys(SAID, "not run")
    one, single, who, several = (found.lists[name] for name in ("attributes", "single", "person", "several"))
    people = found.people
    values = (
        *(share(x, 1) for x in (one.found, one.mean)), number(one.p, 3), number(100 * one.seen, 1), number(single.p, 3),
        *(number(x, 3) for x in (who.found, who.mean, who.p)), int(several.found), number(several.mean, 2),
        number(several.random, 2), number(several.p, 3),
        *(number(x, 3) for x in (people.found, people.low, people.high, people.p, people.seen)),
    )  # fmt: skip
    return dict(zip(SAID, values, strict=True))


SAID = (
    "attributes_found", "attributes_mean", "attributes_p", "attributes_seen", "single_p", "who_found", "who_mean",
    "who_p", "several_found", "several_mean", "several_random", "several_p",
    "people_found", "people_low", "people_high", "people_p", "people_seen",
)  # fmt: skip


# ---------------------------------------------------------------- what the law says


def law(gram: np.ndarray, N: int, people: int) -> dict[str, float]:
    """What the identification law says before anything is searched, if training had no noise of its own, which favours
    it, and all images are alike: the members at which one image would be seen, or one person's images with a code to
    every person, and how many images must share a code to be seen by the n members there are, whether their effects
    are unrelated or all the same. The noise's effective dimension is the median of the samples', from gram (B, n, n),
    whose least and largest are "low" and "high"."""
    n = gram.shape[1]
    every = [identification.dimension(one, n) for one in gram]
    d = float(np.median(every))
    return {
        "dimension": d,
        "low": min(every),
        "high": max(every),
        "image": identification.members_needed(1 / (N - 1), N, d),
        "person": identification.members_needed(1 / (people - 1), people, d),
        "group": identification.group_needed(n, N, 0.0, d),
        "group_aligned": identification.group_needed(n, N, 0.0, d, aligned=True),
    }


def law_words(said: Mapping[str, float], n: int, N: int) -> dict[str, str]:
    """What `law` says of n members and N images, in the words of prose, and what follows from it for a code a
    person."""

    def members(needed: float) -> str:
        return f"from {float(f'{needed:.2g}'):,.0f} members on" if np.isfinite(needed) else "with no number of members"

    def images(needed: float) -> str:
        return f"of {float(f'{needed:.2g}'):,.0f} images and more" if needed < N else "of no size"

    if n < said["person"]:
        follows = f"So a second ensemble with a code to every person was not trained: {n} members are fewer than that."
    else:
        follows = f"So {n} members with a code to every person could name one; no such ensemble was trained."
    return {
        "law_dimension": f"{number(said['dimension'], 1)} ({number(said['low'], 1)} to {number(said['high'], 1)})",
        **{f"law_{name}": members(said[name]) for name in ("image", "person")},
        **{f"law_{name}": images(said[name]) for name in ("group", "group_aligned")},
        "law_follows": follows,
    }


def data_words(images: Gallery) -> dict[str, object]:
    """What the data set is, and how well its reader knows it, as prose has it."""
    tested = reading.manifest()["tested"]
    right = tested["attributes"]
    worst = sorted(right, key=right.get)[:2]
    often = np.asarray(images.attributes, np.float64).mean(0)
    return {
        "people": len(images.classes),
        "each": number(len(images) / len(images.classes)),
        "n_attributes": len(images.attribute_names),
        "n_asked": int(asked(images).sum()),
        "person_numbers": len(drawing.PERSON),
        "picture_numbers": len(drawing.PICTURE),
        "read_right": share(np.mean([*right.values()])),
        "read_worst": " and ".join(f"{name} ({share(right[name])})" for name in worst),
        "read_base": share(np.maximum(often, 1 - often).mean()),
        "read_who": share(tested["identified"]),
        "read_of": tested["faces"],
    }


# ---------------------------------------------------------------- a stand-in


def measured(recipe: Mapping) -> str:
    """Whose claims an ensemble of this recipe measures: CelebA's, where drawn faces stand in for it."""
    return FOR if recipe["dataset"] == STAND_IN else recipe["dataset"]


def stand_in(reduced: str, recipe: Mapping) -> str:
    """`systems.reduced`, said to be of a stand-in where it is; "" at the paper's setting."""
    drawn = ["a stand-in, drawn faces for photographs"] if recipe["dataset"] == STAND_IN else []
    return ", ".join([*drawn, *([reduced] if reduced else [])])


def itself_words(recipe: Mapping) -> str:
    """What a reader has to know where a run is of CelebA and not of its stand-in."""
    if recipe["dataset"] == STAND_IN:
        return ""
    return (
        "This run is of CelebA itself: what follows of faces that are drawn, and of a network that reads them, is "
        "about the stand-in and was not run."
    )


def no_fid(recipe: Mapping) -> NotRun | None:
    """Why the FID of a stand-in is not set beside the paper's; None of the data set itself."""
    if recipe["dataset"] == STAND_IN:
        return NotRun("a FID of drawn faces to drawn faces says nothing of CelebA's")
    return None


def of_stand_in(recipe: Mapping) -> str:
    """What is to be noted of a setting where it is a stand-in's."""
    return "Of drawn faces, which stand in for the photographs." if recipe["dataset"] == STAND_IN else ""
