"""Every parameter of every chapter: what it may be, what it means, what it does to the run time.

Of this table are made the checks before a chapter's first computation (`parameters.given` and `parameters.fits`), the
page that tells how to run a chapter again (`parameters.chapter`), and the nonsense that must be refused
(`bench/faults/parameters.py`). How large a run may be is no property of a number: see `budget`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from genens import codes, engines, ensemble, jacobians, schedules
from genens.theory import bias, guarantee
from genens_book.pages import budget, limits
from genens_book.pages.kinds import Choice, Ensemble, Kind, Real, Several, Text, Whole
from genens_book.pages.limits import Limit, every, up_to

LINES = 100  # of a figure; nobody looks at more
PROPORTION, NUMBER = "in proportion", "in proportion to their number"


@dataclass(frozen=True)
class Parameter:
    """What is declared of one: its kind; its meaning; cost, the effect on the run time; none, what None means, without
    which it is refused; limit, what others allow it."""

    kind: Kind
    meaning: str
    cost: str = "none"
    none: str = ""
    limit: Limit | None = None

    def __str__(self) -> str:
        return f"{self.kind}{f', or None: {self.none}' if self.none else ''}"

    def holds(self, value: object) -> bool:
        """Whether a value is of the kind, whatever the others are."""
        return bool(self.none) if value is None else self.kind.holds(value)


# ---------------------------------------------------------------- what chapters share

PROFILE = Parameter(
    Text("the name of a profile"),
    "the set of parameters whose weights and records are used: smoke, laptop or paper",
    "none by itself",
)
SEED = Parameter(Whole(), "of every random draw of the chapter")
BUDGET = Parameter(
    Real(0, 1e12),
    f"what the run may take, in nights of {budget.HOURS} hours of two cores and {budget.GIGABYTES} GB of results; "
    "what would take more is refused",
)
WEIGHTS = Parameter(Ensemble(), "an ensemble to draw from", "grows with the network and its members")
OF_CLASSES = replace(WEIGHTS, meaning="an ensemble with a code for every class")
SAMPLES = Parameter(Whole(1), "generated images", PROPORTION)
STEPS = Parameter(Whole(1, 1000), "denoising steps, out of the schedule's 1000", PROPORTION)
K = Parameter(Whole(1, LINES), "images in a list", limit=limits.images(1))
SAMPLING = {
    "steps": STEPS,
    "sampler": Parameter(Choice(schedules.SAMPLERS), "of the steps: ancestral, as the paper's, or ddim"),
    "variance": Parameter(Choice(tuple(schedules.VARIANCES)), "of the noise that ancestral steps add"),
    "engine": Parameter(
        Choice(engines.ENGINES),
        "of the members' forward passes: openvino, or eager, plain PyTorch",
        "eager takes a fifth to a half longer",
    ),
}
PRECISION = Parameter(
    Choice(tuple(ensemble.PRECISIONS)),
    "of the members' forward passes: float32, or with engine eager float64, or bfloat16 where the CPU has it",
    "bfloat16 about halves it on such a CPU, and is refused on others",
    limit=limits.computable,
)
DRAWING = {**SAMPLING, "precision": PRECISION}
SLOPES = {
    "per_step": Parameter(
        Whole(),
        "members whose input Jacobian is used in a step: 1 is the rotating Jacobian, all the exact one",
        f"{PROPORTION}, for the Jacobians",
        limit=limits.members(),
    ),
    "tangents": Parameter(
        Choice(jacobians.TANGENTS),
        "of the Jacobian: differences of two forward passes, or forward, PyTorch's exact ones",
        "forward takes several times as long",
    ),
}
TIMES = Parameter(Several(Whole(0, 999)), "noise levels, out of 1000", NUMBER)
IMAGE = Parameter(Whole(), "the training image that is looked at, by its row from 0 on", limit=limits.images(1))
SHOWN = Parameter(Whole(), "the generated image that is followed; each number is another one")
OWN_IMAGES = Parameter(
    Text("folder:PATH, or nothing", empty=True),
    "folder:PATH trains an ensemble on your own images first, and searches those",
    "minutes of training",
    limit=limits.folder,
)
OWN = {"profile": PROFILE, "seed": SEED, "budget": BUDGET}


def _code(name: str, n: str) -> dict[str, Parameter]:
    """The three parameters of the code of one data set."""
    high, bits, weight = guarantee.LATTICE_MEMBERS, f"n_{n}", f"h_{n}"
    return {
        bits: Parameter(Whole(2, high), "its bits, one a member", "doubles with every bit in the check of all pairs"),
        weight: Parameter(Whole(1, high - 1), "its ones", limit=up_to(bits, 1)),
        f"N_{n}": Parameter(
            Whole(2), f"images of {name}'s code", f"{PROPORTION}, seconds", limit=limits.drawn(bits, weight)
        ),
    }


SYSTEM = {  # of another data set beside MNIST
    **OWN,
    **DRAWING,
    **SLOPES,
    "order_seed": Parameter(Whole(), "of the orders in which members are added"),
    "weights": replace(WEIGHTS, limit=limits.of_images),
    "n_samples": replace(SAMPLES, kind=Whole(8), meaning="samples of the ensemble and of each of its members"),
    "n_sheet": Parameter(Whole(1, 10 * LINES), "samples on the sheet, the first", limit=up_to("n_samples")),
    "n_boot": Parameter(Whole(2), "bootstrap resamples of every FID", PROPORTION),
    "n_growing": Parameter(Whole(1), "samples whose ensemble is grown", PROPORTION, limit=up_to("n_samples")),
    "n_jacobian": Parameter(Whole(1), "samples with a Jacobian", PROPORTION, limit=up_to("n_samples")),
    "n_counterfactuals": Parameter(
        Whole(2), "training images ablated, the same for every sample", PROPORTION, limit=limits.images()
    ),
    "n_lists": Parameter(
        Whole(1, LINES),
        "samples whose lists are shown, of those with a Jacobian",
        limit=every(up_to("n_jacobian"), limits.lines_of_lists),
    ),
    "k": K,
    "n_deals": Parameter(Whole(1), "times that the codes are dealt anew", PROPORTION),
}


# ---------------------------------------------------------------- chapter by chapter

CHAPTERS: dict[str, dict[str, Parameter]] = {
    "00a_diffusion": {
        **OWN,
        **SAMPLING,
        "steps": replace(STEPS, kind=Whole(5, 1000)),  # there are six frames
        "weights": WEIGHTS,
        "image": replace(IMAGE, meaning="the training image that is dissolved, by its row from 0 on"),
        "times": replace(TIMES, meaning="how far it is dissolved, out of 1000"),
        "sample_shown": SHOWN,
        "shown": Parameter(
            Several(Whole(), 2), "members that draw alone, counted from 0", PROPORTION, limit=limits.members(1)
        ),
        "n_noises": Parameter(Whole(2, 20), "noises that each of them is given", PROPORTION),
    },
    "00_method": {
        **OWN,
        **SAMPLING,
        "weights": WEIGHTS,
        "n_rows": Parameter(Whole(2, LINES), "training images whose codes are drawn", limit=limits.images()),
        "image": replace(
            IMAGE, meaning="the training image that is ablated, one of those, from 0 on", limit=up_to("n_rows", 1)
        ),
        "sample_shown": SHOWN,
    },
    "01_codes": {
        **OWN,
        **_code("MNIST", "mnist"),
        **_code("CIFAR-10", "cifar10"),
        **_code("CelebA", "celeba"),
        "shown": Parameter(Whole(2, LINES), "images in the first figure", limit=up_to("N_mnist")),
        "ablate": Parameter(Whole(), "the one of them that is ablated, from 0 on", limit=up_to("shown", 1)),
    },
    "01b_theory": {
        **OWN,
        "N_curves": Parameter(
            Several(Whole(1, bias.MAX_IMAGES), most=9), "database sizes whose bound is drawn", NUMBER
        ),
        "N_plans": Parameter(Several(Whole(1, bias.MAX_IMAGES)), "database sizes in the planner's table", NUMBER),
        "targets": Parameter(
            Several(Real(1e-12, bias.TRIVIAL), least=3), "biases that the planner is to stay below", NUMBER
        ),
        "most_members": Parameter(
            Whole(2, bias.MAX_PLANNED), "the curves go so far", PROPORTION, limit=limits.codes_for("N_curves")
        ),
        "N_testbed": Parameter(Whole(2, 12), "images whose subsets are enumerated", "doubles with every image"),
        "members_testbed": Parameter(
            Several(Whole(2, codes.MAX_MEMBERS)),
            "ensemble sizes on the testbed",
            NUMBER,
            limit=every(limits.multiple(2), limits.codes_for("N_testbed")),
        ),
        "trials": Parameter(Whole(2), "random assignments", PROPORTION),
        "N_search": Parameter(Whole(2, 10_000), "images, for ablation against leaving one out", "with its square"),
        "n_search": Parameter(
            Whole(2, codes.MAX_MEMBERS), "members of that ensemble", PROPORTION, limit=limits.codes_for("N_search")
        ),
        "samples_search": Parameter(Whole(1, LINES), "generated images there", PROPORTION),
        "steps_search": replace(STEPS, meaning="denoising steps there, out of the schedule's 1000"),
    },
    "02_class_ablation": {
        **OWN,
        **DRAWING,
        "weights": replace(OF_CLASSES, limit=limits.of_classes("weights")),
        "n_samples": replace(SAMPLES, kind=Whole(8)),
        "vgg": Parameter(
            Text("a file of VGG-16 weights, or nothing", empty=True),
            "weights for LPIPS; by default the torch cache is looked through",
            "minutes when there are some",
            limit=limits.there,
        ),
    },
    "03_fid": {
        **OWN,
        **DRAWING,
        "weights": WEIGHTS,
        "n_samples": replace(SAMPLES, kind=Whole(8), meaning="samples of the ensemble and of each of its members"),
        "n_sheet": Parameter(Whole(1, 10 * LINES), "samples on the sheet, the first", limit=up_to("n_samples")),
        "steps_sheet": replace(STEPS, meaning="denoising steps of the same samples drawn more patiently"),
        "n_plane": Parameter(
            Whole(2), "samples of each kind in the plane of principal components", limit=up_to("n_samples")
        ),
        "n_boot": Parameter(Whole(2), "bootstrap resamples of every FID", f"{PROPORTION}, a second for each few"),
        "inception": Parameter(
            Text("a file of Inception v3 weights, or nothing", empty=True),
            "weights for FIDs; by default the torch cache is looked through",
            "hours when there are some",
            limit=limits.there,
        ),
        "n_boot_deep": Parameter(Whole(2), "bootstrap resamples of the FIDs by networks of ImageNet", PROPORTION),
    },
    "04_convergence": {
        **OWN,
        **DRAWING,
        **SLOPES,
        "order_seed": Parameter(Whole(), "of the orders in which members are added"),
        "weights": replace(WEIGHTS, limit=limits.has_members(3)),
        "n_samples": replace(SAMPLES, meaning="samples whose ensemble is grown"),
        "n_jacobian": Parameter(
            Whole(1), "of them, samples whose Jacobian is taken", PROPORTION, limit=up_to("n_samples")
        ),
        "n_strips": Parameter(Whole(1, LINES), "film strips shown", limit=up_to("n_samples")),
    },
    "05_jacobian": {
        **OWN,
        **DRAWING,
        **SLOPES,
        "precision": replace(PRECISION, kind=Choice(("float32", "float64")), cost="float64 about doubles it"),
        "weights": replace(WEIGHTS, limit=limits.has_members(2)),
        "n_samples": replace(SAMPLES, meaning="generated images; the paper: 382"),
        "n_counterfactuals": Parameter(
            Whole(2),
            "training images ablated, the same for every sample; the paper: 64",
            PROPORTION,
            limit=limits.images(),
        ),
        "per_steps": Parameter(
            Several(Whole()),
            "values of per_step that are compared, 0 and the exact one included",
            "in proportion to their sum",
            limit=every(limits.members(), limits.all_compared),
        ),
        "n_rotating": Parameter(Whole(1), "samples on which they are compared", PROPORTION, limit=up_to("n_samples")),
        "tolerance": Parameter(Real(0, 2, closed=True), "correlation that may be lost by the default"),
        "n_path": Parameter(
            Whole(1), "samples whose way to the counterfactual is walked", PROPORTION, limit=up_to("n_samples")
        ),
        "n_directions": Parameter(
            Whole(1), "counterfactuals that each of them is walked to", PROPORTION, limit=up_to("n_counterfactuals")
        ),
        "shares": Parameter(
            Several(Real(0, 1), least=2, ascending=True),
            "of the way, where it is stopped; the last is 1, its end",
            NUMBER,
            limit=limits.ends_with_one,
        ),
        "n_near": Parameter(Whole(2), "the first of them, which give the order of the error", limit=up_to("shares")),
        "reach": Parameter(Real(0.001, 1, closed=True), "share of the way at which second derivatives are taken"),
    },
    "06_search": {
        **OWN,
        **DRAWING,
        **SLOPES,
        "weights": replace(WEIGHTS, limit=limits.of_images),
        "n_samples": replace(SAMPLES, meaning="generated images that are asked about", limit=limits.lines_of_lists),
        "n_copies": Parameter(Whole(1), "generated images that are looked at for copies", PROPORTION),
        "k": replace(K, cost=f"{PROPORTION}, for the counterfactuals"),
        "decoder": Parameter(
            Choice(("matched filter", "ridge regression")),
            "what is done to the Jacobian before it is searched; scores of ridge regression have other units",
        ),
        "dataset": OWN_IMAGES,
        "side": Parameter(
            Whole(8),
            "own images: cut to squares and resized to so many pixels",
            "with its square",
            limit=limits.multiple(4),
        ),
        "n_members": Parameter(
            Whole(4, codes.MAX_RANKED),
            "own images: members",
            PROPORTION,
            none="as few as give every image its own code",
        ),
        "train_steps": Parameter(Whole(1), "own images: training steps of a member", PROPORTION),
    },
    "07_meaning": {
        **OWN,
        **DRAWING,
        **SLOPES,
        "weights": replace(WEIGHTS, limit=limits.of_images),
        "class_weights": replace(OF_CLASSES, limit=limits.of_classes("class_weights")),
        "planted_weights": replace(WEIGHTS, meaning="an ensemble with planted groups", limit=limits.of_groups),
        "twin_weights": replace(WEIGHTS, meaning="first members of `weights`, trained again", limit=limits.twins),
        "n_samples": replace(SAMPLES, meaning="generated images whose lists are asked about"),
        "k": K,
        "n_deals": Parameter(Whole(1), "times that the codes are dealt anew", f"{PROPORTION}, for the nulls"),
        "n_class": Parameter(
            Whole(8), "generated images of the class ensemble, from which every three members are ablated", PROPORTION
        ),
        "n_regenerated": Parameter(
            Whole(2),
            "generated images whose counterfactuals are drawn for codes with and without images",
            PROPORTION,
            limit=up_to("n_samples"),
        ),
        "each": Parameter(
            Whole(1), "such codes, of either kind, for each of them", PROPORTION, limit=limits.unassigned
        ),
        "n_distribution": Parameter(Whole(8), "generated images whose distribution is compared", PROPORTION),
        "n_codes": Parameter(
            Whole(1),
            "codes with images, and as many without, that are ablated there",
            PROPORTION,
            limit=limits.unassigned,
        ),
        "n_permutations": Parameter(Whole(2), "of two sets of images, for the null of their FID", PROPORTION),
        "sizes": Parameter(Several(Whole(11, 9_999), ascending=True), "images in the closed-form testbed", PROPORTION),
        "times": replace(TIMES, meaning="noise levels there, out of 1000"),
        "members_testbed": Parameter(
            Several(Whole(2, codes.MAX_MEMBERS), least=2, ascending=True),
            "ensembles there",
            "in proportion to the largest",
            limit=limits.codes_for("sizes", largest=True),
        ),
        "n_probes": Parameter(Whole(2), "noised digits there", PROPORTION),
        "N_decoders": Parameter(Whole(11, 9_999), "images there for the decoders", PROPORTION),
        "times_decoders": replace(TIMES, meaning="noise levels for the decoders, out of 1000"),
        "members_decoders": Parameter(
            Several(Whole(2, codes.MAX_MEMBERS), least=2, ascending=True),
            "ensembles for the decoders",
            "with the cube of the largest",
            limit=limits.codes_for("N_decoders", each=2),
        ),
        "n_decoders": Parameter(Whole(2), "noised digits for the decoders", PROPORTION),
        "n_twins": Parameter(Whole(2), "generated images at which the twins are compared", PROPORTION),
        "each_group": Parameter(Whole(1), "samples of each planted group", PROPORTION),
        "start": Parameter(
            Whole(0, 999), "the time, out of 1000, that they start from", PROPORTION, limit=limits.after_start
        ),
    },
    "10_finetunes": {
        **OWN,
        "steps": replace(STEPS, cost=f"{PROPORTION}; what retraining says is known of 20"),
        "engine": SAMPLING["engine"],
        "weights": replace(WEIGHTS, meaning="fine-tunes of one base", limit=limits.fine_tunes),
        "retrained": Parameter(Text("the name of a folder, or its path"), "what retraining said of these fine-tunes"),
        "n_members": Parameter(
            Whole(4), "the first of them that are used", PROPORTION, none="all", limit=limits.members()
        ),
        "n_samples": replace(SAMPLES, kind=Whole(2), meaning="generated images that are asked about"),
        "n_lists": Parameter(Whole(1, LINES), "of them, whose lists are shown", limit=up_to("n_samples")),
        "k": K,
        "n_codes": Parameter(Whole(19), "other codes that each picture is tried under, for its p-value", PROPORTION),
        "penalty": Parameter(Real(0, 1e6), "of the regression behind the p-values, of its mean eigenvalue"),
        "n_averaged": Parameter(
            Whole(2), "members whose predictions and weights are averaged", PROPORTION, limit=limits.members()
        ),
        "sizes": Parameter(Several(Whole(2, 10**7)), "numbers of pictures that the plan is for"),
        "dataset": replace(OWN_IMAGES, meaning="folder:PATH fine-tunes on your own pictures first, 20 to 500 of them"),
        "own_members": Parameter(
            Whole(48, codes.MAX_MEMBERS),
            "own pictures: fine-tunes",
            PROPORTION,
            none="twice as many as pictures, 64 to 512",
            limit=limits.multiple(16),
        ),
    },
    "08_cifar10": SYSTEM,
    "09_faces": SYSTEM,
    "explorer": {
        **OWN,
        **DRAWING,
        **SLOPES,
        "weights": WEIGHTS,
        "class_weights": replace(OF_CLASSES, limit=limits.of_classes("class_weights")),
        "n_samples": replace(SAMPLES, limit=limits.on_the_page("weights", 6)),
        "n_class_samples": Parameter(
            Whole(1), "generated images of the class ensemble", PROPORTION, limit=limits.on_the_page("class_weights", 2)
        ),
        "worlds": Parameter(
            Several(Ensemble(), least=0, most=3), "ensembles of other images, each in a tab of its own", NUMBER
        ),
        "n_world": Parameter(Whole(1, LINES), "generated images of each of these", PROPORTION),
        "n_top": Parameter(
            Whole(1),
            "most influential images of each sample that are ablated in truth, and their twins",
            PROPORTION,
            limit=limits.images(),
        ),
        "n_random": Parameter(
            Whole(), "images drawn at random that are ablated in truth as well", PROPORTION, limit=limits.images()
        ),
        "n_list": Parameter(
            Whole(1),
            "an image in this many first places of two samples is generally influential",
            limit=limits.images(),
        ),
    },
    "paper_size": {
        "profile": PROFILE,
        "utilisation": Parameter(Real(0, 1), "share of a GPU's peak that such networks reach, assumed"),
    },
    "machines": {
        "profile": PROFILE,
        "N": Parameter(Whole(2, 10**12), "images: those of LAION-5B"),
        "members": Parameter(
            Several(Whole(4, codes.MAX_MEMBERS)), "how many, a line of the table each", limit=limits.with_codes("N")
        ),
        "epochs": Parameter(Real(0, 1e6), "times that a member sees each of its images"),
        "utilisation": Parameter(Real(0, 1), "share of a GPU's peak that such networks reach, assumed"),
        "processes": Parameter(Whole(1), "that search side by side, each on cores like those measured"),
    },
    **{
        name: {"profile": PROFILE}
        for name in ("appendix_networks", "faults", "own_images", "rerun", "scorecard", "speed")
    },
}
