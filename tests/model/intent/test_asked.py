import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.intent.asked import Reader
from model.intent.lexicon import Lexicon
from model.intent.titles import TitleFinder
from model.intent.words import words_of


@pytest.fixture(scope="module")
def reader(films):
    """Return a reader of the eleven films."""
    title_words = {word.text for film in films for word in words_of(film.title)}
    return Reader(Lexicon(films.genres()), TitleFinder(films), title_words)


def genres(meanings):
    """Return the genres that meanings speak for."""
    return {genre for meaning in meanings for genre in meaning.priors}


def forbidden(asked):
    """Return the genres that must not be."""
    return {genre for meaning in asked.forbidden for genre in meaning.forbidden()}


@pytest.mark.parametrize(
    ("text", "wanted", "never"),
    [
        ("comedy but no romance", {"Comedy"}, {"Romance"}),
        ("no horror or war, a comedy", {"Comedy"}, {"Horror", "War"}),
        ("something not too scary", set(), {"Horror"}),
        ("animated but not for children", {"Animation"}, {"Children's"}),
        ("anything but drama", set(), {"Drama"}),
        ("no comedies please, a western", {"Western"}, {"Comedy"}),
        ("sci-fi", {"Sci-Fi"}, set()),
        ("sience ficton", {"Sci-Fi"}, set()),
        ("Liebesfilm, aber keine Komödie", {"Romance"}, {"Comedy"}),
        ("Zeichentrickfilme", {"Animation"}, set()),
        ("science-fiction sans horreur", {"Sci-Fi"}, {"Horror"}),
        ("pas de guerre", set(), {"War"}),
    ],
)
def test_wanted_and_forbidden_are_told_apart(reader, text, wanted, never):
    """What follows a "no" is forbidden up to a pause, a "but", or the last thing in a row; the rest is wanted."""
    asked = reader.read(text)
    assert genres(asked.wanted) == wanted
    assert forbidden(asked) == never


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("like Alien and Heat", ["1", "2"]),
        ("like Alien, Heat and Toy Story", ["1", "2", "7"]),
        ("similar to The Godfahter", ["3"]),
        ("something like Star Wars but funny", ["11"]),
        ("so wie Titanic", ["10"]),
        ("comme Toy Story", ["7"]),
        ("when harry met sally", ["6"]),
        ("I would like a comedy", []),
        ("like nothing else", []),
    ],
)
def test_titles_are_examples(reader, text, like):
    """What "like" names is an example, if it is a title, also with a slip; a text that is a title is one."""
    assert [film.item_id for film in reader.read(text).like] == like


def test_what_follows_a_title_is_read_on(reader):
    """The title's words mean nothing more, the others what they mean."""
    asked = reader.read("like Star Wars from the 70s, but funny and no romance")
    assert [film.item_id for film in asked.like] == ["11"]
    assert asked.years == (1970, 1979)
    assert genres(asked.wanted) == {"Comedy"}
    assert forbidden(asked) == {"Romance"}


def test_words_that_nobody_listed_are_left(reader):
    """They are kept for whoever compares them with the items."""
    asked = reader.read("a submarine in the deep sea")
    assert asked.words == ["submarine", "sea"]


def test_no_text_breaks_the_reader(reader):
    """Nothing, marks, other scripts and a "no" at the end ask for nothing."""
    for text in ("", "?!", "no", "like", "between 1990 and", "фильм ужасов", "恐怖", "not not not", "'''"):
        asked = reader.read(text)
        assert asked.like == []
        assert asked.forbidden == []


def test_a_text_of_examples_alone_costs_a_bounded_number_of_searches(reader):
    """Forty examples that are no titles are compared with all titles twelve times, not three hundred."""
    assert reader.read("like qqqqqqqq wwwwwwww " * 40).searches == 12


@given(st.text(max_size=200))
def test_any_text_is_read(reader, text):
    """Whatever is typed, something is read."""
    assert len(reader.read(text).sentence) <= 200


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("from the 80s or the 90s", (1980, 1999)),
        ("after 1990, not after 1995", (1991, 1995)),
        ("after 1990 and before 1980", (None, 1979)),
        ("before 1980, 90s", (1990, 1999)),
        ("90s, 1994", (1994, 1994)),
    ],
)
def test_years_that_are_named_twice_stand_in_their_order(reader, text, years):
    """Both hold where both can; two decades are both meant, and of bounds that exclude all the later one is."""
    assert reader.read(text).years == years


@given(
    st.lists(
        st.sampled_from(
            ["80s", "90s", "1994", "before 1960", "after 2000", "old", "between 1970 and 1980", "since 1990"]
        )
    )
)
def test_years_are_never_in_the_wrong_order(reader, texts):
    """Any sequence of years and bounds leaves a first year that is not after the last."""
    first, last = reader.read(", ".join(texts)).years
    assert first is None or last is None or first <= last
