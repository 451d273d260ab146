"""Every event that there is, for a rebuild: from the archive what Kafka no longer holds, and then from Kafka.

Reading is split by partition into lanes, so that one lane's events are decoded while Redis applies another's. Nothing
here knows Redis; the caller says where to begin.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import KafkaError

from model.kinds import DEFAULT_KINDS, KindTable
from streams.archive.parquet import EventArchive
from streams.errors import TopicError
from streams.kafka import topics
from streams.kafka.clients import consumer
from streams.reading.unreadable import get_many
from streams.records.decoding import RawRecord, decode_batch
from streams.records.positions import TopicPartition
from streams.records.records import EventRecord, Origin, Withdrawal
from streams.settings import Settings

__all__ = [
    "ArchiveLane",
    "KafkaLane",
    "LaneEvents",
    "PartitionOffsets",
    "event_topic_partitions",
    "missing_offsets",
    "nested",
]

PartitionOffsets = Mapping[TopicPartition, int]
LaneEvents = Sequence[tuple[Origin, EventRecord]]
_WAIT_MS = 500
_FETCH_BYTES = 4 * 1024 * 1024  # of one partition at once: about 20,000 events


def event_topic_partitions(settings: Settings) -> tuple[TopicPartition, ...]:
    """Return every partition of the event topics, named with the prefix."""
    return tuple(
        (settings.prefix + topic, partition) for topic in topics.EVENTS for partition in range(settings.partitions)
    )


def missing_offsets(wanted: PartitionOffsets, kept: PartitionOffsets) -> dict[TopicPartition, int]:
    """Return how many offsets lie between what is wanted next and what is still kept, where there are any."""
    return {
        topic_partition: kept[topic_partition] - offset
        for topic_partition, offset in wanted.items()
        if kept[topic_partition] > offset
    }


class KafkaLane:
    """The events of some partitions of all event topics, in order within each.

    Parameters
    ----------
    settings : where the topics are.
    partitions : which ones.
    """

    def __init__(self, settings: Settings, partitions: Collection[int]) -> None:
        self._settings = settings
        self._topic_partitions = {
            ClientPartition(topic, partition): (topic, partition)
            for topic, partition in event_topic_partitions(settings)
            if partition in partitions
        }
        self._consumer: Any = None
        self._next: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connect; raise TopicError if there is no cluster."""
        with _reached(self._settings):
            self._consumer = consumer(self._settings, auto_offset_reset="none", max_partition_fetch_bytes=_FETCH_BYTES)
            await self._consumer.start()
            self._consumer.assign(list(self._topic_partitions))

    async def stop(self) -> None:
        """Disconnect, also where ``start`` never came to it."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def bounds(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Return the first offset that each partition still keeps, and the one after its last record."""
        with _reached(self._settings):
            kept = await self._consumer.beginning_offsets(list(self._topic_partitions))
            ends = await self._consumer.end_offsets(list(self._topic_partitions))
        return _by_topic_partition(kept), _by_topic_partition(ends)

    def seek(self, offsets: PartitionOffsets) -> None:
        """Go on from these offsets."""
        for at, topic_partition in self._topic_partitions.items():
            self._next[topic_partition] = offsets[topic_partition]
            self._consumer.seek(at, offsets[topic_partition])

    def left(self, below: PartitionOffsets) -> int:
        """Return how many offsets lie before these ones."""
        return sum(
            max(0, below[topic_partition] - self._next[topic_partition])
            for topic_partition in self._topic_partitions.values()
        )

    async def read(self, below: PartitionOffsets, most: int) -> tuple[LaneEvents, int] | None:
        """Return the next events before these offsets and how many records they were; None at the end.

        Bad records are left out: the worker has made them dead letters.
        """
        wanted = [
            at
            for at, topic_partition in self._topic_partitions.items()
            if self._next[topic_partition] < below[topic_partition]
        ]
        if not wanted:
            return None
        with _reached(self._settings):
            found = await get_many("rebuild", self._consumer, *wanted, timeout_ms=_WAIT_MS, max_records=most)
            records = [
                RawRecord.of(one)
                for at, batch in found.items()
                for one in batch
                if one.offset < below[self._topic_partitions[at]]
            ]
            for at in wanted:
                await self._move(at, below[self._topic_partitions[at]])
        return decode_batch(records, self._settings.prefix, self._settings.kinds).events, len(records)

    async def _move(self, at: ClientPartition, end: int) -> None:
        stands = await self._consumer.position(at)
        if stands > end:
            self._consumer.seek(at, end)
        self._next[self._topic_partitions[at]] = min(stands, end)


class ArchiveLane:
    """The archived events of some partitions, one partition of one topic after the other.

    Parameters
    ----------
    archive : where from.
    partitions : which ones.
    begin, below : first offset wanted, and the one to end before, of each partition.
    most : events of a batch.
    kinds : of events that there are; others are left out, as they are on the topics.
    """

    def __init__(
        self,
        archive: EventArchive,
        partitions: Collection[int],
        begin: PartitionOffsets,
        below: PartitionOffsets,
        most: int,
        kinds: KindTable = DEFAULT_KINDS,
    ) -> None:
        self._kinds = kinds
        self._batches: Iterator[LaneEvents] = archive.read_events(
            nested(begin), below=nested(below), topics={topic for topic, _ in below}, partitions=partitions, most=most
        )

    async def read(self) -> LaneEvents | None:
        """Return the next events, of one partition of one topic; None at the end."""
        events = await asyncio.to_thread(next, self._batches, None)
        return events and [pair for pair in events if isinstance(pair[1], Withdrawal) or self._kinds.find(pair[1].kind)]


def nested(offsets: PartitionOffsets) -> dict[str, dict[int, int]]:
    """Return offsets as the archive takes them: topic to partition to offset."""
    by_topic = groupby(sorted(offsets.items()), key=lambda found: found[0][0])
    return {topic: {topic_partition[1]: offset for topic_partition, offset in found} for topic, found in by_topic}


def _by_topic_partition(offsets: Mapping[Any, int]) -> dict[TopicPartition, int]:
    return {(at.topic, at.partition): offset for at, offset in offsets.items()}


class _reached:  # noqa: N801 - reads as a word in `with`
    """Turn a failure of Kafka inside the block into one line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, KafkaError):
            raise TopicError(
                f"rebuild: the event topics are required from {self._settings.kafka}, got {error!r}; "
                "run the same command again to go on"
            ) from error
