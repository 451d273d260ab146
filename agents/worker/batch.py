"""Events, batch by batch: the way of a record from its topic to its acknowledgement.

Each batch takes six steps, the first two while the batch before it takes the others:

1. decode: records become events, or dead letters; for an item that nobody has heard of the catalogue is read on.
2. apply: Redis takes the events, in one call for each user.
3. answer: each user who was touched gets one list.
4. publish: lists, mode changes and dead letters leave, until the brokers have all of them.
5. keep: Redis takes the lists and modes that were published.
6. acknowledge: the whole batch, in order.

While Redis is away a batch waits, and with it everything behind it. A batch that fails otherwise is not acknowledged
and ends the process: it is read again by whoever comes next, and what it had already applied is recognised by its
position.

A Redis that comes back with less than it was told is recovered before anything else is applied. ``StateRecovery`` says
which ranges of offsets are missing. They are read from Kafka again here, and their records take steps 1 to 5 once more.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agents.retry import Retry
from agents.side_by_side import end_tasks
from agents.worker.recovery import OffsetRange
from agents.worker.runtime import Worker
from streams.errors import StateMoved
from streams.reading.fetched import batches, records_in
from streams.reading.range_reader import range_reader
from streams.records.data_requests import DataRequest
from streams.records.decoding import DecodedBatch, RawRecord, Rejected, decode_batch
from streams.records.records import Origin, Withdrawal
from streams.serving.lists import Answer, Trigger
from streams.state.store import AppliedBatch, SourcedEvent, StoredList
from streams.tracing.carrying import StepTimes, TracedList

__all__ = [
    "answer_batch",
    "carry_out_requests",
    "check_positions",
    "clear_nobodies",
    "consume_events",
    "publish",
    "recover",
    "tell_handled",
    "told_of",
]

BEHIND = 128  # events in a batch, from which on it is taken for a part of a backlog: at 1,000 a second an eighth of one


async def consume_events(worker: Worker, stream: Any) -> None:
    """Take every batch of the stream through the six steps, until the worker stops.

    While a batch is answered and published, the next one is decoded and applied, if much waits. Else it gathers what
    comes until the one before is over: a few larger batches cost less than many small ones, and are as early.
    """
    await worker.ready()
    applied: asyncio.Queue[_Underway] = asyncio.Queue()  # never more than turns allow
    is_over = asyncio.Event()

    def may_begin(n: int) -> bool:
        return n >= BEHIND or not worker.turns.are_taken  # a few events beside another batch would be a batch too many

    with worker.fatal("events"):
        answering = asyncio.create_task(_answer_in_order(worker, stream, applied, is_over))
        try:
            async for batch in batches(stream, worker.config.batch, worker.config.within_s, may_begin, is_over):
                applied.put_nowait(await _begun(worker, list(map(RawRecord.of, records_in(batch))), batch))
            await applied.join()
        finally:
            await end_tasks([answering])
            while not applied.empty():  # cancelled in between; who comes next reads them again
                applied.get_nowait()
                worker.turns.end()


async def _answer_in_order(
    worker: Worker, stream: Any, applied: "asyncio.Queue[_Underway]", is_over: asyncio.Event
) -> None:
    """Do steps 3 to 6 of each batch that is applied, and tell when one is over."""
    with worker.fatal("events"):
        while True:
            one = await applied.get()
            try:
                await _finish(worker, one)
                with worker.metrics.stage("acknowledge"):  # Step 6
                    await worker.metrics.working("acknowledge", _acknowledge(stream, one.batch))
            finally:
                worker.turns.end()
                is_over.set()
            worker.metrics.note_batch("events", len(one.records))
            worker.report.batches += 1
            worker.report.batch_ms += 1000 * (time.perf_counter() - one.began)
            applied.task_done()


async def _acknowledge(stream: Any, batch: Sequence[Any]) -> None:
    for event in batch:
        await stream.ack(event)


async def answer_batch(worker: Worker, records: Sequence[RawRecord]) -> None:
    """Do steps 1 to 5 for one batch; each call to Redis waits until it is answered, and recovers before that."""
    one = await _begun(worker, records)
    try:
        await _finish(worker, one)
    finally:
        worker.turns.end()


@dataclass(frozen=True, slots=True)
class _Underway:
    """A batch that is applied and not answered yet."""

    records: Sequence[RawRecord]
    batch: Sequence[Any]
    decoded: DecodedBatch
    applied: AppliedBatch
    n_kept: int  # batches whose lists were kept when it was applied
    times: StepTimes
    began: float


async def _begun(worker: Worker, records: Sequence[RawRecord], batch: Sequence[Any] = ()) -> _Underway:
    """Do steps 1 and 2 for a batch, once it may begin; it is over where they fail."""
    await worker.turns.begin()
    try:
        return await _applied(worker, records, batch)
    except BaseException:
        worker.turns.end()
        raise


async def _applied(worker: Worker, records: Sequence[RawRecord], batch: Sequence[Any]) -> _Underway:
    began, times = time.perf_counter(), StepTimes()
    redis, stage = Retry("worker", moved=partial(recover, worker)), partial(_step, worker, times)
    working = worker.metrics.working
    origins = [record.origin for record in records]
    if worker.recovery.has_unchecked:
        await redis.until_available(_check_alone, worker)
    await redis.until_available(_catch_up, worker, origins)
    with stage("decode"):  # Step 1
        decoded, events = await working("decode", _decoded(worker, records))
    if worker.has_asked:
        await redis.until_available(_carry_out_alone, worker)
    n_kept = worker.kept.n_batches
    with stage("apply"):  # Step 2
        applied = await working("apply", redis.until_available(_apply_next, worker, events, origins))
        await redis.until_available(clear_nobodies, worker)
    return _Underway(records, batch, decoded, applied, n_kept, times, began)


async def _decoded(worker: Worker, records: Sequence[RawRecord]) -> tuple[DecodedBatch, list[SourcedEvent]]:
    decoded = decode_batch(records, worker.settings.prefix, worker.settings.kinds)
    return decoded, await _sourced(worker, decoded)


async def _check_alone(worker: Worker) -> None:
    """Bring Redis to where the group is in partitions that are new here, before any event of theirs is applied.

    Who was forgotten meanwhile must be set apart first.
    """
    await worker.turns.others_over()
    async with worker.applying:
        await _check_positions(worker)


async def _apply_next(worker: Worker, events: Sequence[SourcedEvent], origins: Sequence[Origin]) -> AppliedBatch:
    """Apply the events of a batch, while nobody recovers Redis; a recovery that waits for that must know of them."""
    async with worker.applying:
        applied = await _apply(worker, events)
        worker.recovery.note(origins)  # from here on Redis must know them, or they are missing
        return applied


async def clear_nobodies(worker: Worker) -> None:
    """Delete what was kept for the sums of forgotten users, where all of before is applied."""
    async with worker.applying:
        await worker.forgetter.clear_handled(worker.recovery.partitions, worker.handled)


async def tell_handled(worker: Worker) -> None:
    """Tell other workers how far our partitions are handled."""
    await worker.state.note_handled(worker.handled)


async def _carry_out_alone(worker: Worker) -> None:
    """Do what people ask once the batch before is over: its lists would bring users back."""
    await worker.turns.others_over()
    await carry_out_requests(worker)


async def _finish(worker: Worker, one: _Underway) -> None:
    """Do steps 3 to 5 for a batch, when the one before is done with all of them."""
    redis, stage = Retry("worker", moved=partial(recover, worker)), partial(_step, worker, one.times)
    working = worker.metrics.working
    profiles = worker.kept.brought_forward(one.applied.profiles, one.n_kept)
    decoded, applied = one.decoded, replace(one.applied, profiles=profiles)
    with stage("answer"):  # Step 3
        is_behind = len(one.records) >= BEHIND
        answers = await working("answer", redis.until_available(_answers, worker, applied, is_behind=is_behind))
    traced = _traced(worker, one.records, applied, one.times)
    with stage("publish"):  # Step 4
        headers = [each.headers for each in traced]
        lists = await working("publish", publish(worker, answers, decoded.rejected, headers))
    worker.metrics.note_delivered("event", (origin.timestamp for origin, _ in applied.latest.values()))
    with stage("keep"):  # Step 5
        await working("keep", redis.until_available(worker.state.store_lists, lists))
    worker.kept.note(lists)
    worker.degraded.note((each.recommendation for each in answers), headers)
    worker.tracing.end(traced, map(told_of, answers), one.times)
    worker.report.events += len(one.records)
    worker.report.applied += applied.fresh
    worker.report.unreadable = worker.originals.unreadable
    _count(worker, decoded, applied)


@contextmanager
def _step(worker: Worker, times: StepTimes, name: str) -> Iterator[None]:
    """Measure one step of a batch, and note when it was."""
    with worker.metrics.stage(name), times.step(name):
        yield


def _traced(
    worker: Worker, records: Sequence[RawRecord], applied: AppliedBatch, times: StepTimes
) -> Sequence[TracedList]:
    """Begin a list for each user of a batch, in the trace of the user's last event."""
    traces = {record.origin: record.trace for record in records if record.trace is not None}
    return worker.tracing.begin([traces.get(origin) for origin, _ in applied.latest.values()], times)


def told_of(answer: Answer) -> dict[str, Any]:
    """Return what a span says of a list; nothing that tells who it is for."""
    made, led = answer.recommendation, answer.recommendation.trigger
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": led.get("topic"),
        "messaging.destination.partition.id": None if "partition" not in led else str(led["partition"]),
        "messaging.kafka.offset": led.get("offset"),
        "reelstream.rec_id": made.rec_id,
        "reelstream.mode": made.mode,
        "reelstream.model_version": made.model_version,
    }


def _count(worker: Worker, decoded: DecodedBatch, applied: AppliedBatch) -> None:
    """Count what became of the records, by topic."""
    metrics, prefix = worker.metrics, worker.settings.prefix
    decoded_of = Counter(origin.topic for origin, _ in decoded.events)
    for topic, n in decoded_of.items():
        duplicates = applied.duplicates.get(topic, 0)
        metrics.note_events(topic.removeprefix(prefix), "accepted", n - duplicates)
        metrics.note_events(topic.removeprefix(prefix), "duplicate", duplicates)
    for topic, n in Counter(one.record.origin.topic for one in decoded.rejected).items():
        metrics.note_events(topic.removeprefix(prefix), "rejected", n)
    metrics.note_redelivered(applied.counted - applied.fresh)
    n_withdrawals = sum(isinstance(event, Withdrawal) for _, event in decoded.events)
    metrics.note_withdrawals(applied.withdrawn, n_withdrawals - applied.withdrawn)


async def _answer_again(worker: Worker, records: Sequence[RawRecord]) -> None:
    """Do steps 1 to 5 for records that were answered before; their dead letters are out already.

    Each call to Redis is made once: where it fails the recovery begins anew.
    """
    events = await _sourced(worker, decode_batch(records, worker.settings.prefix, worker.settings.kinds))
    applied = await _apply(worker, events)
    answers = await _answers(worker, applied)
    await worker.state.store_lists(await publish(worker, answers, ()))
    worker.degraded.note((one.recommendation for one in answers), [None] * len(answers))
    worker.report.applied += applied.fresh


async def _sourced(worker: Worker, decoded: DecodedBatch) -> list[SourcedEvent]:
    """Return events with the genres of their items, of a catalogue that knows them if anybody does."""
    await worker.catalogue.know(event.item_id for _, event in decoded.events if not isinstance(event, Withdrawal))
    recommender = worker.current.recommender
    return [
        (origin, event, () if isinstance(event, Withdrawal) else recommender.genres_of(event.item_id))
        for origin, event in decoded.events
    ]


async def _apply(worker: Worker, events: Sequence[SourcedEvent]) -> AppliedBatch:
    """Apply events; those from before a forgetting count, and are nobody's, and a guest's are an account's."""
    sourced = await worker.forgetter.uncounted(worker.forgetter.relabelled(events))
    applied = await worker.originals.apply(sourced)
    return await worker.merger.joined(worker.forgetter.without_nobodies(applied))


async def carry_out_requests(worker: Worker) -> None:
    """Do what people ask of their data; only in turn.

    Guests are merged, and their accounts get lists. Users are forgotten who wait for it and of whom every event is
    applied.
    """
    asked = await worker.merger.carry_out(lambda: worker.recovery.partitions)
    if asked:
        await _answer_merges(worker, asked)
    tell = worker.publisher().answer
    gone = await worker.forgetter.carry_out(lambda: worker.recovery.partitions, worker.handled, tell)
    worker.degraded.forget_users(gone)


async def _answer_merges(worker: Worker, asked: Mapping[str, DataRequest]) -> None:
    """Make a list for each account that got a guest, with the history of both."""
    profiles = await worker.state.profiles(asked)
    wanted = [
        (worker.hinted(profiles[account]), Trigger.of_request(request.request_id, profiles[account].last_ts))
        for account, request in asked.items()
        if profiles[account].sequence  # nobody gets a list without an event
    ]
    answers = await worker.arms.answer(worker.serving, worker.current.recommender, wanted)
    await worker.state.store_lists(await publish(worker, answers, ()))
    for account in asked:
        worker.merger.unlisted.pop(account, None)


async def _answers(worker: Worker, applied: AppliedBatch, *, is_behind: bool = False) -> Sequence[Answer]:
    """Make one list for each user of a batch, for the last of the user's events."""
    wanted = [
        (worker.hinted(applied.profiles[user_id]), Trigger.of_event(origin, event.event_id, event.ts))
        for user_id, (origin, event) in applied.latest.items()
    ]
    worker.catalogue.keep_up()
    return await worker.arms.answer(worker.serving, worker.current.recommender, wanted, is_behind=is_behind)


async def publish(
    worker: Worker,
    answers: Sequence[Answer],
    rejected: Sequence[Rejected],
    headers: Sequence[Mapping[str, bytes] | None] | None = None,
) -> Sequence[StoredList]:
    """Send lists, mode changes and dead letters; once the brokers have everything, return the lists to be kept.

    The mode is kept after its change was published: a crash in between repeats the announcement.
    """
    lists = [answer.stored() for answer in answers]
    changes = [answer.change for answer in answers if answer.change is not None]
    await worker.publisher().publish([(one.user_id, one.body) for one in lists], changes, rejected, headers)
    worker.rejections.note(rejected)
    worker.metrics.note_lists(
        ((one.recommendation.mode, one.recommendation.tier) for one in answers),
        ((change.previous, change.mode) for change in changes),
    )
    worker.report.lists += sum(answer.recommendation.mode != "refused" for answer in answers)
    worker.report.degraded += sum(answer.recommendation.mode == "degraded" for answer in answers)
    return lists


async def recover(worker: Worker) -> None:
    """Bring the Redis that answers now to where this worker is, whenever it answers; only in turn.

    No batch is applied meanwhile. One that was applied may be answered: its lists are made again here as well.
    """
    async with worker.applying:
        await worker.retry.until_available(_recover, worker)
    worker.report.mended = worker.recovery.recovered
    worker.titles.publish_again()


async def check_positions(worker: Worker) -> None:
    """Bring Redis to where the group is in partitions that are new to this worker; only in turn."""
    redis = Retry("worker", moved=partial(recover, worker))
    await redis.until_available(_check_positions, worker)


async def _recover(worker: Worker) -> None:
    """Recover once; begin anew where Redis goes away for yet another one meanwhile."""
    while True:
        try:
            await _bring_forward(worker, await worker.recovery.check_state())
        except StateMoved:
            continue
        return


async def _check_positions(worker: Worker) -> None:
    await _bring_forward(worker, await worker.recovery.check_positions())


async def _bring_forward(worker: Worker, missing: Sequence[OffsetRange]) -> None:
    """Let Redis know what a check has found it to lack."""
    await _set_people_right(worker)
    await _apply_missing(worker, missing)
    worker.recovery.note_recovered()
    await tell_handled(worker)
    await worker.forgetter.clear_handled(worker.recovery.partitions, worker.handled)


async def _set_people_right(worker: Worker) -> None:
    """Let a Redis, or partitions that are new here, know who was forgotten and who was merged, by whomever."""
    await worker.forgetter.feed.catch_up()
    await worker.forgetter.set_apart(worker.recovery.partitions)
    await worker.merger.link(worker.recovery.partitions)


async def _catch_up(worker: Worker, origins: Sequence[Origin]) -> None:
    """Apply what is missing before a batch, once the one before it is over."""
    missing = await worker.recovery.catch_up_to(origins)
    if missing:
        await worker.turns.others_over()
        async with worker.applying:
            await _apply_missing(worker, missing)


async def _apply_missing(worker: Worker, ranges: Sequence[OffsetRange]) -> None:
    """Read ranges from Kafka again and answer their records once more."""
    if not ranges:
        return
    async with range_reader(worker.settings) as reader:
        for missing in ranges:
            async for records in worker.recovery.read(reader, missing):
                await _answer_again(worker, records)
