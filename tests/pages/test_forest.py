"""The scorecard's first picture."""

import matplotlib.pyplot as plt
import pytest

from genens_book.pages import claims, forest

CHAPTER = dict(section="1", statement="Something.", kind="result", dataset="mnist", chapter="02", command="make book")


def claim(id, value, unit, comparison, **more):
    return claims.Claim(id=id, value=value, unit=unit, comparison=comparison, **CHAPTER, **more)


BOOK = {
    one.id: one
    for one in (
        claim("s3.1-right", 0.6, "share", "near", margin=0.05),
        claim("f2d-fewer", 0.25, "share", "less_than"),
        claim("f5a-higher", 0.5, "probability", "greater_than"),
        claim("f3a-fid", 9.3, "FID", "not_above", margin=0.9),
        claim("t1-pairs", 0, "pairs", "equal"),
        claim("f4b-unrun", 0.0, "rank correlation", "less_than"),
    )
}


def row(id, value, low, high):
    held = claims.verdict(BOOK[id], value, low, high)
    known = BOOK[id]
    return dict(
        id=id, unit=known.unit, paper_value=known.value, value=value, low=low, high=high, verdict=held, again=[]
    )


ROWS = [
    row("s3.1-right", 0.61, 0.58, 0.64),
    row("f2d-fewer", 0.3, 0.2, 0.4),
    row("f5a-higher", 0.4, 0.35, 0.45),
    row("f3a-fid", 9.0, 8.8, 9.2),
    row("t1-pairs", 0, None, None),
    row("f4b-unrun", None, None, None),
]


def test_each_measured_claim_has_a_line_in_the_panel_of_its_unit():
    figure = forest.forest(ROWS, BOOK)
    shares, probabilities, fids = figure.axes
    assert [text.get_text() for text in shares.get_yticklabels()] == ["right (3.1)", "fewer (2d)"]
    assert [text.get_text() for text in probabilities.get_yticklabels()] == ["higher (5a)"]
    assert fids.get_title() == "FID"
    interval, value, paper = shares.lines[:3]
    assert interval.get_xdata().tolist() == [0.58, 0.64] and value.get_xdata()[0] == 0.61
    assert paper.get_xdata()[0] == 0.6
    accepted = shares.patches[0]
    assert (accepted.get_x(), accepted.get_x() + accepted.get_width()) == pytest.approx((0.55, 0.65))
    assert shares.patches[1].get_x() == shares.get_xlim()[0], "whatever is less than the threshold is accepted"
    legend = [text.get_text() for text in figure.legends[0].texts]
    assert legend == ["reproduced", "not reproduced", "inconclusive", "paper"]
    plt.close(figure)


def test_other_training_runs_are_rings_inside_the_axis():
    figure = forest.forest([ROWS[0] | {"again": [0.3, 0.65]}, ROWS[1]], BOOK)
    (ax,) = figure.axes
    rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert list(rings[0].get_xdata()) == [0.3, 0.65] and ax.get_xlim()[0] < 0.3
    assert figure.legends[0].texts[-1].get_text() == "trained again"
    plt.close(figure)


def test_a_scorecard_without_an_interval_says_so():
    figure = forest.forest(ROWS[-2:], BOOK)
    assert not figure.axes and "no claim was measured" in figure.texts[0].get_text()
    plt.close(figure)
