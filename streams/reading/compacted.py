"""A compacted topic as every process sees it: read whole, and then followed.

Each process reads all partitions for itself, without a consumer group: everybody needs every record.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError

from streams.kafka.clients import consumer
from streams.kafka.kafka_errors import answer_required, cluster_required
from streams.reading.unreadable import get_many
from streams.records.codec import BadRecord
from streams.records.decoding import RawRecord, Rejected
from streams.settings import Settings

__all__ = ["MAX_REJECTED", "CompactedFeed"]

logger = logging.getLogger(__name__)
POLL_MS = 200
MAX_REJECTED = 1000


class CompactedFeed:
    """Reads a topic; ``start`` returns when everything known so far has been read.

    A subclass says what its records are: ``_take`` takes them, ``_begin`` forgets them, and ``_tell`` is called when
    they may have changed.

    Parameters
    ----------
    settings : where the topic is.
    name : of the topic, without the prefix.
    where : who reads, in messages.
    options : of the consumer, see ``streams.kafka.clients.consumer``.
    """

    def __init__(self, settings: Settings, name: str, where: str, **options: Any) -> None:
        self._topic = settings.prefix + name
        self._where = where
        self._settings = settings
        self._options = options
        self._lock = asyncio.Lock()
        self._consumer: Any = None
        self._rejected: deque[Rejected] = deque(maxlen=MAX_REJECTED)

    async def start(self) -> None:
        """Connect and read to the end of the topic."""
        await self.stop()  # an earlier attempt's, where something else of the start failed
        with cluster_required(self._where, self._settings):
            self._consumer = consumer(self._settings, **self._options)
            await self._consumer.start()
        self._assigned = [TopicPartition(self._topic, partition) for partition in range(self._settings.partitions)]
        async with self._lock:
            with self._asking():  # before anything is fetched: behind a fetch, answers wait until a record comes
                first = await self._consumer.beginning_offsets(self._assigned)
                ends = await self._consumer.end_offsets(self._assigned)
            self._consumer.assign(self._assigned)
            for at, offset in first.items():
                self._consumer.seek(at, offset)
            await self._read_to(ends)

    async def catch_up(self) -> None:
        """Read everything that is in the topic now.

        Raises
        ------
        ClusterAway
            If the cluster does not answer for now.
        """
        async with self._lock:
            with self._asking():
                ends = await self._consumer.end_offsets(self._assigned)
            await self._read_to(ends)

    async def reread(self) -> None:
        """Begin anew with the topic's first record, as it is another topic than the one that was read."""
        async with self._lock:
            await self._consumer.seek_to_beginning(*self._assigned)
            self._begin()
        await self.catch_up()
        self._tell()

    async def follow(self) -> None:
        """Read changes as they come, until stopped or cancelled."""
        with suppress(ConsumerStoppedError):
            while True:
                async with self._lock:
                    await self._read_once()
                await asyncio.sleep(0)

    def take_rejected(self) -> tuple[Rejected, ...]:
        """Return the bad records that were read since the last call, in order; at most the latest 1,000."""
        taken = tuple(self._rejected)
        self._rejected.clear()
        return taken

    async def stop(self) -> None:
        """Disconnect, also where ``start`` never came to it."""
        if self._consumer is not None:
            await self._consumer.stop()

    def _begin(self) -> None:
        """Forget what was read."""
        raise NotImplementedError

    def _take(self, records: Iterable[RawRecord]) -> None:
        """Take records, in order; those that break their contract go to ``_reject``."""
        raise NotImplementedError

    def _tell(self) -> None:
        """Say what is known now."""

    def _reject(self, record: RawRecord, error: BadRecord) -> None:
        self._rejected.append(Rejected(record, error.cause, error.detail))
        logger.debug("%s.bad_record %s", self._where, error.cause, extra={"offset": record.origin.offset})

    def _asking(self) -> AbstractContextManager[None]:
        return answer_required(f"{self._where}: the ends of {self._topic} are required from {self._settings.kafka}")

    async def _read_to(self, ends: Mapping[TopicPartition, int]) -> None:
        while any([await self._consumer.position(at) < end for at, end in ends.items()]):
            await self._read_once()

    async def _read_once(self) -> None:
        records = await get_many(self._where, self._consumer, timeout_ms=POLL_MS)
        found = [RawRecord.of(record) for batch in records.values() for record in batch]
        if found:
            self._take(found)
