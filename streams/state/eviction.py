"""Whether Redis may forget keys to make room: with any policy but ``noeviction`` the state is not safe from it.

Under such a policy users, positions and the catalogue vanish in silence. The policy is read at the start and every
minute, from ``INFO memory``, or by ``CONFIG GET`` where that does not tell it. Every primary of a cluster is asked.
"""

import asyncio
import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from streams.errors import StateAway, StateError
from streams.metrics.collector import Figures
from streams.metrics.families import REDIS_MAX, REDIS_USED
from streams.redis.connection import answered, connect_to_read
from streams.settings import Settings
from streams.state.rights import primaries

__all__ = ["EVERY_S", "RedisMemory", "require_no_eviction", "watch_eviction"]

EVERY_S = 60.0
_SAFE = "noeviction"
_POLICY = "maxmemory-policy"
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class RedisMemory:
    """Bytes of all primaries, as of the last look: used, and the limit, infinite without one; None where unknown."""

    used: int | None = None
    limit: float | None = None

    def figures(self) -> Figures:
        """Give what Prometheus is told of it."""
        yield REDIS_USED, self.used
        yield REDIS_MAX, self.limit

    def look(self, client: Redis) -> None:
        """Read it; a user who may not leaves it unknown."""
        with suppress(ResponseError):
            found: list[Any] = [server.info("memory") for server in primaries(client)]
            limits = [int(one.get("maxmemory", 0)) for one in found]
            self.used = sum(int(one["used_memory"]) for one in found)
            self.limit = sum(limits) if all(limits) else math.inf


def require_no_eviction(client: Redis, role: str, *, is_allowed: bool = False) -> str | None:
    """Refuse a Redis that may evict keys.

    Parameters
    ----------
    client : synchronous, of a server or a cluster.
    role : for the message.
    is_allowed : whether it is put up with all the same.

    Returns
    -------
    A warning to be given once, that exactness is no longer promised or that the policy cannot be read; else None.

    Raises
    ------
    StateError
        If a primary has another policy and that is not allowed.
    StateAway
        If Redis does not answer.
    """
    with answered(f"{role}: reading {_POLICY}"):
        found = {_policy(server) for server in primaries(client)}
    unsafe = sorted(policy for policy in found if policy not in (_SAFE, None))
    if unsafe and is_allowed:
        return (
            f"{_POLICY} is {unsafe[0]}, allowed by REELSTREAM_ALLOW_EVICTION: users, counters, positions and titles "
            "may vanish whenever memory is short, and only lost positions are noticed; the state is no longer promised "
            "to be exact"
        )
    if unsafe:
        raise StateError(
            f"{role}: {_POLICY} must be {_SAFE}, got {unsafe[0]}, which lets Redis drop users and positions when "
            f"memory is short; set it with CONFIG SET {_POLICY} {_SAFE}, or allow it with REELSTREAM_ALLOW_EVICTION=1"
        )
    if None in found:
        return (
            f"{_POLICY} cannot be read, because neither INFO nor CONFIG GET tells it to this user; "
            f"make sure that it is {_SAFE}"
        )
    return None


async def watch_eviction(
    role: str, settings: Settings, every_s: float = EVERY_S, memory: RedisMemory | None = None
) -> None:
    """Look now and every minute, for as long as the process lives; a warning is given once.

    Parameters
    ----------
    role, settings : whose Redis it is.
    every_s : seconds between two looks.
    memory : told how much is used.

    Raises
    ------
    StateError
        As soon as a policy is found that is not allowed.
    """
    said: str | None = None
    while True:
        try:
            warning = await asyncio.to_thread(_look, role, settings, memory)
        except StateAway:  # others wait for it, and say so
            warning = said
        if warning is not None and warning != said:
            logger.warning("%s.eviction %s", role, warning)
        said = warning or said
        await asyncio.sleep(every_s)


def _look(role: str, settings: Settings, memory: RedisMemory | None) -> str | None:
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        if memory is not None:
            with answered(f"{role}: reading how much memory is used"):
                memory.look(client)
        return require_no_eviction(client, role, is_allowed=settings.allow_eviction)


def _policy(server: Redis) -> str | None:
    """Return a server's policy, or None where neither command tells it to this user."""
    try:
        memory: Any = server.info("memory")
        if "maxmemory_policy" in memory:
            return str(memory["maxmemory_policy"])
    except ResponseError:
        pass
    try:
        found: Any = server.config_get(_POLICY)
    except ResponseError:
        return None
    return next((str(value) for value in found.values()), None)
