"""What is said about dead letters: the first of a quiet time at once, then one line a minute by cause.

A producer that breaks every record would fill the log with a line each; a log without any would hide that it does. Each
letter has its own reason in its headers, and ``reelstream dead-letters list`` counts them all.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from agents.worker.report import WorkerReport
from streams.metrics.worker import WorkerMetrics
from streams.records.decoding import Rejected

__all__ = ["QUIET_S", "Rejections"]

logger = logging.getLogger(__name__)
QUIET_S = 60.0  # between two lines; a flood is seen by its counts, not by its lines


class Rejections:
    """Counts the letters that one worker sends, and tells of them.

    Parameters
    ----------
    clock : seconds that only grow.
    report : where their number is told: events, requests and items alike.
    metrics : where they are counted by topic and cause.
    prefix : of the topics' names.
    """

    def __init__(
        self, clock: Callable[[], float], report: WorkerReport, metrics: WorkerMetrics, prefix: str = ""
    ) -> None:
        self._clock = clock
        self._report = report
        self._metrics = metrics
        self._prefix = prefix
        self._told_at: float | None = None  # None after a minute without any
        self._causes: Counter[str] = Counter()
        self._first: Rejected | None = None

    def note(self, rejected: Sequence[Rejected]) -> None:
        """Count letters that were sent; the first after a minute without any are told at once."""
        if not rejected:
            return
        self._report.rejected += len(rejected)
        self._metrics.note_dead_letters(
            [(one.record.origin.topic.removeprefix(self._prefix), one.cause) for one in rejected]
        )
        self._causes.update(one.cause for one in rejected)
        self._first = self._first or rejected[0]
        if self._told_at is None:
            self._tell("")
        else:
            self.look()

    def look(self) -> None:
        """Tell what was counted since the last line, once a minute is over; to be called every few seconds."""
        if self._told_at is None or self._clock() - self._told_at < QUIET_S:
            return
        if self._causes:
            self._tell(f" in the last {self._clock() - self._told_at:.0f} s")
        else:
            self._told_at = None

    def close(self) -> None:
        """Tell what is counted and not told yet."""
        if self._causes and self._told_at is not None:
            self._tell(f" in the last {self._clock() - self._told_at:.0f} s")

    def _tell(self, when: str) -> None:
        first = self._first
        if first is None:
            return
        origin = first.record.origin
        logger.warning(
            "worker.dead_letters %d%s: %s; the first is %s[%d] offset %d, %s",
            self._causes.total(),
            when,
            ", ".join(f"{cause} {n}" for cause, n in self._causes.most_common()),
            *(origin.topic, origin.partition, origin.offset),
            first.detail,
        )
        self._causes.clear()
        self._first = None
        self._told_at = self._clock()
