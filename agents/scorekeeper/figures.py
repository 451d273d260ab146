"""Writing the live figures to Redis, together with the position that they include."""

import time
from collections.abc import Mapping
from typing import Any

from agents.retry import Retry
from agents.scorekeeper.config import ScorekeeperConfig
from agents.scorekeeper.counting import Counting
from agents.scorekeeper.report import ScorekeeperReport
from streams.kafka.cluster_watch import ClusterWatch
from streams.records.positions import Offsets
from streams.state.quality import LiveQuality, QualityPoint, QualityShelf

__all__ = ["FigureWriter"]


class FigureWriter:
    """Writes what is counted.

    Parameters
    ----------
    config : how often.
    shelf : where to.
    counting : what is written.
    cluster : knows the ids of the topics that the position belongs to.
    retry : waits for Redis.
    report : told the rates.
    """

    def __init__(
        self,
        config: ScorekeeperConfig,
        shelf: QualityShelf,
        counting: Counting,
        cluster: ClusterWatch,
        retry: Retry,
        report: ScorekeeperReport,
    ) -> None:
        self._config = config
        self._shelf = shelf
        self._counting = counting
        self._cluster = cluster
        self._retry = retry
        self._report = report
        self._written: Offsets = {}  # offsets that the stored figures include
        self._stored_at = 0.0
        self._looked_at = 0.0  # when it was last looked whether there is something to store
        self._is_whole_due = True  # of the users of the experiment that runs
        self._point_at = time.monotonic()
        self._point_tests = 0

    async def restore(self) -> LiveQuality | None:
        """Take what was stored, and return it; None before the first writing."""
        stored = await self._retry.until_available(self._shelf.read)
        if stored is not None:
            self._counting.restore(stored, await self._retry.until_available(self._shelf.users))
        self._point_tests = self._counting.board.total.tests
        return stored

    async def forget_users(self) -> None:
        """Forget whoever was forgotten since, and store the users of an experiment without them at once."""
        if self._counting.forget_users():
            self._is_whole_due = True
            await self.store()
        self._report.forgotten = self._counting.n_forgotten

    def is_due(self) -> bool:
        """Return whether it is time to look whether there is something to write."""
        return time.monotonic() - self._looked_at >= self._config.write_s

    async def write(self) -> None:
        """Store figures and position where something has changed, or long ago."""
        self._looked_at = time.monotonic()
        is_old = time.monotonic() - self._stored_at >= self._config.rewrite_s
        if self._counting.offsets == self._written and not is_old:
            return
        figures = await self.store()
        self._report.tests = figures["total"]["tests"]
        self._report.hit_rate = figures["latest"]["hit_rate"]
        self._report.popularity_hit_rate = figures["latest"]["popularity_hit_rate"]
        await self._add_point()

    async def store(self) -> Mapping[str, Any]:
        """Store what is counted by now, and return the figures."""
        counting = self._counting
        figures = counting.board.describe()
        offsets = {topic: dict(partitions) for topic, partitions in counting.offsets.items()}
        ids = {topic: self._cluster.ids[topic] for topic in offsets if topic in self._cluster.ids}
        forgotten = tuple(sorted(counting.forgotten))
        quality = LiveQuality(figures, counting.began, offsets, _now_ms(), ids, forgotten, counting.recent())
        drawn = counting.board.take_users(whole=self._is_whole_due)
        are_whole = await self._retry.until_available(self._shelf.write, quality, drawn)
        self._is_whole_due = not are_whole
        self._written, self._stored_at = offsets if are_whole else {}, time.monotonic()
        return figures

    async def _add_point(self) -> None:
        report = self._report
        if time.monotonic() - self._point_at < self._config.point_s or report.tests == self._point_tests:
            return
        self._point_at, self._point_tests = time.monotonic(), report.tests
        point = QualityPoint(_now_ms(), report.tests, report.hit_rate, report.popularity_hit_rate, report.model_version)
        await self._retry.until_available(self._shelf.add, point)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
