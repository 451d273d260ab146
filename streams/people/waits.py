"""Requests that wait for events to be applied: what is said of one that waits long."""

import logging
import time
from collections.abc import Callable

from streams.records.positions import TopicPartition

__all__ = ["Waits"]

TELL_S = 60.0
logger = logging.getLogger(__name__)


class Waits:
    """When each request is told that it waits.

    Parameters
    ----------
    clock : seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tells: dict[str, float] = {}

    def note(self, request_id: str, at: TopicPartition, reached: int, end: int) -> None:
        """Note that a request waits, as a partition has been applied up to ``reached`` alone; say it once a minute."""
        now = self._clock()
        if now >= self._tells.setdefault(request_id, now + TELL_S):
            self._tells[request_id] = now + TELL_S
            logger.warning(
                "forget.waiting request %s: %s/%s is to be applied up to %s, got %s; a transaction that is open, "
                "or a partition that no worker has or has caught up in, holds it up",
                *(request_id, *at, end, reached),
            )

    def end(self, request_id: str) -> None:
        """Forget a request that is carried out."""
        self._tells.pop(request_id, None)
