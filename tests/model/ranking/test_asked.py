"""Wishes read against a catalogue: what may be listed, what each wish weighs, and what cannot be fulfilled."""

from dataclasses import replace

import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.ranking.asked import best_allowed, read_wishes
from model.ranking.content import ContentConfig, ContentIndex
from model.wishes.query import ReadQuery
from model.wishes.wishes import GenreWishes, Wishes

ITEMS = (
    Item("alien", "Alien", 1979, ("Horror", "Sci-Fi")),
    Item("brazil", "Brazil", 1985, ("Comedy", "Sci-Fi")),
    Item("cube", "Cube", 1997, ("Horror",)),
    Item("dune", "Dune", None, ("Sci-Fi",)),
    Item("evita", "Evita", 1996, ("Musical",)),
)
CATALOGUE = Catalogue.of(ITEMS)
INDEX = ContentIndex(CATALOGUE, ContentConfig(years=0.0, titles=0.0))


class Words:
    """A second reader of queries, which knows titles: an item that is named fits by 1, all others by 0."""

    def __init__(self, catalogue=CATALOGUE, **told):
        self.catalogue = catalogue
        self._told = told

    def read(self, text):
        """Return which titles stand in a text."""
        words = set(text.casefold().split())
        scores = [float(item.title.casefold() in words) for item in self.catalogue]
        return replace(ReadQuery(np.array(scores, dtype=np.float32)), **self._told)


def allowed(wishes, **told):
    """Return the ids of the items that may be listed."""
    return {
        item.item_id for item, is_in in zip(ITEMS, read_wishes(wishes, INDEX, **told).allowed, strict=True) if is_in
    }


def order(wishes, model=(0.5, 0.4, 0.3, 0.2, 0.1), **told):
    """Return the ids of a list that without wishes has the catalogue's order."""
    asked, scores = read_wishes(wishes, INDEX, **told), np.array(model)
    rows = best_allowed(asked.combined(scores), scores, asked.allowed, INDEX.shelf_order, len(ITEMS))
    return [INDEX.item_ids[row] for row in rows]


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        (Wishes(GenreWishes(must=("sci-fi",))), {"alien", "brazil", "dune"}),
        (Wishes(GenreWishes(must=("Sci-Fi", "Horror"))), {"alien"}),
        (Wishes(GenreWishes(never=("Horror", "Musical"))), {"brazil", "dune"}),
        (Wishes(GenreWishes(must=("Western",))), set()),
        (Wishes(GenreWishes(never=("Western",))), {item.item_id for item in ITEMS}),
        (Wishes(years=(1985, 1996)), {"brazil", "evita"}),
        (Wishes(years=(None, 1985)), {"alien", "brazil"}),
        (Wishes(years=(1996, None)), {"cube", "evita"}),
        (Wishes(exclude=("alien", "absent")), {"brazil", "cube", "dune", "evita"}),
        (Wishes(like=("alien",)), {"brazil", "cube", "dune", "evita"}),
    ],
)
def test_strict_wishes_leave_what_fits(wishes, left):
    """Genres, years, exclusions and examples decide alone what may be listed, whatever is said softly."""
    assert allowed(wishes) == left
    assert allowed(replace(wishes, genres=replace(wishes.genres, want=("Comedy",), avoid=("Sci-Fi",)))) == left


def test_soft_wishes_order_and_leave_nothing_out():
    """Two wanted genres come before one, one before none, and an avoided one is last; alike, the model decides."""
    assert order(Wishes(GenreWishes(want=("Horror", "Sci-Fi")))) == ["alien", "brazil", "cube", "dune", "evita"]
    assert order(Wishes(GenreWishes(want=("Comedy",), avoid=("Horror",)))) == [
        "brazil",
        "dune",
        "evita",
        "alien",
        "cube",
    ]


def test_a_small_score_of_the_model_still_orders_what_is_wanted_alike():
    """Scores of 1e-9 and 2e-9 are told apart behind a wish that adds 1.1 to both."""
    found = order(Wishes(GenreWishes(want=("Horror",))), model=(1e-9, 0.9, 2e-9, 0.5, 0.1))
    assert found[:2] == ["cube", "alien"]


def test_an_example_brings_what_is_like_it():
    """Of genres alone dune shares one of alien's two and cube the other, rarer or not; evita shares none."""
    found = order(Wishes(like=("alien",)), model=(0.1,) * 5)
    assert set(found[:3]) == {"brazil", "cube", "dune"}
    assert found[3:] == ["evita"]


def test_a_weight_takes_the_place_of_its_default():
    """With nothing on genres a wish for them changes no order."""
    wishes = Wishes(GenreWishes(want=("Musical",)))
    assert order(wishes)[0] == "evita"
    assert order(replace(wishes, weights=(("genres", 0.0),)))[0] == "alien"


def test_a_query_orders_forbids_and_resembles():
    """What a reader finds in a text counts as if it had been said, but years that were said themselves win."""
    reader = Words(never=("Musical",), like=("alien",), years=(1980, None), unread=("blorp",))
    assert allowed(Wishes(query="cube"), queries=reader) == {"brazil", "cube"}
    assert allowed(Wishes(query="cube", years=(None, 1985)), queries=reader) == {"brazil"}
    assert order(Wishes(query="evita please"), queries=Words())[0] == "evita"
    assert order(Wishes(query="x"), queries=Words(genre_weights={"Musical": 1.0}))[0] == "evita"
    told = read_wishes(Wishes(query="cube"), INDEX, reader).unfilled
    assert told == ("words of the query that were not understood: blorp",)


def test_how_a_query_was_read_is_kept():
    """It is None without a query, and where nobody reads one."""
    by_words = Words(method="tfidf")
    assert read_wishes(Wishes(query="cube"), INDEX, by_words).query_method == "tfidf"
    assert read_wishes(Wishes(like=("alien",)), INDEX, by_words).query_method is None
    assert read_wishes(Wishes(query="cube"), INDEX).query_method is None


def test_a_reader_of_an_earlier_catalogue_is_read_by_ids():
    """Items that it lacks fit by 0, and those that have left are passed over."""
    earlier = Catalogue.of([Item("gone", "Gone", 1990), *reversed(ITEMS[1:])])
    asked = read_wishes(Wishes(query="gone alien cube"), INDEX, Words(earlier))
    assert asked.parts["query"].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_what_is_not_listed_is_told_by_its_id_of_now():
    """A list has first ids within, and people know the one that the catalogue gives."""
    renamed = Catalogue.of([Item("new", "Away", hidden=True, was=("old",)), *ITEMS]).under_first_ids().listed(0)
    asked = read_wishes(Wishes(like=("old",)), ContentIndex(renamed))
    assert asked.unfilled == ("like: the catalogue has no item 'new'",)


def test_what_cannot_be_fulfilled_is_told_once():
    """A genre, an example and words that nobody reads are each told, with what there is."""
    wishes = Wishes(GenreWishes(want=("Horor",), avoid=("horor",), never=("Opera",)), like=("x", "alien"), query="fun")
    assert read_wishes(wishes, INDEX).unfilled == (
        "query was not read: nothing that reads words serves at the moment",
        "genres: no genre 'Horor'; the catalogue has Comedy, Horror, Musical, Sci-Fi (nearest: Horror)",
        "genres: no genre 'horor'; the catalogue has Comedy, Horror, Musical, Sci-Fi (nearest: Horror)",
        "genres: no genre 'Opera'; the catalogue has Comedy, Horror, Musical, Sci-Fi",
        "like: the catalogue has no item 'x'",
    )


def test_a_genre_is_named_as_the_catalogue_spells_it():
    """However it was asked for, and once."""
    asked = read_wishes(Wishes(GenreWishes(must=("horror",), want=("Horror", "HORROR"))), INDEX)
    assert (asked.wanted, asked.unfilled) == (("Horror",), ())


def test_a_query_that_says_nothing_is_told():
    """A list for signs alone is one without a wish, which nobody need guess."""
    silent = Words(Catalogue.of([Item("gone", "Gone")]))
    assert read_wishes(Wishes(query="!?"), INDEX, silent).unfilled == ("nothing of the query was understood",)
    assert read_wishes(Wishes(query="alien"), INDEX, Words()).unfilled == ()
    assert read_wishes(Wishes(query="!?"), INDEX, Words(never=("Horror",))).unfilled == ()


def test_the_best_are_chosen_with_ties_in_the_order_given():
    """Of five alike the first three of the order are chosen, and none that is not allowed."""
    scores, order = np.ones(5), np.array([4, 2, 0, 1, 3])
    is_allowed = np.array([True, True, False, True, True])
    assert best_allowed(scores, scores, is_allowed, order, 3).tolist() == [4, 0, 1]
    assert best_allowed(scores, scores, ~is_allowed, order, 3).tolist() == [2]


@pytest.mark.parametrize(
    "wrong", [{"years": (2000, 1990)}, {"weights": (("taste", 1.0),)}, {"weights": (("query", 10.1),)}]
)
def test_wishes_that_mean_nothing_are_refused(wrong):
    """Years in the wrong order and weights that there are not raise with the value."""
    with pytest.raises(ValueError, match=r"Wishes: .* got"):
        Wishes(**wrong)
