"""Titles as MovieLens writes them, turned into titles as people say them.

``Usual Suspects, The (1995)`` becomes *The Usual Suspects* and the year 1995.
"""

import re

__all__ = ["FIRST_YEAR", "LAST_YEAR", "NO_GENRES", "clean", "readable", "split_genres", "split_year", "text"]

NO_GENRES = frozenset({"", "unknown", "(no genres listed)"})
MAX_TITLE_LENGTH = 512
FIRST_YEAR, LAST_YEAR = 1800, 2200
_YEAR = re.compile(r"(?P<title>.+?)\s*\((?P<year>\d{4})(?:[-\u2013]\d{0,4})?\)(?:\s*\(V\))?")
_ARTICLE = re.compile(
    r"(?P<title>.+?), (?P<article>The|An?|Las?|Les?|Los|El|Il|Lo|Der|Die|Das|Det|Den|De|L')(?P<rest>| \(.*)"
)


def text(data: bytes) -> str:
    """Decode a file: UTF-8 where it is valid (newer releases), else Latin-1 (ml-100k and ml-1m)."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def clean(raw: str) -> str:
    """Return text of printable characters with single spaces, at most 512 long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in raw)
    return " ".join(printable.split())[:MAX_TITLE_LENGTH].rstrip()


def split_year(raw: str) -> tuple[str, int | None]:
    """Return the title without its year, and the year, or None where none is written at the end.

    A series' ``(2006-2007)`` gives its first year; the mark ``(V)`` after it is dropped.
    """
    found = _YEAR.fullmatch(clean(raw))
    if found is None or not FIRST_YEAR <= int(found["year"]) <= LAST_YEAR:
        return clean(raw), None
    return found["title"], int(found["year"])


def split_genres(raw: str) -> tuple[str, ...]:
    """Return the names in a cell of genres: between ``|`` where there is one, else between commas, never at spaces.

    A list as Python or JSON writes it loses its brackets and quotes.
    """
    listed = raw.strip()
    if listed.startswith("[") and listed.endswith("]"):
        listed = listed[1:-1]
    names = (clean(name).strip("'\" ") for name in listed.split("|" if "|" in listed else ","))
    return tuple(dict.fromkeys(name for name in names if name not in NO_GENRES))


def readable(title: str) -> str:
    """Return the title with its article in front: ``Star Maker, The (Uomo)`` becomes ``The Star Maker (Uomo)``."""
    found = _ARTICLE.fullmatch(title)
    if found is None:
        return title
    space = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{space}{found['title']}{found['rest']}"
