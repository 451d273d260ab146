"""Users, items and lists in Redis: every change is one guarded call of the functions in ``state.lua``.

A redelivered event changes nothing, whatever the cause (a crash, a rebalance, a rewind, a producer's retry), so
Kafka may deliver at least once while the effect is exactly once. Keys are in ``keys`` and documented for readers
in docs/lookups.md. Nothing here decides what to recommend or when a user's mode changes.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis
from redis.exceptions import WatchError

from model.catalogue import Catalogue, Item
from model.history import Profile
from streams.calls import (
    DAY_MS,
    SourcedEvent,
    StateConfig,
    StoredList,
    list_call,
    partition_call,
    read_call,
    read_profile,
    read_verdict,
    user_call,
)
from streams.connection import answered
from streams.errors import StateError
from streams.hot import Trends, merge_hot
from streams.keys import CATALOG, CATALOG_REJECTED, HOT_ALL, MODEL, PartitionKeys, UserKeys, similar_key
from streams.records import Event, Origin

__all__ = ["ANY_VERSION", "DAY_MS", "Applied", "ModelPointer", "SourcedEvent", "State", "StateConfig", "StoredList"]

ANY_VERSION = "*"  # no version is called so
_OLDEST_SERVER = 7  # the first with functions
_CHUNK = 1000  # fields of one HSET
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did.

    Parameters
    ----------
    profiles : every user of the batch, after it.
    latest : the last record of each user in the batch, with its origin.
    counted : events that count, now or when they were delivered first; the rest are a producer's duplicates.
    fresh : events that changed a user now; fewer than ``counted`` after a redelivery.
    """

    profiles: Mapping[str, Profile]
    latest: Mapping[str, tuple[Origin, Event]]
    counted: int
    fresh: int


@dataclass(frozen=True, slots=True)
class ModelPointer:
    """The model that workers follow; ``promoted_at`` in milliseconds of the wall clock."""

    version: str
    uri: str
    promoted_at: int


class State:
    """The state of one installation; a Redis database belongs to one.

    Parameters
    ----------
    client : a connected redis-py client that returns bytes; closed by who opened it.
    config : how much is remembered.
    clock : seconds since the epoch; only bounds how far a broken producer clock can push trending.
    """

    def __init__(
        self, client: Redis, config: StateConfig | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._config = config or StateConfig()
        self._clock = clock

    async def install(self) -> None:
        """Load the functions, replacing an earlier load of the same version.

        Raises
        ------
        StateError
            If the server cannot be reached or has no functions (Redis before 7).
        """
        with answered("state: installing the functions"):
            found = await self._client.info("server")
            version = str(found["redis_version"])
            if int(version.partition(".")[0]) < _OLDEST_SERVER:
                raise StateError(
                    f"state: Redis {_OLDEST_SERVER} or newer (or Valkey) is required for its functions, "
                    f"got version {version!r}; point REELSTREAM_REDIS at a newer server"
                )
            code = files("streams").joinpath("state.lua").read_text(encoding="utf-8")
            await self._client.function_load(code, replace=True)

    async def apply(self, events: Sequence[SourcedEvent]) -> Applied:
        """Apply a batch, each event at most once ever, and return every touched user.

        Users first, then the partitions' item counters: both are guarded by themselves, so a crash between the
        two is made good by redelivery. The next batch may be applied only after this call returned.

        Parameters
        ----------
        events : origin, event, and the genres of its item; in the order of each partition.
        """
        users = _grouped(events, lambda event: event[1].user_id)
        partitions = _grouped(events, lambda event: event[0].partition)
        newest_ts = int(self._clock() * 1000) + DAY_MS
        with answered(f"state: applying {len(events)} events"):
            replies = await self._call_all(user_call(user_id, group, self._config) for user_id, group in users.items())
            verdicts = [
                read_verdict(user_id, group, reply)
                for (user_id, group), reply in zip(users.items(), replies, strict=True)
            ]
            counted = {origin for verdict in verdicts for origin in verdict.counted}
            await self._call_all(
                partition_call(partition, group, counted, newest_ts, self._config)
                for partition, group in partitions.items()
            )
        return Applied(
            MappingProxyType({verdict.profile.user_id: verdict.profile for verdict in verdicts}),
            MappingProxyType({user_id: group[-1][:2] for user_id, group in users.items()}),
            len(counted),
            sum(verdict.fresh for verdict in verdicts),
        )

    async def profiles(self, user_ids: Iterable[str]) -> dict[str, Profile]:
        """Return the profile of each user; one never seen has an empty one, and stays unknown."""
        wanted = tuple(dict.fromkeys(user_ids))
        with answered(f"state: reading {len(wanted)} profiles"):
            replies = await self._call_all(read_call(user_id, self._config) for user_id in wanted)
        return {user_id: read_profile(user_id, reply) for user_id, reply in zip(wanted, replies, strict=True)}

    async def seen_among(self, wanted: Sequence[tuple[str, Sequence[str]]]) -> list[frozenset[str]]:
        """Return, for each user and candidate items, which of the candidates the user has touched."""
        asked = [(user_id, items) for user_id, items in wanted if items]
        with answered(f"state: reading what {len(asked)} users have seen"):
            replies = iter(
                await self._call_all(("SMISMEMBER", UserKeys.of(user_id).seen, *items) for user_id, items in asked)
            )
        return [
            frozenset(item for item, seen in zip(items, next(replies), strict=True) if seen) if items else frozenset()
            for _, items in wanted
        ]

    async def store_lists(self, lists: Sequence[StoredList]) -> int:
        """Store published lists and their modes; a user's newer list stays. Returns how many were stored.

        Call it after publication: a crash before it repeats the decision about the mode. Users must have been
        applied before, so that asking for a list never makes a user.
        """
        with answered(f"state: storing {len(lists)} lists"):
            replies = await self._call_all(list_call(stored) for stored in lists)
        return sum(replies)

    async def merge_hot(self, partitions: int, catalogue: Catalogue) -> Trends:
        """Make ``hot:all`` and the genres' lists anew from all partitions; see ``streams.hot``."""
        with answered("state: merging trending"):
            return await merge_hot(
                self._client, partitions, catalogue, read=self._config.hot_read, kept=self._config.hot_kept
            )

    async def hot(self, n: int) -> tuple[tuple[str, float], ...]:
        """Return the n hottest items with their heat, hottest first."""
        with answered("state: reading trending"):
            found: Any = await self._client.zrange(HOT_ALL, 0, n - 1, desc=True, withscores=True)
        return tuple((item.decode(), float(heat)) for item, heat in found)

    async def put_catalogue(self, put: Iterable[Item], remove: Iterable[str] = ()) -> None:
        """Write titles, years and genres for those who look up; remove what left the catalogue."""
        fields = {item.item_id: _item_json(item) for item in put}
        gone = tuple(remove)
        with answered(f"state: writing {len(fields)} catalogue items"):
            pipeline = self._client.pipeline(transaction=False)
            for chunk in _chunks(tuple(fields.items())):
                pipeline.hset(CATALOG, mapping=dict(chunk))
            for removed in _chunks(gone):
                pipeline.hdel(CATALOG, *removed)
                for item_id in removed:
                    pipeline.delete(similar_key(item_id))
            await pipeline.execute()

    async def rejected_items(self) -> dict[int, int]:
        """Return, by partition, the offset of the last bad catalogue record that became a dead letter."""
        with answered("state: reading which catalogue records were rejected"):
            found: Any = await self._client.hgetall(CATALOG_REJECTED)
        return {int(partition): int(offset) for partition, offset in found.items()}

    async def note_rejected_items(self, offsets: Mapping[int, int]) -> None:
        """Note the last bad catalogue record of these partitions, so that the next reader does not report it again."""
        with answered("state: noting which catalogue records were rejected"):
            await self._client.hset(CATALOG_REJECTED, mapping={str(at): offset for at, offset in offsets.items()})

    async def catalogue_ids(self) -> frozenset[str]:
        """Return the ids of the items that look-ups know."""
        with answered("state: reading the ids of the catalogue"):
            found: Any = await self._client.hkeys(CATALOG)
        return frozenset(item_id.decode() for item_id in found)

    async def put_similar(self, similar: Mapping[str, Sequence[tuple[str, float]]]) -> None:
        """Write, for each item, its content-similar items with scores, best first."""
        with answered(f"state: writing similar items of {len(similar)} items"):
            await self._call_all(
                ("SET", similar_key(item_id), orjson.dumps(others)) for item_id, others in similar.items()
            )

    async def current_model(self) -> ModelPointer | None:
        """Return the model that workers follow, or None before the first was promoted."""
        with answered("state: reading the current model"):
            found: Any = await self._client.hgetall(MODEL)
        if not found:
            return None
        return ModelPointer(found[b"version"].decode(), found[b"uri"].decode(), int(found[b"promoted_at"]))

    async def move_model(self, pointer: ModelPointer, expected: str | None = ANY_VERSION) -> bool:
        """Let all workers follow this model.

        Parameters
        ----------
        pointer : where to.
        expected : version that must serve until now, None for none; by default it does not matter.

        Returns
        -------
        Whether the pointer was moved: False if another version than the expected one serves.
        """
        fields: dict[Any, Any] = {"version": pointer.version, "uri": pointer.uri, "promoted_at": pointer.promoted_at}
        with answered(f"state: moving the current model to {pointer.version!r}"):
            if expected == ANY_VERSION:
                await self._client.hset(MODEL, mapping=fields)
                return True
            async with self._client.pipeline(transaction=True) as pipeline:
                await pipeline.watch(MODEL)
                serving: Any = await pipeline.hget(MODEL, "version")
                if (serving.decode() if serving else None) != expected:
                    return False
                pipeline.multi()  # type: ignore[no-untyped-call]  # redis-py's
                pipeline.hset(MODEL, mapping=fields)
                try:
                    await pipeline.execute()
                except WatchError:
                    return False
        return True

    async def positions(self, partition: int) -> dict[str, int]:
        """Return the last offset of each topic whose item counters of this partition are applied."""
        with answered(f"state: reading the positions of partition {partition}"):
            found: Any = await self._client.hgetall(PartitionKeys.of(partition).at)
        return {
            field.decode().removeprefix("at:").rpartition(":")[0]: int(offset)
            for field, offset in found.items()
            if field.startswith(b"at:")
        }

    async def _call_all(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Send all calls in one round trip; each is atomic, the pipeline is not a transaction."""
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call)
        return await pipeline.execute()


def _item_json(item: Item) -> bytes:
    return orjson.dumps({"title": item.title, "year": item.year, "genres": item.genres})


def _grouped(events: Iterable[SourcedEvent], key: Callable[[SourcedEvent], T]) -> dict[T, list[SourcedEvent]]:
    groups: dict[T, list[SourcedEvent]] = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return groups


def _chunks(values: Sequence[T]) -> Iterable[Sequence[T]]:
    return (values[first : first + _CHUNK] for first in range(0, len(values), _CHUNK))
