"""Records for one reader that owns all partitions: the trainer reads events, the scorekeeper lists as well.

Positions are managed by hand: what was read is not done until a stored version, or stored figures, contain it, so
nothing is committed by reading. The consumer group exists for the commits, which tell operators the lag.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from aiokafka import TopicPartition

from streams import topics
from streams.clients import consumer
from streams.inbox import RawRecord
from streams.reach import cluster_required
from streams.rereading import Place
from streams.settings import Settings

__all__ = ["EventReader", "Offsets"]

Offsets = Mapping[str, Mapping[int, int]]


class EventReader:
    """Reads topics, by default both of events, from chosen offsets.

    Parameters
    ----------
    settings : where the topics are.
    group : consumer group that commits are made for, without the prefix.
    names : topics to read, without the prefix; each has as many partitions as the settings say.
    role : who reads, for what is said where Kafka cannot be reached.
    """

    def __init__(
        self, settings: Settings, group: str, names: Sequence[str] = topics.EVENTS, role: str = "trainer"
    ) -> None:
        self._settings = settings
        self._group = settings.prefix + group
        self._role = role
        self._partitions = [
            TopicPartition(settings.prefix + topic, partition)
            for topic in names
            for partition in range(settings.partitions)
        ]

    async def start(self) -> None:
        """Connect; reading begins where ``seek`` says."""
        self._consumer = consumer(self._settings, group_id=self._group)
        with cluster_required(self._role, self._settings):
            await self._consumer.start()
        self._consumer.assign(self._partitions)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def seek(self, offsets: Offsets, back: int = 0) -> None:
        """Stand at these offsets, or ``back`` records before them in each partition.

        A partition without an offset, and one whose offset is no longer kept, starts at its first record.
        """
        first = await self._consumer.beginning_offsets(self._partitions)
        for at in self._partitions:
            wanted = offsets.get(at.topic, {}).get(at.partition, 0)
            self._consumer.seek(at, max(first[at], wanted - back))

    async def read(
        self, most: int, timeout_s: float, below: Offsets | None = None, without: Collection[Place] = ()
    ) -> list[RawRecord]:
        """Return the next records, in order within each partition; none if nothing came in time.

        Parameters
        ----------
        most : records at most.
        below : read only records before these offsets.
        without : topic partitions to be left alone this time.
        """
        wanted = self._partitions if below is None else await self._short_of(below)
        wanted = [at for at in wanted if (at.topic, at.partition) not in without]
        if not wanted:
            return []
        found = await self._consumer.getmany(*wanted, timeout_ms=int(timeout_s * 1000), max_records=most)
        records: list[RawRecord] = []
        for at, batch in found.items():
            end = None if below is None else below[at.topic][at.partition]
            records += [RawRecord.of(record) for record in batch if end is None or record.offset < end]
            if end is not None and batch[-1].offset >= end:
                self._consumer.seek(at, end)
        return records

    async def is_before(self, offsets: Offsets) -> bool:
        """Return whether some partition still stands before its offset."""
        return bool(await self._short_of(offsets))

    async def bounds(self) -> tuple[Offsets, Offsets]:
        """Return the first offset of each partition that is kept, and the next one to be written."""
        first = await self._consumer.beginning_offsets(self._partitions)
        return _by_topic(first), _by_topic(await self._consumer.end_offsets(self._partitions))

    async def unread(self) -> frozenset[Place]:
        """Return the topic partitions that hold more than was read, or of which it is not known yet.

        Known is what came with the latest answer to a fetch, half a second old at most on a cluster that answers.
        """
        found = set()
        for at in self._partitions:
            end = self._consumer.highwater(at)
            if end is None or await self._consumer.position(at) < end:
                found.add((at.topic, at.partition))
        return frozenset(found)

    async def lag(self) -> int:
        """Return how many records are there to be read now."""
        ends = await self._consumer.end_offsets(self._partitions)
        return sum([max(0, end - await self._consumer.position(at)) for at, end in ends.items()])

    async def commit(self, offsets: Offsets) -> None:
        """Tell the group that everything before these offsets is done; a cancellation waits for the answer.

        A connection that is closed under a commit leaves aiokafka looking for its coordinator for good.
        """
        marks = {
            TopicPartition(topic, partition): offset
            for topic, partitions in offsets.items()
            for partition, offset in partitions.items()
        }
        committing = asyncio.ensure_future(self._consumer.commit(marks))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait({committing})
            raise

    async def _short_of(self, offsets: Offsets) -> Sequence[TopicPartition]:
        known = [at for at in self._partitions if at.partition in offsets.get(at.topic, {})]
        return [at for at in known if await self._consumer.position(at) < offsets[at.topic][at.partition]]


def _by_topic(offsets: Mapping[TopicPartition, int]) -> Offsets:
    found: dict[str, dict[int, int]] = {}
    for at, offset in offsets.items():
        found.setdefault(at.topic, {})[at.partition] = offset
    return found
