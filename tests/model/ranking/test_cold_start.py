"""Cold start: the blend by hand, its bounds, its order, and lists that are never empty."""

import math

import numpy as np
import pytest

from model.because import Because
from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.asked import read_wishes
from model.ranking.cold_start import ColdStart, ColdStartConfig, ScoredItem, Trending
from model.ranking.content import ContentConfig, ContentIndex
from model.wishes.wishes import GenreWishes, Wishes

GENRES_ONLY = ContentConfig(genres=1.0, years=0.0, titles=0.0)
ITEMS = (
    Item("a", "Alien", 1979, ("Horror",)),
    Item("b", "Brazil", 1985, ("Comedy",)),
    Item("c", "Cube", 1997, ("Horror",)),
    Item("d", "Dune", None, ("Comedy",)),
)
INDEX = ContentIndex(Catalogue.of(ITEMS), GENRES_ONLY)
HOT = Trending.of([("b", 100.0), ("a", 10.0)])


def user(*item_ids):
    """Return a user who touched these items, newest first."""
    return Profile("u", recent=tuple(Interaction(item_id, 1, "rate", 1.0) for item_id in item_ids))


def ranked(profile, trending=HOT, n=4, config=None, wishes=None):
    """Return one user's list."""
    asked = [] if wishes is None else [read_wishes(wishes, INDEX)]
    [found] = ColdStart(config).rank([profile], trending, INDEX, n, asked=asked)
    return found


def wanting(genre):
    """Return the wish for a genre before all others."""
    return Wishes(genres=GenreWishes(want=(genre,)))


def needing(genre):
    """Return the wish for nothing but a genre."""
    return Wishes(genres=GenreWishes(must=(genre,)))


def ids(found):
    """Return the ids of a list."""
    return [scored.item_id for scored in found]


def test_a_new_user_gets_pure_trending():
    """With contrast 100 the top has trend 1 and a tenth of it log(11)/log(101); the rest fills up, newest first."""
    first, second, third, fourth = ranked(user())
    assert first == ScoredItem("b", 1.0, "trending", "Trending now", Because("trending"))
    assert (second.item_id, second.score) == ("a", pytest.approx(math.log(11) / math.log(101), abs=1e-6))
    assert third == ScoredItem("c", 0.0, "catalogue", "From the catalogue", Because("new"))
    assert fourth.item_id == "d"


def test_one_interaction_brings_what_is_similar():
    """One of 1 item at half_share_at 1 and max_share 0.8 gives share 0.4: cube scores 0.4 and brazil 0.6."""
    config = ColdStartConfig(max_share=0.8, half_share_at=1.0)
    found = ranked(user("a"), config=config)
    assert [(one.item_id, one.source) for one in found] == [("b", "trending"), ("c", "similar"), ("d", "catalogue")]
    assert [one.score for one in found] == pytest.approx([0.6, 0.4, 0.0])
    assert found[1].reason == "Similar to Alien: Horror"
    assert found[1].because == Because("content", "a", ("Horror",))


def test_the_share_of_similarity_grows_and_stays_below_its_most():
    """Share is most * m / (m + half): 0 at none, half of it at 3 of 3, and below the most for ever."""
    config = ColdStartConfig(max_share=0.6, half_share_at=3.0)
    shares = [config.share(items) for items in (0, 1, 3, 9, 10**6)]
    assert shares == pytest.approx([0.0, 0.6 / 4, 0.3, 0.45, 0.6], abs=1e-5)
    assert shares == sorted(shares)
    assert shares[-1] < 0.6


def test_the_reason_names_the_recent_item_that_is_closest():
    """Of two recent items the one that the listed item resembles is named, not the newest."""
    config = ColdStartConfig(max_share=1.0)
    found = ranked(user("b", "a"), config=config)
    assert {one.item_id: one.reason for one in found} == {
        "c": "Similar to Alien: Horror",
        "d": "Similar to Brazil: Comedy",
    }


def test_recent_items_and_excluded_items_are_not_listed():
    """What a user touched, however often, and what the caller excludes, never appears; unknown ids do no harm."""
    assert set(ids(ranked(user("b", "b", "gone"), wishes=Wishes(exclude=("a", "nowhere"))))) == {"c", "d"}


def test_n_bounds_the_list():
    """One, all and one more than all items."""
    assert [len(ranked(user(), n=n)) for n in (1, 4, 5)] == [1, 4, 4]
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        ranked(user(), n=0)


def test_a_preferred_genre_comes_first():
    """Items of the genre are listed before all others, in the order of their own scores, and named so."""
    found = ranked(user(), wishes=wanting("horror"))
    assert ids(found) == ["a", "c", "b", "d"]
    assert found[0].reason == "Trending in Horror"
    assert found[2].reason == "Trending now"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_what_nobody_touched_is_there_for_the_genre_that_was_asked_for():
    """An item that nothing else speaks for is not called new where its genre was wished for."""
    [found] = ranked(user(), trending=Trending(), wishes=needing("Horror"), n=1)
    assert (found.source, found.reason) == ("catalogue", "Asked for: Horror")
    assert found.because == Because("asked", None, ("Horror",))


def test_a_strict_genre_lists_nothing_else():
    """Strict gives a shorter list, and an unknown genre none at all."""
    assert ids(ranked(user(), wishes=needing("Horror"))) == ["a", "c"]
    assert ranked(user(), wishes=needing("Western")) == []
    assert ids(ranked(user(), wishes=wanting("Western"))) == ids(ranked(user()))


def test_an_empty_hot_list_is_filled_from_the_catalogue():
    """Before anything happened a new user gets the newest items, unknown years last."""
    found = ranked(user(), trending=Trending())
    assert ids(found) == ["c", "b", "a", "d"]
    assert {one.source for one in found} == {"catalogue"}


def test_items_outside_the_catalogue_are_passed_over():
    """A hot item that the catalogue does not hold is not listed and does not scale the others."""
    found = ranked(user(), trending=Trending.of([("gone", 1000.0), ("b", 1.0)]))
    assert found[0] == ScoredItem("b", 1.0, "trending", "Trending now", Because("trending"))
    assert "gone" not in ids(found)


def test_an_empty_catalogue_gives_empty_lists():
    """Nothing can be listed where there is nothing."""
    index = ContentIndex(Catalogue())
    assert ColdStart().rank([user(), user("a")], HOT, index, 3) == [[], []]


def test_no_users_give_no_lists():
    """A batch of nobody is answered with nothing."""
    assert ColdStart().rank([], HOT, INDEX, 3) == []


def test_trending_is_free_of_its_unit():
    """Scores a million times higher or lower give the same list, so any decay's scale will do."""
    for scale in (1e-6, 1.0, 1e6):
        scaled = Trending.of([(item_id, score * scale) for item_id, score in HOT.scores.items()])
        assert ranked(user("c"), trending=scaled) == ranked(user("c"))


def test_a_list_does_not_depend_on_who_else_is_in_the_batch():
    """Ranking 130 users together gives each the items, sources and reasons of being ranked alone."""
    generator = np.random.default_rng(7)
    items = [Item(str(n), f"Film {n}", 1950 + n % 70, (f"G{n % 9}", f"H{n % 4}")) for n in range(400)]
    index = ContentIndex(Catalogue.of(items))
    trending = Trending.of((str(n), 1000.0 / (n + 1)) for n in range(200))
    profiles = [user(*map(str, generator.choice(400, size=n % 12, replace=False))) for n in range(130)]
    together = ColdStart().rank(profiles, trending, index, 10)
    for profile, found in zip(profiles, together, strict=True):
        [alone] = ColdStart().rank([profile], trending, index, 10)
        assert [(one.item_id, one.source, one.reason) for one in found] == [
            (one.item_id, one.source, one.reason) for one in alone
        ]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone], abs=2e-6)


def test_ties_go_to_the_newer_film_then_to_the_catalogues_order():
    """Items of equal score are ordered by year, newest first, and of one year as the catalogue has them."""
    items = (Item("x", "X", 1990), Item("y", "Y", 1999), Item("z", "Z", 1990))
    trending = Trending.of((item.item_id, 5.0) for item in items)
    [found] = ColdStart().rank([user()], trending, ContentIndex(Catalogue.of(items)), 3)
    assert ids(found) == ["y", "x", "z"]


def test_trending_orders_best_first_with_ties_by_id():
    """However the pairs come, the hot list starts with the highest score."""
    assert list(Trending.of([("b", 1.0), ("c", 2.0), ("a", 1.0)]).scores) == ["c", "a", "b"]


@pytest.mark.parametrize("score", [-0.1, float("nan"), float("inf")])
def test_a_score_that_cannot_be_a_popularity_is_refused(score):
    """Negative, infinite and undefined popularity is refused with the item."""
    with pytest.raises(ValueError, match="'a'"):
        Trending.of([("a", score)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_share": -0.1},
        {"max_share": 1.1},
        {"max_share": float("nan")},
        {"half_share_at": 0.0},
        {"half_share_at": float("inf")},
        {"contrast": 0.0},
    ],
)
def test_a_blend_out_of_range_is_refused(wrong):
    """A share outside 0..1 and constants that are not positive are refused with the field's name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ColdStartConfig(**wrong)


def test_a_disliked_film_costs_others_like_it_their_place():
    """With share 0.4, alien trending at 0.6 falls by 0.4 below brazil at 0.6 log(11)/log(101)."""
    config = ColdStartConfig(max_share=0.8, half_share_at=1.0)
    trending = Trending.of([("a", 100.0), ("b", 10.0)])
    disliked = Profile("u", recent=(Interaction("c", 1, "rate", 0.1, is_positive=False),))
    found = ranked(disliked, trending, config=config)
    assert [(one.item_id, one.source) for one in found] == [("b", "trending"), ("a", "trending"), ("d", "catalogue")]
    assert [one.score for one in found] == pytest.approx([0.6 * math.log(11) / math.log(101), 0.2, 0.0], abs=1e-6)


def test_no_reason_names_a_disliked_film():
    """Cube is like alien, which was liked, and like neither of the disliked films of its genre."""
    items = (*ITEMS, Item("e", "Evil Dead", 1981, ("Horror",)))
    recent = (Interaction("e", 2, "rate", 0.1, is_positive=False), *user("a").recent, *user("a").recent)
    index = ContentIndex(Catalogue.of(items), ContentConfig(half_life=100.0))
    [found] = ColdStart(ColdStartConfig(max_share=1.0)).rank([Profile("u", recent=recent)], Trending(), index, 3)
    assert not any("Evil Dead" in one.reason for one in found)


def test_who_liked_nothing_gets_no_similarity_as_a_reason():
    """Words of titles may point away from what was disliked; that makes nothing similar to it."""
    disliked = Profile("u", recent=(Interaction("a", 1, "rate", 0.1, is_positive=False),))
    assert {one.source for one in ranked(disliked, Trending(), n=3)} == {"catalogue"}
