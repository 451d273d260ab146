"""Requests for a list now: the same road as an event, without a change of state.

A request that finds a user on the other side of the threshold is answered by the new road, but the change is
announced and kept by the user's next event: two announcements of one change would be one too many.
"""

import asyncio
from dataclasses import replace
from typing import Any

from agents.worker.runtime import Worker, raw_record
from model.ranking.recommender import ListFilter
from streams.records.decoding import Rejected, decode_request_record
from streams.serving.lists import Trigger

__all__ = ["answer_request", "consume_requests"]

TOGETHER = 8  # their waits for Redis and Kafka overlap, and their scoring together stays within one budget


async def consume_requests(worker: Worker, stream: Any) -> None:
    """Answer every request of the stream, until the worker stops; a bad one becomes a dead letter."""
    await worker.ready()
    with worker.fatal("requests"):
        async for batch in stream.noack_take(worker.config.batch, within=worker.config.within_s):
            for start in range(0, len(batch), TOGETHER):
                await asyncio.gather(*(answer_request(worker, event) for event in batch[start : start + TOGETHER]))
            for event in batch:
                await stream.ack(event)


async def answer_request(worker: Worker, event: Any) -> None:
    """Make and publish the list that one record asks for."""
    record = raw_record(event)
    request = decode_request_record(record)
    if isinstance(request, Rejected):
        await worker.deliver((), (request,), None)
        return
    profile = (await worker.ask(lambda: worker.state.profiles([request.user_id])))[request.user_id]
    answers = await worker.ask(
        lambda: worker.upkeep.arms.answer(
            worker.serving,
            worker.upkeep.recommender,
            [(profile, Trigger.of_request(request.request_id, profile.last_ts))],
            k=request.k,
            list_filter=ListFilter(request.genre, request.strict, request.exclude),
        )
    )
    await worker.deliver([replace(answer, change=None) for answer in answers], (), None)
