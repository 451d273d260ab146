"""Signs of life on a real Redis: who is alive, what it says, and for how long."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress

import pytest
from redis import Redis
from redis.exceptions import RedisError

from streams.errors import StateError
from streams.redis.connection import connect
from streams.redis.heartbeat import EXPIRES_S, RENEW_S, Heartbeat, SignOfLife, find_alive
from streams.stack.ports import settle_ports
from streams.stack.process import wait_until
from streams.stack.valkey import Valkey, find_server


async def test_the_latest_report_of_each_role_is_found(client, redis_url):
    """A worker's second report replaces its first, under host and pid, and a trainer is another role."""
    me = f"{socket.gethostname()}:{os.getpid()}"
    worker = SignOfLife(client, "worker")
    await worker.renew({"events": 1})
    await worker.renew({"events": 2})
    await SignOfLife(client, "trainer").renew({"rounds": 3})
    with Redis.from_url(redis_url) as reader:
        assert find_alive(reader, "worker") == {me: {"events": 2}}
        assert find_alive(reader, "trainer") == {me: {"rounds": 3}}
        assert find_alive(reader, "other") == {}
        assert 0 < reader.ttl(f"alive:worker:{me}") <= EXPIRES_S


async def test_a_silent_process_disappears(client, redis_url):
    """When its key has expired a process is no longer alive."""
    await SignOfLife(client, "worker").renew({})
    with Redis.from_url(redis_url) as reader:
        [key] = reader.keys("alive:worker:*")
        reader.pexpire(key, 1)
        while reader.exists(key):
            pass
        assert find_alive(reader, "worker") == {}


async def test_an_absent_redis_is_a_state_error():
    """Where nothing listens the error says that the sign of life could not be renewed."""
    client = connect("redis://127.0.0.1:1/0", attempts=0)
    with pytest.raises(StateError, match="renewing the sign of life"):
        await SignOfLife(client, "worker").renew({})
    await client.aclose()


@pytest.fixture
def server(tmp_path):
    """Return a server of this test alone, not started yet."""
    valkey = Valkey(settle_ports(tmp_path / "ports.json", ["valkey"])["valkey"], tmp_path, find_server())
    yield valkey
    valkey.stop(5)


@asynccontextmanager
async def beating(redis):
    """Let a heart beat during the block, whose report counts the beats."""
    beats = iter(range(1, 1000))
    heart = asyncio.create_task(Heartbeat("worker", redis).run(lambda: {"beats": next(beats)}))
    try:
        yield heart
        assert not heart.done()
    finally:
        heart.cancel()
        with suppress(asyncio.CancelledError):
            await heart


async def alive(url, least):
    """Wait until a worker has told so many beats."""

    def there():
        with suppress(RedisError), Redis.from_url(url) as reader:
            return any(report["beats"] >= least for report in find_alive(reader, "worker").values())
        return False

    return await asyncio.to_thread(wait_until, there, 20)


async def test_a_heart_beats_with_what_is_true_then(client, redis_url):
    """Each beat asks for the report anew."""
    async with beating(client):
        assert await alive(redis_url, least=3)


@pytest.mark.parametrize("is_needed", [True, False])
async def test_a_heart_beats_on_when_redis_is_back(server, is_needed, caplog):
    """With a client and by address alike, Redis away is said, and signs are there again when it is back."""
    server.start()
    server.wait()
    client = connect(server.url)
    async with beating(client if is_needed else server.url):
        assert await alive(server.url, least=1)
        server.stop(5)
        assert await asyncio.to_thread(wait_until, lambda: "redis.unavailable" in caplog.text, 30)
        server.start()
        server.wait()
        with Redis.from_url(server.url) as plain:
            plain.flushall()
        assert await alive(server.url, least=2)
    await client.aclose()
    said = [record.getMessage() for record in caplog.records if "redis." in record.getMessage()]
    assert [line.partition(" ")[0] for line in said] == ["redis.unavailable", "redis.available"]
    assert ("; the worker goes on" in said[0]) != is_needed


async def test_who_needs_no_redis_may_start_without(server):
    """A heart that has only an address beats as soon as a server is there."""
    async with beating(server.url) as heart:
        await asyncio.sleep(2 * RENEW_S)
        assert not heart.done()
        server.start()
        server.wait()
        assert await alive(server.url, least=1)
