"""Another data set beside MNIST, on made-up rows of the scorecard."""

from dataclasses import asdict
from types import SimpleNamespace

from genens.recipe import Recipe
from genens.unet import UNetConfig
from genens_book.chapters.systems import analysis
from genens_book.pages import claims


def members(**changes):
    paper = dict(steps=250_000, batch=128, unet=UNetConfig.paper(3).to_dict())
    recipe = Recipe("cifar10", n=20, h=10, **{**paper, **changes})
    return SimpleNamespace(manifest={"recipe": asdict(recipe), "images": 9, "data": "0" * 64}, shape=(3, 32, 32))


def test_a_reduced_setting_says_in_what_it_falls_short():
    book = claims.load()
    assert analysis.reduced(book, members(), 1000, "cifar10") == ""
    said = analysis.reduced(book, members(steps=10_500, batch=32), 20, "cifar10")
    assert said == "10,500 training steps for 250,000, 32 images a minibatch for 128, 20 denoising steps for 1,000"
    faces = members(steps=130_000, batch=32)
    assert analysis.reduced(book, faces, 1000, "celeba") == "32 pixels a side for 128"


def rows(**verdicts):
    row = {"here": "0.9", "paper": "more"}
    return [{"id": id, **row, "verdict": verdicts.get(id, "reproduced")} for id in claims.load()]


def test_what_carries_over_is_what_has_one_verdict():
    several = {"f5b-approximates-cifar10": "inconclusive", "f3-comparable-cifar10": "not run yet"}
    told = analysis.carried(rows(**several), "cifar10")
    assert (told["verdicts"], told["same_verdict"]) == (len(analysis.SAME) - 1, len(analysis.SAME) - 2)
    assert "Pearson correlation, median (inconclusive here, reproduced with MNIST)" in told["other_verdict"]
    assert analysis.carried(rows(), "celeba")["other_verdict"] == ""


def test_the_table_beside_mnist_has_every_pair():
    page = analysis.beside(rows(**{"f5b-approximates-cifar10": "inconclusive"}), "cifar10", "CIFAR-10")
    head, *lines = page.text.splitlines()
    assert len(lines) == len(analysis.SAME) and all(len(line.split("\t")) == len(head.split("\t")) for line in lines)
    assert "reproduced / inconclusive" in page.text


def test_the_papers_numbers_are_those_of_its_claims():
    said = analysis.paper_words(claims.load(), "celeba")
    assert said["paper_images"] == 202_599 and said["paper_members"] == 24
    assert said["paper_samples"] == 64 and said["paper_counterfactuals"] == 8


def test_settings_are_claims_of_the_data_set_and_are_read_off_the_ensemble():
    ours = members(steps=10_500, batch=32, flip=True, lr=0.004)
    ours.n = 20
    ours.manifest["split_sizes"] = [30_000] * 20
    book = claims.load()
    found = {dataset: analysis.settings(book, ours, range(60_000), dataset) for dataset in ("cifar10", "celeba")}
    assert all(of.keys() <= book.keys() for of in found.values())
    assert found["celeba"]["f6c-searched-celeba"] == 60_000 and found["celeba"]["b2-epochs-celeba"] == 1.05
    paper = members(steps=250_000)
    paper.n = 20
    assert analysis.settings(book, paper, range(9), "cifar10")["b2-epochs-cifar10"] == book["b2-epochs-cifar10"].value
    assert found["cifar10"]["b2-flips"] is True and "b2-flips" not in found["celeba"]  # recorded once


def test_what_stands_beside_mnist_is_told_together():
    said = analysis.beside_words(rows(), "cifar10", "CIFAR-10")
    assert said["pearson_mnist"] == "0.9" and said["same_verdict"] == len(analysis.SAME)
