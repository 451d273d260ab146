"""Writing files: when one is due, in order, and in one last attempt where a partition is given away."""

import asyncio
import logging
import time
from collections.abc import Mapping

from aiokafka import TopicPartition

from agents.archiver.config import ArchiverConfig
from agents.archiver.report import ArchiverReport
from agents.archiver.share import Share
from streams.archive.parquet import ArchiveAway, EventArchive, Scan
from streams.archive.scanning import Scanner

__all__ = ["FileWriter"]

logger = logging.getLogger(__name__)


class FileWriter:
    """Writes what was scanned.

    Parameters
    ----------
    archive : where to.
    share : what there is to write.
    config : when.
    report : told what was written.
    """

    def __init__(self, archive: EventArchive, share: Share, config: ArchiverConfig, report: ArchiverReport) -> None:
        self._archive = archive
        self._share = share
        self._config = config
        self._report = report
        self._writing = asyncio.Lock()  # the end and a rebalance may want the same files written

    async def write_due(self) -> None:
        """Write the partitions that are full or have waited long enough, and the fullest where all hold too much.

        Raises
        ------
        ArchiveAway
            If the store does not take a file.
        """
        config, now = self._config, time.monotonic()
        fullest = sorted(self._share.scanners.items(), key=lambda pair: pair[1].pending, reverse=True)
        pending = self._share.pending
        for at, scanner in fullest:
            waited = now - self._share.since.get(at, now)
            if pending > config.most_pending or scanner.pending >= config.every_events or waited >= config.every_s:
                pending -= scanner.pending
                scanner.close()
        await self._write(self._share.scanners)

    async def hand_over(self, scanners: Mapping[TopicPartition, Scanner], within_s: float) -> None:
        """Write everything that is pending of these partitions, in one attempt of limited time."""
        for scanner in scanners.values():
            scanner.close()
        try:
            await asyncio.wait_for(self._write(scanners), within_s)
        except (ArchiveAway, TimeoutError) as error:
            left = sum(len(scanner.closed) for scanner in scanners.values())
            logger.warning("archive.left %s files are not written and will be read again: %r", left, error)

    async def _write(self, scanners: Mapping[TopicPartition, Scanner]) -> None:
        """Write every closed file of these partitions, in order, and tell the group how far they are."""
        marks = {}
        async with self._writing:
            for at, scanner in list(scanners.items()):  # a rebalance may take some meanwhile
                while scanner.closed:
                    scan = scanner.closed[0]
                    await asyncio.to_thread(self._archive.write, scan)
                    scanner.closed.popleft()
                    marks[at] = scan.last + 1
                    self._count(scan)
                if not scanner.pending:
                    self._share.since.pop(at, None)
        if marks:
            await self._share.tell(marks)

    def _count(self, scan: Scan) -> None:
        self._report.files += 1
        self._report.archived += sum(rows.num_rows for rows in scan.rows)
        self._report.rejected += scan.rejected
        self._report.duplicates += scan.duplicates
