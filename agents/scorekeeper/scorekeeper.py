"""The scorekeeper process: how often the published lists were right, while it happens, and what follows if they drift.

A process of its own, so that counting never delays a list, and so that it sees what anybody outside sees: lists and
events as they are on the topics. It reads all partitions in the order of time, tests each event against the list before
it, and keeps figures and position together in Redis, so that every event counts once. Where the personalised lists of
the version that serves are clearly behind popularity, its anchor serves again. ``intake`` reads, ``counting`` counts,
``figures`` writes, and ``guarding`` looks after the version that serves.
"""

import logging
from contextlib import aclosing
from dataclasses import asdict

from prometheus_client import CollectorRegistry

from agents.retry import Retry
from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.counting import COUNTED, Counting
from agents.scorekeeper.figures import FigureWriter
from agents.scorekeeper.guarding import Guarding
from agents.scorekeeper.intake import Intake
from agents.scorekeeper.report import ScorekeeperReport
from agents.side_by_side import side_by_side
from streams.connected import connected
from streams.kafka import topics
from streams.kafka.cluster_watch import ClusterWatch
from streams.metrics.collector import Figures, ReportCollector, lag_figures
from streams.metrics.families import LAG
from streams.reading.catalogue import CatalogueFeed
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.reader import EventReader
from streams.redis.connection import connect
from streams.redis.heartbeat import Heartbeat
from streams.settings import Settings
from streams.state.eviction import RedisMemory, watch_eviction
from streams.state.quality import QualityShelf
from streams.state.store import State

__all__ = ["SCOREKEEPER_GROUP", "Scorekeeper", "ScorekeeperConfig", "ScorekeeperReport"]

SCOREKEEPER_GROUP = "reelstream-scorekeeper"
logger = logging.getLogger(__name__)


class Scorekeeper:
    """One scorekeeper; ``run`` returns when it is cancelled.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    config : what is counted.
    registry : of the process, for what is measured.
    """

    def __init__(
        self, settings: Settings, config: ScorekeeperConfig | None = None, registry: CollectorRegistry | None = None
    ) -> None:
        config = config or ScorekeeperConfig()
        self.report = report = ScorekeeperReport(guard=config.guard)
        self._settings = settings
        self._client = connect(settings.redis, prefix=settings.prefix)
        self._state = State(self._client)
        self._retry = retry = Retry("scorekeeper", self._state.install)  # nothing here depends on positions
        self._reader = EventReader(settings, SCOREKEEPER_GROUP, COUNTED, "scorekeeper", "they are not counted")
        catalogue, asked = CatalogueFeed(settings, lambda _: None), DataRequestsFeed(settings)
        self._feeds = (catalogue, asked)
        self._cluster = cluster = ClusterWatch(
            settings,
            "scorekeeper",
            config.watch,
            restart=(topics.RECOMMENDATIONS,),
            reread={topics.CATALOG: catalogue.reread, topics.DATA_REQUESTS: asked.reread},
            told=self._kafka_is_away,
        )
        self._counting = counting = Counting(settings, config, report, asked, lambda: catalogue.catalogue)
        self._intake = Intake(config, settings.partitions, self._reader, counting, cluster, retry, report)
        shelf = QualityShelf(self._client, config.series)
        self._figures = FigureWriter(config, shelf, counting, cluster, retry, report)
        self._memory = RedisMemory()
        (registry or CollectorRegistry()).register(ReportCollector(self._figures_told))
        self._guarding = Guarding(settings, config, self._state, counting.guard, retry, report)

    async def run(self) -> None:
        """Count until cancelled.

        Steps: 1 connect; 2 take up the stored figures; 3 read and count; once a second write what has changed, and
        look whether the version that serves has drifted. Beside it, follow the catalogue and data requests, show
        signs of life and look at the cluster.
        """
        # Step 1
        async with aclosing(self._client):
            await self._retry.until_available(self._state.install)
            async with connected(self._reader, *self._feeds, self._cluster):
                await self._retry.until_available(self._cluster.look)
                await side_by_side(
                    self._count(),
                    *(feed.follow() for feed in self._feeds),
                    Heartbeat("scorekeeper", self._client).run(lambda: asdict(self.report)),
                    self._cluster.run(),
                    watch_eviction("scorekeeper", self._settings, memory=self._memory),
                )

    async def _count(self) -> None:
        # Step 2
        await self._take_up()
        # Step 3
        while True:
            await self._intake.read()
            await self._figures.forget_users()
            if self._figures.is_due():
                await self._figures.write()
                await self._intake.tell_lag()
                await self._guarding.look()

    async def _take_up(self) -> None:
        """Go on from the stored figures; without any, count what comes from now on.

        What lies before is read again in either case, for the lists, users and popularity that it tells of.
        """
        stored = await self._figures.restore()
        if stored is None:
            await self._intake.begin()
        else:
            await self._intake.go_on_from(stored)
        await self._figures.write()
        logger.info("scorekeeper.ready with %s tests", self._counting.board.total.tests)

    def _figures_told(self) -> Figures:
        yield from self.report.figures()
        yield from self._memory.figures()
        yield LAG, lag_figures(self._intake.lags, self._settings.prefix)

    def _kafka_is_away(self, seconds: float | None) -> None:
        self.report.kafka_away_s = seconds
