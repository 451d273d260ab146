"""What an archiver tells about itself, as its sign of life holds it."""

import os
from dataclasses import dataclass, field

from streams.metrics.collector import Figures
from streams.metrics.families import (
    ARCHIVE_DUPLICATES,
    ARCHIVE_FILES,
    ARCHIVE_PENDING,
    ARCHIVE_RECORDS,
    ARCHIVE_STORE_AWAY,
    HEALTHY,
    KAFKA_AWAY,
    OFFSETS_LOST,
)

__all__ = ["ArchiverReport"]


@dataclass(slots=True)
class ArchiverReport:
    """What an archiver tells about itself; counters since its start.

    ``forgotten`` counts forgettings that are carried out. ``lag`` counts the records that are not read. ``lost`` counts
    offsets that left the topics unarchived. ``kafka_away_s`` are the seconds for which Kafka has not
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
    forgotten: int = 0
    lag: int = 0
    lost: int = 0
    kafka_away_s: float | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)

    def figures(self) -> Figures:
        """Give what Prometheus is told of it."""
        yield HEALTHY, float(self.fault is None)
        yield KAFKA_AWAY, self.kafka_away_s or 0.0
        yield OFFSETS_LOST, self.lost
        yield ARCHIVE_RECORDS, {("read",): self.records, ("archived",): self.archived, ("rejected",): self.rejected}
        yield ARCHIVE_DUPLICATES, self.duplicates
        yield ARCHIVE_FILES, self.files
        yield ARCHIVE_PENDING, self.pending
        yield ARCHIVE_STORE_AWAY, float(self.store_away)
