"""The worker process: a Faust app whose agents answer events and requests, and whose tasks keep it current."""

import asyncio
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from agents.retry import Patience
from agents.worker.events import answer_again, consume_events
from agents.worker.fetching import FetchWatch
from agents.worker.refresh import Upkeep, WorkerReport
from agents.worker.requests import consume_requests
from agents.worker.runtime import Worker, WorkerConfig, end_process
from streams.kafka import topics
from streams.kafka.cluster_watch import ClusterWatch
from streams.kafka.publisher import Publisher
from streams.reading.app import WORKER_GROUP, build_app
from streams.records.positions import DAY_MS, TopicPartition
from streams.records.records import Origin
from streams.redis.connection import connect
from streams.redis.heartbeat import SignOfLife
from streams.serving.budget import Breaker, BreakerConfig, BudgetedScorer
from streams.serving.known_topics import keep_ids, recognise_topics
from streams.serving.lists import Serving
from streams.settings import Settings
from streams.state.eviction import watch_eviction
from streams.state.store import State, StateConfig

if TYPE_CHECKING:
    import faust

__all__ = ["WORKER_GROUP", "WorkerConfig", "build_worker"]


def build_worker(settings: Settings, config: WorkerConfig | None = None, instance: str | None = None) -> "faust.App":
    """Return the app of one worker, ready to be started.

    Parameters
    ----------
    settings : addresses, prefix and partitions; the topics must exist.
    config : sizes.
    instance : static consumer group membership, unique per worker.
    """
    config = config or WorkerConfig()
    client = connect(settings.redis)
    state = State(client, StateConfig(idle_ms=settings.idle_days * DAY_MS))

    app = build_app(settings, lambda error: end_process("fetching", error), partial(_applied, state), instance=instance)

    def outbox() -> Publisher:
        return Publisher(app.producer, settings.prefix)

    upkeep = Upkeep(
        settings,
        config.upkeep,
        config.modes,
        state,
        SignOfLife(client, "worker"),
        lambda: (settings.prefix + topics.WATCHES, 0) in _assigned(app),
        WorkerReport(),
        outbox,
    )
    scoring = BudgetedScorer(config.serving.budget_s, Breaker(BreakerConfig(), time.monotonic))
    serving = Serving(config.serving, scoring, state, lambda: time.time_ns() // 1_000_000)
    event_topics = {settings.prefix + topic for topic in topics.EVENTS}

    def assigned_events() -> frozenset[TopicPartition]:
        return frozenset(place for place in _assigned(app) if place[0] in event_topics)

    def follows(origin: Origin) -> int:
        found: int = app.consumer.follows(origin.topic, origin.partition, origin.offset)
        return found

    worker = Worker(settings, config, state, serving, upkeep, outbox, assigned_events, answer_again, follows)
    fetching = FetchWatch(settings, config.fetching, lambda: app.consumer, worker.mender, upkeep.report)

    async def events(stream: Any) -> None:
        await consume_events(worker, stream)

    async def requests(stream: Any) -> None:
        await consume_requests(worker, stream)

    async def reread_catalogue() -> None:
        await upkeep.feed.reread()
        await _recognise(settings)

    def kafka_is_away(seconds: float | None) -> None:
        upkeep.report.kafka_away_s = seconds

    cluster = ClusterWatch(
        settings,
        "worker",
        restart=(topics.REQUESTS,),
        reread={topics.CATALOG: reread_catalogue},
        told=kafka_is_away,
    )

    background: set[asyncio.Task[Any]] = set()

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        background.add(task)
        with worker.fatal("upkeep"):
            await worker.start()
            await Patience().through(cluster.look)  # from here on a change is noticed; what came before is looked for
            await _recognise(settings)
            eviction = watch_eviction("worker", settings)
            watching = (
                worker.watch_redis(),
                cluster.run(),
                fetching.run(),
                eviction,
                keep_ids(client, settings, lambda: cluster.ids),
            )
            await asyncio.gather(*watching, *(loop() for loop in upkeep.loops()))

    names = [settings.prefix + name for name in topics.EVENTS]
    app.agent(app.topic(*names, value_type=bytes, value_serializer="raw"), name="events", concurrency=1)(events)
    requested = app.topic(settings.prefix + topics.REQUESTS, value_type=bytes, value_serializer="raw")
    app.agent(requested, name="requests", concurrency=1)(requests)
    app.task(run)

    async def close(*_: Any, **__: Any) -> None:
        await _end(background)  # first: what they do next may need what is closed below
        scoring.close()
        await upkeep.stop()
        await client.aclose()

    app.on_before_shutdown.connect(close)
    return app


async def _end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _applied(state: State, place: TopicPartition) -> int:
    """Return the last offset of a partition that the state knows, whenever Redis answers; -1 for none."""
    found = await Patience().through(lambda: state.positions([place]))
    return found[place].applied


async def _recognise(settings: Settings) -> None:
    """Compare the topics with the ids that the state belongs to, whenever Redis answers."""
    await Patience().through(lambda: asyncio.to_thread(recognise_topics, settings))


def _assigned(app: "faust.App") -> frozenset[TopicPartition]:
    """Return the topic partitions that the app owns now; none before it has joined its group."""
    from faust.exceptions import ConsumerNotStarted  # noqa: PLC0415 - Faust is imported by `build_app`

    with suppress(ConsumerNotStarted):
        return frozenset((at.topic, at.partition) for at in app.consumer.assignment())
    return frozenset()
