"""What of a model's answer may be believed: the same items under the same titles, and reasons that say nothing new.

A sentence is held against what was told of its place. Each name in it (a word that begins with a capital, or a number)
must stand in the title, the genres or the reason that the model was given, or in what was asked. So an invented item,
person or year is seen. A made-up name in small letters is not, and a language that writes nouns with capitals has its
sentences refused: then the list is as it would be without a model.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from streams.wording.prompt import PlaceToWord

__all__ = ["WordedPlace", "WordingError", "checked"]

MAX_LENGTH = 200  # characters of a reason: two lines
_NAME = re.compile(r"\d+|[^\W\d_]+(?:['\u2019][^\W\d_]+)*")  # an apostrophe of either kind is inside a word
_OPENERS = """
a after all an another anyone as asked because both enjoy expect fans fits for from give go great here if in it its
just like love loved lovers many matches more new newcomers now of one people perfect popular rather right shares
similar since so something still that the this trending try want watch when while with you your you've you'll
you're it's i
"""  # words with which a sentence about an item begins, and which are no names
_FENCE = re.compile(r"^\s*```(?:json)?\s*(.*?)\s*```\s*$", re.DOTALL)  # models like to wrap what they are asked for


class WordingError(ValueError):
    """An answer that says what it was not told."""


@dataclass(frozen=True, slots=True)
class WordedPlace:
    """One place of an answer: the item, and its reason in other words."""

    item_id: str
    reason: str


def checked(body: bytes, places: Sequence[PlaceToWord], asked: str | None = None) -> tuple[WordedPlace, ...]:
    """Return the places in the answer's order.

    Parameters
    ----------
    body : of the HTTP response.
    places, asked : what the model was told.

    Raises
    ------
    WordingError
        If the answer is not of the protocol, is not about exactly these places, or says what was not told.
    """
    told = {place.item_id: place for place in places}
    found = [_place(entry, told, asked) for entry in _entries(body)]
    if sorted(place.item_id for place in found) != sorted(told):
        raise WordingError(f"each of {len(told)} items is required once, got {len(found)} places")
    return tuple(found)


def _entries(body: bytes) -> list[Any]:
    """Return the places that an answer is about."""
    try:
        content = orjson.loads(body)["choices"][0]["message"]["content"]
        fenced = _FENCE.match(content)
        entries = orjson.loads(fenced.group(1) if fenced else content)["items"]
    except (ValueError, LookupError, TypeError) as error:
        raise WordingError(f"JSON with items is required, got {error!r}") from None
    if not isinstance(entries, list):
        raise WordingError(f"a list of items is required, got {type(entries).__name__}")
    return entries


def _place(entry: Any, told: Mapping[str, PlaceToWord], asked: str | None) -> WordedPlace:
    if not isinstance(entry, dict):
        raise WordingError(f"an object for each item is required, got {type(entry).__name__}")
    place = told.get(str(entry.get("item_id")))
    if place is None:
        raise WordingError(f"items of the list are required, got {entry.get('item_id')!r}")
    for name, given in (("title", place.title), ("kind", place.kind)):
        if entry.get(name) != given:
            raise WordingError(f"{name} {given!r} of item {place.item_id!r} is required, got {entry.get(name)!r}")
    return WordedPlace(place.item_id, _sentence(entry.get("reason"), place, asked))


def _sentence(reason: Any, place: PlaceToWord, asked: str | None) -> str:
    if not isinstance(reason, str) or not reason.strip() or len(reason) > MAX_LENGTH or not reason.isprintable():
        raise WordingError(f"a reason of at most {MAX_LENGTH} printable characters is required, got {reason!r}")
    known = set(_words(f"{place.title} {' '.join(place.genres)} {place.reason} {asked or ''}"))
    for found in _NAME.finditer(reason):
        word = found.group()
        is_name = word[0].isupper() or word[0].isdigit()
        if is_name and word.casefold() not in known and not _opens(reason, found.start(), word):
            raise WordingError(f"names of what was told of item {place.item_id!r} are required, got {word!r}")
    return reason.strip()


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _NAME.findall(text)]


def _opens(reason: str, at: int, word: str) -> bool:
    """Tell whether a word is written large only because a sentence begins with it."""
    before = reason[:at].rstrip()
    return word.casefold().replace("\u2019", "'") in _OPENERS.split() and (not before or before[-1] in ".!?:;-(")
