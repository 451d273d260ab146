"""The id that Kafka gave a topic: it tells a topic that was deleted and made anew from the one before.

The offsets of such a topic begin anew. A position that was kept would be taken for one of the new topic, and its first
records would be skipped in silence. ``streams.serving.known_topics`` knows which ids the positions in Redis belong to.
"""

from collections.abc import Iterable

from streams.errors import TopicError
from streams.kafka.clients import blocking_admin
from streams.kafka.kafka_errors import cluster_required
from streams.records.positions import TopicIds
from streams.settings import Settings

__all__ = ["made_anew", "read_topic_ids", "replaced"]

_ASK_MS = 6_000  # as for the look at the topics themselves


def replaced(known: TopicIds, found: TopicIds) -> tuple[str, ...]:
    """Return the topics of which another id was found than the one that is known."""
    return tuple(name for name, topic_id in known.items() if found.get(name, topic_id) != topic_id)


def made_anew(name: str, settings: Settings, known: TopicIds, found: TopicIds) -> TopicError:
    """Return the error about an event topic that is not the one that the state was made of."""
    return TopicError(
        f"topics at {settings.kafka}: {name} must stay the topic that the state in Redis was made of "
        f"({known[name]}), got one that was made anew ({found[name]}), whose offsets would be taken for old ones; "
        "end everything, then `reelstream rebuild` the state from what the topics hold now, or delete it with "
        "`reelstream redis clear --yes`, or choose another REELSTREAM_PREFIX"
    )


def read_topic_ids(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Return the ids of topics by full name, of those that exist and that the cluster tells.

    Raises
    ------
    TopicError
        If the cluster does not answer.
    """
    with cluster_required("topics", settings):
        client = blocking_admin(settings, "topics", bootstrap_timeout_ms=_ASK_MS)
        try:
            described = client.describe_topics(list(names))
        finally:
            client.close()
    return {topic["name"]: str(topic["topic_id"]) for topic in described if topic.get("topic_id")}
