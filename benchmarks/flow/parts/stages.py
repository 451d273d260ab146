"""What an event costs in each stage of a batch, in processor time of a worker and of Redis."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from redis import Redis

from benchmarks.flow.parts.crowd import EventStream
from model.history import Profile
from model.ranking.recommender import Recommender
from streams.records.decoding import RawRecord, decode_batch
from streams.records.records import Withdrawal
from streams.serving.lists import Answer, Serving, Trigger
from streams.state.calls import StoredList
from streams.state.store import AppliedBatch, State

__all__ = ["BATCH", "STAGES", "Clock", "Stages", "lists_of", "stage_costs"]

BATCH = 256
WARM = 2  # batches before those that count
STAGES = ("decode", "apply", "answer", "encode", "keep")
MICRO = 1e6


@dataclass(slots=True)
class Clock:
    """Processor seconds of this process and of the server's one thread that runs commands.

    Parameters
    ----------
    server : asked how much it has used.
    ours, servers : seconds by name, one for each time it was measured.
    """

    server: Redis
    ours: dict[str, list[float]] = field(default_factory=dict)
    servers: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        before, began = self._server_s(), time.process_time()
        yield
        ended = time.process_time()
        self.ours.setdefault(name, []).append(ended - began)
        self.servers.setdefault(name, []).append(self._server_s() - before)

    def our_us(self, name: str, each: float = 1.0) -> float:
        """Return our median microseconds, for one of ``each``."""
        return MICRO * statistics.median(self.ours[name]) / each

    def server_us(self, name: str, each: float = 1.0) -> float:
        """Return the server's median microseconds, for one of ``each``."""
        return MICRO * statistics.median(self.servers[name]) / each

    def _server_s(self) -> float:
        found = self.server.info("cpu")
        return float(found["used_cpu_user_main_thread"]) + float(found["used_cpu_sys_main_thread"])


@dataclass(frozen=True, slots=True)
class Stages:
    """What an event costs.

    Parameters
    ----------
    worker, redis : microseconds of processor time by stage.
    personalised : share of the lists that are.
    event_bytes, list_bytes : of a record and of a list, on average.
    """

    worker: dict[str, float]
    redis: dict[str, float]
    personalised: float
    event_bytes: float
    list_bytes: float


async def stage_costs(
    state: State,
    serving: Serving,
    recommender: Recommender,
    stream: EventStream,
    users: Callable[[], Sequence[int]],
    clock: Clock,
    batches: int,
) -> Stages:
    """Take batches through the stages, each of other users, and return the medians.

    Parameters
    ----------
    state, serving, recommender : of a worker.
    stream : makes the records.
    users : draws those of a batch.
    clock : measures.
    batches : that count.
    """
    made: list[StoredList] = []
    sent: list[RawRecord] = []
    for number in range(WARM + batches):
        counts, records = clock if number >= WARM else Clock(clock.server), stream.batch(users())
        made += await _batch(state, serving, recommender, records, counts)
        sent += records
    return Stages(
        {stage: clock.our_us(stage, BATCH) for stage in STAGES},
        {stage: clock.server_us(stage, BATCH) for stage in STAGES},
        sum(one.mode == "personalized" for one in made) / len(made),
        sum(len(one.value or b"") for one in sent) / len(sent),
        sum(len(one.body) for one in made) / len(made),
    )


async def _batch(
    state: State, serving: Serving, recommender: Recommender, records: Sequence[RawRecord], clock: Clock
) -> Sequence[StoredList]:
    with clock.measuring("decode"):
        decoded = decode_batch(records)
        events = [
            (origin, event, recommender.genres_of(event.item_id))
            for origin, event in decoded.events
            if not isinstance(event, Withdrawal)  # none is sent
        ]
    with clock.measuring("apply"):
        applied = await state.apply(events)
    with clock.measuring("answer"):
        answers = await serving.answer(recommender, _wanted(applied), is_behind=True)
    with clock.measuring("encode"):
        lists = lists_of(answers)
    with clock.measuring("keep"):
        await state.store_lists(lists)
    return lists


def _wanted(applied: AppliedBatch) -> list[tuple[Profile, Trigger]]:
    return [
        (applied.profiles[user_id], Trigger.of_event(origin, event.event_id, event.ts))
        for user_id, (origin, event) in applied.latest.items()
    ]


def lists_of(answers: Sequence[Answer]) -> list[StoredList]:
    """Return lists as they are published and kept."""
    return [one.stored() for one in answers]
