"""Watch and rate events, batch by batch: decode, apply, answer, publish, keep, acknowledge."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from agents.worker.runtime import Worker, raw_record
from streams.records.decoding import DecodedBatch, RawRecord, decode_batch
from streams.serving.lists import Trigger

__all__ = ["answer_again", "answer_batch", "consume_events"]

Reach = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]  # how a call to Redis is made


async def consume_events(worker: Worker, stream: Any) -> None:
    """Answer every batch of the stream, until the worker stops.

    Steps, for each batch:
    1 decode; 2 apply to Redis, one call per user; 3 make one list per touched user; 4 publish the lists, mode
    changes and dead letters; 5 keep the lists; 6 acknowledge the whole batch, in order.

    While Redis is away a batch waits, and with it everything behind it. A batch that fails otherwise is not
    acknowledged and ends the process: it is read again by whoever comes next, and what it had already applied is
    recognised by its position.
    """
    await worker.ready()
    with worker.fatal("events"):
        async for batch in _batches(stream, worker):
            began = time.perf_counter()
            await answer_batch(worker, batch)
            for event in batch:  # Step 6
                await stream.ack(event)
            worker.upkeep.report.batches += 1
            worker.upkeep.report.batch_ms += 1000 * (time.perf_counter() - began)


async def answer_batch(worker: Worker, batch: Sequence[Any]) -> None:
    """Do steps 1 to 5 for one batch."""
    records = [raw_record(event) for event in batch]
    async with worker.in_turn:
        await worker.patiently(lambda: worker.mender.before(record.origin for record in records))
        # Step 1
        decoded = decode_batch(records, worker.settings.prefix)
        await _answer(worker, records, decoded, worker.patiently)
    worker.upkeep.report.events += len(batch)


async def answer_again(worker: Worker, records: Sequence[RawRecord]) -> None:
    """Do steps 1 to 5 for records that were answered before; their dead letters are out already."""
    decoded = decode_batch(records, worker.settings.prefix)
    await _answer(worker, (), replace(decoded, rejected=()), _once)


async def _once(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def _answer(worker: Worker, handled: Sequence[RawRecord], decoded: DecodedBatch, reach: Reach) -> None:
    await worker.know_items(event.item_id for _, event in decoded.events)
    # Step 2
    recommender = worker.upkeep.recommender
    events = [(origin, event, recommender.genres_of(event.item_id)) for origin, event in decoded.events]
    applied = await reach(lambda: worker.state.apply(events))
    worker.mender.note(record.origin for record in handled)  # from here on Redis must know them, or is mended
    # Step 3
    wanted = [
        (applied.profiles[user_id], Trigger.of_event(origin, event.event_id, event.ts))
        for user_id, (origin, event) in applied.latest.items()
    ]
    answers = await reach(lambda: worker.upkeep.arms.answer(worker.serving, recommender, wanted))
    # Steps 4 and 5
    await worker.deliver(answers, decoded.rejected, reach)
    worker.upkeep.report.applied += applied.fresh


def _batches(stream: Any, worker: Worker) -> AsyncIterator[Sequence[Any]]:
    batches: AsyncIterator[Sequence[Any]] = stream.noack_take(worker.config.batch, within=worker.config.within_s)
    return batches
