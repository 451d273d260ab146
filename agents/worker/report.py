"""What a worker tells about itself with each sign of life; ``reelstream health`` prints it."""

import os
from dataclasses import dataclass, field

from streams.metrics.collector import Figures
from streams.metrics.families import (
    HEALTHY,
    KAFKA_AWAY,
    MODEL_INFO,
    MODEL_PROMOTED,
    MODEL_SWAPS,
    MODEL_SYNC,
    OFFSETS_LOST,
    RECOVERED,
    STALLED,
    USERS,
    WITHDRAWALS_UNREADABLE,
)

__all__ = ["StalledPartition", "WorkerReport"]


@dataclass(frozen=True, slots=True)
class StalledPartition:
    """A partition that is not fetched: the next offset it would give, and seconds since its last answer."""

    partition: str
    offset: int | None
    age_s: float


@dataclass(slots=True)
class WorkerReport:
    """The state of a worker; its counters begin with the process, and its fields are those of the JSON.

    ``rejected`` counts the dead letters that it sent: events, requests and items. ``refused`` counts the requests that
    it answered with what is wrong with them. ``mended`` counts the records that
    it applied again because Redis had lost them. ``patched`` and ``loaded`` count the versions taken over as changes
    alone and whole. For the one that serves ``sync_bytes`` were read, and it came ``sync_ms`` after its promotion: so
    long lists were still of the one before. ``chosen`` is the number of modes set by hand. ``lost`` counts offsets that
    left retention before they were read; ``stalled`` names what Kafka does not answer for. ``lag`` is the number of
    records that are there and not done yet. Half of the lists of the last minute came within ``list_p50_ms`` of their
    event, and all but one in a hundred within ``list_p99_ms``; None where there was none. ``model_promoted_at`` is when
    the version that serves was promoted, ms of the wall clock, and ``model_age_s`` how long ago that was. ``users`` are
    all users in Redis by the mode of their last list, as the worker that leads counts them now and then.
    ``unreadable`` counts withdrawals whose events nobody holds any more, so that these still count.
    ``kafka_away_s`` are the seconds for which Kafka has not answered, None while it does. ``unloaded`` is the version
    that should serve and cannot be loaded. ``fault`` is why the worker is not healthy though it lives.
    """

    events: int = 0
    applied: int = 0
    rejected: int = 0
    refused: int = 0
    lists: int = 0
    degraded: int = 0
    batches: int = 0
    batch_ms: float = 0.0
    mended: int = 0
    held: bool = False
    model_version: str | None = None
    patched: int = 0
    loaded: int = 0
    sync_bytes: int = 0
    sync_ms: int = 0
    model_promoted_at: int | None = None
    model_age_s: float | None = None
    lag: int = 0
    list_p50_ms: float | None = None
    list_p99_ms: float | None = None
    users: dict[str, int] = field(default_factory=dict)
    experiment: str | None = None
    chosen: int = 0
    lost: int = 0
    unreadable: int = 0
    stalled: list[StalledPartition] = field(default_factory=list)
    kafka_away_s: float | None = None
    unloaded: str | None = None
    fault: str | None = None
    pid: int = field(default_factory=os.getpid)

    def figures(self) -> Figures:
        """Give what Prometheus is told of it."""
        yield HEALTHY, float(self.fault is None)
        yield KAFKA_AWAY, self.kafka_away_s or 0.0
        yield OFFSETS_LOST, self.lost
        yield RECOVERED, self.mended
        yield WITHDRAWALS_UNREADABLE, self.unreadable
        yield STALLED, len(self.stalled)
        yield USERS, {(mode,): n for mode, n in dict(self.users).items()}
        yield MODEL_SWAPS, {("changes",): self.patched, ("whole",): self.loaded}
        yield MODEL_SYNC, self.sync_ms / 1000
        yield MODEL_INFO, {(self.model_version or "",): 1}
        yield MODEL_PROMOTED, None if self.model_promoted_at is None else self.model_promoted_at / 1000
