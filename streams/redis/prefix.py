"""The prefix of an installation before every key: put there as commands leave, taken off where Redis names keys.

So all else names keys as docs/reference/redis.md does, several installations share one Redis, and none can forget its
prefix. It stands before the hash tag, so the keys of one user stay in one slot; a key that begins with a tag has it
within the tag too, as that names the slot of another key. A command whose keys are not known here is refused: it might
reach another installation's.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.cluster import RedisCluster

from streams.redis.routing import RoutedCluster

__all__ = [
    "PrefixedAsyncRedis",
    "PrefixedCluster",
    "PrefixedRedis",
    "PrefixedRoutedCluster",
    "is_own_key",
    "prefix_of",
    "prefix_of_key",
    "with_prefix",
]

_NO_KEYS = frozenset(
    (
        *("ACL", "AUTH", "CLIENT", "CLUSTER", "CONFIG", "DBSIZE", "DISCARD", "EXEC", "FLUSHDB", "FUNCTION", "HELLO"),
        *("INFO", "MULTI", "PING", "SCRIPT", "SELECT", "SWAPDB", "TIME", "UNWATCH", "WAIT"),
    )
)
_ALL_KEYS = frozenset(("DEL", "EXISTS", "MGET", "UNLINK", "WATCH"))
_TWO_KEYS = frozenset(("COPY", "RENAME", "RENAMENX"))
_AROUND = ("delete", "exists", "unlink", "watch")  # which a cluster's pipeline sends past its execute_command
_COUNTED_KEYS = frozenset(("EVAL", "FCALL", "FCALL_RO"))  # name or script, how many keys, the keys, the rest
_ONE_KEY = frozenset(
    (
        *("DUMP", "EXPIRE", "GET", "KEYS", "PERSIST", "PEXPIRE", "PTTL", "RESTORE", "SET", "STRLEN", "TTL", "TYPE"),
        *(
            "HDEL",
            "HEXISTS",
            "HGET",
            "HGETALL",
            "HINCRBY",
            "HKEYS",
            "HLEN",
            "HMGET",
            "HSCAN",
            "HSET",
            "HSETNX",
            "HVALS",
        ),
        *("LINDEX", "LLEN", "LPUSH", "LRANGE", "LREM", "LTRIM", "RPUSH"),
        *("SADD", "SCARD", "SISMEMBER", "SMEMBERS", "SMISMEMBER", "SREM", "SSCAN"),
        *("ZADD", "ZCARD", "ZMSCORE", "ZRANGE", "ZREM", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREVRANGE"),
        *("ZSCAN", "ZSCORE"),
    )
)
_FAMILIES = re.compile(
    r"([A-Za-z0-9._-]*?)"
    r"((?:user|items):\{|(?:hot|similar|catalog|hints|alive|model|experiment|modes|topics|quality|state):"
    r"|\{[A-Za-z0-9._-]*quality:live\}:)"
)


class _PrefixedKey(str):
    """A key that has its prefix: redis-py sends what a cluster redirects through the client once more."""

    __slots__ = ()


def prefix_of(client: object) -> str:
    """Return the prefix that a client of ``streams.redis.connection`` puts before keys; none of any other."""
    return str(getattr(client, "key_prefix", ""))


def prefix_of_key(key: str) -> str | None:
    """Return the prefix of the installation that a key, as Redis names it, belongs to; None where it is of no such."""
    found = _FAMILIES.match(key)
    return None if found is None else found[1]


def is_own_key(key: str, prefix: str) -> bool:
    """Return whether a key, as Redis names it, is of the installation with this prefix, or of nobody else."""
    return key.startswith(prefix) and prefix_of_key(key) in (prefix, None)


def with_prefix(prefix: str, command: Sequence[Any]) -> tuple[Any, ...]:
    """Return a command with the prefix before each of its keys, and before the pattern of a ``SCAN``.

    Parameters
    ----------
    prefix : of the installation; without one every command stays as it is.
    command : its words, the first of which is its name.

    Raises
    ------
    ValueError
        If it is not known which of its words are keys.
    """
    if not prefix:
        return tuple(command)
    words = list(command)
    name = str(words[0]).upper()
    if name in _ONE_KEY:
        keys = range(1, 2)
    elif name in _COUNTED_KEYS:
        keys = range(3, 3 + int(words[2]))
    elif name in _ALL_KEYS:
        keys = range(1, len(words))
    elif name in _TWO_KEYS:
        keys = range(1, 3)
    elif name == "ZUNIONSTORE":
        words[1] = _prefixed(prefix, words[1])
        keys = range(3, 3 + int(words[2]))
    elif name == "SCAN":
        return _scan(prefix, words)
    elif name.partition(" ")[0] in _NO_KEYS:
        return tuple(words)
    else:
        raise ValueError(f"redis: a command whose keys streams/redis/prefix.py knows is required, got {name!r}")
    for at in keys:
        words[at] = _prefixed(prefix, words[at])
    return tuple(words)


def _prefixed(prefix: str, key: Any) -> _PrefixedKey:
    if isinstance(key, _PrefixedKey):
        return key
    name = key.decode() if isinstance(key, bytes) else str(key)
    return _PrefixedKey(f"{prefix}{{{prefix}{name[1:]}" if name.startswith("{") else prefix + name)


def _scan(prefix: str, words: list[Any]) -> tuple[Any, ...]:
    """Let a ``SCAN`` name keys with the prefix alone."""
    for at, word in enumerate(words):
        if isinstance(word, bytes | str) and word in (b"MATCH", "MATCH"):
            words[at + 1] = _prefixed(prefix, words[at + 1])
            return tuple(words)
    return (*words, "MATCH", _PrefixedKey(f"{prefix}*"))


def _scanned(prefix: str, command: Sequence[Any], reply: Any) -> Any:
    """Return a reply with keys as we name them; one of another command as it is.

    Another installation's prefix may begin with this one; its keys are left out.
    """
    name = str(command[0]).upper() if prefix else ""
    if name == "KEYS":
        return _own(prefix, reply)
    if name == "SCAN":
        cursor, keys = reply
        return cursor, _own(prefix, keys)
    return reply


def _own(prefix: str, keys: Sequence[Any]) -> list[Any]:
    names = [(key, key if isinstance(key, str) else key.decode(errors="surrogateescape")) for key in keys]
    return [_named(prefix, key) for key, name in names if is_own_key(name, prefix)]


def _named(prefix: str, key: Any) -> Any:
    """Return a key as we name it, bytes or text as it came."""
    begin: Any = f"{{{prefix}"
    brace: Any = "{"
    if isinstance(key, bytes):
        begin, brace = begin.encode(), brace.encode()
    name = key[len(prefix) :]
    return brace + name[len(begin) :] if name.startswith(begin) else name


class _Prefixing:
    """What all clients do with pipelines."""

    key_prefix = ""

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """Return a pipeline whose commands get the prefix; which class it has depends on the client."""
        parent: Any = super()
        made = parent.pipeline(*args, **options)
        if self.key_prefix:
            queue: Callable[..., Any] = made.execute_command
            made.execute_command = lambda *words, **given: queue(*with_prefix(self.key_prefix, words), **given)
            for name in _AROUND:
                setattr(made, name, self._with_prefixed_keys(getattr(made, name)))
        return made

    def _with_prefixed_keys(self, send: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *keys: send(*(_prefixed(self.key_prefix, key) for key in keys))


class _Asynchronous(_Prefixing):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command with the prefix before its keys."""
        parent: Any = super()
        reply = await parent.execute_command(*with_prefix(self.key_prefix, args), **options)
        return _scanned(self.key_prefix, args, reply)


class _Synchronous(_Prefixing):
    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command with the prefix before its keys."""
        parent: Any = super()
        return _scanned(self.key_prefix, args, parent.execute_command(*with_prefix(self.key_prefix, args), **options))


class PrefixedAsyncRedis(_Asynchronous, AsyncRedis):  # type: ignore[misc]  # redis-py's own bases disagree
    """A client of one server."""


class PrefixedRoutedCluster(_Asynchronous, RoutedCluster):  # type: ignore[misc]  # same
    """A client of a cluster."""


class PrefixedRedis(_Synchronous, Redis):
    """A synchronous client of one server."""


class PrefixedCluster(_Synchronous, RedisCluster):
    """A synchronous client of a cluster."""
