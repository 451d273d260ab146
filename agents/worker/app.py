"""The worker process: a Faust app whose agents answer events and requests, and whose tasks keep it current.

The only place where the parts of a worker are joined.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.retry import Retry
from agents.side_by_side import end_tasks
from agents.worker.batch import consume_events
from agents.worker.catalogue import CatalogueFollower, CataloguePublisher, FeedLetters
from agents.worker.fetching import FetchWatch
from agents.worker.model_follower import ModelFollower, ModelLoader
from agents.worker.queries import QueriesFollower
from agents.worker.recovery import StateRecovery
from agents.worker.redis_watch import watch_redis
from agents.worker.refresh import Current, keep_refreshing
from agents.worker.refreshers import (
    HintLiftsFollower,
    LifeReporter,
    NewItemsFinder,
    OverridesAndExperiment,
    TrendingMerger,
    UserCensus,
)
from agents.worker.rejections import Rejections
from agents.worker.remaking import ListRemaker
from agents.worker.report import WorkerReport
from agents.worker.requests import consume_requests
from agents.worker.runtime import WORKER_GROUP, Worker, WorkerConfig, end_process
from streams.connected import connected
from streams.kafka import topics
from streams.kafka.cluster_watch import ClusterWatch
from streams.kafka.publisher import Publisher
from streams.metrics.collector import Figures, Values, lag_figures
from streams.metrics.families import (
    BREAKER_OPEN,
    CATALOGUE_ITEMS,
    FALLBACKS,
    HINTED_USERS,
    LAG,
    PINNED_VERSIONS,
)
from streams.metrics.worker import WorkerMetrics
from streams.people.forgetting import StateForgetter
from streams.people.merging import GuestMerger
from streams.reading.app import build_app
from streams.reading.user_profiles import HintsFeed
from streams.records.positions import DAY_MS, TopicPartition
from streams.records.records import Origin
from streams.redis.connection import connect
from streams.redis.heartbeat import SignOfLife
from streams.serving.arms import Arms
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.known_topics import keep_ids, recognise_topics
from streams.serving.lists import Serving
from streams.settings import Settings
from streams.state.eviction import RedisMemory, watch_eviction
from streams.state.keys import CATALOG_REJECTED, DATA_REQUESTS_REJECTED, HINTS_REJECTED
from streams.state.store import State, StateConfig
from streams.tracing.carrying import TraceCarrier
from streams.withdrawals.originals import OriginalEvents
from streams.wording.wording import ListWorder

if TYPE_CHECKING:
    import faust
    from prometheus_client import CollectorRegistry
    from redis.asyncio import Redis

__all__ = ["WORKER_GROUP", "Driver", "WorkerConfig", "build_worker", "join_worker"]


@dataclass(frozen=True, slots=True)
class Driver:
    """What a worker needs of the app that brings its records.

    Parameters
    ----------
    publisher : returns what sends on the app's producer.
    assigned : returns the topic partitions that are owned now.
    follows : returns, of a record, the first offset from which on nothing lies before it.
    lag : returns how many records of each partition are not done.
    done_to : returns the offset of each partition before which all is done, also what is no record.
    """

    publisher: Callable[[], Publisher]
    assigned: Callable[[], frozenset[TopicPartition]]
    follows: Callable[[Origin], int]
    lag: Callable[[], Mapping[TopicPartition, int]] = dict
    done_to: Callable[[], Mapping[TopicPartition, int]] = dict

    @classmethod
    def of_app(cls, app: "faust.App", settings: Settings) -> "Driver":
        """Return what a Faust app on our driver gives."""

        def follows(origin: Origin) -> int:
            found: int = app.consumer.follows(origin.topic, origin.partition, origin.offset)
            return found

        return cls(
            lambda: Publisher(app.producer, settings.prefix),
            partial(_assigned, app),
            follows,
            lambda: app.consumer.lag(),  # noqa: PLW0108 - Faust makes the consumer when it starts
            lambda: app.consumer.done_to(),  # noqa: PLW0108 - same
        )


def build_worker(
    settings: Settings,
    config: WorkerConfig | None = None,
    instance: str | None = None,
    registry: "CollectorRegistry | None" = None,
    tracing: TraceCarrier | None = None,
) -> "faust.App":
    """Return the app of one worker, ready to be started.

    Parameters
    ----------
    settings : addresses, prefix and partitions; the topics must exist.
    config : sizes.
    instance : static consumer group membership, unique per worker.
    registry : of the process, for what is measured.
    tracing : takes traces along; by default as they are.
    """
    config = config or WorkerConfig()
    client = connect(settings.redis, prefix=settings.prefix)
    state = State(client, StateConfig(idle_ms=settings.idle_days * DAY_MS), settings.kinds)
    app = build_app(settings, partial(end_process, "fetching"), partial(_applied, state), instance=instance)
    scoring = BudgetedScorer(config.serving.budget_s, Breaker(BreakerConfig(), time.monotonic))
    explaining = BudgetedScorer(config.serving.explain_budget_s, Breaker(BreakerConfig(), time.monotonic))
    reading = BudgetedScorer(config.serving.read_budget_s, Breaker(BreakerConfig(), time.monotonic))
    serving = Serving(config.serving, scoring, state, lambda: time.time_ns() // 1_000_000, explaining, reading)
    driver, metrics, memory = Driver.of_app(app, settings), WorkerMetrics(registry), RedisMemory()
    worker = join_worker(settings, config, state, serving, SignOfLife(client, "worker"), driver, metrics, tracing)
    parts = {"scoring": scoring, "explaining": explaining, "reading": reading}
    metrics.collect(partial(_figures, worker, parts, memory))
    background: set[asyncio.Task[Any]] = set()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        background.add(task)
        with worker.fatal("upkeep"):
            await _run(worker, app, client, memory)

    async def close(*_: Any, **__: Any) -> None:
        await end_tasks(background)  # first: what they do next may need what is closed below
        scoring.close()
        explaining.close()
        reading.close()
        await worker.stop()
        await client.aclose()

    async def revoke(_: Any, revoked: Iterable[Any], **__: Any) -> None:
        worker.recovery.ownership.revoke([(at.topic, at.partition) for at in revoked])

    async def begin(_: Any, assigned: Iterable[Any], **__: Any) -> None:
        worker.recovery.ownership.begin([(at.topic, at.partition) for at in assigned])

    _add_agents(app, worker)
    app.task(run)
    app.on_partitions_revoked.connect(revoke)
    app.on_partitions_assigned.connect(begin)
    app.on_before_shutdown.connect(close)
    return app


def join_worker(
    settings: Settings,
    config: WorkerConfig,
    state: State,
    serving: Serving,
    life: SignOfLife,
    driver: Driver,
    metrics: WorkerMetrics | None = None,
    tracing: TraceCarrier | None = None,
) -> Worker:
    """Return a worker of these parts, which takes events once it was started.

    Parameters
    ----------
    settings, config : addresses, and sizes.
    state : Redis.
    serving : makes the lists.
    life : where signs of life go.
    driver : brings the records.
    metrics : what is measured; by default for nobody.
    tracing : takes traces along; by default as they are.
    """
    metrics = metrics or WorkerMetrics()
    retry, report, current = Retry("worker"), WorkerReport(), Current.empty(config.modes, repeats=settings.keep_repeats)
    rejections = Rejections(time.monotonic, report, metrics, settings.prefix)
    refresh = config.refresh
    thread = ThreadPoolExecutor(1, "upkeep")  # one for good: the allocator keeps memory for each thread
    loader = ModelLoader(settings, refresh.threads, thread)
    arms = Arms(state, loader.load_pinned, refresh.retry_s)
    catalogue = CatalogueFollower(settings, current, retry, refresh)
    hints = HintsFeed(settings, lambda: time.time_ns() // 1_000_000)

    def leads() -> bool:
        return (settings.prefix + topics.WATCHES, 0) in driver.assigned()

    def assigned_events() -> frozenset[TopicPartition]:
        names = {settings.prefix + topic for topic in topics.EVENTS}
        return frozenset(partition for partition in driver.assigned() if partition[0] in names)

    forgetter = StateForgetter(settings, state)
    state.merges = forgetter.feed.merges
    new_items = NewItemsFinder(state, refresh, config.exposure, settings.partitions, leads, current)
    queries = QueriesFollower(config.queries, refresh, current, state)
    titles = CataloguePublisher(state, refresh, leads, current, thread)
    life_reporter = LifeReporter(life, report, rejections, metrics, driver.lag)
    return Worker(
        settings=settings,
        config=config,
        state=state,
        retry=retry,
        originals=OriginalEvents(settings, state, lambda item_id: current.recommender.genres_of(item_id), "worker"),  # noqa: PLW0108 - the recommender of then
        recovery=StateRecovery(settings, settings.prefix + WORKER_GROUP, state, assigned_events, driver.follows),
        current=current,
        arms=arms,
        serving=serving,
        publisher=driver.publisher,
        done_to=driver.done_to,
        catalogue=catalogue,
        hints=hints,
        forgetter=forgetter,
        merger=GuestMerger(forgetter.feed.merges, state),
        titles=titles,
        queries=queries,
        life=life_reporter,
        refreshers=(
            ModelFollower(state, refresh, loader, current, report),
            OverridesAndExperiment(state, refresh, arms, current, report),
            catalogue,
            TrendingMerger(state, refresh, settings.partitions, leads, current),
            life_reporter,
            titles,
            queries,
            FeedLetters(state, refresh, leads, catalogue.feed, CATALOG_REJECTED, driver.publisher, rejections),
            FeedLetters(state, refresh, leads, hints, HINTS_REJECTED, driver.publisher, rejections),
            FeedLetters(state, refresh, leads, forgetter.feed, DATA_REQUESTS_REJECTED, driver.publisher, rejections),
            HintLiftsFollower(state, refresh, current),
            UserCensus(state, refresh.census_s, leads, report),
            *([new_items] if config.serving.expose > 0.0 else []),
        ),
        rejections=rejections,
        report=report,
        metrics=metrics,
        tracing=tracing or TraceCarrier(),
        thread=thread,
        worder=None if config.wording is None else ListWorder(config.wording, Breaker(BreakerConfig(), time.monotonic)),
    )


def _add_agents(app: "faust.App", worker: Worker) -> None:
    """Let the app's agents answer events and requests."""

    async def events(stream: Any) -> None:
        await consume_events(worker, stream)

    async def requests(stream: Any) -> None:
        await consume_requests(worker, stream)

    prefix = worker.settings.prefix
    names = [prefix + name for name in topics.EVENTS]
    app.agent(app.topic(*names, value_type=bytes, value_serializer="raw"), name="events", concurrency=1)(events)
    requested = app.topic(prefix + topics.REQUESTS, value_type=bytes, value_serializer="raw")
    app.agent(requested, name="requests", concurrency=1)(requests)


async def _run(worker: Worker, app: "faust.App", client: "Redis", memory: RedisMemory) -> None:
    """Start the worker, and keep it current and watched until cancelled."""
    settings = worker.settings

    async def reread_catalogue() -> None:
        await worker.catalogue.feed.reread()
        await _recognise(worker.retry, settings)

    async def reread_hints() -> None:
        await worker.hints.reread()
        await _recognise(worker.retry, settings)

    async def reread_asked() -> None:
        await worker.forgetter.feed.reread()
        await _recognise(worker.retry, settings)

    def kafka_is_away(seconds: float | None) -> None:
        worker.report.kafka_away_s = seconds

    cluster = ClusterWatch(
        settings,
        "worker",
        restart=(topics.REQUESTS,),
        reread={
            topics.CATALOG: reread_catalogue,
            topics.USER_PROFILES: reread_hints,
            topics.DATA_REQUESTS: reread_asked,
        },
        told=kafka_is_away,
    )
    fetching = FetchWatch(settings, worker.config.fetching, lambda: app.consumer, worker.recovery, worker.report)
    await worker.start()
    async with connected(cluster):
        await worker.retry.until_available(cluster.look)  # from here on a change is noticed; _recognise looks before it
        await _recognise(worker.retry, settings)
        await asyncio.gather(
            watch_redis(worker),
            cluster.run(),
            fetching.run(),
            watch_eviction("worker", settings, memory=memory),
            keep_ids(client, settings, lambda: cluster.ids),
            worker.catalogue.feed.follow(),
            worker.hints.follow(),
            worker.forgetter.feed.follow(),
            *(keep_refreshing(refresher) for refresher in worker.refreshers),
            keep_refreshing(ListRemaker(worker, partial(_assigned, app))),
        )


def _figures(worker: Worker, parts: Mapping[str, BudgetedScorer], memory: RedisMemory) -> Figures:
    """Give what Prometheus is told of a worker, as it is now."""
    yield from worker.report.figures()
    yield from memory.figures()
    yield from worker.queries.figures()
    yield LAG, lag_figures(worker.life.lags, worker.settings.prefix)
    fallen: Values = {(name, cause): n for name, part in parts.items() for cause, n in dict(part.fallbacks).items()}
    yield FALLBACKS, fallen
    yield BREAKER_OPEN, {(name,): float(part.is_tripped) for name, part in parts.items()}
    yield CATALOGUE_ITEMS, len(worker.current.recommender.catalogue)
    yield HINTED_USERS, len(worker.hints)
    yield PINNED_VERSIONS, worker.arms.n_pinned + (worker.current.recommender.version is not None)


async def _applied(state: State, partition: TopicPartition) -> int:
    """Return the last offset of a partition that the state knows, whenever Redis answers; -1 for none."""
    found = await Retry("worker").until_available(state.positions, [partition])
    return found[partition].applied


async def _recognise(retry: Retry, settings: Settings) -> None:
    """Compare the topics with the ids that the state belongs to, whenever Redis answers."""
    await retry.until_available(asyncio.to_thread, recognise_topics, settings)


def _assigned(app: "faust.App") -> frozenset[TopicPartition]:
    """Return the topic partitions that the app owns now; none before it has joined its group."""
    from faust.exceptions import ConsumerNotStarted  # noqa: PLC0415 - Faust is imported by `build_app`

    with suppress(ConsumerNotStarted):
        return frozenset((at.topic, at.partition) for at in app.consumer.assignment())
    return frozenset()
