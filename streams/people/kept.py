"""What Kafka itself still holds of a user after a forgetting, and until when: by each topic's own configuration."""

import time
from dataclasses import dataclass
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType

from streams.kafka import topics
from streams.kafka.clients import blocking_admin
from streams.kafka.kafka_errors import cluster_required
from streams.settings import Settings

__all__ = ["NAMING", "KeptTopic", "find_kept"]

_CONNECT_MS = 6_000  # as for whatever starts
NAMING = (  # the topics whose records may name a user
    *topics.EVENTS,
    topics.USER_PROFILES,
    topics.DATA_REQUESTS,
    topics.REQUESTS,
    topics.RECOMMENDATIONS,
    topics.MODE_CHANGES,
    topics.DEAD_LETTERS,
)


@dataclass(frozen=True, slots=True)
class KeptTopic:
    """A topic that may still hold records which name the user.

    Parameters
    ----------
    topic : its full name.
    policy : what the broker does with old records: ``delete`` or ``compact``, or both.
    retention_ms : how long it keeps them; None for good, or where it only compacts.
    until_ms : when the last record of today is due to go, milliseconds since the epoch; None where no time is set.
    told : the same in words.
    """

    topic: str
    policy: str
    retention_ms: int | None
    until_ms: int | None
    told: str


def find_kept(settings: Settings) -> tuple[KeptTopic, ...]:
    """Ask the brokers; raise TopicError where they do not answer."""
    names = [settings.prefix + name for name in NAMING]
    with cluster_required("forget", settings):
        admin = blocking_admin(settings, "forget", bootstrap_timeout_ms=_CONNECT_MS)
        try:
            wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            found = admin.describe_configs(wanted, config_filter="all").get("topic", {})
        finally:
            admin.close()
    now_ms = time.time_ns() // 1_000_000
    return tuple(_kept(settings, name, found.get(settings.prefix + name, {}), now_ms) for name in NAMING)


def _kept(settings: Settings, name: str, found: dict[str, Any], now_ms: int) -> KeptTopic:
    policy = _value(found.get("cleanup.policy")) or "delete"
    stored = _value(found.get("retention.ms"))
    retention = int(stored) if stored is not None and "delete" in policy else -1
    if name == topics.DATA_REQUESTS:
        told = "the request itself, for good: it keeps the user's earlier events from coming back"
    elif "delete" not in policy:
        told = "until the broker compacts the topic; the latest record of the user is empty"
    elif retention < 0:
        told = "for good, as the topic has no retention; nothing that reads them counts them for the user"
    else:
        told = f"at most {retention / 86_400_000:g} days more"
    return KeptTopic(
        settings.prefix + name,
        policy,
        retention if retention >= 0 else None,
        now_ms + retention if retention >= 0 else None,
        told,
    )


def _value(found: Any) -> str | None:
    """Return a configuration's value, however this client tells it."""
    told = found.get("value") if isinstance(found, dict) else found
    return None if told is None else str(told)
