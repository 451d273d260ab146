"""What the scorekeeper counts, and when it writes it."""

from dataclasses import dataclass, field

from model.metrics.drift import DriftConfig
from model.metrics.live import ScoreboardConfig
from streams.kafka.cluster_watch import ClusterWatchConfig
from streams.state.quality import SERIES

__all__ = ["ScorekeeperConfig"]


@dataclass(frozen=True, slots=True)
class ScorekeeperConfig:
    """What is counted, and when it is written.

    Parameters
    ----------
    guard : whether a version that drifts gives way.
    refill : records of each topic before the position that are read again at the start, to know lists and users.
    late_s : how long a record may take from its timestamp until it can be read.
    write_s : seconds between two writings of the figures.
    rewrite_s : seconds after which they are written though nothing has changed: Redis may have lost them.
    point_s : seconds between two points of the series.
    series : points that are kept.
    board, drift : sizes of what is counted, and how much evidence the guard asks for.
    watch : how often to look at the cluster.
    """

    guard: bool = True
    refill: int = 20_000
    late_s: float = 2.0
    write_s: float = 1.0
    rewrite_s: float = 30.0
    point_s: float = 10.0
    series: int = SERIES
    board: ScoreboardConfig = field(default_factory=ScoreboardConfig)
    drift: DriftConfig = field(default_factory=DriftConfig)
    watch: ClusterWatchConfig = field(default_factory=ClusterWatchConfig)
