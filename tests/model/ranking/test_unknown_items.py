"""Items that a version has no row for, in the cold-start lists that its blend makes."""

from dataclasses import replace

import numpy as np
import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.network.blend import Blend, feature
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender
from model.ranking.unknown_items import UnknownItems
from model.vocabulary import Vocabulary
from tests.toy import toy_snapshot

ITEMS = tuple(f"i{n}" for n in range(12))
CATALOGUE = Catalogue.of(Item(item, f"Film {n}", 2000 + n) for n, item in enumerate(ITEMS))
TRENDING = Trending.of((item, 2.0**-n) for n, item in enumerate(ITEMS[:10]))
NEWCOMERS = Trending.of((item, 1.0 + n) for n, item in enumerate(ITEMS[:8]))


def lists_of(known, profiles, n=12, **changed):
    """Return the cold lists of a version that knows these items, and whose blend goes by what trends."""
    blend = Blend()
    blend.weights[0] = 0.0
    blend.weights[0][:, [feature("trending"), feature("newcomers_trending")]] = [2.0, 0.5]
    blend.tests[2] = 1.0
    ranker = Ranker(toy_snapshot(known, seed=3).with_blend(blend))
    recommender = Recommender(
        CATALOGUE, ContentIndex(CATALOGUE), TRENDING, ColdStart(), ModeConfig(9, 8), ranker, "v", newcomers=NEWCOMERS
    )
    return [one.items for one in replace(recommender, **changed).recommend(profiles, n)]


def user(*touched):
    """Return a profile that touched these items."""
    recent = tuple(Interaction(item, 1000 - n, "watch", 1.0) for n, item in enumerate(touched))
    return Profile("u", watches=len(recent), seen=len(recent), recent=recent)


@pytest.mark.parametrize("lacking", [("i1",), ("i0", "i3", "i11"), ITEMS[4:]])
def test_an_item_stands_where_it_would_if_the_version_knew_it_untouched(lacking):
    """Scores of a version that lacks items are those of one that has them, as far as one that it knows is as hot."""
    known = tuple(item for item in ITEMS if item not in lacking)
    [whole] = lists_of(ITEMS, [user("i2")])
    [lists] = lists_of(known, [user("i2")])
    if "i0" not in lacking and "i7" not in lacking:  # the hottest of both lists are what trends is measured by
        assert {one.item_id: one.score for one in lists} == pytest.approx({one.item_id: one.score for one in whole})
    assert [one.item_id for one in lists][:8] == [one.item_id for one in whole][:8]
    assert {one.item_id for one in lists} == set(ITEMS) - {"i2"}
    scores = [one.score for one in lists]
    assert scores == sorted(scores, reverse=True)


def test_what_trends_more_than_all_that_is_known_leads():
    """The hottest item is newer than the version: it comes first, above the sigmoid of both weights in full."""
    [lists] = lists_of(ITEMS[1:], [user()])
    assert (lists[0].item_id, lists[0].source, lists[0].reason) == ("i0", "trending", "Trending now")
    assert lists[0].score > 1 / (1 + np.exp(-2.0))


def test_what_does_not_trend_is_new_in_the_catalogue_and_the_newest_first():
    """Of two unknown items that nobody touched the newer one comes first, and both say what they are."""
    [lists] = lists_of(ITEMS[:10], [user()])
    assert [(one.item_id, one.source) for one in lists[-2:]] == [("i11", "catalogue"), ("i10", "catalogue")]
    assert lists[-1].reason == "From the catalogue"


@pytest.mark.parametrize("n", [1, 3, 12])
def test_users_get_what_they_have_not_touched(n):
    """Two users at once get the lists that they get alone, without their own items, and as many as are asked for."""
    profiles = [user("i0", "i5"), user("i4", "i10", "i11")]
    together = lists_of(ITEMS[:4], profiles, n)
    assert together == [lists_of(ITEMS[:4], [one], n)[0] for one in profiles]
    for profile, items in zip(profiles, together, strict=True):
        touched = {one.item_id for one in profile.recent}
        assert not touched & {one.item_id for one in items}
        assert len(items) == min(n, len(ITEMS) - len(touched))


def test_only_as_many_are_ranked_as_may_be_listed():
    """Of a thousand unknown items of which two trend, three are asked for: the two, and the newest of the others."""
    many = Catalogue.of(Item(f"n{n}", f"New {n}", 1000 + n) for n in range(1000))
    index, nothing = ContentIndex(many), Trending()
    trending = Trending.of([("n7", 2.0), ("n5", 1.0)])
    unknown = UnknownItems.of(index, np.arange(1000), Vocabulary(()), trending, nothing)
    [items] = unknown.ranked(np.ones((1, 2), dtype=np.float32), [user("n7")], 2)
    assert [one.item_id for one in items] == ["n5", "n999"]
    [repeated] = unknown.ranked(np.ones((1, 2), dtype=np.float32), [user("n7")], 2, repeats=True)
    assert [one.item_id for one in repeated] == ["n7", "n5"]
