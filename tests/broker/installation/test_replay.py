from collections import defaultdict

import pandas as pd
import pytest
from kafka import KafkaConsumer, TopicPartition

from model.catalogue import Catalogue, Item
from replay.datasets.dataset import Dataset, Provenance
from replay.producer import replay, send_catalogue
from replay.schedule import Disturbance, Selection, Speed, plan
from streams.kafka.topics import create_topics
from streams.records.codec import decode_item, decode_rating, decode_watch
from streams.settings import Settings

N = 2000


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings with topics of their own."""
    settings = Settings(stack.kafka, stack.redis, "models", prefix=topic_prefix, partitions=4)
    create_topics(settings)
    return settings


@pytest.fixture
def recorded():
    """Return a log of 2,000 ratings by 50 users, one each second."""
    rows = [(f"u{i % 50}", f"i{i % 7}", 0.5 + i % 10 * 0.5, i * 1000) for i in range(N)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "ts"]).astype(
        {"user_id": object, "item_id": object}
    )
    catalogue = Catalogue.of(Item(f"i{i}", f"Film {i}", 1990 + i, ("Drama",)) for i in range(7))
    return Dataset("made", catalogue, frame, Provenance("test", "none", "0" * 64))


def read_all(settings, topic):
    """Return every record of a topic, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest", group_id=None)
    try:
        name = settings.prefix + topic
        places = [TopicPartition(name, p) for p in consumer.partitions_for_topic(name)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        missing = sum(consumer.end_offsets(places).values())
        found = []
        while len(found) < missing:
            for records in consumer.poll(timeout_ms=1000).values():
                found.extend(records)
        return found
    finally:
        consumer.close()


def test_the_catalogue_arrives_whole(settings, recorded):
    """Every item is on catalog-items under its id when the call returns."""
    assert send_catalogue(settings, recorded.catalogue) == 7
    arrived = {
        record.key.decode(): decode_item(record.key, record.value) for record in read_all(settings, "catalog-items")
    }
    assert arrived == dict(recorded.catalogue.items)


def test_every_event_arrives_once_in_its_users_order(settings, recorded):
    """2,000 ratings arrive, each user's in one partition and in the order of the log."""
    sent = replay(settings, plan(recorded))
    assert (sent.events, sent.errors, sent.interrupted, sent.topics) == (N, 0, False, {"rate-events": N})
    arrived = read_all(settings, "rate-events")
    users = defaultdict(list)
    places = defaultdict(set)
    for record in arrived:
        rating = decode_rating(record.value)
        assert record.key.decode() == rating.user_id
        users[rating.user_id].append(rating.ts)
        places[rating.user_id].add(record.partition)
    assert users == {f"u{u}": [i * 1000 for i in range(u, N, 50)] for u in range(50)}
    assert all(len(found) == 1 for found in places.values())


def test_copies_and_late_events_are_counted_as_they_arrive(settings, recorded):
    """What the account says was sent is what the topics hold, on both topics."""
    schedule = plan(recorded, selection=Selection("both"), disturbance=Disturbance(duplicate=0.1, late=0.1, seed=2))
    sent = replay(settings, schedule)
    watches = [decode_watch(record.value) for record in read_all(settings, "watch-events")]
    ratings = [decode_rating(record.value) for record in read_all(settings, "rate-events")]
    assert sent.topics == {"watch-events": len(watches), "rate-events": len(ratings)}
    ids = [watch.event_id for watch in watches] + [rating.event_id for rating in ratings]
    assert len(ids) == sent.events == 2 * N + sent.duplicates
    assert len(set(ids)) == 2 * N
    assert sent.late == sum(planned.is_late for planned in schedule) > 0


def test_a_rate_is_kept_and_progress_told(settings, recorded):
    """500 deliveries at 1,000 a second take half a second at least, and progress is told at the 500th."""
    told = []
    schedule = plan(recorded, selection=Selection(limit=500), speed=Speed(rate=1000))
    sent = replay(settings, schedule, progress=lambda n, ts: told.append((n, ts)))
    # the last is due at 499 / 1000 = 0.499 s and may leave 2 ms early
    assert 0.497 <= sent.seconds < 10
    assert told == [(500, 499_000)]


def test_an_interrupt_ends_the_sending_with_an_account(settings, recorded):
    """Interrupted in the wait for the 101st delivery, 100 events were sent and all of them arrive."""

    def interrupt(_):
        raise KeyboardInterrupt

    def deliveries():
        yield from list(plan(recorded))[:100]
        yield from list(plan(recorded, selection=Selection(since=9000), speed=Speed(speed=1e-6)))[1:]

    sent = replay(settings, deliveries(), sleep=interrupt)
    assert (sent.events, sent.interrupted, sent.errors) == (100, True, 0)
    assert len(read_all(settings, "rate-events")) == 100
