"""Items that may not be listed now are in no list, whatever road it is made by, and stay known all the same."""

from dataclasses import replace
from random import Random

import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.intent.intent import Intent
from model.network.blend import Blend
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.exploration import explore
from model.ranking.exposure import NewItem, newest_first
from model.ranking.modes import ModeConfig
from model.ranking.neighbours import similar_items
from model.ranking.recommender import Recommender
from model.wishes.wishes import GenreWishes, Wishes
from tests.toy import toy_snapshot

NOW = 1_000_000
ITEMS = tuple(f"i{n}" for n in range(24))
AWAY = {  # the hottest and the newest of all
    "i0": {"hidden": True},
    "i1": {"expires": NOW},
    "i2": {"released": NOW + 1},
    "i23": {"released": NOW + 1000},
    "i22": {"released": 1, "expires": NOW - 1},
}
KNOWN = Catalogue.of(
    replace(Item(item, f"Film {n}", 2000 + n, ("Drama",)), **AWAY.get(item, {})) for n, item in enumerate(ITEMS)
)
WISHES = {
    "none": None,
    "genres": Wishes(genres=GenreWishes(want=("Drama",))),
    "strict": Wishes(genres=GenreWishes(must=("Drama",))),
    "years": Wishes(years=(2000, 2023)),
    "like": Wishes(like=("i3",)),
    "like one that is away": Wishes(like=("i1",)),
    "query": Wishes(query="a drama like film 0 or film 22"),
    "seen ones too": Wishes(allow_seen=True),
}


def recommender(at, ranker):
    """Return a recommender of what may be listed at a moment, as a worker makes it."""
    listed = KNOWN.listed(at)
    trending = Trending.of((item, float(100 - n)) for n, item in enumerate(ITEMS))
    bare = Recommender(Catalogue(), ContentIndex(Catalogue()), trending, ColdStart(), ModeConfig(5, 3), ranker, "v1")
    made = bare.with_catalogue(listed, ContentIndex(listed), KNOWN)
    return made.with_queries(Intent(KNOWN)).with_new(tuple(NewItem(item, 0.1, 0.2) for item in newest_first(KNOWN)))


def profile(n):
    """Return a user whose latest events are with n items, those that are away first."""
    touched = [*AWAY, *ITEMS[3:]][:n]
    recent = tuple(Interaction(item, 1000 - k, "watch", 1.0) for k, item in enumerate(touched))
    return Profile(f"u{n}", watches=n, seen=n, recent=recent)


@pytest.fixture(scope="module", params=["no version", "exact", "blended"])
def ranker(request):
    """Return what ranks: nothing, a version that knows all items, or one that also makes cold lists."""
    if request.param == "no version":
        return None
    snapshot = toy_snapshot(ITEMS, seed=3)
    if request.param == "exact":
        return Ranker(snapshot)
    blend = Blend()
    blend.tests[2] = 1.0
    return Ranker(snapshot.with_blend(blend))


@pytest.mark.parametrize("wished", WISHES)
def test_no_road_lists_what_is_away(ranker, wished):
    """Newcomers, cold and personalised users, degraded lists and each wish: all else is listed, and nothing away."""
    made = recommender(NOW, ranker)
    people = [profile(n) for n in (0, 1, 2, 8)]
    wishes = WISHES[wished]
    asked = None if wishes is None else made.read([wishes] * len(people))
    lists = [*made.recommend(people, 30, asked), *made.degraded(people, 30)]
    found = {item.item_id for one in lists for item in one.items}
    assert found & set(AWAY) == set()
    assert {item.item_id for item in made.new} & set(AWAY) == set()
    assert len(found) > 10
    later = recommender(NOW + 1, ranker)
    again = later.recommend(people[:1], 30, None if wishes is None else later.read([wishes]))
    assert "i2" in {item.item_id for one in again for item in one.items}


def test_chance_and_likeness_list_nothing_that_is_away():
    """Places that chance gives, and similar items, are of what may be listed."""
    made = recommender(NOW, Ranker(toy_snapshot(ITEMS, seed=3)))
    [one] = made.recommend([profile(0)], 30)
    drawn = {item.item_id for seed in range(30) for item in explore(one.items, 5, 3, Random(seed)).drawn}
    similar = dict(similar_items(made.index, made.ranker, 20))
    lists = [kind for found in similar.values() for kind in (found.content, found.behaviour, found.both)]
    near = {item for ranked in lists for item, _ in ranked}
    assert (drawn | near | set(similar)) & set(AWAY) == set()


def test_what_is_away_stays_known():
    """Its genres count for events, and it counts as an item that the version knows of its user."""
    made = recommender(NOW, Ranker(toy_snapshot(ITEMS, seed=3)))
    assert {made.genres_of(item) for item in AWAY} == {("Drama",)}
    assert made.decide(profile(5)) == ("personalized", 5)
