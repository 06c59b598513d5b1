"""What chapter 7 says of planted groups, in its table and in words."""

import matplotlib.pyplot as plt
import numpy as np

from genens_book.chapters.meaning import figures, planted, testbed

NAMES = ("arrow", "star")
KNOWN = planted.Groups(np.zeros((12, 8), bool), 10, np.array([2, 60]), (10, 11), NAMES)
LAWS = ({"arrow": 0.0, "star": 0.1}, {"arrow": 0.0, "star": 0.8})


def found(shown, r=5.0):
    """Nobody shows an arrow; so many samples show a star, every search has it first but the last, the first is lost."""
    place, lost = np.ones(shown), np.arange(shown) < 1
    place[-1:] = 7
    one = planted.Found("star", 60, dict.fromkeys(testbed.DECODERS, place), place * r, lost, ~lost & lost)
    none = planted.Found("arrow", 2, dict.fromkeys(testbed.DECODERS, place[:0]), *[place[:0]] * 3)
    return [none, one]


def test_the_table_has_a_line_for_a_group_that_nobody_shows():
    head, arrow, star = figures.groups_table(found(4), LAWS, 8).text.splitlines()
    assert len(head.split("\t")) == len(arrow.split("\t")) == len(star.split("\t"))
    assert arrow.split("\t")[:3] == ["arrow", "2", "0"] and set(arrow.split("\t")[3:-2]) == {"–"}
    assert star.split("\t")[1:8] == ["60", "4", "1", "0", "3", "3", "3"] and star.split("\t")[-2:] == [
        "10\u00a0%",
        "80\u00a0%",
    ]


def test_words_say_from_which_size_on_and_how_far_the_law_is_off():
    words = figures.groups_words(found(4), LAWS, KNOWN, noise=1.0)
    assert words["found_from"] == words["found_from_lasso"] == "from 60 images on"
    assert (words["said_from"], words["said_from_aligned"]) == ("at no size", "from 60 images on")
    assert (words["shown"], words["lost"], words["lost_placebo"]) == (4, 1, 0)
    alike = 8 * 60**2 / (72 - 60 + 72)
    assert (
        f"the star, n r is 40 in these samples, where aligned images that are no more than alike would have {alike:.0f}"
        in words["least"]
    )
    assert figures.groups_words(found(1), LAWS, KNOWN, 1.0)["least"] == "No group is."


def test_the_picture_has_the_picked_samples():
    drawn = {
        name: np.full((4, 1, 5, 5), value)
        for name, value in zip(("start", "y", "without", "placebo"), (-1, 0, 1, 0.5), strict=True)
    }
    drawn["y"][3] = 1
    figure = figures.groups(drawn, KNOWN, np.array([0, 3]), np.zeros((2, 1, 5, 5)))
    sheet = figure.axes[0].images[0].get_array()
    assert sheet[14 + 2, 2, 0] == 0.5 and sheet[14 + 2, 7 + 2, 0] == 1  # third row: the samples
    plt.close(figure)
