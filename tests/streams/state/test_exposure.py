"""What a real Redis knows of new items: touches of all partitions, and the scorekeeper's figures."""

import pytest

from agents.worker.refresh import Current, RefreshConfig
from agents.worker.refreshers import NewItemsFinder
from model.catalogue import Catalogue, Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.metrics.exposure import ExposureTally
from model.metrics.live import Scoreboard
from model.ranking.content import ContentIndex
from model.ranking.exposure import ExposureConfig, Showings
from model.ranking.modes import ModeConfig
from streams.errors import StateError
from streams.records.records import Action, Origin, Rating, Watch
from streams.state.keys import QUALITY
from streams.state.quality import LiveQuality, QualityShelf
from streams.state.store import State

EVENTS = [
    (Origin("watch-events", 0, 0), Watch("e0", "u", "a", 1, 1.0), ()),
    (Origin("rate-events", 0, 0), Rating("e1", "u", "a", 2, 4.0), ()),
    (Origin("watch-events", 1, 0), Watch("e2", "v", "a", 3, 1.0), ()),
    (Origin("watch-events", 1, 1), Watch("e3", "v", "b", 4, 1.0), ()),
    (Origin("action-events", 0, 0), Action("e4", "u", "d", 5, "like"), ()),
]
KINDS = KindTable.of([*DEFAULT_KINDS.rows, EventKind("like", 0.8, is_positive=True)])


@pytest.fixture
async def state(client):
    """Return a state that has taken three events of ``a``, one of ``b`` and one of ``d``, in two partitions."""
    state = State(client, kinds=KINDS)
    await state.install()
    await state.apply(EVENTS)
    return state


async def shown(client, **items):
    """Store a scorekeeper's figures: of 900 tests the last place hit nine; of new items shown and hits."""
    tally = ExposureTally(9)
    tally.shown, tally.hits = 900, 9
    described = tally.describe() | {"items": items}
    await QualityShelf(client).write(LiveQuality(Scoreboard().describe() | {"exposure": described}, {}, {}, 1))


async def test_touches_are_of_all_kinds_and_partitions(state):
    """Two watches and a rating are three, a like is one; without a scorekeeper nothing was shown, one of 100 hits."""
    found = await state.exposure(2, ["c", "a", "b", "d"])
    assert found.touches == {"c": 0, "a": 3, "b": 1, "d": 1}
    assert (found.showings, found.hit_rate) == ({}, 0.01)


async def test_showings_are_the_scorekeepers(state, client):
    """The last place's rate is (1 + 9) / (100 + 900)."""
    await shown(client, a=[5, 2])
    found = await state.exposure(2, ["a"])
    assert (found.showings, found.hit_rate) == ({"a": Showings(5, 2)}, 0.01)


async def test_figures_that_are_nobodys_are_an_error(state, client):
    """What is not a scorekeeper's string is named with its key."""
    await client.set(QUALITY, b"{}")
    with pytest.raises(StateError, match=QUALITY):
        await state.exposure(2, ["a"])


async def test_a_worker_follows_the_most_promising_new_items(state, client):
    """An item touched three times is not new at three; one shown often in vain is given up; a new one comes first."""
    current = Current.empty(ModeConfig())
    finder = NewItemsFinder(state, RefreshConfig(), ExposureConfig(until=3), 2, current)
    await finder.refresh()
    assert current.recommender.new == ()  # no catalogue
    films = Catalogue.of([Item("a", "A", 2000), Item("b", "B", 1990), Item("c", "C", 1980)])
    current.recommender = current.recommender.with_catalogue(films, ContentIndex(films))
    await finder.refresh()
    assert [item.item_id for item in current.recommender.new] == ["b", "c"]
    await shown(client, c=[500, 0])
    later = films.changed([Item("d", "D", 2001)])
    current.recommender = current.recommender.with_catalogue(later, ContentIndex(later))
    await finder.refresh()
    assert [item.item_id for item in current.recommender.new] == ["d", "b"]
