"""Numbers in prose: the typography that a reader would notice."""

import numpy as np
import pytest

from genens_book.measures.stats import Interval
from genens_book.pages import words

INTERVAL = Interval(-0.021, -0.104, 0.038, 7)


@pytest.mark.parametrize(
    "shown, text",
    [
        (words.words(12870), "12,870"),
        (words.words(np.int64(-3)), "−3"),
        (words.words(0.12345), "0.123"),
        (words.words("as it is-"), "as it is-"),
        (words.words(INTERVAL), "−0.02 (−0.10 to 0.04)"),
        (words.number(1234.5, 1), "1,234.5"),
        (words.number(0.000123456, 3, "g"), "0.000123"),
        (words.signed(0.5), "+0.50"),
        (words.signed(-0.5, 3, "g"), "−0.5"),
        (words.share(0.123, 1), "12.3\u00a0%"),
        (words.share(INTERVAL), "−2\u00a0% (−10\u00a0% to 4\u00a0%)"),
        (words.exponent(-299.6), "−300"),
        (words.power(1.34e-8), "1.3\u00a0×\u00a010⁻⁸"),
        (words.power(0.0), "0"),
        (words.power(9.97e-12, 0), "1\u00a0×\u00a010⁻¹¹"),
        (words.words(3.14e-5), "3.14\u00a0×\u00a010⁻⁵"),
    ],
)
def test_a_number_reads_as_in_print(shown, text):
    assert shown == text


@pytest.mark.parametrize("value", [True, None, [1, 2], {"a": 1}])
def test_what_has_no_plain_wording_is_refused(value):
    with pytest.raises(ValueError, match="expected text, a number or an interval for prose"):
        words.words(value)
