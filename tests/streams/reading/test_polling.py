"""Reading a real topic up to its end: whole, past transactions, and where a batch cannot be read or nobody answers."""

import os
import subprocess
import sys
import time
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.serializer import Deserializer

from streams.errors import TopicError
from streams.kafka.clients import blocking_consumer, blocking_producer
from streams.reading import polling
from streams.reading.polling import poll, read_up_to
from streams.settings import Settings

WITHOUT_ZSTD = """
import sys
sys.modules["zstandard"] = None  # as where the package is not installed
from streams.dead_letters.reading import LetterReader
from streams.errors import TopicError
from streams.settings import Settings
try:
    with LetterReader(Settings.from_environment()) as reader:
        print(len(list(reader.entries())))
except TopicError as error:
    print(error)
"""


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings with a topic of dead letters of three partitions."""
    with closing(KafkaAdminClient(bootstrap_servers=stack.kafka)) as admin:
        shape = {"num_partitions": 3, "replication_factor": 1, "configs": {}}
        admin.create_topics({topic_prefix + "dead-letters": shape}, wait_for_metadata=True)
    return Settings(stack.kafka, stack.redis, "unused", topic_prefix, partitions=3)


def send(settings, partition, n, **options):
    """Send n records to a partition in one batch."""
    options = {"linger_ms": 500, "batch_size": 100_000, **options}
    with closing(KafkaProducer(bootstrap_servers=settings.kafka, **options)) as producer:
        for _ in range(n):
            producer.send(settings.prefix + "dead-letters", value=b"of somebody else", partition=partition)
        producer.flush(10)


def whole(settings, partitions=(0, 1, 2), **options):
    """Read a topic to its end and return the offsets by partition."""
    places = [TopicPartition(settings.prefix + "dead-letters", partition) for partition in partitions]
    with closing(blocking_consumer(settings, "test", **options)) as consumer:
        consumer.assign(places)
        found = {partition: [] for partition in partitions}
        for batches in read_up_to(consumer, consumer.end_offsets(places), "test"):
            for at, records in batches.items():
                found[at.partition] += [record.offset for record in records]
        return found


def test_a_topic_is_read_to_its_end_and_an_open_transaction_is_not_waited_for(settings):
    """Of an aborted, a committed and an open transaction only the committed record is read, without waiting."""
    # Partition 2: a record at 0, one aborted at 1 and its marker at 2, one committed at 3 and its marker at 4, and an
    # open one at 5, which is the last stable offset and so the end.
    send(settings, 0, 5)
    send(settings, 2, 1)
    name = settings.prefix + "dead-letters"
    with closing(blocking_producer(settings, "test", transactional_id=settings.prefix)) as producer:
        producer.init_transactions()
        for end in (producer.abort_transaction, producer.commit_transaction, None):
            producer.begin_transaction()
            producer.send(name, b"x", partition=2).get(10)
            if end is not None:
                end()
        started = time.monotonic()
        assert whole(settings) == {0: [0, 1, 2, 3, 4], 1: [], 2: [0, 3]}
        assert time.monotonic() - started < 5
        producer.abort_transaction()


def test_a_batch_that_cannot_be_read_ends_a_reader_with_its_place_and_the_cure(settings):
    """Where the zstd package is missing, the reader of letters names partition 1, its batch at 4, and offset 7."""
    # Four plain records, then three in one batch of zstd: offsets 4, 5 and 6, so the next batch would begin at 7.
    send(settings, 0, 3)
    send(settings, 1, 4)
    send(settings, 1, 3, compression_type="zstd")
    send(settings, 1, 2)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ZSTD],
        env={**os.environ, **settings.environment()},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == (
        f"dead letters: a batch that can be read is required in {settings.prefix}dead-letters/1 at offset 4, got "
        "UnsupportedCodecError('Libraries for zstd compression codec not found'); install the codec's package, or "
        "give up the records before offset 7 with kafka-delete-records.sh\n"
    )


class Raising(Deserializer):
    """What none of our consumers has."""

    def deserialize(self, *_):
        """Raise."""
        raise ValueError("no")


def test_after_an_error_the_consumer_is_closed(settings):
    """A deserialiser that raises ends the first poll with the record's place, and the second poll at once."""
    send(settings, 0, 1)
    with closing(blocking_consumer(settings, "test", value_deserializer=Raising())) as consumer:
        consumer.assign([TopicPartition(settings.prefix + "dead-letters", 0)])
        with pytest.raises(TopicError, match=r"dead-letters/0 at offset 0, got ValueError\('no'\)"):
            poll(consumer, "test", 5000)
        started = time.monotonic()
        with pytest.raises(TopicError, match="KafkaConsumer is closed"):
            poll(consumer, "test", 5000)
        assert time.monotonic() - started < 1


def test_a_reading_that_does_not_move_ends(settings, monkeypatch):
    """A partition that stays before its end, as where its leader is frozen, is named after the limit, here a second."""
    monkeypatch.setattr(polling, "STALLED_S", 1.0)
    send(settings, 0, 2)
    at = TopicPartition(settings.prefix + "dead-letters", 0)
    with closing(blocking_consumer(settings, "test")) as consumer:
        consumer.assign([at])
        with pytest.raises(
            TopicError, match=r"dead-letters/0 from 2 up to 3 are required from Kafka, got none for 1 s"
        ):
            list(read_up_to(consumer, {at: 3}, "test"))
