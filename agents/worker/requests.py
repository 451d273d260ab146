"""Requests for a list now: the same way as an event's, without a change of state.

All requests of a wave go together, as the events of a batch do: one look at the profiles, one ranking, one publication.
Each is answered: one that cannot be fulfilled says so, and one that breaks its contract is told what is wrong with it.
Only where it cannot be told who asked, the record becomes a dead letter.

A request that finds a user on the other side of the threshold is answered in the new mode, but the change is
announced and kept by the user's next event: two announcements of one change would be one too many.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from agents.retry import Retry
from agents.worker.batch import publish, recover
from agents.worker.runtime import Worker, raw_record
from streams.records.decoding import RefusedRequest, Rejected, decode_request_record
from streams.records.records import Origin, Request
from streams.serving.lists import Answer, Trigger, refusal

__all__ = ["answer_requests", "consume_requests"]

Asking = tuple[Origin, Request]


async def consume_requests(worker: Worker, stream: Any) -> None:
    """Answer every request of the stream, until the worker stops."""
    await worker.ready()
    with worker.fatal("requests"):
        async for batch in stream.noack_take(worker.config.batch, within=worker.config.requests_within_s):
            await answer_requests(worker, batch)
            for event in batch:
                await stream.ack(event)


async def answer_requests(worker: Worker, batch: Sequence[Any]) -> None:
    """Make and publish the lists that some records ask for."""
    decoded = [(record, decode_request_record(record)) for record in map(raw_record, batch)]
    asking = [(record.origin, found) for record, found in decoded if isinstance(found, Request)]
    refused = [found for _, found in decoded if isinstance(found, RefusedRequest)]
    rejected = [found for _, found in decoded if isinstance(found, Rejected)]
    answers = [refusal(one, worker.serving.now()) for one in refused]
    if asking:
        redis = Retry("worker", moved=partial(_recover_in_turn, worker))
        answers += await redis.until_available(_answers, worker, asking)
    await publish(worker, answers, rejected)
    worker.report.refused += len(refused)


async def _answers(worker: Worker, asking: Sequence[Asking]) -> list[Answer]:
    profiles = await worker.state.profiles(list({request.user_id for _, request in asking}))
    wanted = []
    for origin, request in asking:
        profile = profiles[request.user_id]
        ts = profile.last_ts or origin.timestamp
        wanted.append((worker.hinted(profile), Trigger.of_request(request.request_id, ts)))
    wishes = [request.wishes for _, request in asking]
    answers = await worker.arms.answer(worker.serving, worker.current.recommender, wanted, wishes=wishes)
    return [replace(answer, change=None) for answer in answers]


async def _recover_in_turn(worker: Worker) -> None:
    async with worker.in_turn:
        await recover(worker)
