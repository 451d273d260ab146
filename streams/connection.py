"""Connections to Redis, a single server or a cluster, with timeouts and retries chosen for us.

One address is enough for both: the server is asked whether it is a member of a cluster. Retrying is safe because
every write we send is guarded by a position or a sequence, or replaces a value whole. Here a failure also becomes
one line, and it is decided whether waiting may cure it (``StateAway``) or a person must (``StateError``).
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import TypedDict, cast

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import RedisCluster
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

from streams.errors import SettingsError, StateAway, StateError
from streams.settings import without_password

__all__ = ["answered", "connect", "connect_to_read"]

_ATTEMPTS = 4  # waits of at most 0.1, 0.2, 0.4 and 0.8 s: longer than a failover's blink, shorter than a session
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 1.0
_CONNECT_S = 2.0  # a local network answers within milliseconds
_ANSWER_S = 5.0  # the slowest call, a rescaling of every trending weight, takes tens of milliseconds
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


_PATIENT: _Limits = {"socket_connect_timeout": _CONNECT_S, "socket_timeout": _ANSWER_S}


def connect(url: str, attempts: int = _ATTEMPTS) -> AsyncRedis:
    """Return a client for the worker; only whether it is a cluster is asked here.

    Parameters
    ----------
    url : of a server, or of any member of a cluster: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with user,
        password and redis-py's options. A server that cannot be reached now counts as a single one.
    attempts : how often a failed call is repeated.

    Raises
    ------
    SettingsError
        If the URL has an option that does not exist, or a cluster's names a database other than 0.
    """
    with _usable(url):
        retry = AsyncRetry(_backoff(), attempts)
        if _is_cluster(url):  # what we call is on both, though they share no type
            return cast("AsyncRedis", AsyncRedisCluster.from_url(url, **_PATIENT, retry=retry))
        return AsyncRedis.from_url(url, **_PATIENT, retry=retry, health_check_interval=30)


def connect_to_read(url: str) -> "redis.Redis":
    """Return a synchronous client for looking things up, of a server or a cluster, as ``connect`` does.

    It fails fast, because a person waits, and decodes what it reads.
    """
    with _usable(url):
        retry = Retry(_backoff(), 1)
        if _is_cluster(url):
            with answered("connecting to the cluster"):
                cluster = RedisCluster.from_url(url, **_PATIENT, retry=retry, decode_responses=True)
            return cast("redis.Redis", cluster)
        return redis.Redis.from_url(url, **_PATIENT, retry=retry, decode_responses=True)


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


def _is_cluster(url: str) -> bool:
    """Ask once, without retries; what fails here fails again, and is told, at the first call."""
    limits: _Limits = {"socket_connect_timeout": _CONNECT_S, "socket_timeout": _CONNECT_S}
    with redis.Redis.from_url(url, **limits, retry=Retry(NoBackoff(), 0)) as client:
        client.connection_pool.connection_kwargs["db"] = 0  # a cluster has no other, and would refuse to be asked
        try:
            found = cast("dict[str, object]", client.info("cluster"))
        except (RedisError, OSError):
            return False
    return found.get("cluster_enabled") == 1


@contextmanager
def _usable(url: str) -> Iterator[None]:
    """Turn what redis-py says about an unusable URL into a SettingsError without the password."""
    required = "redis: a URL that redis-py takes is required (REELSTREAM_REDIS, or as an argument)"
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
    return ""


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=_FIRST_WAIT_S, cap=_LONGEST_WAIT_S)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
