"""The small refreshers: the experiment and modes set by hand, trending, and the sign of life."""

import logging
from collections.abc import Callable
from dataclasses import asdict

from agents.worker.refresh import Current, RefreshConfig
from agents.worker.rejections import Rejections
from agents.worker.report import WorkerReport
from model.ranking.cold_start import Trending
from streams.errors import StateAway, StateError
from streams.redis.heartbeat import RENEW_S, SignOfLife
from streams.serving.arms import Arms
from streams.state.store import State

__all__ = ["LifeReporter", "OverridesAndExperiment", "TrendingMerger"]

logger = logging.getLogger(__name__)


class OverridesAndExperiment:
    """Follows what people have chosen: the experiment, and the modes of single users.

    Parameters
    ----------
    state : Redis.
    config : how often.
    arms : of the experiment.
    current : whose overrides are replaced.
    report : where both are told.
    """

    is_needed_to_serve = True

    def __init__(self, state: State, config: RefreshConfig, arms: Arms, current: Current, report: WorkerReport) -> None:
        self._state = state
        self._arms = arms
        self._current = current
        self._report = report
        self._misread: str | None = None
        self.period_s = config.overrides_s

    async def refresh(self) -> None:
        """Look at both; what cannot be understood is told once."""
        await self._refresh_experiment()
        await self._refresh_overrides()

    async def _refresh_experiment(self) -> None:
        await self._arms.look(lambda: self._current.recommender)
        self._report.experiment = None if self._arms.experiment is None else self._arms.experiment.name

    async def _refresh_overrides(self) -> None:
        overrides = self._current.recommender.overrides
        try:
            overrides, wrong = await self._state.mode_overrides()
        except StateAway:
            raise
        except StateError as error:  # those known before hold on
            wrong = (str(error),)
        misread = "; ".join(wrong[:3]) or None
        if misread not in (None, self._misread):
            logger.error("modes.misread %s in all: %s", len(wrong), misread)
        self._misread = misread
        if overrides != self._current.recommender.overrides:
            self._current.recommender = self._current.recommender.with_overrides(overrides)
            self._report.chosen = len(overrides)


class TrendingMerger:
    """Follows trending, of all users and of newcomers; the worker that leads merges it from all partitions first.

    Parameters
    ----------
    state : Redis.
    config : how often, and how many items.
    partitions : of the event topics.
    leads : whether this worker does now what only one should do.
    current : whose trending is replaced.
    """

    is_needed_to_serve = True

    def __init__(
        self, state: State, config: RefreshConfig, partitions: int, leads: Callable[[], bool], current: Current
    ) -> None:
        self._state = state
        self._n = config.trending
        self._partitions = partitions
        self._leads = leads
        self._current = current
        self.period_s = config.trending_s

    async def refresh(self) -> None:
        """Merge where it is ours to do, and read."""
        if self._leads():
            await self._state.merge_trending(self._partitions, self._current.recommender.catalogue)
        trending = Trending.of(await self._state.trending(self._n))
        newcomers = Trending.of(await self._state.newcomers(self._n))
        self._current.recommender = self._current.recommender.with_trending(trending, newcomers)


class LifeReporter:
    """Renews the sign of life with the present report; what died in the last minute is told beside it.

    Parameters
    ----------
    life : where signs of life go.
    report : what the worker tells about itself.
    rejections : the account of dead letters.
    """

    is_needed_to_serve = False  # a worker lives for others once it takes events

    def __init__(self, life: SignOfLife, report: WorkerReport, rejections: Rejections) -> None:
        self._life = life
        self._report = report
        self._rejections = rejections
        self.period_s = RENEW_S

    async def refresh(self) -> None:
        """Renew it once."""
        self._rejections.look()
        await self._life.renew(asdict(self._report))
