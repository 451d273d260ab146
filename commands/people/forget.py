"""``reelstream forget``: a user forgotten in every store, and what Kafka still holds."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click
import orjson

from commands.parts.options import USER_ID, address_options, archive_option, given_settings, partitions_option
from commands.parts.telling import say_next, waiting

if TYPE_CHECKING:
    from streams.settings import Settings

__all__ = ["forget"]

PENDING = 3  # asked for, and not carried out everywhere yet


@click.command()
@click.argument("user_id", metavar="USER", type=USER_ID)
@address_options
@partitions_option
@archive_option
@click.option("--wait", default=10.0, show_default=True, metavar="SECONDS", help="How long to wait for the processes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def forget(user_id: str, url: str, *, wait: float, as_json: bool, **given: Any) -> None:
    """Forget USER in every store.

    The request goes to the topic data-requests; each process erases its own part, one that is down at its next start.
    Counters and trending keep what USER added, without a name. Events that come later count again.

    Exits with 0 when nothing is left, and with 3 while something is: run it again, it looks once more.
    """
    from streams.errors import RecordError

    if wait < 0:
        raise RecordError(f"forget: --wait of at least 0 seconds is required, got {wait!r}")
    settings = given_settings(given)
    with waiting(f"forgetting {user_id}", quiet=as_json):
        found = _forget(settings, user_id, url, wait)
    if as_json:
        click.echo(orjson.dumps(found).decode())
    else:
        _print(found)
    sys.exit(0 if found["done"] else PENDING)


def _forget(settings: "Settings", user_id: str, archive: str, wait_s: float) -> dict[str, Any]:
    from streams.people.asking import people_requests
    from streams.people.report import forget_user

    async def ask() -> dict[str, Any]:
        async with people_requests(settings) as asking:
            return await forget_user(settings, asking, user_id, archive, wait_s)

    return asyncio.run(ask())


def _print(found: dict[str, Any]) -> None:
    click.echo(
        f"asked as {found['request_id']}: {'carried out' if found['done'] else 'not carried out everywhere yet'}"
    )
    if not found["known"]:
        click.echo("nothing was known of this user")
    for store, places in found["erased"].items():
        if places:
            click.echo(f"erased from {store}: {', '.join(places)}")
    for store, places in found["left"].items():
        if places:
            click.echo(f"still in {store}: {', '.join(places)}")
    for one in found["pending"]:
        click.echo(f"pending: {one}")
    click.echo("Kafka still holds:")
    for kept in found["kafka"]:
        click.echo(f"  {kept['topic']}: {kept['told']}")
    if not found["done"]:
        say_next("forget", found["user_id"], why="looks again; what is open is not asked for twice")
