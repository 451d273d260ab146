"""Look-ups end soon, in one line, while a server is frozen: it takes connections and never answers."""

import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from redis.crc import key_slot

from commands.operate.digest import digest
from commands.operate.lookups import recommend
from streams.errors import StateAway
from streams.redis.connection import answered, connect_to_read

WITHIN_S = 10.0


@pytest.fixture(scope="module")
def server(own_valkey):
    """Return a server of this module."""
    with own_valkey() as valkey:
        yield valkey


@contextmanager
def frozen(server):
    """Stop a server with SIGSTOP for the length of the block."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@pytest.mark.parametrize(("command", "arguments"), [(recommend, ("ann", "--redis")), (digest, ())])
def test_a_look_up_ends_while_redis_is_frozen(server, command, arguments):
    """Within ten seconds the command has failed with one line that says that no answer came."""
    began = time.monotonic()
    with frozen(server):
        found = CliRunner().invoke(command, [*arguments, server.url])
    assert time.monotonic() - began < WITHIN_S
    assert isinstance(found.exception, StateAway)
    assert "\n" not in str(found.exception)
    assert "TimeoutError" in str(found.exception)


def test_a_client_that_is_connected_is_answered_or_told(server):
    """A look-up that follows lists, connected before, is told within ten seconds too, and goes on afterwards."""
    with connect_to_read(server.url) as client:
        client.ping()
        began = time.monotonic()
        with frozen(server), pytest.raises(StateAway, match="TimeoutError"), answered("here"):
            client.get("user:{ann}:recs")
        assert time.monotonic() - began < WITHIN_S
        assert client.ping()


def test_a_frozen_member_of_a_cluster_holds_up_nobody(own_cluster):
    """Of two servers the one with the user is frozen: before and after it is known to be, the look-up ends in time."""
    owner = key_slot(b"ann") * 2 // 16384
    with own_cluster(2) as nodes:
        with connect_to_read(nodes[1 - owner].url) as client:
            client.set("user:{ann}:recs", "{}")
        with frozen(nodes[owner]):
            for _ in range(2):
                began = time.monotonic()
                with (
                    pytest.raises(StateAway),
                    answered("here"),
                    connect_to_read(nodes[1 - owner].url) as client,
                ):
                    client.get("user:{ann}:recs")
                assert time.monotonic() - began < WITHIN_S
