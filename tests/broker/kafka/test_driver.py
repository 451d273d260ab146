"""Faust on our driver, in this process, against a broker of its own that is paused, cut and damaged."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from kafka import KafkaProducer, TopicPartition

from agents.archiver.archiver import Archiver
from agents.worker.fetching import FetchWatch, FetchWatchConfig
from agents.worker.recovery import StateRecovery
from agents.worker.report import WorkerReport
from streams.errors import TopicError
from streams.kafka.clients import blocking_admin, blocking_consumer
from streams.kafka.topics import create_topics
from streams.reading.app import build_app
from streams.reading.driver import LostRange
from streams.reading.reader import EventReader
from streams.settings import Settings
from streams.stack import open_stack

CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """Return a broker that only the tests of this file use."""
    with open_stack(tmp_path_factory.mktemp("own"), redis="redis://unused", report=lambda _: None) as stack:
        yield stack.brokers[0]


@pytest.fixture
def settings(broker, topic_prefix):
    """Return settings of topics that a test has to itself."""
    made = Settings(broker.address, "redis://unused", "/unused", prefix=topic_prefix, partitions=1)
    create_topics(made)
    return made


@asynccontextmanager
async def consuming(settings, prepare=lambda _: None, most=512):
    """Run an app that takes every record of ``watch-events`` and acknowledges it; gives what it took and why it ended.

    In ``taken`` are the offset of each record, and the offset from which on the driver says that nothing lies before.
    A fetch gives at most ``most`` records. While ``may_ack`` is not set what the first gave waits.
    """
    found = SimpleNamespace(applied=2, taken=[], ended=[], app=None, may_ack=asyncio.Event())
    found.may_ack.set()

    async def applied(_):
        return found.applied

    app = found.app = build_app(settings, found.ended.append, applied)
    app.conf.broker_max_poll_records = most
    prepare(app)

    async def take(stream):
        stream.enable_acks = False
        async for event in stream.events():
            for at in event.message.records:
                found.taken.append((at.offset, app.consumer.follows(at.topic, at.partition, at.offset)))
            await found.may_ack.wait()
            await stream.ack(event)

    topic = app.topic(settings.prefix + "watch-events", value_type=bytes, value_serializer="raw")
    app.agent(topic, name="take", concurrency=1)(take)
    async with asyncio.timeout(60):
        await app.start()
    try:
        yield found
    finally:
        await app.stop()


async def eventually(condition, within_s, wanted):
    """Wait for a condition; fail with what was wanted when the time is over."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s} s: {wanted}"
        await asyncio.sleep(0.05)


def watches(settings):
    """Return the one partition of ``watch-events``."""
    return TopicPartition(settings.prefix + "watch-events", 0)


def send(settings, values, partition=None, **options):
    """Send values outside of a transaction, as one producer with these options."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, acks="all", linger_ms=50, **options)
    for value in values:
        producer.send(watches(settings).topic, value=value, partition=partition)
    producer.close()


def transact(settings, n, name):
    """Send n transactions of one record; every fifth is aborted. They take the even offsets from where it ends."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, transactional_id=f"{settings.prefix}{name}")
    producer.init_transactions()
    for number in range(n):
        producer.begin_transaction()
        producer.send(watches(settings).topic, value=b"%d" % number).get(10)  # an abort drops what is not sent yet
        if number % 5 == 4:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    producer.close()


class Group:
    """What the worker's group has committed of a topic, and where the topic ends."""

    def __init__(self, settings):
        self._at = watches(settings)
        self._consumer = blocking_consumer(settings, "test", group_id=settings.prefix + "reelstream-worker")

    def lag(self):
        """Return how many offsets lie between the two; None where nothing was committed."""
        committed = self._consumer.committed(self._at)
        return None if committed is None else self._consumer.end_offsets([self._at])[self._at] - committed

    def close(self):
        """Disconnect."""
        self._consumer.close()


@pytest.fixture
def group(settings):
    """Return the group of this test's topic."""
    made = Group(settings)
    yield made
    made.close()


async def test_a_broker_slower_than_a_request_s_timeout_at_a_rebalance_delays_and_no_more(settings, broker):
    """Committed offsets that come late are waited for; Faust alone would read nothing ever again."""
    paused = []

    def prepare(app):
        app.conf.broker_request_timeout = 6.0  # that of a session, the least there may be

        @app.on_rebalance_complete.connect(weak=False)
        async def pause_once(*_, **__):
            if not paused:
                paused.append(True)
                broker.pause()
                asyncio.get_running_loop().call_later(8, broker.resume)

    send(settings, [b"one"])
    async with consuming(settings, prepare=prepare) as found:
        await eventually(lambda: found.taken, 30, "the record that waits")
    assert paused


async def test_lag_reaches_zero_behind_transactions_and_aborted_records_are_not_taken(settings, group):
    """Of 50 transactions of one record the 40 committed ones are taken, and within 5 s nothing is left to commit."""
    # Each takes an offset for its record and one for its marker, so every record but the first follows a gap: of one
    # offset behind a committed and of three behind an aborted one, and the driver explains them all.
    async with consuming(settings) as found:
        await asyncio.to_thread(transact, settings, 50, "t")
        committed = [2 * number for number in range(50) if number % 5 != 4]
        await eventually(lambda: len(found.taken) == 40, 20, "40 records")
        await eventually(lambda: group.lag() == 0, 5, "no lag")
        assert [offset for offset, _ in found.taken] == committed
        followed = [0, *(offset + 1 for offset in committed[:-1])]
        assert [follows for _, follows in found.taken] == followed
        assert found.ended == []


async def test_a_group_that_starts_behind_markers_alone_commits_its_way_through(settings, group):
    """A topic that holds nothing but an aborted record and its marker has no lag either."""
    await asyncio.to_thread(transact, settings, 5, "committed")
    async with consuming(settings) as found:
        await eventually(lambda: len(found.taken) == 4, 20, "4 records")
        await eventually(lambda: group.lag() == 0, 5, "no lag")


async def test_an_open_transaction_delays_what_is_behind_it_and_is_no_lag(settings, group):
    """A record behind an open transaction is taken when that ends, not before; until then the group is at the end."""
    await asyncio.to_thread(send, settings, [b"before"])
    open_one = KafkaProducer(bootstrap_servers=settings.kafka, transactional_id=f"{settings.prefix}open")
    open_one.init_transactions()
    open_one.begin_transaction()
    open_one.send(watches(settings).topic, value=b"open").get(10)
    await asyncio.to_thread(send, settings, [b"behind"])
    async with consuming(settings) as found:
        await eventually(lambda: found.taken, 20, "the first record")
        await eventually(lambda: group.lag() == 0, 5, "no lag")
        assert [offset for offset, _ in found.taken] == [0]
        at = watches(settings)
        assert found.app.consumer.done_to()[at.topic, at.partition] == 1
        open_one.commit_transaction()
        await eventually(lambda: len(found.taken) == 3, 10, "the others")
        assert [offset for offset, _ in found.taken] == [0, 1, 2]
        await eventually(lambda: group.lag() == 0, 5, "no lag")
        assert found.app.consumer.done_to()[at.topic, at.partition] == 4  # behind the marker
    open_one.close()


async def test_all_codecs_are_taken(settings):
    """Batches of gzip, snappy, lz4 and zstd arrive whole and in order."""
    for codec in CODECS:
        await asyncio.to_thread(send, settings, [b"x" * 100] * 5, compression_type=codec)
    async with consuming(settings) as found:
        await eventually(lambda: len(found.taken) == 20, 20, "20 records")
        assert [offset for offset, _ in found.taken] == list(range(20))


async def test_offsets_that_left_retention_are_told_and_the_rest_is_taken(settings, group):
    """Committed up to 3, of ten more records the first five deleted: five are told to be gone, five are taken."""
    await asyncio.to_thread(send, settings, [b"x"] * 3)
    async with consuming(settings):
        await eventually(lambda: group.lag() == 0, 20, "no lag")
    await asyncio.to_thread(send, settings, [b"x"] * 10)
    admin = blocking_admin(settings, "test")
    admin.delete_records({watches(settings): 8})
    admin.close()
    async with consuming(settings) as found:
        await eventually(lambda: len(found.taken) == 5, 20, "5 records")
        assert found.taken == [(offset, offset) for offset in range(8, 13)]  # before 8 nothing is claimed to be empty
        assert found.app.consumer.take_lost() == [LostRange((watches(settings).topic, 0), 3, 8)]
        assert found.app.consumer.take_lost() == []


async def test_a_topic_that_is_made_anew_with_less_ends_the_worker(settings, group):
    """A topic made anew under a worker, with fewer records than it has read, is one line that names both offsets."""
    await asyncio.to_thread(send, settings, [b"x"] * 3)
    async with consuming(settings) as found:
        await eventually(lambda: group.lag() == 0, 20, "no lag")
        admin = blocking_admin(settings, "test")
        admin.delete_topics([watches(settings).topic])
        admin.close()
        await asyncio.to_thread(create_topics, settings)
        await asyncio.to_thread(send, settings, [b"x"])
        await eventually(lambda: found.ended, 20, "an end")
        assert f"{watches(settings).topic}[0] must hold what the group has read, up to offset 3" in str(found.ended[0])
        assert re.search(r"got a topic that ends at [01]: it was made anew", str(found.ended[0]))
        assert len(found.taken) == 3


async def test_an_offset_of_an_earlier_topic_is_dropped_where_the_state_is_of_this_one(settings, group):
    """Where the state knows nothing of what the group had read, the topic that was made anew is read from its start."""
    await asyncio.to_thread(send, settings, [b"x"] * 3)
    async with consuming(settings) as found:
        await eventually(lambda: group.lag() == 0, 20, "no lag")
        found.applied = -1
        admin = blocking_admin(settings, "test")
        admin.delete_topics([watches(settings).topic])
        admin.close()
        await asyncio.to_thread(create_topics, settings)
        await asyncio.to_thread(send, settings, [b"y"])
        await eventually(lambda: len(found.taken) == 4, 40, "the new record")
        assert found.taken[-1] == (0, 0)
        assert found.ended == []


async def test_a_frozen_leader_shows_by_offset_and_age_and_ends_the_worker(settings, broker):
    """A paused broker stalls the partition; it ends the worker only where the cluster has answered for as long."""
    await asyncio.to_thread(send, settings, [b"x"] * 3)
    async with consuming(settings) as found:
        await eventually(lambda: len(found.taken) == 3, 20, "3 records")
        recovery = StateRecovery(settings, "unused", None, frozenset, None)
        quick = FetchWatchConfig(shown_s=2.5, ends_s=4.0)
        reports = report, silent, asleep = WorkerReport(), WorkerReport(kafka_away_s=5.0), WorkerReport()
        watch, waiting, sleeper = (
            FetchWatch(settings, quick, lambda: found.app.consumer, recovery, one) for one in reports
        )
        await watch.look()
        await sleeper.look()
        assert report.stalled == []
        broker.pause()
        try:
            await asyncio.sleep(3.0)
            await watch.look()
            assert [(one.partition, one.offset) for one in report.stalled] == [(f"{watches(settings).topic}[0]", 3)]
            assert report.stalled[0].age_s >= 2.5
            await asyncio.sleep(2.5)
            with pytest.raises(TopicError, match=r"watch-events\[0\] at offset 3 is required within 4 s, got none for"):
                await watch.look()
            await sleeper.look()  # it has not looked for so long that it must have stood still itself
            assert asleep.stalled == []
            await waiting.look()  # a cluster that answers nobody is waited for
            silent.kafka_away_s = None
            await waiting.look()  # as is one that has just come back
            assert len(silent.stalled) == 1
        finally:
            broker.resume()
        await eventually(lambda: not found.app.consumer.stalled(2.5), 20, "fetching again")
        await watch.look()
        assert report.stalled == []


async def test_what_a_rebalance_drops_is_not_committed(settings, group):
    """Where one of three records is done when the partition is taken away, the group stays behind that one."""
    await asyncio.to_thread(send, settings, [b"x"] * 3)
    async with consuming(settings, most=1) as found:
        found.may_ack.clear()
        await eventually(lambda: found.taken, 20, "the first record")
        await asyncio.sleep(1.5)  # a fetch after that of the records: it finds none
        revoking = asyncio.ensure_future(found.app.consumer.on_partitions_revoked(found.app.consumer.assignment()))
        await asyncio.sleep(0.1)
        found.may_ack.set()
        await revoking
        await asyncio.sleep(1.5)  # the fetch that was on its way comes back
        await found.app.consumer.commit()
        assert len(found.taken) == 1
        assert group.lag() == 2


async def test_a_group_that_never_committed_seeks_to_the_first_record(settings):
    """What Faust fetched and dropped before the first commit is taken once more."""
    await asyncio.to_thread(send, settings, [b"x"] * 3)
    async with consuming(settings, most=1) as found:
        found.may_ack.clear()
        await eventually(lambda: found.taken, 20, "the first record")
        await found.app.consumer.perform_seek()
        found.may_ack.set()
        await eventually(lambda: len(found.taken) == 6, 10, "all three twice")
        assert [offset for offset, _ in found.taken] == [0, 1, 2, 0, 1, 2]


async def test_a_damaged_batch_ends_every_reader_with_its_place_and_nothing_else_is_lost(settings, broker, tmp_path):
    """Where a byte of one of five batches was changed on the disk the others are read, and a line names its place."""
    # A response of the broker holds all four partitions; what comes before the damage has been passed by the client.
    settings = replace(settings, prefix=f"{settings.prefix}damaged-", partitions=4)
    await asyncio.to_thread(create_topics, settings)
    await asyncio.to_thread(send, settings, [b"sound"] * 3, partition=0)
    await asyncio.to_thread(send, settings, [b"damaged"] * 2, partition=0)
    for partition in (1, 2, 3):
        await asyncio.to_thread(send, settings, [b"sound"] * 2, partition=partition)
    broker.stop(15.0)
    (segment,) = (broker.data / f"{watches(settings).topic}-0").glob("*.log")
    content = bytearray(segment.read_bytes())
    content[content.rindex(b"damaged")] ^= 1
    segment.write_bytes(content)
    broker.restart()
    place = f"required in {watches(settings).topic}[0] at offset 3, got Corrupt"
    reader, read = EventReader(settings, "test", role="trainer"), []

    async def read_on():
        while True:
            read.extend(await reader.read(1000, 0.25))

    await reader.start()
    await reader.seek({})
    with pytest.raises(TopicError, match=f"trainer: .*{re.escape(place)}"):
        await read_on()
    await reader.stop()
    assert len(read) == 9
    with pytest.raises(TopicError, match=f"archiver: .*{re.escape(place)}"):
        await Archiver(settings, str(tmp_path)).run()
    async with consuming(settings) as found:
        await eventually(lambda: found.ended, 60, "an end")
        assert sorted(offset for offset, _ in found.taken) == [0, 0, 0, 0, 1, 1, 1, 1, 2]
        said = str(found.ended[0])
        assert said.startswith("worker: ")
        assert place in said
        assert "kafka-delete-records.sh" in said
