"""How far topic partitions are known to be applied: lower bounds, which stored positions never fall below.

Positions only grow. If one stands before its bound, or is gone, it was lost without a restart of the server: the
database was emptied, or a key was deleted or evicted. Bounds hold for the servers that they were learnt from, so
whoever compares another server with Kafka forgets them first. ``store`` is the one that asks Redis.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from streams.records.positions import TopicPartition
from streams.records.records import Origin

__all__ = ["KnownPositions"]


class KnownPositions:
    """The bounds of one worker; nothing is known at first."""

    def __init__(self) -> None:
        self._bounds: dict[TopicPartition, int] = {}

    @property
    def bounds(self) -> Mapping[TopicPartition, int]:
        """Offset of the last record known to be applied, of each partition for which one is known."""
        return MappingProxyType(self._bounds)

    def forget(self) -> None:
        """Know nothing from now on."""
        self._bounds = {}  # another one: whoever compares the old one goes on with it

    def note(self, topic_partition: TopicPartition, offset: int) -> None:
        """Learn that this record is applied; before the first record, -1, there is nothing to lose."""
        if offset > self._bounds.get(topic_partition, -1):
            self._bounds[topic_partition] = offset

    def note_all(self, origins: Iterable[Origin]) -> None:
        """Learn that these records are applied."""
        for origin in origins:
            self.note((origin.topic, origin.partition), origin.offset)
