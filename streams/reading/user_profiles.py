"""Users' hints as every process sees them: the compacted topic ``user-profiles``, held in memory and nowhere else.

So a user's hints are at rest in Kafka alone, under the control of whoever sends them, and an empty value takes them
back everywhere at once. Memory holds the groups that they name, about 200 bytes for each user.
"""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple

from model.hints import UserHints
from streams.kafka import topics
from streams.reading.compacted import CompactedFeed
from streams.records.codec import BadRecord, decode_hints
from streams.records.decoding import RawRecord
from streams.records.positions import DAY_MS
from streams.settings import Settings

__all__ = ["HintsFeed"]


class _Held(NamedTuple):
    groups: tuple[str, ...]
    at_ms: int


class HintsFeed(CompactedFeed):
    """Keeps the groups of users who have hints; they are forgotten with the age at which users are.

    Groups may be asked for in any thread while records are taken in another.

    Parameters
    ----------
    settings : where the topic is, and after how many days a user is forgotten.
    clock : milliseconds since the epoch.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        super().__init__(settings, topics.USER_PROFILES, "hints")
        self._idle_ms = settings.idle_days * DAY_MS
        self._clock = clock
        self._held: dict[str, _Held] = {}
        self._changing = Lock()  # so that whoever forgets old hints forgets no newer ones
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # one object for all users of the same groups

    def __len__(self) -> int:
        return len(self._held)

    def groups_of(self, user_id: str) -> tuple[str, ...]:
        """Return the groups that a user's hints name; none where there are no hints, or they are too old."""
        held = self._held.get(user_id)
        if held is None:
            return ()
        if self._idle_ms and self._clock() - held.at_ms > self._idle_ms:
            with self._changing:
                if self._held.get(user_id) is held:
                    del self._held[user_id]
            return ()
        return held.groups

    def _begin(self) -> None:
        self._held = {}

    def _take(self, records: Iterable[RawRecord]) -> None:
        for record in records:
            try:
                found = decode_hints(record.key, record.value)
            except BadRecord as error:
                self._reject(record, error)
                continue
            with self._changing:
                self._hold(found, record.origin.timestamp)

    def _hold(self, found: UserHints | str, at_ms: int) -> None:
        if not isinstance(found, UserHints):
            self._held.pop(found, None)
        elif found.groups:
            groups = self._shared.setdefault(found.groups, found.groups)
            self._held[found.user_id] = _Held(groups, at_ms)
        else:
            self._held.pop(found.user_id, None)
