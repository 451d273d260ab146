"""Lists that were published without scoring, remembered until they can be made again; in memory alone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from streams.records.positions import TopicPartition
from streams.records.records import Origin, Recommendation
from streams.serving.lists import Trigger

__all__ = ["DegradedList", "DegradedLists"]

MAX_TRIES = 3  # of a list, the last of them alone: one whose scoring always fails must not keep others from theirs
MOST = 10_000  # users, of some hundred bytes each; more than that, and the oldest wait for their next event


@dataclass(frozen=True, slots=True)
class DegradedList:
    """What a list needs to be made again.

    Parameters
    ----------
    user_id : whose list it is.
    sequence : how many of the user's events it has seen; with more of them there is a newer list.
    trigger : the event that led to it.
    partition : of that event; whoever has it makes the user's lists.
    headers : of the list's record, which carry its trace.
    tries : how often it was made again without success.
    """

    user_id: str
    sequence: int
    trigger: Trigger
    partition: TopicPartition
    headers: Mapping[str, bytes] | None
    tries: int = 0

    @classmethod
    def of(cls, made: Recommendation, headers: Mapping[str, bytes] | None) -> "DegradedList":
        """Return what is remembered of a list that an event led to."""
        led = made.trigger
        origin = Origin(led["topic"], led["partition"], led["offset"], led["timestamp"])
        trigger = Trigger.of_event(origin, led["event_id"], made.ts)
        return cls(made.user_id, made.sequence, trigger, (origin.topic, origin.partition), headers)


class DegradedLists:
    """Remembers who has a list without scoring as the last one.

    Parameters
    ----------
    most : users at once.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: dict[str, DegradedList] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def note(self, made: Iterable[Recommendation], headers: Sequence[Mapping[str, bytes] | None]) -> None:
        """Note lists that events led to, degraded or not: the last one of each user counts."""
        for one, carried in zip(made, headers, strict=True):
            self._waiting.pop(one.user_id, None)
            if one.mode == "degraded":
                self._waiting[one.user_id] = DegradedList.of(one, carried)
                if len(self._waiting) > self._most:
                    del self._waiting[next(iter(self._waiting))]

    def oldest(self, n: int) -> Sequence[DegradedList]:
        """Return up to n that have waited longest."""
        return tuple(islice(self._waiting.values(), n))

    def forget(self, some: Collection[DegradedList]) -> None:
        """Let lists go that were made again, or need not be."""
        for one in some:
            self._waiting.pop(one.user_id, None)

    def forget_users(self, user_ids: Iterable[str]) -> None:
        """Let go what is remembered of users who were forgotten."""
        for user_id in user_ids:
            self._waiting.pop(user_id, None)

    def postpone(self, some: Collection[DegradedList]) -> None:
        """Put lists behind all others that could not be made again; after three tries they wait for an event."""
        for one in some:
            self._waiting.pop(one.user_id, None)
            if one.tries + 1 < MAX_TRIES:
                self._waiting[one.user_id] = replace(one, tries=one.tries + 1)
