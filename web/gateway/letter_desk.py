"""Dead letters for everybody who looks at one process: counted once for all, in a thread that answers nothing else."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from streams.metrics.caches import CacheLookups
from streams.settings import Settings
from web.gateway.dead_letters import count_letters, replay_letters

__all__ = ["LetterDesk"]

CURRENT_S = 10.0  # a count reads the whole topic
T = TypeVar("T")


class LetterDesk:
    """Counts dead letters and sends them back.

    Parameters
    ----------
    settings : addresses; nothing is connected to before the first question.
    lookups : counts who is told an earlier count, and for whom letters are counted, as of the cache ``letters``.
    """

    def __init__(self, settings: Settings, lookups: CacheLookups) -> None:
        self._settings = settings
        self._lookups = lookups
        self._thread = ThreadPoolExecutor(1, "letters")
        self._alone = asyncio.Lock()
        self._found: dict[str, Any] = {}
        self._counted_at = float("-inf")

    async def count(self) -> dict[str, Any]:
        """Return how many records died, by cause and by topic, and the newest of them, as of the last 10 s.

        Raises
        ------
        TopicError
            If Kafka does not answer, or the topic is missing.
        """
        async with self._alone:  # who comes meanwhile waits, and has the same answer
            is_old = time.monotonic() - self._counted_at >= CURRENT_S
            self._lookups.note("letters", hits=not is_old, misses=is_old)
            if is_old:
                self._found = await self._off_the_loop(lambda: count_letters(self._settings))
                self._counted_at = time.monotonic()
            return self._found

    async def replay(self, cause: str) -> dict[str, int]:
        """Send the letters of one cause back as they are, each once; the next count sees it."""
        async with self._alone:
            done = await self._off_the_loop(lambda: replay_letters(self._settings, cause))
            self._counted_at = float("-inf")
            return done

    def close(self) -> None:
        """Answer no more; what is under way ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
