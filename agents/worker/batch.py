"""Events, batch by batch: the way of a record from its topic to its acknowledgement.

Each batch takes six steps:

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

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from agents.retry import Retry
from agents.worker.recovery import OffsetRange
from agents.worker.runtime import Worker, raw_record
from streams.errors import StateMoved
from streams.reading.range_reader import range_reader
from streams.records.codec import encode
from streams.records.decoding import DecodedBatch, RawRecord, Rejected, decode_batch
from streams.records.records import Origin
from streams.serving.lists import Answer, Trigger
from streams.state.store import AppliedBatch, SourcedEvent, StoredList
from streams.tracing.carrying import StepTimes, TracedList

__all__ = ["answer_batch", "check_positions", "consume_events", "publish", "recover", "told_of"]


async def consume_events(worker: Worker, stream: Any) -> None:
    """Take every batch of the stream through the six steps, until the worker stops."""
    await worker.ready()
    with worker.fatal("events"):
        async for batch in stream.noack_take(worker.config.batch, within=worker.config.within_s):
            began = time.perf_counter()
            await answer_batch(worker, batch)
            with worker.metrics.stage("acknowledge"):
                for event in batch:  # Step 6
                    await stream.ack(event)
            worker.metrics.note_batch("events", len(batch))
            worker.report.batches += 1
            worker.report.batch_ms += 1000 * (time.perf_counter() - began)


async def answer_batch(worker: Worker, batch: Sequence[Any]) -> None:
    """Do steps 1 to 5 for one batch; each call to Redis waits until it is answered, and recovers before that."""
    records = [raw_record(event) for event in batch]
    origins = [record.origin for record in records]
    redis, times = Retry("worker", moved=partial(recover, worker)), StepTimes()
    stage = partial(_step, worker, times)
    async with worker.in_turn:
        await redis.until_available(_catch_up, worker, origins)
        with stage("decode"):  # Step 1
            decoded = decode_batch(records, worker.settings.prefix, worker.settings.kinds)
            events = await _sourced(worker, decoded)
        with stage("apply"):  # Step 2
            applied = await redis.until_available(worker.state.apply, events)
        worker.recovery.note(origins)  # from here on Redis must know them, or they are missing
        with stage("answer"):  # Step 3
            answers = await redis.until_available(_answers, worker, applied)
        traced = _traced(worker, records, applied, times)
        with stage("publish"):  # Step 4
            headers = [one.headers for one in traced]
            lists = await publish(worker, answers, decoded.rejected, headers)
        worker.metrics.note_delivered("event", (origin.timestamp for origin, _ in applied.latest.values()))
        with stage("keep"):  # Step 5
            await redis.until_available(worker.state.store_lists, lists)
        worker.degraded.note((one.recommendation for one in answers), headers)
    worker.tracing.end(traced, map(told_of, answers), times)
    worker.report.events += len(batch)
    worker.report.applied += applied.fresh
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


async def _answer_again(worker: Worker, records: Sequence[RawRecord]) -> None:
    """Do steps 1 to 5 for records that were answered before; their dead letters are out already.

    Each call to Redis is made once: where it fails the recovery begins anew.
    """
    events = await _sourced(worker, decode_batch(records, worker.settings.prefix, worker.settings.kinds))
    applied = await worker.state.apply(events)
    answers = await _answers(worker, applied)
    await worker.state.store_lists(await publish(worker, answers, ()))
    worker.degraded.note((one.recommendation for one in answers), [None] * len(answers))
    worker.report.applied += applied.fresh


async def _sourced(worker: Worker, decoded: DecodedBatch) -> list[SourcedEvent]:
    """Return events with the genres of their items, of a catalogue that knows them if anybody does."""
    await worker.catalogue.know(event.item_id for _, event in decoded.events)
    recommender = worker.current.recommender
    return [(origin, event, recommender.genres_of(event.item_id)) for origin, event in decoded.events]


async def _answers(worker: Worker, applied: AppliedBatch) -> Sequence[Answer]:
    """Make one list for each user of a batch, for the last of the user's events."""
    wanted = [
        (worker.hinted(applied.profiles[user_id]), Trigger.of_event(origin, event.event_id, event.ts))
        for user_id, (origin, event) in applied.latest.items()
    ]
    return await worker.arms.answer(worker.serving, worker.current.recommender, wanted)


async def publish(
    worker: Worker,
    answers: Sequence[Answer],
    rejected: Sequence[Rejected],
    headers: Sequence[Mapping[str, bytes] | None] | None = None,
) -> Sequence[StoredList]:
    """Send lists, mode changes and dead letters; once the brokers have everything, return the lists to be kept.

    The mode is kept after its change was published: a crash in between repeats the announcement.
    """
    lists = [
        StoredList(
            one.recommendation.user_id,
            one.recommendation.sequence,
            one.mode,
            encode(one.recommendation),
            one.impressions,
        )
        for one in answers
    ]
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
    """Bring the Redis that answers now to where this worker is, whenever it answers; only in turn."""
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
            await _apply_missing(worker, await worker.recovery.check_state())
        except StateMoved:
            continue
        worker.recovery.note_recovered()
        return


async def _check_positions(worker: Worker) -> None:
    await _apply_missing(worker, await worker.recovery.check_positions())
    worker.recovery.note_recovered()


async def _catch_up(worker: Worker, origins: Sequence[Origin]) -> None:
    await _apply_missing(worker, await worker.recovery.catch_up_to(origins))


async def _apply_missing(worker: Worker, ranges: Sequence[OffsetRange]) -> None:
    """Read ranges from Kafka again and answer their records once more."""
    if not ranges:
        return
    async with range_reader(worker.settings) as reader:
        for missing in ranges:
            async for records in worker.recovery.read(reader, missing):
                await _answer_again(worker, records)
