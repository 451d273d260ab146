"""Looking at Redis between batches: whether workers are asked to wait, and whether it must be recovered."""

import asyncio
import logging

from agents.worker.batch import check_positions, recover
from agents.worker.runtime import Worker

__all__ = ["watch_redis"]

logger = logging.getLogger(__name__)
EVERY_S = 0.5  # another Redis is noticed by the next batch at once, and by an idle worker within this


async def watch_redis(worker: Worker) -> None:
    """Wait while workers are asked to, and check a Redis or partitions that are new here; until cancelled."""
    while True:
        if await worker.retry.until_available(worker.state.is_held):
            await _be_held(worker)
        elif await worker.retry.until_available(worker.state.has_moved):
            async with worker.in_turn:
                await recover(worker)
        elif worker.recovery.has_unchecked:
            async with worker.in_turn:
                await check_positions(worker)
        await asyncio.sleep(EVERY_S)


async def _be_held(worker: Worker) -> None:
    async with worker.in_turn:
        logger.warning("worker.held until the key state:hold is gone")
        worker.report.held = True
        await worker.retry.until_available(worker.life.refresh)
        await worker.wait_while_held()
        worker.report.held = False
        await recover(worker)
    logger.warning("worker.released")
