"""The one rule of what an id may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records.ids import is_id


@pytest.mark.parametrize("good", ["7", "x" * 64, "ü", "a b", "{a}:%", '"7"', "__proto__"])
def test_what_prints_is_an_id(good):
    """One to 64 printable characters are an id, spaces among them too."""
    assert is_id(good)


@pytest.mark.parametrize("bad", ["", "x" * 65, " 7", "7 ", " ", "7\n", "\t7", "a\x00", "\u200b", "\u00a07", "7\u3000"])
def test_what_is_empty_long_unprintable_or_spaced_is_none(bad):
    """None, 65, a control character, and any space before or behind are refused."""
    assert not is_id(bad)


@given(st.text(max_size=70))
def test_the_rule_is_that_of_a_stripped_printable_text(text):
    """Looking at both ends finds what stripping finds: no other space than the plain one is printable."""
    assert is_id(text) == (0 < len(text) <= 64 and text.isprintable() and text == text.strip())
