"""CIFAR-10 beside MNIST, on made-up rows of the scorecard."""

from dataclasses import asdict
from types import SimpleNamespace

from genens.recipe import Recipe
from genens.unet import UNetConfig
from genens_book.chapters.cifar10 import analysis
from genens_book.pages import claims


def members(**changes):
    paper = dict(steps=250_000, batch=128, unet=UNetConfig.paper(3).to_dict())
    return SimpleNamespace(manifest={"recipe": asdict(Recipe("cifar10", n=20, h=10, **{**paper, **changes}))})


def test_a_reduced_setting_says_in_what_it_falls_short():
    book = claims.load()
    assert analysis.reduced(book, members(), 1000) == ""
    said = analysis.reduced(book, members(steps=10_500, batch=32), 20)
    assert said == "10,500 training steps for 250,000, 32 images a minibatch for 128, 20 denoising steps for 1,000"


def rows(**verdicts):
    ids = [id for pair in analysis.SAME.values() for id in pair]
    return [{"id": id, "here": "0.9", "paper": "more", "verdict": verdicts.get(id, "reproduced")} for id in ids]


def test_what_carries_over_is_what_has_one_verdict():
    several = {"f5b-approximates-cifar10": "inconclusive", "f3-comparable-cifar10": "not run yet"}
    told = analysis.carried(rows(**several))
    assert (told["verdicts"], told["same_verdict"]) == (len(analysis.SAME) - 1, len(analysis.SAME) - 2)
    assert "Pearson correlation, median (inconclusive here, reproduced with MNIST)" in told["other_verdict"]
    assert analysis.carried(rows())["other_verdict"] == ""


def test_the_table_beside_mnist_has_every_pair():
    page = analysis.beside(rows(**{"f5b-approximates-cifar10": "inconclusive"}))
    head, *lines = page.text.splitlines()
    assert len(lines) == len(analysis.SAME) and all(len(line.split("\t")) == len(head.split("\t")) for line in lines)
    assert "reproduced / inconclusive" in page.text
