"""What a user installs: one complete list of requirements, a wheel with its data, a Makefile that speaks."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from PIL import Image
from support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHIPPED = ["genens", "book/genens_book", "pyproject.toml", "README.md", "LICENSE", "NOTICE"]


def required(lines: list[str]) -> set[str]:
    """Distribution names of requirement lines, normalised."""
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in lines}


def third_party(folder: Path) -> set[str]:
    """Distributions that the Python files of a folder import, at any depth of nesting."""
    modules: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(node.module.split(".")[0])
    local = {"genens", "genens_book", "bench", "support"}
    owners = packages_distributions()
    outside = modules - set(sys.stdlib_module_names) - local
    return {owners[module][0].lower().replace("_", "-") for module in outside}


def test_the_core_imports_only_what_it_requires():
    assert third_party(ROOT / "genens") <= required(PROJECT["dependencies"])


def test_the_core_knows_nothing_of_notebooks_or_sphinx():
    book_only = {"sphinx", "myst-nb", "papermill", "nbformat", "nbclient", "ipykernel", "ipywidgets"}
    assert not third_party(ROOT / "genens") & book_only


def test_book_and_tests_import_only_what_their_extras_add():
    extras = PROJECT["optional-dependencies"]
    known = required([*PROJECT["dependencies"], *chain(*extras.values())])
    brought_along = {"sphinx", "nbclient", "docutils", "packaging"}  # by jupyter-book, papermill and pytest
    assert third_party(ROOT / "book") | third_party(ROOT / "tests") <= known | brought_along


def test_every_requirement_is_a_range_that_admits_newer_releases():
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        assert ">=" in line and "==" not in line, line


def test_environment_yml_installs_what_pyproject_lists():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(item["pip"] for item in conda["dependencies"] if isinstance(item, dict))
    assert pip == ["-e .[book,imagenet,test]"]
    assert {"book", "imagenet", "test"} == PROJECT["optional-dependencies"].keys()
    by_conda = [item.replace("pytorch>", "torch>") for item in conda["dependencies"] if "torch" in str(item)]
    assert by_conda == [line for line in PROJECT["dependencies"] if line.startswith(("torch>", "torchvision>"))]
    python = next(item for item in conda["dependencies"] if str(item).startswith("python="))
    least = re.search(r"(\d+)\.(\d+)", PROJECT["requires-python"]).groups()
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= tuple(map(int, least))
    assert conda["name"] == PROJECT["name"]


LOCK = (ROOT / ".ci" / "lock.txt").read_text()


def test_the_lock_pins_every_requirement_in_its_range_with_hashes():
    blocks = [block for block in re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE) if not block.startswith("#")]
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    locked = {block.partition("==")[0]: Version(re.split(r"[ ;]", block.partition("==")[2])[0]) for block in blocks}
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        wanted = Requirement(line)
        assert locked[canonicalize_name(wanted.name)] in wanted.specifier, line


def dry_run(folder: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess:
    """What make would do to install into a folder, whatever the make that runs these tests was given."""
    command = ["make", "--no-print-directory", "--dry-run", "install", f"VENV={folder}", *options]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "TORCH", "LOCKED")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=check)


def installing(folder: Path, *options: str) -> list[str]:
    """The commands of such a run that install something, or choose what to."""
    done = dry_run(folder, *options)
    return [line.strip() for line in done.stdout.splitlines() if "pip install" in line or line.startswith("awk")]


def test_make_installs_without_cuda_and_from_the_lock_when_asked(tmp_path):
    index = "--index-url https://download.pytorch.org/whl/cpu"
    (plain,) = installing(tmp_path)
    assert plain.endswith('pip install --disable-pip-version-check -e ".[book,imagenet,test]"')
    torch, rest = installing(tmp_path, "TORCH=cpu")  # first, so that pip finds it there
    assert torch.endswith(f"{index} torch torchvision") and rest == plain
    kept = {}
    for options in (("LOCKED=1",), ("LOCKED=1", "TORCH=cpu")):
        *first, awk, locked, own = installing(tmp_path, *options)
        assert "--require-hashes" in locked and own.endswith("--no-deps --no-build-isolation -e .")
        subprocess.run(awk, shell=True, cwd=ROOT, check=True)
        text = (tmp_path / "locked.txt").read_text()
        kept[options] = set(re.findall(r"^[\w.-]+(?===)", text, re.MULTILINE))
        assert text.count("--hash") > 0
    assert re.search(rf"{index} --no-deps torch==[\d.]+ torchvision==[\d.]+$", first[0])
    whole, without = kept.values()
    assert whole == set(re.findall(r"^[\w.-]+(?===)", LOCK, re.MULTILINE))
    left_out = {name for name in whole if name in ("torch", "torchvision", "triton") or re.match("nvidia-|cuda-", name)}
    assert whole - without == left_out and len(left_out) > 10


def test_make_does_not_take_an_environment_for_what_it_is_not(tmp_path):
    (tmp_path / ".installed").write_text("\n")
    done = dry_run(tmp_path, "TORCH=cpu", check=False)
    assert done.returncode != 0 and "installed with other options than TORCH=cpu: make distclean first" in done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel that a release would have, built from its sdist, and that from a copy of what it needs; both lie in one
    folder. Without a network, by the setuptools that is installed."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    for name in SHIPPED:
        path, copy = ROOT / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copy)
    for kind in ("sdist", "wheel"):
        build = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
        done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if kind == "sdist":
            subprocess.run(["tar", "--extract", "--file", next(out.glob("*.tar.gz"))], cwd=out, check=True)
            source = next(path.parent for path in out.glob("genens-*/pyproject.toml"))
    return next(out.glob("*.whl"))


INSIDE = (
    "genens/assets/mnist/t10k-images-idx3-ubyte.gz",
    "genens/assets/mnist/t10k-labels-idx1-ubyte.gz",
    "genens/theory/bias.py",
    "genens_book/press/build.py",
    "genens_book/pages/templates/claim.html",
    "genens_book/chapters/theory/errata.yml",
)


def test_wheel_and_sdist_hold_both_packages_and_their_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in INSIDE if name not in names]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"genens", "genens_book"}
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in names if ".dist-info/" in name}
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as archive:
        listed = archive.getnames()
    kept = {name.partition("/")[2].removeprefix("book/") for name in listed}
    assert not [name for name in INSIDE if name not in kept]


def test_the_readmes_example_runs_from_a_wheel_in_a_fresh_environment_and_an_empty_folder(wheel, tmp_path):
    place, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    venv.create(place, symlinks=True, with_pip=False)
    python = str(place / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GENENS"))}
    subprocess.run([*pip, str(wheel)], env=bare, check=True)
    # What it requires is found where it is installed already; no installation of this repository comes with that.
    packages = sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)})
    Path(packages, "required.pth").write_text(sysconfig.get_path("purelib"))
    code = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    said = f"{code}\nprint(ge.__file__)"
    done = subprocess.run([python, "-c", said], cwd=empty, env=bare, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(str(place)), done.stdout + done.stderr
    with Image.open(empty / "influence.png") as picture:
        assert picture.size == (12 * 30 + 2, 8 * 30 + 2)


@pytest.mark.parametrize("target", ["book", "train"])
def test_make_refuses_an_unknown_profile_in_one_line_before_installing(target, tmp_path):
    command = ["make", "--no-print-directory", target, "PROFILE=lapto", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "unknown PROFILE 'lapto'" in done.stderr and "laptop" in done.stderr and "smoke" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_make_help_names_every_command():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"make {target}" in done.stdout for target in ("book", "train", "test", "bench", "lock", "clean"))


OTHERS = {  # scripts of others in book/_static/others, as npm has them: package, version, sha256
    "popper.min.js": ("Popper 2.11.8", "c212f4b505a86352aed62b24a8f16f999f821ecbe6456c7f3c8a04bc87968782"),
    "tippy-bundle.umd.min.js": ("Tippy.js 6.3.7", "3f0fe70eb26ccf28f6887a192e29d38dd7ef7c2f079a73304ad42ddc7bed37de"),
}


def test_scripts_of_others_are_of_the_version_that_notice_names():
    folder, notice = ROOT / "book" / "_static" / "others", (ROOT / "NOTICE").read_text()
    assert {path.name for path in folder.iterdir()} == {*OTHERS, "LICENCE.txt"}
    for name, (version, digest) in OTHERS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name} is not that of {version}"
        assert f"{version} ({name}" in notice


def test_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["references"][0]["title"] == "Training Data Attribution for Diffusion Models"
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_one_address_of_the_repository_or_none():
    told = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text()).get("repository-code", "") == told


def test_what_the_book_says_to_cite_is_what_citation_cff_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    entry = (ROOT / "book" / "references.md").read_text().partition("@software")[2].partition("@article")[0]
    assert f"{{{citation['title']}}}" in entry and f"version = {{{citation['version']}}}" in entry
    paper = (ROOT / "book" / "references.bib").read_text().partition("@article{dai2023")[2].partition("\n}")[0]
    assert f"{{{citation['references'][0]['title']}}}" in paper
