"""Where a record stands, in the words of every package: topic partitions, offsets, topic ids."""

from collections.abc import Mapping

__all__ = ["DAY_MS", "Offsets", "TopicIds", "TopicPartition"]

TopicPartition = tuple[str, int]
"""Topic with the prefix, and partition; the named tuples of the Kafka clients are equal to it."""

Offsets = Mapping[str, Mapping[int, int]]
"""Topic with the prefix -> partition -> offset of the next record."""

TopicIds = Mapping[str, str]
"""Topic with the prefix -> the id that Kafka gave it, of those topics that a broker tells."""

DAY_MS = 24 * 60 * 60 * 1000
