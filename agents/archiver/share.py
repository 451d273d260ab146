"""The partitions that an archiver has for now, and how far each of them is."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.archive.scanning import Scanner

__all__ = ["Share"]

COMMIT_S = 5.0


class Share:
    """What the group has given to this archiver.

    Parameters
    ----------
    consumer : of the group.

    Attributes
    ----------
    scanners : of the partitions that are placed.
    since : when the oldest record that is not in a file came.
    unplaced : partitions that are new here.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._told: dict[TopicPartition, int] = {}  # how far the group was told that a partition is archived
        self.scanners: dict[TopicPartition, Scanner] = {}
        self.since: dict[TopicPartition, float] = {}
        self.unplaced: set[TopicPartition] = set()

    @property
    def pending(self) -> int:
        """How many records are in memory."""
        return sum(scanner.pending for scanner in self.scanners.values())

    def remove(self, gone: Iterable[TopicPartition]) -> None:
        """Forget partitions that others will own."""
        for at in gone:
            self.scanners.pop(at, None)
            self._told.pop(at, None)
            self.since.pop(at, None)
            self.unplaced.discard(at)

    def is_told(self, at: TopicPartition, offset: int) -> bool:
        """Return whether the group knows that a partition is archived up to an offset."""
        return self._told.get(at, -1) >= offset

    async def tell(self, marks: dict[TopicPartition, int]) -> None:
        """Commit how far partitions are archived: a hint for who watches the lag, as the files are what counts."""
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(self._consumer.commit(marks), COMMIT_S)
            self._told.update(marks)
