"""What follows where the version that serves has drifted: its parent serves again, or it is said that none can."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from agents.retry import Retry
from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.figures import FigureWriter
from agents.scorekeeper.report import ScorekeeperReport
from model.metrics.drift import Drift, DriftGuard
from streams.errors import TopicError
from streams.kafka.model_versions import announce_in_thread
from streams.records.records import ModelVersion
from streams.registry.versions import VersionStore
from streams.serving.promotion import Promotion, decide
from streams.settings import Settings
from streams.state.store import ModelPointer, State

__all__ = ["Guarding"]

logger = logging.getLogger(__name__)


class Guarding:
    """Looks after the version that serves.

    Parameters
    ----------
    settings : where versions are, and where decisions are announced.
    config : whether a version that drifts is rolled back.
    state : says which version serves.
    guard : says whether it has drifted.
    figures : remember of which version it was said that nothing can serve instead.
    retry : waits for Redis.
    report : told which version serves.
    """

    def __init__(
        self,
        settings: Settings,
        config: ScorekeeperConfig,
        state: State,
        guard: DriftGuard,
        figures: FigureWriter,
        retry: Retry,
        report: ScorekeeperReport,
    ) -> None:
        self._config = config
        self._state = state
        self._guard = guard
        self._figures = figures
        self._retry = retry
        self._report = report
        self._versions = VersionStore(settings.registry)
        self._announce = partial(announce_in_thread, settings)
        self._promotion = Promotion(state, self._announce)
        # what may not be announced yet; at first what an earlier process has left
        self._untold: Callable[[], Awaitable[object]] | None = self._promotion.finish

    async def look(self) -> None:
        """Look which version serves, and act where it has drifted and the guard is on."""
        await self._tell()
        current = await self._retry.until_available(self._state.current_model)
        self._report.model_version = None if current is None else current.version
        if current is None or not self._config.guard or self._untold is not None:
            return
        drift = self._guard.judge(current.version, current.promoted_at)
        if drift is not None and current.version != self._figures.drifting:
            await self.answer(drift, current)

    async def answer(self, drift: Drift, current: ModelPointer) -> None:
        """Let the parent serve again, or say once that there is none; whoever moves the pointer meanwhile wins."""
        parent, why_not = await asyncio.to_thread(self._versions.parent_of, current.version)
        said = (
            f"{drift.version} drifted: its personalised lists hit {drift.hits} of the latest {drift.tests} tests, "
            f"popularity {drift.popularity_hits}, {-drift.z:.1f} standard errors more"
        )
        logger.warning("scorekeeper.drift %s", said)
        if parent is None:
            cause = f"{said}; {why_not}: `reelstream model rollback VERSION` serves another one"
            now_ms, metrics = time.time_ns() // 1_000_000, drift.metrics()
            decided = ModelVersion(drift.version, "drifting", None, current.uri, now_ms, metrics, cause)
            self._untold = lambda: self._say_drifting(decided)
            await self._tell()
        else:
            cause = f"{said}; its parent {parent.version_id} serves again"
            await self._roll_back(decide(parent, "rolled_back", cause, drift.metrics()), current)

    async def _roll_back(self, decision: ModelVersion, current: ModelPointer) -> None:
        try:
            if not await self._retry.until_available(self._promotion.serve, decision, current):
                logger.warning("scorekeeper.rollback_dropped: another version was chosen meanwhile")
                return
        except TopicError as error:
            logger.warning("scorekeeper.not_announced %s", error)
            self._untold = self._promotion.finish
        self._report.rolled_back += 1

    async def _say_drifting(self, decided: ModelVersion) -> None:
        """Announce that nothing can serve instead, and store that it was said; killed in between, it is said again."""
        await self._announce(decided)
        self._figures.drifting = decided.version
        await self._figures.store()

    async def _tell(self) -> None:
        """Announce what was decided; where Kafka does not take it, try again a second later."""
        if self._untold is None:
            return
        try:
            await self._retry.until_available(self._untold)
        except TopicError as error:
            logger.warning("scorekeeper.not_announced %s", error)
        else:
            self._untold = None
