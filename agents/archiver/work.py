"""Reading and writing in turn, and giving partitions away in between."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from agents.archiver.config import ArchiverConfig
from agents.archiver.forgetting import FileForgetter
from agents.archiver.placing import Placement
from agents.archiver.report import ArchiverReport
from agents.archiver.share import Share
from agents.archiver.store_away import StoreWait
from agents.archiver.writing import FileWriter
from streams.archive.parquet import ArchiveAway, EventArchive
from streams.kafka.cluster_watch import ClusterWatch
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.lag import lag_of
from streams.reading.unreadable import get_many
from streams.records.decoding import RawRecord
from streams.settings import Settings

__all__ = ["Work"]

READ = 5000  # records taken at once; decoding them holds the event loop for about 50 ms
REVOKED_S = 5.0  # for writing what is given away; the group waits 10 s for it
LAST_S = 4.0  # for the last files
POSITION_S = 1.0  # it is known at once, unless Kafka must say where to go on
logger = logging.getLogger(__name__)


class Work(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """The work of one archiver, which hears from its group which partitions come and go.

    Parameters
    ----------
    consumer : connected, not subscribed yet.
    archive : the files.
    cluster : knows the topics' ids.
    settings : names of the topics, and which kinds of events there are.
    config : when a file is written.
    report : told what was done.
    asked : knows who was forgotten.
    """

    def __init__(
        self,
        consumer: Any,
        archive: EventArchive,
        cluster: ClusterWatch,
        settings: Settings,
        config: ArchiverConfig,
        report: ArchiverReport,
        asked: DataRequestsFeed,
    ) -> None:
        self._consumer = consumer
        self._share = share = Share(consumer)
        self._placement = Placement(consumer, archive, share, cluster, settings, config, report)
        self._writer = FileWriter(archive, share, config, report)
        self._forgetter = FileForgetter(archive, share, asked, settings.prefix, report)
        self._store = StoreWait(consumer, config.seed, report)
        self._report = report
        self.lags: dict[tuple[str, int], int] = {}  # records of each partition that were not read, as of the last read
        self._lock = asyncio.Lock()  # scanning and giving partitions away exclude each other

    async def run(self, stopping: asyncio.Event) -> None:
        """Read and write in turn until asked to stop: a slow store slows the reading, and memory stays bounded.

        Waiting for records happens without the lock: during a rebalance aiokafka lets nobody read until it is over.
        """
        while not stopping.is_set():
            async with self._lock:
                try:
                    if self._store.is_over():
                        await self._placement.place()
                        self._forgetter.keep_out()
                        await self._writer.write_due()
                        await self._forgetter.carry_out()
                        self._store.answers()
                except ArchiveAway as error:
                    self._store.fails(error)
                except KafkaError as error:  # asked where a partition begins; the next step asks again
                    logger.info("archive.not_placed %r", error)
                self._store.hold_reading()
            found = await get_many("archiver", self._consumer, timeout_ms=250, max_records=READ)
            async with self._lock:
                await self._take_in(found)
                await self._pass_markers()

    async def finish(self) -> None:
        """Write what is pending; what cannot be written is read again by the next archiver."""
        self._forgetter.keep_out()
        await self._writer.hand_over(self._share.scanners, LAST_S)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Write what is pending of partitions that others will own, or leave it to them to read again."""
        async with self._lock:
            self._forgetter.keep_out()
            given = {at: self._share.scanners[at] for at in revoked if at in self._share.scanners}
            await self._writer.hand_over(given, REVOKED_S)
            self._share.remove(revoked)
            self._forgetter.leave(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note of partitions that are ours now; the next step finds out where they go on."""
        self._share.unplaced |= set(assigned)

    async def _take_in(self, found: dict[TopicPartition, list[Any]]) -> None:
        """Scan what has come; what is no longer or not yet placed is read again from where its files end."""
        now = time.monotonic()
        for at, batch in found.items():
            scanner = self._share.scanners.get(at)
            if scanner is None:
                continue
            offset = batch[0].offset
            if offset != scanner.position and not await self._placement.is_explained(at, scanner, offset):
                self._consumer.seek(at, scanner.position)
                continue
            self._share.since.setdefault(at, now)
            scanner.add([RawRecord.of(record) for record in batch])
            self._report.records += len(batch)
        self._report.pending = self._share.pending
        self._report.partitions = len(self._share.scanners)
        self.lags = lag_of(self._consumer)
        self._report.lag = sum(self.lags.values())

    async def _pass_markers(self) -> None:
        """Go past markers of transactions and aborted records behind the last record, and tell the group of the rest.

        The files need not know: what is not in one is scanned again by whoever comes next, and holds nothing.
        """
        marks = {}
        for at, scanner in self._share.scanners.items():
            with suppress(IllegalStateError, TimeoutError):  # given away, or not placed by Kafka just now
                position = await asyncio.wait_for(self._consumer.position(at), POSITION_S)
                if position > scanner.position and await self._placement.is_explained(at, scanner, position):
                    scanner.pass_to(position)
                if not scanner.pending and not scanner.closed and not self._share.is_told(at, scanner.position):
                    marks[at] = scanner.position
        if marks:
            await self._share.tell(marks)
