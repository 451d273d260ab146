"""Diversity on the way to a list: which lists are put into another order, and that none loses an item."""

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


def candidates(version="v1", wishes=NO_WISHES, n=5):
    """Return a list of four dramas and a horror film that are about as good."""
    items = tuple(ScoredItem(f"i{row}", 0.5 - 0.001 * row, "neumf", "") for row in range(n))
    return CandidateList(LIKED, "personalized", 1, version, items, complete=True, wishes=wishes)


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
    assert RECOMMENDER.diversified([candidates()], 3, DiversityConfig()) == [candidates()]
