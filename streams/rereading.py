"""Records read once more: a stretch of one topic partition, and how far a consumer group has come.

A consumer of no group and for one purpose; it moves nobody's position.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.clients import admin, consumer
from streams.errors import ClusterAway, TopicError
from streams.inbox import RawRecord
from streams.settings import Settings

__all__ = ["Place", "committed_offsets", "read_again"]

Place = tuple[str, int]


async def committed_offsets(settings: Settings, group: str, places: Iterable[Place]) -> dict[Place, int]:
    """Return the offset of the next record of each place by what a group has committed; 0 where it never did.

    Parameters
    ----------
    group : consumer group with the prefix.
    places : topics with the prefix, and partitions.
    """
    wanted = [TopicPartition(topic, partition) for topic, partition in places]
    client = admin(settings)
    try:
        await client.start()
        found = await client.list_consumer_group_offsets(group, partitions=wanted)
    except KafkaError as error:
        raise _error(error, f"group {group}: its offsets are required from {settings.kafka}") from error
    finally:
        await client.close()
    return {(at.topic, at.partition): max(0, found[at].offset) if at in found else 0 for at in wanted}


async def read_again(
    settings: Settings, place: Place, first: int, end: int, most: int
) -> AsyncIterator[list[RawRecord]]:
    """Give the records of a place from offset ``first`` up to, not including, ``end``, in batches of at most ``most``.

    Offsets that the topic no longer holds are left out.
    """
    at = TopicPartition(*place)
    async with _reading(settings) as reading:
        reading.assign([at])
        kept = await reading.beginning_offsets([at])
        reading.seek(at, max(first, kept[at]))
        while await reading.position(at) < end:
            found = await reading.getmany(at, timeout_ms=500, max_records=most)
            records = [RawRecord.of(one) for one in found.get(at, ()) if one.offset < end]
            if records:
                yield records


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    reading = consumer(settings)
    try:
        await reading.start()
        yield reading
    except KafkaError as error:
        raise _error(error, f"reading again: a Kafka cluster is required at {settings.kafka}") from error
    finally:
        await reading.stop()


def _error(error: KafkaError, required: str) -> TopicError:
    """Return our error for one of the client, which knows whether trying again may help."""
    kind = ClusterAway if error.retriable else TopicError
    return kind(f"{required}, got {error!r}")
