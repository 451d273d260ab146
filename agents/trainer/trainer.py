"""The trainer process: collects events, fine-tunes, gates, stores a version, and lets the workers follow it.

A process of its own, so that training never delays a list; a plain consumer rather than a Faust agent, because
what it acknowledges is not a batch that it has seen but a version that it has stored. ``events`` reads, ``schedule``
says when to train and ``rounds`` what becomes of it, ``promoting`` and ``blame`` let versions serve, through
``pointer``.
"""

import logging
import time
from contextlib import aclosing
from dataclasses import asdict, replace

from prometheus_client import CollectorRegistry

from agents.retry import Retry
from agents.side_by_side import side_by_side
from agents.trainer.announcer import Announcer
from agents.trainer.blame import Blame
from agents.trainer.config import TrainerConfig
from agents.trainer.events import TrainingEvents
from agents.trainer.forgetting import LearnerForgetter
from agents.trainer.hints import HintTeacher
from agents.trainer.pointer import PointerKeeper
from agents.trainer.promoting import Promoter
from agents.trainer.report import TrainerReport
from agents.trainer.rounds import Rounds
from agents.trainer.schedule import RoundSchedule
from agents.trainer.versions import VersionKeeper
from streams.connected import connected
from streams.kafka import topics
from streams.kafka.cluster_watch import ClusterWatch
from streams.metrics.collector import Figures, ReportCollector, lag_figures
from streams.metrics.endpoint import histogram
from streams.metrics.families import LAG, ROUND_SECONDS
from streams.reading.catalogue import CatalogueFeed
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.reader import EventReader
from streams.reading.user_profiles import HintsFeed
from streams.redis.connection import connect
from streams.redis.heartbeat import Heartbeat
from streams.settings import Settings
from streams.state.eviction import RedisMemory, watch_eviction
from streams.state.store import State

__all__ = ["TRAINER_GROUP", "Trainer", "TrainerConfig", "TrainerReport"]

TRAINER_GROUP = "reelstream-trainer"
LOST = "what they held is learnt by no version; `reelstream train --from-archive` learns from an archive that has it"
logger = logging.getLogger(__name__)


class Trainer:
    """One trainer; ``run`` returns when it is cancelled.

    Parameters
    ----------
    settings : addresses; the topics must exist.
    config : when to train.
    registry : of the process, for what is measured.
    """

    def __init__(
        self, settings: Settings, config: TrainerConfig | None = None, registry: CollectorRegistry | None = None
    ) -> None:
        registry = registry or CollectorRegistry()
        config = _with_repeats(config or TrainerConfig(), keeps=settings.keep_repeats)
        self.report = report = TrainerReport()
        self._settings = settings
        self._client = connect(settings.redis, prefix=settings.prefix)
        self._state = state = State(self._client)
        self._retry = retry = Retry("trainer", state.install)  # nothing here depends on positions
        self._reader = EventReader(settings, TRAINER_GROUP, cure=LOST)
        feed = CatalogueFeed(settings, lambda _: None)
        hints = HintsFeed(settings, lambda: time.time_ns() // 1_000_000)
        asked = DataRequestsFeed(settings)
        self._feeds = (feed, hints, asked)
        reread = {topics.CATALOG: feed.reread, topics.USER_PROFILES: hints.reread, topics.DATA_REQUESTS: asked.reread}
        self._cluster = ClusterWatch(settings, "trainer", config.watch, reread=reread, told=self._kafka_is_away)
        self._announcer = announcer = Announcer(settings, state, retry)
        self._pointer = pointer = PointerKeeper(state, announcer, retry)
        self._events = events = TrainingEvents(
            settings, config, self._reader, retry, report, asked, lambda: feed.catalogue.renames
        )
        self._schedule = RoundSchedule(config, events, report)
        self._forgetter = LearnerForgetter(settings.registry, asked, events, report)
        self._versions = versions = VersionKeeper(settings.registry, config, pointer, state, report)
        self._blame = Blame(config, versions, pointer, announcer, report)
        promoter = Promoter(events, versions, pointer, self._cluster, report)
        teacher = HintTeacher(hints, state, retry)
        took = histogram(ROUND_SECONDS, registry).observe
        self._memory = RedisMemory()
        self._rounds = Rounds(config, events, feed, promoter, self._blame, announcer, report, teacher, took)
        registry.register(ReportCollector(self._figures))

    async def run(self) -> None:
        """Learn until cancelled.

        Steps: 1 connect; 2 take up the version that serves; 3 read, and train whenever it is due. Where somebody
        else has moved the pointer meanwhile (a rollback), it is step 2 again instead: what serves is what is tuned.
        Beside it, follow the catalogue, show signs of life, keep the pointer and look at the cluster.
        """
        # Step 1
        async with aclosing(self._client):
            await self._retry.until_available(self._state.install)
            async with connected(self._reader, *self._feeds, self._announcer, self._cluster):
                await self._retry.until_available(self._cluster.look)
                await side_by_side(
                    self._learn(),
                    *(feed.follow() for feed in self._feeds),
                    Heartbeat("trainer", self._client).run(lambda: asdict(self.report)),
                    self._pointer.keep(),
                    self._cluster.run(),
                    watch_eviction("trainer", self._settings, memory=self._memory),
                )

    async def _learn(self) -> None:
        # Step 2
        await self._forgetter.carry_out()
        await self._take_up()
        # Step 3
        while True:
            await self._events.read()
            await self._forgetter.carry_out()
            if await self._schedule.is_due():
                await (self._take_up() if await self._has_moved() else self._round())

    async def _take_up(self) -> None:
        """Start from the serving version, with the events before its offsets as the old ones."""
        self._events.forget()
        self._blame.forget()
        self._pointer.set_aside(None)
        current, standing = await self._pointer.measured()  # of one moment: the pointer may move while we load
        if current is None:  # none was promoted yet, or a Redis that lost everything before we came has none
            self._versions.begin_anew()
            await self._events.begin()
            logger.info("trainer.ready without a version")
            return
        await self._pointer.finish()
        found = await self._versions.load(current)
        if found is None:
            await self._take_up()
            return
        snapshot, version = found
        if snapshot.config.repeats != self._settings.keep_repeats:
            await self._begin_anew(current.version)
            return
        anchor = await self._versions.load_anchor(standing.anchor)
        await self._events.go_on_from(version, snapshot, self._cluster.ids)
        self._events.measure_by(anchor, standing)
        logger.info("trainer.ready from %s with %s old events", version.version_id, len(self._events.learner))

    async def _begin_anew(self, version: str) -> None:
        """Learn from the first event on, as the version that serves was trained with repeats treated in another way.

        It keeps its place until one that was learnt anew takes it. Whoever turns the switch back finds all as it was.
        """
        self._pointer.set_aside(version)
        self._versions.begin_anew()
        await self._events.begin()
        was, now = ("dropped", "kept") if self._settings.keep_repeats else ("kept", "dropped")
        logger.warning(
            "trainer.begun_anew %s was trained with repeats %s, and REELSTREAM_KEEP_REPEATS says that they are %s; "
            "a first version is learnt from all events that Kafka holds, and workers serve it once it is promoted",
            version,
            was,
            now,
        )

    async def _has_moved(self) -> bool:
        """Return whether another version serves than the one that is tuned here."""
        return await self._pointer.tuned() != self.report.model_version

    async def _round(self) -> None:
        outcome = await self._rounds.run()
        self._schedule.note_ended()
        if outcome == "tuned":
            return
        scale = self._events.learner.update_scale
        await self._take_up()
        if outcome == "rolled_back":
            self._events.learner.update_scale = scale  # as cautious as before

    def _figures(self) -> Figures:
        yield from self.report.figures()
        yield from self._memory.figures()
        yield LAG, lag_figures(self._events.lags, self._settings.prefix)

    def _kafka_is_away(self, seconds: float | None) -> None:
        self.report.kafka_away_s = seconds


def _with_repeats(config: TrainerConfig, *, keeps: bool) -> TrainerConfig:
    """Return the configuration that treats repeats as the installation does."""
    network = replace(config.rounds.network, repeats=keeps)
    return replace(config, rounds=replace(config.rounds, network=network))
