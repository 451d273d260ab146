"""What Redis and the output topics hold, read by the documented names alone (docs/reference/redis.md, records.md).

Nothing of the worker's code takes part, so a mistake in its keys or its codec shows as a difference.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition

from replay.chaos.expected import (
    NEWCOMERS_HALF_LIFE_MS,
    SOURCES,
    TRENDING_HALF_LIFE_MS,
    Entry,
    Record,
    RecordAddress,
    Source,
)
from replay.chaos.people.looking import UserKeysFound, read_user_keys, tag_of, user_id_of
from streams.kafka.clients import blocking_consumer
from streams.reading.polling import read_up_to
from streams.redis.connection import answered, connect_to_read
from streams.settings import Settings

__all__ = [
    "Observed",
    "ObservedUser",
    "positions",
    "read_keys",
    "read_records",
    "read_state",
    "read_topics",
    "unserved",
]

USERS_PER_READ = 500  # in one round trip


@dataclass(frozen=True, slots=True)
class ObservedUser:
    """One user as Redis holds it; ``list_sequence`` of the hash, ``recs_sequence`` of the list itself, -1 if absent.

    ``listed`` are the films of that list.
    """

    counters: Mapping[str, float]
    recent: Sequence[Entry]
    seen: frozenset[str]
    genres: Mapping[str, float]
    list_sequence: int
    recs_sequence: int
    listed: Sequence[str] = ()
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that is compared.

    Parameters
    ----------
    users : by user id.
    items : ``watches``, ``ratings``, ``rating_sum`` and ``actions``, each by item, summed over the partitions.
    trending, newcomers : (topic, partition) -> item -> heat as of own time, of all users and of newcomers.
    clocks : (topic, partition) -> newest event time and own time.
    dead : how often each pair of address and cause is among the dead letters.
    sequences : those of the lists of each user on topic ``recommendations``.
    answered : ids of the requests that have a list.
    films : each film that is shown anywhere, and the first place where it was found.
    keys : those of all users, and who is whose guest.
    """

    users: Mapping[str, ObservedUser] = field(default_factory=dict)
    items: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    trending: Mapping[Source, Mapping[str, float]] = field(default_factory=dict)
    newcomers: Mapping[Source, Mapping[str, float]] = field(default_factory=dict)
    clocks: Mapping[Source, tuple[int, int]] = field(default_factory=dict)
    dead: Mapping[tuple[RecordAddress, str], int] = field(default_factory=dict)
    sequences: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()
    films: Mapping[str, str] = field(default_factory=dict)
    keys: UserKeysFound = field(default_factory=UserKeysFound)


def read_state(redis: str, partitions: int) -> Observed:
    """Read users, item counters and trending weights."""
    with answered("chaos: reading the state"), connect_to_read(redis) as client:
        users: dict[str, ObservedUser] = {}
        keys = read_user_keys(client)
        names = [tag_of(user) for user, ends in keys.of_user.items() if "" in ends]
        for first in range(0, len(names), USERS_PER_READ):
            chunk = names[first : first + USERS_PER_READ]
            users.update(zip(map(user_id_of, chunk), _read_users(client, chunk), strict=True))
        items: dict[str, dict[str, float]] = {"watches": {}, "ratings": {}, "rating_sum": {}, "actions": {}}
        heat: dict[str, dict[Source, dict[str, float]]] = {"hot": {}, "newcomers": {}}
        clocks: dict[Source, tuple[int, int]] = {}
        for partition in range(partitions):
            for name, total in items.items():
                for item, n in client.hgetall(f"items:{{p{partition}}}:{name}").items():
                    total[item] = total.get(item, 0.0) + float(n)
            for topic in SOURCES.values():
                clock = client.hgetall(f"items:{{p{partition}}}:clock:{topic}")
                if not clock:
                    continue
                clocks[topic, partition] = (int(clock["newest_ts"]), int(clock["own_ts"]))
                for name, half_life_ms in (("hot", TRENDING_HALF_LIFE_MS), ("newcomers", NEWCOMERS_HALF_LIFE_MS)):
                    scale = 2.0 ** ((int(clock["own_ts"]) - int(clock["landmark"])) / half_life_ms)
                    weights: Any = client.zrange(f"items:{{p{partition}}}:{name}:{topic}", 0, -1, withscores=True)
                    heat[name][topic, partition] = {item: weight / scale for item, weight in weights}
        films = _described(client)
    for user, one in users.items():
        for item in (*one.seen, *one.listed):
            films.setdefault(item, f"user {user}")
    return Observed(
        users=users,
        items=items,
        trending=heat["hot"],
        newcomers=heat["newcomers"],
        clocks=clocks,
        films=films,
        keys=keys,
    )


def read_keys(redis: str) -> UserKeysFound:
    """Read the names of the keys of users, and who is whose guest."""
    with answered("chaos: reading the keys of users"), connect_to_read(redis) as client:
        return read_user_keys(client)


def _described(client: Any) -> dict[str, str]:
    """Return the films of the catalogue, and those that are similar to one, with the key that holds them."""
    films: dict[str, str] = dict.fromkeys(client.hkeys("catalog:items"), "catalog:items")
    for key in client.scan_iter("similar:*", count=5000):
        films.setdefault(key.removeprefix("similar:"), key)
        for kind in json.loads(client.get(key) or b"{}").values():
            films.update((item, films.get(item, key)) for item, _ in kind)
    for key in ["hot:all", "hot:newcomers", *client.scan_iter("hot:genre:*", count=5000)]:
        for item in client.zrange(key, 0, -1):
            films.setdefault(item, key)
    return films


def _read_users(client: Any, names: Sequence[str]) -> list[ObservedUser]:
    pipeline = client.pipeline(transaction=False)
    for name in names:
        key = f"user:{{{name}}}"
        pipeline.hgetall(key)
        pipeline.lrange(f"{key}:recent", 0, -1)
        pipeline.smembers(f"{key}:seen")
        pipeline.hgetall(f"{key}:genres")
        pipeline.get(f"{key}:recs")
        pipeline.hgetall(f"{key}:hidden")
    found = pipeline.execute()
    return [_user(*found[first : first + 6]) for first in range(0, len(found), 6)]


def _user(
    stored: Mapping[str, str],
    recent: Sequence[str],
    seen: set[str],
    genres: Mapping[str, str],
    recs: str | None,
    hidden: Mapping[str, str],
) -> ObservedUser:
    counters = ("watches", "ratings", "rating_sum", "actions", "withdrawn", "hidden", "first_ts", "last_ts")
    last = None if recs is None else json.loads(recs)
    return ObservedUser(
        {name: float(stored[name]) for name in counters if name in stored},
        [(item, ts, kind, weight, likes) for item, ts, kind, weight, likes in map(json.loads, recent)],
        frozenset(seen),
        {genre: float(weight) for genre, weight in genres.items()},
        int(stored.get("list_sequence", -1)),
        -1 if last is None else int(last["sequence"]),
        () if last is None else [one["item_id"] for one in last["items"]],
        frozenset(item for item, decided in hidden.items() if decided.startswith("hide ")),
    )


def positions(client: Any, partitions: int) -> dict[tuple[str, int], int]:
    """Return the last applied offset of each event topic and partition, as the item counters have it.

    Raises
    ------
    StateError
        If Redis does not answer.
    """
    with answered("chaos: reading the positions"):
        pipeline = client.pipeline(transaction=False)
        for partition in range(partitions):
            pipeline.hgetall(f"items:{{p{partition}}}:at")
        found = pipeline.execute()
    applied: dict[tuple[str, int], int] = {}
    for stored in found:
        for name, offset in stored.items():
            if name.startswith("at:"):
                topic, _, partition = name[3:].rpartition(":")
                applied[topic, int(partition)] = int(offset)
    return applied


def unserved(redis: str, wanted: Mapping[str, int]) -> int:
    """Return how many users have no list that saw as many of their events as wanted."""
    names = {user: tag_of(user) for user in wanted}
    missing = 0
    with answered("chaos: reading who has a list"), connect_to_read(redis) as client:
        users = list(wanted)
        for first in range(0, len(users), USERS_PER_READ):
            pipeline: Any = client.pipeline(transaction=False)
            for user in users[first : first + USERS_PER_READ]:
                pipeline.hget(f"user:{{{names[user]}}}", "list_sequence")
            found = pipeline.execute()
            missing += sum(
                int(sequence or -1) < wanted[user]
                for user, sequence in zip(users[first : first + USERS_PER_READ], found, strict=True)
            )
    return missing


def read_topics(settings: Settings) -> Observed:
    """Read the dead letters and what is needed of the lists."""
    dead: Counter[tuple[RecordAddress, str]] = Counter()
    for message in _messages(settings, "dead-letters"):
        headers = {name: content.decode() for name, content in message.headers}
        address = RecordAddress(headers["topic"], int(headers["partition"]), int(headers["offset"]))
        dead[address, headers["cause"]] += 1
    sequences: dict[str, set[int]] = {}
    answered_ids: set[str] = set()
    films: dict[str, str] = {}
    for message in _messages(settings, "recommendations"):
        found = json.loads(message.value)
        sequences.setdefault(found["user_id"], set()).add(found["sequence"])
        if "request_id" in found["trigger"]:
            answered_ids.add(found["trigger"]["request_id"])
        for one in found["items"]:
            films.setdefault(one["item_id"], f"recommendations {message.partition} at {message.offset}")
    return Observed(dead=dead, sequences=sequences, answered=frozenset(answered_ids), films=films)


def read_records(settings: Settings, topics: Sequence[str]) -> Iterator[Record]:
    """Give the records of these topics, in order of offset within each partition."""
    for topic in topics:
        for message in _messages(settings, topic):
            address = RecordAddress(message.topic, message.partition, message.offset)
            yield Record(address, message.timestamp, message.value)


def _messages(settings: Settings, topic: str) -> Iterator[Any]:
    """Give every message that a topic holds now."""
    consumer = blocking_consumer(settings, "chaos", max_poll_records=5000, fetch_max_bytes=16 * 1024 * 1024)
    try:
        partitions = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        for found in read_up_to(consumer, consumer.end_offsets(partitions), "chaos"):
            for batch in found.values():
                yield from batch
    finally:
        consumer.close()
