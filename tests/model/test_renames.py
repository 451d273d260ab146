"""Ids that items had: chains, circles, two who claim one, and what ranks is none the wiser."""

from itertools import permutations

import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.renames import Renames
from tests.toy import toy_snapshot

ITEMS = tuple(f"i{n}" for n in range(12))


@pytest.mark.parametrize(
    ("was", "today", "first"),
    [
        ({"b": ("a",)}, {"a": "b"}, {"a": "a", "b": "a"}),
        ({"b": ("a",), "c": ("b",)}, {"a": "c", "b": "c"}, dict.fromkeys("abc", "a")),
        ({"c": ("b", "a")}, {"a": "c", "b": "c"}, dict.fromkeys("abc", "a")),
        ({"c": ("b", "a"), "b": ("a",)}, {"a": "b", "b": "c"}, None),
        ({}, {}, {}),
    ],
)
def test_a_chain_leads_to_the_id_of_today_and_back_to_the_first(was, today, first):
    """Whether each says the one before it or the last says all, and in whatever order they come."""
    for order in permutations(was):
        found = Renames.of({item_id: was[item_id] for item_id in order})
        if first is None:  # b has a already, so c has it by b
            assert (dict(found.today), len(found.refused)) == ({"a": "c", "b": "c"}, 1)
            continue
        assert (dict(found.today), dict(found.first), found.refused) == (today, first, ())
        assert {name: found.id_of_today(name) for name in today} == today
        assert {name: set(found.names_of(name)) for name in first} == {name: set(first) for name in first}
    assert (found.first_id("z"), found.id_of_today("z"), found.names_of("z")) == ("z", "z", ("z",))


def test_circles_and_second_claims_do_not_count_and_are_told():
    """Items in a circle stay what they are; of two that claim an id the one that sorts first has it."""
    circle = Renames.of({"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",), "y": ("x",)})
    assert dict(circle.today) == {"x": "y"}
    assert [told for told in circle.refused if "circle" in told] == [
        "'b' became 'a' in a circle",
        "'c' became 'b' in a circle",
        "'a' became 'c' in a circle",
    ]
    both = Renames.of({"n": ("o",), "m": ("o",)})
    assert dict(both.today) == {"o": "m"}
    assert both.refused == ("'o' became 'm' already, so it did not become 'n'",)


def test_a_catalogue_has_each_item_once():
    """The earlier record is gone, whether it is still there or not; the later one stands under the first id."""
    old, new, other = Item("a", "Old"), Item("b", "New", was=("a",)), Item("c", "Other")
    for items in ([old, new, other], [new, other], [other, new, old]):
        found = Catalogue.of(items).under_first_ids()
        assert {item.item_id: item.title for item in found} == {"a": "New", "c": "Other"}
        assert {item.item_id for item in found.under_ids_of_today()} == {"b", "c"}
        assert found.listed(0).renames is found.renames
    plain = Catalogue.of([old, other])
    assert plain.under_first_ids() is plain
    assert plain.under_ids_of_today() is plain


@pytest.fixture
def ranker():
    """Return a ranker of a small network that knows the items by the ids that they had first."""
    return Ranker(toy_snapshot(ITEMS, seed=3))


def recommender(ranker, items):
    """Return a recommender of these items, as a worker makes it."""
    known = Catalogue.of(items).under_first_ids()
    trending = Trending.of((known.renames.first_id(item.item_id), 9.0) for item in items)
    bare = Recommender(Catalogue(), ContentIndex(Catalogue()), trending, ColdStart(), ModeConfig(5, 3), ranker, "v1")
    return bare.with_catalogue(known, ContentIndex(known), known)


def test_a_version_ranks_a_renamed_item_as_before(ranker):
    """With five of twelve items renamed lists are the same but for the names; genres are found by each id."""
    before = [Item(item, item, 2000, ("Drama",)) for item in ITEMS]
    after = [Item(f"new-{item}", item, 2000, ("Drama",), was=(item,)) for item in ITEMS[:5]] + before[5:]
    touched = [Interaction(item, 1000, "watch", 1.0) for item in ITEMS[3:9]]
    renamed = [Interaction(f"new-{item}" if item in ITEMS[:5] else item, 1000, "watch", 1.0) for item in ITEMS[3:9]]
    was, now = recommender(ranker, before), recommender(ranker, after)
    profile = now.known.renames.of_profile(Profile("u", 6, seen=6, recent=tuple(renamed)))
    [one] = was.recommend([Profile("u", 6, seen=6, recent=tuple(touched))], 12)
    [other] = now.recommend([profile], 12)
    assert [(item.item_id, item.score) for item in one.items] == [(item.item_id, item.score) for item in other.items]
    assert {now.genres_of(item) for item in ("i1", "new-i1")} == {("Drama",)}
    assert {now.known.renames.id_of_today(item.item_id) for item in other.items} == {
        *(f"new-{item}" for item in ITEMS[:3]),
        *ITEMS[9:],
    }
