"""What parameters allow one another, and what the ensembles that they name allow them.

A limit is a function of a value, of all values, and of the manifests of the ensembles, by the parameters that name
them. It says what is expected, in words, or "" where the value is that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import comb, inf, prod
from pathlib import Path

from genens import engines, ensemble
from genens.theory.guarantee import members_for_guarantee

Values, Manifests = Mapping[str, object], Mapping[str, Mapping]
Limit = Callable[[object, Values, Manifests], str]
UNSEEN = {"n": inf, "images": inf, "recipe": {}}  # the manifest of an ensemble that is not known yet


def every(*limits: Limit) -> Limit:
    """What the first of several limits expects that is not so."""
    return lambda *given: next(filter(None, (limit(*given) for limit in limits)), "")


def up_to(other: str, less: int = 0) -> Limit:
    """At most another parameter, or as many as a list of that name has; less so many."""

    def limit(value: int, values: Values, manifests: Manifests) -> str:
        whole, name = values[other], other
        if isinstance(whole, list | tuple):
            whole, name = len(whole), f"the number of {other}"
        return "" if value <= whole - less else f"at most {name}{f' - {less}' if less else ''} = {whole - less:,}"

    return limit


def images(less: int = 0) -> Limit:
    """At most as many as the images of `weights`, less so many."""

    def limit(value: int, values: Values, manifests: Manifests) -> str:
        N = manifests.get("weights", UNSEEN)["images"]
        return "" if value <= N - less else f"at most {N - less:,} with an ensemble of {N:,} images"

    return limit


def members(less: int = 0) -> Limit:
    """At most as many as the members of `weights`, less so many: a number, or each of a list."""

    def limit(value: int | list[int], values: Values, manifests: Manifests) -> str:
        n, most = manifests.get("weights", UNSEEN)["n"], max(value) if isinstance(value, list | tuple) else value
        return "" if most <= n - less else f"at most {n - less} with an ensemble of {n} members"

    return limit


def has_members(least: int) -> Limit:
    """An ensemble, `weights`, of so many members or more."""

    def limit(value: str, values: Values, manifests: Manifests) -> str:
        n = manifests.get("weights", UNSEEN)["n"]
        return "" if n >= least else f"as an ensemble of {least} members or more, not of {n}"

    return limit


def all_compared(value: list[int], values: Values, manifests: Manifests) -> str:
    """0 members and all of them are among those whose Jacobians are compared."""
    n = manifests["weights"]["n"]
    return "" if {0, n} <= {*value} else f"with 0 and {n} among them, of an ensemble of {n} members"


def ends_with_one(value: list[float], values: Values, manifests: Manifests) -> str:
    """The way is walked to its end."""
    return "" if value[-1] == 1 else "with 1 at the end, the whole way"


def after_start(value: int, values: Values, manifests: Manifests) -> str:
    """A time at which steps are still to be taken: all schedules but that of a single step end at 0."""
    return "" if values["steps"] > 1 or value == 999 else "999 with a single step"


def computable(value: str, values: Values, manifests: Manifests) -> str:
    """A precision that engine, machine and tangents bear. ValueError, in the core's words, for the first two."""
    ensemble.check_precision(value)
    engines.check(str(values["engine"]), value)
    coarse = value == "bfloat16" and values.get("tangents") == "differences"
    return "as float32 or float64 with tangents differences, which coarser rounding would drown" if coarse else ""


def of_images(value: str, values: Values, manifests: Manifests) -> str:
    """An ensemble with a code for every image."""
    classes = manifests.get("weights", UNSEEN)["recipe"].get("classes")
    return "as an ensemble with a code for every image, not for every class" if classes else ""


def fine_tunes(value: str, values: Values, manifests: Manifests) -> str:
    """Fine-tunes of one base."""
    return "" if "base" in manifests.get("weights", {"base": ""}) else "as fine-tunes of one base, like signs"


def of_classes(name: str) -> Limit:
    """An ensemble of digits with a code for every class, named by this parameter."""

    def limit(value: str, values: Values, manifests: Manifests) -> str:
        recipe = manifests[name]["recipe"]
        there = recipe.get("classes") and recipe["dataset"] == "mnist"
        return "" if there else "as an ensemble of MNIST with a code for every class, like mnist7"

    return limit


def of_groups(value: str, values: Values, manifests: Manifests) -> str:
    """An ensemble with planted groups."""
    there = manifests["planted_weights"]["recipe"].get("groups")
    return "" if there else "as an ensemble with planted groups (`groups` in its recipe), like planted16"


def twins(value: str, values: Values, manifests: Manifests) -> str:
    """The first members of `weights`, trained again."""
    ours, theirs = manifests["weights"], manifests["twin_weights"]
    fits = ours["data"] == theirs["data"] and theirs["n"] <= ours["n"]
    return "" if fits else "as first members of `weights`, trained again on the same images"


def codes_for(images: str, each: int = 1, largest: bool = False) -> Limit:
    """Members enough for `each` codes of weight n / 2 for every image, of which this parameter says how many there are:
    a number of them n, or all numbers of a list, or with `largest` its largest."""

    def limit(value: int | list[int], values: Values, manifests: Manifests) -> str:
        N = max(_listed(values[images]))
        n, least = (max if largest else min)(_listed(value)), members_for_guarantee(each * N)
        return "" if n >= least else f"of {least} or more, so that there are codes for {images} = {N:,}"

    return limit


def unassigned(value: int, values: Values, manifests: Manifests) -> str:
    """At most as many as the codes that images of `weights` have, and those that none has."""
    n, N = manifests["weights"]["n"], manifests["weights"]["images"]
    free = comb(n, n // 2) - N
    return "" if value <= min(N, free) else f"at most {min(N, free):,}: {N:,} images have codes, and {free:,} are left"


def drawn(n: str, h: str) -> Limit:
    """A number of images for which there are codes of n bits and weight h."""

    def limit(value: int, values: Values, manifests: Manifests) -> str:
        M = comb(values[n], values[h])
        return "" if value <= M else f"at most {M:,}, the codes of {n} = {values[n]} bits and weight {h} = {values[h]}"

    return limit


def lines_of_lists(value: int, values: Values, manifests: Manifests) -> str:
    """As many lists of k as one figure can show below one another: their lines are the taller the shorter they are."""
    most = 40 * (values["k"] + 1)
    return "" if value <= most else f"at most 40 (k + 1) = {most:,}, or the figure of their lists is too tall"


def on_the_page(weights: str, megabytes: int) -> Limit:
    """As many samples of this ensemble as fit so much of the explorer's script, whose bytes were measured: a picture of
    each item, and of each sample its Jacobian, its Gram matrix and the counterfactuals drawn."""

    def limit(value: int, values: Values, manifests: Manifests) -> str:
        n, pixels = manifests[weights]["n"], prod(manifests[weights]["shape"])
        of_images = weights == "weights"
        drawn = 2 * values["n_top"] + values["n_random"] if of_images else n
        items = 133 * manifests[weights]["images"] if of_images else 0
        size = (items + value * (2.7 * (n + 1) * pixels + 11 * n**2 + 0.7 * (n + 1 + drawn) * pixels)) / 1e6
        return "" if size <= megabytes else f"so few that they take {megabytes} MB of the page, not {size:,.0f}"

    return limit


def multiple(of: int) -> Limit:
    """A multiple of a number, or a list of such."""
    return lambda value, *_: "" if all(one % of == 0 for one in _listed(value)) else f"in multiples of {of}"


def _listed(value: object) -> list:
    return list(value) if isinstance(value, list | tuple) else [value]


def there(value: str, values: Values, manifests: Manifests) -> str:
    """Nothing, or a file that is there."""
    return (
        ""
        if not value or _is_so(lambda: Path(value).is_file())
        else "as the path of a file that is there, or as nothing"
    )


def folder(value: str, values: Values, manifests: Manifests) -> str:
    """Nothing, or a folder of images, or a zip file of one, that is there."""
    kind, _, path = value.partition(":")
    found = not value or kind == "folder" and path and _is_so(lambda: Path(path).expanduser().exists())
    return "" if found else "as folder:PATH, a folder of your own png or jpg images that is there"


def _is_so(asked: Callable[[], bool]) -> bool:
    try:
        return asked()
    except (OSError, RuntimeError):  # a name that no file can have; a home that nobody has
        return False


def with_codes(other: str) -> Limit:
    """Even numbers of members, each with codes of half of them for so many images."""

    def limit(value: list[int], values: Values, manifests: Manifests) -> str:
        few = next((n for n in value if n % 2 or comb(n, n // 2) < values[other]), None)
        return "" if few is None else f"each even and with C(n, n/2) >= {other} = {values[other]:,}, unlike {few}"

    return limit
