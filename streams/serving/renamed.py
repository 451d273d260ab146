"""Lists of items that had other ids: what was hidden under any of them is hidden, and people get the ids of today."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from model.history import Profile
from model.renames import Renames
from streams.records.records import ListedItem

__all__ = ["listed_today", "without_hidden"]

Among = Callable[[Sequence[tuple[Profile, Sequence[str]]], Renames], Awaitable[Sequence[frozenset[str]]]]


async def without_hidden(hidden_among: Among, profiles: Sequence[Profile], renames: Renames) -> list[Profile]:
    """Take renamed items out of histories where their users hid them under another id than they touched them by.

    The state leaves out of a history what was hidden under the very id.

    Parameters
    ----------
    hidden_among : tells which of some items a user has hidden, under any of their ids.
    profiles : with items by their first ids.
    renames : the other ids.
    """
    found = list(profiles)
    renamed = [
        (place, items)
        for place, profile in enumerate(profiles)
        if profile.hidden and (items := [one.item_id for one in profile.recent if one.item_id in renames.names])
    ]
    if not renamed:
        return found
    hidden = await hidden_among([(profiles[place], items) for place, items in renamed], renames)
    for (place, _), of_user in zip(renamed, hidden, strict=True):
        recent = tuple(one for one in profiles[place].recent if one.item_id not in of_user)
        found[place] = replace(profiles[place], recent=recent)
    return found


def listed_today(items: Sequence[ListedItem], renames: Renames) -> tuple[ListedItem, ...]:
    """Return the places of a list with the ids that their items have now."""
    if not renames.today:
        return tuple(items)
    return tuple(_today(item, renames) for item in items)


def _today(item: ListedItem, renames: Renames) -> ListedItem:
    named = item.because.item_id
    because = item.because if named is None else replace(item.because, item_id=renames.id_of_today(named))
    return replace(item, item_id=renames.id_of_today(item.item_id), because=because)
