"""``reelstream doctor`` and transactions: one that stays open is told with its partition and cure, others are not."""

import threading
import time

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import ProducerState, TransactionDescription, TransactionState

from streams.diagnosis.transactions import (
    FAULT,
    FAULTY_LEVELS,
    MENDED,
    _finding,
    _Holder,
    _holder,
    look_at_transactions,
    look_at_versions,
    newest_level,
)
from streams.kafka.clients import blocking_admin
from streams.kafka.topics import create_topics
from streams.settings import Settings
from streams.stack.local import open_stack

APART_S = 0.5


@pytest.fixture
def settings(stack, topic_prefix):
    """Return the settings of an installation with topics of two partitions."""
    made = Settings(stack.kafka, stack.redis, "unused", topic_prefix, 2, 1)
    create_topics(made)
    return made


@pytest.fixture
def look(settings):
    """Return a function that looks at transactions as the doctor does, with two looks half a second apart."""
    admin = blocking_admin(settings, "test")
    topics = {one["name"]: one for one in admin.describe_topics()}
    yield lambda: list(look_at_transactions(admin, topics, settings, APART_S))
    admin.close()


@pytest.fixture
def producer(settings):
    """Return a producer that may begin a transaction."""
    made = KafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.prefix}t", transaction_timeout_ms=60_000
    )
    made.init_transactions()
    yield made
    made.close(timeout=1.0)


def test_an_open_transaction_is_told_until_it_ends(settings, look, producer):
    """Partition, records behind, since when, timeout and cure are told; after its end all reach the end again."""
    (before,) = look()
    assert (before.severity, before.found) == ("ok", "committed readers reach the end of 10 partitions")
    producer.begin_transaction()
    for _ in range(3):
        producer.send(f"{settings.prefix}rate-events", b"x", partition=1).get(30)
    producer.send(f"{settings.prefix}data-requests", b"x", key=b"u", partition=0).get(30)
    producer.send(f"{settings.prefix}catalog-items", b"x", key=b"i", partition=0).get(30)  # is not looked at
    found = {one.check.removeprefix(f"open transactions {settings.prefix}"): one for one in look()}
    assert set(found) == {"rate-events 1", "data-requests 0"}
    told = found["rate-events 1"]
    assert told.severity == "warning"
    assert told.found.startswith(
        "up to 3 records wait behind an open transaction at offset 0, in two looks 0.5 s apart; "
    )
    assert "open since 20" in told.found
    assert told.found.endswith(" UTC (Ongoing)")
    assert "its timeout of 60 s" in told.cure
    assert f"--topic {settings.prefix}rate-events --partition 1 --start-offset 0`" in told.cure
    producer.commit_transaction()
    (after,) = look()
    assert after.severity == "ok"


def test_transactions_that_come_and_go_are_not_told(settings, look, producer):
    """Where one transaction follows another, committed readers move on, and nothing is told."""
    ends = threading.Event()

    def write():
        while not ends.is_set():
            producer.begin_transaction()
            producer.send(f"{settings.prefix}watch-events", b"x", partition=0).get(30)
            producer.commit_transaction()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        severities = {one.severity for _ in range(5) for one in look()}
    finally:
        ends.set()
        writer.join()
    assert severities == {"ok"}


def test_brokers_that_leave_transactions_open_are_told(settings):
    """The brokers tell their level of metadata.version, and a warning comes with those of Kafka 4.3 and 4.4 alone."""
    admin = blocking_admin(settings, "test")
    level, found = newest_level(admin), list(look_at_versions(admin))
    admin.close()
    assert level >= 7  # of Kafka 3.3, the first with it
    assert [one.severity for one in found] == (["warning"] if level in FAULTY_LEVELS else [])


@pytest.fixture
def left_behind(stack, topic_prefix, tmp_path):
    """Return settings, look and a producer whose committed transaction was left open in partition 0.

    The broker takes a record of a partition that its producer has not named to the coordinator: brokers before 3.6
    take each, and so does one that is told not to verify. No marker comes there with the commit.
    """
    properties = {"transaction.partition.verification.enable": "false"}
    with open_stack(tmp_path / "stack", redis=stack.redis, properties=properties) as own:
        settings = Settings(own.addresses.kafka, stack.redis, "unused", topic_prefix, 2, 1)
        create_topics(settings)
        topic = f"{settings.prefix}watch-events"
        made = KafkaProducer(bootstrap_servers=settings.kafka, transactional_id="t", transaction_timeout_ms=60_000)
        made.init_transactions()
        made.begin_transaction()
        made.send(topic, b"x", partition=1).get(30)
        made._transaction_manager._partitions_in_transaction.add(TopicPartition(topic, 0))
        made.send(topic, b"x", partition=0).get(30)
        made.commit_transaction()
        admin = blocking_admin(settings, "test")
        while admin.describe_transactions(["t"])["t"].state is TransactionState.PREPARE_COMMIT:
            time.sleep(0.05)
        topics = {one["name"]: one for one in admin.describe_topics()}
        yield settings, lambda: list(look_at_transactions(admin, topics, settings, APART_S)), made
        admin.close()
        made.close(timeout=1.0)


def test_what_a_producer_left_behind_is_no_present_transaction(left_behind):
    """Also while its producer is in another, whose state and start are not those of the one that stays."""
    settings, look, producer = left_behind
    topic = f"{settings.prefix}watch-events"
    (ended,) = look()
    assert "its coordinator says CompleteCommit" in ended.found
    producer.begin_transaction()
    producer.send(topic, b"x", partition=1).get(30)
    found = {one.check.removeprefix(f"open transactions {topic} "): one for one in look()}
    assert (found["0"].severity, found["1"].severity) == ("error", "warning")
    assert "; its producer is in a transaction without this partition, its last record is of 20" in found["0"].found
    assert "open since" not in found["0"].found
    assert found["0"].cure.startswith("nobody will end it: end it with")
    assert "open since 20" in found["1"].found
    producer.commit_transaction()


PLACE = TopicPartition("watch-events", 3)
STOOD_BEFORE = ProducerState(7, 4, 0, 1000, 0, 7)  # epoch 4


@pytest.mark.parametrize(
    ("state", "epoch", "partitions", "known"),
    [
        (TransactionState.ONGOING, 4, {PLACE}, _Holder(1000, "Ongoing", 2000, 60.0)),
        (TransactionState.ONGOING, 5, {PLACE}, _Holder(1000, "Ongoing", None, 60.0)),  # it will be ended with that one
        (TransactionState.ONGOING, 4, set(), _Holder(1000, "Ongoing", 2000, 60.0, is_left=True)),
        (TransactionState.PREPARE_ABORT, 5, {PLACE}, _Holder(1000, "PrepareAbort", None, 60.0)),  # the end adds one
        (TransactionState.COMPLETE_ABORT, 4, set(), _Holder(1000, "CompleteAbort", 2000, 60.0)),
    ],
)
def test_whose_an_open_transaction_is(state, epoch, partitions, known):
    """It is its producer's present one, or is ended with that, if that is in the partition; it began then by epoch."""
    present = TransactionDescription(1, state, 7, epoch, 60_000, 2000, partitions)
    assert _holder(PLACE, STOOD_BEFORE, present) == known


@pytest.mark.parametrize("is_faulty", [False, True])
@pytest.mark.parametrize(
    ("holder", "severity", "found", "cure"),
    [
        (None, "warning", "in two looks 5 s apart", "`kafka-transactions.sh find-hanging`"),
        (_Holder(1000, "PrepareCommit", 0, 60.0), "warning", "open since 1970-01-01 00:00:00 UTC (Prep", "of 60 s"),
        (_Holder(1000, "Ongoing", None, 60.0), "warning", "last record is of 1970-01-01 00:00:01 UTC (Ong", "of 60 s"),
        (
            _Holder(1000, "Ongoing", 0, 60.0, is_left=True),
            "error",
            "is in a transaction without this",
            "send them again",
        ),
        (
            _Holder(1000, "CompleteCommit", None, 60.0),
            "error",
            "its coordinator says CompleteCommit",
            "send them again",
        ),
        (_Holder(1000), "warning", "its last record is of 1970-01-01 00:00:01 UTC", "send them again"),
    ],
)
def test_what_is_told_by_what_is_known(holder, severity, found, cure, is_faulty):
    """A transaction that its coordinator has ended is an error; findings say how to end it, and the fault if any."""
    told = _finding(PLACE, 12, 7, holder, 5.0, is_faulty=is_faulty)
    assert told.check == "open transactions watch-events 3"
    assert told.severity == severity
    assert told.found.startswith("up to 12 records wait behind an open transaction at offset 7")
    assert found in told.found
    assert (FAULT in told.cure) is is_faulty
    assert ("nobody will end it" in told.cure) is not is_faulty
    nobody_ends = holder is not None and "of 60 s" not in told.cure
    assert told.cure.endswith(MENDED) is (is_faulty and nobody_ends)
    assert cure in told.cure
    assert "abort --topic watch-events --partition 3 --start-offset 7`, which drops its records" in told.cure
