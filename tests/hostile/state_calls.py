"""Hostile calls of the functions in Redis: they are answered or refused, and nobody else's keys change.

``StateTarget`` takes any bytes, reads them as decisions, sends what they say, and raises AssertionError where an
invariant does not hold. ``tests.hostile.fuzz`` feeds it from a coverage-guided fuzzer, the tests from a seeded
generator.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
from redis.exceptions import ResponseError

from model.feedback import is_positive_rating, is_positive_watch
from model.history import Interaction
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.records.records import Action, Event, Origin, Rating, Watch
from streams.records.times import LATEST_MS
from streams.redis.connection import connect
from streams.state.keys import SOURCES, PartitionKeys, SourceKeys, UserKeys
from streams.state.store import SourcedEvent, State
from tests.hostile.choices import IDS, LITERALS, NOW, Choices, edited

__all__ = ["StateTarget"]

OWN = (EventKind("like", 0.75, is_positive=True), EventKind("skip", 0.25, is_positive=False))
KINDS = KindTable.of((*DEFAULT_KINDS.rows, *OWN))
TOPICS = {Watch: "watch-events", Rating: "rate-events", Action: "action-events"}


class _Recorded(State):
    """A state that keeps the calls it sends, so that they can be sent again with something wrong in them."""

    sent: list[tuple[Any, ...]]

    async def _call_all(self, calls: Any) -> list[Any]:
        asked = list(calls)
        self.sent += asked
        return await super()._call_all(asked)


class StateTarget:
    """The functions of ``functions.lua`` on a server of one's own; whatever is asked, nobody else's keys change.

    Parameters
    ----------
    url : an empty Redis database that is this target's alone.
    """

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: Any = connect(url)  # redis-py's types leave bytes and text undecided
        self._state = _Recorded(self._client, kinds=KINDS)
        self._state.sent = []
        self._run(self._state.install())
        self._run(self._state.apply(_bystander_events()))
        self._bystanders = self._run(self._dump())

    def __call__(self, data: bytes) -> None:
        """Send one hostile batch as events, and then, with something wrong in it, as raw calls."""
        choices = Choices(data)
        self._run(self._once(choices))

    def check(self, events: list[SourcedEvent]) -> None:
        """Apply events twice and assert what must hold; then forget them. Users ``u}`` and ``items`` are taken."""
        self._run(self._check_events(events))
        self._run(self._forget())

    def close(self) -> None:
        """Disconnect."""
        self._run(self._client.aclose())
        self._loop.close()

    def _run(self, wanted: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(wanted, 20))

    async def _once(self, choices: Choices) -> None:
        events = _events(choices)
        self._state.sent = []
        found = await self._check_events(events)
        for _ in range(choices.number(3)):
            found = await self._send_wrong(choices, list(choices.one_of(self._state.sent)), found)
        assert await self._client.ping()
        assert {key: found.get(key) for key in self._bystanders} == self._bystanders, "another's key was changed"
        await self._forget()

    async def _forget(self) -> None:
        if gone := set(await self._client.keys("*")) - self._bystanders.keys():
            await self._client.delete(*gone)
        await self._state.know_servers()  # what is gone was taken away by us

    async def _check_events(self, events: list[SourcedEvent]) -> dict[bytes, bytes]:
        """Apply twice and return everything in Redis after it."""
        applied = await self._state.apply(events)
        first = await self._dump()
        users = {event.user_id for _, event, _ in events}
        allowed = {key for user in users for key in _keys(UserKeys.of(user))}
        partitions = {origin.partition for origin, _, _ in events}
        allowed |= {key for partition in partitions for key in _keys(PartitionKeys.of(partition))}
        allowed |= {key for at in partitions for source in SOURCES for key in _keys(SourceKeys.of(at, source))}
        strangers = first.keys() - self._bystanders.keys() - allowed
        assert not strangers, f"keys of nobody in the batch: {sorted(strangers)}"
        profiles = await self._state.profiles(users)
        assert profiles == dict(applied.profiles), "what was read is not what was answered"
        for user in users:
            _check_user(profiles[user], _counting([event for _, event, _ in events if event.user_id == user]))
        again = await self._state.apply(events)
        assert (again.counted, again.fresh) == (applied.counted, 0)
        assert dict(again.profiles) == profiles
        assert await self._dump() == first, "a redelivery changed the state"
        assert {key: first.get(key) for key in self._bystanders} == self._bystanders, "another's key was changed"
        return first

    async def _send_wrong(self, choices: Choices, call: list[Any], before: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Send a call with some of its words changed; it may be answered or refused, and may touch its keys only."""
        for _ in range(1 + choices.number(2)):
            place = 1 + choices.number(len(call) - 2)
            call[place] = self._wrong(choices, call[place], place)
        try:
            await self._client.execute_command(*call)
        except ResponseError as error:
            assert len(str(error)) < 100_000  # noqa: PT017 - the invariant is about the message
        n_keys = int(call[2]) if str(call[2]).isdigit() else 0
        named = {word.encode() if isinstance(word, str) else word for word in call[3 : 3 + n_keys]}
        after = await self._dump()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed <= named, f"changed but not named: {sorted(changed - named)!r}"
        return after

    def _wrong(self, choices: Choices, word: Any, place: int) -> Any:
        if place == 1:
            return choices.one_of((*(call[1] for call in self._state.sent), "no_such_function"))
        if place == 2:
            return choices.one_of((0, 1, 2, 5, 6, 7, 99, -1, "nan", "1e3"))
        if isinstance(word, bytes):
            return _wrong_columns(choices, word)
        if isinstance(word, str):
            return choices.one_of((*(f"user:{{{id_}}}" for id_ in IDS), "", "\x00", "items:{p9}:at"))
        return choices.one_of((*LITERALS, b"", b"inf", b"-inf", b"1e300", choices.bytes(20)))

    async def _dump(self) -> dict[bytes, bytes]:
        """Return every key's value as Redis stores it; marks of the clock in a partition's positions are left out.

        A user's own hash is sorted: one with a value beyond 64 bytes is a table, whose order is no part of the state.
        """
        keys = sorted(await self._client.keys("*"))
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            if key.endswith((b":at", b"}")):
                pipeline.execute_command("TYPE", key)
            else:
                pipeline.dump(key)
        values = dict(zip(keys, await pipeline.execute(), strict=True))
        for key in keys:
            if values[key] == b"hash":
                fields = await self._client.hgetall(key)
                timed = (b"mark:", b"marked:", b"safe:")
                values[key] = repr(sorted(one for one in fields.items() if not one[0].startswith(timed))).encode()
            elif key.endswith(b"}"):
                values[key] = await self._client.dump(key)
        return values


def _keys(keys: UserKeys | PartitionKeys | SourceKeys) -> set[bytes]:
    return {getattr(keys, name).encode() for name in keys.__slots__}


def _bystander_events() -> list[SourcedEvent]:
    """Return events of users and of a partition that no hostile event names, though some look very much alike."""
    users = ("bystander", "{bystander}", "bystander:recent", "%7Bbystander%7D", "u}", "items")
    return [
        (Origin("watch-events", 3, n), Watch(f"b{n}", user, f"i{n}", NOW + n, 0.5), ("Drama",))
        for n, user in enumerate(users)
    ]


def _events(choices: Choices) -> list[SourcedEvent]:
    """Return up to sixteen events of partitions 0 to 2, each partition's offsets ascending."""
    offsets: dict[tuple[str, int], int] = {}
    events: list[SourcedEvent] = []
    users = [choices.id() for _ in range(1 + choices.number(2))]
    users = [user for user in users if user not in {"u}", "items"}] or ["u"]
    for _ in range(1 + choices.number(15)):
        ts = choices.one_of((0, 1, NOW, NOW - choices.number(65_535), NOW + choices.number(65_535), LATEST_MS))
        names = (choices.id(), choices.one_of(users), choices.id(), ts)
        event = _event(choices, names)
        topic = TOPICS[type(event)]
        partition = choices.number(2)
        offset = offsets.get((topic, partition), -1) + 1 + choices.number(3)
        offsets[topic, partition] = offset
        genres = tuple(choices.id() for _ in range(choices.number(3)))
        events.append((Origin(topic, partition, offset), event, genres))
    return events


def _event(choices: Choices, names: tuple[str, str, str, int]) -> Event:
    way = choices.number(2)
    if way == 0:
        return Watch(*names, choices.one_of((0.0, -0.0, 1.0, 5e-324, 0.1, choices.number(65_535) / 65_535)))
    if way == 1:
        return Rating(*names, choices.one_of((0.5, 5.0, 4.500000000000001, 1.1, 0.5 + choices.number(255) / 60)))
    return Action(*names, choices.one_of(KINDS.own))


def _counting(events: list[Event]) -> list[Event]:
    """Return the events that count: of one kind and id the first."""
    first: dict[tuple[type, str], Event] = {}
    for event in events:
        first.setdefault((type(event), event.event_id), event)
    return list(first.values())


def _check_user(profile: Any, events: list[Event]) -> None:
    ratings = [event.rating for event in events if isinstance(event, Rating)]
    watches = sum(isinstance(event, Watch) for event in events)
    assert (profile.watches, profile.ratings) == (watches, len(ratings))
    assert profile.actions == len(events) - watches - len(ratings)
    assert abs(profile.rating_sum - sum(ratings)) < 1e-9
    assert profile.first_ts == min(event.ts for event in events)
    assert profile.last_ts == max(event.ts for event in events)
    hidden, judged = _hidden(events), list(_judged(events))
    assert profile.hidden == len(hidden)
    assert profile.seen == len({one.item_id for one in judged})
    assert sorted(map(repr, profile.recent)) == sorted(repr(one) for one in judged if one.item_id not in hidden)
    times = [one.ts for one in profile.recent]
    assert times == sorted(times, reverse=True)


def _hidden(events: list[Event]) -> set[str]:
    """Return which items the newest decision about them hides."""
    decided: dict[str, tuple[int, bool]] = {}
    for event in events:
        effect = KINDS.of_kind(event.kind).effect
        if effect and event.ts >= decided.get(event.item_id, (0, False))[0]:
            decided[event.item_id] = (event.ts, effect == "hide")
    return {item_id for item_id, (_, hides) in decided.items() if hides}


def _judged(events: list[Event]) -> Iterator[Interaction]:
    """Give a user's events as they are to come back, each with whether it is positive."""
    ratings, rating_sum = 0, 0.0
    for event in events:
        interaction = event.interaction(KINDS)
        if interaction is None:
            continue
        if isinstance(event, Watch):
            yield replace(interaction, is_positive=is_positive_watch(event.progress))
        elif isinstance(event, Action):
            yield interaction
        else:
            yield replace(interaction, is_positive=is_positive_rating(event.rating, ratings, rating_sum))
            ratings, rating_sum = ratings + 1, rating_sum + event.rating


def _wrong_columns(choices: Choices, body: bytes) -> bytes:
    """Return a call's JSON with a column gone, retyped or cut, or with its bytes edited."""
    way = choices.number(3)
    try:
        columns = orjson.loads(body)
    except orjson.JSONDecodeError:  # an earlier change has broken it
        return edited(choices, body)
    if way == 0 or not isinstance(columns, dict) or not columns:
        return edited(choices, body)
    name = choices.one_of(sorted(columns))
    if way == 1:
        del columns[name]
        return orjson.dumps(columns)
    column = columns[name]
    literal = choices.one_of(LITERALS)
    if way == 2 and isinstance(column, list) and column:
        column[choices.number(min(255, len(column) - 1))] = "\x00put here\x00"
        return orjson.dumps(columns).replace(b'"\\u0000put here\\u0000"', literal)
    columns[name] = "\x00put here\x00"
    return orjson.dumps(columns).replace(b'"\\u0000put here\\u0000"', literal)
