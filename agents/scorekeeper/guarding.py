"""What follows where the version that serves has drifted: its anchor serves again, or nothing where there is none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from agents.retry import Retry
from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.report import ScorekeeperReport
from model.metrics.drift import Drift, DriftGuard
from streams.errors import RegistryError, TopicError
from streams.kafka.model_versions import announce_in_thread
from streams.registry.versions import Version, VersionStore
from streams.serving.promotion import GUARD, Promotion, decide, withdraw
from streams.settings import Settings
from streams.state.store import ModelPointer, State

__all__ = ["Guarding"]

logger = logging.getLogger(__name__)


class Guarding:
    """Looks after the version that serves.

    Parameters
    ----------
    settings : where versions are, and where decisions are announced.
    config : whether a version that drifts gives way.
    state : says which version serves, and which one is its anchor.
    guard : says whether it has drifted.
    retry : waits for Redis.
    report : told which version serves.
    """

    def __init__(
        self,
        settings: Settings,
        config: ScorekeeperConfig,
        state: State,
        guard: DriftGuard,
        retry: Retry,
        report: ScorekeeperReport,
    ) -> None:
        self._config = config
        self._state = state
        self._guard = guard
        self._retry = retry
        self._report = report
        self._versions = VersionStore(settings.registry)
        self._promotion = Promotion(state, partial(announce_in_thread, settings))
        # what may not be announced yet; at first what an earlier process has left
        self._untold: Callable[[], Awaitable[object]] | None = self._promotion.finish

    async def look(self) -> None:
        """Look which version serves, and act where it has drifted and the guard is on."""
        await self._tell()
        current = await self._retry.until_available(self._state.current_model)
        self._report.model_version = None if current is None else current.version
        self._report.model_promoted_at = None if current is None else current.promoted_at
        if current is None or not self._config.guard or self._untold is not None:
            return
        drift = self._guard.judge(current.version, current.promoted_at)
        if drift is not None:
            await self.answer(drift, current)

    async def answer(self, drift: Drift, current: ModelPointer) -> None:
        """Let the anchor serve again, or nothing where there is none; whoever moves the pointer meanwhile wins."""
        anchor, why_not = await self._anchor(current)
        said = (
            f"{drift.version} drifted: its personalised lists hit {drift.hits} of the latest {drift.tests} tests, "
            f"popularity {drift.popularity_hits}, {-drift.z:.1f} standard errors more"
        )
        logger.warning("scorekeeper.drift %s", said)
        if anchor is None:
            cause = f"{said}; {why_not}, so nothing serves: `reelstream model promote VERSION` serves another one"
            decision = withdraw(current, cause, drift.metrics(), by=GUARD)
        else:
            cause = f"{said}; its anchor {anchor.version_id} serves again"
            decision = decide(anchor, "rolled_back", cause, drift.metrics(), by=GUARD)
        try:
            if not await self._retry.until_available(self._promotion.serve, decision, current):
                logger.warning("scorekeeper.rollback_dropped: another version was chosen meanwhile")
                return
        except TopicError as error:
            logger.warning("scorekeeper.not_announced %s", error)
            self._untold = self._promotion.finish
        self._report.rolled_back += anchor is not None
        self._report.withdrawn += anchor is None

    async def _anchor(self, current: ModelPointer) -> tuple[Version | None, str]:
        """Return the anchor of the version that serves, or None and why it cannot serve in its place."""
        found = await self._retry.until_available(self._state.measured_model)
        anchor = found[1].anchor if found is not None and found[0] == current else None
        if anchor in (None, current.version):
            return None, "it is its own anchor"
        try:
            return await asyncio.to_thread(self._versions.verify, anchor), ""
        except RegistryError as error:
            return None, f"its anchor cannot serve ({error})"

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
