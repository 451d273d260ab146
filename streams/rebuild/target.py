"""Where a rebuild goes: a database without keys of the installation, marked as unfinished until it is done.

An empty logical database of the same server can take the live one's place by ``SWAPDB``, unless other installations
share one of them. Any other database is filled all the same, and an operator gives its address to the workers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ResponseError

from streams.errors import StateError
from streams.rebuild.sharing import find_foreign_key, require_unshared
from streams.redis.connection import answered, connect
from streams.redis.own_keys import find_own_key
from streams.redis_url import database_of, in_database
from streams.settings import Settings, without_password
from streams.state.library import server_ids

__all__ = ["REBUILDING", "RebuildMarker", "RebuildTarget", "find_target"]

REBUILDING = "state:rebuilding"
_DATABASES = 16  # of a server that does not say how many it has
_DATABASE = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class RebuildMarker:
    """What is being rebuilt: topics by their prefix, and the live database's number where both may be swapped."""

    prefix: str
    partitions: int
    live: int | None

    def is_of(self, other: "RebuildMarker | None") -> bool:
        """Return whether another marker is of the same rebuild; the live database may be another one by now."""
        return other is not None and (self.prefix, self.partitions) == (other.prefix, other.partitions)


@dataclass(frozen=True, slots=True)
class RebuildTarget:
    """Where a rebuild goes.

    Parameters
    ----------
    url : of the database.
    live, index : numbers of the live and this database where they may be swapped, else None.
    is_resumed : whether an unfinished rebuild is there.
    """

    url: str
    live: int | None
    index: int | None
    is_resumed: bool


async def find_target(settings: Settings, to: str | None = None) -> RebuildTarget:
    """Find the database to rebuild into, and mark it.

    Parameters
    ----------
    settings : with the live database's URL.
    to : a database number of the same server, or a URL; by default an unfinished rebuild of this installation, else
        the next empty database of the same server.

    Raises
    ------
    StateError
        If it holds keys of this installation, but no unfinished rebuild of it; if it is the live one, or none is empty;
        or if it is not named and others share it or the live one, which cannot be swapped then.
    """
    if to is None:
        url = await _next_database(settings)
    elif _DATABASE.fullmatch(to):
        url = in_database(settings.redis, int(to))
    else:
        url = to
    live, target = (connect(at, prefix=settings.prefix) for at in (settings.redis, url))
    try:
        indexes = await _swappable(settings.redis, live, url, target)
        if indexes[0] is not None and to is None:
            await require_unshared(url, settings.prefix)
        elif indexes[0] is not None and await _is_shared((settings.redis, url), settings.prefix):
            indexes = None, None
        marker = RebuildMarker(settings.prefix, settings.partitions, indexes[0])
        is_resumed = await _mark(url, target, marker)
        return RebuildTarget(url, *indexes, is_resumed)
    finally:
        await live.aclose()
        await target.aclose()


async def _is_shared(urls: Sequence[str], prefix: str) -> bool:
    """Return whether one of these databases holds keys of others."""
    return any([await find_foreign_key(url, prefix) is not None for url in urls])


async def _next_database(settings: Settings) -> str:
    """Return an unfinished rebuild of this installation, or else the next empty database after the live one."""
    client = connect(settings.redis, prefix=settings.prefix)
    try:
        if _is_cluster(client):
            raise StateError(
                "rebuild: a Redis Cluster has one database, so another server must be named, got none; "
                "give --to URL of an empty one"
            )
        await require_unshared(settings.redis, settings.prefix)
        at = database_of(settings.redis)
        with answered("rebuild: looking for an empty database"):
            filled = await _filled(client)
            last = await _databases(client)
        marker = RebuildMarker(settings.prefix, settings.partitions, at)
        for index in filled:
            if index != at and marker.is_of(await _marker(in_database(settings.redis, index), settings.prefix)):
                return in_database(settings.redis, index)
    finally:
        await client.aclose()
    empty = [(at + step) % last for step in range(1, last) if (at + step) % last not in filled]
    if not empty:
        raise StateError(
            f"rebuild: an empty one of the {last} databases of {without_password(settings.redis)} is required, "
            "got none; delete what this installation has in another one (`reelstream redis clear --redis URL --yes`), "
            "or give --to N of one that others use too, or --to URL of another server"
        )
    return in_database(settings.redis, empty[0])


def _is_cluster(client: Any) -> bool:
    return isinstance(client, RedisCluster)


async def _filled(client: Redis) -> list[int]:
    found = await client.info("keyspace")
    return sorted(int(name.removeprefix("db")) for name in found if name.startswith("db"))


async def _databases(client: Redis) -> int:
    try:
        found: Any = await client.config_get("databases")
    except ResponseError:  # a managed server that lets nobody read its configuration
        return _DATABASES
    return int(found.get("databases", _DATABASES))


async def _swappable(live_url: str, live: Redis, url: str, target: Redis) -> tuple[int | None, int | None]:
    """Return both database numbers where one server holds both, else None twice; the same database is refused."""
    if await server_ids(live) != await server_ids(target):
        return None, None
    at, index = database_of(live_url), database_of(url)
    if at == index or _is_cluster(live):
        raise StateError(
            f"rebuild: another database than the live one is required, got {without_password(url)!r}; "
            "give --to another one"
        )
    return at, index


async def _marker(url: str, prefix: str) -> RebuildMarker | None:
    client = connect(url, prefix=prefix)
    try:
        return _read(await _stored(client))
    finally:
        await client.aclose()


async def _mark(url: str, target: Redis, marker: RebuildMarker) -> bool:
    """Mark a target without keys of this installation; return whether it was marked before."""
    stored = await _stored(target)
    cure = f"delete it (`reelstream redis clear --redis {without_password(url)} --yes`) or give --to another one"
    found = None if stored is not None else await find_own_key(url, marker.prefix)
    if found is not None:
        raise StateError(
            "rebuild: a database without keys of this installation, or an unfinished rebuild of it, is required, got "
            f"{without_password(url)} with {found!r}; {cure}"
        )
    if stored is not None and not marker.is_of(_read(stored)):
        raise StateError(
            f"rebuild: an unfinished rebuild of {asdict(marker)} is required, got {without_password(url)} with one of "
            f"{stored.decode(errors='replace')}; {cure}"
        )
    with answered("rebuild: marking the target"):
        await target.set(REBUILDING, orjson.dumps(marker))  # also one of before, of which ``live`` may be another
    return stored is not None


async def _stored(client: Redis) -> bytes | None:
    with answered("rebuild: looking for an unfinished rebuild"):
        found: Any = await client.get(REBUILDING)
    return None if found is None else bytes(found)


def _read(stored: bytes | None) -> RebuildMarker | None:
    if stored is None:
        return None
    try:
        fields = orjson.loads(stored)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, Mapping) or set(fields) != {"prefix", "partitions", "live"}:
        return None
    return RebuildMarker(fields["prefix"], fields["partitions"], fields["live"])
