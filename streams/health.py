"""Signs of life: each process renews a short-lived key with what it is doing.

``alive:<role>:<name>`` holds JSON and expires, so a process that hangs or dies disappears by itself; the health
checks of containers and the demo's table read these keys.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import redis
import redis.asyncio

__all__ = ["EXPIRES_S", "RENEW_S", "alive_key", "find_alive", "renew", "renew_async"]

RENEW_S = 1.0
EXPIRES_S = 15  # a worker may wait this long for a slow rebalance before it counts as dead


def alive_key(role: str, name: str) -> str:
    """Return the key of one process."""
    return f"alive:{role}:{name}"


def renew(client: "redis.Redis", role: str, name: str, report: Mapping[str, Any]) -> None:
    """Write the sign of life of a process without an event loop."""
    client.set(alive_key(role, name), orjson.dumps(report), ex=EXPIRES_S)


async def renew_async(client: "redis.asyncio.Redis", role: str, name: str, report: Mapping[str, Any]) -> None:
    """Write the sign of life from within an event loop."""
    await client.set(alive_key(role, name), orjson.dumps(report), ex=EXPIRES_S)


def find_alive(client: "redis.Redis", role: str) -> dict[str, dict[str, Any]]:
    """Return the latest report of each living process of a role, by name."""
    keys = sorted(client.scan_iter(match=alive_key(role, "*"), count=1000))
    reports = {key: client.get(key) for key in keys}
    return {
        key.decode().split(":", 2)[2]: orjson.loads(report) for key, report in reports.items() if report is not None
    }
