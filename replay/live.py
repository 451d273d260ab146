"""What a consumer team sees, measured: lists as they arrive, how late they are, and how often they were right.

Quality is test-then-learn: just before an event is sent, its item is looked for in the last list that had
arrived for that user. Popularity is asked about the same events, and knows all of them up to that moment
without any delay, which makes it the harder opponent.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import orjson
from kafka import KafkaConsumer, TopicPartition

from replay.schedule import Planned
from streams import topics
from streams.settings import Settings

__all__ = ["ConsumerLag", "LastList", "ListFeed", "LiveScore", "Popularity", "Scored"]

K = 10
LATENCIES = 200_000  # latest list delays kept for the percentiles: hours at any rate shown here


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
    """

    def __init__(self, settings: Settings, now_ms: Callable[[], float] = lambda: time.time() * 1000) -> None:
        self._now_ms = now_ms
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **settings.security.kafka_python(),
        )
        topic = settings.prefix + topics.RECOMMENDATIONS
        self._consumer.assign([TopicPartition(topic, partition) for partition in range(settings.partitions)])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="list feed", daemon=True)
        self._delays: deque[float] = deque(maxlen=LATENCIES)
        self.last: dict[str, LastList] = {}
        self.modes: Counter[str] = Counter()
        self.received = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

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
            for records in self._consumer.poll(timeout_ms=100).values():
                arrived = self._now_ms()
                for record in records:
                    self._take(orjson.loads(record.value), arrived)

    def _take(self, found: dict[str, Any], arrived_ms: float) -> None:
        self.received += 1
        self.modes[found["mode"]] += 1
        if "timestamp" in found["trigger"]:
            self._delays.append(arrived_ms - found["trigger"]["timestamp"])
        before = self.last.get(found["user_id"])
        if before is None or found["sequence"] >= before.sequence:
            items = tuple(item["item_id"] for item in found["items"])
            self.last[found["user_id"]] = LastList(
                items, found["mode"], found["model_version"], found["sequence"], self.received
            )


class Popularity:
    """The most-touched items so far, without those the user knows."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._known: dict[str, set[str]] = {}
        self._ranking: list[str] = []
        self._stale = 0

    def learn(self, user_id: str, item_id: str) -> None:
        """Count one event."""
        self._counts[item_id] += 1
        self._known.setdefault(user_id, set()).add(item_id)
        self._stale += 1

    def top(self, user_id: str, k: int) -> Sequence[str]:
        """Return the k best for a user; the ranking is at most 50 events old."""
        if self._stale >= 50 or not self._ranking:  # noqa: PLR2004 - stated above
            self._ranking = [item for item, _ in self._counts.most_common()]
            self._stale = 0
        known = self._known.get(user_id, set())
        found: list[str] = []
        for item in self._ranking:
            if item not in known:
                found.append(item)
                if len(found) == k:
                    break
        return found


@dataclass(frozen=True, slots=True)
class Scored:
    """Hits so far: of the published lists and of popularity, on the same events."""

    events: int
    hits: int
    popular_hits: int

    @property
    def hit_rate(self) -> float:
        """HR@10 of the published lists."""
        return self.hits / self.events if self.events else 0.0

    @property
    def popular_hit_rate(self) -> float:
        """HR@10 of popularity."""
        return self.popular_hits / self.events if self.events else 0.0


class LiveScore:
    """Tests each event against the last list before it is sent, and only then learns it.

    Parameters
    ----------
    feed : the lists that have arrived.
    """

    def __init__(self, feed: ListFeed) -> None:
        self._feed = feed
        self._popularity = Popularity()
        self.by_mode: dict[str, Scored] = {}
        self.total = Scored(0, 0, 0)
        self.sequence: Counter[str] = Counter()
        self.sent = 0

    def learning(self, schedule: Iterable[Planned]) -> Iterator[Planned]:
        """Pass a schedule through, learning every event without testing it: the warm-up."""
        for planned in schedule:
            self._learn(planned)
            yield planned

    def testing(self, schedule: Iterable[Planned]) -> Iterator[Planned]:
        """Pass a schedule through, testing every event of a user with a list just before it is sent."""
        for planned in schedule:
            last = self._feed.last.get(planned.record.user_id)
            if last is not None and not planned.is_copy:
                self._test(planned, last)
            self._learn(planned)
            self.sent += 1
            yield planned

    def _test(self, planned: Planned, last: LastList) -> None:
        item = planned.record.item_id
        hit = item in last.items[:K]
        popular = item in self._popularity.top(planned.record.user_id, K)
        self.total = _with(self.total, hit=hit, popular=popular)
        self.by_mode[last.mode] = _with(self.by_mode.get(last.mode, Scored(0, 0, 0)), hit=hit, popular=popular)

    def _learn(self, planned: Planned) -> None:
        if not planned.is_copy:
            self.sequence[planned.record.user_id] += 1
            self._popularity.learn(planned.record.user_id, planned.record.item_id)


def _with(scored: Scored, *, hit: bool, popular: bool) -> Scored:
    return Scored(scored.events + 1, scored.hits + hit, scored.popular_hits + popular)


class ConsumerLag:
    """Tells how many event records a consumer group has not committed yet, as the cluster sees it."""

    def __init__(self, settings: Settings, group: str) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka,
            group_id=settings.prefix + group,
            enable_auto_commit=False,
            **settings.security.kafka_python(),
        )
        self._partitions = [
            TopicPartition(settings.prefix + topic, partition)
            for topic in topics.EVENTS
            for partition in range(settings.partitions)
        ]

    def now(self) -> int:
        """Return the records that are not committed yet, over both event topics."""
        ends = self._consumer.end_offsets(self._partitions)
        return sum(end - (self._consumer.committed(at) or 0) for at, end in ends.items())

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()
