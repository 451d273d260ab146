"""A store that does not take files: reading waits, and attempts become rarer."""

import logging
import random
import time
from typing import Any

from agents.archiver.report import ArchiverReport
from streams.archive.parquet import ArchiveAway

__all__ = ["StoreWait"]

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0
logger = logging.getLogger(__name__)


class StoreWait:
    """When the store is to be tried.

    Parameters
    ----------
    consumer : reads nothing meanwhile.
    seed : of the jitter between attempts.
    report : told whether the store is away.
    """

    def __init__(self, consumer: Any, seed: int | None, report: ArchiverReport) -> None:
        self._consumer = consumer
        self._random = random.Random(seed)
        self._report = report
        self._failures = 0  # in a row
        self._retry_at = 0.0

    def is_over(self) -> bool:
        """Return whether the store is to be tried now."""
        return time.monotonic() >= self._retry_at

    def fails(self, error: ArchiveAway) -> None:
        """Note a failure."""
        self._failures += 1
        longest = min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures, 10))
        wait_s = self._random.uniform(longest / 2, longest)
        self._retry_at = time.monotonic() + wait_s
        self._report.store_away = True
        logger.warning("archive.away %s; reading waits, next attempt in %.1f s", error, wait_s)

    def answers(self) -> None:
        """Note that the store takes files."""
        if self._failures:
            self._failures = 0
            self._report.store_away = False
            self._consumer.resume(*self._consumer.assignment())
            logger.info("archive.back")

    def hold_reading(self) -> None:
        """Let nothing more be read while it is away, of partitions that have come since either."""
        if self._failures:
            self._consumer.pause(*self._consumer.assignment())
