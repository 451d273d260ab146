import pytest

from replay.datasets.titles import clean, readable, split_year, text


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Paper Moons (1999)", "Paper Moons", 1999),
        ("Paper Moons (1999) ", "Paper Moons", 1999),
        ("Paper Moons (1999) (V)", "Paper Moons", 1999),
        ("Paper Moons (2003-)", "Paper Moons", 2003),
        ("Paper Moons (2003-2005)", "Paper Moons", 2003),
        ("Paper (Moons) (1999)", "Paper (Moons)", 1999),
        ("1999", "1999", None),
        ("(1999)", "(1999)", None),
        ("Paper Moons (0001)", "Paper Moons (0001)", None),
        ("Paper Moons (1999) redux", "Paper Moons (1999) redux", None),
    ],
)
def test_a_year_is_taken_from_the_end_only(raw, title, year):
    """Four digits in the last brackets are the year, unless nothing would be left or no film is that old."""
    assert split_year(raw) == (title, year)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("Kite, The", "The Kite"),
        ("Kite, A (Drachen, Der)", "A Kite (Drachen, Der)"),
        ("Eau, L'", "L'Eau"),
        ("Salt, Bread, The", "The Salt, Bread"),
        ("Lima, Peru", "Lima, Peru"),
        ("The Kite", "The Kite"),
        ("Kite, Theodora", "Kite, Theodora"),
    ],
)
def test_an_article_behind_goes_in_front(raw, title):
    """Articles of several languages lead; a place or a name behind a comma stays where it is."""
    assert readable(raw) == title


def test_titles_hold_printable_characters_only():
    """Control characters and hard spaces become spaces, runs of them one, and 513 characters are cut to 512."""
    assert clean(" a\x85b\u00a0 \tc ") == "a b c"
    assert len(clean("x" * 513)) == 512


def test_text_is_utf8_where_valid_and_latin1_elsewhere():
    """The same letter is read from either encoding, and a byte order mark is dropped."""
    assert text("\ufeffé".encode()) == text("é".encode("latin-1")) == "é"
