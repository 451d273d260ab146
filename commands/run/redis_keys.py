"""``reelstream redis``: the keys of one installation in a Redis that others may share, deleted or renamed."""

import asyncio
import sys
from typing import Any

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.options import given_settings

__all__ = ["redis"]

_SHOWN = 10  # keys named in the text; --json names all
_redis_option = click.option("--redis", help="URL of Redis or Valkey. [REELSTREAM_REDIS]")
_prefix_option = click.option("--prefix", help="Put before keys; '' for none. [REELSTREAM_PREFIX]")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(cls=SuggestingGroup)
def redis() -> None:
    """Delete or rename the keys of this installation."""


@redis.command()
@_redis_option
@_prefix_option
@click.option("--yes", is_flag=True, help="Delete them; without it they are only counted.")
@_json_option
def clear(*, yes: bool, as_json: bool, **given: Any) -> None:
    """Delete all keys of this installation.

    Other installations keep theirs, and so does anything else in the database. Running workers notice it, and read all
    events again; on a Redis Cluster stop them before.
    """
    from streams.redis.own_keys import clear_keys, count_keys
    from streams.settings import without_password

    settings = given_settings(given)
    n_deleted = asyncio.run(clear_keys(settings.redis, settings.prefix)) if yes else 0
    left = asyncio.run(count_keys(settings.redis, settings.prefix))
    where = without_password(settings.redis)
    if as_json:
        found = {"redis": where, "prefix": settings.prefix, "deleted": n_deleted, "own": left.own}
        click.echo(orjson.dumps(found | {"others": left.others}).decode())
        return
    whose = f"with the prefix {settings.prefix!r}" if settings.prefix else "without a prefix"
    n_own = n_deleted if yes else left.own
    click.echo(
        f"{n_own:,} keys {whose} in {where} {'were' if yes else 'would be'} deleted; {left.others:,} others stay"
    )
    if yes and left.own:
        click.echo(f"{left.own:,} came meanwhile; a process of this installation runs")
    if not yes:
        click.echo("--yes deletes them")


@redis.command()
@_redis_option
@_prefix_option
@click.option("--yes", is_flag=True, help="Rename them; without it they are only counted.")
@_json_option
def adopt(*, yes: bool, as_json: bool, **given: Any) -> None:
    """Put the prefix before the keys that an earlier release left without it.

    End every process of the installation before. A key whose new name is taken stays as it is and is named; exit
    status 1 says that there are such.
    """
    from streams.serving.known_topics import adopt_earlier_keys
    from streams.settings import without_password

    settings = given_settings(given)
    found = asyncio.run(adopt_earlier_keys(settings, is_tried=not yes))
    where = without_password(settings.redis)
    if as_json:
        told = {"redis": where, "prefix": settings.prefix, "renamed": found.renamed if yes else 0}
        click.echo(orjson.dumps(told | {"to_rename": 0 if yes else found.renamed, "kept": found.kept}).decode())
    else:
        done = "were" if yes else "would be"
        click.echo(f"{found.renamed:,} keys in {where} {done} renamed to begin with {settings.prefix!r}")
        for key in found.kept[:_SHOWN]:
            click.echo(f"not renamed, as there is such a key: {settings.prefix}{key}")
        if len(found.kept) > _SHOWN:
            click.echo(f"and {len(found.kept) - _SHOWN:,} more")
        if not yes:
            click.echo("--yes renames them")
    sys.exit(1 if found.kept else 0)
