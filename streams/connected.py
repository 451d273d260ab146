"""Clients of one process that are connected together, and disconnected whatever happens."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

__all__ = ["Connecting", "connected"]


class Connecting(Protocol):
    """What connects, and may be told to disconnect also when it could not connect."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""


@asynccontextmanager
async def connected(*clients: Connecting) -> AsyncIterator[None]:
    """Connect one after the other, and at the end disconnect all that began to, the last one first.

    An error or a cancellation, while one connects or disconnects, leaves none of the others connected.
    """
    async with AsyncExitStack() as stopping:
        for client in clients:
            stopping.push_async_callback(client.stop)
            await client.start()
        yield
