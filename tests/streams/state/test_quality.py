"""The live figures in a real Redis: written whole, read back by both clients, a bounded series, foreign content."""

from dataclasses import replace

import orjson
import pytest
from redis import Redis

from model.metrics.live import ExperimentUsers, Scoreboard
from streams.errors import StateError
from streams.redis.connection import connect_to_read
from streams.state.quality import (
    LiveQuality,
    QualityPoint,
    QualityShelf,
    find_quality,
    find_quality_and_users,
    find_series,
)

NONE = Scoreboard().describe()
FOUND = LiveQuality(
    NONE | {"running": {"experiment": "x", "since_ms": 3}},
    {"p-watch-events": {0: 0, 1: 2}},
    {"p-watch-events": {0: 5, 1: 7}},
    9,
    {"p-watch-events": "00000000-0000-0000-0000-00000000cafe"},
    ("forgotten:1",),
    {"window": {"tests": [1]}},
)


async def test_figures_come_back(client, redis_url):
    """Before the first writing there are none; then both clients read what was written last."""
    shelf = QualityShelf(client)
    with connect_to_read(redis_url) as reading:
        assert await shelf.read() is None
        assert find_quality(reading) is None
        await shelf.write(LiveQuality(NONE, {}, {}, 1))
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


async def test_a_point_is_added_once(client, redis_url):
    """The same point again, as after an answer that got lost, is left out; a later one of the same figures is not."""
    shelf = QualityShelf(client)
    first, second = (QualityPoint(at, 10, 0.25, 0.125, "v1") for at in (1, 2))
    for point in (first, first, second, second):
        await shelf.add(point)
    with connect_to_read(redis_url) as reading:
        assert find_series(reading) == (second, first)


async def test_users_come_back_with_the_figures(client):
    """Changed users are added to those stored, all of them replace those, and any id of a user comes back."""
    shelf = QualityShelf(client)
    assert await shelf.users() == {}
    first = {("a", "u"): (3, 1), ("b", "line\nbreak"): (2, 0)}
    assert await shelf.write(replace(FOUND, at_ms=1), ExperimentUsers(first))
    assert await shelf.write(replace(FOUND, at_ms=2), ExperimentUsers({("a", "u"): (4, 1)}, is_whole=False))
    assert await QualityShelf(client).users() == first | {("a", "u"): (4, 1)}
    assert await shelf.write(replace(FOUND, at_ms=3), ExperimentUsers({("b", "w"): (1, 1)}))
    assert await shelf.users() == {("b", "w"): (1, 1)}


async def test_figures_and_users_are_looked_up_together(client, redis_url):
    """A client that decodes reads what was written: nothing, then figures with every user, a line break in the id."""
    users = {("a", "u"): (3, 1), ("b", "line\nbreak"): (2, 0)}
    with connect_to_read(redis_url) as reading:
        assert find_quality_and_users(reading) == (None, {})
        await QualityShelf(client).write(FOUND, ExperimentUsers(users))
        assert find_quality_and_users(reading) == (FOUND, users)


async def test_a_redis_that_lost_users_is_noticed(client):
    """After a flush a writing of changed users says that not all are stored; one of all of them repairs it."""
    shelf = QualityShelf(client)
    assert await shelf.write(replace(FOUND, at_ms=1), ExperimentUsers({("a", "u"): (3, 1)}))
    await client.flushdb()
    assert not await shelf.write(replace(FOUND, at_ms=2), ExperimentUsers({("a", "v"): (1, 1)}, is_whole=False))
    assert await shelf.write(replace(FOUND, at_ms=3), ExperimentUsers({("a", "u"): (3, 1), ("a", "v"): (1, 1)}))
    assert await shelf.users() == {("a", "u"): (3, 1), ("a", "v"): (1, 1)}


@pytest.mark.parametrize("field", [{"u": "[1,1]"}, {"a\nu": "[1]"}, {"a\nu": "{"}, {"a\nu": '["1", 2]'}])
async def test_foreign_users_are_refused_with_their_cure(client, field):
    """Fields that no scorekeeper wrote are an error that names the key to delete."""
    await client.hset("{quality:live}:users", mapping=field)
    with pytest.raises(StateError, match=r"under \{quality:live\}:users.*delete that key"):
        await QualityShelf(client).users()


def stored_with(**figures):
    """Return stored figures with something else in place of a part of them."""
    whole = {"figures": NONE | figures, "began": {}, "offsets": {}, "at_ms": 0}
    return orjson.dumps(whole)


@pytest.mark.parametrize(
    "stored",
    [
        stored_with(total={}),
        stored_with(latest={}),
        stored_with(k=None),
        stored_with(versions=[{"version": "v1", "mode": "personalized", "total": NONE["total"]}]),
        stored_with(arms=[{"experiment": "x", "arm": "a", "total": NONE["total"], "latest": NONE["total"]}]),
        stored_with(total=NONE["total"] | {"hit_rate": "0.5"}),
        b'{"figures":{},"began":{},"offsets":{},"at_ms":0}',
        b"{",
        orjson.dumps({"figures": NONE, "began": {}, "offsets": {}, "at_ms": 0, "recent": 3}),
        b"[]",
        b"3",
        b'{"figures": {}}',
        b'{"figures":1,"began":{"t":{"x":1}}}',
    ],
)
async def test_foreign_content_is_refused_with_its_cure(client, redis_url, stored):
    """What no scorekeeper wrote under the key is an error that names the key to delete."""
    with Redis.from_url(redis_url) as plain:
        plain.set("quality:live", stored)
    with pytest.raises(StateError, match=r"under quality:live.*delete that key"):
        await QualityShelf(client).read()
