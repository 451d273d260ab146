"""Waiting for Redis, or for Kafka behind it: a call that cannot be answered for now is made again until it is.

Whoever waits takes no further events meanwhile, so Kafka keeps them and memory does not grow.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.backoff import EqualJitterBackoff

from streams.errors import ClusterAway, StateAway, StateMoved

__all__ = ["Patience"]

T = TypeVar("T")
logger = logging.getLogger(__name__)
LONGEST_WAIT_S = 2.0  # an idle question every two seconds costs nothing, and a list is late by no more than that
SAY_AGAIN_S = 10.0


class Patience:
    """Makes calls to Redis, some of which read Kafka too, until they are answered.

    Parameters
    ----------
    moved : called when another Redis answers than the one that was known; then the call is made again. Without
        it that error is raised.
    """

    def __init__(self, moved: Callable[[], Awaitable[None]] | None = None) -> None:
        self._moved = moved

    async def through(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what the call returns, however long a server is away; it is made anew each time, so must bear it."""
        backoff = EqualJitterBackoff(cap=LONGEST_WAIT_S, base=0.1)
        failures, away_since, said_at, server = 0, 0.0, 0.0, "redis"
        while True:
            try:
                result = await call()
            except StateMoved:
                if self._moved is None:
                    raise
                await self._moved()
                continue
            except (StateAway, ClusterAway) as error:
                server = "redis" if isinstance(error, StateAway) else "kafka"
                now = time.monotonic()
                failures += 1
                away_since = away_since or now
                if now - said_at >= SAY_AGAIN_S:
                    logger.error("worker.%s_away for %.0f s, events wait: %s", server, now - away_since, error)  # noqa: TRY400 - one line
                    said_at = now
                await asyncio.sleep(backoff.compute(failures))
                continue
            if failures:
                waited_s = time.monotonic() - away_since
                logger.warning("worker.%s_back after %.1f s and %d attempts", server, waited_s, failures)
            return result
