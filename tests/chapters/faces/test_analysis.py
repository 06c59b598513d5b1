"""What lists of faces have to do with their samples: planted likeness is found, codes dealt anew have none."""

import dataclasses

import numpy as np
import pytest
import torch

from genens import codes as coding
from genens.data import Dataset
from genens_book.chapters.faces import analysis, figures, reading
from genens_book.measures import gallery
from genens_book.measures.not_run import NotRun
from genens_book.pages.markup import Page

N, PEOPLE, B, A = 600, 30, 6, 5


@pytest.fixture(scope="module")
def faces():
    """Images of people with attributes; samples that are read as the first people, and a reader that is not trained."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(N) % PEOPLE
    attributes = torch.rand((N, A), generator=draw) < 0.5
    pixels = torch.zeros((N, 3, 2, 2), dtype=torch.uint8)
    people = tuple(map(str, range(PEOPLE)))
    images = gallery.of(Dataset(pixels, labels, "faces", people, attributes, tuple("abcde")))
    seen = {"attributes": attributes[:B].numpy(), "person": reading.everyone(PEOPLE)[:B].numpy()}
    return images, seen, reading.Reader().eval()


def gram_of(codes, wanted):
    """JᵀJ of Jacobians in which the images `wanted` (B, N) pull the members that saw them one way."""
    pull = wanted @ codes.astype(float)
    columns = np.stack([pull, np.random.default_rng(0).normal(size=pull.shape) * pull.std() / 4], -1)
    return np.einsum("bim,bjm->bij", columns - columns.mean(1, keepdims=True), columns - columns.mean(1, keepdims=True))


def test_agreement_counts_attributes_one_by_one(faces):
    images, seen, _ = faces
    agree = analysis.agreeing(seen["attributes"], images)
    assert agree.shape == (B, N)
    assert agree[2, 7] == pytest.approx((seen["attributes"][2] == images.attributes[7].numpy()).mean())
    wanted = analysis.each(seen["attributes"], images)
    rows = np.arange(2 * B).reshape(B, 2)
    by_hand = np.mean([seen["attributes"][b, 3] == images.attributes[r, 3].item() for b in range(B) for r in rows[b]])
    assert wanted["d"](rows) == pytest.approx(by_hand)


def test_the_nearest_person_is_the_one_who_was_read(faces):
    images, seen, reader = faces
    apart = analysis.resemblance(seen["person"], reader, images)
    assert apart.argmin(1).tolist() == list(range(B))
    assert apart[:, images.labels.numpy()].mean() == pytest.approx(1, abs=1e-5)


def test_people_who_matter_together_are_found_and_codes_dealt_anew_have_none(faces):
    images, seen, reader = faces
    labels, apart = images.labels.numpy(), analysis.resemblance(seen["person"], reader, images)
    codes = coding.constant_weight(N, 12, 6, 0)
    near = apart <= np.sort(apart, axis=1)[:, 2:3]  # three people for each sample
    gram = gram_of(codes, near[:, labels])
    found = analysis.together(gram, codes, labels, apart, 99, 0)
    assert found.found > found.high and found.p == 0.01
    assert found.low < found.mean < found.high and abs(found.mean) < 0.1
    other = coding.constant_weight(N, 12, 6, 1)
    assert analysis.together(gram, other, labels, apart, 99, 0).p > 0.05


def test_a_group_has_the_influence_of_the_mean_of_its_codes():
    codes, labels = coding.constant_weight(8, 6, 3, 0), np.array([0, 1, 0, 1, 1, 2, 2, 2])
    J = np.random.default_rng(0).normal(size=(2, 7, 6))
    found = analysis.of_people(np.einsum("bmi,bmj->bij", J, J), codes, labels)
    for b in range(2):
        for person in range(3):
            own = codes[labels == person]
            by_hand = np.linalg.norm(J[b] @ (own.mean(0) - 0.5)) * len(own) ** 0.5
            assert found[b, person] == pytest.approx(by_hand)


def test_meaning_is_asked_of_those_whom_somebody_can_read(faces):
    images, seen, reader = faces
    codes = coding.constant_weight(N, 12, 6, 0)
    gram = gram_of(codes, analysis.agreeing(seen["attributes"], images) ** 8)
    found = analysis.meaning(gram, codes, seen, reader, images, 3, 50, 0)
    assert set(found.attributes) == set("abcde") and found.people.deals == 50
    said = analysis.meaning_words(found)
    assert said["attributes_found"].endswith("%")
    assert figures.attributes(found.attributes).axes[0].get_yticklabels()[0].get_text() == "a"
    shown = figures.meaning(found, lambda lists: Page("", ", ".join(lists)))
    assert shown["table_nulls"].text == "attributes, single, person, distinct, several"
    nobody = analysis.meaning(gram, codes, {}, analysis.UNREAD, images, 3, 50, 0)
    assert isinstance(nobody, NotRun) and set(analysis.meaning_words(nobody).values()) == {"not run"}
    assert set(analysis.meaning_words(nobody)) == set(said)
    reason = figures.meaning(nobody, None)
    assert "only drawn ones" in reason["table_nulls"].text and reason.keys() == shown.keys()


def test_the_law_sees_groups_before_it_sees_anybody():
    columns = np.random.default_rng(0).normal(size=(4, 24, 300))
    gram = columns @ columns.swapaxes(1, 2)
    said = analysis.law(gram, 202_599, 10_177)
    assert 24 < said["person"] < said["image"] and said["low"] <= said["dimension"] <= said["high"]
    assert said["group_aligned"] < said["group"] <= 202_599
    words = analysis.law_words(said, 24, 202_599)
    assert words["law_follows"].endswith("24 members are fewer than that.")
    assert "could name one" in analysis.law_words(said, 10**12, 202_599)["law_follows"]
    assert float(words["law_image"].split()[1].replace(",", "")) == pytest.approx(said["image"], rel=0.05)
    none = said | {"image": np.inf, "group": 202_599.0}
    told = analysis.law_words(none, 24, 202_599)
    assert told["law_image"] == "with no number of members" and told["law_group"] == "of no size"


def test_what_tells_left_from_right_is_not_asked_of_members_that_saw_both(faces):
    images, seen, _ = faces
    names = ("a", "b", "c", "light from the left", "e")
    sided = dataclasses.replace(images, attribute_names=names)
    assert analysis.asked(sided).tolist() == [True, True, True, False, True]
    kept = [0, 1, 2, 4]
    agree = analysis.agreeing(seen["attributes"], sided)
    by_hand = (seen["attributes"][1, kept] == images.attributes[9, kept].numpy()).mean()
    assert agree[1, 9] == pytest.approx(by_hand)
    assert [*analysis.each(seen["attributes"], sided)] == ["a", "b", "c", "e"]


def test_one_attribute_that_agrees_stands_out_among_many(faces):
    images, seen, _ = faces
    known, rng = images.attributes.numpy(), np.random.default_rng(0)
    chance = [analysis.largest(rng.integers(N, size=(B, 10)), seen["attributes"], images) for _ in range(200)]
    assert 0.5 < np.mean(chance) < 2  # the largest of five
    like = np.array([rng.choice(np.flatnonzero(known[:, 2] == one[2]), 10) for one in seen["attributes"]])
    assert analysis.largest(like, seen["attributes"], images) > max(chance)


def test_samples_are_set_against_faces_drawn_anew():
    y = next(reading.fresh(40, 9))[0]
    reader = reading.load()
    seen = {name: value.numpy()[:, None].repeat(3, 1) for name, value in reading.read(reader, y).items()}
    said = analysis.readable_words(seen, reader, 50, 0)
    assert abs(float(said["nearest"]) / float(said["nearest_fresh"]) - 1) < 0.2
    noise = reading.read(reader, torch.rand((40, 3, 3, 32, 32), generator=torch.Generator().manual_seed(0)) * 2 - 1)
    other = analysis.readable_words({name: value.numpy() for name, value in noise.items()}, reader, 50, 0)
    assert float(other["nearest"]) > 1.5 * float(other["nearest_fresh"])
    assert set(analysis.readable_words(analysis.UNREAD, reader, 50, 0).values()) == {"not run"}


def test_fids_are_by_the_reader_where_it_has_read():
    seen, reader = {"features": np.zeros((2, 3, 4))}, reading.Reader()
    assert [*analysis.own(reader, seen, {"faces": "kept"})] == ["face reader"]
    assert analysis.own(reader, seen, {}) == analysis.own(analysis.UNREAD, analysis.UNREAD, {"faces": "kept"}) == {}


def test_the_data_set_and_its_reader_are_told_in_numbers(faces):
    said = analysis.data_words(faces[0])
    assert said["people"] == PEOPLE and said["each"] == "20.00" and said["read_of"] == 8192


def test_a_stand_in_is_called_one():
    drawn, real = {"dataset": "faces"}, {"dataset": "celeba"}
    assert analysis.measured(drawn) == analysis.measured(real) == "celeba"
    assert analysis.stand_in("32 pixels a side for 128", drawn).startswith("a stand-in, drawn faces")
    assert "CelebA itself" in analysis.itself_words(real) and analysis.itself_words(drawn) == ""
    assert analysis.stand_in("", real) == "" and analysis.no_fid(real) is None
    assert "says nothing of CelebA's" in str(analysis.no_fid(drawn))
    assert isinstance(analysis.reader_of(real), NotRun)


def test_agreement_of_members_with_the_ensemble():
    same = np.tile(np.random.default_rng(0).random((200, 1, 4)) < 0.5, (1, 3, 1))
    found, chance = analysis.agreement(same)
    assert found == 1 and chance == pytest.approx(0.5, abs=0.05)
    assert analysis.agreement_words({"attributes": same})["same"].startswith("100")
    assert analysis.agreement_words(analysis.UNREAD)["same"] == "not run"


def test_people_are_shown_a_row_each(faces):
    images, _, _ = faces
    rows = figures.shown(images)
    assert rows.shape == (figures.PEOPLE, figures.PICTURES) and len(np.unique(rows)) == rows.size
    assert (images.labels.numpy()[rows] == np.arange(figures.PEOPLE)[:, None]).all()
    kept = dataclasses.replace(images, rows=torch.from_numpy(np.sort(rows.ravel())), images=images.images[: rows.size])
    assert np.array_equal(figures.shown(kept), rows)  # as where only thumbnails of these are at hand
    assert figures.people(images).axes
