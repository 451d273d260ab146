"""A worker whose Redis is paused, killed, cut back, or away for long: nothing is lost, nobody restarts it."""

import asyncio
import os

import numpy as np
import psutil
import pytest
from redis import Redis

from streams.rebuild.digest import compare_databases
from streams.records.decoding import RawRecord, decode_batch
from streams.redis.connection import connect, connect_to_read
from streams.stack import open_stack
from streams.state.store import State

ITEMS = [f"i{n}" for n in range(30)]
TS = 1_700_000_000_000
USERS = 100
LOST_BYTES = 400_000  # the last batch's lists are 150 kB; before them stand the events of several batches


@pytest.fixture
def troubled(install, stack, tmp_path):
    """Return an installation whose Valkey is its own, and that Valkey, to be mistreated."""
    with open_stack(tmp_path / "stack", kafka=stack.kafka) as own:
        installation = install()
        settings = installation.settings.at(stack.kafka, own.valkey.url)
        installation.redis.close()
        installation.settings = settings
        installation.redis = connect_to_read(settings.redis, prefix=settings.prefix)
        yield installation, own.valkey


def send(installation, n, seed):
    """Send watches of drawn users and return how many each user was sent."""
    users = [f"s{user}" for user in np.random.default_rng(seed).integers(0, USERS, n)]
    installation.send_all(
        "watch-events",
        [
            (
                user,
                {"event_id": f"{seed}-{at}", "user_id": user, "item_id": ITEMS[at % 30], "ts": TS + at, "progress": 1},
            )
            for at, user in enumerate(users)
        ],
    )
    return {user: users.count(user) for user in set(users)}


def added(*counts):
    """Return the sum of several counts by user."""
    return {user: sum(one.get(user, 0) for one in counts) for user in set().union(*counts)}


def sequences(installation):
    """Return how many events the list that Redis holds for each user has seen."""
    return {
        key[6:-1]: int(installation.redis.hget(key, "list_sequence") or 0)
        for key in installation.redis.scan_iter("user:{*}", count=1000)
        if key.endswith("}") and installation.redis.exists(f"{key}:recs")
    }


def all_there(installation, expected):
    """Return whether counters, items and lists know every event that was sent."""
    return (
        installation.counts("watches") == expected
        and sum(installation.item_counts("watches").values()) == sum(expected.values())
        and sequences(installation) == expected
    )


def test_a_paused_redis_pauses_the_worker(troubled, until):
    """Stopped for seven seconds in the middle of a stream, Redis is waited for and no event is lost or repeated."""
    installation, valkey = troubled
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        first = send(installation, 2000, 1)
        until(lambda: installation.counts("watches"), 30, lambda: "a first batch")
        valkey.pause()
        second = send(installation, 2000, 2)
        worker.await_saying("redis.unavailable worker")
        valkey.resume()
        worker.await_saying("redis.available worker")
        until(lambda: all_there(installation, added(first, second)), 60, worker.said)
        assert "worker.mending" not in worker.said()  # the same server came back


def test_a_redis_that_lost_its_last_second_is_mended(troubled, until):
    """Killed, its file cut back by 400 kB, and started again: what it lost is applied again, by worker and all."""
    installation, valkey = troubled
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        first = send(installation, 3000, 3)
        until(lambda: all_there(installation, first), 60, worker.said)
        valkey.kill()
        cut(valkey, LOST_BYTES)
        valkey.restart()
        assert sum(installation.counts("watches").values()) < 3000  # it was cut in earnest
        until(lambda: all_there(installation, first), 60, worker.said)  # also without a new event
        second = send(installation, 1000, 4)
        until(lambda: all_there(installation, added(first, second)), 60, worker.said)
        assert "worker.mended" in worker.said()


def test_a_redis_cut_back_while_no_worker_runs_is_mended_at_the_start(troubled, until):
    """The group has committed everything, Redis knows less: the next worker reads the difference again."""
    installation, valkey = troubled
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        sent = send(installation, 3000, 5)
        until(lambda: all_there(installation, sent), 60, worker.said)
        assert worker.terminate(10) == 0
    valkey.kill()
    cut(valkey, LOST_BYTES)
    valkey.restart()
    with installation.process("worker", "--id", "w") as worker:
        until(lambda: all_there(installation, sent), 60, worker.said)


def test_an_empty_redis_is_filled_again(troubled, until):
    """A Redis that comes back with nothing, functions included, is brought to where it was, titles too."""
    installation, valkey = troubled
    installation.send_all("catalog-items", [("i0", {"item_id": "i0", "title": "A Film", "genres": ["Drama"]})])
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        sent = send(installation, 2000, 6)
        until(lambda: all_there(installation, sent), 60, worker.said)
        until(lambda: installation.redis.hexists("catalog:items", "i0"), 20, worker.said)
        valkey.kill()
        for file in append_only_files(valkey):
            file.unlink()
        valkey.restart()
        more = send(installation, 500, 7)
        until(lambda: all_there(installation, added(sent, more)), 60, worker.said)
        until(lambda: installation.redis.hexists("catalog:items", "i0"), 20, worker.said)


def test_while_redis_is_away_events_wait_in_kafka(troubled, until):
    """With 60,000 events waiting for a killed Redis, the worker grows by no more than its buffers, and catches up."""
    installation, valkey = troubled
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        first = send(installation, 500, 8)
        until(lambda: all_there(installation, first), 60, worker.said)
        valkey.kill()
        before = psutil.Process(worker.child.pid).memory_info().rss
        second = send(installation, 60_000, 9)
        worker.await_saying("redis.unavailable worker for 1")  # ten seconds and more
        grown = psutil.Process(worker.child.pid).memory_info().rss - before
        assert grown < 40_000_000  # 60,000 events are 9 MB of JSON, and would be over 100 MB as Faust's objects
        valkey.restart()
        until(lambda: all_there(installation, added(first, second)), 200, worker.said)


@pytest.fixture(scope="module")
def running(install, stack, tmp_path_factory):
    """Return an installation whose Valkey is its own, that Valkey, a running worker, and what was sent so far."""
    with open_stack(tmp_path_factory.mktemp("stack"), kafka=stack.kafka) as own:
        installation = install(redis=f"{own.valkey.url}/3")
        film = {"item_id": "i0", "title": "A Film", "genres": ["Drama"]}
        installation.send_all("catalog-items", [("i0", film)])
        with installation.process("worker") as worker:
            worker.await_ready()
            yield installation, own.valkey, worker, {}


async def twin_of(installation, url):
    """Apply everything that is on the topic to another database, and compare it with the installation's."""
    prefix = installation.settings.prefix
    mine, twin = (connect(at, prefix=prefix) for at in (installation.settings.redis, url))
    state = State(twin)
    await state.install()
    records = [RawRecord.of(record) for record in installation.records("watch-events")]
    decoded = decode_batch(records, prefix)
    events = [(origin, event, ("Drama",) if event.item_id == "i0" else ()) for origin, event in decoded.events]
    for at in range(0, len(events), 500):
        await state.apply(events[at : at + 500])
    found = await compare_databases(mine, twin)
    await mine.aclose()
    await twin.aclose()
    return found


def test_a_database_emptied_under_a_worker_is_filled_again(running, until):
    """FLUSHDB in silence and in the middle of a stream: users, items, lists, titles and trending are there again."""
    installation, valkey, worker, sent = running
    sent.update(added(sent, send(installation, 2000, 11)))
    until(lambda: all_there(installation, sent), 60, worker.said)
    until(lambda: installation.redis.hexists("catalog:items", "i0"), 20, worker.said)
    installation.redis.flushdb()  # nobody sends anything
    until(lambda: all_there(installation, sent), 60, worker.said)
    sent.update(added(sent, send(installation, 500, 12)))
    installation.redis.flushdb()  # in the middle of a batch
    sent.update(added(sent, send(installation, 1000, 13)))
    until(lambda: all_there(installation, sent), 60, worker.said)
    assert "state.positions_lost" in worker.said()
    until(lambda: installation.redis.hexists("catalog:items", "i0"), 20, worker.said)
    until(lambda: installation.redis.zcard("hot:all") == 1, 20, worker.said)  # of what the catalogue holds
    until(lambda: len(installation.records("watch-events")) == sum(sent.values()), 20, worker.said)
    found = asyncio.run(twin_of(installation, f"{valkey.url}/4"))
    assert found.is_equal, found.examples


def test_a_full_redis_is_waited_for(running, until):
    """With memory cut below what is used the worker waits as for one that is away; given more, it goes on exactly."""
    installation, valkey, worker, sent = running
    sent.update(added(sent, send(installation, 500, 14)))
    until(lambda: all_there(installation, sent), 60, worker.said)
    with Redis.from_url(valkey.url) as admin:
        admin.config_set("maxmemory", 1_000_000)
        sent.update(added(sent, send(installation, 500, 15)))
        worker.await_saying("s: state: applying")
        assert "OutOfMemoryError" in worker.said()
        assert sum(installation.counts("watches").values()) == sum(sent.values()) - 500
        admin.config_set("maxmemory", 0)
    until(lambda: all_there(installation, sent), 60, worker.said)
    worker.await_saying("redis.available worker")


def append_only_files(valkey):
    """Return the files that Valkey's state rests in."""
    return sorted((valkey.log.parent / "appendonlydir").iterdir())


def cut(valkey, n_bytes):
    """Take the last bytes off the append-only file."""
    [newest] = [file for file in append_only_files(valkey) if file.name.endswith(".incr.aof")]
    assert newest.stat().st_size > n_bytes
    os.truncate(newest, newest.stat().st_size - n_bytes)
