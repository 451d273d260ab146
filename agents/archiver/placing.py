"""Where a partition goes on: behind the newest of its files, if they are of the topic that is there."""

import asyncio
import logging
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from agents.archiver.config import ArchiverConfig
from agents.archiver.report import ArchiverReport
from agents.archiver.share import Share
from streams.archive.parquet import EventArchive
from streams.archive.scanning import LastIds, Scanner
from streams.errors import DataError
from streams.kafka.cluster_watch import ClusterWatch
from streams.reading.lost_offsets import log_lost_offsets
from streams.settings import Settings

__all__ = ["Placement"]

logger = logging.getLogger(__name__)


class Placement:
    """Places partitions that are new here, and tells gaps.

    Parameters
    ----------
    consumer : stands where it is told to.
    archive : the files.
    share : which partitions are new, and what became of them.
    cluster : knows the topics' ids.
    settings : names of the topics, and which kinds of events there are.
    config : how many of the newest events are remembered.
    report : told what is lost.
    """

    def __init__(
        self,
        consumer: Any,
        archive: EventArchive,
        share: Share,
        cluster: ClusterWatch,
        settings: Settings,
        config: ArchiverConfig,
        report: ArchiverReport,
    ) -> None:
        self._consumer = consumer
        self._archive = archive
        self._share = share
        self._cluster = cluster
        self._settings = settings
        self._remembered = config.remembered
        self._report = report

    async def place(self) -> None:
        """Go on after the newest file of each partition that is newly ours.

        Steps: 1 see which files there are, and what Kafka holds; 2 remember the newest events; 3 stand there.

        Raises
        ------
        DataError
            If the archive does not belong to these topics.
        """
        wanted = sorted(self._share.unplaced)
        if not wanted:
            return
        # Step 1
        files = await asyncio.to_thread(self._archive.partitions)
        kept = await self._consumer.beginning_offsets(wanted)
        ends = await self._consumer.end_offsets(wanted)
        for at in wanted:
            there = files.get((at.topic, at.partition), ())
            position = max((file.last + 1 for file in there), default=0)
            if position > ends[at]:
                raise self._other_topic(at, position, ends[at])
            topic_id = self._cluster.ids.get(at.topic)
            archived_id = await asyncio.to_thread(self._archive.topic_id, there)
            if None not in (topic_id, archived_id) and topic_id != archived_id:
                raise self._other_topic(at, position, f"a topic of another id ({topic_id}, not {archived_id})")
            # Step 2
            ids = LastIds(in_all=self._remembered)
            for user_id, event_id in await asyncio.to_thread(self._archive.newest, there, self._remembered):
                ids.is_new(user_id, event_id)
            # Step 3
            scanner = Scanner(
                at.topic, at.partition, position, self._settings.prefix, ids, topic_id, self._settings.kinds
            )
            self._skip_lost(at, scanner, kept[at])
            try:
                self._consumer.seek(at, scanner.position)
            except IllegalStateError:
                continue  # given away meanwhile; the group tells us as soon as the lock is free
            self._share.scanners[at] = scanner
        logger.info("archiver.placed %s partitions", len(wanted))
        self._share.unplaced -= set(wanted)

    async def is_explained(self, at: TopicPartition, scanner: Scanner, offset: int) -> bool:
        """Tell an offset that Kafka leaves out by itself from records that were deleted before they were archived.

        Returns False if Kafka does not answer just now.
        """
        if offset < scanner.position:
            raise self._other_topic(at, scanner.position, offset)
        try:
            kept = await self._consumer.beginning_offsets([at])
        except KafkaError as error:
            logger.info("archive.not_asked %r", error)
            return False
        self._skip_lost(at, scanner, kept[at])
        return True

    def _skip_lost(self, at: TopicPartition, scanner: Scanner, kept: int) -> None:
        if scanner.position < kept:
            cure = "they are in no file, which `archive verify` tells as a gap"
            self._report.lost += log_lost_offsets("archiver", (at.topic, at.partition), scanner.position, kept, cure)
            scanner.skip_to(kept)

    def _other_topic(self, at: TopicPartition, position: int, got: int | str) -> DataError:
        return DataError(
            f"archiver: {at.topic}/{at.partition} must go on at offset {position}, where {self._archive.url} ends, "
            f"got {got}; the topic was made anew: choose another archive or another prefix"
        )
