"""The wishes of ``reelstream recommend --fresh``: an option for each, the items that are named, and the request."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

from commands.parts.options import NAMED

if TYPE_CHECKING:
    from streams.state.lookups import Lookups

__all__ = ["ask_for", "item_of", "wish_options", "wishes_of"]

F = TypeVar("F", bound=Callable[..., Any])
MAX_NAMED = 5  # items that are named where several begin as was typed
_GENRES = {
    "must": "Only items of this genre; several: of all of them.",
    "want": "Items of this genre first.",
    "avoid": "Items of this genre last.",
    "never": "No item of this genre.",
}


def wish_options(command: F) -> F:
    """Add an option for each wish; each is None or empty where nobody wishes for anything."""
    genres = [click.option(f"--{name}", multiple=True, metavar="GENRE", help=text) for name, text in _GENRES.items()]
    others = [
        click.option("--from", "from_year", type=int, metavar="YEAR", help="Nothing older than this year."),
        click.option("--to", "to_year", type=int, metavar="YEAR", help="Nothing newer than this year."),
        click.option("--query", metavar="TEXT", help="What is asked for, in words."),
        click.option("--like", multiple=True, type=NAMED, metavar="ITEM", help="Items that the list should resemble."),
        click.option("--exclude", multiple=True, type=NAMED, metavar="ITEM", help="Items that are not listed."),
        click.option("--allow-seen", is_flag=True, help="Items that USER has touched may be listed."),
        click.option(
            "--weight", "weights", multiple=True, metavar="NAME=NUMBER", help="How much a part of the order counts."
        ),
    ]
    for option in reversed([*genres, *others]):
        command = option(command)
    return command


def wishes_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request for what was given on the command line."""
    genres = {name: list(given[name]) for name in _GENRES if given[name]}
    years = [given["from_year"], given["to_year"]]
    fields = {
        "genres": genres or None,
        "years": None if years == [None, None] else years,
        "query": given["query"],
        "like": list(given["like"]) or None,
        "exclude": list(given["exclude"]) or None,
        "allow_seen": given["allow_seen"] or None,
        "weights": dict(map(_weight, given["weights"])) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def ask_for(
    kafka: str | None, prefix: str | None, user_id: str, wishes: Mapping[str, Any], within_s: float
) -> dict[str, Any]:
    """Return the list that answers a request; a refused one is an error that says what is wrong."""
    from streams.errors import RecordError
    from streams.kafka.asking import ask
    from streams.settings import Settings

    found = ask(Settings.from_environment(kafka=kafka, prefix=prefix), user_id, wishes, within_s)
    if found["mode"] == "refused":
        raise RecordError(found["error"])
    return found


def item_of(lookups: "Lookups", given: str) -> str:
    """Return the id of the one item that begins so; what no item begins with is returned as it is.

    Raises
    ------
    click.BadParameter
        If several begin so; the message names them.
    """
    found = lookups.item_ids(given)
    if len(found) > 1:
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        raise click.BadParameter(
            f"an id of an item, or a beginning that one item alone has, is required, got {given!r}, with which "
            f"{', '.join(found[:MAX_NAMED])}{more} begin"
        )
    return found[0] if found else given


def _weight(given: str) -> tuple[str, float]:
    name, _, number = given.partition("=")
    with suppress(ValueError):
        weight = float(number)
        if isfinite(weight):  # JSON has no other numbers
            return name, weight
    raise click.BadParameter(f"NAME=NUMBER is required, such as query=0.5, got {given!r}", param_hint="--weight")
