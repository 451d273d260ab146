"""``reelstream merge``: a guest's history made an account's."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.parts.options import USER_ID, address_options, given_settings, partitions_option
from commands.parts.telling import say_next, waiting

if TYPE_CHECKING:
    from streams.settings import Settings

__all__ = ["merge"]

PENDING = 3  # asked for, and not carried out yet


@click.command()
@click.argument("guest", metavar="GUEST", type=USER_ID)
@click.argument("account", metavar="ACCOUNT", type=USER_ID)
@address_options
@partitions_option
@click.option("--wait", default=10.0, show_default=True, metavar="SECONDS", help="How long to wait for a worker.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def merge(guest: str, account: str, *, wait: float, as_json: bool, **given: Any) -> None:
    """Make GUEST's history that of ACCOUNT.

    The request goes to the topic data-requests. What GUEST did, and does later, counts for ACCOUNT, who gets a new
    list; GUEST has none any more.

    Exits with 0 when that is done, and with 3 while it is not: run it again, it looks once more.
    """
    from streams.errors import RecordError

    if guest == account:
        raise RecordError(f"merge: two users are required, got {guest!r} twice")
    if wait < 0:
        raise RecordError(f"merge: --wait of at least 0 seconds is required, got {wait!r}")
    settings = given_settings(given)
    with waiting(f"merging {guest} into {account}", quiet=as_json):
        found = _merge(settings, guest, account, wait)
    if as_json:
        click.echo(orjson.dumps(found).decode())
    else:
        _print(found)
    sys.exit(0 if found["done"] else PENDING)


def _merge(settings: "Settings", guest: str, account: str, wait_s: float) -> dict[str, Any]:
    from streams.people.asking import people_requests
    from streams.people.report import merge_guest

    async def ask() -> dict[str, Any]:
        async with people_requests(settings) as asking:
            return await merge_guest(settings, asking, guest, account, wait_s)

    return asyncio.run(ask())


def _print(found: dict[str, Any]) -> None:
    click.echo(f"asked as {found['request_id']}: {'carried out' if found['done'] else 'not carried out yet'}")
    if not found["known"]:
        click.echo(f"nothing was known of this user; what {found['user_id']} does later counts for {found['account']}")
    if found["account"] != found["into"]:
        click.echo(f"{found['into']} was merged itself: the history goes to {found['account']}")
    if found["done"]:
        say_next("profile", found["account"])
    else:
        click.echo("pending: the workers, as soon as one is there")
        say_next("merge", found["user_id"], found["into"], why="looks again; it is not asked for twice")
