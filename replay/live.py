"""What a consumer team sees, measured: lists as they arrive, how late they are, and whether everybody has one.

The scorekeeper (``agents.scorekeeper.scorekeeper``) counts how often they were right, from the topics alone.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import orjson
from kafka import TopicPartition

from replay.schedule import PlannedDelivery
from streams.errors import TopicError
from streams.kafka import topics
from streams.kafka.clients import blocking_consumer
from streams.kafka.kafka_errors import cluster_required
from streams.reading.polling import poll
from streams.settings import Settings

__all__ = ["ConsumerLag", "DeliveryCounter", "LastList", "ListFeed"]

MAX_DELAYS = 200_000  # the latest, for the percentiles: hours at any rate of a demo


@dataclass(frozen=True, slots=True)
class LastList:
    """The newest list of a user that has arrived; ``arrival`` counts all lists, from 1."""

    items: tuple[str, ...]
    mode: str
    model_version: str | None
    sequence: int
    arrival: int = field(default=0, compare=False)


class ListFeed:
    """Reads ``recommendations`` in a thread of its own, as a consumer team would.

    Parameters
    ----------
    settings : where the topic is.
    now_ms : wall clock, milliseconds.

    Raises
    ------
    TopicError
        If the cluster cannot be reached; at the end of the context, if a batch could not be read.
    """

    def __init__(self, settings: Settings, now_ms: Callable[[], float] = lambda: time.time() * 1000) -> None:
        self._now_ms = now_ms
        with cluster_required("lists", settings):
            self._consumer = blocking_consumer(settings, "list-feed")
        self._failure: TopicError | None = None
        topic = settings.prefix + topics.RECOMMENDATIONS
        self._consumer.assign([TopicPartition(topic, partition) for partition in range(settings.partitions)])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="list feed", daemon=True)
        self._delays: deque[float] = deque(maxlen=MAX_DELAYS)
        self.last: dict[str, LastList] = {}
        self.modes: Counter[str] = Counter()
        self.received = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()
        if kind is None and self._failure is not None:
            raise self._failure

    def forget_delays(self) -> None:
        """Start measuring delays anew, at the end of a warm-up."""
        self._delays.clear()

    def delay_ms(self, *percents: float) -> tuple[float, ...]:
        """Return percentiles of the time from an event's Kafka timestamp to its list's arrival, milliseconds.

        NaN before the first list.
        """
        delays = list(self._delays)
        return tuple(np.percentile(delays, percents)) if delays else (float("nan"),) * len(percents)

    def users(self) -> dict[str, int]:
        """Return how many users have a list of each mode as their last one."""
        return dict(Counter(found.mode for found in list(self.last.values())))

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                found = poll(self._consumer, "lists", timeout_ms=100)
            except TopicError as error:
                self._failure = error
                return
            for records in found.values():
                arrived = self._now_ms()
                for record in records:
                    self._take(orjson.loads(record.value), arrived)

    def _take(self, found: dict[str, Any], arrived_ms: float) -> None:
        self.received += 1
        self.modes[found["mode"]] += 1
        before = self.last.get(found["user_id"])
        is_again = before is not None and found["sequence"] == before.sequence  # delivered twice, or degraded at first
        if "timestamp" in found["trigger"] and not is_again:
            self._delays.append(arrived_ms - found["trigger"]["timestamp"])
        if before is None or found["sequence"] >= before.sequence:
            items = tuple(item["item_id"] for item in found["items"])
            self.last[found["user_id"]] = LastList(
                items, found["mode"], found["model_version"], found["sequence"], self.received
            )


class DeliveryCounter:
    """Counts deliveries as they are made, to tell later whether a user's newest list has seen them all.

    ``sequence`` counts the events of each user, without a producer's copies; ``sent`` counts all deliveries.
    """

    def __init__(self) -> None:
        self.sequence: Counter[str] = Counter()
        self.sent = 0

    def counting(self, schedule: Iterable[PlannedDelivery]) -> Iterator[PlannedDelivery]:
        """Pass a schedule through, counting each delivery just before it is made."""
        for planned in schedule:
            self.sequence[planned.record.user_id] += not planned.is_copy
            self.sent += 1
            yield planned


class ConsumerLag:
    """Tells how many records a consumer group has not committed yet, as the cluster sees it.

    Parameters
    ----------
    settings : where the topics are.
    group : consumer group, without the prefix.
    names : topics that the group reads, without the prefix.
    """

    def __init__(self, settings: Settings, group: str, names: Sequence[str] = topics.EVENTS) -> None:
        self._settings = settings
        with cluster_required("lag", settings):
            self._consumer = blocking_consumer(settings, "lag", group_id=settings.prefix + group)
        self._partitions = [
            TopicPartition(settings.prefix + topic, partition)
            for topic in names
            for partition in range(settings.partitions)
        ]

    def now(self) -> int:
        """Return the records that are not committed yet, over all topics; raise TopicError if Kafka does not answer."""
        with cluster_required("lag", self._settings):
            ends = self._consumer.end_offsets(self._partitions)
            return sum(end - (self._consumer.committed(at) or 0) for at, end in ends.items())

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
