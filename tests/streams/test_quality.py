"""The live figures in a real Redis: written whole, read back by both clients, a bounded series, foreign content."""

import pytest
from redis import Redis

from streams.connection import connect, connect_to_read
from streams.errors import StateError
from streams.quality import LiveQuality, QualityPoint, QualityShelf, find_quality, find_series

FOUND = LiveQuality(
    {"total": {"tests": 3}}, {"p-watch-events": {0: 0, 1: 2}}, {"p-watch-events": {0: 5, 1: 7}}, 9, "v1"
)


@pytest.fixture
async def client(redis_url):
    """Return a client of the scorekeeper's kind."""
    client = connect(redis_url)
    yield client
    await client.aclose()


async def test_figures_come_back(client, redis_url):
    """Before the first writing there are none; then both clients read what was written last."""
    shelf = QualityShelf(client)
    with connect_to_read(redis_url) as reading:
        assert await shelf.read() is None
        assert find_quality(reading) is None
        await shelf.write(LiveQuality({}, {}, {}, 1))
        await shelf.write(FOUND)
        assert await shelf.read() == FOUND
        assert find_quality(reading) == FOUND


async def test_the_series_is_newest_first_and_bounded(client, redis_url):
    """Of four points with three kept, the three newest are there, newest first."""
    shelf = QualityShelf(client, series=3)
    points = [QualityPoint(at, 10 * at, 0.25, 0.125, "v1") for at in range(4)]
    for point in points:
        await shelf.add(point)
    with connect_to_read(redis_url) as reading:
        assert find_series(reading) == tuple(reversed(points[1:]))
        assert find_series(reading, 1) == (points[3],)


@pytest.mark.parametrize("stored", [b"{", b"[]", b"3", b'{"figures": {}}', b'{"figures":1,"began":{"t":{"x":1}}}'])
async def test_foreign_content_is_refused_with_its_cure(client, redis_url, stored):
    """What no scorekeeper wrote under the key is an error that names the key to delete."""
    with Redis.from_url(redis_url) as plain:
        plain.set("quality:live", stored)
    with pytest.raises(StateError, match=r"under quality:live.*delete that key"):
        await QualityShelf(client).read()
