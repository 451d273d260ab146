"""Signs of life: each process renews a short-lived key with what it is doing.

``alive:<role>:<host>:<pid>`` holds JSON and expires, so a process that hangs or dies disappears by itself; the health
checks of containers and the demo's table read these keys.
"""

import os
import socket
from collections.abc import Mapping
from typing import Any

import orjson
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from streams.connection import answered

__all__ = ["EXPIRES_S", "RENEW_S", "SignOfLife", "find_alive"]

RENEW_S = 1.0
EXPIRES_S = 15  # a worker may wait this long for a slow rebalance before it counts as dead


class SignOfLife:
    """The sign of one process, to be renewed every ``RENEW_S`` seconds.

    Parameters
    ----------
    client : a connected redis-py client.
    role : ``worker`` or ``trainer``.
    """

    def __init__(self, client: AsyncRedis, role: str) -> None:
        self._client = client
        self._key = f"alive:{role}:{socket.gethostname()}:{os.getpid()}"

    async def renew(self, report: Mapping[str, Any]) -> None:
        """Say what the process is doing; raise StateError if Redis does not answer."""
        with answered("health: renewing the sign of life"):
            await self._client.set(self._key, orjson.dumps(report), ex=EXPIRES_S)


def find_alive(client: Redis, role: str) -> dict[str, dict[str, Any]]:
    """Return the latest report of each living process of a role, by ``host:pid``."""
    keys = sorted(client.scan_iter(match=f"alive:{role}:*", count=1000))
    reports = {key: client.get(key) for key in keys}
    return {
        key.decode().split(":", 2)[2]: orjson.loads(report) for key, report in reports.items() if report is not None
    }
