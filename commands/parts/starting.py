"""What a long-running process requires before it starts: servers that serve, and a name that nobody else has."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any, NoReturn

import click

from streams.errors import SettingsError, StateError
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.tracing.carrying import TraceCarrier

__all__ = ["end_fenced", "only_one", "require_servers", "tracing_of"]

_OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FENCED_STATUS = 70  # EX_SOFTWARE of sysexits, as a worker ends with on any error
OLDEST_REDIS = 7  # the first with functions
ASK_S = 2.0  # a local network answers within milliseconds


def require_servers(role: str, settings: Settings) -> None:
    """Raise StreamError unless the topics are there and Redis serves, before anything heavy is imported."""
    from streams.kafka.topics import verify_topics
    from streams.serving.known_topics import recognise_topics

    verify_topics(settings)
    _require_redis(role, settings)
    recognise_topics(settings)


def _require_redis(role: str, settings: Settings) -> None:
    """Raise StateError unless every primary is new enough, allows what the role does, and keeps what it is given."""
    from redis.exceptions import NoPermissionError

    from streams.redis.connection import answered, connect_to_read
    from streams.state.eviction import require_no_eviction
    from streams.state.rights import primaries, require_rights

    with connect_to_read(settings.redis, ASK_S, prefix=settings.prefix) as client:
        with answered(f"{role}: starting"), suppress(NoPermissionError):  # which is told with the other rights
            for server in primaries(client):
                found: Any = server.info("server")
                version = str(found["redis_version"])
                if int(version.partition(".")[0]) < OLDEST_REDIS:
                    raise StateError(
                        f"{role}: Redis {OLDEST_REDIS} or newer (or Valkey) is required for its functions, "
                        f"got version {version!r}; point REELSTREAM_REDIS at a newer server"
                    )
        require_rights(client, role, lambda line: click.echo(f"reelstream: {line}", err=True))
        require_no_eviction(client, role, is_allowed=settings.allow_eviction)


def tracing_of(role: str) -> "TraceCarrier":
    """Return what takes traces along in a process; it tells of them where OpenTelemetry's variables name who collects.

    Raises
    ------
    SettingsError
        If they do, and the extra is not installed.
    """
    from streams.tracing.carrying import TraceCarrier

    asking = next((name for name in _OTLP if os.environ.get(name)), None)
    if asking is None:
        return TraceCarrier()
    try:
        from streams.tracing.spans import ListSpans
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{role}: {asking} requires the extra `trace`, got none ({error}); install it with "
            f"pip install 'reelstream[trace]', or unset {asking}"
        ) from None
    return ListSpans(role, installed_version("reelstream"))


@contextmanager
def only_one(role: str, settings: Settings, name: str, cure: str) -> Iterator[None]:
    """Hold the lease of a name during the block; raise StateError if another living process holds it."""
    from streams.redis.connection import connect_to_read
    from streams.redis.lease import Lease

    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        lease = Lease(client, role, name, cure)
        lease.take()
        with lease.kept(end_fenced):
            yield


def end_fenced(error: StateError) -> NoReturn:
    """End at once: whoever has the name now has the partitions too, and what is not acknowledged is theirs."""
    click.echo(f"reelstream: {error}", err=True)
    logging.shutdown()
    os._exit(FENCED_STATUS)
