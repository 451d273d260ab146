"""The three layouts in which GroupLens has published MovieLens.

==================  ==================================  ==========================================
release             ratings                             items
==================  ==================================  ==========================================
ml-100k             ``u.data``, tabs                    ``u.item``, ``|``, one flag for each genre
ml-1m, ml-10m       ``ratings.dat``, ``::``             ``movies.dat``, ``::``, genres joined by |
ml-latest, 20m on   ``ratings.csv`` with a header       ``movies.csv``, quoted titles, genres by |
==================  ==================================  ==========================================

Of users the two oldest releases say age, gender and occupation, in ``u.user`` and ``users.dat``.

Layouts: the README files of the releases, https://grouplens.org/datasets/movielens/ .
"""

import csv
from collections.abc import Iterable, Iterator

import pandas as pd

from model.catalogue import Item
from model.hints import UserHints, age_band
from replay.datasets.ratings import Layout, parse_ratings
from replay.datasets.titles import NO_GENRES, readable, split_year, text
from streams.errors import DataError
from streams.records.ids import is_id

__all__ = [
    "csv_items",
    "csv_ratings",
    "dat_items",
    "dat_ratings",
    "dat_users",
    "has_csv_header",
    "tab_items",
    "tab_ratings",
    "tab_users",
]

TAB = Layout(b"\t")
CSV = Layout(b",", header=True)
CSV_RATINGS_HEADER = b"userId,movieId,rating,timestamp"
CSV_ITEMS_HEADER = ["movieId", "title", "genres"]
SEPARATOR = b"\x1f"  # takes the place of ``::`` so that the fast parser can read it; no number contains it
DAT = Layout(SEPARATOR)
DAT_FIELDS = 3
USER_FIELDS = 5
TAB_FIELDS = 24  # id, title, two dates, address, 19 genre flags
TAB_GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)


def tab_ratings(data: bytes, place: str) -> pd.DataFrame:
    """Read ``u.data``; see ``parse_ratings``."""
    return parse_ratings(data, TAB, place)


def dat_ratings(data: bytes, place: str) -> pd.DataFrame:
    """Read a ``ratings.dat``; see ``parse_ratings``."""
    return parse_ratings(data.replace(b"::", SEPARATOR), DAT, place)


def csv_ratings(data: bytes, place: str) -> pd.DataFrame:
    """Read a ``ratings.csv`` with MovieLens' header; see ``parse_ratings``."""
    return parse_ratings(data, CSV, place)


def has_csv_header(data: bytes) -> bool:
    """Tell whether a ``ratings.csv`` is one of MovieLens."""
    return data.partition(b"\n")[0].removeprefix(b"\xef\xbb\xbf").strip() == CSV_RATINGS_HEADER


def tab_items(data: bytes, place: str) -> list[Item]:
    """Read ``u.item``."""
    return [_flagged(fields, where) for fields, where in _rows(data, "|", TAB_FIELDS, place)]


def dat_items(data: bytes, place: str) -> list[Item]:
    """Read a ``movies.dat``."""
    return [_item(*fields, where=where) for fields, where in _rows(data, "::", DAT_FIELDS, place)]


def tab_users(data: bytes, place: str) -> list[UserHints]:
    """Read ``u.user``: id, age in years, gender, occupation in words, postal code."""
    return [_hints(*fields[:4], where=where) for fields, where in _rows(data, "|", USER_FIELDS, place)]


def dat_users(data: bytes, place: str) -> list[UserHints]:
    """Read ``users.dat``: id, gender, age as a band, occupation as a number, postal code."""
    rows = _rows(data, "::", USER_FIELDS, place)
    return [_hints(fields[0], fields[2], fields[1], fields[3], where=where) for fields, where in rows]


def csv_items(data: bytes, place: str) -> list[Item]:
    """Read a ``movies.csv``; a title may hold commas and, doubled, quotes."""
    lines = csv.reader(text(data).splitlines(), strict=True)
    items = []
    try:
        for fields in lines:
            where = f"{place} line {lines.line_num}"
            if lines.line_num == 1 and fields != CSV_ITEMS_HEADER:
                raise DataError(f"data: {where} must be {','.join(CSV_ITEMS_HEADER)}, got {fields!r}")
            if lines.line_num > 1 and fields:
                items.append(_item(*_counted(fields, DAT_FIELDS, where), where=where))
    except csv.Error as error:
        raise DataError(f"data: {place} line {lines.line_num} must be quoted CSV, got {error}") from error
    return items


def _rows(data: bytes, separator: str, n: int, place: str) -> Iterator[tuple[list[str], str]]:
    for number, line in enumerate(text(data).split("\n"), start=1):
        if line.strip():
            where = f"{place} line {number}"
            yield _counted(line.rstrip("\r").split(separator), n, where), where


def _counted(fields: list[str], n: int, where: str) -> list[str]:
    if len(fields) != n:
        raise DataError(f"data: {where} must hold {n} fields, got {len(fields)}: {fields[:4]!r}")
    return fields


def _hints(user_id: str, age: str, gender: str, occupation: str, *, where: str) -> UserHints:
    if not is_id(user_id) or not age.isdecimal():
        raise DataError(f"data: {where} must hold a user id and an age in years, got {user_id!r} and {age!r}")
    return UserHints(user_id, age_band(int(age)), gender or None, occupation or None)


def _flagged(fields: list[str], where: str) -> Item:
    flags = fields[-len(TAB_GENRES) :]
    if not set(flags) <= {"0", "1"}:
        raise DataError(f"data: {where} must end in {len(TAB_GENRES)} flags of 0 or 1, got {flags!r}")
    genres = (genre for genre, flag in zip(TAB_GENRES, flags, strict=True) if flag == "1")
    return _of(fields[0], fields[1], genres, where)


def _item(item_id: str, title: str, genres: str, *, where: str) -> Item:
    return _of(item_id, title, genres.split("|"), where)


def _of(item_id: str, raw: str, genres: Iterable[str], where: str) -> Item:
    title, year = split_year(raw)
    if not item_id.strip() or not title:
        raise DataError(f"data: {where} must hold an item id and a title, got {item_id!r} and {raw!r}")
    kept = tuple(genre.strip() for genre in genres if genre.strip() not in NO_GENRES)
    return Item(item_id.strip(), readable(title), year, kept)
