"""Why an item is on a list: one real signal, and the sentence that it makes.

A reason names what put the item there, and nothing that sounds better. Its kind says which signal:

- ``history``: without that item of the user's history the score would fall most;
- ``content``: the item is like that one, in the genres that are named;
- ``newcomers``, ``trending``: what newcomers begin with, or everybody touches, these days;
- ``asked``: what a request asked for;
- ``new``: nothing is known of it yet but what the catalogue says;
- ``popular``: many have touched it over the years;
- ``taste``: the score as a whole, where no single signal leads.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["AS_NEW", "BY_POPULARITY", "BY_TASTE", "NAMED_GENRES", "Because", "ReasonKind", "in_words", "shared_genres"]

ReasonKind = Literal["history", "content", "newcomers", "trending", "asked", "new", "popular", "taste"]
NAMED_GENRES = 3  # as many as a line of text takes


@dataclass(frozen=True, slots=True)
class Because:
    """The signal behind one place of a list.

    Parameters
    ----------
    kind : which signal.
    item_id : the item of the history that it names, if it names one.
    genres : that the items share, or that were asked for.
    """

    kind: ReasonKind
    item_id: str | None = None
    genres: tuple[str, ...] = ()


BY_TASTE, BY_POPULARITY, AS_NEW = Because("taste"), Because("popular"), Because("new")
_ALONE: dict[ReasonKind, str] = {
    "history": "Because of {0}",
    "content": "Similar to {0}",
    "newcomers": "Trending with newcomers this week",
    "trending": "Trending now",
    "asked": "As you asked",
    "new": "From the catalogue",  # whether the item itself is new, is known for exposure alone
    "popular": "Popular with many",
    "taste": "Matches your taste",
}
_WITH_GENRES: dict[ReasonKind, str] = {
    "content": "Similar to {0}: {1}",
    "newcomers": "Trending with newcomers in {1}",
    "trending": "Trending in {1}",
    "asked": "Asked for: {1}",
}


def in_words(because: Because, title: str | None = None, *, is_itself: bool = False) -> str:
    """Return the sentence that a signal makes.

    Parameters
    ----------
    because : the signal.
    title : of the item that it names.
    is_itself : whether that is the listed item, which the user comes back to.
    """
    if because.kind == "history" and is_itself:
        return "You come back to it"
    if because.kind in ("history", "content") and not title:
        return _ALONE["taste"]
    alone = _ALONE[because.kind].format(title)
    if not because.genres or because.kind not in _WITH_GENRES:
        return alone
    return _WITH_GENRES[because.kind].format(title, ", ".join(because.genres[:NAMED_GENRES]))


def shared_genres(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the genres of one that the other has too, in the order of one, whatever their case."""
    known = {genre.casefold() for genre in other}
    return tuple(genre for genre in one if genre.casefold() in known)
