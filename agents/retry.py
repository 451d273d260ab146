"""Waiting for Redis, or for Kafka behind it: a call that cannot be answered for now is made again until it is.

Whoever waits takes no further events meanwhile, so Kafka keeps them and memory does not grow.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from redis.backoff import EqualJitterBackoff

from streams.availability import Availability
from streams.errors import ClusterAway, StateAway, StateMoved

__all__ = ["Retry"]

P = ParamSpec("P")
T = TypeVar("T")
MAX_WAIT_S = 2.0  # an idle question every two seconds costs nothing, and a list is late by no more than that


class Retry:
    """Makes calls to Redis, some of which read Kafka too, until they are answered.

    Parameters
    ----------
    role : of the process, for what is said.
    moved : called when another Redis answers than the one that was known; then the call is made again. Without
        it that error is raised.
    """

    def __init__(self, role: str, moved: Callable[[], Awaitable[None]] | None = None) -> None:
        self._role = role
        self._moved = moved

    async def until_available(self, call: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs) -> T:
        """Return what the call returns, however long a server is away; it is made anew each time, so must bear it.

        Function and arguments come apart, as in ``retry.until_available(state.apply, events)``. So a type checker
        compares the arguments with the function's own, for any function. An object that stands in for the state
        would need each of its methods once more, or hide their types.
        """
        backoff = EqualJitterBackoff(cap=MAX_WAIT_S, base=0.1)
        redis, kafka = Availability("redis", self._role), Availability("kafka", self._role)
        failures = 0
        while True:
            try:
                result = await call(*arguments, **named)
            except StateMoved:
                if self._moved is None:
                    raise
                await self._moved()
                continue
            except StateAway as error:
                redis.lost(error)
            except ClusterAway as error:
                redis.found()  # Kafka is asked for what Redis has lost
                kafka.lost(error)
            else:
                redis.found()
                kafka.found()
                return result
            failures += 1
            await asyncio.sleep(backoff.compute(failures))
