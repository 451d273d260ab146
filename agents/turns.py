"""Whose turn it is: some batches may be under way at once, and who must be alone waits until none is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class Turns:
    """Lets batches overlap, and keeps others out of them.

    Parameters
    ----------
    batches : that may be under way at once.
    """

    def __init__(self, batches: int) -> None:
        self._batches = batches
        self._underway = 0
        self._alone = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def are_taken(self) -> bool:
        """Whether any batch is under way."""
        return self._underway > 0

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Wait until no batch is under way, and let none begin inside the block."""
        async with self._alone:
            await self._until(lambda: self._underway == 0)
            yield

    async def begin(self) -> None:
        """Wait for the turn of a batch, of which ``end`` must tell that it is over."""
        async with self._alone:
            await self._until(lambda: self._underway < self._batches)
            self._underway += 1

    def end(self) -> None:
        """Say that one batch is over, whatever came of it."""
        self._underway -= 1
        self._changed.set()

    async def others_over(self) -> None:
        """Wait, in the turn of a batch, until it is the only one under way."""
        await self._until(lambda: self._underway == 1)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
