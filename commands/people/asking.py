"""What a request about people's data does alike in every command: it is put on the topic, waited for, and told."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import click
import orjson

from commands.parts.telling import waiting

if TYPE_CHECKING:
    from streams.people.asking import PeopleRequests
    from streams.settings import Settings

__all__ = ["ask_and_tell"]

PENDING = 3  # asked for, and not carried out everywhere yet


def ask_and_tell(
    settings: "Settings",
    doing: str,
    ask: "Callable[[PeopleRequests], Awaitable[dict[str, Any]]]",
    tell: Callable[[dict[str, Any]], None],
    *,
    as_json: bool,
) -> NoReturn:
    """Ask, tell what came of it, and exit with 0 where it is done, else with 3.

    Parameters
    ----------
    settings : addresses.
    doing : what a terminal shows meanwhile.
    ask : asks, waits and returns what is told.
    tell : prints it in words.
    as_json : whether it is printed as one JSON object instead.
    """
    from streams.people.asking import people_requests

    async def answer() -> dict[str, Any]:
        async with people_requests(settings) as requests:
            return await ask(requests)

    with waiting(doing, quiet=as_json):
        found = asyncio.run(answer())
    if as_json:
        click.echo(orjson.dumps(found).decode())
    else:
        tell(found)
    sys.exit(0 if found["done"] else PENDING)
