"""One record that a real broker refuses, among many that it takes: exactly that one is told, the others arrive."""

import logging
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from streams.errors import TopicError
from streams.kafka import sender
from streams.kafka.sender import Delivery, OutgoingRecord
from streams.settings import Settings

LARGE = b"x" * 3000  # a batch of one is larger than SMALL takes
SMALL = {"max.message.bytes": "2000"}


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """Let kafka-python's own errors about refusals be; they are what is expected here."""
    caplog.set_level(logging.CRITICAL, "kafka")


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings with topics of two partitions for small records, for compaction, and for anything."""
    settings = Settings(stack.kafka, stack.redis, "unused", topic_prefix)
    shapes = {"small": SMALL, "compacted": {"cleanup.policy": "compact"}, "plain": {}}
    with closing(KafkaAdminClient(bootstrap_servers=stack.kafka)) as admin:
        admin.create_topics(
            {
                topic_prefix + name: {"num_partitions": 2, "replication_factor": 1, "configs": configs}
                for name, configs in shapes.items()
            },
            wait_for_metadata=True,
        )
    return settings


def outgoing(settings, topic, name, value=b"v", *, key=b"k", partition=0):
    """Return a record known by its name, which is its value too unless another is given."""
    body = name.encode() if value == b"v" else value
    return OutgoingRecord(settings.prefix + topic, name, key, body, partition=partition)


def sent(settings, records):
    """Deliver records and return what became of them."""
    with Delivery(settings, "test", 10.0, linger_ms=10) as delivery:
        for record in records:
            delivery.send(record)
        delivery.flush()
    return delivery


def arrived(settings, topic):
    """Return the values of a topic by partition."""
    places = [TopicPartition(settings.prefix + topic, partition) for partition in (0, 1)]
    with closing(KafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest")) as consumer:
        consumer.assign(places)
        ends, found = consumer.end_offsets(places), {0: [], 1: []}
        while any(consumer.position(at) < end for at, end in ends.items()):
            for at, batch in consumer.poll(timeout_ms=100).items():
                found[at.partition] += [record.value.decode() for record in batch]
    return found


def test_records_too_large_for_their_topic_are_told_and_all_others_arrive_in_order(settings):
    """Of 600 records on two topics, two of them too large, 598 arrive once in order and the two are named."""
    # The records 0..599 go in turn to partition 0 and 1 of the small topic; 100 and 400 are too large for it. A third
    # of those in between goes to another topic, which a spent producer would fail as well.
    records = []
    for n in range(600):
        topic = "plain" if n % 3 == 2 else "small"
        value = LARGE if n in {100, 400} else b"v"
        records.append(outgoing(settings, topic, str(n), value, partition=n % 2))
    delivery = sent(settings, records)
    assert [one.record.name for one in delivery.refused] == ["100", "400"]
    assert all(one.reason.startswith("MessageSizeTooLargeError") for one in delivery.refused)
    assert (delivery.failed, delivery.has_given_up) == ([], False)
    for topic, rests in (("small", (0, 1)), ("plain", (2,))):
        for partition in (0, 1):
            expected = [str(n) for n in range(600) if n % 3 in rests and n % 2 == partition and n not in {100, 400}]
            assert arrived(settings, topic)[partition] == expected


def test_a_record_without_a_key_on_a_compacted_topic_is_told_with_the_brokers_reason(settings):
    """Neighbours of the same batch, which come back with it, are delivered."""
    records = [outgoing(settings, "compacted", str(n), key=None if n == 5 else b"k%d" % n) for n in range(10)]
    delivery = sent(settings, records)
    [refused] = delivery.refused
    assert refused.record.name == "5"
    assert "Compacted topic cannot accept message without key" in refused.reason
    assert arrived(settings, "compacted")[0] == [str(n) for n in range(10) if n != 5]


def test_what_the_client_itself_refuses_is_told_alike(settings):
    """A value above the client's own limit of a mebibyte does not leave the machine, and its neighbours do."""
    records = [outgoing(settings, "plain", str(n), b"x" * 1_100_000 if n == 1 else b"v") for n in range(3)]
    delivery = sent(settings, records)
    assert [one.record.name for one in delivery.refused] == ["1"]
    assert "larger than the maximum request size" in delivery.refused[0].reason
    assert arrived(settings, "plain")[0] == ["0", "2"]


def test_where_everything_is_refused_sending_ends(settings, monkeypatch):
    """After five refusals in a row, the limit of this test, the rest counts as failed and nothing is sent any more."""
    monkeypatch.setattr(sender, "MAX_REFUSED", 5)
    delivery = sent(settings, [outgoing(settings, "small", str(n), LARGE) for n in range(20)])
    assert delivery.has_given_up
    assert [one.record.name for one in delivery.refused] == ["0", "1", "2", "3", "4"]
    assert sorted(int(one.record.name) for one in delivery.failed) == list(range(5, 20))
    assert arrived(settings, "small") == {0: [], 1: []}


def test_an_unknown_topic_is_an_error_with_its_cure(settings, monkeypatch):
    """It is no fault of the record, and a later one would not fare better."""
    monkeypatch.setattr("streams.kafka.clients.METADATA_MS", 500)
    with pytest.raises(TopicError, match=r"must take records, got .*topics create"):
        sent(settings, [outgoing(settings, "absent", "1", partition=None)])
