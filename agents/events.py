"""Watch and rate events, batch by batch: decode, apply, answer, publish, keep, acknowledge."""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from agents.process import Worker, raw_record
from streams.inbox import decode_batch
from streams.serving import Trigger

__all__ = ["answer_batch", "consume_events"]


async def consume_events(worker: Worker, stream: Any) -> None:
    """Answer every batch of the stream, until the worker stops.

    Steps, for each batch:
    1 decode; 2 apply to Redis, one call per user; 3 make one list per touched user; 4 publish the lists, mode
    changes and dead letters; 5 keep the lists; 6 acknowledge the whole batch, in order.

    A batch that fails is not acknowledged and ends the process: it is read again by whoever comes next, and
    what it had already applied is recognised by its position.
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
    # Step 1
    decoded = decode_batch(map(raw_record, batch), worker.settings.prefix)
    await worker.know_items(event.item_id for _, event in decoded.events)
    # Step 2
    recommender = worker.upkeep.recommender
    applied = await worker.state.apply(
        [(origin, event, recommender.genres_of(event.item_id)) for origin, event in decoded.events]
    )
    # Step 3
    wanted = [
        (applied.profiles[user_id], Trigger.of_event(origin, event.event_id, event.ts))
        for user_id, (origin, event) in applied.latest.items()
    ]
    answers = await worker.serving.answer(recommender, wanted)
    # Steps 4 and 5
    await worker.deliver(answers, decoded.rejected)
    report = worker.upkeep.report
    report.events += len(batch)
    report.applied += applied.fresh
    report.rejected += len(decoded.rejected)


def _batches(stream: Any, worker: Worker) -> AsyncIterator[Sequence[Any]]:
    batches: AsyncIterator[Sequence[Any]] = stream.noack_take(worker.config.batch, within=worker.config.within_s)
    return batches
