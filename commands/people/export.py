"""``reelstream export``: all that is known of a user, from every store, as JSON."""

from pathlib import Path
from typing import Any

import click
import orjson

from commands.parts.options import USER_ID, address_options, archive_option, given_settings, partitions_option
from commands.parts.telling import waiting

__all__ = ["export"]


@click.command()
@click.argument("user_id", metavar="USER", type=USER_ID)
@address_options
@partitions_option
@archive_option
@click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write into this file instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in one line.")
def export(user_id: str, url: str, *, out: Path | None, as_json: bool, **given: Any) -> None:
    """Print all that is known about USER.

    Redis, the topics, rows of model versions and the archive are searched, and what they hold is printed as JSON. All
    topics whose records may name a user are read from their first record on.
    """
    from streams.errors import DataError
    from streams.people.export import export_user

    settings = given_settings(given)
    with waiting(f"collecting what is known of {user_id}", quiet=as_json):
        found = export_user(settings, user_id, url)
    text = orjson.dumps(found, option=0 if as_json else orjson.OPT_INDENT_2)
    if out is None:
        click.echo(text.decode())
        return
    try:
        out.write_bytes(text + b"\n")
    except OSError as error:
        raise DataError(f"export: a file that can be written is required, got {error}") from error
    click.echo(f"written to {out}", err=True)
