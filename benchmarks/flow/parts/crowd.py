"""Many users with equally full histories, made fast: some by events, as a worker applies them, the others as copies.

A copy has every key of the user it was made from, so it weighs and costs what that one does. It lies on the same
partition, as a user's number decides that.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np

from model.ranking.recommender import Recommender
from streams.kafka.topics import RATES, WATCHES
from streams.records.codec import encode
from streams.records.decoding import RawRecord
from streams.records.records import Event, Origin, Rating, Watch
from streams.state.calls import SourcedEvent
from streams.state.keys import UserKeys
from streams.state.store import State

__all__ = ["HISTORY", "PARTITIONS", "TEMPLATES", "EventStream", "copied", "with_history"]

PARTITIONS = 4
TEMPLATES = 500  # users made by events; a multiple of the partitions
HISTORY = 30  # events of each user
TOGETHER = 1000  # events applied, and users copied, in one call
BEGIN_MS = 1_700_000_000_000
COPY = """
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  for _, key in ipairs(KEYS) do
    local from = string.gsub(key, '@', tostring(number % tonumber(ARGV[3])))
    redis.call('COPY', from, (string.gsub(key, '@', tostring(number))))
  end
end
"""


class EventStream:
    """Ratings and watches as a consumer has them, offsets without gaps.

    Parameters
    ----------
    items : that events are of, the first ones more often.
    generator : draws items, kinds and values.
    partitions : of each topic.
    """

    def __init__(self, items: Sequence[str], generator: np.random.Generator, partitions: int = PARTITIONS) -> None:
        self._items = items
        self._generator = generator
        self._partitions = partitions
        self._offsets: dict[tuple[str, int], int] = {}
        self._sent = 0

    def event(self, user: int) -> tuple[Origin, Event]:
        """Return the next event of a user."""
        name = self._items[int(len(self._items) * self._generator.random() ** 2)]
        if self._generator.random() < 0.5:
            return self._watch(user, name, round(float(self._generator.random()), 2))
        return self._rating(user, name, int(self._generator.integers(1, 11)) / 2)

    def liked(self, user: int, item: str) -> tuple[tuple[Origin, Event], ...]:
        """Return a whole watch of an item and five stars for it."""
        return self._watch(user, item, 1.0), self._rating(user, item, 5.0)

    def _watch(self, user: int, item: str, progress: float) -> tuple[Origin, Event]:
        origin, name = self._next(WATCHES, user)
        return origin, Watch(name, f"u{user}", item, origin.timestamp, progress)

    def _rating(self, user: int, item: str, stars: float) -> tuple[Origin, Event]:
        origin, name = self._next(RATES, user)
        return origin, Rating(name, f"u{user}", item, origin.timestamp, stars)

    def _next(self, topic: str, user: int) -> tuple[Origin, str]:
        """Return where the next event of a user stands, and its id."""
        self._sent += 1
        partition = user % self._partitions
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        return Origin(topic, partition, offset, BEGIN_MS + 40 * self._sent), f"event-{self._sent:030d}"

    def batch(self, users: Sequence[int]) -> list[RawRecord]:
        """Return one record of each of these users, as Kafka would deliver it."""
        found = [self.event(user) for user in users]
        return [RawRecord(origin, event.user_id.encode(), encode(event)) for origin, event in found]


async def with_history(state: State, stream: EventStream, users: int, recommender: Recommender) -> list[str]:
    """Give the first users ``HISTORY`` events each, and return their ids."""
    numbers = range(min(users, TEMPLATES))
    sourced: list[SourcedEvent] = []
    for user in numbers:
        for origin, event in (stream.event(user) for _ in range(HISTORY)):
            sourced.append((origin, event, recommender.genres_of(event.item_id)))
        if len(sourced) >= TOGETHER or user == numbers[-1]:
            await state.apply(sourced)
            sourced = []
    return [f"u{user}" for user in numbers]


async def copied(client: Any, users: int, told: Callable[[int], None]) -> float:
    """Copy these users until there are so many; return the bytes that one more takes in Redis, 0.0 without copies.

    Parameters
    ----------
    client : of the state.
    users : how many there are in the end.
    told : called with how many there are.
    """
    if users <= TEMPLATES:
        return 0.0
    script: Callable[..., Awaitable[Any]] = client.register_script(COPY)
    before = (await client.info("memory"))["used_memory"]
    keys = UserKeys.of("u@").own()
    for first, last in _ranges(TEMPLATES, users):
        await script(keys=keys, args=[first, last, TEMPLATES])
        told(last + 1)
    return float((await client.info("memory"))["used_memory"] - before) / (users - TEMPLATES)


def _ranges(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Give ranges that end before round numbers, each with its last number."""
    while first < end:
        after = min(end, (first // TOGETHER + 1) * TOGETHER)
        yield first, after - 1
        first = after
