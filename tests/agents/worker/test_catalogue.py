"""The catalogue as look-ups know it: written by the worker that leads, on a real Redis."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from agents.worker.catalogue import CataloguePublisher
from agents.worker.refresh import Current, RefreshConfig
from model.catalogue import Catalogue, Item
from model.ranking.content import ContentIndex
from model.ranking.exact import Ranker
from model.ranking.modes import ModeConfig
from streams.redis.connection import connect
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
