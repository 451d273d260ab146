"""What a real Redis knows of new items: touches of all partitions, and the scorekeeper's figures."""

import pytest

from agents.worker.refresh import Current, RefreshConfig
from agents.worker.refreshers import NewItemsFinder
from model.catalogue import Catalogue, Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from model.metrics.exposure import ExposureTally
from model.metrics.live import Scoreboard
from model.ranking.content import ContentIndex
from model.ranking.exposure import ExposureConfig, NewItem, Showings
from model.ranking.modes import ModeConfig
from streams.errors import StateError
from streams.records.records import Action, Origin, Rating, Watch
from streams.state.keys import NEW_ITEMS, QUALITY
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
    finder = NewItemsFinder(state, RefreshConfig(), ExposureConfig(until=3), 2, lambda: True, current)
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


async def asked(client):
    """Return how often Redis was sent each of these commands by now."""
    stats = await client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hmget", "get", "set")}


async def test_one_worker_looks_for_all(state, client):
    """The others ask Redis one thing, however many partitions there are, and show the same, even if just started."""
    films = Catalogue.of([Item("a", "A", 2000), Item("b", "B", 1990), Item("c", "C", 1980)])
    config = ExposureConfig(until=3)
    workers = {}
    for name in ("leader", "other"):
        workers[name] = current = Current.empty(ModeConfig())
        current.recommender = current.recommender.with_catalogue(films, ContentIndex(films))
    leads, follows = (
        NewItemsFinder(state, RefreshConfig(), config, 2, lambda name=name: name == "leader", current)
        for name, current in workers.items()
    )
    await follows.refresh()
    assert workers["other"].recommender.new == ()  # nobody has looked yet
    before = await asked(client)
    await leads.refresh()
    between = await asked(client)
    await follows.refresh()
    after = await asked(client)
    assert [item.item_id for item in workers["leader"].recommender.new] == ["b", "c"]
    assert workers["other"].recommender.new == workers["leader"].recommender.new
    assert {name: between[name] - before[name] for name in before} == {"hmget": 2 * 3, "get": 2, "set": 1}
    assert {name: after[name] - between[name] for name in before} == {"hmget": 0, "get": 1, "set": 0}


async def test_what_others_change_meanwhile_stays(client):
    """A catalogue that comes while a worker asks Redis for the new items is there afterwards, and they are too."""
    current, films = Current.empty(ModeConfig()), Catalogue.of([Item("b", "B", 1990)])

    class Slow(State):
        async def new_items(self):
            found = await super().new_items()
            current.recommender = current.recommender.with_catalogue(films, ContentIndex(films))
            return found

    state = Slow(client)
    await state.put_new_items([NewItem("b", 0.01, 0.03)])
    await NewItemsFinder(state, RefreshConfig(), ExposureConfig(), 2, lambda: False, current).refresh()
    assert current.recommender.catalogue is films
    assert [item.item_id for item in current.recommender.new] == ["b"]


async def test_what_the_catalogue_of_a_worker_lacks_is_not_shown(state):
    """A worker that has not read of an item yet, or has read that it is gone, leaves it out."""
    await state.put_new_items([NewItem("b", 0.01, 0.03), NewItem("z", 0.01, 0.03)])
    current, films = Current.empty(ModeConfig()), Catalogue.of([Item("b", "B", 1990)])
    current.recommender = current.recommender.with_catalogue(films, ContentIndex(films))
    await NewItemsFinder(state, RefreshConfig(), ExposureConfig(), 2, lambda: False, current).refresh()
    assert current.recommender.new == (NewItem("b", 0.01, 0.03),)


async def test_new_items_are_gone_where_nobody_looks_any_more(state, client):
    """So an item is not shown as new for ever where the worker that leads gives no places."""
    await state.put_new_items([NewItem("b", 0.01, 0.03)])
    assert 55 < await client.ttl(NEW_ITEMS) <= 60
    await client.delete(NEW_ITEMS)
    assert await state.new_items() == ()


@pytest.mark.parametrize(
    "found",
    [
        b"x",
        b"7",
        b'["b"]',
        b'[{"item_id": 1, "mean": 0.1, "bound": 0.2}]',
        b'[{"item_id": "b", "mean": 0.1}]',
        b'[{"item_id": "b", "mean": 0.1, "bound": 0.0}]',
    ],
)
async def test_new_items_that_are_none_are_an_error(state, client, found):
    """What no worker has written is named with its key and the cure."""
    await client.set(NEW_ITEMS, found)
    with pytest.raises(StateError, match=rf"required under {NEW_ITEMS}, got b.*; delete that key"):
        await state.new_items()
