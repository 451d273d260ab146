"""The scorekeeper on a real Kafka and a real Redis: exact figures, restarts, and what follows when a version drifts."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from math import log2, sqrt

import numpy as np
import orjson
import pytest
from aiokafka import TopicPartition

from agents.scorekeeper.scorekeeper import SCOREKEEPER_GROUP, Scorekeeper, ScorekeeperConfig
from model.metrics.drift import Drift, DriftConfig
from model.metrics.live import PublishedList, Scoreboard, ScoreboardConfig
from streams.kafka.clients import producer
from streams.reading.reader import EventReader
from streams.records.records import ModelVersion
from streams.redis.connection import connect
from streams.registry.versions import Lineage, VersionStore
from streams.state.pointer import ModelStanding
from streams.state.quality import QualityShelf, find_quality, find_series
from streams.state.store import ModelPointer, State

CONFIG = ScorekeeperConfig(
    late_s=0.3, write_s=0.1, point_s=0.2, board=ScoreboardConfig(renew_every=1), drift=DriftConfig(min_tests=20)
)


@pytest.fixture
def installation(install):
    """Return an installation with two partitions, with nothing running."""
    return install()


@asynccontextmanager
async def keeping(installation, config=CONFIG):
    """Run a scorekeeper of this process during the block; the end is as sudden for it as a kill."""
    keeper = Scorekeeper(installation.settings, config)
    running = asyncio.create_task(keeper.run())
    try:
        yield keeper
        assert not running.done(), running.result()
    finally:
        while (
            not running.done()
        ):  # one cancellation may be lost in a library that is connecting; disconnecting takes time
            running.cancel()
            await asyncio.wait([running], timeout=20)


def send(installation, topic, key, value, at_ms):
    """Send a record with a Kafka timestamp of our choice; a mapping becomes JSON."""
    body = orjson.dumps(value) if isinstance(value, dict) else value
    name = installation.settings.prefix + topic
    installation.producer.send(name, key=key.encode(), value=body, timestamp_ms=at_ms)


def a_watch(user, item, rec_id=None):
    """Return the fields of a watch."""
    found = {"event_id": f"{user}-{item}", "user_id": user, "item_id": item, "ts": 1, "progress": 1.0}
    return found if rec_id is None else found | {"rec_id": rec_id}


def a_list(user, items, rec_id="r", version="v1", mode="personalized"):
    """Return the fields of a list, as far as they are read."""
    fields = {"rec_id": rec_id, "user_id": user, "mode": mode, "model_version": version}
    return fields | {"items": [{"item_id": item} for item in items]}


def stored(installation):
    """Return the figures in Redis, or nothing."""
    found = find_quality(installation.redis)
    return {} if found is None else found.figures


async def reached(until, installation, tests):
    """Wait until so many tests are stored, and return the figures."""
    there = lambda: stored(installation).get("total", {}).get("tests") == tests  # noqa: E731 - a condition
    await asyncio.to_thread(until, there, 20, lambda: f"{tests} tests, got {stored(installation).get('total')}")
    return stored(installation)


async def started_once(installation, until, config=CONFIG):
    """Let a scorekeeper see that nothing is there yet, so that everything is counted from then on."""
    async with keeping(installation, config):
        await reached(until, installation, 0)


async def test_figures_by_hand(installation, until):
    """Lists and events with chosen times, sent events first, give the figures that the rules give by hand."""
    await started_once(installation, until)
    t0 = time.time_ns() // 1_000_000 - 60_000
    send(installation, "watch-events", "v", a_watch("v", "a"), t0 + 15)  # has no list
    send(installation, "watch-events", "u", a_watch("u", "b", rec_id="first"), t0 + 20)  # in place 2 of the first
    send(installation, "watch-events", "u", a_watch("u", "x"), t0 + 30)  # before the list of that millisecond: missed
    send(installation, "watch-events", "u", a_watch("u", "c"), t0 + 40)  # in place 1 of the second
    send(installation, "watch-events", "w", a_watch("w", "a"), t0 + 45)  # not listed, but popular
    send(installation, "watch-events", "u", a_watch("u", "b"), t0 + 50)  # known
    send(installation, "watch-events", "u", b"torn", t0 + 60)
    send(installation, "recommendations", "u", a_list("u", "ab", "first"), t0 + 10)
    send(installation, "recommendations", "u", a_list("u", "c", "second", version="v2"), t0 + 30)
    send(installation, "recommendations", "w", a_list("w", "z", mode="cold_start", version=None), t0 + 5)
    send(installation, "recommendations", "w", b"{}", t0 + 6)
    installation.producer.flush(30)
    async with keeping(installation) as keeper:
        figures = await reached(until, installation, 4)
        assert keeper.report.bad == 2
    total = figures["total"]
    assert (total["named"], total["hits"], total["popularity_hits"], total["apart"]) == (1, 2, 1, 3)
    assert (total["gain"], total["popularity_gain"]) == pytest.approx((1 / log2(3) + 1, 1.0))
    assert figures["latest"] == total
    groups = {(one["version"], one["mode"]): one["total"]["tests"] for one in figures["versions"]}
    assert groups == {("v1", "personalized"): 2, ("v2", "personalized"): 1, (None, "cold_start"): 1}
    points = find_series(installation.redis)
    assert [(point.tests, point.hit_rate, point.popularity_hit_rate) for point in points] in ([], [(4, 0.5, 0.25)])


async def test_the_catalogue_says_what_is_one_item_and_what_lists_may_hold(installation, until):
    """An event by the earlier id is a hit of a list with the one of today; a hidden item is no test and not popular."""
    described = {"title": "A film"}
    catalogue = [("new", {"was": ["old"]}), ("hot", {"hidden": True}), ("other", {})]
    installation.send_all("catalog-items", [(key, {"item_id": key, **described, **more}) for key, more in catalogue])
    await started_once(installation, until)
    t0 = time.time_ns() // 1_000_000 - 60_000
    for at, user in enumerate("vwx"):
        send(installation, "watch-events", user, a_watch(user, "hot"), t0 + at)
    send(installation, "recommendations", "u", a_list("u", ["new", "other"]), t0 + 10)
    send(installation, "watch-events", "u", a_watch("u", "hot"), t0 + 20)
    send(installation, "watch-events", "u", a_watch("u", "old"), t0 + 30)
    send(installation, "watch-events", "u", a_watch("u", "new"), t0 + 40)  # known: the same item
    send(installation, "watch-events", "u", a_watch("u", "other"), t0 + 50)
    installation.producer.flush(30)
    async with keeping(installation):
        total = (await reached(until, installation, 2))["total"]
    assert (total["hits"], total["gain"], total["popularity_hits"]) == (2, pytest.approx(1 + 1 / log2(3)), 0)


def a_stream(n, seed):
    """Return n records in order of time: lists of random items for random users, on two sides, and watches."""
    rng = np.random.default_rng(seed)
    t0 = time.time_ns() // 1_000_000 - 600_000
    records = []
    for at in range(t0, t0 + n):
        user = f"u{rng.integers(30)}"
        if rng.random() < 0.4:
            items = tuple(f"i{item}" for item in rng.permutation(60)[:10])
            arm = "a" if int(user[1:]) % 2 else "b"
            records.append(PublishedList(f"r{at}", user, at, "personalized", f"v{rng.integers(3)}", items, "x", arm))
        else:
            records.append((user, f"i{rng.integers(60)}", at))
    return records


def send_record(installation, record):
    """Send a list or a watch of a stream."""
    if isinstance(record, PublishedList):
        fields = a_list(record.user_id, record.items, record.rec_id, record.version)
        fields |= {"experiment": record.experiment, "arm": record.arm}
        send(installation, "recommendations", record.user_id, fields, record.at_ms)
    else:
        user, item, at = record
        send(installation, "watch-events", user, a_watch(user, item), at)


async def test_restarts_count_nothing_twice_and_nothing_never(installation, until):
    """Killed again and again in the middle of a stream, scorekeepers together count what one scoreboard counts."""
    await started_once(installation, until)
    stream = a_stream(1500, seed=4)
    for first in range(0, 1500, 300):
        for record in stream[first : first + 300]:
            send_record(installation, record)
        installation.producer.flush(30)
        counted = stored(installation)["total"]["tests"]
        async with keeping(installation, replace(CONFIG, write_s=0.0)):
            more = lambda n=counted: stored(installation)["total"]["tests"] > n  # noqa: E731 - a condition
            await asyncio.to_thread(until, more, 20, lambda: "something counted")
    board = Scoreboard(CONFIG.board)
    for record in stream:
        if isinstance(record, PublishedList):
            board.add_list(record)
        else:
            board.add_event(*record)
    assert board.total.tests > 300
    async with keeping(installation):
        assert await reached(until, installation, board.total.tests) == board.describe()
    fields = installation.redis.hgetall("{quality:live}:users")
    users = {tuple(who.split("\n")): tuple(orjson.loads(counts)) for who, counts in fields.items() if who != "at_ms"}
    assert users == board.take_users().users


async def test_what_a_kill_left_is_made_good(installation, until):
    """A rollback that was not announced is announced at the start, unless another serves since; lost figures return."""
    await started_once(installation, until)
    config = replace(CONFIG, rewrite_s=0.2)
    client = connect(installation.settings.redis, prefix=installation.settings.prefix)
    state = State(client)
    left = ModelVersion("v1", "rolled_back", None, "file:///v1", 5)
    await state.move_model(ModelPointer("v1", "file:///v1", 5), announcing=left)
    await state.move_model(ModelPointer("v2", "file:///v2", 6))
    is_done = lambda: not installation.redis.hexists("model:current", "announcing")  # noqa: E731 - a condition
    for statuses in ([], ["rolled_back"]):
        async with keeping(installation, config):
            await asyncio.to_thread(until, is_done, 20, lambda: "nothing left to announce")
            installation.redis.delete("quality:live")
            await reached(until, installation, 0)
        assert [value["status"] for value in installation.values("model-versions")] == statuses
        await state.move_model(ModelPointer("v1", "file:///v1", 5), announcing=left)
    await client.aclose()


async def test_what_was_measured_outlives_a_restart_that_reads_nothing_again(installation, until):
    """Popularity hit one of two tests; a scorekeeper that starts without its counts stores the very same figures."""
    await started_once(installation, until)
    t0 = time.time_ns() // 1_000_000 - 60_000
    send(installation, "watch-events", "v", a_watch("v", "hot"), t0)
    send(installation, "recommendations", "u", a_list("u", "ab"), t0 + 1)
    send(installation, "watch-events", "u", a_watch("u", "hot"), t0 + 2)
    send(installation, "watch-events", "u", a_watch("u", "a"), t0 + 3)
    installation.producer.flush(30)
    async with keeping(installation) as first:
        figures = await reached(until, installation, 2)
    assert (figures["latest"]["hits"], figures["latest"]["popularity_hits"]) == (1, 1)
    left = find_quality(installation.redis)
    is_written = lambda: find_quality(installation.redis).at_ms > left.at_ms  # noqa: E731 - a condition
    async with keeping(installation, replace(CONFIG, refill=0)) as second:
        await asyncio.to_thread(until, is_written, 20, lambda: "nothing written")
        assert replace(find_quality(installation.redis), at_ms=left.at_ms) == left
        assert second._counting.guard._tests == first._counting.guard._tests


async def test_what_was_there_before_the_first_start_is_learnt_and_not_counted(installation, until):
    """A list from before is tested by an event from after; an event from before is not counted, but its item known."""
    t0 = time.time_ns() // 1_000_000 - 60_000
    send(installation, "recommendations", "u", a_list("u", "ab"), t0)
    send(installation, "watch-events", "u", a_watch("u", "a"), t0 + 1)
    installation.producer.flush(30)
    await started_once(installation, until)
    send(installation, "watch-events", "u", a_watch("u", "a"), t0 + 2)
    send(installation, "watch-events", "u", a_watch("u", "b"), t0 + 3)
    installation.producer.flush(30)
    async with keeping(installation):
        figures = await reached(until, installation, 1)
    assert (figures["total"]["hits"], figures["total"]["gain"]) == (1, 1 / log2(3))


async def test_topics_made_anew_are_counted_from_their_first_record(installation, until):
    """Figures of topics with other ids hold positions of those: all five records of the new ones are counted."""
    await started_once(installation, until)
    t0 = time.time_ns() // 1_000_000 - 60_000
    send(installation, "recommendations", "u", a_list("u", "ab"), t0)
    for n, item in enumerate("abcd"):
        send(installation, "watch-events", "u", a_watch("u", item), t0 + 1 + n)
    installation.producer.flush(30)
    client = connect(installation.settings.redis, prefix=installation.settings.prefix)
    left = find_quality(installation.redis)
    assert set(left.topics) == set(left.offsets)
    far = {topic: dict.fromkeys(partitions, 5) for topic, partitions in left.offsets.items()}
    other = dict.fromkeys(left.topics, "00000000-0000-0000-0000-00000000cafe")
    await QualityShelf(client).write(replace(left, began=far, offsets=far, topics=other))
    await client.aclose()
    async with keeping(installation) as keeper:
        assert (await reached(until, installation, 4))["total"]["hits"] == 2
        assert (keeper.report.records, keeper.report.lost) == (5, 0)


async def test_the_group_is_told_that_markers_are_done(installation):
    """After a committed and an aborted transaction, and silence, what is committed is the end of the partition."""
    topic = f"{installation.settings.prefix}watch-events"
    transactional = producer(installation.settings, transactional_id=topic)
    reader = EventReader(installation.settings, SCOREKEEPER_GROUP)
    await transactional.start()
    await reader.start()
    try:
        async with keeping(installation), asyncio.timeout(60):
            for end in (transactional.commit_transaction, transactional.abort_transaction):
                await transactional.begin_transaction()
                await transactional.send_and_wait(topic, orjson.dumps(a_watch("u", "a")), key=b"u", partition=0)
                await end()
            while await reader._consumer.committed(TopicPartition(topic, 0)) != 4:  # noqa: ASYNC110 - a broker
                await asyncio.sleep(0.1)
    finally:
        await reader.stop()
        await transactional.stop()


def two_versions(installation, promoted_at):
    """Store a version and its child, let the child serve, and return both ids."""
    archive = VersionStore(installation.settings.registry)
    ids = [None]
    for n in range(2):
        lineage = Lineage(ids[-1], {"hr@10": 0.5}, {}, n, 0, "test")
        ids.append(archive.put({"content.json": b"%d" % n}, {}, lineage).version_id)
    serve(installation, ids[2], promoted_at)
    return ids[1:]


def serve(installation, version, promoted_at):
    """Move the pointer as somebody else would."""
    pointer = {"version": version, "uri": f"file:///{version}", "promoted_at": promoted_at}
    installation.redis.hset("model:current", mapping=pointer)


def measure_by(installation, anchor):
    """Note by which version the one that serves is measured."""
    installation.redis.hset("model:current", "standing", ModelStanding(anchor).encode())


def send_lost(installation, version, t0, item, users=30):
    """Send lists that miss what all their users touch next, which popularity knows after the first of them."""
    for user in range(users):
        send(installation, "recommendations", f"u{user}", a_list(f"u{user}", "z", f"u{user}@{t0}", version), t0)
    installation.producer.flush(30)
    for user in range(users):
        send(installation, "watch-events", f"u{user}", a_watch(f"u{user}", item), t0 + 1 + user)
    installation.producer.flush(30)


async def test_a_version_that_drifts_gives_way_to_its_anchor(installation, until):
    """What is behind popularity is rolled back and announced; its anchor begins anew, and is withdrawn if it drifts."""
    await started_once(installation, until)
    t0 = time.time_ns() // 1_000_000 - 60_000
    anchor, later = two_versions(installation, t0)
    measure_by(installation, anchor)
    send_lost(installation, later, t0, "a")
    send_lost(installation, anchor, t0 + 100, "b")  # from before its new turn
    pointer = lambda: installation.redis.hgetall("model:current")  # noqa: E731 - asked again and again
    async with keeping(installation) as keeper:
        await asyncio.to_thread(until, lambda: pointer()["version"] == anchor, 20, lambda: f"{anchor}, got {pointer()}")
        said = await asyncio.to_thread(
            installation.await_value, "model-versions", lambda value: value["status"] == "rolled_back"
        )
        await reached(until, installation, 60)
        settled = lambda: "announcing" not in pointer()  # noqa: E731 - a condition
        await asyncio.to_thread(until, settled, 20, lambda: "a note that it was announced")
        assert (keeper.report.rolled_back, keeper.report.withdrawn) == (1, 0)
    metrics = said["metrics"]
    assert (said["version"], said["parent"]) == (anchor, None)
    assert said["uri"] == pointer()["uri"] == VersionStore(installation.settings.registry).read(anchor).uri
    assert 20 <= metrics["tests"] <= 30
    assert (metrics["hit_rate"], metrics["popularity_hit_rate"]) == (0.0, 1 - 1 / metrics["tests"])
    assert metrics["z"] == pytest.approx(-sqrt(metrics["tests"] - 1))
    assert said["cause"].startswith(f"{later} drifted: its personalised lists hit 0 of the latest ")
    assert f"its anchor {anchor} serves again" in said["cause"]
    assert "standing" not in pointer()
    send_lost(installation, anchor, int(pointer()["promoted_at"]) + 1, "c")
    async with keeping(installation) as keeper:
        said = await asyncio.to_thread(
            installation.await_value, "model-versions", lambda value: value["status"] == "withdrawn"
        )
        await reached(until, installation, 90)
        await asyncio.to_thread(until, settled, 20, lambda: "a note that it was said")
        assert (keeper.report.rolled_back, keeper.report.withdrawn) == (0, 1)
        no_version = lambda: keeper.report.model_version is None  # noqa: E731 - a condition
        await asyncio.to_thread(until, no_version, 20, lambda: f"no version, got {keeper.report}")
    assert (said["version"], said["uri"], pointer()["version"]) == (anchor, None, "")
    assert "it is its own anchor, so nothing serves" in said["cause"]
    assert [record.key for record in installation.records("model-versions")] == [b"current", b"current"]


async def test_without_a_guard_nothing_is_rolled_back(installation, until):
    """With the guard off a version that drifts serves on, though its tests are counted and speak against it."""
    config = replace(CONFIG, guard=False)
    await started_once(installation, until, config)
    t0 = time.time_ns() // 1_000_000 - 60_000
    _, child = two_versions(installation, t0)
    send_lost(installation, child, t0, "a")
    async with keeping(installation, config) as keeper:
        await reached(until, installation, 30)
        await asyncio.sleep(5 * CONFIG.write_s)
        assert keeper._counting.guard.judge(child, t0) is not None
    assert installation.redis.hget("model:current", "version") == child
    assert installation.values("model-versions") == []


async def test_an_anchor_that_is_gone_is_said(installation, until):
    """Where the anchor was deleted nothing serves, and the announcement says why."""
    await started_once(installation, until)
    t0 = time.time_ns() // 1_000_000 - 60_000
    anchor, later = two_versions(installation, t0)
    measure_by(installation, anchor)
    VersionStore(installation.settings.registry).remove(anchor)
    send_lost(installation, later, t0, "a")
    async with keeping(installation):
        said = await asyncio.to_thread(installation.await_value, "model-versions", lambda _: True)
    assert (said["status"], said["version"]) == ("withdrawn", later)
    assert f"its anchor cannot serve (registry {VersionStore(installation.settings.registry).url}" in said["cause"]
    assert f"got {anchor!r}" in said["cause"]
    assert installation.redis.hget("model:current", "version") == ""


async def test_whoever_moves_the_pointer_meanwhile_wins(installation):
    """A version chosen between the verdict and the rollback serves on, and nothing is announced."""
    _, child = two_versions(installation, 5)
    keeper = Scorekeeper(installation.settings, CONFIG)
    await keeper._state.install()
    stale = ModelPointer(child, "file:///child", 5)
    serve(installation, "v000009-00000000", 6)
    await keeper._guarding.answer(Drift(child, 30, 0, 29, 29), stale)
    assert installation.redis.hget("model:current", "version") == "v000009-00000000"
    assert installation.values("model-versions") == []
    assert not installation.redis.hexists("model:current", "announcing")
    await keeper._client.aclose()


def test_the_command_counts_and_there_is_one(installation, until):
    """`reelstream scorekeeper` shows signs of life, a second one is refused, and SIGTERM ends it with 0."""
    with installation.process("scorekeeper") as first, installation.process("scorekeeper") as second:
        first_says = lambda: ".ready" in first.said() or ".ready" in second.said()  # noqa: E731 - a condition
        until(first_says, 60, lambda: first.said() + second.said())
        keeper, refused = (first, second) if ".ready" in first.said() else (second, first)
        assert refused.child.wait(30) == 1
        assert "an installation has one" in refused.said()
        until(lambda: installation.reports("scorekeeper"), 20, lambda: "a sign of life")
        assert installation.redis.exists("quality:live")
        assert keeper.terminate(10) == 0
        assert "Traceback" not in keeper.said()
