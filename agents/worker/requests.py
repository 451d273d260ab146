"""Requests for a list now: the same way as an event's, without a change of state.

A request that finds a user on the other side of the threshold is answered in the new mode, but the change is
announced and kept by the user's next event: two announcements of one change would be one too many.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from agents.retry import Retry
from agents.worker.batch import publish, recover
from agents.worker.runtime import Worker, raw_record
from model.history import Profile
from model.ranking.recommender import ListFilter
from streams.records.decoding import Rejected, decode_request_record
from streams.records.records import Request
from streams.serving.lists import Answer, Trigger

__all__ = ["answer_request", "consume_requests"]

MAX_CONCURRENT = 8  # their waits for Redis and Kafka overlap, and their scoring together stays within one budget


async def consume_requests(worker: Worker, stream: Any) -> None:
    """Answer every request of the stream, until the worker stops; a bad one becomes a dead letter."""
    await worker.ready()
    with worker.fatal("requests"):
        async for batch in stream.noack_take(worker.config.batch, within=worker.config.within_s):
            for start in range(0, len(batch), MAX_CONCURRENT):
                together = batch[start : start + MAX_CONCURRENT]
                await asyncio.gather(*(answer_request(worker, event) for event in together))
            for event in batch:
                await stream.ack(event)


async def answer_request(worker: Worker, event: Any) -> None:
    """Make and publish the list that one record asks for."""
    record = raw_record(event)
    request = decode_request_record(record)
    if isinstance(request, Rejected):
        await publish(worker, (), (request,))
        return
    redis = Retry("worker", moved=partial(_recover_in_turn, worker))
    profile = (await redis.until_available(worker.state.profiles, [request.user_id]))[request.user_id]
    answers = await redis.until_available(_answers, worker, request, profile)
    await publish(worker, [replace(answer, change=None) for answer in answers], ())


async def _answers(worker: Worker, request: Request, profile: Profile) -> Sequence[Answer]:
    wanted = [(worker.hinted(profile), Trigger.of_request(request.request_id, profile.last_ts))]
    list_filter = ListFilter(request.genre, request.strict, request.exclude)
    return await worker.arms.answer(
        worker.serving, worker.current.recommender, wanted, k=request.k, list_filter=list_filter
    )


async def _recover_in_turn(worker: Worker) -> None:
    async with worker.in_turn:
        await recover(worker)
