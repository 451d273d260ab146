"""Where a rebuild goes, in databases that other installations share, or come to share meanwhile."""

from urllib.parse import urlsplit

import orjson
import pytest
from redis import Redis

from streams.errors import StateError
from streams.rebuild.sharing import require_nobody_came, require_unshared
from streams.rebuild.target import REBUILDING, find_target
from streams.settings import Settings


@pytest.fixture
def settings(redis_url):
    """Return settings of an installation that has keys in its live database."""
    with Redis.from_url(redis_url) as client:
        client.set("shop-hot:all", "x")
    return Settings("unused:1", redis_url, "unused", prefix="shop-")


def index_of(url):
    """Return a database's number."""
    return int(urlsplit(url).path[1:])


async def test_a_target_with_keys_of_others_is_filled_and_not_swapped(settings, beside):
    """What others have there is no hindrance; once they are gone the same rebuild may be swapped, and goes on."""
    with Redis.from_url(beside) as client:
        client.set("other-hot:all", "theirs")
        found = await find_target(settings, str(index_of(beside)))
        assert (found.live, found.index, found.is_resumed) == (None, None, False)
        client.delete("other-hot:all")
        found = await find_target(settings, str(index_of(beside)))
        assert (found.live, found.index, found.is_resumed) == (index_of(settings.redis), index_of(beside), True)
        assert orjson.loads(client.get(f"shop-{REBUILDING}"))["live"] == index_of(settings.redis)


async def test_a_rebuild_goes_on_where_others_come_to_the_live_database(settings, beside):
    """Begun to be swapped, it is only filled from then on; its marker says so."""
    to = str(index_of(beside))
    assert (await find_target(settings, to)).index == index_of(beside)
    with Redis.from_url(settings.redis) as live, Redis.from_url(beside) as client:
        live.set("other-topics:ids", "x")
        found = await find_target(settings, to)
        assert (found.index, found.is_resumed) == (None, True)
        assert orjson.loads(client.get(f"shop-{REBUILDING}")) == {"prefix": "shop-", "partitions": 8, "live": None}


async def test_own_keys_and_other_rebuilds_are_refused(settings, beside):
    """A target with a key of this installation is not empty; the cure deletes no other's."""
    with Redis.from_url(beside) as client:
        client.set("shop-user:{u}", "x")
        with pytest.raises(StateError, match=r"got redis://.* with 'shop-user:.*`reelstream redis clear --redis"):
            await find_target(settings, beside)
        client.set(f"shop-{REBUILDING}", orjson.dumps({"prefix": "shop-", "partitions": 1, "live": None}))
        with pytest.raises(StateError, match=r"an unfinished rebuild of .*'partitions': 8"):
            await find_target(settings, beside)


async def test_whoever_came_is_found_right_before_the_swap(settings):
    """An installation writes its topics' ids first; a look for these alone finds it, and passes what is one's own."""
    with Redis.from_url(settings.redis) as client:
        client.set("shop-topics:ids", "x")
        await require_nobody_came(settings.redis, settings.prefix)
        await require_unshared(settings.redis, settings.prefix)
        for came in ("topics:ids", "shop-eu-topics:ids"):
            client.set(came, "x")
            with pytest.raises(StateError, match=f"without keys of others is required to be swapped, got '{came}'"):
                await require_nobody_came(settings.redis, settings.prefix)
            client.delete(came)
