"""What an ACL user of Redis must be allowed, looked at before anything starts: each missing right is one line.

Every command that a role will send, alone or from within a function, is put into a transaction that is thrown away
(``MULTI``, and an end of the connection): the server refuses there and then what the user may not do, and does nothing.
So this needs no right of an administrator. A user without ``MULTI`` is not looked at, and meets what is missing when it
is needed.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import NoPermissionError, ResponseError

from streams.errors import StateError
from streams.redis.connection import answered
from streams.redis.prefix import prefix_of, with_prefix
from streams.state.calls import LIBRARY
from streams.state.keys import (
    CATALOG,
    CATALOG_REJECTED,
    DATA_REQUESTS_REJECTED,
    EXPERIMENT,
    HINT_LIFTS,
    HINTS_REJECTED,
    HOLD,
    MODEL,
    MODEL_MOVES,
    NEW_ITEMS,
    OVERRIDES,
    QUALITY,
    QUALITY_SERIES,
    QUALITY_USERS,
    TOPIC_IDS,
    TRENDING_ALL,
    TRENDING_GENRES,
    PartitionKeys,
    SourceKeys,
    UserKeys,
    genre_key,
    sentence_key,
    similar_key,
)
from streams.state.library import code_of_library, holds

__all__ = ["missing_rights", "primaries", "require_rights"]

logger = logging.getLogger(__name__)
_USER, _PARTITION, _SOURCE = UserKeys.of("ann"), PartitionKeys.of(0), SourceKeys.of(0, "watch")
_LOAD = ("FUNCTION", "LOAD", "REPLACE", "#!lua")
_TWO_WORDS = ("FUNCTION", "CONFIG")
Call = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Right:
    """A command as it will be sent, and what it is for."""

    feature: str
    call: Call

    @property
    def name(self) -> str:
        """The command as people write it."""
        return " ".join(str(word) for word in self.call[: 2 if self.call[0] in _TWO_WORDS else 1])

    def line(self, role: str, error: Exception, prefix: str) -> str:
        """Say that it is missing, and the cure, of an installation whose keys have this prefix."""
        got = " ".join(str(error).split())
        if "a key" in got:  # as against "the 'key...' command"
            key = next(str(word) for word in with_prefix(prefix, self.call)[1:] if ":" in str(word))
            is_tagged = key.startswith(f"{prefix}{{")
            family = f"{key.partition('}')[0]}}}*" if is_tagged else f"{key.partition(':')[0]}:*"
            return (
                f"{role}: {self.name} of the key {key!r} must be allowed for {self.feature}, got {got!r}; "
                f"an administrator allows it with ACL SETUSER <user> ~{family}"
            )
        grant = self.name.lower().replace(" ", "|")
        return (
            f"{role}: {self.name} must be allowed for {self.feature}, got {got!r}; an administrator allows it with "
            f"ACL SETUSER <user> +{grant}"
        )


def _rights(feature: str, *calls: Call) -> tuple[_Right, ...]:
    return tuple(_Right(feature, call) for call in calls)


def _life(role: str) -> tuple[_Right, ...]:
    index = f"alive:{role}"
    return _rights(
        "signs of life", ("SET", f"{index}:h:1", "{}"), ("ZADD", index, 1, "h:1"), ("ZREMRANGEBYSCORE", index, 0, 1)
    )


def _lease(role: str) -> tuple[_Right, ...]:
    key = f"alive:id:{role}:x"
    taken: tuple[Call, ...] = (("GET", key), ("PTTL", key), ("PEXPIRE", key, 1), ("SET", key, ""), ("DEL", key))
    return _rights("its lease, one process at a time", ("EVAL", "return 1", 1, key), *taken)


_FUNCTIONS = (
    *_rights("finding out which server answers", ("INFO", "server")),
    *_rights("its functions", _LOAD, ("FCALL", f"{LIBRARY}_move_model", 1, MODEL)),
)
_POINTER = _rights("the model that serves", ("HGETALL", MODEL))
_SERVING = _rights(
    "letting a version serve",
    ("HGET", MODEL, ""),
    ("HMGET", MODEL, "version"),
    ("HSET", MODEL, "version", ""),
    ("HDEL", MODEL, ""),
    ("ZADD", MODEL_MOVES, 1, ""),
    ("ZREMRANGEBYRANK", MODEL_MOVES, 0, -2),
)
_TOPICS = _rights(
    "telling topics that were made anew",
    ("HSETNX", TOPIC_IDS, "", ""),
    ("HSET", TOPIC_IDS, "", ""),
    ("HGETALL", TOPIC_IDS),
    ("DEL", CATALOG_REJECTED),
    ("DEL", HINTS_REJECTED),
    ("DEL", DATA_REQUESTS_REJECTED),
)
_USERS = _rights(
    "users and their lists",
    ("FCALL", f"{LIBRARY}_apply", 1, _USER.profile),
    ("FCALL_RO", f"{LIBRARY}_read", 1, _USER.profile),
    ("HMGET", _USER.profile, "mode"),
    ("HGET", _USER.profile, "mode"),
    ("HSET", _USER.profile, "mode", ""),
    ("HGETALL", _USER.genres),
    ("EXISTS", _USER.hidden),
    ("LINDEX", _USER.recent, 0),
    ("LRANGE", _USER.recent, 0, 0),
    ("LPUSH", _USER.recent, ""),
    ("RPUSH", _USER.recent, ""),
    ("LTRIM", _USER.recent, 0, 0),
    ("SADD", _USER.seen, ""),
    ("SCARD", _USER.seen),
    ("SMISMEMBER", _USER.seen, ""),
    ("HINCRBY", _USER.again, "", 1),
    ("GET", _USER.watch_ids),
    ("LREM", _USER.recent, 1, ""),
    ("SREM", _USER.seen, ""),
    ("HDEL", _USER.again, ""),
    ("PEXPIRE", _USER.profile, 1),
    ("TIME",),
    ("SET", _USER.recs, ""),
)
_ITEMS = _rights(
    "item counters and positions",
    ("HGET", _PARTITION.at, "server"),
    ("HMGET", _PARTITION.at, "server"),
    ("HSET", _PARTITION.at, "server", ""),
    ("ZADD", _SOURCE.trending, 0, ""),
    ("ZMSCORE", _SOURCE.trending, ""),
    ("ZREM", _SOURCE.trending, ""),
    ("HDEL", _PARTITION.watches, ""),
    ("ZUNIONSTORE", _SOURCE.trending, 1, _SOURCE.trending),
    ("ZREMRANGEBYSCORE", _SOURCE.trending, 0, 0),
)
_TRENDING = _rights(
    "trending",
    ("ZRANGE", _SOURCE.trending, 0, 0),
    ("DEL", TRENDING_ALL),
    ("ZADD", genre_key("x"), 0, ""),
    ("ZREVRANGE", TRENDING_ALL, 0, 0),  # redis-py's word for a range that begins with the highest
    ("SMEMBERS", TRENDING_GENRES),
    ("SADD", TRENDING_GENRES, ""),
    ("SREM", TRENDING_GENRES, ""),
)
_TITLES = _rights(
    "titles and similar items",
    ("HSET", CATALOG, "", ""),
    ("HKEYS", CATALOG),
    ("EXISTS", CATALOG),
    ("HDEL", CATALOG, ""),
    ("SET", similar_key("x"), ""),
    ("DEL", similar_key("x")),
    ("GET", sentence_key("x")),
    ("SET", sentence_key("x"), "", "EX", 1),
    ("SCAN", 0),  # all lists, to take what left the catalogue out of them
    ("GET", _USER.recs),
    ("HGETALL", CATALOG_REJECTED),
    ("HGETALL", HINTS_REJECTED),
    ("HSET", HINTS_REJECTED, "", ""),
    ("HGETALL", DATA_REQUESTS_REJECTED),
    ("HSET", DATA_REQUESTS_REJECTED, "", ""),
    ("HMGET", CATALOG, ""),
    ("GET", HINT_LIFTS),
)
_CHOICES = _rights(
    "experiments and modes chosen by hand",
    ("GET", EXPERIMENT),
    ("HLEN", OVERRIDES),
    ("HGETALL", OVERRIDES),
)
_EXPOSURE = _rights(
    "places for new items",
    ("HMGET", _PARTITION.watches, ""),
    ("GET", QUALITY),
    ("SET", NEW_ITEMS, "", "EX", 1),
    ("GET", NEW_ITEMS),
)
_FORGETTING = _rights(
    "forgetting users",
    ("DEL", _USER.profile),
    ("EXISTS", _USER.profile),
    ("RENAME", _USER.profile, _USER.recent),
    ("HDEL", OVERRIDES, ""),
)
_MERGING = _rights(
    "merging guests into accounts",
    ("HGETALL", _USER.profile),
    ("HDEL", _USER.profile, ""),
    ("SMEMBERS", _USER.seen),
    ("GET", _USER.merged),
    ("SET", _USER.merged, ""),
    ("SADD", _USER.guests, ""),
    ("SREM", _USER.guests, ""),
    ("EXISTS", _USER.guests),
)
_FIGURES = _rights(
    "live figures",
    ("GET", QUALITY),
    ("SET", QUALITY, ""),
    ("EVAL", "return 1", 1, QUALITY_SERIES),
    ("LINDEX", QUALITY_SERIES, 0),
    ("LPUSH", QUALITY_SERIES, ""),
    ("LTRIM", QUALITY_SERIES, 0, 0),
    ("HGET", QUALITY_USERS, ""),
    ("HGETALL", QUALITY_USERS),
    ("HSET", QUALITY_USERS, "", ""),
    ("DEL", QUALITY_USERS),
)
_DIGEST = _rights(
    "going over all users",
    ("SCAN", 0),
    ("HMGET", _USER.profile, "mode"),
    ("LRANGE", _USER.recent, 0, 0),
    ("SMEMBERS", _USER.seen),
    ("GET", _USER.watch_ids),
    ("HGETALL", _USER.genres),
    ("HSCAN", _PARTITION.watches, 0),
    ("ZSCAN", _SOURCE.trending, 0),
)
_REBUILD = (
    *_FUNCTIONS,
    *_TOPICS,
    *_USERS,
    *_ITEMS,
    *_rights("going over all users", ("SCAN", 0), ("DBSIZE",)),
    *_rights(
        "asking the workers to wait",
        ("SET", HOLD, ""),
        ("GET", HOLD),
        ("EXISTS", HOLD),
        ("DEL", HOLD),
        ("EVAL", "return 1", 1, HOLD),
        ("ZRANGE", "alive:worker", 0, 0),
        ("PTTL", "alive:worker:x"),
    ),
)
_SWITCH = _rights(
    "putting the rebuilt database in the live one's place",
    ("SWAPDB", 0, 1),
    ("SELECT", 0),
    ("COPY", MODEL, MODEL),
)
_LEAVE = _rights(
    "copying lists to another server", ("SCAN", 0), ("DUMP", MODEL), ("PTTL", MODEL), ("HMGET", _USER.profile, "mode")
)
_ARRIVE = _rights("copying lists from another server", ("RESTORE", MODEL, 0, ""), ("DBSIZE",))
_OF_ROLE: dict[str, tuple[_Right, ...]] = {
    "worker": (
        *_FUNCTIONS,
        *_USERS,
        *_ITEMS,
        *_TRENDING,
        *_TITLES,
        *_POINTER,
        *_TOPICS,
        *_CHOICES,
        *_EXPOSURE,
        *_FORGETTING,
        *_MERGING,
        *_rights("waiting for a rebuild", ("EXISTS", HOLD)),
        *_lease("worker"),
        *_life("worker"),
    ),
    "trainer": (
        *_FUNCTIONS,
        *_POINTER,
        *_SERVING,
        *_TOPICS,
        *_rights("knowing who withdrew a version", ("ZRANGE", MODEL_MOVES, 0, 0)),
        *_rights("keeping the versions of an experiment", ("GET", EXPERIMENT)),
        *_rights("lists by hints", ("SET", HINT_LIFTS, "")),
        *_lease("trainer"),
        *_life("trainer"),
    ),
    "scorekeeper": (
        *_FUNCTIONS,
        *_POINTER,
        *_SERVING,
        *_TOPICS,
        *_FIGURES,
        *_lease("scorekeeper"),
        *_life("scorekeeper"),
    ),
    "digest": _DIGEST,
    "rebuild": (*_REBUILD, *_FORGETTING, *_MERGING, *_SWITCH),
    "rebuild elsewhere": _LEAVE,
    "rebuild target": (*_FUNCTIONS, *_TOPICS, *_USERS, *_ITEMS, *_FORGETTING, *_MERGING, *_ARRIVE),
}


def primaries(client: Redis) -> Iterator[Redis]:
    """Give a client of each server that holds the state: of the one, or of every primary of a cluster."""
    cluster: Any = client  # the two kinds of client share no type
    if not isinstance(cluster, RedisCluster):
        yield client
        return
    shape: Any = cluster
    for node in shape.get_primaries():
        yield shape.get_redis_connection(node)


def require_rights(client: Redis, role: str, tell: Callable[[str], None]) -> None:
    """Raise StateError with the last line of ``missing_rights``, after the others were told, if there is any."""
    lines = missing_rights(client, role)
    for line in lines[:-1]:
        tell(line)
    if lines:
        raise StateError(lines[-1])


def missing_rights(client: Redis, role: str) -> tuple[str, ...]:
    """Return a line for each right that a role needs and the user of this connection lacks, on any of its servers.

    Parameters
    ----------
    client : synchronous, of a server or a cluster.
    role : a process, or ``digest``, or ``rebuild``; into another server that is ``rebuild elsewhere`` of the live one
        and ``rebuild target`` of the other.

    Raises
    ------
    StateAway, StateError
        If Redis does not answer, or refuses the connection.
    """
    lines: dict[str, None] = {}
    prefix = prefix_of(client)
    with answered(f"{role}: looking at what this user may do"):
        for server in primaries(client):
            for right, error in _refused(server, _OF_ROLE[role], role, prefix):
                if right.call != _LOAD or not _is_loaded(server):
                    lines[right.line(role, error, prefix)] = None
    return tuple(lines)


def _refused(
    server: Redis, rights: Sequence[_Right], role: str, prefix: str
) -> Iterator[tuple[_Right, NoPermissionError]]:
    pool: Any = server.connection_pool
    connection = pool.get_connection()
    try:
        try:
            _ask(connection, ("MULTI",))
        except NoPermissionError as error:
            logger.warning(
                "%s: MULTI is not allowed, so what else is missing shows only when it is needed: %s", role, error
            )
            return
        for right in rights:
            try:
                _ask(connection, with_prefix(prefix, right.call))
            except NoPermissionError as error:
                yield right, error
            except ResponseError:  # of a replica, of another slot, or full: that user may do it
                continue
    finally:
        connection.disconnect()  # the transaction is gone with it
        pool.release(connection)


def _ask(connection: Any, call: Call) -> Any:
    connection.send_command(*call)
    return connection.read_response()


def _is_loaded(server: Redis) -> bool:
    """Return whether an administrator has loaded our functions, the very same."""
    try:
        found: Any = server.function_list(library=LIBRARY, withcode=True)
    except NoPermissionError:
        return False
    return holds(found, code_of_library())
