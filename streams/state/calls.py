"""What ``functions.lua`` is sent, under which configuration, and what it answers; ``store`` makes the calls.

A batch travels as one JSON object with a list for each field, because Lua decodes a few long lists faster than
many small objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from types import MappingProxyType
from typing import Any

import orjson

from model.feedback import is_positive_watch
from model.history import Interaction, Mode, Profile
from model.kinds import DEFAULT_KINDS, KindTable, source_of
from streams.records.positions import DAY_MS, TopicPartition
from streams.records.records import Event, Origin, Rating, Watch
from streams.state.keys import PartitionKeys, SourceKeys, UserKeys, position_field

__all__ = [
    "LIBRARY",
    "Bounds",
    "EventVerdict",
    "SourcedEvent",
    "StateConfig",
    "StoredList",
    "Verdict",
    "heat_of",
    "is_hidden",
    "list_call",
    "partition_call",
    "read_call",
    "read_profile",
    "read_verdict",
    "user_call",
]

LIBRARY = "reelstream_v6"
_PARTITIONS = 4096  # an event's score is offset * 4096 + partition; with two bits of verdict exact below offset 2**39
_COUNTS, _POSITIVE, _NEWCOMERS = 4, 2, 1  # bits of a verdict
SourcedEvent = tuple[Origin, Event, tuple[str, ...]]
Bounds = Mapping[TopicPartition, int]  # offsets that positions are known to have reached; absent where nothing is known
_UNGUARDED: Bounds = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StateConfig:
    """How much is remembered, and for how long.

    Parameters
    ----------
    recent_length : interactions kept for each user; more than any history tower reads.
    recent_returned : interactions of a profile; fewer, because every batch carries them for each user.
    remembered_events : event ids kept for each user and topic; a producer's retry comes within seconds, so the
        last 512 events of one user are ample.
    genre_half_life_ms : event time after which an affinity counts half; a month, taste changes slowly.
    trending_half_life_ms : event time after which an item's heat counts half; of 6 hours to 60 days, a week predicts
        best for users with fewer than five events (ml-100k, test then learn).
    newcomers_half_life_ms : the same for what newcomers like; two weeks, because they make few of the events
        (``python -m benchmarks.learning.trending``).
    idle_ms : wall time without an event after which a user is forgotten, 0 for never; a year, because somebody who
        comes back after that is a new user to trending and to the model.
    trending_read : hottest items that each partition gives to a merge.
    trending_kept : items kept in each trending list.
    """

    recent_length: int = 200
    recent_returned: int = 60
    remembered_events: int = 512
    genre_half_life_ms: int = 30 * DAY_MS
    trending_half_life_ms: int = 7 * DAY_MS
    newcomers_half_life_ms: int = 14 * DAY_MS
    idle_ms: int = 365 * DAY_MS
    trending_read: int = 1000
    trending_kept: int = 500

    def __post_init__(self) -> None:
        for name in self.__slots__:
            least = 0 if name == "idle_ms" else 1
            if getattr(self, name) < least:
                raise ValueError(f"state: {name} must be at least {least}, got {getattr(self, name)!r}")
        if self.recent_returned > self.recent_length:
            raise ValueError(
                f"state: recent_returned must be at most recent_length {self.recent_length}, "
                f"got {self.recent_returned!r}"
            )


@dataclass(frozen=True, slots=True)
class StoredList:
    """A published list to be looked up.

    Parameters
    ----------
    user_id : whose.
    sequence : orders a user's lists.
    mode : decided for the user.
    body : its JSON.
    impressions : what the user was shown so far, this list included; None where what is stored of it stays.
    """

    user_id: str
    sequence: int
    mode: Mode
    body: bytes
    impressions: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """What was decided of an event that counts, once and for all when it was first applied.

    Parameters
    ----------
    is_positive : whether it says that its user liked the item (``model.feedback``).
    is_newcomers : whether it is among the first ten of its kind of its user.
    """

    is_positive: bool
    is_newcomers: bool


_UNCOUNTED = EventVerdict(is_positive=False, is_newcomers=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one user's call said: the profile, what was decided of each event that counts, how many changed it now."""

    profile: Profile
    counted: Mapping[Origin, EventVerdict]
    fresh: int


def read_verdict(user_id: str, events: Sequence[SourcedEvent], reply: bytes) -> Verdict:
    """Read the answer of a user's call."""
    fields = orjson.loads(reply)
    bits = ((event[0], int(digit)) for event, digit in zip(events, fields[9], strict=True))
    counted = {
        origin: EventVerdict(bool(verdict & _POSITIVE), bool(verdict & _NEWCOMERS))
        for origin, verdict in bits
        if verdict >= _COUNTS
    }
    return Verdict(_profile(user_id, fields), counted, fields[10].count("1"))


def user_call(
    user_id: str,
    events: Sequence[SourcedEvent],
    config: StateConfig,
    servers: str,
    bounds: Bounds = _UNGUARDED,
    kinds: KindTable = DEFAULT_KINDS,
) -> tuple[Any, ...]:
    """Return the call that applies a user's events, in order; ``read_verdict`` reads its answer.

    A server that is not among ``servers`` refuses it (empty: any may answer). It is also refused where a partition of
    the events stands before its offset in ``bounds``. On a cluster a partition's position rests in another slot than
    the user, so there ``bounds`` must be empty. What an event weighs, and what it does, is as ``kinds`` says.
    """
    keys = UserKeys.of(user_id)
    columns, positions = _columns(events)
    guards, guard, least = _guarded(positions, bounds)
    interactions = [event.interaction(kinds) for _, event, _ in events]
    batch = columns | {
        "guard": guard,
        "least": least,
        "score": [origin.offset * _PARTITIONS + origin.partition for origin, _, _ in events],
        "id": [event.event_id for _, event, _ in events],
        "kind": [event.kind for _, event, _ in events],
        "effect": [kinds.of_kind(event.kind).effect or "" for _, event, _ in events],
        "ts": [event.ts for _, event, _ in events],
        "weight": [0.0 if one is None else one.weight for one in interactions],
        "positive": [_may_be_positive(event, kinds) for _, event, _ in events],
        "entry": ["" if one is None else _entry(one) for one in interactions],
        "genres": [genres for _, _, genres in events],
    }
    return (
        "FCALL", f"{LIBRARY}_apply", 8 + len(guards),
        keys.profile, keys.recent, keys.seen, keys.genres, keys.hidden,
        keys.watch_events, keys.rate_events, keys.action_events, *guards,
        servers, config.recent_length, config.recent_returned, config.remembered_events,
        config.genre_half_life_ms, config.idle_ms, orjson.dumps(batch),
    )  # fmt: skip


def partition_call(
    partition: int,
    events: Sequence[SourcedEvent],
    counted: Mapping[Origin, EventVerdict],
    config: StateConfig,
    servers: str,
    bounds: Bounds = _UNGUARDED,
    kinds: KindTable = DEFAULT_KINDS,
) -> tuple[Any, ...]:
    """Return the call that counts a partition's events by item, those in ``counted`` alone; else as ``user_call``."""
    keys = PartitionKeys.of(partition)
    columns, positions = _columns(events)
    sources = {(origin.topic, origin.partition): source_of(event.kind) for origin, event, _ in events}
    heats = [SourceKeys.of(partition, sources[topic_partition]) for topic_partition in positions]
    verdicts = [counted.get(origin, _UNCOUNTED) for origin, _, _ in events]
    batch = columns | {
        "least": [bounds.get(topic_partition, -1) for topic_partition in positions],
        "counted": [origin in counted for origin, _, _ in events],
        "ts": [event.ts for _, event, _ in events],
        "heat": [
            heat_of(event, kinds) if verdict.is_positive else 0.0
            for (_, event, _), verdict in zip(events, verdicts, strict=True)
        ],
        "newcomers": [verdict.is_newcomers for verdict in verdicts],
    }
    return (
        "FCALL", f"{LIBRARY}_count_items", 5 + 3 * len(heats),
        keys.at, keys.watches, keys.ratings, keys.rating_sum, keys.actions,
        *(key for heat in heats for key in (heat.clock, heat.trending, heat.newcomers)),
        servers, config.trending_half_life_ms, config.newcomers_half_life_ms, orjson.dumps(batch),
    )  # fmt: skip


def read_call(user_id: str, config: StateConfig) -> tuple[Any, ...]:
    """Return the call that reads a user; ``read_profile`` reads its answer."""
    keys = UserKeys.of(user_id)
    return (
        "FCALL_RO", f"{LIBRARY}_read", 5,
        keys.profile, keys.recent, keys.seen, keys.genres, keys.hidden, config.recent_returned,
    )  # fmt: skip


def is_hidden(found: bytes | None) -> bool:
    """Tell whether what stands for an item in the hash ``user:{<id>}:hidden`` says that it is hidden."""
    return found is not None and found.startswith(b"hide ")


def list_call(stored: StoredList, config: StateConfig) -> tuple[Any, ...]:
    """Return the call that stores a list unless a newer one is there; its answer is 1 if the list was stored."""
    keys = UserKeys.of(stored.user_id)
    impressions = b"" if stored.impressions is None else orjson.dumps(dict(stored.impressions))
    return (
        "FCALL", f"{LIBRARY}_store_list", 2, keys.profile, keys.recs,
        stored.sequence, stored.mode, stored.body, config.idle_ms, impressions,
    )  # fmt: skip


def read_profile(user_id: str, reply: bytes) -> Profile:
    """Read the answer of ``read_call``."""
    return _profile(user_id, orjson.loads(reply))


def _columns(events: Sequence[SourcedEvent]) -> tuple[dict[str, Any], dict[TopicPartition, int]]:
    """Return what both functions need, a list for each field, and the partitions by their number, from 1 as Lua counts.

    Lua decodes few long lists faster than many objects. ``positions`` are the hash fields to read and write, and
    ``position`` is the number of each event's.
    """
    positions: dict[TopicPartition, int] = {}
    position = [positions.setdefault((origin.topic, origin.partition), len(positions) + 1) for origin, _, _ in events]
    columns = {
        "positions": [position_field(topic, partition) for topic, partition in positions],
        "position": position,
        "offset": [origin.offset for origin, _, _ in events],
        "source": [source_of(event.kind) for _, event, _ in events],
        "item": [event.item_id for _, event, _ in events],
        "stars": [event.rating if isinstance(event, Rating) else 0.0 for _, event, _ in events],
    }
    return columns, positions


def _guarded(
    positions: Mapping[TopicPartition, int], bounds: Bounds
) -> tuple[list[str], list[list[int]], list[list[int]]]:
    """Return the keys of positions that have a bound, and for each key the positions' numbers and their bounds."""
    guards: dict[str, tuple[list[int], list[int]]] = {}
    for topic_partition, number in positions.items():
        least = bounds.get(topic_partition)
        if least is not None:
            numbers, leasts = guards.setdefault(PartitionKeys.of(topic_partition[1]).at, ([], []))
            numbers.append(number)
            leasts.append(least)
    return list(guards), [numbers for numbers, _ in guards.values()], [leasts for _, leasts in guards.values()]


def _entry(one: Interaction) -> str:
    """Return the JSON of an event among a user's latest, but for its end: whether it is positive."""
    return orjson.dumps((one.item_id, one.ts, one.kind, one.weight)).decode().removesuffix("]")


def _may_be_positive(event: Event, kinds: KindTable) -> bool:
    """Return whether an event is positive, as far as it tells by itself; a rating is held against its user's others."""
    if isinstance(event, Watch) and not is_positive_watch(event.progress):
        return False
    return kinds.of_kind(event.kind).is_positive


def heat_of(event: Event, kinds: KindTable = DEFAULT_KINDS) -> float:
    """Return what a positive event adds to trending, 0 of one that only hides its item."""
    one = event.interaction(kinds)
    return 0.0 if one is None else kinds.heat(one.kind, one.weight)


def _profile(user_id: str, fields: Sequence[Any]) -> Profile:
    watches, ratings, actions, rating_sum, first_ts, last_ts, mode, seen, hidden, _, _, recent, genres, shown = fields
    return Profile(
        user_id,
        watches,
        ratings,
        actions,
        float(rating_sum),
        first_ts,
        last_ts,
        mode,
        seen,
        hidden,
        tuple(starmap(Interaction, recent)),
        MappingProxyType(genres),
        impressions=MappingProxyType(shown),
    )
