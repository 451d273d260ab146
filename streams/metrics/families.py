"""Everything that is measured, by the names that Prometheus shows; docs/operate/metrics.md is the same table.

Names follow Prometheus' conventions: a prefix, the unit at the end, ``_total`` behind a counter.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "API_EVENTS",
    "API_REQUESTS",
    "API_SECONDS",
    "API_STREAMS",
    "ARCHIVE_DUPLICATES",
    "ARCHIVE_FILES",
    "ARCHIVE_PENDING",
    "ARCHIVE_RECORDS",
    "ARCHIVE_STORE_AWAY",
    "BATCH_RECORDS",
    "BREAKER_OPEN",
    "CACHE_LOOKUPS",
    "CATALOGUE_ITEMS",
    "DEAD_LETTERS",
    "EVENTS",
    "EVENT_TO_LIST",
    "FALLBACKS",
    "FAMILIES",
    "GATE_EVENTS",
    "GATE_HIT_RATE",
    "GUARD_MOVES",
    "HEALTHY",
    "HINTED_USERS",
    "KAFKA_AWAY",
    "LAG",
    "LISTS",
    "LIVE_HIT_RATE",
    "LIVE_TESTS",
    "LIVE_WAITING",
    "MODEL_INFO",
    "MODEL_PROMOTED",
    "MODEL_SWAPS",
    "MODEL_SYNC",
    "MODE_CHANGES",
    "OFFSETS_LOST",
    "PINNED_VERSIONS",
    "PROCESS_INFO",
    "RECOVERED",
    "REDELIVERED",
    "REDIS_MAX",
    "REDIS_USED",
    "ROUNDS",
    "ROUND_SECONDS",
    "ROUND_WAITS",
    "SCORED_RECORDS",
    "STAGE_SECONDS",
    "STAGE_WORKED",
    "STALLED",
    "TRAINER_RECORDS",
    "TRAINING",
    "USERS",
    "WITHDRAWALS",
    "WITHDRAWALS_UNREADABLE",
    "Family",
]


@dataclass(frozen=True, slots=True)
class Family:
    """One measure.

    Parameters
    ----------
    name : without ``_total``.
    kind : as Prometheus calls it.
    help : what it is, in a sentence.
    labels : what its series differ by.
    buckets : upper bounds of a histogram.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus finds it."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        return (
            tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
            if self.kind == "histogram"
            else (self.name,)
        )


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # of a step: a list takes milliseconds
_WAITED = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)  # from an event on; minutes behind
_ANSWERED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # over HTTP
_ROUND = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)  # of training
_RECORDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # the largest batch by default holds 256

# Every process.
PROCESS_INFO = Family("reelstream_process_info", "gauge", "1; which process this is.", ("role", "version"))
HEALTHY = Family("reelstream_healthy", "gauge", "1, or 0 where the process says that it is at fault.")
KAFKA_AWAY = Family(
    "reelstream_kafka_unanswered_seconds", "gauge", "Seconds for which Kafka has not answered; 0 while it does."
)
LAG = Family(
    "reelstream_consumer_lag_records", "gauge", "Records that are there and not done yet.", ("topic", "partition")
)
OFFSETS_LOST = Family("reelstream_offsets_lost", "counter", "Offsets that left the topics before they were read.")
REDIS_USED = Family(
    "reelstream_redis_used_bytes", "gauge", "Memory that Redis uses, of all primaries, as of the last minute."
)
REDIS_MAX = Family("reelstream_redis_max_bytes", "gauge", "Memory that Redis may use; infinite without a limit.")

# Workers.
EVENTS = Family(
    "reelstream_events",
    "counter",
    "Records of the event topics: accepted, a producer's duplicate, or rejected.",
    ("topic", "outcome"),
)
REDELIVERED = Family("reelstream_events_redelivered", "counter", "Accepted events that had been applied before.")
WITHDRAWALS = Family(
    "reelstream_withdrawals",
    "counter",
    "Withdrawals that took an event back, and those without an event that counts: it may still come.",
    ("outcome",),
)
WITHDRAWALS_UNREADABLE = Family(
    "reelstream_withdrawals_unreadable",
    "counter",
    "Withdrawals whose events nobody holds any more, so that they still count.",
)
BATCH_RECORDS = Family("reelstream_batch_records", "histogram", "Records taken at once.", ("of",), _RECORDS)
STAGE_SECONDS = Family("reelstream_stage_seconds", "histogram", "Seconds of one step of a batch.", ("stage",), _SECONDS)
STAGE_WORKED = Family(
    "reelstream_stage_worked_seconds",
    "counter",
    "Seconds in which the event loop worked on one step of a batch itself; the rest is waiting.",
    ("stage",),
)
EVENT_TO_LIST = Family(
    "reelstream_event_to_list_seconds",
    "histogram",
    "Seconds from a record's time in Kafka until the brokers have its list.",
    ("trigger",),
    _WAITED,
)
LISTS = Family("reelstream_lists", "counter", "Lists published.", ("mode", "tier"))
MODE_CHANGES = Family("reelstream_mode_changes", "counter", "Users who changed their mode.", ("before", "after"))
USERS = Family(
    "reelstream_users", "gauge", "Users in Redis by the mode of their last list, as of the last census.", ("mode",)
)
DEAD_LETTERS = Family("reelstream_dead_letters", "counter", "Records that broke their contract.", ("topic", "cause"))
FALLBACKS = Family("reelstream_fallbacks", "counter", "Chunks of lists that were served without.", ("part", "cause"))
BREAKER_OPEN = Family(
    "reelstream_breaker_open",
    "gauge",
    "1 where a part has failed in a row, the last time within ten minutes.",
    ("part",),
)
RECOVERED = Family("reelstream_records_recovered", "counter", "Records applied again because Redis had lost them.")
STALLED = Family("reelstream_partitions_stalled", "gauge", "Partitions that Kafka does not answer for.")
CATALOGUE_ITEMS = Family("reelstream_catalogue_items", "gauge", "Items of the catalogue in memory.")
HINTED_USERS = Family("reelstream_hinted_users", "gauge", "Users in memory of whom something is said beforehand.")
PINNED_VERSIONS = Family(
    "reelstream_versions_loaded", "gauge", "Model versions in memory, those of an experiment included."
)
MODEL_SWAPS = Family("reelstream_model_swaps", "counter", "Versions taken over, as changes alone or whole.", ("how",))
MODEL_SYNC = Family(
    "reelstream_model_sync_seconds", "gauge", "Seconds from the promotion of the version that serves until it did here."
)

# Workers, trainer and scorekeeper.
MODEL_INFO = Family(
    "reelstream_model_info", "gauge", "1; the version that serves, as this process sees it.", ("version",)
)
MODEL_PROMOTED = Family(
    "reelstream_model_promoted_timestamp_seconds", "gauge", "When the version that serves was promoted."
)

# Workers and API.
CACHE_LOOKUPS = Family(
    "reelstream_cache_lookups",
    "counter",
    "Look-ups in what is kept in memory, by what they found.",
    ("cache", "outcome"),
)

# Trainer.
TRAINER_RECORDS = Family("reelstream_trainer_records", "counter", "Records of the event topics that were read.")
ROUNDS = Family(
    "reelstream_rounds", "counter", "Rounds by what became of them: the gate's verdict, or failed.", ("outcome",)
)
ROUND_SECONDS = Family("reelstream_round_seconds", "histogram", "Seconds of a round.", (), _ROUND)
ROUND_WAITS = Family(
    "reelstream_round_waits_seconds",
    "gauge",
    "Seconds for which a round that is due has waited for events to be read; 0 where none waits.",
)
TRAINING = Family("reelstream_training", "gauge", "1 while a round runs.")
GATE_HIT_RATE = Family(
    "reelstream_gate_hit_rate", "gauge", "HR@10 of the last gate's events, by who ranked them.", ("ranker",)
)
GATE_EVENTS = Family("reelstream_gate_events", "gauge", "Held-out events of the last gate.")

# Scorekeeper.
SCORED_RECORDS = Family("reelstream_scored_records", "counter", "Records read to be counted.", ("outcome",))
LIVE_TESTS = Family("reelstream_live_tests", "gauge", "Events tested on the list before them, all so far.")
LIVE_WAITING = Family("reelstream_live_waiting_records", "gauge", "Records that wait for their list.")
LIVE_HIT_RATE = Family("reelstream_live_hit_rate", "gauge", "HR@10 of the latest 5,000 tests.", ("ranker",))
GUARD_MOVES = Family("reelstream_guard_moves", "counter", "Versions that the drift guard took back.", ("move",))

# Archiver.
ARCHIVE_RECORDS = Family("reelstream_archive_records", "counter", "Records read for the archive.", ("outcome",))
ARCHIVE_FILES = Family("reelstream_archive_files", "counter", "Parquet files written.")
ARCHIVE_DUPLICATES = Family(
    "reelstream_archive_duplicates", "counter", "Producers' duplicates left out of the archive."
)
ARCHIVE_PENDING = Family("reelstream_archive_pending_records", "gauge", "Records in memory that are in no file yet.")
ARCHIVE_STORE_AWAY = Family("reelstream_archive_store_away", "gauge", "1 while the archive's store does not answer.")

# API.
API_REQUESTS = Family(
    "reelstream_api_requests", "counter", "Requests that were answered.", ("method", "route", "status")
)
API_SECONDS = Family(
    "reelstream_api_request_seconds", "histogram", "Seconds from a request to its whole answer.", ("route",), _ANSWERED
)
API_EVENTS = Family("reelstream_api_events", "counter", "Events that were sent in.", ("outcome",))
API_STREAMS = Family("reelstream_api_streams", "gauge", "Streams of lists that are open.")

FAMILIES = tuple(found for found in list(globals().values()) if isinstance(found, Family))
