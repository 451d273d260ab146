"""Hints: their age bands, and the groups that they name."""

import pytest

from model.hints import UserHints, age_band


@pytest.mark.parametrize(
    ("years", "band"), [(0, 0), (1, 0), (17, 0), (18, 18), (24, 18), (25, 25), (44, 35), (49, 45), (55, 50), (150, 56)]
)
def test_an_age_counts_as_its_band(years, band):
    """Bands begin at 18, 25, 35, 45, 50 and 56 years, and the first at none."""
    assert age_band(years) == band


def test_each_hint_that_is_given_names_a_group():
    """A hint that is not given names none, and an age of the first band does."""
    assert UserHints("u", 0, "F", "12").groups == ("age:0", "gender:F", "occupation:12")
    assert UserHints("u", occupation="nurse").groups == ("occupation:nurse",)
    assert UserHints("u").groups == ()
