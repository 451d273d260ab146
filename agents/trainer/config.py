"""When the trainer trains, and what it keeps."""

from dataclasses import dataclass, field

from model.training.learner import LearnerConfig
from model.training.rounds import RoundConfig
from streams.kafka.cluster_watch import ClusterWatchConfig

__all__ = ["TrainerConfig"]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """When to train, and what to keep.

    Parameters
    ----------
    every_events : new events that start a round.
    every_s : seconds after which a round starts with fewer, if there are at least ``least_events``.
    least_events : new events below which a round teaches nothing, and its held-out tenth decides nothing.
    first_events : events needed for a first version.
    refill : events before a version's offsets that are read again at the start, as the old ones to replay.
    tallied : ratings before those that are read as well, only to know the middle of each user's own.
    remembered_events : event ids remembered to leave out a producer's duplicates, and events that are taken back before
        they come.
    keep_versions : versions that stay in the registry; the serving one and its parent always do.
    whole_every : versions of which one is stored whole; the others hold the changes to their parent where these are
        small, and a worker that starts reads all since the whole one.
    retry_s : seconds before a version that could not be loaded is tried again.
    diverged_rounds : rounds in a row from one version whose weights went out of bounds, before that version itself is
        blamed and its parent serves again.
    seed : of everything random; round n uses (seed, n).
    learner, rounds : what is kept in memory, and how a round trains.
    watch : how often to look at the cluster.
    """

    every_events: int = 2000
    every_s: float = 20.0
    least_events: int = 300
    first_events: int = 2000
    refill: int = 500_000
    tallied: int = 1_000_000
    remembered_events: int = 100_000
    keep_versions: int = 50
    whole_every: int = 10
    retry_s: float = 2.0
    diverged_rounds: int = 2
    seed: int = 0
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    rounds: RoundConfig = field(default_factory=RoundConfig)
    watch: ClusterWatchConfig = field(default_factory=ClusterWatchConfig)
