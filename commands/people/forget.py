"""``reelstream forget``: a user forgotten in every store, and what Kafka still holds."""

from typing import TYPE_CHECKING, Any

import click

from commands.parts.options import USER_ID, address_options, archive_option, given_settings, partitions_option
from commands.parts.telling import say_next
from commands.people.asking import ask_and_tell

if TYPE_CHECKING:
    from streams.people.asking import PeopleRequests

__all__ = ["forget"]


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
    from streams.people.report import forget_user

    if wait < 0:
        raise RecordError(f"forget: --wait of at least 0 seconds is required, got {wait!r}")
    settings = given_settings(given)

    async def ask(requests: "PeopleRequests") -> dict[str, Any]:
        return await forget_user(settings, requests, user_id, url, wait)

    ask_and_tell(settings, f"forgetting {user_id}", ask, _print, as_json=as_json)


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
