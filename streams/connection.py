"""A connection to Redis with timeouts and retries chosen for us, and its failures told in one line.

Retrying is safe because every write we send is guarded by a position or a sequence, or replaces a value whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from streams.errors import StateError

__all__ = ["answered", "connect", "connect_to_read"]

_ATTEMPTS = 4  # waits of at most 0.1, 0.2, 0.4 and 0.8 s: longer than a failover's blink, shorter than a session
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 1.0
_CONNECT_S = 2.0  # a local network answers within milliseconds
_ANSWER_S = 5.0  # the slowest call, a rescaling of every trending weight, takes tens of milliseconds


def connect(url: str, attempts: int = _ATTEMPTS) -> AsyncRedis:
    """Return a client for the worker; nothing is sent yet. ``attempts`` is how often a failed call is repeated."""
    return AsyncRedis.from_url(
        url,
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=_ANSWER_S,
        retry=AsyncRetry(_backoff(), attempts),
        health_check_interval=30,
    )


def connect_to_read(url: str) -> "redis.Redis":
    """Return a synchronous client for looking things up; nothing is sent yet. It fails fast: a person waits."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=_ANSWER_S,
        retry=Retry(_backoff(), 1),
        decode_responses=True,
    )


@contextmanager
def answered(where: str) -> Iterator[None]:
    """Turn a failure of Redis inside the block into a StateError of one line that says where it happened."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise StateError(f"{where}: an answer from Redis is required, got {_one_line(error)}") from error


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=_FIRST_WAIT_S, cap=_LONGEST_WAIT_S)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
