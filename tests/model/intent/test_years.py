import pytest

from model.intent.words import words_of
from model.intent.years import years_at


def years_in(text):
    """Return the first years that a text names."""
    words = words_of(text)
    return next((found[0] for at in range(len(words)) if (found := years_at(words, at)) is not None), None)


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("80s action", (1980, 1989)),
        ("the '80's", (1980, 1989)),
        ("in the 1970s", (1970, 1979)),
        ("from the nineties", (1990, 1999)),
        ("early 90s", (1990, 1994)),
        ("late sixties", (1965, 1969)),
        ("of 1994", (1994, 1994)),
        ("from 1990 on", (1990, None)),
        ("since 1990", (1990, None)),
        ("after 1995", (1996, None)),
        ("after the 80s", (1990, None)),
        ("nothing older than 2000", (2000, None)),
        ("nothing older than the nineties", (1990, None)),
        ("before 1960", (None, 1959)),
        ("until 1960", (None, 1960)),
        ("nothing after 1960", (None, 1960)),
        ("between 1980 and 1985", (1980, 1985)),
        ("1980-1985", (1980, 1985)),
        ("1980 to 1985", (1980, 1985)),
        ("black and white", (None, 1969)),
        ("aus den 80er Jahren", (1980, 1989)),
        ("nichts vor 1980", (1980, None)),
        ("vor 1980", (None, 1979)),
        ("des années 80", (1980, 1989)),
        ("années quatre-vingt-dix", (1990, 1999)),
        ("avant 1960", (None, 1959)),
        ("the 00s", (2000, 2009)),
        ("2001", (2001, 2001)),
        ("from the other side", None),
        ("after dark", None),
        ("101 dalmatians", None),
        ("", None),
    ],
)
def test_years_are_read(text, years):
    """Years, decades and bounds, as figures and in the words of three languages."""
    assert years_in(text) == years
