"""When the archiver writes a file."""

from dataclasses import dataclass, field

from streams.kafka.cluster_watch import ClusterWatchConfig

__all__ = ["ArchiverConfig"]


@dataclass(frozen=True, slots=True)
class ArchiverConfig:
    """When a file is written.

    Parameters
    ----------
    every_events : records of a partition that fill a file; 50,000 take 1 to 3 MB in it and 5 MB in memory.
    every_s : seconds after which a file is written with fewer; an event is archived at most this late.
    most_pending : records in memory, of all partitions; beyond it the fullest ones are written.
    remembered : newest events of a partition among which a producer's duplicates are found, 300 to 600 bytes each.
    seed : of the jitter between attempts to reach the store.
    watch : how often to look at the cluster.
    """

    every_events: int = 50_000
    every_s: float = 60.0
    most_pending: int = 400_000
    remembered: int = 50_000
    seed: int | None = None
    watch: ClusterWatchConfig = field(default_factory=ClusterWatchConfig)
