"""What can be set in each chapter: declared once, checked before anything is computed, and told on a page."""

import re
import shlex
import sys

import nbformat
import pytest
import torch
import yaml
from hypothesis import given
from support import ROOT
from torch.utils.flop_counter import FlopCounterMode

from bench.faults.parameters import outcome, wrong_sets
from genens import engines, recipe
from genens.unet import UNetConfig, build
from genens_book.chapters.search import analysis as searching
from genens_book.chapters.search import own
from genens_book.chapters.theory import testbed
from genens_book.pages import budget, claims, declared, parameters
from genens_book.pages.kinds import Choice, Real, Several, Text, Whole, shown
from genens_book.press import build as press

NOTEBOOKS = sorted([*(ROOT / "book").glob("*.ipynb"), *(ROOT / "weights" / "unfinished").glob("*.ipynb")])
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("[0-9]*.ipynb"))
COMPUTING = sorted(parameters.load("laptop").keys() & budget.COSTS.keys())


def laptop(chapter, **changes):
    """A chapter's values, those of its profile, and the manifests of its ensembles."""
    values, expected = parameters.given(chapter, parameters.load("laptop")[chapter] | changes)
    return values, expected, parameters.manifests(chapter, values, "laptop")


def refusal(chapter, **changes):
    """The line with which a chapter refuses changes."""
    with pytest.raises(ValueError) as caught:
        values, expected, manifests = laptop(chapter, **changes)
        parameters.fits(chapter, values, expected, manifests)
    return str(caught.value)


# ---------------------------------------------------------------- declared


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_declared_and_its_default_is_admissible(path, builder):
    usual, known = parameters.defaults(path), declared.CHAPTERS[path.stem]
    assert usual == builder.defaults(path) and usual.keys() == known.keys()
    assert [name for name, value in usual.items() if not known[name].holds(value)] == []


@pytest.mark.parametrize("profile", ["smoke", "laptop", "paper"])
def test_every_value_of_a_profile_is_admissible(profile):
    wrong = [
        (chapter, name, value)
        for chapter, values in parameters.load(profile).items()
        if chapter != "train"
        for name, value in values.items()
        if not declared.CHAPTERS[chapter][name].holds(value)
    ]
    assert wrong == []


def test_what_is_declared_of_chapters_is_what_they_have():
    search, theory = declared.CHAPTERS["06_search"], declared.CHAPTERS["01b_theory"]
    assert search["decoder"].kind.options == tuple(searching.DECODERS)
    assert search["side"].kind.low == 2 * own.STRIDE and "multiples of 4" in search["side"].limit(9, {}, {})
    assert theory["N_testbed"].kind.high == testbed.MAX_ENUMERATED


@pytest.mark.parametrize(
    "kind, right, wrong",
    [
        (Whole(1, 9), [1, 9], [0, 10, True, 1.0, "1", None, [1], 10**5000]),
        (Real(0, 1), [1, 0.5, 1e-300], [0, 1.5, float("nan"), float("inf"), True, "0.5", 10**5000]),
        (Real(0, 1, closed=True), [0, 0.0], [-1e-300]),
        (Choice(("a", "b")), ["a"], ["c", "", None, ["a"], 0]),
        (Text("a name"), ["x", "a/b c"], ["", "a\nb", "a\0b", 3, None, "x" * 1001]),
        (Text("a name", empty=True), [""], [None]),
        (Several(Whole(), 2, 3), [[1, 1], (0, 5, 2)], [[1], [1, 2, 3, 4], [1, "2"], "12", {1: 2, 3: 4}, 12, None]),
        (Several(Real(0, 1), ascending=True), [[0.5, 1]], [[1, 0.5], [0.5, 0.5], [0.5, float("nan")], [0.5, "1"], []]),
    ],
    ids=lambda value: "" if isinstance(value, list) else str(value),
)
def test_a_kind_holds_what_it_says(kind, right, wrong):
    assert all(map(kind.holds, right)) and not any(map(kind.holds, wrong))


def test_a_value_is_shown_in_one_short_line_whatever_it_is():
    endless = []
    for _ in range(10_000):
        endless = [endless]
    for value in ("a\nb", "x" * 10**6, 10**5000, endless, {1: [2.5, None]}):
        assert len(shown(value)) <= 60 and shown(value).isprintable()
    assert shown([1, "b"]) == "[1, 'b']"


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "chapter, changes, words",
    [
        (
            "02_class_ablation",
            dict(seed=-1),
            "expected seed as a whole number of at least 0; got -1; its profile has 0",
        ),
        ("02_class_ablation", dict(n_samples=None), "expected n_samples as a whole number of at least 8; got None"),
        (
            "02_class_ablation",
            dict(weights="mnist16"),
            "expected weights as an ensemble of MNIST with a code for every",
        ),
        ("02_class_ablation", dict(weights="digits"), "expected weights as the name of an ensemble"),
        ("02_class_ablation", dict(vgg="nowhere.pth"), "expected vgg as the path of a file that is there"),
        ("03_fid", dict(n_sheet=800), "expected n_sheet at most n_samples = 704; got 800; its profile has 64"),
        ("04_convergence", dict(per_step=17), "expected per_step at most 16 with an ensemble of 16 members; got 17"),
        ("04_convergence", dict(weights="twins16"), "expected weights as an ensemble of 3 members or more, not of 2"),
        ("05_jacobian", dict(tolerance=float("nan")), "expected tolerance as a number from 0 up to 2; got nan"),
        ("05_jacobian", dict(reach=0), "expected reach as a number from 0.001 up to 1; got 0"),
        ("05_jacobian", dict(shares=[1, 0.5, 1]), "in ascending order; got [1, 0.5, 1]"),
        ("05_jacobian", dict(shares=[0.25, 0.5, 0.75]), "expected shares with 1 at the end"),
        ("05_jacobian", dict(n_near=8), "expected n_near at most the number of shares = 7; got 8"),
        ("05_jacobian", dict(n_directions=33), "expected n_directions at most n_counterfactuals = 32"),
        ("05_jacobian", dict(per_steps=[0, 1, 8]), "expected per_steps with 0 and 16 among them"),
        ("06_search", dict(k=101), "expected k as a whole number from 1 to 100; got 101; its profile has 10"),
        ("06_search", dict(n_samples=100, k=1), "expected n_samples at most 40 (k + 1) = 80"),
        ("06_search", dict(weights="mnist7"), "expected weights as an ensemble with a code for every image"),
        ("06_search", dict(dataset="folder:x", precision="int8"), "expected precision as one of float32, bfloat16"),
        ("06_search", dict(dataset="mnist"), "expected dataset as folder:PATH"),
        ("06_search", dict(dataset="folder:/nowhere"), "images that is there; got 'folder:/nowhere'"),
        ("06_search", dict(dataset="folder:~nobody/x"), "images that is there; got 'folder:~nobody/x'"),
        (
            "machines",
            dict(N=100, members=[38, 5]),
            "expected members each even and with C(n, n/2) >= N = 100, unlike 5",
        ),
        (
            "06_search",
            dict(n_members=100),
            "as a whole number from 4 to 64, or None: as few as give every image its own",
        ),
        ("00_method", dict(n_rows=10**6), "expected n_rows as a whole number from 2 to 100; got 1000000"),
        ("00_method", dict(image=8), "expected image at most n_rows - 1 = 7; got 8"),
        ("00a_diffusion", dict(shown=[0, 16]), "expected shown at most 15 with an ensemble of 16 members"),
        ("01_codes", dict(N_mnist=10**10), "expected N_mnist at most 12,870, the codes of n_mnist = 16 bits"),
        ("01_codes", dict(h_mnist=16), "expected h_mnist at most n_mnist - 1 = 15"),
        ("01b_theory", dict(most_members=10**6), "expected most_members as a whole number from 2 to 1,000"),
        ("01b_theory", dict(members_testbed=[4, 8]), "expected members_testbed of 5 or more, so that there are codes"),
        ("07_meaning", dict(twin_weights="mnist7"), "expected twin_weights as first members of `weights`"),
        ("07_meaning", dict(planted_weights="mnist16"), "expected planted_weights as an ensemble with planted groups"),
        ("07_meaning", dict(each=2871), "expected each at most 2,870: 10,000 images have codes, and 2,870 are left"),
        ("explorer", dict(n_samples=200), "expected n_samples so few that they take 6 MB of the page, not 12; got 200"),
        ("explorer", dict(n_class_samples=10**8), "expected n_class_samples so few that they take 2 MB of the page"),
        ("explorer", dict(budget=0), "expected budget as a number above 0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_value_that_cannot_be_is_refused_with_what_was_expected(chapter, changes, words):
    line = refusal(chapter, **changes)
    assert line.startswith(f"{chapter}: expected ") and words in line and line.isprintable()


def test_tangents_that_rounding_would_drown_are_refused_before_anything_is_drawn(monkeypatch):
    monkeypatch.setattr("genens.ensemble.has_bfloat16", lambda: True)
    line = refusal("04_convergence", precision="bfloat16", engine="eager")
    assert "as float32 or float64 with tangents differences" in line
    values, expected, manifests = laptop("04_convergence", precision="bfloat16", engine="eager", tangents="forward")
    parameters.fits("04_convergence", values, expected, manifests)


def test_an_engine_that_is_not_installed_is_said_before_an_ensemble_is_trained(monkeypatch, tmp_path):
    engines._openvino.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    values, expected, _ = laptop("06_search", dataset=f"folder:{tmp_path}")
    with pytest.raises(ValueError, match="set the parameter engine to eager"):
        parameters.fits("06_search", values, expected, {})


def test_a_chapter_that_nothing_is_declared_of_says_where_to(monkeypatch):
    monkeypatch.delitem(declared.CHAPTERS, "02_class_ablation")
    assert "expected its parameter 'budget' in genens_book/pages/declared.py: add it" in refusal("02_class_ablation")


def test_a_manifest_that_is_none_is_refused(tmp_path):
    for name, text in {"empty": "", "other": "[1]", "edited": '{"n": 3, "manifest_sha256": "0"}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
        assert "expected weights as the name of an ensemble" in refusal("03_fid", weights=f"{tmp_path}/{name}")


@given(wrong_sets())
def test_nonsense_is_refused_in_one_line_and_leaves_nothing(tmp_path_factory, drawn):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENENS_STORE", str(tmp_path_factory.mktemp("store")))
        outcome(*drawn)


# ---------------------------------------------------------------- a budget


@pytest.mark.parametrize("chapter", COMPUTING)
def test_every_chapter_of_the_laptop_is_far_within_its_budget(chapter):
    values, expected, manifests = laptop(chapter)
    parameters.fits(chapter, values, expected, manifests)
    cost = budget.cost(chapter, values, manifests)
    assert 0 < cost.seconds < 3600 and cost.bytes < 1e9


MADE = {
    name: one for which in ("laptop", "paper") for name, one in recipe.recipes(parameters.profile_file(which)).items()
}
SIZES = {"cifar10": (60_000, (3, 32, 32)), "celeba": (202_599, (3, 128, 128))}  # of images: how many, and their shape


def to_be_trained(name):
    """What the manifest of the paper's ensemble will say that a run's cost depends on; the laptop's, where the paper
    has none."""
    one = MADE[name]
    N, shape = SIZES.get(one.dataset, (10_000, (1, 28, 28)))
    return {
        "n": len(one.members) if one.only else one.n or len(one.classes),
        "images": 256 if isinstance(one, recipe.FineTune) else N,
        "shape": shape,
        "unet": MADE[one.base].unet if isinstance(one, recipe.FineTune) else one.unet,
        "recipe": {"steps": one.steps, "batch": getattr(one, "batch", 256)},
        "base": "",
        "files": {},
    }


@pytest.mark.parametrize("chapter", COMPUTING)
def test_the_paper_has_the_budget_that_its_runs_take(chapter):
    values = parameters.load("paper")[chapter]
    manifests = {name: to_be_trained(values[name]) for name in values if name.endswith("weights")}
    budget.check(chapter, values, manifests, "")


PAPERMILL = {
    (claim.chapter, line)
    for claim in claims.load().values()
    for line in claim.command.split(", then ")
    if line.startswith("papermill")
}


@pytest.mark.parametrize("chapter, command", sorted(PAPERMILL))
def test_a_command_of_the_scorecard_is_one_that_the_chapter_of_its_claim_takes(chapter, command):
    _, notebook, _, *options = shlex.split(command)
    assert notebook == f"book/{chapter}.ipynb"
    given = {name: yaml.safe_load(value) for name, value in zip(options[1::3], options[2::3], strict=True)}
    assert options[::3] == ["-p"] * len(given)
    values, expected = parameters.given(chapter, parameters.defaults(parameters.notebook(chapter)) | given)
    if given.get("profile") == "paper":
        manifests = {name: to_be_trained(values[name]) for name in values if name.endswith("weights")}
    else:
        manifests = parameters.manifests(chapter, values, "laptop")
    parameters.fits(chapter, values, expected, manifests)


@pytest.mark.parametrize(
    "chapter, changes",
    [
        ("02_class_ablation", dict(n_samples=10**9)),
        ("02_class_ablation", dict(n_samples=10**12)),
        ("03_fid", dict(n_boot=10**12)),
        ("00a_diffusion", dict(budget=1e-9)),
        ("01b_theory", dict(trials=10**9)),
        ("01b_theory", dict(N_curves=[10**12], most_members=1000, budget=0.01)),
        ("04_convergence", dict(n_samples=10**7)),
        ("05_jacobian", dict(n_samples=10**6)),
        ("06_search", dict(n_copies=10**15)),
        ("07_meaning", dict(n_deals=10**12)),
        ("07_meaning", dict(each_group=10**9)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_run_beyond_its_budget_is_refused_and_told_what_lets_it_through(chapter, changes):
    line = refusal(chapter, **changes)
    allowed = changes.get("budget", 1)
    assert (
        f"{chapter}: expected a run of at most" in line and f"as budget = {allowed:g} allows; got one of about" in line
    )
    assert re.search(r"about \S+ hours and \S+ GB", line) and line.isprintable()
    assert all(f"{name} = {value}" in line for name, value in changes.items() if name != "budget")
    enough = float(re.search(r"set budget to (\S+) to run it", line)[1])
    values, expected, manifests = laptop(chapter, **changes | {"budget": enough})
    parameters.fits(chapter, values, expected, manifests)
    with pytest.raises(ValueError, match="ask for less"):
        parameters.fits(chapter, values | {"budget": enough / 2}, expected, manifests)


@pytest.mark.parametrize("channels, side", [(1, 28), (3, 32)])
@pytest.mark.parametrize("unet", [own.UNET, {"width": 32, "multipliers": (1, 2, 2, 2), "attention": (1,), "patch": 1}])
def test_the_operations_of_a_pass_are_those_that_pytorch_counts(unet, channels, side):
    config = UNetConfig(**{**unet, "channels": channels})
    if side % config.stride:
        side = 32
    x = torch.zeros(1, channels, side, side)
    with FlopCounterMode(display=False) as counter:
        engines.plain(build(config, 0).eval().requires_grad_(False), x, 500)
    assert budget.operations(config, tuple(x.shape[1:])) == pytest.approx(counter.get_total_flops(), rel=0.25)


@pytest.mark.parametrize("chapter", ["00_method", "02_class_ablation", "03_fid", "04_convergence", "05_jacobian"])
def test_the_budget_counts_the_passes_that_a_build_expects(chapter):
    """Of the chapters that draw all or nearly all that they show by themselves."""
    values, _, manifests = laptop(chapter)
    each = budget.Members.of(manifests["weights"]).each
    assert budget.cost(chapter, values, manifests).seconds / (64 * each) == pytest.approx(
        press.PASSES[chapter], rel=1 / 3
    )


# ---------------------------------------------------------------- the page


def test_every_chapter_has_its_place_on_the_page():
    page = nbformat.read(ROOT / "book" / "rerun.ipynb", 4)
    shown = [name for cell in page.cells for name in re.findall(r'parameters\.chapter\("(\w+)"', cell.source)]
    reading_order = re.findall(r"file: book/(\w+)", (ROOT / "_toc.yml").read_text())
    assert shown == [name for name in reading_order if name in CHAPTERS] and len(shown) == len(CHAPTERS)


def test_the_page_says_what_a_parameter_may_be():
    lines = parameters.chapter("06_search").text.splitlines()
    row = next(line.split("\t") for line in lines if line.startswith("n_members\t"))
    assert row[1:] == [
        "null",
        "own images: members",
        "a whole number from 4 to 64, or None: as few as give every image its own code",
        "in proportion",
    ]


def test_the_line_to_copy_sets_what_it_says():
    words = shlex.split(parameters.command("01b_theory", {"trials": 500, "members_testbed": [6, 8]}))
    assert words[1:] == ["book/01b_theory.ipynb", "out.ipynb", "-p", "trials", "500", "-y", "members_testbed: [6, 8]"]


def test_what_a_page_or_a_chapter_does_not_know_is_refused():
    with pytest.raises(ValueError, match="trails"):
        parameters.chapter("01b_theory", trails=500)
    with pytest.raises(FileNotFoundError, match="01_codes"):
        parameters.chapter("no_such_chapter")
