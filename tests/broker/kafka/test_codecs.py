"""Batches of every codec from every client that we test with, through every reader of ours but Faust's.

Faust's consumer has its own test. What our own producers send is as small as its codec makes it.
"""

import asyncio
import hashlib
import os
import subprocess
from contextlib import closing
from dataclasses import replace

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from kafka import KafkaProducer, TopicPartition

from model.catalogue import Catalogue, Item
from replay.producer import replay, send_catalogue
from replay.schedule import PlannedDelivery
from streams.dead_letters.reading import LetterReader
from streams.kafka.clients import blocking_admin, blocking_consumer
from streams.kafka.topics import create_topics
from streams.reading.catalogue import CatalogueFeed
from streams.reading.polling import read_up_to
from streams.reading.range_reader import range_reader
from streams.reading.reader import EventReader
from streams.rebuild.source import KafkaLane
from streams.records.records import Rating
from streams.settings import Settings
from streams.stack.jars import find_class_path, find_java

CODECS = ("gzip", "snappy", "lz4", "zstd")
TS = 1_700_000_000_000
N = 20  # records of a batch
TOOLS_SHA256 = "894caaca48b11d351cbe1f27d58c7a3c09ff22563bf3ab4bccf1ef69933e099c"


def by_kafka_python(addresses, codec, records):
    """Send (topic, key, value) with kafka-python, compressed."""
    with closing(KafkaProducer(bootstrap_servers=addresses, compression_type=codec, linger_ms=100)) as producer:
        for topic, key, value in records:
            producer.send(topic, key=key, value=value)
        producer.flush(30)


def by_aiokafka(addresses, codec, records):
    """Send them with aiokafka."""

    async def send():
        async with AIOKafkaProducer(bootstrap_servers=addresses, compression_type=codec, linger_ms=100) as producer:
            for topic, key, value in records:
                await producer.send(topic, key=key, value=value)

    asyncio.run(send())


def by_confluent(addresses, codec, records):
    """Send them with librdkafka, to the partitions that the others choose."""
    options = {"compression.type": codec, "linger.ms": 100, "partitioner": "murmur2_random"}
    producer = Producer({"bootstrap.servers": addresses, **options})
    for topic, key, value in records:
        producer.produce(topic, key=key, value=value)
    assert producer.flush(30) == 0


def started_java(addresses, codec, topic):
    """Start the Java client, through the console producer that comes with Kafka, for records on its standard input."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - the stack needs it, other tests do not

    tools = MavenContext().project("org.apache.kafka", "kafka-tools").at_version("4.2.2").artifact().resolve()
    assert hashlib.sha256(tools.read_bytes()).hexdigest() == TOOLS_SHA256
    class_path = os.pathsep.join([find_class_path(None, print), str(tools)])
    command = [find_java(), "-XX:TieredStopAtLevel=1", "-cp", class_path, "org.apache.kafka.tools.ConsoleProducer"]
    command += ["--bootstrap-server", addresses, "--topic", topic, "--reader-property", "parse.key=true"]
    command += ["--compression-codec", codec]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def watches(prefix, client, codec):
    """Return a batch of watches, each of a user of its own."""
    return [
        (
            f"{prefix}watch-events",
            f"{client}-{codec}-{n}".encode(),
            orjson.dumps(
                {
                    "event_id": f"{client}-{codec}-{n}",
                    "user_id": f"{client}-{codec}-{n}",
                    "item_id": "i",
                    "ts": TS,
                    "progress": 1.0,
                }
            ),
        )
        for n in range(N)
    ]


def others(prefix, client, codec):
    """Return a film, and a record on ``dead-letters`` that is no letter."""
    film = {"item_id": f"{client}-{codec}", "title": "Film " * 20}
    return [
        (f"{prefix}catalog-items", f"{client}-{codec}".encode(), orjson.dumps(film)),
        (f"{prefix}dead-letters", b"k", b"of somebody else " * 20),
    ]


CLIENTS = {"kafka-python": by_kafka_python, "aiokafka": by_aiokafka, "confluent": by_confluent}
SENT = {f"{client}-{codec}-{n}" for client in (*CLIENTS, "java") for codec in CODECS for n in range(N)}


@pytest.fixture(scope="module")
def settings(stack):
    """Return settings of topics on which every client has sent batches of every codec."""
    settings = Settings(stack.kafka, "redis://unused", "unused", prefix=f"t{os.getpid()}-codecs-", partitions=2)
    create_topics(settings)
    java = {codec: started_java(stack.kafka, codec, f"{settings.prefix}watch-events") for codec in CODECS}
    for codec in CODECS:
        for client, send in CLIENTS.items():
            send(
                stack.kafka,
                codec,
                watches(settings.prefix, client, codec) + others(settings.prefix, client, codec),
            )
    for codec, child in java.items():
        lines = [key + b"\t" + value for _, key, value in watches(settings.prefix, "java", codec)]
        _, stderr = child.communicate(b"\n".join(lines), timeout=60)
        assert child.returncode == 0, stderr.decode()
    return settings


@pytest.fixture(scope="module")
def ends(settings):
    """Return the end of each partition of the watches."""
    with closing(blocking_consumer(settings, "test")) as consumer:
        places = [TopicPartition(f"{settings.prefix}watch-events", partition) for partition in (0, 1)]
        return consumer.end_offsets(places)


def users(records):
    """Return the users of watches by the JSON of their values."""
    return [orjson.loads(record.value)["user_id"] for record in records]


def test_kafka_pythons_consumer_reads_all(settings, ends):
    """Read to the end, the topic holds each of the watches once."""
    with closing(blocking_consumer(settings, "test")) as consumer:
        consumer.assign(list(ends))
        found = [
            record for batches in read_up_to(consumer, ends, "test") for some in batches.values() for record in some
        ]
    assert sorted(users(found)) == sorted(SENT)


async def test_the_reader_of_trainer_and_scorekeeper_reads_all(settings):
    """From no offsets to a lag of nothing, each of the watches comes once."""
    reader, found = EventReader(settings, "codecs"), []
    await reader.start()
    await reader.seek({})
    while await reader.lag():
        found += await reader.read(1000, 1.0)
    await reader.stop()
    assert sorted(users(found)) == sorted(SENT)


async def test_mending_and_rebuild_read_all(settings, ends):
    """Reading again and the lane of a rebuild give each of the watches once."""
    again, lane, laned = [], KafkaLane(settings, {0, 1}), []
    async with range_reader(settings) as reading:
        for at, end in ends.items():
            async for batch in reading.records((at.topic, at.partition), 0, end, 1000):
                again += batch
    assert sorted(users(again)) == sorted(SENT)
    await lane.start()
    kept, below = await lane.bounds()
    lane.seek(kept)
    while (found := await lane.read(below, 1000)) is not None:
        laned += [event.user_id for _, event in found[0]]
    await lane.stop()
    assert sorted(laned) == sorted(SENT)


async def test_the_catalogue_and_the_letters_are_read_whole(settings):
    """Of three clients and four codecs there are twelve films, and twelve records among the letters."""
    feed = CatalogueFeed(settings, lambda _: None)
    await feed.start()
    await feed.stop()
    assert {item.item_id for item in feed.catalogue} == {f"{client}-{codec}" for client in CLIENTS for codec in CODECS}
    with LetterReader(settings) as reader:
        assert (list(reader.entries()), reader.foreign) == ([], 12)


def test_our_own_producers_compress_by_a_setting(stack, topic_prefix):
    """A catalogue and a replay take less than a third of the room on the broker's disk that they take as they are."""
    # A hundred films with a title of 60 equal letters, and ratings alike but for their number: far more is to gain.
    room = {}
    for compression in ("none", *CODECS):
        settings = Settings(
            stack.kafka, "redis://unused", "unused", prefix=f"{topic_prefix}{compression}-", partitions=1
        )
        settings = replace(settings, compression=compression)
        create_topics(settings)
        send_catalogue(settings, Catalogue.of([Item(f"{n}", "F" * 60, 1990) for n in range(100)]))
        rated = (
            PlannedDelivery(0.0, "rate-events", Rating(f"e{n}", "u", "i", TS, 4.0), False, False) for n in range(500)
        )
        assert replay(settings, rated).errors == 0
        with closing(blocking_admin(settings, "test")) as admin:
            names = [f"{settings.prefix}{name}" for name in ("catalog-items", "rate-events")]
            [broker] = admin.describe_log_dirs(names)
            found = [
                (topic["name"], topic["partitions"]) for folder in broker["log_dirs"] for topic in folder["topics"]
            ]
            room[compression] = {
                name.removeprefix(settings.prefix): sum(one["partition_size"] for one in parts) for name, parts in found
            }
    for codec in CODECS:
        assert all(0 < 3 * room[codec][name] < size for name, size in room["none"].items()), room
