"""Ids as people type them: an item by the beginning of its id, where that is one item's alone."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.state.lookups import Lookups

__all__ = ["item_of"]

MAX_NAMED = 5


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
