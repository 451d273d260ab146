"""Work and waiting, told apart on a real event loop."""

import asyncio
import time

import pytest

from streams.metrics.working import Working


def spin(seconds):
    """Keep the processor busy."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_waiting_and_the_work_of_others_do_not_count():
    """Of a coroutine that works twice around a wait, in which another task works, its own work counts."""
    worked = []

    async def own():
        spin(0.02)
        await asyncio.sleep(0.1)
        spin(0.03)
        return "done"

    async def other():
        spin(0.2)

    beside = asyncio.create_task(other())
    assert await Working(own(), worked.append) == "done"
    await beside
    assert 0.05 <= sum(worked) < 0.1


async def test_errors_and_cancellation_reach_the_coroutine():
    """It may clean up after itself, and what it raises is raised."""
    worked, seen = [], []

    async def fails():
        await asyncio.sleep(0)
        raise KeyError("gone")

    async def waits():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(KeyError, match="gone"):
        await Working(fails(), worked.append)

    async def awaits():
        await Working(waits(), worked.append)

    task = asyncio.create_task(awaits())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_a_timeout_inside_is_the_coroutines_own():
    """What the coroutine catches itself never leaves it."""

    async def patient():
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            return "late"

    assert await Working(patient(), lambda _: None) == "late"
