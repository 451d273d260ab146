"""The partition counts of the topics: one that grows or disappears ends the process with its cure.

Workers, trainer and scorekeeper share out, merge and read exactly the partitions that they were started with, so more
of them would fill with events that nobody reads. Starting again with the new count is all it takes: positions are kept
for each partition by itself, so a user whose key now falls elsewhere goes on with the same state.
``streams.kafka.topics.verify_topics`` looks at the start, ``streams.kafka.cluster_watch`` while a process runs.
"""

from collections.abc import Mapping

from streams.errors import TopicError
from streams.kafka.metadata import DescribedTopic
from streams.kafka.topics import MODEL_VERSIONS, TOPICS
from streams.settings import Settings

__all__ = ["require_partitions"]


def require_partitions(found: Mapping[str, DescribedTopic], settings: Settings) -> None:
    """Compare the topics, by their full names, with the settings.

    Raises
    ------
    TopicError
        If a topic is gone or has another partition count than the settings say.
    """
    required = {settings.prefix + topic.name: topic.partitions(settings) for topic in TOPICS}
    counts = {name: topic.partitions for name, topic in found.items()}
    wrong = {name: counts.get(name, 0) for name, n in required.items() if counts.get(name, 0) != n}
    if not wrong:
        return
    name, got = next(iter(wrong.items()))
    if got == 0:
        raise TopicError(
            f"partitions of {name} at {settings.kafka}: the topic must stay, got none; create it again with "
            "`reelstream topics create`, and where it held events `reelstream rebuild` the state or start with an "
            "empty Redis, as its offsets begin anew; then start all workers, the trainer and the scorekeeper again"
        )
    if name == settings.prefix + MODEL_VERSIONS:
        raise TopicError(
            f"partitions of {name} at {settings.kafka}: one is required, got {got}; delete the topic and create it "
            "again with `reelstream topics create`: versions rest in the registry, it only announces them"
        )
    raise TopicError(
        f"partitions of {', '.join(wrong)} at {settings.kafka}: {required[name]} are required while running, got {got}"
        f"; restart all workers, the trainer and the scorekeeper with REELSTREAM_PARTITIONS={got} once every topic has "
        "as many: state stays right because positions are kept per partition"
    )
