"""Commands packed in C are those that redis-py packs by itself."""

import pytest
from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool
from redis.exceptions import DataError

from streams.redis.connection import connect
from streams.redis.packing import pack_in_c

COMMANDS = [
    ("CONFIG GET", "maxmemory"),
    ("SET", "user:{å}:recs", b"\x00\xff", "EX", 60),
    ("ZADD", "hot", 0.1, "a", 1e-300, "b", 12345678901234567890, "c"),
    ("SET", "key", bytearray(b"x")),
    ("SET", "key", memoryview(b"x")),
    ("FCALL", "f", 1, "key", b"x" * 20_000, ""),
]


def pool_packing_in_c():
    """Return a pool of connections to nowhere that pack in C."""
    pool = ConnectionPool()
    pack_in_c(pool)
    return pool


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_command_is_packed_as_redis_py_packs_it(command):
    """Text, bytes and numbers of any length become the same bytes on the wire."""
    packed = pool_packing_in_c().make_connection().pack_command(*command)
    assert b"".join(packed) == b"".join(Connection().pack_command(*command))


@pytest.mark.parametrize("word", [None, True, ["x"]])
def test_what_cannot_be_sent_is_refused(word):
    """None, a truth value and a list are a DataError, as redis-py has it."""
    with pytest.raises(DataError):
        pool_packing_in_c().make_connection().pack_command("SET", "key", word)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/2",
        "rediss://name:word@127.0.0.1:1",
        "unix:///nowhere/redis.sock",
        "redis+sentinel://127.0.0.1:1/movies",
    ],
)
def test_each_kind_of_connection_packs_in_c(url):
    """TLS, a socket's path and Sentinels change the class of the connections, not how they pack."""
    made = connect(url, attempts=0).connection_pool.make_connection()
    assert type(made).pack_command is not AbstractConnection.pack_command


async def test_the_clients_of_workers_pack_in_c(redis_url):
    """A client from `connect` takes such connections, and its commands are answered."""
    client = connect(redis_url)
    assert await client.echo("å") == "å".encode()
    await client.aclose()
    made = client.connection_pool.make_connection()
    assert type(made).pack_command is not Connection.pack_command
    assert isinstance(made, Connection)
