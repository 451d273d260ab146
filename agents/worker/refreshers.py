"""The small refreshers: what people set, trending, what hints tell, the sign of life, the census, and new items."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

from agents.worker.refresh import Current, RefreshConfig
from agents.worker.rejections import Rejections
from agents.worker.report import WorkerReport
from model.catalogue import Catalogue
from model.ranking.cold_start import Trending
from model.ranking.exposure import ExposureConfig, most_promising, newest_first
from streams.errors import StateAway, StateError
from streams.metrics.worker import WorkerMetrics
from streams.records.positions import TopicPartition
from streams.redis.heartbeat import RENEW_S, SignOfLife
from streams.serving.arms import Arms
from streams.state.store import State

__all__ = [
    "HintLiftsFollower",
    "LifeReporter",
    "NewItemsFinder",
    "OverridesAndExperiment",
    "TrendingMerger",
    "UserCensus",
]

logger = logging.getLogger(__name__)
RESTS = 50  # so that the census takes two hundredths of Redis' time at most, however many keys there are


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
        found, newest = await self._state.trending(self._n), await self._state.newcomers(self._n)
        first_id = self._current.recommender.known.renames.first_id
        trending, newcomers = (Trending.of((first_id(item), heat) for item, heat in one) for one in (found, newest))
        self._current.recommender = self._current.recommender.with_trending(trending, newcomers)


class HintLiftsFollower:
    """Follows how much more each group of people begins with which items, as the trainer writes it.

    Parameters
    ----------
    state : Redis.
    config : how often.
    current : the recommender whose lifts are replaced.
    """

    is_needed_to_serve = True

    def __init__(self, state: State, config: RefreshConfig, current: Current) -> None:
        self._state = state
        self._current = current
        self.period_s = config.hints_s

    async def refresh(self) -> None:
        """Read them."""
        lifts = await self._state.hint_lifts()
        self._current.recommender = self._current.recommender.with_hint_lifts(lifts)


class LifeReporter:
    """Renews the sign of life with the present report; what died in the last minute is told beside it.

    Parameters
    ----------
    life : where signs of life go.
    report : what the worker tells about itself.
    rejections : the account of dead letters.
    metrics : knows how long lists took.
    lag : returns how many records of each partition are not done.
    """

    is_needed_to_serve = False  # a worker lives for others once it takes events

    def __init__(
        self,
        life: SignOfLife,
        report: WorkerReport,
        rejections: Rejections,
        metrics: WorkerMetrics,
        lag: Callable[[], Mapping[TopicPartition, int]],
    ) -> None:
        self._life = life
        self._report = report
        self._rejections = rejections
        self._metrics = metrics
        self._lag = lag
        self.lags: Mapping[TopicPartition, int] = {}  # as told last
        self.period_s = RENEW_S

    async def refresh(self) -> None:
        """Renew it once."""
        self._rejections.look()
        report, promoted_at = self._report, self._report.model_promoted_at
        self.lags = self._lag()
        report.lag = sum(self.lags.values())
        took = self._metrics.latest.quantiles(0.5, 0.99)
        report.list_p50_ms, report.list_p99_ms = (None, None) if took is None else (round(1000 * s, 1) for s in took)
        report.model_age_s = None if promoted_at is None else round(max(0.0, time.time() - promoted_at / 1000), 1)
        await self._life.renew(asdict(self._report))


class UserCensus:
    """Counts all users by the mode of their last list, where this worker does what only one should do.

    Parameters
    ----------
    state : Redis.
    period_s : seconds between two counts, at least: one goes over all keys in small slices, and the next one comes
        after ``RESTS`` times the seconds for which it has asked Redis.
    leads : whether this worker does now what only one should do.
    report : where they are told; none where another worker leads.
    """

    is_needed_to_serve = False

    def __init__(self, state: State, period_s: float, leads: Callable[[], bool], report: WorkerReport) -> None:
        self._state = state
        self._leads = leads
        self._report = report
        self._least_s = period_s
        self.period_s = period_s

    async def refresh(self) -> None:
        """Count once."""
        if not self._leads():
            self._report.users, self.period_s = {}, self._least_s
            return
        counts = await self._state.count_users()
        self._report.users = dict(counts.by_mode)
        self.period_s = max(self._least_s, RESTS * counts.asked_s)


class NewItemsFinder:
    """Follows which new items are the most promising; the worker that leads looks for them first.

    Parameters
    ----------
    state : Redis.
    config : how often.
    exposure : which items are new, and how they are judged.
    partitions : of the event topics.
    leads : whether this worker does now what only one should do.
    current : the recommender whose new items are replaced.
    """

    is_needed_to_serve = False

    def __init__(
        self,
        state: State,
        config: RefreshConfig,
        exposure: ExposureConfig,
        partitions: int,
        leads: Callable[[], bool],
        current: Current,
    ) -> None:
        self._state = state
        self._config = exposure
        self._partitions = partitions
        self._leads = leads
        self._current = current
        self._catalogue = Catalogue()
        self._newest: tuple[str, ...] = ()
        self.period_s = config.new_items_s

    async def refresh(self) -> None:
        """Find them where it is ours to do, and read."""
        if self._leads():
            await self._find()
        found = await self._state.new_items()
        self._current.recommender = self._current.recommender.with_new(found)

    async def _find(self) -> None:
        """Look at the newest items of the catalogue; those that had another id are not new."""
        catalogue = self._current.recommender.catalogue
        if catalogue is not self._catalogue:
            newest = [item for item in newest_first(catalogue) if not catalogue.items[item].was]
            self._catalogue, self._newest = catalogue, tuple(newest[: self._config.candidates])
        if not self._newest:
            return
        evidence = await self._state.exposure(self._partitions, self._newest)
        await self._state.put_new_items(most_promising(self._newest, evidence, self._config))
