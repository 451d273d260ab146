"""Looking at Redis between batches: whether workers are to wait, whether it must be recovered, and who is to go."""

import asyncio
import logging
from contextlib import suppress
from functools import partial

from agents.retry import Retry
from agents.worker.batch import carry_out_requests, check_positions, clear_nobodies, recover, tell_handled
from agents.worker.runtime import Worker
from streams.errors import StateMoved

__all__ = ["watch_redis"]

logger = logging.getLogger(__name__)
EVERY_S = 0.5  # another Redis is noticed by the next batch at once, and by an idle worker within this


async def watch_redis(worker: Worker) -> None:
    """Wait while workers are asked to, check a Redis or partitions new here, do what people ask; until cancelled."""
    while True:
        if await worker.retry.until_available(worker.state.is_held):
            await _be_held(worker)
        elif await worker.retry.until_available(worker.state.has_moved):
            async with worker.turns.alone():
                await recover(worker)
        elif worker.recovery.has_unchecked:
            async with worker.turns.alone():
                await check_positions(worker)
        else:
            await _do_what_people_ask(worker)
        await asyncio.sleep(EVERY_S)


async def _do_what_people_ask(worker: Worker) -> None:
    redis = Retry("worker", moved=partial(recover, worker))
    if worker.forgetter.feed.open or len(worker.forgetter.feed.forgotten):  # others may wait for what is handled here
        with suppress(StateMoved):  # it is recovered at the next look
            await worker.retry.until_available(tell_handled, worker)
    if worker.has_asked:
        async with worker.turns.alone():
            await redis.until_available(carry_out_requests, worker)
    if worker.forgetter.is_clearing(worker.recovery.partitions):
        async with worker.turns.alone():
            await redis.until_available(clear_nobodies, worker)


async def _be_held(worker: Worker) -> None:
    async with worker.turns.alone():
        logger.warning("worker.held until the key state:hold is gone")
        worker.report.held = True
        await worker.retry.until_available(worker.life.refresh)
        await worker.wait_while_held()
        worker.report.held = False
        await recover(worker)
    logger.warning("worker.released")
