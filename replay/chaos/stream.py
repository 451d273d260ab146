"""A seeded stream of events with everything in it that real producers do, and some that they should not.

Users and items are drawn from power laws; a user often goes on to the item after the last one, so that there is
something to learn. Among the events are retries (the same bytes again), late and tied times, times of broken clocks,
ids that need escaping, withdrawals before and after their events, users who are forgotten or become accounts, and
records that break their contract in every way.
This module makes the bytes without the codec; ``expected`` computes from the topics what is right about them.
"""

import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from replay.chaos.own_kinds import HIDE, OWN_KINDS, UNHIDE
from replay.chaos.people.asking import DATA_REQUESTS, ask

__all__ = [
    "ACTIONS",
    "CAUSES",
    "EVENTS",
    "GENRES",
    "RATES",
    "REQUESTS",
    "WATCHES",
    "StreamConfig",
    "StreamRecord",
    "break_record",
    "make_catalogue",
    "read_key",
    "stream",
]

WATCHES, RATES, ACTIONS, REQUESTS = "watch-events", "rate-events", "action-events", "recommendation-requests"
EVENTS = (WATCHES, RATES, ACTIONS)
CAUSES = ("empty", "too_large", "not_json", "not_an_object", "missing_field", "bad_field", "wrong_unit", "unknown_kind")
EVENTS_PER_CHUNK = 10_000
DAY_MS = 24 * 60 * 60 * 1000
FAR_FUTURE_MS = 4_000_000_000_000  # 2096: a clock that is wrong, but a time that a record may carry
GENRES = ("Action", "Comedy", "Drama", "Horror", "Noir", "Romance", "Sci-Fi", "War")
Fields = dict[str, Any]


class StreamRecord(NamedTuple):
    """A record to be sent; the topic is without the prefix."""

    topic: str
    key: bytes
    value: bytes | None


Later = Sequence[tuple[int, StreamRecord]]  # what follows a record, and after how many others


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """What the stream is like; shares are of its records.

    Parameters
    ----------
    events : records on the event topics, bad ones and retries among them.
    seed : of everything random.
    ends_ms : event time of the last event, milliseconds; the first is ``span_ms`` before it.
    users, items : how many there are to draw from.
    span_ms : event time that the stream covers.
    retried, retried_late : repeated after 1 to 50 records, and after 500 to 5000.
    late : with a time of up to ten days before.
    misclocked : with a time before 1970 or far in the future.
    withdrawn : taken back, a quarter of them before they come, and a quarter twice.
    forgotten, merged : at which somebody asks for the user to be forgotten, or for two users to be one.
    bad : that break their contract.
    requests : beside the events, for each event.
    """

    events: int
    seed: int
    ends_ms: int
    users: int = 1000
    items: int = 400
    span_ms: int = 60 * DAY_MS
    retried: float = 0.02
    retried_late: float = 0.002
    late: float = 0.03
    misclocked: float = 0.001
    withdrawn: float = 0.02
    forgotten: float = 0.002
    merged: float = 0.005
    bad: float = 0.01
    requests: float = 0.002

    def __post_init__(self) -> None:
        for name in ("events", "users", "items", "span_ms"):
            if getattr(self, name) < 1:
                raise ValueError(f"chaos stream: {name} must be at least 1, got {getattr(self, name)!r}")


def make_catalogue(config: StreamConfig) -> tuple[Fields, ...]:
    """Return the films, as JSON objects; every fiftieth item that users touch is not among them."""
    return tuple(
        {
            "item_id": _item_id(n),
            "title": f"Film {n}",
            "year": 1950 + n % 70,
            "genres": sorted({GENRES[n % 8], GENRES[n // 8 % 8]}),
        }
        for n in range(config.items)
        if n % 50 != 49  # noqa: PLR2004 - every fiftieth
    )


def stream(config: StreamConfig) -> Iterator[StreamRecord]:
    """Give the records in the order of sending; equal configurations give equal records."""
    waiting: list[tuple[int, int, StreamRecord]] = []  # what follows, by the place at which it is due
    n_events = 0
    for at, (record, later) in enumerate(_fresh(config)):
        while waiting and waiting[0][0] <= at and n_events < config.events:
            due = heapq.heappop(waiting)[2]
            yield due
            n_events += due.topic in EVENTS
        if n_events >= config.events:
            return
        yield record
        n_events += record.topic in EVENTS
        for after, another in later:
            heapq.heappush(waiting, (at + after, at, another))


def _fresh(config: StreamConfig) -> Iterator[tuple[StreamRecord, Later]]:
    """Give what is sent for the first time, and what follows it after how many others."""
    steps = np.zeros(config.users, np.int64)
    user_odds, item_odds = _power_law(config.users, 0.8), _power_law(config.items, 0.9)
    for first in range(0, config.events, EVENTS_PER_CHUNK):
        rng = np.random.default_rng((config.seed, first))
        yield from _chunk(config, first, rng, steps, user_odds, item_odds)


def _power_law(n: int, exponent: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the cumulative odds of ranks 1 to n, each in proportion to ``rank ** -exponent``."""
    odds: np.ndarray[Any, np.dtype[np.float64]] = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
    odds /= odds[-1]
    return odds


def _chunk(
    config: StreamConfig,
    first: int,
    rng: np.random.Generator,
    steps: np.ndarray[Any, np.dtype[np.int64]],
    user_odds: np.ndarray[Any, np.dtype[np.float64]],
    item_odds: np.ndarray[Any, np.dtype[np.float64]],
) -> Iterator[tuple[StreamRecord, Later]]:
    n = min(EVENTS_PER_CHUNK, config.events - first)
    users = np.minimum(np.searchsorted(user_odds, rng.random(n)), config.users - 1)
    drawn = np.minimum(np.searchsorted(item_odds, rng.random(n)), config.items - 1)
    goes_on, share = rng.random(n) < 0.6, rng.random(n)  # noqa: PLR2004 - the stream's character
    times = _times(config, first, n, rng)
    progress, stars = rng.integers(0, 101, n) / 100, rng.integers(1, 11, n) / 2
    luck, retry, odd = rng.random(n), rng.random(n), rng.random(n)
    near, far = rng.integers(1, 51, n), rng.integers(500, 5001, n)
    kinds = rng.choice((*OWN_KINDS, HIDE, UNHIDE), n).tolist()
    regret, soon = rng.random(n), rng.integers(1, 3001, (n, 2))
    asking = np.random.default_rng((config.seed, first, 1))
    wishes = asking.random(n)
    for i in range(n):
        user, number = int(users[i]), first + i
        steps[user] += goes_on[i]
        item = (user * 7 + int(steps[user])) % config.items if goes_on[i] else int(drawn[i])
        topic = WATCHES if share[i] < 0.55 else RATES if share[i] < 0.85 else ACTIONS  # noqa: PLR2004 - same
        told = {
            WATCHES: {"progress": float(progress[i])},
            RATES: {"rating": float(stars[i])},
            ACTIONS: {"kind": kinds[i]},
        }
        fields: Fields = {
            "event_id": number if odd[i] < 0.01 else f"e{number}",  # noqa: PLR2004 - some send integers
            "user_id": _user_id(user),
            "item_id": _item_id(item),
            "ts": int(times[i]),
            **told[topic],
        }
        if luck[i] < config.requests:
            yield _request(fields, number, is_bad=luck[i] < config.requests / 5), ()
        wish = "forget" if wishes[i] < config.forgotten else "merge" if wishes[i] > 1 - config.merged else None
        asked = () if wish is None else ask(wish, user, number, int(times[i]), config.users, _user_id, asking)
        later = [(one.after, StreamRecord(DATA_REQUESTS, _asking_key(one.user), one.value)) for one in asked]
        key = _key(fields["user_id"])
        if luck[i] > 1 - config.bad:
            yield StreamRecord(topic, key, break_record(fields, rng)), later
            continue
        event = StreamRecord(topic, key, _json(fields))
        if retry[i] < config.retried:
            later.append((int(near[i]), event))
        if retry[i] > 1 - config.retried_late:
            later.append((int(far[i]), event))
        is_usual = 0 < times[i] < FAR_FUTURE_MS  # of a broken clock it is not known what an event has added to trending
        if is_usual and regret[i] < config.withdrawn:
            back, again = (_withdrawal(event, fields, f"{sign}{number}") for sign in "wv")
            if regret[i] < config.withdrawn / 4:
                yield back, ()
            else:
                later.append((int(soon[i, 0]), back))
            if regret[i] > config.withdrawn * 3 / 4:
                later.append((int(soon[i, 1]), again))
        yield event, later


def _times(config: StreamConfig, first: int, n: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return event times: rising, in whole minutes so that many are tied, some late, a few of a broken clock."""
    passed = (np.arange(first, first + n) + 1) / config.events
    times = (config.ends_ms - config.span_ms + passed * config.span_ms).astype(np.int64)
    times -= times % 60_000
    luck, days = rng.random(n), rng.random(n) * 10
    times = np.where(luck < config.late, times - (days * DAY_MS).astype(np.int64), times)
    broken = luck > 1 - config.misclocked
    return np.where(broken, np.where(days < 5, -(days * 1000).astype(np.int64), FAR_FUTURE_MS), times)  # noqa: PLR2004 - half of them


def _user_id(n: int) -> str | int:
    """Return an id; some are integers, and some hold what separates the parts of keys."""
    if n % 29 == 7:  # noqa: PLR2004 - arbitrary
        return 1_000_000 + n
    if n % 31 == 5:  # noqa: PLR2004 - same
        return f"u{{{n}}}:recent%7D"
    return f"zoë {n}" if n % 37 == 3 else f"u{n}"  # noqa: PLR2004 - same


def _key(user_id: str | int) -> bytes:
    """Return what a producer writes as a key: a number of eight bytes for some ids, JSON for others, else the text."""
    if isinstance(user_id, int):
        return user_id.to_bytes(8, "big")
    return json.dumps({"user_id": user_id}).encode() if user_id.startswith("zoë") else user_id.encode()


def _asking_key(user: int) -> bytes:
    """Return the key under which somebody asks for a user: that of the user's events, for some the text instead.

    It is one key for each user, as the order of a topic's records is that of one partition.
    """
    return str(_user_id(user)).encode() if user % 4 == 1 else _key(_user_id(user))


def read_key(key: bytes) -> str:
    """Return the user of a key: eight bytes with a zero in front are a number, an object is JSON, else it is text."""
    if key.startswith(b"\x00"):
        return str(int.from_bytes(key, "big"))
    return str(json.loads(key)["user_id"]) if key.startswith(b'{"user_id"') else key.decode()


def _item_id(n: int) -> str:
    return f"i{{{n}}}:%" if n % 41 == 9 else f"i{n}"  # noqa: PLR2004 - arbitrary


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _withdrawal(event: StreamRecord, fields: Fields, event_id: str) -> StreamRecord:
    told = {"event_id": event_id, "withdraws": fields["event_id"], "user_id": fields["user_id"], "ts": fields["ts"]}
    return event._replace(value=_json(told))


def _request(fields: Fields, number: int, *, is_bad: bool) -> StreamRecord:
    asked = {"request_id": f"r{number}", "user_id": fields["user_id"], "k": 0 if is_bad else 5}
    return StreamRecord(REQUESTS, _key(fields["user_id"]), _json(asked))


_BREAKS: tuple[Callable[[Fields], bytes | None], ...] = (
    lambda _: None,
    lambda _: b"",
    lambda fields: _json(fields | {"padding": "x" * 70_000}),
    lambda fields: _json(fields)[:-9],
    lambda fields: _json(fields).replace(b'"ts": ', b'"ts": NaN, "was": '),
    lambda fields: b"\xff\xfe" + _json(fields),
    lambda fields: _json([fields]),  # type: ignore[arg-type]  # the mistake is meant
    lambda _: b'"an event"',
    lambda fields: _json({name: value for name, value in fields.items() if name != "item_id"}),
    lambda fields: _json(fields | {"user_id": None}),
    lambda fields: _json({name: value for name, value in fields.items() if name not in {"progress", "rating", "kind"}}),
    lambda fields: _json(fields | {"progress": 1.5, "rating": 0.25, "kind": ["like"]}),
    lambda fields: _json(fields | {"progress": "0.5", "rating": True, "kind": 5}),
    lambda fields: _json(fields | {"kind": "nobody-knows"} if "kind" in fields else [fields]),  # type: ignore[arg-type]
    lambda fields: _json(fields | {"ts": "yesterday"}),
    lambda fields: _json(fields | {"ts": 1.5}),
    lambda fields: _json(fields | {"item_id": ""}),
    lambda fields: _json(fields | {"event_id": "e" * 65}),
    lambda fields: _json(fields | {"user_id": "two\nlines"}),
    lambda fields: _json(fields | {"item_id": ["i1"]}),
    lambda fields: _json(fields | {"withdraws": fields["event_id"]}),
    lambda fields: _json(fields | {"withdraws": ""}),
    lambda fields: _json(fields | {"item_id": " i1"}),
    lambda fields: _json(fields | {"ts": 1_700_000_000}),
    lambda fields: _json(fields | {"ts": 1_700_000_000_000_000}),
    lambda fields: _json(fields | {"ts": 20_231_114}),
)


def break_record(fields: Fields, rng: np.random.Generator) -> bytes | None:
    """Return an event as one of the broken records that a producer could send; some of every cause."""
    return _BREAKS[int(rng.integers(len(_BREAKS)))](fields)
