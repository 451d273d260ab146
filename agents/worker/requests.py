"""Requests for a list now: the same way as an event's, without a change of state.

All requests of a wave go together, as the events of a batch do: one look at the profiles, one ranking, one publication.
Each is answered: one that cannot be fulfilled says so, and one that breaks its contract is told what is wrong with it.
Only where it cannot be told who asked, the record becomes a dead letter.

A request that finds a user on the other side of the threshold is answered in the new mode, but the change is
announced and kept by the user's next event: two announcements of one change would be one too many.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from agents.retry import Retry
from agents.worker.batch import publish, recover, told_of
from agents.worker.runtime import Worker
from model.catalogue import Catalogue, Item
from streams.reading.fetched import batches, records_in
from streams.records.decoding import RawRecord, RefusedRequest, Rejected, decode_request_record
from streams.records.records import Origin, Recommendation, Request
from streams.serving.lists import Answer, Trigger, refusal
from streams.tracing.carrying import StepTimes
from streams.wording.prompt import PlaceToWord

__all__ = ["answer_requests", "consume_requests"]

Asking = tuple[Origin, Request]


async def consume_requests(worker: Worker, stream: Any) -> None:
    """Answer every request of the stream, until the worker stops."""
    await worker.ready()
    with worker.fatal("requests"):
        async for batch in batches(stream, worker.config.batch, worker.config.requests_within_s):
            records = list(map(RawRecord.of, records_in(batch)))
            await answer_requests(worker, records)
            worker.metrics.note_batch("requests", len(records))
            for event in batch:
                await stream.ack(event)


async def answer_requests(worker: Worker, records: Sequence[RawRecord]) -> None:
    """Make and publish the lists that some records ask for."""
    times = StepTimes()
    decoded = [(record, decode_request_record(record)) for record in records]
    asking = [(record.origin, found) for record, found in decoded if isinstance(found, Request)]
    refused = [found for _, found in decoded if isinstance(found, RefusedRequest)]
    rejected = [found for _, found in decoded if isinstance(found, Rejected)]
    answers = [refusal(one, worker.serving.now()) for one in refused]
    with worker.metrics.stage("ask"), times.step("ask"):
        answers += await worker.metrics.working("ask", _answered(worker, asking))
    traces = {record.origin: record.trace for record, _ in decoded}
    answered = [*(one.origin for one in refused), *(origin for origin, _ in asking)]
    traced = worker.tracing.begin([traces[origin] for origin in answered], times)
    with times.step("publish"):
        await publish(worker, answers, rejected, [one.headers for one in traced])
    worker.tracing.end(traced, map(told_of, answers), times)
    worker.metrics.note_delivered("request", (origin.timestamp for origin in answered))
    worker.report.refused += len(refused)


async def _answered(worker: Worker, asking: Sequence[Asking]) -> Sequence[Answer]:
    if not asking:
        return ()
    redis = Retry("worker", moved=partial(_recover_in_turn, worker))
    return await _worded(worker, asking, await redis.until_available(_answers, worker, asking))


async def _answers(worker: Worker, asking: Sequence[Asking]) -> list[Answer]:
    profiles = await worker.state.profiles(list({request.user_id for _, request in asking}))
    wanted = []
    for origin, request in asking:
        profile = profiles[request.user_id]
        ts = profile.last_ts or origin.timestamp
        wanted.append((worker.hinted(profile), Trigger.of_request(request.request_id, ts)))
    worker.catalogue.keep_up()
    first_id = worker.current.recommender.known.renames.first_id
    wishes = [request.wishes.named_by(first_id) for _, request in asking]
    answers = await worker.arms.answer(worker.serving, worker.current.recommender, wanted, wishes=wishes)
    return [replace(answer, change=None) for answer in answers]


async def _worded(worker: Worker, asking: Sequence[Asking], answers: Sequence[Answer]) -> Sequence[Answer]:
    """Return the answers in the words of a language model, where there is one; all are asked for side by side."""
    worder = worker.worder
    if worder is None:
        return answers
    catalogue = worker.current.recommender.catalogue
    made = await asyncio.gather(
        *(
            worder.worded(answer.recommendation, _places(catalogue, answer.recommendation), request.wishes.query)
            for (_, request), answer in zip(asking, answers, strict=True)
        )
    )
    now = worker.serving.now()
    return [
        replace(answer, recommendation=replace(one, published_ts=now))
        for answer, one in zip(answers, made, strict=True)
    ]


def _places(catalogue: Catalogue, made: Recommendation) -> list[PlaceToWord]:
    """Return what a model is told of a list; an item that left the catalogue meanwhile has its id for a title."""
    first_id = catalogue.renames.first_id
    known = [(one, catalogue.find(first_id(one.item_id)) or Item(one.item_id, one.item_id)) for one in made.items]
    return [PlaceToWord(one.item_id, item.title, item.genres, one.because.kind, one.reason) for one, item in known]


async def _recover_in_turn(worker: Worker) -> None:
    async with worker.turns.alone():
        await recover(worker)
