"""What an archiver tells about itself, as its sign of life holds it."""

import os
from dataclasses import dataclass, field

__all__ = ["ArchiverReport"]


@dataclass(slots=True)
class ArchiverReport:
    """What an archiver tells about itself; counters since its start.

    ``lost`` counts offsets that left the topics unarchived. ``kafka_away_s`` are the seconds for which Kafka has not
    answered, None while it does. ``fault`` is why it is not healthy though it lives.
    """

    records: int = 0
    archived: int = 0
    files: int = 0
    rejected: int = 0
    duplicates: int = 0
    pending: int = 0
    partitions: int = 0
    store_away: bool = False
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)
