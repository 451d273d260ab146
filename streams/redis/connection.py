"""Connections to Redis: a single server, a cluster, or the primary that Sentinels name, with retries chosen for us.

One address is enough for a server and for a cluster: the server is asked whether it is a member of one. Here a failure
also becomes one line, and one of two errors: waiting may cure ``StateAway``, a person must cure ``StateError``.

A call whose answer is lost may have been executed. Each kind of redis-py's clients repeats such a call by another rule:
one made from arguments ten times, one made from a URL never, a cluster's by a count of its own. Ours name their rule.
Repeating is safe because no call of ours adds up: each is guarded by a position, a sequence, a token or the value that
must be there, or replaces a value whole (docs/explanation/faults.md has the list). A time-out is not repeated, as it
took its time already; a caller that may wait longer asks anew (``agents.retry``).
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any, TypedDict, cast

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterError,
    ConnectionError,  # noqa: A004 - redis-py's; the built-in one is an OSError
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004 - same
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from streams.errors import SettingsError, StateAway, StateError
from streams.redis.packing import pack_in_c
from streams.redis.prefix import PrefixedAsyncRedis, PrefixedCluster, PrefixedRedis, PrefixedRoutedCluster
from streams.redis_url import SentinelService, names_sentinels
from streams.settings import without_password

__all__ = ["answered", "connect", "connect_to_read"]

_ATTEMPTS = 4  # waits of at most 0.1, 0.2, 0.4 and 0.8 s: longer than a server's restart, shorter than a session
_ATTEMPTS_ELSEWHERE = (
    1  # with a new look at the slots, or at who is primary: a failover takes seconds, which others wait
)
_FIRST_WAIT_S = 0.1
_MAX_WAIT_S = 1.0
_CONNECT_S = 2.0  # a local network answers within milliseconds
_ANSWER_S = 5.0  # the slowest call, a rescaling of every trending weight, takes tens of milliseconds
_READ_S = 3.0  # a person waits, and the look at a cluster or at Sentinels comes before
_SENTINEL_S = 1.0  # each is asked in turn, and knows the answer by heart
_REPEATED = (ConnectionError,)
_REFUSED = (AuthenticationError, AuthorizationError, ssl.SSLCertVerificationError)
_AWAY = (
    ConnectionError,
    TimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    TryAgainError,
    ClusterError,  # also CLUSTERDOWN, MASTERDOWN and too many redirections
    SlotNotCoveredError,
    OSError,
)
_AWAY_CODES = ("MISCONF ", "NOREPLICAS ", "BUSY ", "All slots are not covered")  # those without a class


class _Limits(TypedDict):
    socket_connect_timeout: float
    socket_timeout: float


def _limits(answer_s: float) -> _Limits:
    return {"socket_connect_timeout": _CONNECT_S, "socket_timeout": answer_s}


def connect(url: str, attempts: int = _ATTEMPTS, *, prefix: str = "", must_answer: bool = False) -> AsyncRedis:
    """Return a client for the worker; all it asks here is whether the server belongs to a cluster.

    Parameters
    ----------
    url : of a server, or of any member of a cluster: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user,
        password and redis-py's options; or of Sentinels (``streams.redis_url``), whose primary is found anew with each
        connection. A server that cannot be reached now counts as a single one.
    attempts : how often a call is repeated whose connection broke; at most once on a cluster or with Sentinels.
    prefix : put before every key (``streams.redis.prefix``); that of the settings, save where keys are read as they
        are.
    must_answer : whether a server that cannot be reached now is an error.

    Raises
    ------
    SettingsError
        If the URL has an option that does not exist, or a cluster's names a database other than 0.
    StateAway
        If it must answer and does not.
    """
    elsewhere = min(attempts, _ATTEMPTS_ELSEWHERE)
    limits = _limits(_ANSWER_S)
    client: Any  # a server's and a cluster's share no type
    with _usable(url):
        if names_sentinels(url):
            client = _primary(SentinelService.of(url), limits, elsewhere)
        elif _is_cluster(url, must_answer=must_answer):
            client = PrefixedRoutedCluster.from_url(url, **limits, retry=AsyncRetry(_backoff(), elsewhere))
        else:
            retry = AsyncRetry(_backoff(), attempts, _REPEATED)
            client = PrefixedAsyncRedis.from_url(url, **limits, retry=retry, health_check_interval=30)
            pack_in_c(client.connection_pool)
    client.key_prefix = prefix
    return cast("AsyncRedis", client)  # what we call is on both


def connect_to_read(
    url: str, answer_s: float = _READ_S, *, prefix: str = "", must_answer: bool = False
) -> "redis.Redis":
    """Return a synchronous client for looking things up, of a server, a cluster or a primary, as ``connect`` does.

    It fails fast, because a person waits: within 10 s from here to the first failing call. It decodes what it reads.
    """
    limits = _limits(answer_s)
    client: Any  # same
    with _usable(url):
        if names_sentinels(url):
            client = _primary_to_read(SentinelService.of(url), limits)
        elif _is_cluster(url, must_answer=must_answer):
            never = Retry(NoBackoff(), 0)  # it would ask the members for the slots again, the frozen one among them
            with answered("connecting to the cluster"):
                client = PrefixedCluster.from_url(url, **limits, retry=never, decode_responses=True)
        else:
            retry = Retry(_backoff(), 1, _REPEATED)
            client = PrefixedRedis.from_url(url, **limits, retry=retry, decode_responses=True)
    client.key_prefix = prefix
    return cast("redis.Redis", client)


class _Primary(PrefixedAsyncRedis):
    """A client of a primary; its connections to the Sentinels are closed with it."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - as redis-py has it
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        await pool.sentinel_manager.aclose()


class _PrimaryToRead(PrefixedRedis):
    """The same, synchronous."""

    def close(self) -> None:
        super().close()
        pool: Any = self.connection_pool
        pool.sentinel_manager.close()


def _primary(watched: SentinelService, limits: _Limits, attempts: int) -> AsyncRedis:
    own = watched.sentinel | _limits(_SENTINEL_S) | {"retry": AsyncRetry(NoBackoff(), 0)}  # made from arguments: 10
    manager = AsyncSentinel(watched.sentinels, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    retry = AsyncRetry(_backoff(), attempts, _REPEATED)
    options = {**limits, **watched.server, "retry": retry, "health_check_interval": 30}
    pool: Any = AsyncSentinelConnectionPool(watched.service, manager, **options)  # type: ignore[no-untyped-call]
    pack_in_c(pool)
    pool.make_connection()  # says which option does not exist
    return _Primary.from_pool(pool)


def _primary_to_read(watched: SentinelService, limits: _Limits) -> "redis.Redis":
    own = watched.sentinel | _limits(_SENTINEL_S) | {"retry": Retry(NoBackoff(), 0)}  # made from arguments: 10
    manager = Sentinel(watched.sentinels, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    options = {**limits, **watched.server, "retry": Retry(NoBackoff(), 0), "decode_responses": True}
    pool: Any = SentinelConnectionPool(watched.service, manager, **options)  # type: ignore[no-untyped-call]
    pool.make_connection()  # says which option does not exist
    return _PrimaryToRead.from_pool(pool)


@contextmanager
def answered(where: str) -> Iterator[None]:
    """Turn a failure of Redis inside the block into one line that says where it happened.

    Raises
    ------
    StateAway
        If Redis cannot serve for now: unreachable, loading, read-only, full, or a cluster without all its slots.
    StateError
        If waiting cures nothing: access refused, a wrong type, a missing function.
    """
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:
        kind = StateAway if _is_away(error) else StateError
        raise kind(f"{where}: an answer from Redis is required, got {_one_line(error)}{_cure(error)}") from error
    except (AttributeError, TypeError) as error:
        if not _is_closed_under_us(error):
            raise
        raise StateAway(f"{where}: an answer from Redis is required, got a connection closed under the call") from error


def _is_cluster(url: str, *, must_answer: bool) -> bool:
    """Ask once, without retries; what fails here fails again, and is told, at the first call, unless it must answer."""
    with redis.Redis.from_url(url, **_limits(_CONNECT_S), retry=Retry(NoBackoff(), 0)) as client:
        client.connection_pool.connection_kwargs["db"] = 0  # a cluster has no other, and would refuse to be asked
        try:
            found = cast("dict[str, object]", client.info("cluster"))
        except (RedisError, OSError) as error:
            if must_answer and _is_away(error):
                raise StateAway(f"connecting: an answer from Redis is required, got {_one_line(error)}") from error
            return False
    return found.get("cluster_enabled") == 1


@contextmanager
def _usable(url: str) -> Iterator[None]:
    """Turn what redis-py says about an unusable URL into a SettingsError without the password."""
    required = (
        "redis: a URL that redis-py takes, or redis+sentinel://, is required (REELSTREAM_REDIS, or as an argument)"
    )
    try:
        yield
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{required}, got {without_password(url)!r}: {_one_line(error)}") from error
    except RedisClusterException as error:
        raise SettingsError(
            "redis: a Redis Cluster must be addressed as redis://host:port/0, "
            f"got {without_password(url)!r}: {_one_line(error)}"
        ) from error


def _is_away(error: BaseException) -> bool:
    if any(isinstance(cause, _REFUSED) for cause in _causes(error)):
        return False
    if isinstance(error, _AWAY) or (isinstance(error, RedisClusterException) and isinstance(error.__cause__, _AWAY)):
        return True
    told = str(error).rpartition("caused error: ")[2]  # redis-py puts the failed command of a pipeline before it
    return told.lstrip("('\"").startswith(_AWAY_CODES)  # and on a cluster the error's arguments as a tuple


def _is_closed_under_us(error: AttributeError | TypeError) -> bool:
    """Tell the error of redis-py 8.1 that a call gets whose connection is closed by a failure of another call.

    Its asyncio connection then writes to None; see https://github.com/redis/redis-py/issues/4287.
    """
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    is_its_own = any(frame.f_globals.get("__name__") == "redis.asyncio.connection" for frame in frames)
    return is_its_own and str(error).startswith("'NoneType' object")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _cure(error: Exception) -> str:
    if isinstance(error, MovedError):
        return "; this server has become part of a cluster since we connected: start again"
    if isinstance(error, MasterNotFoundError):
        return "; see the name of the service in the address, and whether its Sentinels run there"
    return ""


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=_FIRST_WAIT_S, cap=_MAX_WAIT_S)


def _one_line(error: Exception) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, MasterNotFoundError):
        said = said.partition(" : <")[0]  # redis-py puts the insides of every client behind it
    return f"{type(error).__name__}: {said}"
