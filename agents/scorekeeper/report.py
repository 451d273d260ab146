"""What a scorekeeper tells about itself, as its sign of life holds it."""

import os
from dataclasses import dataclass, field

__all__ = ["ScorekeeperReport"]


@dataclass(slots=True)
class ScorekeeperReport:
    """What a scorekeeper tells about itself; counters since its start, rates of the window.

    ``lost`` counts offsets that left the topics uncounted. ``kafka_away_s`` are the seconds for which Kafka has not
    answered, None while it does. ``fault`` is why it is not healthy though it lives.
    """

    records: int = 0
    bad: int = 0
    waiting: int = 0
    tests: int = 0
    hit_rate: float = 0.0
    popularity_hit_rate: float = 0.0
    model_version: str | None = None
    guard: bool = True
    rolled_back: int = 0
    withdrawn: int = 0
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)
