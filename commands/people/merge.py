"""``reelstream merge``: a guest's history made an account's."""

from typing import TYPE_CHECKING, Any

import click

from commands.parts.options import USER_ID, address_options, given_settings, partitions_option
from commands.parts.telling import say_next
from commands.people.asking import ask_and_tell

if TYPE_CHECKING:
    from streams.people.asking import PeopleRequests

__all__ = ["merge"]


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
    from streams.people.report import merge_guest

    if guest == account:
        raise RecordError(f"merge: two users are required, got {guest!r} twice")
    if wait < 0:
        raise RecordError(f"merge: --wait of at least 0 seconds is required, got {wait!r}")
    settings = given_settings(given)

    async def ask(requests: "PeopleRequests") -> dict[str, Any]:
        return await merge_guest(settings, requests, guest, account, wait)

    ask_and_tell(settings, f"merging {guest} into {account}", ask, _print, as_json=as_json)


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
