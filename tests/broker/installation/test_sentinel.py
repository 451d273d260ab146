"""A primary, a replica and three real Sentinels: the primary is killed in the middle of a stream, and all is exact."""

import asyncio
import time
from contextlib import suppress

import pytest
from redis import Redis, RedisError

from streams.errors import SettingsError, StateAway
from streams.redis.connection import answered, connect, connect_to_read
from streams.stack.sentinel import running_sentinels

TS = 1_700_000_000_000
USERS = 50


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Return the servers and Sentinels of this module."""
    with running_sentinels(tmp_path_factory.mktemp("watched")) as running:
        yield running


def send(installation, seed, n):
    """Send watches of all users in turn."""
    installation.send_all(
        "watch-events",
        [
            (
                f"u{at % USERS}",
                {
                    "event_id": f"{seed}-{at}",
                    "user_id": f"u{at % USERS}",
                    "item_id": f"i{at % 30}",
                    "ts": TS + at,
                    "progress": 1,
                },
            )
            for at in range(n)
        ],
    )


def exact(installation, each):
    """Return whether each user and the items have that many watches of each user, and each user's list knows them."""
    with suppress(RedisError):  # while there is no primary
        lists = {installation.redis.hget(f"user:{{u{user}}}", "list_sequence") for user in range(USERS)}
        return (
            installation.counts("watches") == {f"u{user}": each for user in range(USERS)}
            and sum(installation.item_counts("watches").values()) == each * USERS
            and lists == {str(each)}
        )
    return False


@pytest.mark.parametrize(
    ("query", "says"),
    [("?no_such_option=1", "no_such_option"), ("/x", "redis\\+sentinel://.*SERVICE"), ("?sentinel_password=s", None)],
)
def test_the_address_is_looked_at_before_anything_connects(unused_tcp_port, query, says):
    """What cannot be used is refused in one line without passwords; what can gives clients that say who is away."""
    url = f"redis+sentinel://:secret@127.0.0.1:{unused_tcp_port},127.0.0.1:{unused_tcp_port}/reelstream{query}"
    if says is not None:
        for make in (connect, connect_to_read):
            with pytest.raises(SettingsError, match=says) as caught:
                make(url)
            assert "secret" not in str(caught.value)
        return
    with pytest.raises(StateAway, match="No master found"), answered("test"), connect_to_read(url) as client:
        client.ping()


def test_a_killed_primary_is_followed_under_load(install, stack, watched, until):
    """Events of before, during and after the failover are each counted once, and look-ups ask the new primary."""
    installation = install(stack.kafka, watched.url)
    with installation.process("worker") as worker:
        worker.await_ready()
        send(installation, 1, 20 * USERS)
        until(lambda: exact(installation, 20), 60, worker.said)
        first = watched.primary()
        send(installation, 2, 40 * USERS)
        first.kill()
        send(installation, 3, 40 * USERS)
        until(lambda: watched.primary() not in (None, first), 20, worker.said)
        until(lambda: exact(installation, 100), 60, worker.said)
        with Redis.from_url(watched.primary().url) as new:
            assert new.dbsize() > USERS
        with installation.process("recommend", "u1", "--json") as answer:
            assert answer.child.wait(60) == 0, answer.said()


async def test_the_new_primary_is_reached_by_both_kinds_of_client(watched):
    """What the asynchronous client writes the synchronous one reads, and both let go of all their connections."""
    client = connect(watched.url)
    await asyncio.wait_for(client.set("greeting", "hello"), 10)
    with connect_to_read(watched.url) as reader:
        assert reader.get("greeting") == "hello"
    await client.aclose()


def test_frozen_sentinels_hold_up_nobody(watched):
    """With all three Sentinels stopped a look-up ends within ten seconds in one line."""
    for sentinel in watched.sentinels:
        sentinel.pause()
    began = time.monotonic()
    try:
        with (
            pytest.raises(StateAway, match="No master found"),
            answered("here"),
            connect_to_read(watched.url) as client,
        ):
            client.get("greeting")
        assert time.monotonic() - began < 10
    finally:
        for sentinel in watched.sentinels:
            sentinel.resume()
