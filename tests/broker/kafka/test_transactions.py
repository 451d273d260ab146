"""Transactions through a worker: what was aborted never happened, and what is open delays nothing but its partition."""

import itertools
import logging

import orjson
import pytest
from kafka import KafkaProducer, TopicPartition

from streams.kafka.clients import blocking_consumer
from streams.reading.catalogue import CatalogueFeed
from streams.reading.range_reader import range_reader
from streams.reading.reader import EventReader
from streams.rebuild.rebuild import Rebuild
from streams.redis.connection import connect

TS = 1_700_000_000_000
ABORTED = "aborted-film"


def watch(event_id, user, item):
    """Return a watch event."""
    return {"event_id": event_id, "user_id": user, "item_id": item, "ts": TS, "progress": 1.0}


class Transactions:
    """Transactional producers of one installation."""

    def __init__(self, installation):
        self._installation = installation
        self._names = itertools.count()
        self._producers = []

    def producer(self):
        """Return a producer that may begin a transaction."""
        settings = self._installation.settings
        made = KafkaProducer(
            bootstrap_servers=settings.kafka,
            transactional_id=f"{settings.prefix}{next(self._names)}",
            transaction_timeout_ms=60_000,
        )
        made.init_transactions()
        self._producers.append(made)
        return made

    def send(self, producer, topic, key, value, partition=None):
        """Send one record and wait until the broker has it: an abort drops what is not sent yet."""
        name = self._installation.settings.prefix + topic
        producer.send(name, key=key.encode(), value=orjson.dumps(value), partition=partition).get(30)

    def close(self):
        """Disconnect; what is open is left to the broker."""
        for producer in self._producers:
            producer.close(timeout=1.0)


@pytest.fixture(scope="module")
def running(install):
    """Return an installation with a catalogue of three films and a worker on it, and a transactional producer."""
    installation = install()
    films = [(f"i{n}", {"item_id": f"i{n}", "title": f"Film {n}", "genres": ["Drama"]}) for n in range(3)]
    installation.send_all("catalog-items", films)
    transactions = Transactions(installation)
    with installation.process("worker", "--id", "w") as worker:
        worker.await_ready()
        yield installation, transactions, worker
    transactions.close()


def lag(installation, topic):
    """Return how many offsets of each partition of a topic the workers' group has not committed."""
    settings = installation.settings
    consumer = blocking_consumer(settings, "test", group_id=settings.prefix + "reelstream-worker")
    places = [TopicPartition(settings.prefix + topic, partition) for partition in range(settings.partitions)]
    ends = consumer.end_offsets(places)
    found = [end - (consumer.committed(at) or 0) for at, end in ends.items()]
    consumer.close()
    return found


def test_two_hundred_transactions_leave_no_lag_and_no_word(running, until):
    """200 transactions of one event to one partition: 160 count, 40 aborted do not, lag is 0 and nothing is mended."""
    installation, transactions, worker = running
    producer = transactions.producer()
    for n in range(200):
        producer.begin_transaction()
        transactions.send(producer, "watch-events", "t", watch(f"t{n}", "t", f"i{n % 3}"), partition=0)
        if n % 5 == 4:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    until(lambda: lag(installation, "watch-events") == [0, 0], 5, lambda: lag(installation, "watch-events"))
    assert installation.counts("watches")["t"] == 160
    assert sum(installation.item_counts("watches").values()) == 160
    assert "mend" not in worker.said()
    assert "WARNING" not in worker.said().partition("worker.ready")[2]


def test_a_film_and_a_request_of_an_aborted_transaction_never_were(running, until):
    """An aborted film is in no list and no look-up, and an aborted request is not answered; committed ones are."""
    installation, transactions, _ = running
    producer = transactions.producer()
    for outcome, film in ((producer.abort_transaction, ABORTED), (producer.commit_transaction, "kept-film")):
        producer.begin_transaction()
        transactions.send(producer, "catalog-items", film, {"item_id": film, "title": film, "genres": ["Drama"]})
        for user in ("a1", "a2"):
            transactions.send(producer, "watch-events", user, watch(f"{film}-{user}", user, film))
        asked = {"request_id": film, "user_id": "t", "k": 5}
        transactions.send(producer, "recommendation-requests", "t", asked)
        outcome()
    answered = installation.await_value("recommendations", lambda found: "request_id" in found["trigger"])
    assert answered["trigger"] == {"request_id": "kept-film"}
    until(lambda: "kept-film" in installation.redis.hkeys("catalog:items"), 20, lambda: "the committed film")
    installation.send_all("watch-events", [("a3", watch("after", "a3", "i0"))])
    found = installation.await_value("recommendations", lambda value: value["user_id"] == "a3")
    assert ABORTED not in {item["item_id"] for item in found["items"]}
    assert ABORTED not in installation.redis.hkeys("catalog:items")
    assert installation.counts("watches")["a1"] == 1
    assert installation.item_counts("watches").get(ABORTED) is None
    for topic in ("watch-events", "recommendation-requests"):
        until(lambda topic=topic: lag(installation, topic) == [0, 0], 5, lambda: "no lag")


@pytest.fixture
def opened(running):
    """Return the installation while a transaction is open in both partitions of both event topics and the catalogue."""
    installation, transactions, _ = running
    producer = transactions.producer()
    producer.begin_transaction()
    for partition in (0, 1):
        transactions.send(producer, "watch-events", "o", watch(f"open{partition}", "o", "i0"), partition=partition)
        rated = {"event_id": f"open{partition}", "user_id": "o", "item_id": "i0", "ts": TS, "rating": 4}
        transactions.send(producer, "rate-events", "o", rated, partition=partition)
        film = {"item_id": "open-film", "title": "Open"}
        transactions.send(producer, "catalog-items", "open-film", film, partition=partition)
    yield installation
    producer.abort_transaction()


async def test_nobody_waits_for_an_open_transaction(opened, redis_url, caplog):
    """The catalogue, all that a start waits for, events, a stretch read again and a rebuild end before it at once."""
    settings = opened.settings
    feed = CatalogueFeed(settings, lambda _: None)
    await feed.start()
    assert "open-film" not in feed.catalogue
    assert "kept-film" in feed.catalogue
    await feed.stop()

    reader = EventReader(settings, "test")
    await reader.start()
    await reader.seek({})
    seen = [record for _ in range(4) for record in await reader.read(5000, 1.0)]
    assert b"open" not in b"".join(record.value for record in seen)
    assert await reader.lag() == 0
    await reader.stop()

    async with range_reader(settings) as again:
        place = settings.prefix + "watch-events", 0
        read = [record async for batch in again.records(place, 0, 10_000, 1000) for record in batch]
        assert all(b"open" not in record.value for record in read)

    target = connect(redis_url)
    rebuild = Rebuild(settings, target)
    try:
        await rebuild.start()
        done = await rebuild.replay()
        assert done.records == len(seen)
    finally:
        await rebuild.stop()
        await target.aclose()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
