"""``reelstream digest``: the fingerprint of the event state in Redis, and whether two databases hold the same."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import orjson

if TYPE_CHECKING:
    from streams.rebuild.digest import Digest, DigestComparison

__all__ = ["digest"]

TELL_S = 0.2  # between two redrawings of the line on the terminal


@click.command()
@click.argument("url", metavar="[URL]", required=False)
@click.argument("other", metavar="[URL2]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def digest(*, url: str | None, other: str | None, as_json: bool) -> None:
    """Print a digest of what the events have made in Redis.

    With URL2 both are compared; exit with 1 if they differ. A Redis without users proves nothing, and is an error. URL
    defaults to REELSTREAM_REDIS; it may name a server's logical database or a cluster. Nobody should write meanwhile.
    Lists, modes, positions and expiry are left out, as they are no function of the events.
    """
    from streams.settings import Settings

    settings = Settings.from_environment(redis=url)
    first, prefix = settings.redis, settings.prefix
    _require_rights(first, prefix)
    if other is None:
        taken = asyncio.run(_take(first, prefix))
        _print_digest(first, taken, as_json=as_json)
        _require_users(first, taken)
        return
    second = Settings.from_environment(redis=other).redis
    _require_rights(second, prefix)
    found = asyncio.run(_compare(first, second, prefix))
    _print_comparison((first, second), found, as_json=as_json)
    _require_users(first, found.first)
    _require_users(second, found.second)
    sys.exit(0 if found.is_equal else 1)


def _require_rights(url: str, prefix: str) -> None:
    from streams.redis.connection import connect_to_read
    from streams.state.rights import require_rights

    with connect_to_read(url, prefix=prefix) as client:
        require_rights(client, "digest", lambda line: click.echo(f"reelstream: {line}", err=True))


def _require_users(url: str, found: "Digest") -> None:
    """Raise StateError for a Redis without users, which equals any other such one and proves nothing."""
    from streams.errors import StateError
    from streams.settings import without_password

    if found.users == 0:
        raise StateError(f"digest: a Redis with users is required, got none in {without_password(url)}")


async def _take(url: str, prefix: str) -> "Digest":
    from streams.rebuild.digest import take_digest
    from streams.redis.connection import connect

    client = connect(url, prefix=prefix)
    try:
        with _line() as progress:
            return await take_digest(client, progress)
    finally:
        await client.aclose()


async def _compare(first: str, second: str, prefix: str) -> "DigestComparison":
    from streams.rebuild.digest import compare_databases
    from streams.redis.connection import connect

    clients = connect(first, prefix=prefix), connect(second, prefix=prefix)
    try:
        with _line() as progress:
            return await compare_databases(*clients, progress=progress)
    finally:
        for client in clients:
            await client.aclose()


def _print_digest(url: str, found: "Digest", *, as_json: bool) -> None:
    from streams.settings import without_password

    if as_json:
        click.echo(orjson.dumps({"redis": without_password(url)} | asdict(found)).decode())
        return
    click.echo(f"{found.sha256}  {without_password(url)}")
    click.echo(f"{found.users:,} users, {found.events:,} events, {found.partitions} partitions")
    for section in found.sections:
        click.echo(f"  {section.name:<10} {section.keys:>10,} keys  {section.sha256}")


def _print_comparison(urls: tuple[str, str], found: "DigestComparison", *, as_json: bool) -> None:
    from streams.settings import without_password

    names = [without_password(url) for url in urls]
    if as_json:
        click.echo(orjson.dumps({"redis": names, "equal": found.is_equal} | asdict(found)).decode())
        return
    for name, taken in zip(names, (found.first, found.second), strict=True):
        click.echo(f"{taken.sha256}  {name}  {taken.users:,} users, {taken.events:,} events")
    for mine, theirs in zip(found.first.sections, found.second.sections, strict=True):
        differ = found.different[mine.name]
        told = f"{differ:,} differ" if differ else "equal"
        click.echo(f"  {mine.name:<10} {mine.keys:>10,} keys {theirs.keys:>10,} keys  {told}")
    differ = found.different["weights"]
    told = f"{differ:,} keys differ" if differ else "equal"
    click.echo(f"  weights    {found.weights:>10,} compared, largest relative difference {found.largest:.1e}: {told}")
    for example in found.examples:
        click.echo(f"{example.section} of {example.key}\n  first   {example.first}\n  second  {example.second}")


@contextmanager
def _line() -> Iterator[Callable[[int], None] | None]:
    """Show how far the reading is on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    told_at = 0.0

    def tell(users: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_S:
            told_at = time.monotonic()
            click.echo(f"\rread {users:,} users", err=True, nl=False)

    yield tell
    click.echo("\r\033[K", err=True, nl=False)
