"""What a scorekeeper tells about itself, as its sign of life holds it."""

import os
from dataclasses import dataclass, field

from streams.metrics.collector import Figures
from streams.metrics.families import (
    GUARD_MOVES,
    HEALTHY,
    KAFKA_AWAY,
    LIVE_HIT_RATE,
    LIVE_TESTS,
    LIVE_WAITING,
    MODEL_INFO,
    MODEL_PROMOTED,
    OFFSETS_LOST,
    SCORED_RECORDS,
)

__all__ = ["ScorekeeperReport"]


@dataclass(slots=True)
class ScorekeeperReport:
    """What a scorekeeper tells about itself; counters since its start, rates of the window.

    ``forgotten`` counts forgettings that are carried out. ``lag`` counts the records that are not read. ``lost`` counts
    offsets that left the topics uncounted. ``kafka_away_s`` are the seconds for which Kafka has not
    answered, None while it does. ``fault`` is why it is not healthy though it lives.
    """

    records: int = 0
    bad: int = 0
    waiting: int = 0
    tests: int = 0
    hit_rate: float = 0.0
    popularity_hit_rate: float = 0.0
    model_version: str | None = None
    model_promoted_at: int | None = None
    forgotten: int = 0
    lag: int = 0
    guard: bool = True
    rolled_back: int = 0
    withdrawn: int = 0
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)

    def figures(self) -> Figures:
        """Give what Prometheus is told of it."""
        yield HEALTHY, float(self.fault is None)
        yield KAFKA_AWAY, self.kafka_away_s or 0.0
        yield OFFSETS_LOST, self.lost
        yield SCORED_RECORDS, {("read",): self.records, ("bad",): self.bad}
        yield LIVE_WAITING, self.waiting
        yield LIVE_TESTS, self.tests
        yield (
            LIVE_HIT_RATE,
            {("lists",): self.hit_rate, ("popularity",): self.popularity_hit_rate} if self.tests else None,
        )
        yield GUARD_MOVES, {("rolled_back",): self.rolled_back, ("withdrawn",): self.withdrawn}
        yield MODEL_INFO, {(self.model_version or "",): 1}
        yield MODEL_PROMOTED, None if self.model_promoted_at is None else self.model_promoted_at / 1000
