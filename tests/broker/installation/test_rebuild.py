"""A rebuild makes the state that a real worker has made, survives its own death, and takes over without a loss."""

import asyncio
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from redis import Redis

from model.experiment import Arm, Experiment
from streams.errors import StateError, TopicError
from streams.kafka.topics import create_topics
from streams.rebuild.rebuild import Rebuild, RebuildConfig
from streams.rebuild.switch import hand_over, switch
from streams.rebuild.target import REBUILDING, find_target
from streams.redis.connection import connect, connect_to_read
from streams.redis_url import in_database
from streams.serving.known_topics import recognise_topics
from streams.stack import open_stack
from streams.state.experiments import encode_experiment
from streams.state.keys import HOLD

ITEMS = [f"i{n}" for n in range(40)]
GENRES = ("Drama", "Comedy", "War")
TS = 1_700_000_000_000


def drawn_records(n, seed, users=60):
    """Draw topic, key and value of ``n`` events: a tenth late, a twentieth sent twice, a twentieth bad."""
    rng = np.random.default_rng(seed)
    sent = []
    for number in range(n):
        user, item = f"u{rng.integers(users)}", ITEMS[rng.integers(len(ITEMS))]
        ts = TS + number * 60_000 - int(rng.integers(3_600_000)) * int(rng.random() < 0.1)
        fields = {"event_id": f"{seed}-{number}", "user_id": user, "item_id": item, "ts": ts}
        if rng.random() < 0.5:
            record = "watch-events", user, fields | {"progress": 0.5}
        else:
            record = "rate-events", user, fields | {"rating": int(rng.integers(1, 11)) / 2}
        chance = rng.random()
        if chance < 0.05:
            record = record[0], user, b"{not json"
        sent += [record, record] if 0.05 <= chance < 0.1 else [record]
    return sent


def send(installation, records):
    """Send records and wait until the broker has them."""
    for topic, key, value in records:
        installation.send(topic, key, value)
    installation.producer.flush(30)


def distinct(records):
    """Return how many distinct good events there are of each kind."""
    good = {(topic, value["event_id"]) for topic, _, value in records if isinstance(value, dict)}
    return {field: sum(topic.startswith(field) for topic, _ in good) for field in ("watch", "rate")}


def await_applied(installation, records, until):
    """Wait until the live state has counted every distinct event."""
    wanted = distinct(records)

    def counted():
        found = {"watch": "watches", "rate": "ratings"}
        return {kind: sum(installation.counts(field).values()) for kind, field in found.items()}

    until(lambda: counted() == wanted, 120, lambda: f"{wanted}, got {counted()}")


def reelstream(installation, *words, status=0):
    """Run a command of this installation and return what it printed as JSON, or its error."""
    environment = installation.process("none").environment
    ran = subprocess.run(
        [sys.executable, "-m", "reelstream", *words], env=environment, capture_output=True, check=False, timeout=300
    )
    assert ran.returncode == status, ran.stderr.decode()
    return orjson.loads(ran.stdout) if "--json" in words and status == 0 else ran.stderr.decode()


def beside(installation, index):
    """Return the URL of a logical database beside the live one, emptied."""
    url = urlsplit(installation.settings.redis)._replace(path=f"/{index}").geturl()
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


def assert_same(installation, *urls):
    """Let the command compare two databases."""
    assert reelstream(installation, "digest", *urls, "--json")["equal"]


@pytest.fixture(scope="module")
def running(install, until):
    """Return an installation whose one worker has answered 1,500 drawn events, and those events."""
    installation = install()
    titles = [
        (item, {"item_id": item, "title": item, "genres": list({GENRES[n % 3], GENRES[n % 2]})})
        for n, item in enumerate(ITEMS)
    ]
    installation.send_all("catalog-items", titles)
    records = drawn_records(1500, seed=1)
    with installation.process("worker") as worker:
        worker.await_ready()
        send(installation, records)
        await_applied(installation, records, until)
        yield installation, records
        assert worker.child.poll() is None, worker.said()


@pytest.fixture
def other(running, _databases):
    """Return the URL of a database for a rebuild, empty before and after."""
    index = next(_databases)
    url = beside(running[0], index)
    yield url
    beside(running[0], index)


def test_a_rebuild_makes_what_the_worker_has_made(running, other):
    """Same digest as the live state, which is not touched; run again it goes on, with nothing left to do."""
    installation, records = running
    before = reelstream(installation, "digest", "--json")
    index = str(urlsplit(other).path[1:])
    found = reelstream(installation, "rebuild", "--to", index, "--no-switch", "--json")
    assert (found["resumed"], found["switched"], found["records"]) == (False, False, len(records))
    assert_same(installation, installation.settings.redis, other)
    assert reelstream(installation, "digest", "--json")["sha256"] == before["sha256"]
    again = reelstream(installation, "rebuild", "--to", index, "--no-switch", "--json")
    assert again["resumed"]
    assert again["records"] < 50  # bad records behind the last good one of a partition
    assert_same(installation, installation.settings.redis, other)


SLOW = """
import asyncio, sys
from streams.redis.connection import connect
from streams.rebuild.rebuild import Rebuild, RebuildConfig
from streams.rebuild.target import find_target
from streams.settings import Settings

async def run(settings, to):
    where = await find_target(settings, to)
    work = Rebuild(settings, connect(where.url, prefix=settings.prefix), RebuildConfig(batch=20))
    await work.start()
    await work.replay()

asyncio.run(run(Settings.from_environment(), sys.argv[1]))
"""


def test_a_killed_rebuild_goes_on(running, other, until):
    """Killed with SIGKILL after some batches, the next run reads only the rest and ends with the live digest."""
    installation, records = running
    environment = installation.process("none").environment
    with (
        connect_to_read(other, prefix=installation.settings.prefix) as client,
        subprocess.Popen([sys.executable, "-c", SLOW, other], env=environment) as slow,
    ):

        def applied():
            fields = [client.hgetall(f"items:{{p{partition}}}:at") for partition in (0, 1)]
            return sum(int(n) + 1 for found in fields for name, n in found.items() if name.startswith("at:"))

        until(lambda: applied() > 100, 60, lambda: "a rebuild on its way")
        slow.kill()
        slow.wait()
        done = applied()
        assert client.exists(REBUILDING)
    assert 100 < done < len(records) - 200
    found = reelstream(installation, "rebuild", "--to", other, "--no-switch", "--json")
    assert found["resumed"]
    assert 200 <= found["records"] <= len(records) - 100
    assert_same(installation, installation.settings.redis, other)


def test_an_interrupted_rebuild_says_that_it_goes_on(running, other):
    """SIGINT ends it with status 130 and one line; the target stays marked as unfinished."""
    installation, _ = running
    environment = installation.process("none").environment
    command = [sys.executable, "-m", "reelstream", "rebuild", "--to", other, "--no-switch"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert "rebuilding into" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert (child.returncode, said.strip()) == (130, "interrupted; the same command goes on where this one was")
    with connect_to_read(other, prefix=installation.settings.prefix) as client:
        assert client.exists(REBUILDING)


async def test_a_rebuild_waits_for_a_redis_that_is_away(running, other):
    """Frozen for seven seconds after the first events, which is longer than a call waits, it has all events at last."""
    installation, records = running
    frozen = []

    def freeze(*_):
        if not frozen:
            frozen.append(True)
            with Redis.from_url(other) as client:
                client.client_pause(7000)

    target = connect(other, prefix=installation.settings.prefix)
    work = Rebuild(installation.settings, target, RebuildConfig(batch=200, lanes=1), progress=freeze)
    try:
        await work.start()
        totals = await work.replay()
    finally:
        await work.stop()
        await target.aclose()
    assert (frozen, totals.records) == ([True], len(records))
    assert_same(installation, installation.settings.redis, other)


def test_a_target_that_holds_something_else_is_refused(running, other):
    """The live database, a filled one, and another installation's unfinished rebuild are each refused in one line."""
    installation, _ = running
    live = installation.settings.redis
    assert "another database than the live one" in reelstream(installation, "rebuild", "--to", live, status=1)
    with connect_to_read(other, prefix=installation.settings.prefix) as client:
        client.set("somebody", "else")
        said = reelstream(installation, "rebuild", "--to", other, status=1)
        assert "a database without keys of this installation, or an unfinished rebuild of it, is required" in said
        assert f"`reelstream redis clear --redis {other} --yes`" in said
        client.flushdb()
        client.set(REBUILDING, orjson.dumps({"prefix": "theirs", "partitions": 2, "live": 0}))
        said = reelstream(installation, "rebuild", "--to", other, status=1)
        assert "theirs" in said
        assert len(said.splitlines()) == 1
        assert client.dbsize() == 1


def test_a_switch_under_a_live_stream_loses_nothing(running, other, until):
    """Events keep coming while the rebuilt database takes over; at the end it holds what a second rebuild makes."""
    installation, records = running
    live = installation.settings.redis
    pointer = {"version": "none", "uri": "nowhere", "promoted_at": "1", "announcing": "{}"}
    installation.redis.hset("model:current", mapping=pointer)
    experiment = encode_experiment(Experiment("depth", 0.5, Arm("a"), Arm("b", explore=1), 1)).decode()
    installation.redis.set("experiment:current", experiment)
    installation.redis.hset("modes:chosen", mapping={"u1": "cold_start"})
    ending = threading.Event()
    streamed = drawn_records(4000, seed=2)
    sent = []

    def stream():
        for record in streamed:
            if ending.is_set():
                return
            installation.send(*record)
            sent.append(record)
            time.sleep(0.005)

    sender = threading.Thread(target=stream)
    sender.start()
    try:
        found = reelstream(installation, "rebuild", "--to", other, "--json")
        time.sleep(1.0)  # some more for the new state
    finally:
        ending.set()
        sender.join()
    installation.producer.flush(30)
    assert (found["switched"], found["workers"], found["unknown"]) == (True, 1, 0)
    assert found["pause_s"] < 30
    everything = records + sent
    records[:] = everything  # for the tests after this one
    await_applied(installation, everything, until)
    lists = set(installation.redis.scan_iter("user:*:recs", count=1000))
    assert len(lists) == len(installation.counts("watches"))

    def newest():
        return all(
            sum(map(int, installation.redis.hmget(key[:-5], "watches", "ratings")))
            == int(installation.redis.hget(key[:-5], "list_sequence"))
            for key in lists
        )

    until(newest, 60, lambda: "a list for each user's last event")
    assert installation.redis.hgetall("model:current") == pointer
    assert installation.redis.get("experiment:current") == experiment
    assert installation.redis.hgetall("modes:chosen") == {"u1": "cold_start"}
    assert installation.redis.hlen("catalog:items") == len(ITEMS)
    assert not installation.redis.exists(HOLD, REBUILDING)
    installation.redis.delete("model:current", "experiment:current", "modes:chosen")
    with connect_to_read(other, prefix=installation.settings.prefix) as old:
        assert old.exists("user:{u1}")
        assert not old.exists(HOLD, REBUILDING)
        old.flushdb()
    reelstream(installation, "rebuild", "--to", other, "--no-switch", "--json")
    assert_same(installation, live, other)


def test_another_server_is_filled_and_not_switched(running, tmp_path):
    """A second server gets the state and the lists; the live one is told nothing, and what to do is said."""
    installation, _ = running
    with open_stack(tmp_path, kafka="given", report=lambda _: None) as stack:
        url = stack.addresses.redis
        found = reelstream(installation, "rebuild", "--to", url, "--json")
        assert (found["switched"], found["lists"]) == (False, len(installation.counts("watches")))
        assert_same(installation, installation.settings.redis, url)
        with connect_to_read(url, prefix=installation.settings.prefix) as client:
            assert not client.exists(REBUILDING)
            assert not client.keys("alive:*")
            assert client.get("user:{u1}:recs") == installation.redis.get("user:{u1}:recs")
            assert client.hget("user:{u1}", "mode") == installation.redis.hget("user:{u1}", "mode")
            assert client.zrange("hot:all", 0, -1) == installation.redis.zrange("hot:all", 0, -1)
            assert 0 < client.pttl("user:{u1}:recs") <= 365 * 86_400_000


def test_what_retention_has_deleted_comes_from_the_archive(running, other, tmp_path, until):
    """Topics without their first records are refused, an archive with a hole too; with a whole one all is there."""
    installation, records = running
    settings, archive = installation.settings, str(tmp_path / "archive")
    names = [settings.prefix + name for name in ("watch-events", "rate-events")]
    with installation.process("archiver", "--archive", archive, "--every-s", "1") as archiver:
        places = [TopicPartition(name, partition) for name in names for partition in (0, 1)]
        consumer = KafkaConsumer(bootstrap_servers=settings.kafka)
        ends = consumer.end_offsets(places)
        consumer.close()

        def archived():
            rows = reelstream(installation, "archive", "list", "--archive", archive, "--json")
            return orjson.dumps(rows)

        from streams.archive.parquet import EventArchive  # noqa: PLC0415 - the only test that needs pyarrow

        wanted = {name: {at.partition: end for at, end in ends.items() if at.topic == name} for name in names}
        until(lambda: EventArchive(archive).ends() == wanted, 60, lambda: f"{wanted}, got {archived()}")
        archiver.terminate(15)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    admin.delete_records({at: 100 + at.partition for at in places})
    admin.close()
    said = reelstream(installation, "rebuild", "--to", other, "--no-switch", status=1)
    assert f"{names[0]}[0] 100, {names[0]}[1] 101, {names[1]}[0] 100, {names[1]}[1] 101" in said
    assert "--from-archive" in said
    holed = tmp_path / "holed"
    shutil.copytree(archive, holed)
    lost = EventArchive(str(holed)).list()[0]
    Path(lost.path).unlink()
    said = reelstream(installation, "rebuild", "--to", other, "--no-switch", "--from-archive", str(holed), status=1)
    assert f"without these offsets: {lost.topic}[{lost.partition}] {100 + lost.partition};" in said
    found = reelstream(installation, "rebuild", "--to", other, "--no-switch", "--from-archive", archive, "--json")
    assert 4 * 50 < found["archived"] <= sum(distinct(records).values())
    assert_same(installation, settings.redis, other)


@pytest.fixture
def prepared(install, _databases):
    """Return an installation without a worker, some users in its topics, and a database to rebuild into."""
    installation = install()
    send(installation, drawn_records(200, seed=3, users=5))
    index = next(_databases)
    beside(installation, index)
    return installation, str(index)


async def switched(installation, index, max_wait_s=5.0):
    """Rebuild into a database and switch, in this process."""
    settings = installation.settings
    where = await find_target(settings, index)
    live, target = connect(settings.redis, prefix=settings.prefix), connect(where.url, prefix=settings.prefix)
    work = Rebuild(settings, target, RebuildConfig(batch=50))
    try:
        await work.start()
        await work.replay()
        return await switch(settings, work, live, target, where, max_wait_s=max_wait_s)
    finally:
        await work.stop()
        await live.aclose()
        await target.aclose()


async def test_a_worker_that_does_not_wait_stops_the_switch(prepared):
    """A living worker that never says that it waits: an error, no hold is left, and the old state stays."""
    installation, index = prepared
    installation.redis.zadd("alive:worker", {"here:1": time.time()})
    installation.redis.set("alive:worker:here:1", '{"held": false}', ex=60)
    with pytest.raises(StateError, match="every worker must wait within 1 s, got 1 of 1"):
        await switched(installation, index, max_wait_s=1.0)
    assert installation.counts("watches") == {}
    assert not installation.redis.exists(HOLD)


async def test_a_stale_word_of_waiting_does_not_count(prepared):
    """A worker that said before the hold that it waited must say so again."""
    installation, index = prepared
    installation.redis.zadd("alive:worker", {"here:1": time.time()})
    installation.redis.set("alive:worker:here:1", '{"held": true}', ex=12)  # said three seconds ago
    with pytest.raises(StateError, match="every worker must wait"):
        await switched(installation, index, max_wait_s=1.0)


async def test_a_lost_hold_stops_the_switch(prepared, until):
    """Where the hold has run out when the workers are counted, nothing is swapped."""
    installation, index = prepared
    installation.redis.zadd("alive:worker", {"here:1": time.time()})
    installation.redis.set("alive:worker:here:1", '{"held": false}', ex=60)
    running = asyncio.create_task(switched(installation, index, max_wait_s=20.0))
    await asyncio.to_thread(until, lambda: installation.redis.exists(HOLD), 30, lambda: "a hold")
    installation.redis.delete(HOLD)
    installation.redis.set("alive:worker:here:1", '{"held": true}', ex=15)
    with pytest.raises(StateError, match=r"must last until the switch|every worker must wait"):
        await running
    assert installation.counts("watches") == {}


async def test_without_workers_the_switch_waits_for_nobody(prepared):
    """No worker lives: the databases are swapped, and what was in the old one is in the other now."""
    installation, index = prepared
    installation.redis.set("mine", "live")
    installation.redis.hset("user:{ghost}", mapping={"mode": "cold_start", "list_sequence": 1})
    found = await switched(installation, index)
    assert (found.workers, found.unknown, found.lists) == (0, 1, 0)
    assert installation.redis.get("mine") == "live"  # copied: it is not made of events
    assert len(installation.counts("watches")) == 5
    url = in_database(installation.settings.redis, int(index))
    with connect_to_read(url, prefix=installation.settings.prefix) as old:
        assert old.keys("user:*") == ["user:{ghost}"]


async def test_what_people_have_chosen_last_survives_the_switch(prepared, until):
    """An experiment that began and a choice that was taken back while the workers waited are so afterwards too."""
    installation, index = prepared
    live = installation.redis
    live.hset("modes:chosen", mapping={"u1": "cold_start"})
    live.set("experiment:current", "first")
    live.zadd("alive:worker", {"here:1": time.time()})
    live.set("alive:worker:here:1", '{"held": false}', ex=60)
    running = asyncio.create_task(switched(installation, index, max_wait_s=20.0))
    await asyncio.to_thread(until, lambda: running.done() or live.exists(HOLD), 30, lambda: "a hold")
    live.delete("modes:chosen")
    live.set("experiment:current", "second")
    live.set("alive:worker:here:1", '{"held": true}', ex=15)
    await running
    assert len(installation.counts("watches")) == 5  # this is the rebuilt one
    assert live.get("experiment:current") == "second"
    assert not live.exists("modes:chosen")


async def test_another_holder_is_not_disturbed(prepared):
    """Where somebody else holds the workers, the switch is refused and that hold stays."""
    installation, index = prepared
    installation.redis.set(HOLD, "somebody")
    with pytest.raises(StateError, match="one of somebody else"):
        await switched(installation, index)
    assert installation.redis.get(HOLD) == "somebody"


async def test_lists_are_never_ahead_of_the_events(prepared):
    """A list of 99 events, of a user who has fewer, is copied with their number, so that newer lists replace it."""
    installation, index = prepared
    key = "user:{u1}"
    installation.redis.hset(key, mapping={"mode": "personalized", "list_sequence": 99, "impressions": '{"i":1.0}'})
    installation.redis.set(f"{key}:recs", "{}")
    assert (await switched(installation, index)).lists == 1
    fields = installation.redis.hgetall(key)
    assert int(fields["list_sequence"]) == int(fields["watches"]) + int(fields["ratings"]) < 99
    assert (fields["mode"], installation.redis.get(f"{key}:recs")) == ("personalized", "{}")
    assert fields["impressions"] == '{"i":1.0}'


async def test_the_hand_over_copies_and_ends_the_rebuild(prepared):
    """Handed over, the target has the lists and is no longer marked as unfinished."""
    installation, index = prepared
    where = await find_target(installation.settings, index)
    prefix = installation.settings.prefix
    live, target = (connect(url, prefix=prefix) for url in (installation.settings.redis, where.url))
    installation.redis.set("catalog:rejected", "x")
    await hand_over(live, target)
    assert await target.get("catalog:rejected") == b"x"
    assert not await target.exists(REBUILDING)
    await live.aclose()
    await target.aclose()


def test_a_topic_made_anew_is_what_the_state_is_rebuilt_from(install, until):
    """With a state far ahead of the new topic no start is allowed until a rebuild has made it of the new events."""
    installation = install()
    settings = installation.settings
    topic = f"{settings.prefix}watch-events"
    recognise_topics(settings)
    installation.redis.hset("items:{p0}:at", f"at:{topic}:0", 1000)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    admin.delete_topics([topic])
    until(lambda: not admin.describe_topics([topic])[0]["partitions"], 10, lambda: "a topic that is gone")
    admin.close()
    create_topics(settings)
    watch = {"user_id": "u", "item_id": "i", "ts": 1, "progress": 1}
    installation.send_all("watch-events", [("u", watch | {"event_id": f"e{n}"}) for n in range(3)])
    with pytest.raises(TopicError, match="made anew"):
        recognise_topics(settings)
    with installation.process("rebuild") as rebuilding:
        assert rebuilding.child.wait(60) == 0, rebuilding.said()
    recognise_topics(settings)
    assert installation.counts("watches") == {"u": 3}
