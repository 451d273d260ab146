"""The catalogue topic on a real cluster: read whole, followed, cleaned, and what is bad in it set aside."""

import asyncio

import pytest

from model.catalogue import Catalogue, Item
from streams.errors import TopicError
from streams.reading.catalogue import CatalogueFeed
from streams.settings import Settings


@pytest.fixture
def installation(install):
    """Return topics of this test's own."""
    return install()


class TellingFeed(CatalogueFeed):
    """A feed that knows the catalogues it told of."""

    told: list[Catalogue]


@pytest.fixture
async def feed(installation):
    """Return a feed that is not started, with the catalogues it told of in ``told``."""
    told = []
    feed = TellingFeed(installation.settings, told.append)
    feed.told = told
    yield feed
    if hasattr(feed, "_consumer"):
        await feed.stop()


def put(installation, item_id, title, **more):
    """Send one film and wait until the broker has it."""
    installation.send("catalog-items", item_id, {"item_id": item_id, "title": title, **more}).get(10)


async def test_everything_so_far_is_there_after_the_start(installation, feed):
    """Of a film sent twice the later counts, a removed one is gone, and the caller was told the result."""
    put(installation, "a", "Alien", year=1979, genres=["Horror"])
    put(installation, "b", "Brazil")
    put(installation, "c", "Casablanca")
    put(installation, "b", "Brazil (1985)")
    installation.send("catalog-items", "c", None).get(10)
    await feed.start()
    assert dict(feed.catalogue.items) == {
        "a": Item("a", "Alien", 1979, ("Horror",)),
        "b": Item("b", "Brazil (1985)", None, ()),
    }
    assert feed.told[-1] is feed.catalogue


async def test_an_empty_topic_is_an_empty_catalogue(feed):
    """Nothing to read is no reason to wait, and nothing to tell."""
    await asyncio.wait_for(feed.start(), 20)
    assert (len(feed.catalogue), feed.told) == (0, [])


async def test_bad_records_are_set_aside_once(installation, feed):
    """A film without a title and a broken JSON are handed out once, with cause and place; the good film is there."""
    installation.send("catalog-items", "x", {"item_id": "x"}, partition=0).get(10)
    installation.send("catalog-items", "y", b"{", partition=0).get(10)
    put(installation, "a", "Alien")
    await feed.start()
    assert set(feed.catalogue.items) == {"a"}
    rejected = feed.take_rejected()
    assert [(one.cause, one.record.key, one.record.origin.offset) for one in rejected] == [
        ("missing_field", b"x", 0),
        ("not_json", b"y", 1),
    ]
    assert feed.take_rejected() == ()


async def test_changes_are_followed_until_stopped(installation, feed):
    """A film sent later arrives by following, and a caught-up feed knows it at once; stopping ends the following."""
    await feed.start()
    following = asyncio.create_task(feed.follow())
    put(installation, "a", "Alien")
    async with asyncio.timeout(60):
        while "a" not in feed.catalogue:  # noqa: ASYNC110 - the feed has no event to wait for
            await asyncio.sleep(0.02)
    put(installation, "b", "Brazil")
    await feed.catch_up()
    assert "b" in feed.catalogue
    await feed.stop()
    await asyncio.wait_for(following, 5)


async def test_no_cluster_is_a_topic_error():
    """Where no Kafka listens the error names the address."""
    feed = CatalogueFeed(Settings("127.0.0.1:1", "redis://unused", "unused"), lambda _: None)
    with pytest.raises(TopicError, match=r"Kafka cluster is required at 127\.0\.0\.1:1"):
        await feed.start()
    await feed.stop()
