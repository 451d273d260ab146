"""Whether the event loop of a process still takes its turns, asked from a thread beside it.

A loop that hangs, in a call that never returns or in a deadlock, stops all that a process is for, while its threads go
on and answer. It is asked when somebody wants to know; nothing has to be renewed meanwhile.
"""

import asyncio
from collections.abc import Coroutine
from threading import Event
from typing import Any, TypeVar

__all__ = ["WITHIN_S", "LoopLife"]

WITHIN_S = 5.0  # a turn takes milliseconds; who asks, such as Kubernetes, waits ten seconds
T = TypeVar("T")


class LoopLife:
    """Asks one event loop for a turn.

    Parameters
    ----------
    within_s : seconds in which it must have taken one.
    """

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self.within_s = within_s
        self._loop: asyncio.AbstractEventLoop | None = None  # until it runs

    def begin(self) -> None:
        """Ask the loop that runs here from now on."""
        self._loop = asyncio.get_running_loop()

    async def during(self, running: Coroutine[Any, Any, T]) -> T:
        """Run something, and ask the loop that it runs in from now on."""
        self.begin()
        return await running

    def is_there(self) -> bool:
        """Return whether the loop took a turn in time; to be called in another thread than the loop's."""
        loop, has_turned = self._loop, Event()
        if loop is None or loop.is_closed():
            return False
        try:
            loop.call_soon_threadsafe(has_turned.set)
        except RuntimeError:  # closed meanwhile
            return False
        return has_turned.wait(self.within_s)
