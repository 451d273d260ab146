"""Looking things up without holding the event loop: each question runs in a thread, by the functions of the commands.

So there is one way to read what Redis holds. A thread costs a tenth of a millisecond, which only the stored lists
cannot spare: ``stored_lists``.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from redis import Redis

from streams.redis.connection import answered, connect_to_read
from streams.state.lookups import Lookups

__all__ = ["Reading"]

_THREADS = 16  # questions at once; each waits for Redis most of its time
T = TypeVar("T")


class Reading:
    """Answers from Redis and the registry.

    Parameters
    ----------
    redis : URL; the connection is made by the first question.
    prefix : of the keys.
    """

    def __init__(self, redis: str, prefix: str = "") -> None:
        self._url, self._prefix = redis, prefix
        self._threads = ThreadPoolExecutor(_THREADS, "reading")
        self._client: Redis | None = None

    async def start(self) -> None:
        """Find out what kind of server it is; raise SettingsError if the URL cannot be used, StateError without answer.

        A cluster that did not answer would be taken for a single server, for as long as the process lives.
        """
        self._client = await self.off_the_loop(
            lambda: connect_to_read(self._url, prefix=self._prefix, must_answer=True)
        )
        await self.by(lambda client: client.ping())

    async def of(self, look: Callable[[Lookups], T]) -> T:
        """Return what a look-up finds; raises what it raises."""
        return await self.by(lambda client: look(Lookups(client)))

    async def by(self, ask: Callable[[Redis], T]) -> T:
        """Return what a function of the synchronous client returns; raise StateAway where Redis does not answer."""
        client = self._client
        if client is None:
            raise RuntimeError("reading: it must be started before it is asked, got a question before that")

        def asking() -> T:
            with answered("looking up"):
                return ask(client)

        return await self.off_the_loop(asking)

    async def off_the_loop(self, work: Callable[[], T]) -> T:
        """Return what a function returns that would hold the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Disconnect; questions that are under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()
