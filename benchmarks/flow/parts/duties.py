"""What is not divided among workers: duties that grow with the partitions, and processes of which there is one."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import orjson

from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.counting import COUNTED, Counting
from agents.scorekeeper.report import ScorekeeperReport
from agents.trainer.config import TrainerConfig
from agents.trainer.intake import EventIntake
from agents.trainer.pending import Pending
from agents.worker.refresh import RefreshConfig
from benchmarks.flow.parts.crowd import BEGIN_MS, EventStream
from benchmarks.flow.parts.stages import MICRO, Clock
from model.catalogue import Catalogue
from model.kinds import DEFAULT_KINDS
from model.ranking.exposure import ExposureConfig, most_promising
from model.training.learner import Learner
from streams.kafka.topics import RECOMMENDATIONS
from streams.reading.data_requests import DataRequestsFeed
from streams.records.decoding import RawRecord, decode_batch
from streams.records.records import Origin
from streams.settings import Settings
from streams.state.store import State

__all__ = ["PartitionDuty", "counted_us", "learnt_us", "partition_duty", "warm_partitions"]

WARM_ITEMS = 1000  # of each partition and topic: as many as merging reads
USER_ITEMS = 5  # of each user: all events are a newcomer's
TOGETHER = 1000
REPEATS = 7
READ = 2000  # records that the scorekeeper takes at once
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PartitionDuty:
    """Milliseconds of processor time, ours and of Redis, of what is done again and again, by the partitions.

    Parameters
    ----------
    partitions : of each topic.
    merge, merge_redis : of merging trending, which one worker does every second.
    look, look_redis : of looking at the newest items, which one worker does every five seconds.
    show, show_redis : of reading which of them lists may show, which each worker does every five seconds.
    follow, follow_redis : of reading trending, which each worker does every second.
    """

    partitions: int
    merge: float
    merge_redis: float
    look: float
    look_redis: float
    show: float
    show_redis: float
    follow: float
    follow_redis: float


async def warm_partitions(state: State, catalogue: Catalogue, partitions: int) -> None:
    """Let ``WARM_ITEMS`` items trend among watches and among ratings of each partition, with newcomers as with all."""
    items = [*catalogue.items][:WARM_ITEMS]
    stream = EventStream(items, np.random.default_rng(0), partitions)
    events = (
        (*one, ())
        for partition in range(partitions)
        for user, some in enumerate(_batched(items, USER_ITEMS))
        for item in some
        for one in stream.liked(user * partitions + partition, item)
    )
    for some in _batched(events, TOGETHER):
        await state.apply(some)


async def partition_duty(state: State, catalogue: Catalogue, partitions: int, server: Any) -> PartitionDuty:
    """Measure the duties with so many partitions, all of which are warm."""
    clock, config = Clock(server), RefreshConfig()
    newest = [*catalogue.items][: ExposureConfig().candidates]
    for _ in range(REPEATS):
        with clock.measuring("merge"):
            await state.merge_trending(partitions, catalogue)
        with clock.measuring("look"):
            evidence = await state.exposure(partitions, newest)
            await state.put_new_items(most_promising(newest, evidence))
        with clock.measuring("show"):
            await state.new_items()
        with clock.measuring("follow"):
            await state.trending(config.trending)
            await state.newcomers(config.trending)
    found = [
        one(name, 1000.0) for name in ("merge", "look", "show", "follow") for one in (clock.our_us, clock.server_us)
    ]
    return PartitionDuty(partitions, *found)


def learnt_us(records: Sequence[RawRecord]) -> float:
    """Return the trainer's microseconds for an event that it reads: decoding, observing, and noting where it stood."""
    config = TrainerConfig()
    learner, intake, pending = Learner(config.learner), EventIntake(config.remembered_events, DEFAULT_KINDS), Pending()
    began = time.process_time()
    for origin, event in decode_batch(records).events:
        learner.observe(intake.learnt(learner, [(origin, event)]))
        pending.add(learner.observed, origin)
    return MICRO * (time.process_time() - began) / len(records)


def counted_us(records: Sequence[RawRecord], lists: Sequence[bytes], partitions: int, catalogue: Catalogue) -> float:
    """Return the scorekeeper's microseconds for an event and the list that it led to.

    Parameters
    ----------
    records : of the event topics.
    lists : of the same users, one for each record, as published.
    partitions : of each topic.
    catalogue : what may be listed.
    """
    settings = Settings("localhost:1", "redis://localhost:1", "unused", partitions=partitions)
    report, asked = ScorekeeperReport(), DataRequestsFeed(settings)
    counting = Counting(settings, ScorekeeperConfig(), report, asked, lambda: catalogue)
    counting.begin({topic: dict.fromkeys(range(partitions), 0) for topic in COUNTED})
    all_of_them = list(_with_lists(records, lists))
    began, now_ms = time.process_time(), BEGIN_MS * 2
    for some in _batched(all_of_them, READ):
        counting.add(some, now_ms)
        counting.count((), now_ms)
    return MICRO * (time.process_time() - began) / len(records)


def _with_lists(records: Sequence[RawRecord], lists: Sequence[bytes]) -> Iterator[RawRecord]:
    """Give each event, and the list of its user a moment later, each list under a name of its own."""
    offsets: dict[int, int] = {}
    for number, (record, body) in enumerate(zip(records, lists, strict=True)):
        yield record
        at = record.origin.partition
        offsets[at] = offsets.get(at, -1) + 1
        origin = Origin(RECOMMENDATIONS, at, offsets[at], (record.origin.timestamp or 0) + 1)
        yield replace(record, origin=origin, value=orjson.dumps(orjson.loads(body) | {"rec_id": f"rec-{number}"}))


def _batched(values: Iterable[T], n: int) -> Iterator[list[T]]:
    """Give values n at a time."""
    remaining = iter(values)
    while some := list(islice(remaining, n)):
        yield some
