"""Loops and steps of one process side by side: the first error ends all of them."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

__all__ = ["all_done", "end_tasks", "side_by_side"]

CANCEL_S = 2.0  # a task that closes a connection needs some time, and a second cancellation would leave it open


async def side_by_side(*loops: Coroutine[Any, Any, None]) -> None:
    """Run them until one ends, and raise its error if it has one; a cancellation of all is waited for."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(tasks)
    for task in done:
        task.result()


async def all_done(*steps: Coroutine[Any, Any, None]) -> None:
    """Run steps until each has ended, and raise the first error; the others have been cancelled then."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        await end_tasks(tasks)


async def end_tasks(tasks: "Collection[asyncio.Future[Any]]") -> None:
    """Cancel tasks until they have ended: one cancellation may be lost in a library that is connecting."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_S)
