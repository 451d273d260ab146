"""A fingerprint of the event state in a Redis database, and the comparison of two.

It reads the documented keys (docs/reference/redis.md) and shares no code with what writes them, so it can testify.
Only what is a function of the events is read: not modes and lists, not positions, not expiry. The order in which keys
come does not matter. Decayed weights are no part of the fingerprint, because their last digits depend on the order of
addition; two databases are compared in them up to ``TOLERANCE``.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis.asyncio import Redis

from streams.redis.connection import answered
from streams.state.calls import read_ids

__all__ = [
    "SECTIONS",
    "TOLERANCE",
    "Digest",
    "DigestComparison",
    "DigestSection",
    "KeyDifference",
    "compare_databases",
    "take_digest",
]

SECTIONS = ("users", "recents", "seen", "hidden", "event_ids", "items")
TOLERANCE = 1e-6  # relative; sums of thousands of doubles in another order differ by 1e-12 of themselves
_NOTHING = 1e-50  # a weight below this was dropped on one side or will be
_EVENT_IDS = 512  # how many the state promises to keep; what is beyond is a matter of batches
_PAGE = 200  # users read in one round trip, up to 10 MB with full histories
_SCAN = 2000
_USER = re.compile(r"user:\{[^{}]*\}")
_PARTITION = re.compile(r"(items:\{p\d+\}):at")
_COUNTERS = ("watches", "ratings", "actions", "withdrawn", "hidden", "rating_sum", "first_ts", "last_ts")
_RECENTS = 200  # how many interactions the state keeps, less one for each event that was taken back
_ROUNDING = 1e-12  # of the largest weight beside it: what the difference of two sums may leave where nothing is left
_SOURCES = ("watch", "rate", "action")  # what the events of each event topic are
_MODULUS = 1 << 256
DigestProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class DigestSection:
    """One section's fingerprint: SHA-256 of each key's content, added modulo 2**256; ``keys`` is how many."""

    name: str
    keys: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Digest:
    """The fingerprint of a database.

    Parameters
    ----------
    sha256 : over all sections.
    sections : in the order of ``SECTIONS``.
    users, partitions : how many there are.
    events : watches, ratings and actions over all users.
    """

    sha256: str
    sections: tuple[DigestSection, ...]
    users: int
    partitions: int
    events: int


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """A key that differs, in which section, and what it holds in either database."""

    section: str
    key: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class DigestComparison:
    """Two databases beside each other.

    Parameters
    ----------
    first, second : their fingerprints.
    different : section, ``weights`` among them, to the number of keys that differ.
    examples : the first of those.
    weights : how many decayed weights were compared.
    largest : their largest relative difference.
    """

    first: Digest
    second: Digest
    different: Mapping[str, int]
    examples: tuple[KeyDifference, ...]
    weights: int
    largest: float

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not any(self.different.values())


@dataclass(slots=True)
class _Facts:
    """What one user, or one partition, holds: by section a JSON value, or nothing."""

    key: str
    exact: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    events: int = 0


class _DigestTally:
    """Adds facts up to a digest."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(SECTIONS, 0)
        self._keys = dict.fromkeys(SECTIONS, 0)
        self._users = self._partitions = self._events = 0

    def add(self, facts: _Facts) -> None:
        for section, value in facts.exact.items():
            content = orjson.dumps((facts.key, value), option=orjson.OPT_SORT_KEYS)
            entry = int.from_bytes(hashlib.sha256(content).digest(), "big")
            self._sums[section] = (self._sums[section] + entry) % _MODULUS
            self._keys[section] += 1
        self._users += "users" in facts.exact
        self._partitions += "items" in facts.exact
        self._events += facts.events

    def digest(self) -> Digest:
        sections = tuple(
            DigestSection(name, self._keys[name], self._sums[name].to_bytes(32, "big").hex()) for name in SECTIONS
        )
        whole = hashlib.sha256(orjson.dumps([(one.name, one.keys, one.sha256) for one in sections])).hexdigest()
        return Digest(whole, sections, self._users, self._partitions, self._events)


async def take_digest(client: Redis, progress: DigestProgress | None = None) -> Digest:
    """Return the fingerprint of a database that nobody writes to meanwhile.

    Parameters
    ----------
    client : of a server or a cluster, as ``streams.redis.connection.connect`` makes it.
    progress : called with the number of users read so far.

    Raises
    ------
    StateError
        If Redis does not answer.
    """
    tally, done = _DigestTally(), 0
    with answered("digest"):
        async for keys in _pages(client, set()):
            for facts in await _read(client, keys):
                tally.add(facts)
            done += len(keys)
            if progress:
                progress(done)
    return tally.digest()


async def compare_databases(
    first: Redis, second: Redis, most: int = 10, progress: DigestProgress | None = None
) -> DigestComparison:
    """Compare two databases that nobody writes to meanwhile.

    Parameters
    ----------
    first, second : as in ``take_digest``.
    most : examples of what differs.
    progress : as in ``take_digest``.

    Raises
    ------
    StateError
        If a server does not answer.
    """
    comparing = _Comparer(most)
    seen: set[int] = set()
    done = 0
    with answered("digest"):
        for reads_first in (True, False):  # all that the first holds, then what only the second does
            async for keys in _pages(first if reads_first else second, seen):
                facts = await _read(second, keys)
                others = await _read(first, keys) if reads_first else [_Facts(one.key) for one in facts]
                for one, other in zip(others, facts, strict=True):
                    comparing.add(one, other)
                done += len(keys)
                if progress:
                    progress(done)
    return comparing.result()


class _Comparer:
    """Two tallies, and what differs between them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tallies = (_DigestTally(), _DigestTally())
        self._different = dict.fromkeys((*SECTIONS, "weights"), 0)
        self._examples: list[KeyDifference] = []
        self._weights = 0
        self._largest = 0.0

    def add(self, one: _Facts, other: _Facts) -> None:
        for tally, facts in zip(self._tallies, (one, other), strict=True):
            tally.add(facts)
        for section in SECTIONS:
            mine, theirs = one.exact.get(section), other.exact.get(section)
            if mine != theirs:
                self._differ(section, one.key, mine, theirs)
        self._compare_weights(one, other)

    def _compare_weights(self, one: _Facts, other: _Facts) -> None:
        apart = {}
        rounding = _rounding_of(one, other)
        for name in one.weights | other.weights:
            mine, theirs = one.weights.get(name, 0.0), other.weights.get(name, 0.0)
            largest = max(abs(mine), abs(theirs))
            is_apart = largest > _NOTHING and abs(mine - theirs) > rounding[_group_of(one, name)]
            distance = abs(mine - theirs) / largest if is_apart else 0.0
            self._largest = max(self._largest, distance)
            self._weights += 1
            if not distance <= TOLERANCE:
                apart[name] = (mine, theirs)
        if apart:
            self._differ("weights", one.key, *({name: pair[side] for name, pair in apart.items()} for side in (0, 1)))

    def _differ(self, section: str, key: str, mine: Any, theirs: Any) -> None:
        self._different[section] += 1
        if len(self._examples) < self._most:
            self._examples.append(KeyDifference(section, key, *_shown(mine, theirs)))

    def result(self) -> DigestComparison:
        first, second = (tally.digest() for tally in self._tallies)
        return DigestComparison(first, second, self._different, tuple(self._examples), self._weights, self._largest)


def _group_of(facts: _Facts, name: str) -> str:
    """Return the key in which a weight lies: of a partition each has several."""
    return "" if facts.key.startswith("user:") else name.partition(" ")[0]


def _rounding_of(*both: _Facts) -> dict[str, float]:
    """Return what is rounding beside the largest weight of each key."""
    largest: dict[str, float] = {}
    for facts in both:
        for name, weight in facts.weights.items():
            group = _group_of(facts, name)
            largest[group] = max(largest.get(group, 0.0), abs(weight))
    return {group: weight * _ROUNDING for group, weight in largest.items()}


async def _pages(client: Any, seen: set[int]) -> AsyncIterator[list[str]]:
    """Give the keys of users and the stems of partitions, page by page and each once, without those in ``seen``.

    SCAN may give a key twice, so what was given is remembered: about 70 bytes for each user.
    """
    page: list[str] = []
    async for raw in client.scan_iter(count=_SCAN):
        key = raw.decode()
        partition = _PARTITION.fullmatch(key)
        if not (partition or _USER.fullmatch(key)):
            continue
        name = partition[1] if partition else key
        mark = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
        if mark not in seen:
            seen.add(mark)
            page.append(name)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _read(client: Redis, keys: Sequence[str]) -> list[_Facts]:
    users = [key for key in keys if key.startswith("user:")]
    facts = dict(zip(users, await _read_users(client, users), strict=True))
    return [facts[key] if key in facts else await _read_partition(client, key) for key in keys]


async def _read_users(client: Any, keys: Sequence[str]) -> list[_Facts]:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.hmget(key, *_COUNTERS)
        pipeline.lrange(f"{key}:recent", 0, -1)
        pipeline.smembers(f"{key}:seen")
        pipeline.hgetall(f"{key}:genres")
        pipeline.hgetall(f"{key}:hidden")
        pipeline.hgetall(f"{key}:again")
        for source in _SOURCES:
            pipeline.get(f"{key}:ids:{source}")
    replies = iter(await pipeline.execute() if keys else ())
    return [_user(key, *(next(replies) for _ in range(6 + len(_SOURCES)))) for key in keys]


def _user(
    key: str, counters: Any, recent: Any, seen: Any, genres: Any, hidden: Any, again: Any, *found_ids: Any
) -> _Facts:
    watches, ratings, actions, withdrawn, n_hidden, rating_sum, *times = (float(value or 0) for value in counters)
    ids = {
        source: sorted((score, mark.hex()) for mark, score in read_ids(found or b"")[-_EVENT_IDS:])
        for source, found in zip(_SOURCES, found_ids, strict=True)
    }
    exact = {
        "users": [watches, ratings, actions, withdrawn, n_hidden, round(rating_sum, 6), *times]
        if any(counters)
        else None,
        "recents": [entry.decode() for entry in recent[: max(0, _RECENTS - int(withdrawn))]],
        "seen": sorted((item.decode(), int(again.get(item, 0))) for item in seen),
        "hidden": {item.decode(): decided.decode() for item, decided in hidden.items()},
        "event_ids": ids if any(ids.values()) else None,
    }
    return _Facts(key, _present(exact), _numbers(genres.items()), int(watches + ratings + actions))


async def _read_partition(client: Any, stem: str) -> _Facts:
    """Read a partition's counters in pieces; one partition's items are held at once."""
    counters: dict[str, Any] = {}
    for name in ("watches", "ratings", "rating_sum", "actions"):
        found = _numbers([pair async for pair in client.hscan_iter(f"{stem}:{name}", count=_SCAN)])
        counters[name] = {item_id: round(value, 6) for item_id, value in found.items()}
    clocks: dict[str, list[float]] = {}
    weights: dict[str, float] = {}
    for topic in _SOURCES:
        clock = _numbers((await client.hgetall(f"{stem}:clock:{topic}")).items())
        if not clock:
            continue
        clocks[topic] = [clock[name] for name in ("newest_ts", "own_ts", "other_ts")]
        weights |= {f"clock:{topic} {name}": clock[name] for name in ("warm", "other_warm")}
        for name, half_life in (("hot", "half_life_ms"), ("newcomers", "newcomers_half_life_ms")):
            factor = 2.0 ** ((clock["landmark"] - clock["own_ts"]) / clock[half_life])
            found = _numbers([pair async for pair in client.zscan_iter(f"{stem}:{name}:{topic}", count=_SCAN)])
            weights |= {f"{name}:{topic} {item_id}": weight * factor for item_id, weight in found.items()}
    exact = {"items": {"clocks": clocks, **counters} if clocks else None}
    return _Facts(stem, _present(exact), weights)


def _numbers(pairs: Iterable[tuple[bytes, Any]]) -> dict[str, float]:
    return {name.decode(): float(value) for name, value in pairs}


def _present(exact: Mapping[str, Any]) -> dict[str, Any]:
    return {section: value for section, value in exact.items() if value}


def _shown(mine: Any, theirs: Any) -> tuple[str, str]:
    """Return both values in one line each; of two objects or lists only what differs."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        names = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
        if len(names) == 1 and all(isinstance(side.get(names[0]), dict | list) for side in (mine, theirs)):
            first, second = _shown(mine[names[0]], theirs[names[0]])
            return f"{names[0]}: {first}", f"{names[0]}: {second}"
        mine, theirs = ({name: side.get(name) for name in names} for side in (mine, theirs))
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        places = [place for place, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1]]
        mine, theirs = ({str(place): side[place] for place in places} for side in (mine, theirs))
    return _short(mine), _short(theirs)


def _short(value: Any) -> str:
    text = "nothing" if value is None else orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:197] + "..."  # noqa: PLR2004 - two lines of a terminal
