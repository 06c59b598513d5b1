"""What measures CelebA's claims once its files are there: the scorecard's own commands, on a folder of a few made-up
faces in torchvision's layout, with a small network and few steps."""

import shlex
from multiprocessing import forkserver

import pytest
import torch
import yaml
from support import ROOT, celeba, inception_state, run_chapter

from genens import train
from genens_book.chapters.fid import __main__ as fids
from genens_book.measures import imagenet
from genens_book.pages import claims, ledger, parameters

UNET = {"channels": 3, "width": 8, "multipliers": [1, 1], "attention": [], "blocks": 1}
SMALL = {"size": 32, "steps": 1, "unet": UNET}
FEW = dict(
    n_samples=8, n_sheet=8, n_boot=2, n_growing=2, n_jacobian=2, n_counterfactuals=3, n_lists=2, n_deals=20, steps=2
)
FIDS = ["--samples", "8", "--steps", "2", "--n-boot", "2", "--engine", "eager"]


def commands() -> list[str]:
    """The scorecard's commands for claims about CelebA that its files are wanted for."""
    wanted = [claim.command for claim in claims.load().values() if claim.dataset == "celeba"]
    return [command for command in dict.fromkeys(wanted) if not command.startswith("make ")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """CelebA's ensemble as the first part of each of these commands trains it, in little."""
    root = tmp_path_factory.mktemp("celeba")
    first = {command.split(", then ")[0] for command in commands()}
    assert len(first) == 1
    module, file, *rest = shlex.split(first.pop().removeprefix("python -m "))
    assert module == "genens.train" and parameters.profile_file("paper") == ROOT / file
    assert rest == ["--only", "celeba24", "--device", "cuda"]
    recipe = parameters.load("paper")["train"]["celeba24"] | SMALL
    (root / "paper.yml").write_text(yaml.safe_dump({"train": {"celeba24": recipe}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENENS_DATA", str(root))
        patch.setenv("GENENS_STORE", str(root / "store"))
        celeba.fabricate(root, patch, [(218, 178)] * 24)
        forkserver._forkserver._stop()  # one that another test has started knows nothing of this environment
        assert train.main([str(root / "paper.yml"), *rest[:2], "--workers", "1"]) == 0
        forkserver._forkserver._stop()
        yield root


@pytest.mark.parametrize("command", [command for command in commands() if "papermill" in command])
def test_a_chapter_measures_celebas_claims(trained, command):
    _, notebook, _, *options = shlex.split(command.split(", then ")[1])
    given = {name: yaml.safe_load(value) for name, value in zip(options[1::3], options[2::3], strict=True)}
    run_chapter(notebook.removeprefix("book/").removesuffix(".ipynb"), **given | FEW)
    rows = {row["id"]: row for row in ledger.scorecard("custom")}
    asked = {id: rows[id] for id, claim in claims.load().items() if claim.command == command}
    missing = [row["run_note"] for row in asked.values() if row["value"] is None]
    assert len(asked) > len(missing) and all("cannot give a p-value" in note for note in missing)  # of so few samples


@pytest.mark.parametrize("command", [command for command in commands() if "chapters.fid" in command])
def test_the_command_of_fids_measures_celebas(trained, monkeypatch, capsys, command):
    monkeypatch.setattr(imagenet, "deep_features", lambda network, images: images.flatten(1)[:, :16])  # in a moment
    words = shlex.split(command.split(", then python -m genens_book.chapters.fid ")[1])
    assert words[2:] == "with a trained Inception v3 at hand".split()
    torch.save(inception_state(), trained / "inception.pth")
    assert fids.main([*words[:2], "--inception", str(trained / "inception.pth"), *FIDS]) == 0
    assert "ensemble less the largest of its members" in capsys.readouterr().out
