"""What a worker's consumer cannot fetch, told while it happens: offsets that are gone, partitions that stand still.

A partition whose leader is frozen gives no error: it is just never heard of again, while all others go on. So its age
is shown, and after a stated time the process ends, because a fresh one may find another leader. Where the whole
cluster is silent that would cure nothing, and the worker waits. Where the worker itself stood still, stopped or
suspended with its machine, nobody could have answered it: that time counts for no partition.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from agents.worker.recovery import StateRecovery
from agents.worker.report import StalledPartition, WorkerReport
from streams.awake import Awake
from streams.errors import TopicError
from streams.settings import Settings

__all__ = ["FetchWatch", "FetchWatchConfig"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchWatchConfig:
    """When a partition counts as standing still.

    Parameters
    ----------
    every_s : seconds between two looks.
    shown_s : seconds without an answer after which a partition is shown; an idle one answers every 1.5 s.
    ends_s : seconds after which the worker ends: twice what a request that nobody answers may take.
    """

    every_s: float = 1.0
    shown_s: float = 5.0
    ends_s: float = 60.0


class FetchWatch:
    """Looks again and again, and writes what it sees into the worker's report.

    Parameters
    ----------
    settings : of the cluster, for what is said.
    config : when to tell, and when to end.
    consumer : returns the driver's consumer.
    recovery : counts what is gone.
    report : where it is told, and where ``kafka_away_s`` says whether the cluster answers at all.
    """

    def __init__(
        self,
        settings: Settings,
        config: FetchWatchConfig,
        consumer: Callable[[], Any],
        recovery: StateRecovery,
        report: WorkerReport,
    ) -> None:
        self._settings = settings
        self._config = config
        self._consumer = consumer
        self._recovery = recovery
        self._report = report
        self._awake = Awake(config.every_s + config.shown_s)
        self._answered_since = -math.inf  # since when the cluster has answered, as far as it was ever away

    async def run(self) -> None:
        """Look until cancelled.

        Raises
        ------
        TopicError
            If a partition stands still for too long in a cluster that has answered for as long.
        """
        while True:
            await asyncio.sleep(self._config.every_s)
            await self.look()

    async def look(self) -> None:
        """Look once; raises as ``run`` does."""
        for lost in self._consumer().take_lost():
            self._recovery.note_lost(lost.topic_partition, lost.first, lost.kept)
        awake_s = self._awake.look()
        found = self._unanswered(awake_s)
        known = {one.partition for one in self._report.stalled}
        self._report.lost = self._recovery.lost
        self._report.stalled = [
            StalledPartition(f"{topic}[{partition}]", one.offset, round(one.age_s, 1))
            for one in found
            for topic, partition in [one.topic_partition]
        ]
        is_silent = self._report.kafka_away_s is not None  # which is said once for all
        for one in self._report.stalled:
            if one.partition not in known and not is_silent:
                logger.warning("worker.stalled %s at offset %s: no answer for %.0f s", *_told(one))
        if awake_s >= self._config.shown_s:  # else nobody knows yet who answers
            for partition in sorted(known - {one.partition for one in self._report.stalled}):
                logger.warning("worker.fetching %s again", partition)
        if self._report.kafka_away_s is not None:
            self._answered_since = time.monotonic()
        answers_for_s = time.monotonic() - self._answered_since
        oldest = max(self._report.stalled, key=lambda one: one.age_s, default=None)
        if oldest is not None and min(oldest.age_s, answers_for_s) >= self._config.ends_s:
            raise TopicError(
                f"worker: an answer for {oldest.partition} at offset {oldest.offset} is required within "
                f"{self._config.ends_s:g} s, got none for {oldest.age_s:.0f} s while the cluster at "
                f"{self._settings.kafka} answers: see whether the partition's leader is frozen"
            )

    def _unanswered(self, awake_s: float) -> list[Any]:
        """Return the partitions that give no answer, each with the seconds of that which this process was awake."""
        shown_s = self._config.shown_s
        found = [replace(one, age_s=min(one.age_s, awake_s)) for one in self._consumer().stalled(shown_s)]
        return [one for one in found if one.age_s >= shown_s]


def _told(one: StalledPartition) -> tuple[str, int | None, float]:
    return one.partition, one.offset, one.age_s
