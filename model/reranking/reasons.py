"""Why each item of a list is there, from what really put it there.

What of the history speaks most for an item is named, and how that is known says ``leave_one_out``. A list does not name
one item again and again: from the fourth time on an item that shares genres with it is explained by these, and one that
trends by that. Both are as true, and say more.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from model.because import BY_POPULARITY, BY_TASTE, Because, in_words, shared_genres
from model.catalogue import Item
from model.history import Mode

__all__ = ["ItemSignals", "explained"]

MAX_SAME = 3  # places of a list that may name the same item and say no more
TRENDS_FROM = 0.5  # of the contrasted heat, where an item has a tenth of the hottest one's


@dataclass(frozen=True, slots=True)
class ItemSignals:
    """What is known of why one item is listed.

    Parameters
    ----------
    item : the item.
    named : the liked item of the history that speaks most for it, if one does.
    trending, newcomers : how much it trends, 0..1.
    is_popular : whether a cold list would hold it by popularity and trending alone.
    wanted : the genres that were asked for and that it has.
    """

    item: Item
    named: Item | None
    trending: float
    newcomers: float
    is_popular: bool
    wanted: tuple[str, ...] = ()


def explained(places: Sequence[ItemSignals], mode: Mode) -> list[tuple[Because, str]]:
    """Return the signal of each place of a list, best first, and its sentence."""
    named: Counter[str] = Counter()
    found = []
    for one in places:
        because = _personal(one, named) if mode == "personalized" else _cold(one)
        if because.kind == "history" and because.item_id is not None:
            named[because.item_id] += 1
        is_itself = because.item_id == one.item.item_id
        found.append((because, in_words(because, None if one.named is None else one.named.title, is_itself=is_itself)))
    return found


def _personal(one: ItemSignals, named: Counter[str]) -> Because:
    if one.wanted:
        return Because("asked", None, one.wanted)
    if one.named is None:
        return _heat(one, TRENDS_FROM) or BY_TASTE
    by_history = Because("history", one.named.item_id)
    if named[one.named.item_id] < MAX_SAME or one.named.item_id == one.item.item_id:
        return by_history
    shared = shared_genres(one.item.genres, one.named.genres)
    return Because("content", one.named.item_id, shared) if shared else _heat(one, TRENDS_FROM) or by_history


def _cold(one: ItemSignals) -> Because:
    if one.wanted:
        return Because("asked", None, one.wanted)
    if one.is_popular or one.named is None:
        return _heat(one, 0.0) or BY_POPULARITY
    shared = shared_genres(one.item.genres, one.named.genres)
    return Because("content" if shared else "history", one.named.item_id, shared)


def _heat(one: ItemSignals, least: float) -> Because | None:
    """Return that an item trends, with those among whom it leads, where its heat is above the least."""
    if max(one.trending, one.newcomers) <= least:
        return None
    return Because("newcomers" if one.newcomers >= one.trending else "trending")
