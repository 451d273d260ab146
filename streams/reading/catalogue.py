"""The catalogue as every process sees it: the compacted topic, read whole and then followed.

Each process reads all partitions for itself, without a consumer group: everybody needs every item.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from model.catalogue import Catalogue, Item
from streams.kafka import topics
from streams.kafka.clients import consumer
from streams.kafka.kafka_errors import cluster_error, cluster_required
from streams.reading.unreadable import get_many
from streams.records.codec import BadRecord, decode_item
from streams.records.decoding import RawRecord, Rejected
from streams.settings import Settings

__all__ = ["CatalogueFeed"]

logger = logging.getLogger(__name__)
POLL_MS = 200
MAX_REJECTED = 1000


class CatalogueFeed:
    """Keeps a catalogue current; ``start`` returns when everything known so far has been read.

    Parameters
    ----------
    settings : where the topic is.
    changed : called with each new catalogue, on the event loop.
    """

    def __init__(self, settings: Settings, changed: Callable[[Catalogue], None]) -> None:
        self._topic = settings.prefix + topics.CATALOG
        self._settings = settings
        self._changed = changed
        self._lock = asyncio.Lock()
        self._consumer: Any = None
        self.catalogue = Catalogue()
        self._rejected: deque[Rejected] = deque(maxlen=MAX_REJECTED)

    async def start(self) -> None:
        """Connect and read to the end of the topic."""
        await self.stop()  # an earlier attempt's, where something else of the start failed
        self._consumer = consumer(self._settings)
        with cluster_required("catalogue", self._settings):
            await self._consumer.start()
        self._assigned = [TopicPartition(self._topic, partition) for partition in range(self._settings.partitions)]
        self._consumer.assign(self._assigned)
        await self._consumer.seek_to_beginning(*self._assigned)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Read everything that is in the topic now.

        Raises
        ------
        ClusterAway
            If the cluster does not answer for now.
        """
        async with self._lock:
            try:
                ends = await self._consumer.end_offsets(self._assigned)
            except KafkaError as error:
                raise cluster_error(
                    error, f"catalogue: the end of {self._topic} is required from {self._settings.kafka}"
                ) from error
            while any([await self._consumer.position(at) < end for at, end in ends.items()]):
                await self._read_once()

    async def reread(self) -> None:
        """Begin anew with the topic's first record, as it is another topic than the one that was read."""
        async with self._lock:
            await self._consumer.seek_to_beginning(*self._assigned)
            self.catalogue = Catalogue()
        await self.catch_up()
        self._changed(self.catalogue)

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

    async def _read_once(self) -> None:
        records = await get_many("catalogue", self._consumer, timeout_ms=POLL_MS)
        changes: dict[str, Item | None] = {}
        for record in (record for batch in records.values() for record in batch):
            try:
                item = decode_item(record.key, record.value)
            except BadRecord as error:
                self._rejected.append(Rejected(RawRecord.of(record), error.cause, error.detail))
                logger.debug("catalogue.bad_record %s", error, extra={"offset": record.offset})
                continue
            if isinstance(item, Item):
                changes[item.item_id] = item
            else:
                changes[item] = None
        if changes:
            put = [item for item in changes.values() if item is not None]
            gone = [item_id for item_id, item in changes.items() if item is None]
            self.catalogue = self.catalogue.changed(put, gone)
            self._changed(self.catalogue)
