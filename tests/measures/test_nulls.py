"""Codes dealt anew: lists by hand, a planted signal that is seen, and its absence."""

import numpy as np
import pytest
import torch

from genens import attribution
from genens import codes as coding
from genens.data import Dataset
from genens_book.measures import gallery, nulls
from genens_book.measures.judges import DigitNet


def test_a_list_is_the_first_codes_that_an_image_has():
    image_of = np.array([7, -1, 3, -1, 9])
    order = np.array([[1, 4, 0, 2, 3], [0, 1, 2, 3, 4]])
    assert nulls.dealt(order, image_of, 2).tolist() == [[9, 7], [7, 3]]
    with pytest.raises(ValueError, match="expected 3 images among the first 3 codes"):
        nulls.dealt(order[:, :3], image_of, 3)


def test_a_statistic_of_the_images_is_seen_and_one_of_the_codes_is_not():
    rng = np.random.default_rng(0)
    codes = coding.constant_weight(200, 10, 5, 0)
    labels = rng.integers(0, 2, 200)
    influence = rng.random((20, 252))
    influence[:, coding.rank(codes[labels == 1])] += 0.5  # images of class 1 do matter
    asked = {
        "class": lambda rows: float(labels[rows].mean()),
        "several": lambda rows: float((np.unique(rows, return_counts=True)[1] > 1).sum()),
    }
    order = np.argsort(-influence, axis=1)
    found = nulls.against(order, codes, 5, asked, 300, 0)
    one = found["class"]
    assert one.found > 0.9 and one.mean == pytest.approx(0.5, abs=0.1) and one.p == pytest.approx(1 / 301)
    fewer = nulls.against(order[:, ::-1], codes, 5, asked, 300, 0)  # lists with less of it: not on the side asked
    assert fewer["class"].found < fewer["class"].low and fewer["class"].p > 0.9
    assert one.random == pytest.approx(labels.mean(), abs=0.05) and one.low < one.mean < one.high
    assert found["several"].p > 0.05 and found["several"].deals == 300
    assert one.found - one.mean > one.seen > 0


def test_without_a_signal_the_p_values_of_many_deals_are_uniform():
    rng, p = np.random.default_rng(1), []
    labels = rng.integers(0, 2, 60)
    for seed in range(60):
        codes = coding.constant_weight(60, 8, 4, seed)
        asked = {"class": lambda rows: float(labels[rows].mean())}
        order = np.argsort(rng.random((4, 70)), axis=1)
        p.append(nulls.against(order, codes, 3, asked, 39, seed)["class"].p)
    assert np.mean(np.array(p) <= 0.1) <= 0.25


def test_codes_are_looked_through_by_influence_until_every_list_has_its_images():
    codes = coding.constant_weight(60, 8, 4, 0)
    columns = np.random.default_rng(0).normal(size=(3, 8, 5))
    gram = columns @ columns.swapaxes(1, 2)
    every = coding.unrank(range(70), 8, 4)
    order = nulls.order(gram, codes, 2)
    assert order.shape == (3, 32) and (np.diff(np.sort(order, axis=1)) > 0).all()
    by_hand = attribution.influence(gram, every)
    found = np.take_along_axis(by_hand, order, 1)
    assert (np.diff(found) <= 1e-12).all()
    np.testing.assert_allclose(found[:, 0], by_hand.max(1))


def test_statistics_know_class_likeness_and_overlap():
    torch.manual_seed(0)
    judge = DigitNet().eval()
    pictures = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    y = pictures[:2].float().numpy() / 127.5 - 1  # the samples are copies of the first two
    with torch.no_grad():
        said = judge(torch.as_tensor(y)).argmax(1)
    labels = torch.full((6,), 99)
    labels[0] = said[0]
    asked = nulls.statistics(y, judge, gallery.of(Dataset(pictures, labels, "some", ("one",))))
    copies, others = np.array([[0], [1]]), np.array([[4], [4]])
    assert asked["class"](copies) == 0.5 and asked["class"](others) == 0
    for name in ("pixels", "features"):
        assert asked[name](copies) < 1e-6 < asked[name](others)
    assert asked["distinct"](others) == 1 and asked["several"](others) == 1 and asked["several"](copies) == 0
    part = gallery.Gallery("some", ("one",), labels, torch.arange(3), pictures[:3], "")
    assert set(nulls.statistics(y, judge, part)) == {"class", "distinct", "several"}
