"""Events that withdrawals take back, read again from a real Kafka."""

import logging

import pytest

from streams.kafka.clients import blocking_producer
from streams.kafka.topics import create_topics
from streams.records.codec import encode
from streams.records.records import Origin, Watch, Withdrawal
from streams.settings import Settings
from streams.stack import open_stack
from streams.state.store import State
from streams.withdrawals.originals import OriginalEvents

TS = 1_700_000_000_000


def watches(first, n):
    """Return watches of ann among those of as many others; each names the offset that it will have."""
    return [Watch(f"e{at}", "ann" if at % 2 else f"u{at}", f"i{at}", TS + at, 0.9) for at in range(first, first + n)]


def send(settings, events):
    """Send events as one batch."""
    producer = blocking_producer(settings, "test", linger_ms=200)
    for one in events:
        producer.send(f"{settings.prefix}watch-events", encode(one), one.user_id.encode(), timestamp_ms=one.ts)
    producer.flush(30)
    producer.close()


async def taken_back(settings, client, events, offsets):
    """Apply events, and a batch of withdrawals of those at some offsets; return the profile, and what found them."""
    name, state = f"{settings.prefix}watch-events", State(client)
    await state.install()
    await state.apply([(Origin(name, 0, at, one.ts), one, ()) for at, one in enumerate(events)])
    originals = OriginalEvents(settings, state, lambda _: (), "worker")
    await originals.apply(
        [
            (Origin(name, 0, len(events) + n, TS), Withdrawal(f"w{at}", "ann", TS, f"e{at}"), ())
            for n, at in enumerate(offsets)
        ]
    )
    return (await state.profiles(["ann"]))["ann"], originals


async def test_neighbours_are_read_together(stack, topic_prefix, client, caplog):
    """Two hundred events that lie near each other cost one read, and one that lies far off another."""
    settings = Settings(stack.kafka, stack.redis, "unused", prefix=topic_prefix, partitions=1)
    create_topics(settings)
    events = watches(0, 601)
    send(settings, events)
    caplog.set_level(logging.DEBUG, "streams.withdrawals.originals")
    found, originals = await taken_back(settings, client, events, [*range(599, 199, -2), 1])
    assert (found.watches, originals.unreadable) == (300 - 201, 0)
    reads = [one for one in caplog.messages if one.startswith("worker.reading_withdrawn")]
    assert [one.partition("[0] ")[2] for one in reads] == ["from 1 to 1", "from 201 to 599"]


@pytest.fixture
def broker(tmp_path):
    """Return a broker that only one test uses."""
    with open_stack(tmp_path / "own", redis="redis://unused", report=lambda _: None) as stack:
        yield stack.brokers[0]


async def test_a_torn_batch_keeps_no_neighbour_from_being_read(broker, topic_prefix, client, caplog):
    """Of three batches the damaged one cannot be read; what lies before and behind it is taken back all the same."""
    settings = Settings(broker.address, "redis://unused", "unused", prefix=topic_prefix, partitions=1)
    create_topics(settings)
    events = watches(0, 12)
    for first in (0, 4, 8):
        send(settings, events[first : first + 4])
    broker.stop(15.0)
    (segment,) = (broker.data / f"{topic_prefix}watch-events-0").glob("*.log")
    content = bytearray(segment.read_bytes())
    content[content.rindex(b'"e5"')] ^= 1
    segment.write_bytes(content)
    broker.restart()
    found, originals = await taken_back(settings, client, events, [3, 5, 9, 11])
    assert (found.watches, originals.unreadable) == (6 - 3, 1)
    assert "the event at offset 5 is no longer in the topic, or cannot be read" in caplog.text
