"""Records for one reader that owns all partitions: the trainer reads events, the scorekeeper lists as well.

Reading commits nothing, because what was read is done only when a stored version, or stored figures, contain it. The
consumer group exists for the commits, which tell operators the lag.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from streams.kafka import topics
from streams.kafka.clients import consumer
from streams.kafka.kafka_errors import answer_required, cluster_required
from streams.reading.lag import lag_of
from streams.reading.lost_offsets import log_lost_offsets
from streams.reading.unreadable import get_many
from streams.records.decoding import RawRecord
from streams.records.positions import Offsets, TopicPartition
from streams.settings import Settings

__all__ = ["EventReader"]


class EventReader:
    """Reads topics, by default both of events, from chosen offsets.

    Wanted offsets that a topic no longer holds are logged, counted in ``lost``, and left out. While the cluster does
    not answer, questions raise ``ClusterAway`` and ``read`` returns nothing.

    Parameters
    ----------
    settings : where the topics are.
    group : consumer group that commits are made for, without the prefix.
    names : topics to read, without the prefix; each has as many partitions as the settings say.
    role : who reads, for what is said.
    cure : what follows from lost offsets, and what can be done.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        names: Sequence[str] = topics.EVENTS,
        role: str = "trainer",
        cure: str = "what they held is left out",
    ) -> None:
        self._settings = settings
        self._group = settings.prefix + group
        self._role = role
        self._cure = cure
        self._consumer: Any = None
        self._next: dict[ClientPartition, int] = {}  # the first offset that was neither read nor passed
        self.lost = 0
        self._partitions = [
            ClientPartition(settings.prefix + topic, partition)
            for topic in names
            for partition in range(settings.partitions)
        ]

    async def start(self) -> None:
        """Connect; reading begins where ``seek`` says."""
        with cluster_required(self._role, self._settings):
            self._consumer = consumer(self._settings, group_id=self._group)
            await self._consumer.start()
        self._consumer.assign(self._partitions)

    async def stop(self) -> None:
        """Disconnect, also where ``start`` never came to it."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def seek(self, offsets: Offsets, back: int = 0) -> None:
        """Stand at these offsets, or ``back`` records before them in each partition.

        A partition without an offset, and one whose offset is no longer kept, starts at its first record.
        """
        with self._asking():
            first = await self._consumer.beginning_offsets(self._partitions)
        for at in self._partitions:
            wanted = offsets.get(at.topic, {}).get(at.partition)
            if wanted is not None:
                self.note_lost((at.topic, at.partition), wanted, first[at])
            self._stand(at, max(first[at], (wanted or 0) - back))

    def note_lost(self, topic_partition: TopicPartition, wanted: int, kept: int) -> None:
        """Say and count what a partition no longer holds of what was wanted."""
        self.lost += log_lost_offsets(self._role, topic_partition, wanted, kept, self._cure)

    async def read(
        self, most: int, timeout_s: float, below: Offsets | None = None, without: Collection[TopicPartition] = ()
    ) -> list[RawRecord]:
        """Return the next records, in order within each partition; none if nothing came in time.

        Parameters
        ----------
        most : records at most.
        below : read only records before these offsets.
        without : topic partitions to be left alone this time.

        Raises
        ------
        TopicError
            If the next batch of a partition cannot be read.
        """
        wanted = self._partitions if below is None else await self._short_of(below)
        wanted = [at for at in wanted if (at.topic, at.partition) not in without]
        if not wanted:
            return []
        found = await get_many(self._role, self._consumer, *wanted, timeout_ms=int(timeout_s * 1000), max_records=most)
        await self._pass_gaps(wanted, found)
        records: list[RawRecord] = []
        for at, batch in found.items():
            end = None if below is None else below[at.topic][at.partition]
            records += [RawRecord.of(record) for record in batch if end is None or record.offset < end]
            if end is not None and batch[-1].offset >= end:
                self._stand(at, end)
        return records

    async def _pass_gaps(
        self, wanted: Sequence[ClientPartition], found: dict[ClientPartition, list[ConsumerRecord]]
    ) -> None:
        """Note how far each partition was read, and which of the offsets between were lost.

        Offsets without a record are lost only if they lie before the first that the topic keeps. So it is asked about
        partitions with such gaps. If it does not answer, their records leave ``found`` and are read again.
        """
        gaps: dict[ClientPartition, list[tuple[int, int]]] = {}
        ends = {at: await self._consumer.position(at) for at in wanted}  # past markers and aborted records
        for at, end in ends.items():
            batch = found.get(at)
            limits = (self._next[at], *((batch[0].offset, batch[-1].offset + 1) if batch else ()), end)
            between = [(first, last) for first, last in zip(limits[::2], limits[1::2], strict=True) if last > first]
            if between:
                gaps[at] = between
            else:
                self._next[at] = end
        if not gaps:
            return
        try:
            kept = await self._consumer.beginning_offsets(list(gaps))
        except KafkaError:
            for at in gaps:
                found.pop(at, None)
                self._stand(at, self._next[at])
            return
        for at, between in gaps.items():
            for first, last in between:
                self.note_lost((at.topic, at.partition), first, min(kept[at], last))
            self._next[at] = ends[at]

    def _stand(self, at: ClientPartition, offset: int) -> None:
        self._consumer.seek(at, offset)
        self._next[at] = offset

    async def is_before(self, offsets: Offsets) -> bool:
        """Return whether some partition still stands before its offset."""
        return bool(await self._short_of(offsets))

    async def bounds(self) -> tuple[Offsets, Offsets]:
        """Return the first offset of each partition that is kept, and the next one to be written."""
        with self._asking():
            first = await self._consumer.beginning_offsets(self._partitions)
            return _by_topic(first), _by_topic(await self._consumer.end_offsets(self._partitions))

    def passed(self) -> Offsets:
        """Return the offset of each partition before which everything was read, or held no record of ours."""
        return _by_topic(self._next)

    async def unread(self) -> frozenset[TopicPartition]:
        """Return the topic partitions that hold more than was read, or may do so.

        This is known from the latest answer to a fetch, half a second old at most on a cluster that answers.
        """
        found = set()
        for at in self._partitions:
            end = self._end(at)
            if end is None or await self._consumer.position(at) < end:
                found.add((at.topic, at.partition))
        return frozenset(found)

    async def lag(self) -> int:
        """Return how many records are there to be read now."""
        with self._asking():
            ends = await self._consumer.end_offsets(self._partitions)
        return sum([max(0, end - await self._consumer.position(at)) for at, end in ends.items()])

    def lag_by_partition(self) -> dict[TopicPartition, int]:
        """Return how many offsets of each partition are not read, by the latest fetches."""
        return lag_of(self._consumer)

    async def commit(self, offsets: Offsets) -> None:
        """Tell the group that everything before these offsets is done; a cancellation waits for the answer.

        A connection that is closed under a commit leaves aiokafka looking for its coordinator for good.
        """
        marks = {
            ClientPartition(topic, partition): offset
            for topic, partitions in offsets.items()
            for partition, offset in partitions.items()
        }
        committing = asyncio.ensure_future(self._consumer.commit(marks))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait({committing})
            raise

    def _end(self, at: ClientPartition) -> int | None:
        """Return where reading ends for now, as far as the latest fetch knows: before the first open transaction."""
        stable: int | None = self._consumer.last_stable_offset(at)
        if stable is None or stable < 0:  # not known yet, or a broker without transactions
            end: int | None = self._consumer.highwater(at)
            return end
        return stable

    def _asking(self) -> AbstractContextManager[None]:
        return answer_required(f"{self._role}: offsets of the topics are required from {self._settings.kafka}")

    async def _short_of(self, offsets: Offsets) -> Sequence[ClientPartition]:
        known = [at for at in self._partitions if at.partition in offsets.get(at.topic, {})]
        return [at for at in known if await self._consumer.position(at) < offsets[at.topic][at.partition]]


def _by_topic(offsets: Mapping[ClientPartition, int]) -> Offsets:
    found: dict[str, dict[int, int]] = {}
    for at, offset in offsets.items():
        found.setdefault(at.topic, {})[at.partition] = offset
    return found
