"""Items by a title that somebody typed: any spelling of it, without the year, with "The" in front or left out."""

import re
from collections.abc import Iterable

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from model.catalogue import Item
from model.intent.words import MIN_MENDED, words_of

__all__ = ["TitleFinder", "plain_title"]

_YEAR = re.compile(r"\s*\((?:18|19|20)\d\d\)\s*$")
_TITLE_AND_YEAR = re.compile(r"^(?P<title>.*\S)\s+(?P<mark>\()?(?P<year>(?:18|19|20)\d\d)(?(mark)\))\s*$")
_ASIDE = re.compile(r"\s*\([^)]*\)")
_ARTICLE = re.compile(
    r"^(?P<rest>.+), (?P<article>the|a|an|le|la|les|l'|der|die|das|il|el|los|las|un|une)$", re.IGNORECASE
)
_LEADING = frozenset(["the", "a", "an", "le", "la", "les", "l", "der", "die", "das", "il", "el", "un", "une"])
MIN_KEY = 2  # letters: a title of one letter would be found in anything


class TitleFinder:
    """Finds items by their titles.

    Parameters
    ----------
    items : in the order that decides between items of one title: the first wins.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = tuple(items)
        keys: dict[str, list[int]] = {}
        for row, item in enumerate(self._items):
            for key in _keys(item.title):
                keys.setdefault(key, []).append(row)
        self._rows = keys
        self._keys = list(keys)
        self._folded: tuple[str, ...] | None = None  # without case, once somebody looks for a part of a title

    def exactly(self, text: str) -> Item | None:
        """Return the item of this title, but for case, accents, marks and articles.

        A year behind the title, in brackets or not, decides between items of one title; without one the first is meant.
        """
        named = _TITLE_AND_YEAR.match(text)
        rows = self._rows_of(named["title"]) if named else []
        if named:
            rows = [row for row in rows if self._year(row) == int(named["year"])]
        rows = rows or self._rows_of(text)
        return self._items[rows[0]] if rows else None

    def by_one_slip(self, text: str) -> Item | None:
        """Return the item whose title begins alike and is one slip of the pen away, if it is the only such title."""
        wanted = _joined(plain_title(text))
        if len(wanted) < MIN_MENDED:
            return None
        near = process.extract(wanted, self._keys, scorer=OSA.distance, limit=None, score_cutoff=1)
        rows = {self._rows[key][0] for key, _, _ in near if key[0] == wanted[0]}
        return self._items[rows.pop()] if len(rows) == 1 else None

    def find(self, text: str, n: int, least: float) -> list[tuple[Item, float]]:
        """Return up to ``n`` items whose titles are most like a text, best first, with how much: 0..1.

        least : how much a title must be like the text.
        """
        wanted = _joined(text)
        if not wanted or n < 1:
            return []
        near = process.extract(wanted, self._keys, scorer=fuzz.ratio, limit=4 * n, score_cutoff=100.0 * least)
        best: dict[int, float] = {}
        for key, score, _ in near:
            for row in self._rows[key]:
                best.setdefault(row, score / 100.0)
        ranked = sorted(best, key=lambda row: (-best[row], row))[:n]
        return [(self._items[row], best[row]) for row in ranked]

    def holding(self, part: str) -> list[tuple[int, Item]]:
        """Return where a text without capitals stands in titles, and the items of those titles."""
        if self._folded is None:
            self._folded = tuple(item.title.casefold() for item in self._items)
        places = ((title.find(part), item) for title, item in zip(self._folded, self._items, strict=True))
        return [(place, item) for place, item in places if place >= 0]

    def _rows_of(self, text: str) -> list[int]:
        joined = _joined(plain_title(text))
        return self._rows.get(joined) or self._rows.get(_without_article(joined)) or []

    def _year(self, row: int) -> int | None:
        item = self._items[row]
        named = _TITLE_AND_YEAR.match(item.title)
        return item.year if item.year is not None or named is None else int(named["year"])


def plain_title(title: str) -> str:
    """Return a title as people say it: without the year, and with a trailing article in front."""
    title = _YEAR.sub("", title)
    found = _ARTICLE.match(title)
    return f"{found['article']} {found['rest']}" if found else title


def _keys(title: str) -> set[str]:
    """Return what a title may be called: whole, without its asides, up to its colon; each with and without article."""
    bare = _YEAR.sub("", title)
    without_asides = _ASIDE.sub("", bare)
    asides = re.findall(r"\(([^)]*)\)", bare)
    texts = [bare, without_asides, without_asides.partition(":")[0], *asides]
    joined = [_joined(plain_title(text)) for text in texts]
    return {key for one in joined for key in (one, _without_article(one)) if len(key) >= MIN_KEY}


def _joined(text: str) -> str:
    return " ".join(word.typed for word in words_of(text))


def _without_article(joined: str) -> str:
    first, _, rest = joined.partition(" ")
    return rest if first in _LEADING and rest else joined
