"""Reasons: which signal is told of an item, and when a list says something else than the same film again."""

from model.because import BY_POPULARITY, BY_TASTE, Because
from model.catalogue import Item
from model.reranking.reasons import MAX_SAME, ItemSignals, explained

ALIEN = Item("a", "Alien", 1979, ("Horror", "Sci-Fi"))
HEAT = Item("h", "Heat", 1995, ("Crime",))
CUBE = Item("c", "Cube", 1997, ("Sci-Fi", "Horror", "Mystery"))


def told(item=CUBE, named=None, trending=0.0, newcomers=0.0, *, popular=False, wanted=()):
    """Return what is known of one item."""
    return ItemSignals(item, named, trending, newcomers, popular, wanted)


def reason(one, mode="personalized"):
    """Return why a list of one item holds it."""
    return explained([one], mode)[0]


def test_what_speaks_most_is_named():
    """A personalised item is listed because of the film that it would fall most without."""
    assert reason(told(named=ALIEN)) == (Because("history", "a"), "Because of Alien")
    assert reason(told(named=CUBE)) == (Because("history", "c"), "You come back to it")


def test_without_a_film_a_trend_is_told_and_else_taste():
    """From a tenth of the hottest heat on an item trends, with those among whom it is hotter."""
    assert reason(told(trending=0.6, newcomers=0.5)) == (Because("trending"), "Trending now")
    assert reason(told(trending=0.6, newcomers=0.7)) == (Because("newcomers"), "Trending with newcomers this week")
    assert reason(told(trending=0.5)) == (BY_TASTE, "Matches your taste")


def test_a_film_is_named_three_times_and_then_what_is_shared_with_it():
    """The fourth place names shared genres, else a trend, and the film again where nothing else is true."""
    rest = [told(named=ALIEN), told(HEAT, ALIEN, trending=0.9), told(HEAT, ALIEN)]
    found = explained([told(named=ALIEN)] * MAX_SAME + rest, "personalized")
    assert [because.kind for because, _ in found[:MAX_SAME]] == ["history"] * MAX_SAME
    assert [words for _, words in found[MAX_SAME:]] == [
        "Similar to Alien: Sci-Fi, Horror",
        "Trending now",
        "Because of Alien",
    ]
    assert found[MAX_SAME][0] == Because("content", "a", ("Sci-Fi", "Horror"))


def test_a_genre_that_was_asked_for_is_the_reason():
    """Neither a trend nor a film hides that it was asked for."""
    for mode in ("personalized", "cold_start"):
        one = told(named=ALIEN, trending=1.0, popular=True, wanted=("sci-fi",))
        assert reason(one, mode) == (Because("asked", None, ("sci-fi",)), "Asked for: sci-fi")


def test_a_cold_item_trends_or_is_similar():
    """What popularity alone would list trends or is popular; else the film that speaks for it is named with genres."""
    assert reason(told(named=ALIEN), "cold_start")[1] == "Similar to Alien: Sci-Fi, Horror"
    assert reason(told(HEAT, ALIEN), "cold_start")[1] == "Because of Alien"
    assert (
        reason(told(named=ALIEN, popular=True, newcomers=0.1), "cold_start")[1] == "Trending with newcomers this week"
    )
    assert reason(told(named=ALIEN, popular=True), "cold_start") == (BY_POPULARITY, "Popular with many")
    assert reason(told(), "cold_start") == (BY_POPULARITY, "Popular with many")
