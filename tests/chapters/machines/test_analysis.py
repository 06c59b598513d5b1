"""The arithmetic of billions: codes that suffice, hours that add up, and files that are refused."""

import json

import pytest

from genens.theory import identification
from genens_book.chapters.machines import analysis

N = 5_850_000_000
ROW = {"batch": 128, "stages": {"train": {"flops": 128e9}}}


def test_members_suffice_and_fewer_do_not():
    few = analysis.fewest(N)
    assert few["unique"] == 36 and few["theorem"] == 38 and few["single"] > N
    assert analysis.plan(36, N).codes >= N and analysis.plan(38, N).codes >= 2 * N
    with pytest.raises(ValueError, match=r"at most C\(34, 17\) = 2,333,606,220 images"):
        analysis.plan(34, N)
    with pytest.raises(ValueError, match="an even number of members, got n = 35"):
        analysis.plan(35, N)


def test_more_members_see_smaller_groups():
    plans = [analysis.plan(n, N) for n in (38, 128, 1024)]
    assert plans[0].group > plans[1].group > plans[2].group > plans[2].aligned > 1
    assert [one.bytes for one in plans] == [5, 16, 128]
    assert plans[2].lds == identification.lds(1024, N)
    text = analysis.table(plans).text
    assert text.count("\n") == 3 and "29 GB" in text and "749 GB" in text


def test_hours_are_operations_over_what_a_gpu_does():
    assert analysis.training_hours(ROW, 10, 7200, 2, 1e9, 0.5) == pytest.approx(1e9 * 2 * 10 * 3600 / 0.5e9 / 3600)


def test_the_scan_is_the_measured_one_scaled(tmp_path):
    found = analysis.scan()
    assert found["codes"] == 1e9
    assert analysis.scan_minutes(found, 2 * 10**9, 4) == pytest.approx(found["seconds"] / 2 / 60)
    for text in ("{", "{}", json.dumps({"scan": {"codes": 1}})):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(ValueError, match="expected the scan of a billion codes in .*python -m bench"):
            analysis.scan(tmp_path / "results.json")
