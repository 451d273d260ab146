"""What the agents of one worker share: its parts, whose turn it is, and how it ends."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from agents.memory import give_back_memory
from agents.retry import Retry
from agents.side_by_side import all_done
from agents.turns import Turns
from agents.worker.catalogue import CatalogueFollower, CataloguePublisher
from agents.worker.fetching import FetchWatchConfig
from agents.worker.queries import QueriesFollower, QueryReading
from agents.worker.recovery import StateRecovery
from agents.worker.refresh import Current, RefreshConfig, Refresher
from agents.worker.refreshers import LifeReporter
from agents.worker.rejections import Rejections
from agents.worker.report import WorkerReport
from model.history import Profile
from model.ranking.exposure import ExposureConfig
from model.ranking.modes import ModeConfig
from streams.errors import StreamError
from streams.kafka.publisher import Publisher
from streams.metrics.worker import WorkerMetrics
from streams.people.forgetting import StateForgetter
from streams.people.merging import GuestMerger
from streams.reading.app import WORKER_GROUP
from streams.reading.user_profiles import HintsFeed
from streams.records.positions import TopicPartition
from streams.serving.arms import Arms
from streams.serving.degraded import DegradedLists
from streams.serving.kept import KeptLists
from streams.serving.lists import Serving, ServingConfig
from streams.settings import Settings
from streams.state.store import State
from streams.tracing.carrying import TraceCarrier
from streams.withdrawals.originals import OriginalEvents
from streams.wording.endpoint import WordingEndpoint
from streams.wording.wording import ListWorder

__all__ = ["FATAL_STATUS", "WORKER_GROUP", "Worker", "WorkerConfig", "end_process"]

logger = logging.getLogger(__name__)
FATAL_STATUS = 70  # EX_SOFTWARE of sysexits: restart me
HELD_S = 0.05
OVERLAPPING = 2  # batches: one is applied while the one before is answered; a third would wait for the same thread


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Sizes of a worker.

    Parameters
    ----------
    batch : most events taken at once: as many as wait, so a large one is only ever taken under a backlog.
    within_s : how long a batch that is not full is collected after its first event, seconds. Events that come while
        the one before is worked on are in the next anyway; this only keeps an idle worker from ranking one by one.
    requests_within_s : the same of requests, where somebody waits.
    queries : what compares queries in words with the items.
    serving, refresh, modes, exposure, fetching : of the parts.
    wording : the language model that words requests' lists; None for none.
    """

    batch: int = 1024
    within_s: float = 0.002
    queries: QueryReading = "auto"
    requests_within_s: float = 0.002
    serving: ServingConfig = field(default_factory=ServingConfig)
    refresh: RefreshConfig = field(default_factory=RefreshConfig)
    modes: ModeConfig = field(default_factory=ModeConfig)
    exposure: ExposureConfig = field(default_factory=ExposureConfig)
    fetching: FetchWatchConfig = field(default_factory=FetchWatchConfig)
    wording: WordingEndpoint | None = None


@dataclass(eq=False, slots=True)
class Worker:
    """The parts of one worker process; ``agents.worker.app`` joins them.

    Parameters
    ----------
    settings, config : addresses, and sizes.
    state : Redis. It may go away for any time and come back, even with less.
    retry : waits for Redis and Kafka; another Redis than the one known is an error to it.
    originals : finds the events that withdrawals take back.
    recovery : says what a Redis that came back lacks.
    current : the recommender that serves now.
    arms, serving : who is answered by which recommender, and how.
    publisher : returns what sends on the app's producer, which Faust makes when it starts.
    catalogue : every item, in time for the events that name it.
    hints : what is said of users beforehand.
    done_to : returns the offset of each partition before which all is done, also what is no record.
    forgetter : keeps forgotten users out of Redis.
    merger : lets guests' histories be their accounts'.
    titles : what look-ups know of the catalogue.
    queries : reads what is asked for in words.
    life : shows signs of life.
    refreshers : what keeps all of this current, each with a period of its own.
    rejections : the account of dead letters.
    report : what the worker tells about itself.
    metrics : what it measures of itself.
    tracing : takes traces along from records to lists.
    thread : where versions are read, and similar items computed.
    worder : says requests' lists in other words, where a language model is set up.
    degraded : lists that events led to and that were made without scoring.
    kept : what the batch before has left with its users.
    turns : of batches, of which two overlap, and of whoever must be alone with the state.
    applying : held by whoever applies events or recovers Redis: no event may get ahead of those that were lost.
    """

    settings: Settings
    config: WorkerConfig
    state: State
    retry: Retry
    originals: OriginalEvents
    recovery: StateRecovery
    current: Current
    arms: Arms
    serving: Serving
    publisher: Callable[[], Publisher]
    done_to: Callable[[], Mapping[TopicPartition, int]]
    catalogue: CatalogueFollower
    hints: HintsFeed
    forgetter: StateForgetter
    merger: GuestMerger
    titles: CataloguePublisher
    queries: QueriesFollower
    life: LifeReporter
    refreshers: tuple[Refresher, ...]
    rejections: Rejections
    report: WorkerReport
    metrics: WorkerMetrics
    thread: Executor
    worder: ListWorder | None = None
    tracing: TraceCarrier = field(default_factory=TraceCarrier)
    degraded: DegradedLists = field(default_factory=DegradedLists)
    kept: KeptLists = field(default_factory=KeptLists)
    turns: Turns = field(default_factory=lambda: Turns(OVERLAPPING))
    applying: asyncio.Lock = field(default_factory=asyncio.Lock)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Load what serving needs and let the agents go."""
        await self.retry.until_available(self.state.install)
        await self.retry.until_available(self.state.know_servers)
        await self.retry.until_available(self._load)
        await self.wait_while_held()
        gc.collect()
        gc.freeze()  # what is loaded stays: walking it again and again would stop lists
        give_back_memory()
        self._ready.set()
        await self.retry.until_available(self.life.refresh)  # who reads the next line may ask for its health
        logger.info(
            "worker.ready %s items, model %s", len(self.catalogue.feed.catalogue), self.current.recommender.version
        )

    async def stop(self) -> None:
        """Let go of the connections, and of the thread once it is done."""
        async with AsyncExitStack() as stopping:  # the last one first, and all of them whatever happens
            if self.worder is not None:
                stopping.push_async_callback(self.worder.close)
            for feed in (self.forgetter.feed, self.hints, self.catalogue.feed):
                stopping.push_async_callback(feed.stop)
            stopping.push_async_callback(asyncio.to_thread, self.tracing.close)
            stopping.callback(self.thread.shutdown, wait=False, cancel_futures=True)
            stopping.callback(self.queries.stop)
            stopping.callback(self.rejections.close)

    @property
    def has_asked(self) -> bool:
        """Whether something that people have asked of their data is to be carried out."""
        return self.forgetter.has_open(self.recovery.partitions) or self.merger.has_open

    @property
    def handled(self) -> Mapping[TopicPartition, int]:
        """The offset before which all is handled, also ends of transactions; of each partition that is recovered."""
        done = self.done_to()
        return {at: max(offset, done.get(at, 0)) for at, offset in self.recovery.handled.items()}

    async def ready(self) -> None:
        """Wait until the worker may take events."""
        await self._ready.wait()

    def hinted(self, profile: Profile) -> Profile:
        """Return a profile with what is said of its user beforehand, and its items named by their first ids."""
        profile = self.current.recommender.known.renames.of_profile(profile)
        groups = self.hints.groups_of(profile.user_id)
        return replace(profile, groups=groups) if groups else profile

    async def wait_while_held(self) -> None:
        """Wait until nobody asks workers to wait."""
        held = await self.retry.until_available(self.state.is_held)
        while held:
            await asyncio.sleep(HELD_S)
            held = await self.retry.until_available(self.state.is_held)

    async def _load(self) -> None:
        await all_done(self.catalogue.feed.start(), self.hints.start(), self.forgetter.feed.start())
        for refresher in self.refreshers:
            if refresher.is_needed_to_serve:
                await refresher.refresh()

    @contextmanager
    def fatal(self, where: str) -> Iterator[None]:
        """End the process on an error, with nothing acknowledged; cancellation passes through.

        An error that was raised on purpose says what is wrong in one line; any other one needs its traceback.
        """
        try:
            yield
        except StreamError as error:
            end_process(where, error)
        except Exception:
            logger.exception("worker.fatal in %s; what is not acknowledged will be read again", where)
            _exit()


def end_process(where: str, error: StreamError) -> NoReturn:
    """End at once, with one line about an error that was raised on purpose; what is not acknowledged is read again."""
    logger.error("worker.fatal in %s: %s", where, error)
    _exit()


def _exit() -> NoReturn:
    logging.shutdown()
    os._exit(FATAL_STATUS)
