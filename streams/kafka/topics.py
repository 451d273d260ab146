"""The topics: names, partitions, retention, and making them idempotently.

Nothing relies on the broker's auto-creation. The event topics always have equally many partitions, so that one
worker owns a user on all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError

from streams.errors import TopicError
from streams.kafka.clients import blocking_admin
from streams.kafka.kafka_errors import cluster_required
from streams.settings import Settings

__all__ = [
    "ACTIONS",
    "CATALOG",
    "DATA_REQUESTS",
    "DEAD_LETTERS",
    "EVENTS",
    "MODEL_VERSIONS",
    "MODE_CHANGES",
    "RATES",
    "RECOMMENDATIONS",
    "REQUESTS",
    "TOPICS",
    "USER_PROFILES",
    "WATCHES",
    "Topic",
    "create_topics",
    "event_topics",
    "verify_topics",
]

WATCHES = "watch-events"
RATES = "rate-events"
ACTIONS = "action-events"
CATALOG = "catalog-items"
USER_PROFILES = "user-profiles"
DATA_REQUESTS = "data-requests"
REQUESTS = "recommendation-requests"
RECOMMENDATIONS = "recommendations"
MODE_CHANGES = "mode-changes"
MODEL_VERSIONS = "model-versions"
DEAD_LETTERS = "dead-letters"
EVENTS = (WATCHES, RATES, ACTIONS)

_CONNECT_MS = 6_000  # a cluster that needs longer to answer is not ready for a worker either
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic's shape.

    Parameters
    ----------
    name : without the prefix.
    key : what its records are keyed by.
    compacted : keep the latest record of each key instead of a period.
    retention_ms : how long records are kept where not compacted, milliseconds; -1 keeps them for good,
        because state is rebuilt from the events.
    single : one partition whatever the settings say, for topics whose order matters as a whole.
    """

    name: str
    key: str
    compacted: bool = False
    retention_ms: int = -1
    single: bool = False

    def configuration(self) -> Mapping[str, str]:
        """Return the broker-side settings of this topic."""
        if self.compacted:
            return {"cleanup.policy": "compact"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}

    def partitions(self, settings: Settings) -> int:
        """Return how many partitions it has under these settings."""
        return 1 if self.single else settings.partitions


TOPICS = (
    Topic(WATCHES, "user_id"),
    Topic(RATES, "user_id"),
    Topic(ACTIONS, "user_id"),
    Topic(CATALOG, "item_id", compacted=True),
    Topic(USER_PROFILES, "user_id", compacted=True),
    Topic(DATA_REQUESTS, "user_id", compacted=True),
    Topic(REQUESTS, "user_id", retention_ms=_DAY_MS),
    Topic(RECOMMENDATIONS, "user_id", retention_ms=7 * _DAY_MS),
    Topic(MODE_CHANGES, "user_id", retention_ms=30 * _DAY_MS),
    Topic(MODEL_VERSIONS, "current, or the status", compacted=True, single=True),
    Topic(DEAD_LETTERS, "original key", retention_ms=30 * _DAY_MS),
)


def event_topics(prefix: str) -> tuple[str, ...]:
    """Return the names of the event topics of the installation with this prefix."""
    return tuple(prefix + name for name in EVENTS)


def create_topics(settings: Settings) -> tuple[str, ...]:
    """Create the topics that are missing and check those that are there.

    Returns
    -------
    The full names of the topics that were created now, in the order of ``TOPICS``.

    Raises
    ------
    TopicError
        If the cluster cannot be reached, refuses, or holds a topic with another partition count.
    """
    with _Admin(settings) as admin:
        there = _partition_counts(admin, settings)
        missing = [topic for topic in TOPICS if settings.prefix + topic.name not in there]
        for topic in missing:
            _create(admin, topic, settings)
        _check(there, settings)
    return tuple(settings.prefix + topic.name for topic in missing)


def verify_topics(settings: Settings) -> None:
    """Raise TopicError unless every topic is there with the configured partition count."""
    with _Admin(settings) as admin:
        there = _partition_counts(admin, settings)
    missing = [settings.prefix + topic.name for topic in TOPICS if settings.prefix + topic.name not in there]
    if missing:
        raise TopicError(
            f"topics at {settings.kafka}: {len(TOPICS)} topics are required, got none named {', '.join(missing)}; "
            "create them with `reelstream topics create`"
        )
    _check(there, settings)


class _Admin:
    """An admin client that is closed again, with connection trouble told in one line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> KafkaAdminClient:
        with cluster_required("topics", self._settings):
            self._client = blocking_admin(self._settings, "topics", bootstrap_timeout_ms=_CONNECT_MS)
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _partition_counts(admin: KafkaAdminClient, settings: Settings) -> dict[str, int]:
    with cluster_required("topics", settings):
        found_topics = admin.describe_topics()
    return {found["name"]: len(found["partitions"]) for found in found_topics}


def _create(admin: KafkaAdminClient, topic: Topic, settings: Settings) -> None:
    name = settings.prefix + topic.name
    shape = {
        "num_partitions": topic.partitions(settings),
        "replication_factor": settings.replication,
        "configs": dict(topic.configuration()),
    }
    try:
        admin.create_topics({name: shape}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # another process was faster; its shape is checked like any other
    except KafkaError as error:
        raise TopicError(f"topics at {settings.kafka}: creating {name} as {shape} was refused: {error!r}") from error


def _check(there: Mapping[str, int], settings: Settings) -> None:
    for topic in TOPICS:
        name = settings.prefix + topic.name
        required = topic.partitions(settings)
        if there.get(name, required) != required:
            raise TopicError(
                f"topics at {settings.kafka}: {name} must have {required} partitions, got {there[name]}; "
                "set REELSTREAM_PARTITIONS to what the cluster holds, or choose another REELSTREAM_PREFIX"
            )
