"""What ``functions.lua`` is sent, under which configuration, and what it answers; ``store`` makes the calls.

A batch travels as one JSON object with a list for each field, because Lua decodes a few long lists faster than
many small objects.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from types import MappingProxyType
from typing import Any

import orjson

from model.feedback import is_positive_watch
from model.history import Interaction, Mode, Profile
from model.joined_history import HistoryPart
from model.kinds import DEFAULT_KINDS, KindTable, source_of
from streams.records.positions import DAY_MS, TopicPartition
from streams.records.records import (
    Event,
    EventRecord,
    Origin,
    Rating,
    Watch,
    Withdrawal,
    source_of_topic,
)
from streams.state.keys import PartitionKeys, SourceKeys, UserKeys, handled_field, position_field

__all__ = [
    "LIBRARY",
    "NO_ORIGINALS",
    "Bounds",
    "EventVerdict",
    "Original",
    "Originals",
    "SourcedEvent",
    "StateConfig",
    "StoredList",
    "Verdict",
    "find_original",
    "handled_call",
    "heat_of",
    "list_call",
    "origin_of_score",
    "part_calls",
    "partition_call",
    "read_call",
    "read_ids",
    "read_part",
    "read_profile",
    "read_verdict",
    "remove_call",
    "user_call",
]

LIBRARY = "reelstream_v9"
_PARTITIONS = 4096  # an event's score is offset * 4096 + partition; with three bits in its record exact below 2**38
_RECORD = 8  # of which a record's score is a multiple, but for those bits
_COUNTS, _POSITIVE, _NEWCOMERS = 4, 2, 1  # bits of a verdict
_ID_RECORD = struct.Struct(">8sd")
_MARK_BYTES = 8  # of the SHA-1 of an event's id
_WITHDRAWN = 4  # bit of a record
_NOT_FOUND = Watch("", "", "", 0, 0.0)  # in the place of an event that cannot be read any more
SourcedEvent = tuple[Origin, EventRecord, tuple[str, ...]]
Original = tuple[Origin, Event | None, tuple[str, ...]]  # an event to be taken back; None if nobody holds it any more
Originals = Mapping[Origin, Original]  # by the origins of the withdrawals
NO_ORIGINALS: Originals = MappingProxyType({})
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
    began : ``Profile.began`` of the user as the list saw it: who was forgotten since and has come back keeps no such
        list; None to keep it whoever the user is by now.
    """

    user_id: str
    sequence: int
    mode: Mode
    body: bytes
    impressions: Mapping[str, float] | None = None
    began: str | None = None


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
    originals: Originals = NO_ORIGINALS,
) -> tuple[Any, ...]:
    """Return the call that applies a user's events, in order; ``read_verdict`` reads its answer.

    A server that is not among ``servers`` refuses it (empty: any may answer). It is also refused where a partition of
    the events stands before its offset in ``bounds``. On a cluster a partition's position rests in another slot than
    the user, so there ``bounds`` must be empty. What an event weighs, and what it does, is as ``kinds`` says. Of a
    withdrawal the columns tell of the event in ``originals`` that it takes back.
    """
    keys = UserKeys.of(user_id)
    told, taken = _told(events, originals)
    columns, positions = _columns(events, told)
    guards, guard, least = _guarded(positions, bounds)
    interactions = [event.interaction(kinds) for event in told]
    batch = columns | {
        "guard": guard,
        "least": least,
        "score": [_score(origin) for origin, _, _ in events],
        "id": [event.event_id for _, event, _ in events],
        "kind": [event.kind for event in told],
        "effect": [kinds.of_kind(event.kind).effect or "" for event in told],
        "ts": [event.ts for event in told],
        "weight": [0.0 if one is None else one.weight for one in interactions],
        "positive": [_may_be_positive(event, kinds) for event in told],
        "entry": ["" if one is None else _entry(one) for one in interactions],
        "genres": [genres for _, _, genres in events],
    }
    if taken is not None:
        batch["withdraws"] = [event.withdraws if isinstance(event, Withdrawal) else "" for _, event, _ in events]
        batch["taken"] = [-1 if one is None else _score(one[0]) for one in taken]
        batch["readable"] = [one is not None and one[1] is not None for one in taken]
        batch["genres"] = [genres if one is None else one[2] for (_, _, genres), one in zip(events, taken, strict=True)]
    return (
        "FCALL", f"{LIBRARY}_apply", 9 + len(guards),
        keys.profile, keys.recent, keys.seen, keys.genres, keys.hidden,
        keys.watch_ids, keys.rate_ids, keys.action_ids, keys.again, *guards,
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
    originals: Originals = NO_ORIGINALS,
) -> tuple[Any, ...]:
    """Return the call that counts a partition's events by item, those in ``counted`` alone; else as ``user_call``."""
    keys = PartitionKeys.of(partition)
    told, taken = _told(events, originals)
    columns, positions = _columns(events, told)
    sources = {
        (origin.topic, origin.partition): source
        for (origin, _, _), source in zip(events, columns["source"], strict=True)
    }
    heats = [SourceKeys.of(partition, sources[topic_partition]) for topic_partition in positions]
    verdicts = [counted.get(origin, _UNCOUNTED) for origin, _, _ in events]
    batch = columns | {
        "least": [bounds.get(topic_partition, -1) for topic_partition in positions],
        "counted": [origin in counted for origin, _, _ in events],
        "ts": [event.ts for event in told],
        "heat": [
            heat_of(event, kinds) if verdict.is_positive else 0.0 for event, verdict in zip(told, verdicts, strict=True)
        ],
        "newcomers": [verdict.is_newcomers for verdict in verdicts],
    }
    if taken is not None:
        are_withdrawals = [isinstance(event, Withdrawal) for _, event, _ in events]
        batch["takes_back"] = are_withdrawals
        batch["counted"] = [
            origin in counted and (not withdraws or _is_taken_back_here(origin, one))
            for (origin, _, _), one, withdraws in zip(events, taken, are_withdrawals, strict=True)
        ]
    return (
        "FCALL", f"{LIBRARY}_count_items", 5 + 3 * len(heats),
        keys.at, keys.watches, keys.ratings, keys.rating_sum, keys.actions,
        *(key for heat in heats for key in (heat.clock, heat.trending, heat.newcomers)),
        servers, config.trending_half_life_ms, config.newcomers_half_life_ms, orjson.dumps(batch),
    )  # fmt: skip


def handled_call(
    partition: int, handled: Mapping[str, int], servers: str, bounds: Bounds = _UNGUARDED
) -> tuple[Any, ...]:
    """Return the call that notes how far topics (with the prefix) of a partition are handled, on these servers."""
    fields = [
        part
        for topic, end in handled.items()
        for part in (
            position_field(topic, partition),
            bounds.get((topic, partition), -1),
            handled_field(topic, partition),
            end,
        )
    ]
    return "FCALL", f"{LIBRARY}_note_handled", 1, PartitionKeys.of(partition).at, servers, *fields


def read_call(user_id: str, config: StateConfig) -> tuple[Any, ...]:
    """Return the call that reads a user; ``read_profile`` reads its answer."""
    keys = UserKeys.of(user_id)
    return (
        "FCALL_RO", f"{LIBRARY}_read", 5,
        keys.profile, keys.recent, keys.seen, keys.genres, keys.hidden, config.recent_returned,
    )  # fmt: skip


def remove_call(user_id: str, servers: str) -> tuple[Any, ...]:
    """Return the call that deletes a user, on one of these servers alone; its answer is how many keys there were."""
    keys = UserKeys.of(user_id).own()
    return "FCALL", f"{LIBRARY}_remove_user", len(keys), *keys, servers


def list_call(stored: StoredList, config: StateConfig) -> tuple[Any, ...]:
    """Return the call that stores a list unless a newer one is there; its answer is 1 if the list was stored."""
    keys = UserKeys.of(stored.user_id)
    impressions = b"" if stored.impressions is None else orjson.dumps(dict(stored.impressions))
    return (
        "FCALL", f"{LIBRARY}_store_list", 4, keys.profile, keys.recs, keys.guests, keys.merged,
        stored.sequence, stored.mode, stored.body, config.idle_ms, impressions,
        *(() if stored.began is None else (stored.began,)),
    )  # fmt: skip


def read_profile(user_id: str, reply: bytes) -> Profile:
    """Read the answer of ``read_call``."""
    return _profile(user_id, orjson.loads(reply))


def part_calls(user_id: str, n: int, *, is_alone: bool = False) -> tuple[tuple[Any, ...], ...]:
    """Return the calls that read what a user's own events made; ``read_part`` reads the answers.

    Of one who is alone it is only asked how many items were seen.
    """
    keys = UserKeys.of(user_id)
    return (
        ("HGETALL", keys.profile),
        ("SCARD" if is_alone else "SMEMBERS", keys.seen),
        ("LRANGE", keys.recent, 0, n - 1),
        ("HGETALL", keys.genres),
        ("HGETALL", keys.hidden),
    )


def read_part(user_id: str, replies: Sequence[Any]) -> HistoryPart:
    """Read the answers of ``part_calls``, of a client that decodes responses or of one that does not."""
    told, seen, recent, genres, decided = replies
    fields = _texts(told)
    items = frozenset[str]() if isinstance(seen, int) else frozenset(map(_text_of, seen))
    profile = Profile(
        user_id,
        int(fields.get("watches", 0)),
        int(fields.get("ratings", 0)),
        int(fields.get("actions", 0)),
        float(fields.get("rating_sum", 0)),
        int(fields.get("first_ts", 0)),
        int(fields.get("last_ts", 0)),
        "personalized" if fields.get("mode") == "personalized" else "cold_start",
        seen if isinstance(seen, int) else len(items),
        int(fields.get("hidden", 0)),
        tuple(Interaction(*orjson.loads(entry)) for entry in recent),
        MappingProxyType({genre: float(affinity) for genre, affinity in _texts(genres).items()}),
        impressions=MappingProxyType(orjson.loads(fields.get("impressions", "{}"))),
        withdrawn=int(fields.get("withdrawn", 0)),
        began=fields.get("began", ""),
    )
    return HistoryPart(profile, items, _texts(decided))


def _texts(found: Mapping[Any, Any] | Iterable[Any]) -> dict[str, str]:
    pairs = found.items() if isinstance(found, Mapping) else zip(*(iter(found),) * 2, strict=True)
    return {_text_of(name): _text_of(value) for name, value in pairs}


def _text_of(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def read_ids(records: bytes) -> list[tuple[bytes, int]]:
    """Read the value of ``user:{<id>}:ids:<source>``: which events were counted lately, the newest last.

    Returns
    -------
    list of (bytes, int)
        For each event the first 8 bytes of the SHA-1 of its id, and its score: ``(offset * 4096 + partition) * 8``, and
        4 more for one that was taken back, 2 more for a positive event, 1 more for a newcomer's. Below zero it is that
        of a withdrawal whose event has not come yet.
    """
    return [(mark, int(score)) for mark, score in _ID_RECORD.iter_unpack(records)]


def find_original(records: bytes, withdrawal: Withdrawal, origin: Origin) -> Origin | None:
    """Return where the event stood that a withdrawal takes back, as the records of its user and topic say.

    None where none has counted, and where the withdrawal changes nothing: it came twice, or its event was taken back
    by another one.
    """
    marks = [_mark_of(withdrawal.event_id), _mark_of(withdrawal.withdraws)]
    last = {mark: score for mark, score in read_ids(records) if score >= 0 and mark in marks}  # the newest is the last
    own, event = (last.get(mark) for mark in marks)
    if event is None:
        return None
    is_first = own is None and not event & _WITHDRAWN
    is_again = own is not None and own // _RECORD == _score(origin) and bool(own & _WITHDRAWN)
    return origin_of_score(origin.topic, event // _RECORD) if is_first or is_again else None


def origin_of_score(topic: str, score: int) -> Origin:
    """Return where the event of a topic stood that has a score."""
    return Origin(topic, score % _PARTITIONS, score // _PARTITIONS)


def _mark_of(event_id: str) -> bytes:
    return hashlib.sha1(event_id.encode(), usedforsecurity=False).digest()[:_MARK_BYTES]


def _score(origin: Origin) -> int:
    return origin.offset * _PARTITIONS + origin.partition


def _is_taken_back_here(withdrawal: Origin, one: Original | None) -> bool:
    return one is not None and one[1] is not None and one[0].partition == withdrawal.partition


def _told(events: Sequence[SourcedEvent], originals: Originals) -> tuple[list[Event], list[Original | None] | None]:
    """Return the events that the columns tell of, and what each withdrawal takes back, None where there is none."""
    told = [event for _, event, _ in events if not isinstance(event, Withdrawal)]
    if len(told) == len(events):
        return told, None
    taken = [originals.get(origin) if isinstance(event, Withdrawal) else None for origin, event, _ in events]
    return [
        event if not isinstance(event, Withdrawal) else (one and one[1]) or _NOT_FOUND
        for (_, event, _), one in zip(events, taken, strict=True)
    ], taken


def _source(origin: Origin, event: EventRecord) -> str:
    return source_of_topic(origin.topic) if isinstance(event, Withdrawal) else source_of(event.kind)


def _columns(events: Sequence[SourcedEvent], told: Sequence[Event]) -> tuple[dict[str, Any], dict[TopicPartition, int]]:
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
        "source": [_source(origin, event) for origin, event, _ in events],
        "item": [event.item_id for event in told],
        "stars": [event.rating if isinstance(event, Rating) else 0.0 for event in told],
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
    watches, ratings, actions, rating_sum, first_ts, last_ts, mode, seen, hidden, _, _, *rest = fields
    recent, genres, shown, taken, began = rest
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
        withdrawn=taken,
        began=began,
    )
