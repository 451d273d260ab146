"""Records of several topic partitions in the order of their Kafka timestamps, as far as it is certain.

Within a partition records stay in their order, whatever their timestamps say. So what was given out is always a
beginning of each partition, and one position per partition says all. Between partitions the earliest record goes first,
once nothing earlier can come: every other partition has delivered something later, or has nothing more and had time
enough. Time enough is ``late_ms`` after the record's timestamp. A record whose timestamp is ahead of its arrival counts
as one of its arrival, lest its partition waits while others have traffic. Nothing here reads a clock: the caller tells
the time.
"""

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator

from streams.records.decoding import RawRecord
from streams.records.positions import TopicPartition

__all__ = ["TimeOrder"]


class TimeOrder:
    """Takes records as they were read and gives them back in the order of time.

    Parameters
    ----------
    topic_partitions : every topic partition that is read, topics with the prefix.
    last : topic whose records come after those of the others in the same millisecond.
    late_ms : how long an earlier record may take to arrive.
    """

    def __init__(self, topic_partitions: Iterable[TopicPartition], last: str, late_ms: float) -> None:
        self._last = last
        self._late_ms = late_ms
        self._waiting: dict[TopicPartition, deque[tuple[RawRecord, float]]] = {
            topic_partition: deque() for topic_partition in topic_partitions
        }
        self._heads: list[tuple[float, bool, str, int]] = []

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def full(self, most: int) -> frozenset[TopicPartition]:
        """Return the topic partitions of which at least so many records wait."""
        return frozenset(topic_partition for topic_partition, waiting in self._waiting.items() if len(waiting) >= most)

    def add(self, records: Iterable[RawRecord], now_ms: float) -> None:
        """Take records, in the order of each partition.

        Parameters
        ----------
        records : of the partitions that were named.
        now_ms : wall clock.
        """
        for record in records:
            waiting = self._waiting[record.origin.topic, record.origin.partition]
            waiting.append((record, now_ms))
            if len(waiting) == 1:
                self._push(record, now_ms)

    def ready(self, unread: Collection[TopicPartition], now_ms: float) -> Iterator[RawRecord]:
        """Give out, and forget, what is certain to be next.

        Parameters
        ----------
        unread : topic partitions that hold more than was added.
        now_ms : wall clock.
        """
        empty = {topic_partition for topic_partition, waiting in self._waiting.items() if not waiting}
        is_blocked = bool(empty & set(unread))
        while self._heads and not is_blocked:
            _, _, topic, partition = self._heads[0]
            waiting = self._waiting[topic, partition]
            record, arrived_ms = waiting[0]
            if empty and now_ms - min(record.origin.timestamp, arrived_ms) < self._late_ms:
                return
            heapq.heappop(self._heads)
            waiting.popleft()
            if waiting:
                self._push(*waiting[0])
            else:
                empty.add((topic, partition))
                is_blocked = (topic, partition) in unread
            yield record

    def _push(self, record: RawRecord, arrived_ms: float) -> None:
        origin = record.origin
        at_ms = min(origin.timestamp, arrived_ms)
        heapq.heappush(self._heads, (at_ms, origin.topic == self._last, origin.topic, origin.partition))
