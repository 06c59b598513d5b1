"""What a run takes, foretold: hours and bytes, counted in forward passes of members, and refused beyond a budget.

Nothing is measured for it: a run is refused, or not, whatever else the machine does. What the passes cost is stated,
for two cores of a laptop, and what is no pass was timed there once; both are right to a factor of two or so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb, prod
from types import SimpleNamespace

from genens.unet import UNet, UNetConfig, parameter_count

HOURS, GIGABYTES = 8, 8  # a night: what budget = 1 allows
RATE = 1.3e11  # floating-point operations a second, of two cores through OpenVINO (bench/engines.json)
FORWARD = 3  # passes that a tangent by forward mode costs; one by differences is a pass
FEW = 4  # times as long for an image of a pass that has only a few, which keep no core busy
LOOKS = 20  # at an image, for its denoising loss
INCEPTION = 11.4e9  # floating-point operations for an image


@dataclass(frozen=True)
class Cost:
    """Seconds on two cores, and bytes of results, in memory and on disk."""

    seconds: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.bytes + other.bytes)

    def __str__(self) -> str:
        return f"{_digits(self.seconds / 3600)} hours and {_digits(self.bytes / 1e9)} GB"


def _digits(value: float) -> str:
    """A number to two digits: 0.03, 1.2, 3,400, 1.3e+10."""
    return f"{float(f'{value:.2g}'):,.0f}" if 10 <= value < 1e9 else f"{value:.2g}"


# ---------------------------------------------------------------- what members cost


@functools.cache
def operations(config: UNetConfig, shape: tuple[int, int, int]) -> float:
    """Floating-point operations of a pass of one image (C, H, W), to a fifth: two a weight at every pixel where it is
    at work. A level of the network has half the side of the one above, and weights as the square of its width."""
    squares = [m**2 for m in config.multipliers]
    at_work = sum(square / 4**level for level, square in enumerate(squares)) / sum(squares)
    return 2 * parameter_count(UNet(config)) * at_work * prod(shape[1:]) / config.patch**2


@dataclass(frozen=True)
class Members:
    """n members of an ensemble of N images: `each`, the seconds of a pass of one image; `image`, its bytes; `training`,
    the passes that are still to be spent on it."""

    n: int
    N: int
    each: float
    image: int
    training: float

    @classmethod
    def of(cls, manifest: Mapping) -> Members:
        """Of an ensemble's manifest; of one that is still to be trained it lists no files."""
        each = operations(UNetConfig(**manifest["unet"]), tuple(manifest["shape"])) / RATE
        recipe, n = manifest["recipe"], manifest["n"]
        training = 0.0 if "files" in manifest else 3.0 * n * recipe["steps"] * recipe["batch"]  # there and back
        return cls(n, manifest["images"], each, 4 * prod(manifest["shape"]), training)

    def passes(self, count: float, images: float = 0) -> Cost:
        """So many passes of an image, of which so many images are kept."""
        return Cost(count * self.each, images * self.image)

    def samples(self, B: int, steps: int, mixtures: list[float]) -> Cost:
        """B samples under mixtures that give weight to so many members each."""
        return self.passes(B * steps * sum(mixtures), B * len(mixtures))

    def ends(self, B: int, steps: int) -> Cost:
        """B samples of the whole ensemble and of each member."""
        return self.samples(B, steps, [self.n] + [1] * self.n)

    def ablated(self, B: int, steps: int, K: int) -> Cost:
        """K counterfactuals of B samples, each without half of the members."""
        return self.passes(B * steps * K * self.n / 2, B * K)

    def jacobians(self, B: int, steps: int, per_step: int, tangents: str) -> Cost:
        """Jacobians of B samples, in double precision once they are read."""
        tangent = FORWARD if tangents == "forward" else 1
        return self.passes(B * steps * self.n * (1 + per_step * tangent), 3 * B * self.n)


# ---------------------------------------------------------------- what chapters cost: v, e their parameters, ensembles


def _diffusion(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m = e["weights"]
    alone = m.samples(v.n_noises, v.steps, [1] * len(v.shown))
    return alone + m.passes(FEW * m.n * (len(v.times) + 3 * v.steps))


def _method(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m = e["weights"]
    return m.passes(FEW * v.steps * 16 * m.n)  # a film of two mixtures, a walk through nine, a slope


def _codes(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    sets = [(v.N_mnist, v.n_mnist), (v.N_cifar10, v.n_cifar10), (v.N_celeba, v.n_celeba)]
    return sum((Cost(1e-8 * n * (2**n + N), 16 * 2**n + n * N) for N, n in sets), Cost())


def _theory(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    bound = 2e-6  # seconds of a sharp bound, over the square root of the number of images
    curves = sum(v.most_members / 2 * bound * N**0.5 for N in v.N_curves)
    plans = sum(15 * len(v.targets) * bound * N**0.5 for N in v.N_plans)
    trials = 4e-4 * v.trials * len(v.members_testbed)
    influence = 6e-8 * v.samples_search * v.steps_search * v.N_search**2 * v.n_search
    kept = 40_000 * (v.trials + 2**v.N_testbed) + 1e3 * max([*v.N_curves, *v.N_plans]) ** 0.5
    return Cost(curves + plans + trials + influence, kept + 16 * v.N_search**2)


def _class_ablation(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m = e["weights"]
    return m.samples(v.n_samples, v.steps, [m.n] + [(m.n + 1) / 2] * m.n)


def _fid(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m, sets = e["weights"], e["weights"].n + 2
    drawn = m.ends(v.n_samples, v.steps) + m.samples(v.n_sheet, v.steps_sheet, [m.n])
    distances = Cost(sets * v.n_boot * (0.01 + 3e-5 * v.n_samples), 16 * sets * v.n_boot)
    if not v.inception:
        return drawn + distances
    looked_at = (m.n + 1) * v.n_samples + m.N
    return drawn + distances + Cost(looked_at * INCEPTION / RATE + 3 * sets * v.n_boot_deep, 8e3 * looked_at)


def _convergence(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m = e["weights"]
    nested = m.samples(v.n_samples, v.steps, [*range(2, m.n)])
    return m.ends(v.n_samples, v.steps) + nested + m.jacobians(v.n_jacobian, v.steps, v.per_step, v.tangents)


def _jacobian(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m, V, walks = e["weights"], v.n_counterfactuals, v.n_path * v.n_directions
    drawn = m.ends(v.n_samples, v.steps) + m.ablated(v.n_samples, v.steps, V)
    slopes = m.jacobians(v.n_samples, v.steps, v.per_step, v.tangents) + m.passes(0, v.n_samples * V)
    compared = [(k, v.tangents) for k in v.per_steps] + [(v.per_step, way) for way in ("forward", "differences")]
    timed = sum((m.jacobians(v.n_rotating, v.steps, *way) for way in compared), Cost())
    walked = m.passes(walks * v.steps * m.n * (len(v.shares) + FORWARD + 2), walks * (len(v.shares) + 2))
    return drawn + slopes + timed + walked


def _search(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m, asked = e["weights"], v.n_samples if v.dataset else v.n_samples + v.n_copies
    drawn = m.ends(asked, v.steps) + m.jacobians(v.n_samples, v.steps, v.per_step, v.tangents)
    lists = m.ablated(v.n_samples, v.steps, 2 * v.k) + Cost(0, 24 * asked * m.N)
    return m.passes(m.training, m.N) + drawn + lists


def _meaning(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m, c, planted = e["weights"], e["class_weights"], e["planted_weights"]
    triples, codes, largest = comb(c.n, (c.n - 1) // 2), comb(m.n, m.n // 2), max(v.members_testbed)
    slopes = m.jacobians(v.n_samples + v.n_twins, v.steps, v.per_step, v.tangents)
    of_groups = 6 * v.each_group
    grouped = planted.jacobians(of_groups, v.steps, v.per_step, v.tangents) + planted.ablated(of_groups, v.steps, 2)
    of_classes = c.samples(v.n_class, v.steps, [2 * c.n] + [(c.n + 1) / 2] * triples)
    drawn = m.ablated(v.n_regenerated, v.steps, 2 * v.each) + m.ablated(v.n_distribution, v.steps, 2 * v.n_codes + 2)
    nulls = Cost(2e-8 * v.n_deals * v.n_samples * codes, 24 * v.n_samples * codes)
    law = 8e-8 * v.n_probes * len(v.times) * sum(v.sizes) * (sum(v.members_testbed) + largest)
    decoders = 8e-8 * v.n_decoders * len(v.times_decoders) * sum(n**3 + v.N_decoders * n for n in v.members_decoders)
    apart = 1e-4 * v.n_permutations * (triples * v.n_class + 2 * v.n_codes * v.n_distribution)
    kept = 8 * largest * max(v.sizes) + 8 * v.n_probes * len(v.times) * len(v.sizes) * len(v.members_testbed)
    return slopes + grouped + of_classes + drawn + nulls + Cost(law + decoders + apart, kept)


def _explorer(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m, c = e["weights"], e["class_weights"]
    images = m.ends(v.n_samples, v.steps) + m.ablated(v.n_samples, v.steps, 2 * v.n_top + v.n_random)
    classes = c.samples(v.n_class_samples, v.steps, [c.n] + [(c.n + 1) / 2] * c.n)
    counts = ((m, v.n_samples), (c, v.n_class_samples))
    return sum((one.jacobians(B, v.steps, v.per_step, v.tangents) for one, B in counts), images + classes)


def _system(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m, slopes = e["weights"], e["weights"].jacobians(v.n_jacobian, v.steps, v.per_step, v.tangents)
    drawn = m.ends(v.n_samples, v.steps) + m.samples(v.n_growing, v.steps, [*range(2, m.n)])
    ablated = m.ablated(v.n_jacobian, v.steps, v.n_counterfactuals) + m.passes(0, v.n_jacobian * v.n_counterfactuals)
    nulls = Cost(2e-8 * v.n_deals * v.n_jacobian * m.N, 24 * v.n_jacobian * m.N)
    return slopes + drawn + ablated + nulls + Cost(2 * (m.n + 2) * v.n_boot * (0.01 + 3e-5 * v.n_samples))


def _finetunes(v: SimpleNamespace, e: Mapping[str, Members]) -> Cost:
    m = e["weights"]
    n = v.n_members or m.n
    drawn = m.samples(v.n_samples, v.steps, [1] * (n + v.n_samples + 4) + [2 * v.n_averaged])
    lost = m.passes(FEW * LOOKS * 3 * m.N)
    tried = Cost(4e-9 * v.n_samples * v.n_codes * n * (n + m.N), 8 * v.n_codes * (n + m.N))
    return m.passes(m.training) + drawn + lost + tried


COSTS: dict[str, Callable[[SimpleNamespace, Mapping[str, Members]], Cost]] = {
    "00a_diffusion": _diffusion,
    "00_method": _method,
    "01_codes": _codes,
    "01b_theory": _theory,
    "02_class_ablation": _class_ablation,
    "03_fid": _fid,
    "04_convergence": _convergence,
    "05_jacobian": _jacobian,
    "06_search": _search,
    "07_meaning": _meaning,
    "08_cifar10": _system,
    "09_faces": _system,
    "10_finetunes": _finetunes,
    "explorer": _explorer,
}


def cost(chapter: str, values: Mapping[str, object], manifests: Mapping[str, Mapping]) -> Cost:
    """What a chapter takes with these parameters and ensembles, from nothing."""
    return COSTS[chapter](SimpleNamespace(**values), {name: Members.of(one) for name, one in manifests.items()})


def check(chapter: str, values: Mapping[str, object], manifests: Mapping[str, Mapping], said: str) -> None:
    """ValueError, one line, for a run that would take more than its parameter `budget` allows; `said`: what is large in
    it."""
    allowed, found = values["budget"], cost(chapter, values, manifests)
    nights = max(found.seconds / 3600 / HOURS, found.bytes / 1e9 / GIGABYTES)
    if nights > allowed:
        most = Cost(allowed * HOURS * 3600, allowed * GIGABYTES * 1e9)
        raise ValueError(
            f"{chapter}: expected a run of at most {most}, as budget = {allowed:g} allows; got one of about {found}"
            f"{said and f', with {said}'}: ask for less, or set budget to {float(f'{1.1 * nights:.2g}'):g} to run it "
            "all the same"
        )
