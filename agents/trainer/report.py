"""What a trainer tells about itself, as its sign of life holds it."""

import os
from dataclasses import dataclass, field

__all__ = ["TrainerReport"]


@dataclass(slots=True)
class TrainerReport:
    """What a trainer tells about itself; counters since its start.

    ``anchor`` is the version that ``model_version`` is measured by, None for itself. ``sync_bytes`` are of the version
    stored last. ``lost`` counts offsets that left the topics unlearnt. ``kafka_away_s`` are the seconds for which Kafka
    has not answered, None while it does. ``fault`` is why it is not healthy though it lives.
    """

    events: int = 0
    rounds: int = 0
    promoted: int = 0
    rejected: int = 0
    held: int = 0
    failed: int = 0
    rolled_back: int = 0
    withdrawn: int = 0
    sync_bytes: int = 0
    training: bool = False
    model_version: str | None = None
    anchor: str | None = None
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)
