"""The table of kinds: what a row may say, and what is found in a table."""

import math

import pytest

from model.kinds import DEFAULT_KINDS, EventKind, KindTable


def test_watches_and_ratings_are_the_defaults_as_they_are():
    """Both weigh what they say themselves and may be positive; hide and unhide say nothing of liking."""
    rows = [(row.name, row.weight, row.is_positive, row.effect) for row in DEFAULT_KINDS.rows]
    assert rows == [
        ("hide", 0.0, False, "hide"),
        ("rate", 1.0, True, None),
        ("unhide", 0.0, False, "unhide"),
        ("watch", 1.0, True, None),
    ]


def test_rows_are_found_by_name():
    """A row is found, own kinds are all but watches and ratings, and another name is refused with all there are."""
    like = EventKind("like", 0.8, is_positive=True)
    table = KindTable.of((*DEFAULT_KINDS.rows, like))
    assert table.find("like") is table.of_kind("like") is like
    assert table.own == ("hide", "like", "unhide")
    assert table.find("lik") is None
    with pytest.raises(ValueError, match="one of hide, like, rate, unhide, watch is required, got 'lik'"):
        table.of_kind("lik")


def test_the_file_is_no_part_of_what_a_table_says():
    """The same rows from two files are equal and have one hash."""
    here, there = (KindTable.of(DEFAULT_KINDS.rows, file) for file in ("a.toml", "b.toml"))
    assert here == there == DEFAULT_KINDS
    assert hash(here) == hash(there)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("", 1, True), "must be 1 to 64 letters"),
        (("x" * 65, 1, True), "must be 1 to 64 letters"),
        (("a b", 1, True), "must be 1 to 64 letters"),
        (("like", 1.01, True), "weight from 0 to 1, got 1.01"),
        (("like", -0.01, True), "weight from 0 to 1, got -0.01"),
        (("like", math.nan, True), "weight from 0 to 1, got nan"),
        (("watch", 0, False, "hide"), "'watch' must have no effect, got 'hide'"),
        (("gone", 0.5, False, "hide"), "weight 0 and not be positive, as its effect is 'hide', got weight 0.5"),
        (("gone", 0, True, "hide"), "got weight 0 and positive True"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(row, said):
    """One past each bound raises, with the value."""
    with pytest.raises(ValueError, match=said):
        EventKind(*row)


@pytest.mark.parametrize("rows", [DEFAULT_KINDS.rows[:2], (*DEFAULT_KINDS.rows, DEFAULT_KINDS.rows[0])])
def test_a_table_needs_one_row_each(rows):
    """Without watches, and with two rows of one name, there is no table."""
    with pytest.raises(ValueError, match="one row each, watch and rate among them, is required"):
        KindTable.of(rows)
