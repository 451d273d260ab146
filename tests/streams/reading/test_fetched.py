"""What a fetch gave, as one message a topic, and the batches that are made of these."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from streams.reading.fetched import batches, fetched_messages, records_in
from streams.records.decoding import RawRecord
from streams.records.records import Origin


def record(topic, partition, offset, value=b"x"):
    """Return a record as aiokafka gives it, written at 1,000 ms and its offset."""
    return ConsumerRecord(topic, partition, offset, 1000 + offset, 0, b"key", value, None, 3, 1, ())


def message(n, offset=0):
    """Return an event of Faust's with n records of one partition."""
    found = {TopicPartition("watch-events", 0): [record("watch-events", 0, offset + place) for place in range(n)]}
    return SimpleNamespace(message=fetched_messages(found, 1)[0])


class Stream:
    """What a batch needs of a Faust stream: events, one after the other, and then an end or an error."""

    enable_acks = True

    def __init__(self, *events, error=None):
        self._events = events
        self._error = error

    async def events(self):
        """Give the events."""
        for event in self._events:
            yield event
        if self._error:
            raise self._error


async def sizes(stream, most, within_s=0.0):
    """Return how many records each batch holds."""
    return [len(records_in(batch)) async for batch in batches(stream, most, within_s)]


def test_a_fetch_becomes_a_message_for_each_topic():
    """Records of two partitions of a topic are one message in their order, at the place of the last; none are none."""
    found = {
        TopicPartition("watch-events", 1): [record("watch-events", 1, 7), record("watch-events", 1, 8)],
        TopicPartition("rate-events", 0): [record("rate-events", 0, 3)],
        TopicPartition("watch-events", 0): [record("watch-events", 0, 5)],
        TopicPartition("action-events", 0): [],
    }
    watches, rates = fetched_messages(found, 4)
    assert [(one.partition, one.offset) for one in watches.records] == [(1, 7), (1, 8), (0, 5)]
    assert (watches.topic, watches.partition, watches.offset, watches.generation_id) == ("watch-events", 0, 5, 4)
    assert [one.offset for one in rates.records] == [3]


@pytest.mark.parametrize("value", [b'{"a": 1}', b"\xff\x00", None])
def test_a_record_keeps_its_place_and_its_bytes(value):
    """Topic, partition, offset, key, bytes and time are those of the record in Kafka."""
    [only] = fetched_messages({TopicPartition("watch-events", 3): [record("watch-events", 3, 44, value)]}, 1)
    assert RawRecord.of(only.records[0]) == RawRecord(Origin("watch-events", 3, 44, 1044), b"key", value)


async def test_a_batch_holds_what_waits_up_to_its_size():
    """Fetches of 4, 3, 2 and 9 records, at most 8 at once: 7, as 9 were too many; 2; and 9, which nothing divides."""
    stream = Stream(message(4), message(3), message(2), message(9))
    assert await sizes(stream, 8, within_s=0.001) == [7, 2, 9]
    assert not stream.enable_acks


async def test_a_batch_that_may_not_begin_gathers_more():
    """Where fewer than 5 may not begin, fetches of 2, 2 and 1 are one batch, and what the end leaves is one more."""

    async def slowly():
        for event in (message(2), message(2), message(1), message(1)):
            await asyncio.sleep(0.01)
            yield event

    stream = Stream()
    stream.events = slowly
    found = [len(records_in(batch)) async for batch in batches(stream, 8, 0.0, lambda n: n >= 5)]
    assert found == [5, 1]


async def test_who_waits_is_woken_when_a_batch_may_begin():
    """Nothing more comes, and the two records that wait are given when it is said that they may."""
    may_begin, woken, taken = [], asyncio.Event(), []

    async def endless():
        yield message(2)
        await asyncio.sleep(60)

    stream = Stream()
    stream.events = endless

    async def take():
        found = batches(stream, 8, 0.0, lambda _: bool(may_begin), woken)
        taken.append(len(records_in(await anext(found))))

    task = asyncio.create_task(take())
    await asyncio.sleep(0.05)
    assert taken == []
    may_begin.append(True)
    woken.set()
    await asyncio.sleep(0.05)
    assert taken == [2]
    task.cancel()


async def test_what_ends_the_stream_ends_the_batches_after_what_waits():
    """What came before an error is still given, and then the error is raised; a stream that ends ends them."""
    found = batches(Stream(message(2), error=ConnectionError("gone")), 8, 0.001)
    assert len(records_in(await anext(found))) == 2
    with pytest.raises(ConnectionError, match="gone"):
        await anext(found)
    assert await sizes(Stream(), 8) == []


async def test_leaving_early_ends_the_reading():
    """Who stops taking batches leaves no task behind that goes on reading the stream."""
    before = asyncio.all_tasks()
    found = batches(Stream(message(1), message(1)), 1, 0.0)
    await anext(found)
    await found.aclose()
    assert asyncio.all_tasks() == before
