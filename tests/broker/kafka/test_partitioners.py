"""One user id through every client: where it lands, and that the state is right wherever that is.

Clients differ: those of the JVM and of Python hash a key by murmur2, librdkafka by crc32 unless told otherwise. So the
same user can lie on two partitions and be answered by two workers at once.
"""

import asyncio
import hashlib
import os
import subprocess
import zlib
from contextlib import closing
from dataclasses import replace

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from kafka import KafkaAdminClient, KafkaProducer
from kafka.partitioner.default import murmur2

from streams.kafka.topics import TOPICS
from streams.stack.jars import find_class_path, find_java

N_PARTITIONS = 2  # of an installation in these tests
USERS = [f"user-{n}" for n in range(30)]
TS = 1_700_000_000_000
TOOLS_SHA256 = "894caaca48b11d351cbe1f27d58c7a3c09ff22563bf3ab4bccf1ef69933e099c"


def by_kafka_python(addresses, records):
    """Send (topic, key, value) with kafka-python's defaults."""
    producer = KafkaProducer(bootstrap_servers=addresses)
    for topic, key, value in records:
        producer.send(topic, key=key, value=value)
    producer.flush(30)
    producer.close()


def by_aiokafka(addresses, records):
    """Send them with aiokafka's defaults."""

    async def send():
        async with AIOKafkaProducer(bootstrap_servers=addresses) as producer:
            for topic, key, value in records:
                await producer.send(topic, key=key, value=value)

    asyncio.run(send())


def by_confluent(addresses, records, **options):
    """Send them with librdkafka, by default with its own defaults."""
    producer = Producer({"bootstrap.servers": addresses, **options})
    for topic, key, value in records:
        producer.produce(topic, key=key, value=value)
    assert producer.flush(30) == 0


def by_confluent_murmur2(addresses, records):
    """Send them with librdkafka as docs/how-to/kafka.md recommends it."""
    by_confluent(addresses, records, partitioner="murmur2_random")


def by_java(addresses, records):
    """Send them with the Java client, through the console producer that comes with Kafka."""
    for topic in sorted({topic for topic, _, _ in records}):
        lines = [key + b"\t" + value for name, key, value in records if name == topic]
        command = [find_java(), "-cp", java_class_path(), "org.apache.kafka.tools.ConsoleProducer"]
        command += ["--bootstrap-server", addresses, "--topic", topic, "--reader-property", "parse.key=true"]
        done = subprocess.run(command, input=b"\n".join(lines), capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()


def java_class_path():
    """Return the stack's own verified jars and, of the same release, the one that holds the console tools."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - the stack needs it, other tests do not

    tools = MavenContext().project("org.apache.kafka", "kafka-tools").at_version("4.2.2").artifact().resolve()
    assert hashlib.sha256(tools.read_bytes()).hexdigest() == TOOLS_SHA256
    return os.pathsep.join([find_class_path(None, print), str(tools)])


MURMUR2 = {
    "kafka-python": by_kafka_python,
    "aiokafka": by_aiokafka,
    "confluent-murmur2": by_confluent_murmur2,
    "java": by_java,
}
CLIENTS = {**MURMUR2, "confluent": by_confluent}


def records_of(client, prefix):
    """Return what one client sends: for each user a watch and a rating of its own, and a watch that all clients send.

    The client of number c sends a watch of item c and a rating of four stars of item 10 + c; the shared watch is of
    item 9 and always has the same event id, as a retry through another client has. All times differ.
    """
    number = list(CLIENTS).index(client)
    records = []
    for user in USERS:
        own = {"user_id": user, "event_id": f"{client}/{user}/own", "item_id": f"i{number}", "ts": TS + number}
        shared = {"user_id": user, "event_id": f"{user}/shared", "item_id": "i9", "ts": TS + 9}
        rating = {"user_id": user, "event_id": f"{client}/{user}", "item_id": f"i{10 + number}", "ts": TS + 10 + number}
        for topic, event in (
            ("watch-events", {**own, "progress": 1.0}),
            ("watch-events", {**shared, "progress": 1.0}),
            ("rate-events", {**rating, "rating": 4.0}),
        ):
            records.append((prefix + topic, user.encode(), orjson.dumps(event)))
    return records


@pytest.fixture(scope="module")
def sent(install):
    """Return an installation with two workers that every client has sent to."""
    installation = install()
    films = [f"i{n}" for n in range(20)]
    installation.send_all(
        "catalog-items", [(film, {"item_id": film, "title": film, "genres": ["Drama"]}) for film in films]
    )
    with (
        installation.process("worker", "--id", "one") as first,
        installation.process("worker", "--id", "two") as second,
    ):
        first.await_ready()
        second.await_ready()
        for client, send in CLIENTS.items():
            send(installation.settings.kafka, records_of(client, installation.settings.prefix))
        yield installation
        for worker in (first, second):
            assert worker.child.poll() is None, worker.said()


@pytest.fixture(scope="module")
def landed(sent, until):
    """Return the partition of each user's own watch by client: ``landed[client][user]``."""
    n_records = 2 * len(USERS) * len(CLIENTS)
    until(lambda: len(sent.records("watch-events")) == n_records, 30, lambda: f"{n_records} watches")
    partitions = {client: {} for client in CLIENTS}
    for record in sent.records("watch-events"):
        client, *own = orjson.loads(record.value)["event_id"].split("/")
        if len(own) == 2:
            partitions[client][record.key.decode()] = record.partition
    return partitions


@pytest.mark.parametrize("client", MURMUR2)
def test_clients_that_hash_by_murmur2_agree(landed, client):
    """Every user lands on the non-negative murmur2 of the key modulo the partitions, as Kafka's protocol guide says."""
    assert landed[client] == {user: (murmur2(user.encode()) & 0x7FFFFFFF) % N_PARTITIONS for user in USERS}


def test_librdkafka_hashes_by_crc32_unless_told_otherwise(landed):
    """By default confluent-kafka puts a user on crc32 of the key modulo the partitions: elsewhere for some, not all."""
    assert landed["confluent"] == {user: zlib.crc32(user.encode()) % N_PARTITIONS for user in USERS}
    elsewhere = [user for user in USERS if landed["confluent"][user] != landed["java"][user]]
    assert 0 < len(elsewhere) < len(USERS)


def test_users_on_two_partitions_are_counted_exactly(sent, landed, until):
    """Each of five clients counts one watch and one rating of every user, and the watch they all sent counts once."""
    # So a user has 5 + 1 watches and 5 ratings that sum up to 5 * 4.0 stars; the items 0 to 4 and 9 have one watch
    # of each of 30 users and 10 to 14 one rating. Newest first the items are 14..10 (TS + 14..10), 9, and 4..0.
    assert landed["confluent"] != landed["java"]  # some users are on two partitions
    until(
        lambda: (
            sent.counts("watches") == dict.fromkeys(USERS, 6)
            and sent.counts("ratings") == dict.fromkeys(USERS, 5)
            and sent.item_counts("watches") == dict.fromkeys(["i0", "i1", "i2", "i3", "i4", "i9"], 30)
            and sent.item_counts("ratings") == {f"i{n}": 30 for n in range(10, 15)}
        ),
        60,
        lambda: f"exact counters, got {sent.counts('watches')}, {sent.item_counts('watches')}",
    )
    newest_first = ["i14", "i13", "i12", "i11", "i10", "i9", "i4", "i3", "i2", "i1", "i0"]
    for user in USERS:
        assert float(sent.redis.hget(f"user:{{{user}}}", "rating_sum")) == 20.0
        recent = [orjson.loads(entry) for entry in sent.redis.lrange(f"user:{{{user}}}:recent", 0, -1)]
        assert [entry[0] for entry in recent] == newest_first
        assert sent.redis.smembers(f"user:{{{user}}}:seen") == set(newest_first)


def test_users_on_two_partitions_get_lists_that_know_every_event(sent, landed, until):
    """The list kept for each user was made after all 11 events that count, and holds nothing touched."""
    assert landed

    def kept():
        return {user: orjson.loads(sent.redis.get(f"user:{{{user}}}:recs") or b"{}") for user in USERS}

    until(
        lambda: all(found.get("sequence") == 11 for found in kept().values()),
        30,
        lambda: f"lists of sequence 11, got {[found.get('sequence') for found in kept().values()]}",
    )
    touched = {f"i{n}" for n in (0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14)}
    assert all(touched.isdisjoint(item["item_id"] for item in found["items"]) for found in kept().values())


def grow(installation, n):
    """Give every topic but the single-partition one ``n`` partitions, as an operator would, and return the settings."""
    prefix = installation.settings.prefix
    names = [prefix + topic.name for topic in TOPICS if not topic.single]
    with closing(KafkaAdminClient(bootstrap_servers=installation.settings.kafka)) as admin:
        admin.create_partitions(dict.fromkeys(names, n))
    return replace(installation.settings, partitions=n)


def test_grown_topics_end_the_processes_and_a_restart_is_exact(install, until):
    """Topics that grow from 2 to 3 partitions end worker and trainer with the cure; started so, the state is exact."""
    # Of 60 users each has five watches before and, where the key may fall elsewhere, the last two of them again (a
    # retry) and three new ones after: 5 + 3 = 8 each, and the lists kept know all 8.
    installation = install()
    users = [f"grows-{n}" for n in range(60)]
    films = [f"i{n}" for n in range(20)]
    installation.send_all(
        "catalog-items", [(film, {"item_id": film, "title": film, "genres": ["Drama"]}) for film in films]
    )

    def watches(numbers):
        return [
            (user, {"event_id": f"{user}-{n}", "user_id": user, "item_id": f"i{n}", "ts": TS + n, "progress": 1.0})
            for user in users
            for n in numbers
        ]

    with installation.process("worker") as worker, installation.process("trainer") as trainer:
        worker.await_ready()
        trainer.await_ready()
        installation.send_all("watch-events", watches(range(5)))
        until(lambda: installation.counts("watches") == dict.fromkeys(users, 5), 40, lambda: "five watches each")
        installation.settings = grow(installation, 3)
        for process, status in ((worker, 70), (trainer, 1)):
            assert process.child.wait(30) == status, process.said()
            assert "restart all workers, the trainer and the scorekeeper with REELSTREAM_PARTITIONS=3" in process.said()
            assert "Traceback" not in process.said()
    with installation.process("worker", "--id", "a") as one, installation.process("worker", "--id", "b") as two:
        one.await_ready()
        two.await_ready()
        topic = f"{installation.settings.prefix}watch-events"
        with closing(KafkaProducer(bootstrap_servers=installation.settings.kafka, acks="all")) as producer:  # knows 3
            for user, value in watches(range(3, 8)):
                producer.send(topic, key=user.encode(), value=orjson.dumps(value))
        until(lambda: installation.counts("watches") == dict.fromkeys(users, 8), 40, lambda: "eight watches each")
        until(
            lambda: installation.item_counts("watches") == {f"i{n}": 60 for n in range(8)},
            20,
            lambda: f"sixty watches of each item, got {installation.item_counts('watches')}",
        )
        newest_first = [f"i{n}" for n in range(7, -1, -1)]
        for user in users:
            recent = [orjson.loads(entry) for entry in installation.redis.lrange(f"user:{{{user}}}:recent", 0, -1)]
            assert [entry[0] for entry in recent] == newest_first
        until(
            lambda: all(
                orjson.loads(installation.redis.get(f"user:{{{user}}}:recs") or b"{}").get("sequence") == 8
                for user in users
            ),
            20,
            lambda: "lists that know all eight",
        )
        places = {at for user in users for at in installation.redis.hkeys(f"user:{{{user}}}") if at.startswith("at:")}
        assert {at.rpartition(":")[2] for at in places} == {"0", "1", "2"}
        assert one.terminate(10) == 0
        assert two.terminate(10) == 0
