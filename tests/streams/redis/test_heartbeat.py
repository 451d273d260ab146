"""Signs of life on a real Redis: who is alive, what it says, and for how long."""

import os
import socket

import pytest
from redis import Redis

from streams.errors import StateError
from streams.redis.connection import connect
from streams.redis.heartbeat import EXPIRES_S, SignOfLife, find_alive


@pytest.fixture
async def client(redis_url):
    """Return an asynchronous client."""
    client = connect(redis_url)
    yield client
    await client.aclose()


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
