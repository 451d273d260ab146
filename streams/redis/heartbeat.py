"""Signs of life: each process renews a short-lived key with what it is doing.

``alive:<role>:<host>:<pid>`` holds JSON and expires, so a process that hangs or dies disappears by itself; the health
checks of containers and the demo's table read these keys.
"""

import asyncio
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from streams.availability import SAY_AGAIN_S, Availability
from streams.errors import StateError
from streams.redis.connection import answered, connect

__all__ = ["EXPIRES_S", "RENEW_S", "Heartbeat", "SignOfLife", "find_alive"]

RENEW_S = 1.0
EXPIRES_S = 15  # a worker may wait this long for a slow rebalance before it counts as dead
FORGOTTEN_S = 3600.0  # names of processes that ended longer ago leave the list


class SignOfLife:
    """The sign of one process, to be renewed every ``RENEW_S`` seconds.

    Parameters
    ----------
    client : a connected redis-py client.
    role : of the process, such as ``worker``.
    """

    def __init__(self, client: AsyncRedis, role: str) -> None:
        self._client = client
        self._index = f"alive:{role}"
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def renew(self, report: Mapping[str, Any]) -> None:
        """Say what the process is doing; raise StateError if Redis does not answer."""
        now = time.time()
        with answered("health: renewing the sign of life"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(f"{self._index}:{self._name}", orjson.dumps(report), ex=EXPIRES_S)
            pipeline.zadd(self._index, {self._name: now})
            pipeline.zremrangebyscore(self._index, "-inf", now - FORGOTTEN_S)
            await pipeline.execute()


class Heartbeat:
    """Renews the sign of life of one process for as long as it runs, and says that Redis is away and back.

    Parameters
    ----------
    role : of the process, such as ``worker``.
    redis : a connected client, closed by who opened it; or a URL, for a process that needs no Redis: it connects anew
        after each failure, and says but once that it goes on without.
    prefix : of the keys, where a URL is given.
    """

    def __init__(self, role: str, redis: AsyncRedis | str, prefix: str = "") -> None:
        self._role = role
        self._prefix = prefix
        self._redis = redis
        self._goes_on = f"; the {role} goes on" if isinstance(redis, str) else ""

    async def run(self, report: Callable[[], Mapping[str, Any]]) -> None:
        """Renew it every ``RENEW_S`` seconds with what the process says of itself then, until cancelled."""
        again_s = math.inf if isinstance(self._redis, str) else SAY_AGAIN_S
        redis = Availability("redis", self._role, again_s=again_s)
        while True:
            async with self._client() as client:
                sign = SignOfLife(client, self._role)
                try:
                    while True:
                        await sign.renew(report())
                        redis.found()
                        await asyncio.sleep(RENEW_S)
                except StateError as error:
                    redis.lost(f"{error}{self._goes_on}")
            await asyncio.sleep(RENEW_S)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[AsyncRedis]:
        if not isinstance(self._redis, str):
            yield self._redis
            return
        client = await asyncio.to_thread(connect, self._redis, 0, prefix=self._prefix)
        try:
            yield client
        finally:
            await client.aclose()


def find_alive(client: Redis, role: str) -> dict[str, dict[str, Any]]:
    """Return the latest report of each living process of a role, by ``host:pid``."""
    found: Any = client.zrange(f"alive:{role}", 0, -1)
    names = [name if isinstance(name, str) else name.decode() for name in found]
    reports: dict[str, Any] = {name: client.get(f"alive:{role}:{name}") for name in names}
    return {name: orjson.loads(report) for name, report in sorted(reports.items()) if report is not None}
