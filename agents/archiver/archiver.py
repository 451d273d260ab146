"""The archiver process: accepted events of all kinds into Parquet files, each once.

A process of its own with its own consumer group; several share the partitions. The group only shares out: where a
partition goes on is read from the files that it has (``streams.archive.parquet``), so a crash between reading and
writing costs nothing, and what an archiver that was declared dead still writes does no harm. ``work`` reads and writes
in turn, ``placing`` finds out where a partition goes on, and ``writing`` says when a file is due.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry

from agents.archiver.config import ArchiverConfig
from agents.archiver.report import ArchiverReport
from agents.archiver.work import Work
from streams.archive.parquet import EventArchive
from streams.connected import connected
from streams.kafka import topics
from streams.kafka.clients import consumer
from streams.kafka.cluster_watch import ClusterWatch
from streams.kafka.kafka_errors import cluster_required
from streams.metrics.collector import Figures, ReportCollector, lag_figures
from streams.metrics.families import LAG
from streams.reading.data_requests import DataRequestsFeed
from streams.redis.heartbeat import Heartbeat
from streams.settings import Settings

__all__ = ["ARCHIVER_GROUP", "Archiver", "ArchiverConfig", "ArchiverReport"]

ARCHIVER_GROUP = "reelstream-archiver"
FINISH_S = 3.0  # for the step that runs when the end is asked for
LEAVE_S = 1.0
logger = logging.getLogger(__name__)


class Archiver:
    """One archiver; ``run`` returns after ``stop``.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    url : where the archive is, see ``EventArchive``.
    config : when a file is written.
    registry : of the process, for what is measured.
    """

    def __init__(
        self,
        settings: Settings,
        url: str,
        config: ArchiverConfig | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._registry = registry or CollectorRegistry()
        self._settings = settings
        self._config = config or ArchiverConfig()
        self._archive = EventArchive(url)
        self._asked = DataRequestsFeed(settings)
        self._cluster = ClusterWatch(
            settings,
            "archiver",
            self._config.watch,
            are_counts_fixed=False,
            reread={topics.DATA_REQUESTS: self._asked.reread},
            told=self._kafka_is_away,
        )
        self._stopping = asyncio.Event()
        self.report = ArchiverReport()

    def stop(self) -> None:
        """Ask ``run`` to write what is pending and return; it takes at most nine seconds."""
        self._stopping.set()

    async def run(self) -> None:
        """Archive until ``stop``.

        Steps: 1 join the group; 2 read and write; 3 asked to stop, finish the running step, or leave it where the
        store hangs; 4 write what is pending; what cannot be written is read again by the next archiver; 5 leave.

        Raises
        ------
        TopicError
            If Kafka cannot be reached at the start, an event topic was made anew since, or a batch cannot be read.
        DataError
            If the archive does not belong to these topics, or its newest files are torn.
        """
        # Step 1
        member = _GroupMember(self._settings)
        async with connected(member, self._cluster):
            await self._cluster.look()
            async with connected(self._asked):
                await self._archive_until_stopped(member.consumer)

    async def _archive_until_stopped(self, joined: Any) -> None:
        """Do what follows step 1, and leave what it has connected to others."""
        work = Work(joined, self._archive, self._cluster, self._settings, self._config, self.report, self._asked)
        self._registry.register(ReportCollector(lambda: self._figures(work)))
        joined.subscribe([self._settings.prefix + topic for topic in topics.EVENTS], listener=work)
        logger.info("archiver.ready %s", self._archive.url)
        heartbeat = Heartbeat("archiver", self._settings.redis, self._settings.prefix)  # by address: it needs no Redis
        life = asyncio.create_task(heartbeat.run(lambda: asdict(self.report)))
        stopping = asyncio.create_task(self._stopping.wait())
        working = asyncio.create_task(work.run(self._stopping))
        watching = asyncio.create_task(self._cluster.run())
        following = asyncio.create_task(self._asked.follow())
        try:
            # Step 2
            await asyncio.wait((working, stopping, watching), return_when=asyncio.FIRST_COMPLETED)
            # Step 3
            if not working.done():
                await asyncio.wait((working,), timeout=FINISH_S)
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            # Step 4
            await work.finish()
            if watching.done():
                watching.result()  # a topic that was made anew
        finally:
            # Step 5
            for task in (life, stopping, working, watching, following):
                task.cancel()

    def _figures(self, work: Work) -> Figures:
        yield from self.report.figures()
        yield LAG, lag_figures(work.lags, self._settings.prefix)

    def _kafka_is_away(self, seconds: float | None) -> None:
        self.report.kafka_away_s = seconds


class _GroupMember:
    """A consumer of the group that knows the cluster, and has no partitions yet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.consumer: Any = None

    async def start(self) -> None:
        """Connect."""
        with cluster_required("archiver", self._settings):
            self.consumer = consumer(self._settings, group_id=self._settings.prefix + ARCHIVER_GROUP)
            await self.consumer.start()

    async def stop(self) -> None:
        """Leave the group."""
        if self.consumer is not None:
            with suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(self.consumer.stop(), LEAVE_S)
