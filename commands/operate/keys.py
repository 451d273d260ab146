"""``reelstream keys``: who may ask the API for what."""

from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from commands.groups import SuggestingGroup
from commands.parts.drawing import table
from commands.parts.options import NAMED, keys_option
from commands.parts.telling import say_next
from web.api.keys import SCOPES, KeyFile, Scope

__all__ = ["keys"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(cls=SuggestingGroup)
def keys() -> None:
    """Make, list and remove keys of the HTTP API."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("read",),
    show_default=True,
    help="What it may: read lists, write events, operate versions; several times for several.",
)
@click.option(
    "--rate", type=click.FloatRange(min=0), help="Requests and events a second; 0 for no limit. [what `api` says]"
)
@keys_option
@_json_option
def add(name: str, *, scopes: tuple[Scope, ...], rate: float | None, keys: Path, as_json: bool) -> None:
    """Make a key for NAME and print it, once: only what tells it is kept."""
    key, made = KeyFile(keys).add(name, tuple(dict.fromkeys(scopes)), rate)
    if as_json:
        click.echo(orjson.dumps({"key": key, "key_id": made.key_id, "name": name, "scopes": made.scopes}).decode())
        return
    click.echo(key)
    click.echo(f"{made.key_id} {name}: {', '.join(made.scopes)}; it is not shown again", err=True)
    say_next("api", why="answers whoever has it")


@keys.command("list")
@keys_option
@_json_option
def list_keys(*, keys: Path, as_json: bool) -> None:
    """List the keys, without the keys themselves."""
    found = KeyFile(keys).all()
    if as_json:
        told = [
            {
                "key_id": one.key_id,
                "name": one.name,
                "scopes": one.scopes,
                "rate": one.rate,
                "created_ms": one.created_ms,
            }
            for one in found
        ]
        click.echo(orjson.dumps({"keys": told}).decode())
    elif not found:
        click.echo(f"no keys in {keys}: the api answers this machine alone, and everybody on it")
    else:
        rows = [("id", "name", "scopes", "rate", "made")]
        for one in found:
            rate = "as `api` says" if one.rate is None else f"{one.rate:g}/s" if one.rate else "no limit"
            made = datetime.fromtimestamp(one.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
            rows.append((one.key_id, one.name, " ".join(one.scopes), rate, made))
        click.echo(table(rows), nl=False)


@keys.command()
@click.argument("key_id", metavar="ID", type=NAMED)
@keys_option
@_json_option
def remove(key_id: str, *, keys: Path, as_json: bool) -> None:
    """Take the key of this ID away; a beginning of the id will do. It works no more within a second."""
    gone = KeyFile(keys).remove(key_id)
    click.echo(orjson.dumps({"removed": gone.key_id}).decode() if as_json else f"{gone.key_id} {gone.name}: removed")
