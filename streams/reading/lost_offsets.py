"""One line for offsets that a reader still wanted and that the topic no longer holds, in every process the same."""

import logging

from streams.records.positions import TopicPartition

__all__ = ["log_lost_offsets"]

logger = logging.getLogger(__name__)


def log_lost_offsets(role: str, topic_partition: TopicPartition, first: int, kept: int, cure: str) -> int:
    """Log ``events.lost`` at error level, and return how many offsets are gone; 0, and no line, where none is.

    Only what lies before the first offset that the topic keeps is lost. Other offsets without a record are those of
    transactions, aborted or their markers, or were compacted away.

    Parameters
    ----------
    role : who wanted them.
    topic_partition : topic with the prefix, and partition.
    first : the first offset that was wanted.
    kept : the first offset that the topic still holds.
    cure : what follows, and what can be done.
    """
    n = max(0, kept - first)
    if n:
        logger.error(
            "events.lost %s: %s offsets of %s[%d] from %d on are no longer in the topic; %s",
            role, f"{n:,}", *topic_partition, first, cure,
            extra={"role": role, "topic": topic_partition[0], "partition": topic_partition[1],
            "first": first, "offsets": n},
        )  # fmt: skip
    return n
