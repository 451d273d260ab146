"""Signs of life: each process renews a short-lived key with what it is doing.

``alive:<role>:<host>:<pid>`` holds JSON and expires, so a process that hangs or dies disappears by itself; the health
checks of containers and the demo's table read these keys.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from streams.redis.connection import answered

__all__ = ["EXPIRES_S", "RENEW_S", "SignOfLife", "find_alive"]

RENEW_S = 1.0
EXPIRES_S = 15  # a worker may wait this long for a slow rebalance before it counts as dead
FORGOTTEN_S = 3600.0  # names of processes that ended longer ago leave the list


class SignOfLife:
    """The sign of one process, to be renewed every ``RENEW_S`` seconds.

    Parameters
    ----------
    client : a connected redis-py client.
    role : ``worker`` or ``trainer``.
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


def find_alive(client: Redis, role: str) -> dict[str, dict[str, Any]]:
    """Return the latest report of each living process of a role, by ``host:pid``."""
    found: Any = client.zrange(f"alive:{role}", 0, -1)
    names = [name if isinstance(name, str) else name.decode() for name in found]
    reports: dict[str, Any] = {name: client.get(f"alive:{role}:{name}") for name in names}
    return {name: orjson.loads(report) for name, report in sorted(reports.items()) if report is not None}
