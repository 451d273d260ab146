"""Diversity on the way to a list: which lists are put into another order, and that none loses an item."""

from dataclasses import replace

import pytest

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, ScoredItem, Trending
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.ranking.recommender import CandidateList, Recommender
from model.reranking.diversified import DiversityConfig
from model.wishes.wishes import NO_WISHES, Wishes

FILMS = Catalogue.of(Item(f"i{n}", f"Film {n}", 1990, ("Drama",) if n < 4 else ("Horror",)) for n in range(6))
RECOMMENDER = Recommender(FILMS, ContentIndex(FILMS), Trending(), ColdStart(), ModeConfig())
LIKED = Profile("u", recent=(Interaction("i5", 1, "rate", 1.0),))


def candidates(version="v1", wishes=NO_WISHES, n=5, profile=LIKED):
    """Return a list of four dramas and a horror film that are about as good."""
    items = tuple(ScoredItem(f"i{row}", 0.5 - 0.001 * row, "neumf", "") for row in range(n))
    return CandidateList(profile, "personalized", 1, version, items, complete=True, wishes=wishes)


@pytest.mark.parametrize("config", [DiversityConfig(mmr=0.3), DiversityConfig(calibration=0.3)])
def test_the_odd_one_out_comes_up(config):
    """Among four dramas the only horror film, a genre that the user likes, is listed second at the latest."""
    [found] = RECOMMENDER.diversified([candidates()], 3, config)
    order = [item.item_id for item in found.items]
    assert "i4" in order[:2]
    assert sorted(order) == [f"i{row}" for row in range(5)]


def test_lists_that_nobody_scored_or_that_were_asked_for_stay():
    """Without a version or with wishes, without candidates, or without a weight, a list is as it was."""
    kept = [candidates(version=None), candidates(wishes=Wishes(exclude=("i9",))), candidates(n=0)]
    assert RECOMMENDER.diversified(kept, 3, DiversityConfig(mmr=0.3)) == kept
    assert RECOMMENDER.diversified(kept, 3, DiversityConfig(impression_discount=0.3)) == kept
    assert RECOMMENDER.diversified([candidates()], 3, DiversityConfig()) == [candidates()]


def test_what_was_shown_and_not_touched_goes_back():
    """The best two were on three lists: they come last, with their scores. For another user nothing moves."""
    shown = replace(LIKED, impressions={"i0": 3.0, "i1": 3.0})
    lists = [candidates(profile=shown), candidates()]
    found = RECOMMENDER.diversified(lists, 3, DiversityConfig(impression_discount=0.2))
    assert [item.item_id for item in found[0].items] == ["i2", "i3", "i4", "i0", "i1"]
    assert {item.item_id: item for item in found[0].items} == {item.item_id: item for item in lists[0].items}
    assert found[1] == lists[1]
    assert RECOMMENDER.diversified(lists, 3, DiversityConfig(mmr=1e-9))[0].items[0].item_id == "i0"


def test_a_touch_undoes_what_was_shown():
    """An item that was shown often and is touched since stands where its score puts it."""
    touched = replace(LIKED, recent=(Interaction("i0", 2, "watch", 1.0),), impressions={"i0": 9.0})
    [found] = RECOMMENDER.diversified([candidates(profile=touched)], 3, DiversityConfig(impression_discount=0.5))
    assert [item.item_id for item in found.items] == ["i0", "i1", "i2", "i3", "i4"]
