"""Thumbnails are of what a chapter lists and of what the explorer shows, by the functions that the pages call."""

import numpy as np
import pytest

from genens import attribution, ensemble, jacobians, schedules, unet
from genens import codes as coding
from genens_book.chapters.explorer import analysis
from genens_book.chapters.search import analysis as searching
from genens_book.press import thumbnails

TINY = dict(channels=3, width=8, multipliers=(1,), attention=(), blocks=1, skip=True)
DRAWN = dict(seed=3, steps=2, sampler="ancestral", variance="posterior", per_step=2, tangents="differences")


@pytest.fixture
def members(tmp_path, monkeypatch):
    """Untrained ones, and a store of their own."""
    monkeypatch.setenv("GENENS_STORE", str(tmp_path))
    codes = coding.constant_weight(20, 6, 3, 0)
    models = [unet.build(unet.UNetConfig(**TINY), seed) for seed in range(6)]
    return ensemble.Ensemble(models, codes, (3, 8, 8), digest="made up")


def test_what_a_chapter_lists_is_kept(members):
    rows = thumbnails.listed(members, DRAWN | dict(n_jacobian=3, k=4))
    drawn = jacobians.jacobians(
        range(3), members=members, seed=3, steps=schedules.schedule(2), per_step=2, tangents="differences"
    )
    for J, found in zip(drawn["jacobian"], rows, strict=True):
        lengths = attribution.influence(jacobians.gram(jacobians.centred(J[None].double().numpy())), members.codes)[0]
        assert {*np.argsort(-lengths)[:4]} == {*found}
    left = thumbnails.listed(members, DRAWN | dict(n_jacobian=3, n_lists=2, k=2), discounted=True)
    gram = jacobians.gram(jacobians.centred(drawn["jacobian"][:2].double().numpy()))  # among the lists that are shown
    assert np.array_equal(left, searching.discounted(gram, members.codes, 2).top.rows) and left.shape == (2, 2)


def test_what_the_explorer_shows_is_kept(members, monkeypatch):
    monkeypatch.setattr(analysis, "PLACES", 2)
    rows = thumbnails.explored(members, DRAWN | dict(n_world=2, n_samples=5, n_top=1, n_random=1, n_list=2))
    asked = analysis.Asked(2, 3, schedules.schedule(2), 2, "differences", 1, 1, 2)
    truth = analysis.seen(members, asked).truth.rows
    assert {*truth.ravel()} <= {*rows} and len(rows) < 20


@pytest.mark.parametrize(
    "name, said",
    [("nothing20", "nothing20"), ("mnist16", "expected an ensemble of cifar10 or faces, got mnist16 of mnist")],
)
def test_other_ensembles_are_refused_in_one_line(name, said):
    with pytest.raises(SystemExit, match=said) as caught:
        thumbnails.main([name])
    assert "\n" not in str(caught.value)
