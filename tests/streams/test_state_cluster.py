"""On a server in cluster mode a call whose keys lie in two slots is refused; so what passes here keeps to one."""

import contextlib
import subprocess
import time

import pytest
from redis import Redis, RedisError
from redis.asyncio.cluster import RedisCluster

from model.catalogue import Catalogue, Item
from streams.records import Origin, Rating, Watch
from streams.stack.valkey import find_server
from streams.state import ModelPointer, State, StoredList

SLOTS = 16384


def until(condition, within_s=20.0):
    """Wait for a condition, asking every 50 ms."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "the cluster did not come up"
        time.sleep(0.05)


def is_up(client):
    """Say whether the server answers and every slot is served."""
    with contextlib.suppress(RedisError):
        return client.cluster("INFO")["cluster_state"] == "ok"
    return False


def answers(client):
    """Say whether the server answers."""
    with contextlib.suppress(RedisError):
        return client.ping()
    return False


@pytest.fixture
def cluster_port(tmp_path, unused_tcp_port):
    """Return the port of a cluster of one node that serves every slot."""
    options = ["--cluster-enabled", "yes", "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    bus = ["--cluster-port", str(unused_tcp_port + 1 if unused_tcp_port < 65535 else unused_tcp_port - 1)]
    arguments = [find_server(), "--port", str(unused_tcp_port), *options, *bus]
    with (
        subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as server,
        Redis(port=unused_tcp_port, decode_responses=True) as client,
    ):
        try:
            until(lambda: answers(client))
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
            until(lambda: is_up(client))
            yield unused_tcp_port
        finally:
            server.terminate()


async def test_every_call_keeps_to_one_slot(cluster_port):
    """Applying, reading, storing, merging and publishing pass on a cluster, with redis-py's cluster client."""
    client = RedisCluster(host="127.0.0.1", port=cluster_port)
    state = State(client)
    await state.install()
    applied = await state.apply(
        [
            (Origin("watch-events", 3, 0), Watch("e1", "u{1}", "10", 1000, 1.0), ("Drama",)),
            (Origin("rate-events", 3, 0), Rating("e1", "v", "11", 900, 4.0), ("War",)),
            (Origin("watch-events", 2, 0), Watch("e2", "v", "10", 1000, 0.0), ("Drama",)),
        ]
    )
    assert applied.fresh == 3
    assert await state.profiles(["u{1}", "v"]) == dict(applied.profiles)
    assert await state.seen_among([("v", ["10", "12"]), ("u{1}", ["11"])]) == [frozenset({"10"}), frozenset()]
    assert await state.store_lists([StoredList("v", 2, "personalized", b"{}")]) == 1
    films = Catalogue.of([Item("10", "A", 1990, ("Drama",))])
    await state.merge_hot(4, films)
    assert await state.hot(5) == (("10", 1.5),)  # 0.5 + 1 / 2 and 0.5 + 0 / 2
    await state.put_catalogue(films)
    await state.put_similar({"10": [("11", 0.5)]})
    await state.move_model(ModelPointer("v1", "file:///m", 1))
    assert await state.current_model() == ModelPointer("v1", "file:///m", 1)
    assert {at.applied for at in (await state.positions([("watch-events", 3), ("rate-events", 3)])).values()} == {0}
    await client.aclose()
