"""Records read once more: a stretch of one topic partition, and how far a consumer group has come.

The consumer is of no group, so it moves nobody's position.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import KafkaError

from streams.kafka.clients import admin, consumer
from streams.kafka.kafka_errors import cluster_error
from streams.reading.unreadable import get_many
from streams.records.decoding import RawRecord
from streams.records.positions import TopicPartition
from streams.settings import Settings

__all__ = ["READ_UNCOMMITTED", "RangeReader", "committed_offsets", "range_reader"]

READ_UNCOMMITTED = "read_uncommitted"

_WAIT_MS = 500


async def committed_offsets(
    settings: Settings, group: str, topic_partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the offset of the next record that a group has to read in each partition; 0 where it never committed.

    Parameters
    ----------
    group : consumer group with the prefix.
    topic_partitions : topics with the prefix, and partitions.
    """
    wanted = [ClientPartition(topic, partition) for topic, partition in topic_partitions]
    client = admin(settings)
    try:
        await client.start()
        found = await client.list_consumer_group_offsets(group, partitions=wanted)
    except KafkaError as error:
        raise cluster_error(error, f"group {group}: its offsets are required from {settings.kafka}") from error
    finally:
        await client.close()
    return {(at.topic, at.partition): max(0, found[at].offset) if at in found else 0 for at in wanted}


class RangeReader:
    """Reads stretches of topic partitions, one after the other; made by ``range_reader``."""

    def __init__(self, reading: AIOKafkaConsumer) -> None:
        self._reading = reading

    async def first_kept(self, topic_partition: TopicPartition) -> int:
        """Return the first offset of a partition that the topic still holds."""
        at = ClientPartition(*topic_partition)
        kept = await self._reading.beginning_offsets([at])
        return int(kept[at])

    async def end(self, topic_partition: TopicPartition) -> int:
        """Return the offset after the last record of a partition."""
        at = ClientPartition(*topic_partition)
        ends = await self._reading.end_offsets([at])
        return int(ends[at])

    async def records(
        self, topic_partition: TopicPartition, first: int, end: int, most: int
    ) -> AsyncIterator[list[RawRecord]]:
        """Give the records from offset ``first`` up to, not including, ``end``, in batches of at most ``most``.

        An offset that holds no committed record gives none, and neither does one that the topic no longer or not yet
        holds.
        """
        at = ClientPartition(*topic_partition)
        self._reading.assign([at])
        self._reading.seek(at, max(first, await self.first_kept(topic_partition)))
        ends = await self._reading.end_offsets([at])
        end = min(end, ends[at])
        while await self._reading.position(at) < end:
            found = await get_many("reading again", self._reading, at, timeout_ms=_WAIT_MS, max_records=most)
            records = [RawRecord.of(one) for one in found.get(at, ()) if one.offset < end]
            if records:
                yield records


@asynccontextmanager
async def range_reader(settings: Settings, **options: Any) -> AsyncIterator[RangeReader]:
    """Connect for the block.

    Parameters
    ----------
    settings : where the cluster is.
    options : of the consumer; by default only committed records are seen, and ends lie before open transactions.

    Raises
    ------
    ClusterAway
        If the cluster cannot serve for now.
    TopicError
        If it refuses, or a batch cannot be read.
    """
    reading = consumer(settings, **options)
    try:
        await reading.start()
        yield RangeReader(reading)
    except KafkaError as error:
        raise cluster_error(error, f"reading again: a Kafka cluster is required at {settings.kafka}") from error
    finally:
        await reading.stop()
