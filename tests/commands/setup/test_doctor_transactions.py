"""``reelstream doctor`` and transactions: one that stays open is told with its partition and cure, others are not."""

import threading

import pytest
from kafka import KafkaProducer, TopicPartition

from streams.diagnosis.transactions import (
    FAULT,
    FAULTY_LEVELS,
    _finding,
    _Holder,
    look_at_transactions,
    look_at_versions,
    newest_level,
)
from streams.kafka.clients import blocking_admin
from streams.kafka.topics import create_topics
from streams.settings import Settings

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


@pytest.mark.parametrize(
    ("holder", "severity", "found", "cure"),
    [
        (None, "warning", "in two looks 5 s apart", "`kafka-transactions.sh find-hanging`"),
        (_Holder(1000, "PrepareCommit", 0, 60.0), "warning", "open since 1970-01-01 00:00:00 UTC", "of 60 s"),
        (_Holder(1000, "CompleteCommit", -1, 60.0), "error", "its coordinator says CompleteCommit", "run 4.2"),
        (_Holder(1000), "warning", "its last record is of 1970-01-01 00:00:01 UTC", "run 4.2"),
    ],
)
def test_what_is_told_by_what_is_known(holder, severity, found, cure):
    """A transaction that its coordinator has ended is an error; every finding names the fault and how to end it."""
    told = _finding(TopicPartition("watch-events", 3), 12, 7, holder, 5.0)
    assert told.check == "open transactions watch-events 3"
    assert told.severity == severity
    assert told.found.startswith("up to 12 records wait behind an open transaction at offset 7")
    assert found in told.found
    assert FAULT in told.cure
    assert cure in told.cure
    assert "abort --topic watch-events --partition 3 --start-offset 7`, which drops its records" in told.cure
