"""A cold user of one genre gets that genre, though something else trends."""

from model.catalogue import Catalogue, Item
from model.history import Interaction, Profile
from model.ranking.cold_start import ColdStart, Trending
from model.ranking.content import ContentIndex
from model.ranking.modes import ModeConfig
from model.ranking.recommender import Recommender

JAZZ = [f"jazz{n}" for n in range(60)]
POP = [f"pop{n}" for n in range(60)]


def jazz_among_ten(plays):
    """Return how many of ten are jazz for a cold user with so many jazz plays, where only pop trends much."""
    items = [Item(name, name, 2000, ("Jazz",)) for name in JAZZ] + [Item(name, name, 2000, ("Pop",)) for name in POP]
    catalogue = Catalogue.of(items)
    heat = [(name, 100.0 / (place + 1)) for place, name in enumerate(POP)]
    heat += [(name, 5.0 / (place + 1)) for place, name in enumerate(JAZZ)]
    recommender = Recommender(catalogue, ContentIndex(catalogue), Trending.of(heat), ColdStart(), ModeConfig())
    recent = tuple(Interaction(JAZZ[n], 60_000 * (plays - n), "watch", 1.0) for n in range(plays))
    (made,) = recommender.recommend([Profile("u", watches=plays, seen=plays, recent=recent)], 10)
    return sum(item.item_id in JAZZ for item in made.items)


def test_a_cold_user_of_one_genre_gets_that_genre():
    """Without a model, 38 plays of jazz put jazz among the ten, where a stranger gets what trends: pop alone."""
    assert jazz_among_ten(0) == 0
    assert jazz_among_ten(38) >= 3
