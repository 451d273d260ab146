"""The lists of many users, read together: whoever asks while Redis is answering goes with the next question.

A stored list is handed on as the bytes that it is; nothing is parsed. The busier a process is, the more users one
question names, so a list costs less where it is wanted more often.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from streams.redis.connection import answered
from streams.state.keys import list_key

__all__ = ["StoredLists"]

_TOGETHER = 128  # lists of one question: 0.4 MB, and a millisecond of the event loop
_Waiting = tuple[str, "asyncio.Future[bytes | None]"]


class StoredLists:
    """Reads the list that was published last for each user.

    Parameters
    ----------
    client : a connected client that returns bytes; closed by who opened it.
    """

    def __init__(self, client: Redis) -> None:
        reading: Any = client  # redis-py types its two clients apart, and every reply as possibly text
        self._ask = reading.mget_nonatomic if isinstance(reading, RedisCluster) else reading.mget
        self._waiting: list[_Waiting] = []
        self._reading: asyncio.Task[None] | None = None

    async def of(self, user_id: str) -> bytes | None:
        """Return the user's list as it is stored, or None if none was published.

        Raises
        ------
        StateAway
            If Redis cannot be reached for now.
        """
        found: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((list_key(user_id), found))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await found

    async def _read(self) -> None:
        """Read until nobody waits."""
        try:
            while self._waiting:
                some, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                await self._answer(some)
        finally:
            self._reading = None

    async def _answer(self, some: Sequence[_Waiting]) -> None:
        try:
            with answered(f"lookup of the lists of {len(some)} users"):
                bodies = await self._ask([key for key, _ in some])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and raises it
            for _, found in some:
                if not found.done():
                    found.set_exception(error)
            return
        for (_, found), body in zip(some, bodies, strict=True):
            if not found.done():
                found.set_result(body)
