"""What a consumer sees, measured: arrival and delay from a real topic, and what was sent."""

import math
import time

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from replay.live import ConsumerLag, DeliveryCounter, LastList, ListFeed
from replay.schedule import PlannedDelivery
from streams.kafka.topics import create_topics
from streams.records.records import Rating
from streams.settings import Settings

SENT_MS = 1_000_000.0


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings with two partitions of their own."""
    settings = Settings(stack.kafka, stack.redis, "unused", topic_prefix, partitions=2)
    create_topics(settings)
    return settings


@pytest.fixture
def producer(settings):
    """Return a producer of bytes."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, acks="all")
    yield producer
    producer.close()


def a_list(user_id, sequence, items, mode="cold_start", timestamp=SENT_MS):
    """Return the JSON of a recommendation, as far as it is read here."""
    trigger = {"request_id": "r"} if timestamp is None else {"timestamp": timestamp}
    listed = [{"item_id": item} for item in items]
    fields = {"user_id": user_id, "sequence": sequence, "items": listed, "mode": mode, "model_version": None}
    return orjson.dumps({**fields, "trigger": trigger})


def rated(user_id, item_id, *, is_copy=False):
    """Return the planned delivery of a rating."""
    return PlannedDelivery(0.0, "rate-events", Rating("e", user_id, item_id, 1, 4.0), is_copy, is_late=False)


def test_the_newest_list_of_each_user_is_kept_with_its_delay(settings, producer):
    """Of three lists the older one that arrives last is passed over; two delays of 40 ms, none for a request."""
    name = settings.prefix + "recommendations"
    with ListFeed(settings, now_ms=lambda: SENT_MS + 40) as feed:
        assert all(map(math.isnan, feed.delay_ms(50, 99)))
        producer.send(name, key=b"u", value=a_list("u", 2, ["b"]))
        producer.send(name, key=b"u", value=a_list("u", 1, ["a"]))
        producer.send(name, key=b"v", value=a_list("v", 5, ["c"], "personalized", timestamp=None))
        producer.flush(10)
        deadline = time.monotonic() + 20
        while feed.received < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert feed.last == {
            "u": LastList(("b",), "cold_start", None, 2),
            "v": LastList(("c",), "personalized", None, 5),
        }
        assert feed.delay_ms(0, 100) == (40.0, 40.0)
        assert feed.modes == {"cold_start": 2, "personalized": 1}
        assert feed.users() == {"cold_start": 1, "personalized": 1}
        feed.forget_delays()
        assert math.isnan(feed.delay_ms(50)[0])


def test_deliveries_are_counted_and_copies_are_no_events():
    """Of five deliveries, one of them a copy, u has three events and w one."""
    schedule = [rated("u", "a"), rated("u", "b"), rated("u", "b", is_copy=True), rated("w", "a"), rated("u", "z")]
    count = DeliveryCounter()
    assert list(count.counting(schedule)) == schedule
    assert (count.sequence, count.sent) == ({"u": 3, "w": 1}, 5)


def test_lag_is_what_is_not_committed(settings, producer):
    """Of five records over both topics, with two of them committed, three are left."""
    watches, ratings = settings.prefix + "watch-events", settings.prefix + "rate-events"
    for _ in range(3):
        producer.send(watches, value=b"w", partition=0)
    for _ in range(2):
        producer.send(ratings, value=b"r", partition=1)
    producer.flush(10)
    lag = ConsumerLag(settings, "g")
    assert lag.now() == 5
    committer = KafkaConsumer(
        bootstrap_servers=settings.kafka, group_id=settings.prefix + "g", enable_auto_commit=False
    )
    committer.commit({TopicPartition(watches, 0): OffsetAndMetadata(2, "", -1)})
    committer.close()
    assert lag.now() == 3
    lag.close()
