"""The catalogue as look-ups know it: written by the worker that leads, on a real Redis."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from agents.retry import Retry
from agents.worker.catalogue import CatalogueFollower, CataloguePublisher
from agents.worker.refresh import Current, RefreshConfig
from model.catalogue import Catalogue, Item
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from streams.records.decoding import RawRecord
from streams.records.records import Origin
from streams.redis.connection import connect
from streams.settings import Settings
from streams.state.store import State
from tests.toy import toy_snapshot


@pytest.fixture
async def client(redis_url):
    """Return a client of an empty database."""
    opened = connect(redis_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def state(client):
    """Return the installed state of that database."""
    installed = State(client)
    await installed.install()
    return installed


@pytest.fixture
def current():
    """Return what serves one film."""
    made = Current.empty(ModeConfig())
    film = Item("i", "Film", 1999, ("Drama",))
    made.recommender = replace(made.recommender, catalogue=Catalogue.of([film]), index=ContentIndex(Catalogue()))
    return made


async def test_titles_that_were_lost_are_published_again(state, current):
    """A leader writes titles once; where Redis has lost them it does so again, though no event of its own tells."""
    with ThreadPoolExecutor(1) as thread:
        titles = CataloguePublisher(state, RefreshConfig(), lambda: True, current, thread)
        await titles.refresh()
        await state.put_catalogue([], ["i"])  # the last title of all
        await titles.refresh()
        assert await state.catalogue_ids() == {"i"}
        await state.put_catalogue([Item("j", "Another", 2000, ())])
        await titles.refresh()
        assert await state.catalogue_ids() == {"i", "j"}  # nothing is written where titles are there
        titles.publish_again()
        await titles.refresh()
        assert await state.catalogue_ids() == {"i"}  # written as a whole, for a Redis that may have lost some


async def test_who_does_not_lead_writes_no_titles(state, current):
    """One worker publishes for all; the others leave Redis as it is."""
    with ThreadPoolExecutor(1) as thread:
        titles = CataloguePublisher(state, RefreshConfig(), lambda: False, current, thread)
        await titles.refresh()
        assert await state.catalogue_ids() == frozenset()


async def test_what_the_first_version_says_is_similar_is_written_at_once(state, client, current):
    """Behaviour is there with the first version; a second version within ten minutes changes nothing."""
    films = Catalogue.of([Item(one, one, 1990, ("Drama",)) for one in "abcdefgh"])
    without_counts = toy_snapshot("abcdefgh", parts=("identity", "gmf"))
    current.recommender = current.recommender.with_catalogue(films, ContentIndex(films))
    with ThreadPoolExecutor(1) as thread:
        titles = CataloguePublisher(state, RefreshConfig(), lambda: True, current, thread)
        await titles.refresh()
        assert orjson.loads(await client.get("similar:a"))["behaviour"] == []
        current.recommender = current.recommender.with_model(Ranker(without_counts), "v1")
        await titles.refresh()
        assert orjson.loads(await client.get("similar:a"))["behaviour"][0][1] == 1.0
        await client.delete("similar:a")
        current.recommender = current.recommender.with_model(Ranker(without_counts), "v2")
        await titles.refresh()
        assert await client.get("similar:a") is None


async def test_similar_items_of_a_large_catalogue_are_written_part_by_part(state, client, current):
    """Of 600 films, which need two parts, each has its similar items."""
    films = Catalogue.of(Item(f"i{n}", f"Film {n}", 1990, ("Drama",)) for n in range(600))
    current.recommender = current.recommender.with_catalogue(films, ContentIndex(films))
    with ThreadPoolExecutor(1) as thread:
        await CataloguePublisher(state, RefreshConfig(), lambda: True, current, thread).refresh()
    assert len([key async for key in client.scan_iter("similar:*", count=1000)]) == 600


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self, now_ms):
        self.now_ms = now_ms

    def __call__(self):
        """Return them."""
        return self.now_ms


def follower(current, clock):
    """Return what follows a catalogue by this clock; nothing is read."""
    settings = Settings("unused:1", "redis://unused", "unused")
    return CatalogueFollower(settings, current, Retry("worker"), RefreshConfig(), clock)


def described(item_id, **dates):
    """Return the record of a drama."""
    fields = {"item_id": item_id, "title": item_id, "genres": ["Drama"], **dates}
    return RawRecord(Origin("catalog-items", 0, 0, 0), item_id.encode(), orjson.dumps(fields))


def listed(current):
    """Return the ids of what may be listed."""
    return set(current.recommender.catalogue.items)


def test_the_clock_releases_and_ends_items_without_a_record():
    """What is to be released appears at its moment, what expires is gone at its own, and both stay known."""
    current, clock = Current.empty(ModeConfig()), Clock(1000)
    follows = follower(current, clock)
    records = [described("a"), described("b", released=2000), described("c", expires=3000), described("d", hidden=True)]
    follows.feed._take(records)
    assert listed(current) == {"a", "c"}
    before = current.recommender
    clock.now_ms = 1999
    follows.keep_up()
    assert current.recommender is before  # nothing is made anew without a cause
    for now_ms, wanted in ((2000, {"a", "b", "c"}), (2999, {"a", "b", "c"}), (3000, {"a", "b"})):
        clock.now_ms = now_ms
        follows.keep_up()
        assert listed(current) == wanted
    follows.feed._take([described("d"), described("a", hidden=True)])
    assert listed(current) == {"b", "d"}
    assert current.recommender.genres_of("c") == ("Drama",)


async def test_what_is_listed_no_more_leaves_stored_lists_and_keeps_its_title(state, client):
    """At its end an item leaves the lists; so does one that ended while no worker led; titles tell dates and hiding."""
    current, clock = Current.empty(ModeConfig()), Clock(1000)
    follows = follower(current, clock)
    follows.feed._take([described("a"), described("b", expires=2000), described("c", hidden=True)])
    items = [{"item_id": item_id, "rank": rank} for rank, item_id in enumerate("abc", 1)]
    await client.set("user:{u}:recs", orjson.dumps({"rec_id": "r", "items": items}))

    async def kept():
        return [item["item_id"] for item in orjson.loads(await client.get("user:{u}:recs"))["items"]]

    with ThreadPoolExecutor(1) as thread:
        titles = CataloguePublisher(state, RefreshConfig(settle_s=0.0), lambda: True, current, thread)
        await titles.refresh()
        assert await kept() == ["a", "b"]
        clock.now_ms = 2000
        follows.keep_up()
        await titles.refresh()
        assert await kept() == ["a"]
    found = {name.decode(): orjson.loads(value) for name, value in (await client.hgetall("catalog:items")).items()}
    assert (found["b"]["expires"], found["c"]["hidden"]) == (2000, True)
    assert set(found["a"]) == {"title", "year", "genres"}


async def test_what_was_renamed_stays_in_stored_lists_by_its_new_id(state, client):
    """One that is hidden under its new id leaves them."""
    current = Current.empty(ModeConfig())
    follows = follower(current, Clock(1000))
    follows.feed._take([described("a"), described("b"), described("c")])
    items = [{"item_id": item_id, "rank": rank} for rank, item_id in enumerate("abc", 1)]
    await client.set("user:{u}:recs", orjson.dumps({"rec_id": "r", "items": items}))
    with ThreadPoolExecutor(1) as thread:
        titles = CataloguePublisher(state, RefreshConfig(settle_s=0.0), lambda: True, current, thread)
        await titles.refresh()
        follows.feed._take([described("x", was=["a"]), described("y", was=["b"], hidden=True)])
        await titles.refresh()
    stored = orjson.loads(await client.get("user:{u}:recs"))
    assert stored["items"] == [{"item_id": "x", "rank": 1}, {"item_id": "c", "rank": 2}]
    assert await state.catalogue_ids() == {"x", "y", "c"}


def test_an_id_with_a_record_of_its_own_that_became_another_is_told_once(caplog):
    """Its record counts no more, which its owner may not have meant."""
    follows = follower(Current.empty(ModeConfig()), Clock(1000))
    with caplog.at_level("INFO"):
        for records in ([described("a"), described("x", was=["a", "unknown"])], [described("c")]):
            follows.feed._take(records)
    told = [one.getMessage() for one in caplog.records if "became_another" in one.getMessage()]
    assert told == ["catalogue.became_another 1 ids have records that count no more, such as a, now x"]
