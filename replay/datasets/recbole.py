"""RecBole's atomic files: tab-separated tables whose header gives each column a name and a type.

``user_id:token  item_id:token  rating:float  timestamp:float`` in ``.inter``; the item table ``.item`` is optional
and its columns vary, so a title and genres are found by their usual names.
Format: https://recbole.io/docs/user_guide/data/atomic_files.html .
"""

import pandas as pd

from model.catalogue import Item
from replay.datasets.ratings import Layout, parse_ratings
from replay.datasets.titles import FIRST_YEAR, LAST_YEAR, NO_GENRES, clean, readable, split_year, text
from streams.errors import DataError

__all__ = ["atomic_items", "atomic_ratings"]

NAMES = {"user_id": "user_id", "item_id": "item_id", "rating": "rating", "timestamp": "seconds"}
TITLES = ("movie_title", "movie_name", "title", "name")
YEARS = ("release_year", "year")
GENRES = ("class", "genre", "genres", "categories")
TYPES = "type:token_seq"  # of films: their genres; as a single token it says what kind of thing an item is


def atomic_ratings(data: bytes, place: str) -> pd.DataFrame:
    """Read an ``.inter`` file with a rating and a timestamp in seconds; other columns are ignored."""
    header = _header(data, place)
    missing = sorted(NAMES.keys() - set(header))
    if missing:
        raise DataError(
            f"data: {place} line 1 must name the columns {', '.join(NAMES)}, got {header!r} without {missing!r}"
        )
    columns = tuple(NAMES.get(name, name) for name in header)
    return parse_ratings(data, Layout(b"\t", columns, header=True, fractions=True), place)


def atomic_items(data: bytes, place: str) -> list[Item]:
    """Read an ``.item`` file; an item without a title has its id as title."""
    header = _header(data, place)
    if TYPES in text(data.partition(b"\n")[0]).rstrip("\r").split("\t"):
        header = ["genres" if name == "type" else name for name in header]
    if "item_id" not in header:
        raise DataError(f"data: {place} line 1 must name the column item_id, got {header!r}")
    items = []
    for number, line in enumerate(text(data).split("\n")[1:], start=2):
        if not line.strip():
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) != len(header):
            raise DataError(f"data: {place} line {number} must hold {len(header)} fields, got {len(fields)}: {line!r}")
        items.append(_item(dict(zip(header, fields, strict=True)), f"{place} line {number}"))
    return items


def _header(data: bytes, place: str) -> list[str]:
    header = text(data.partition(b"\n")[0]).rstrip("\r").split("\t")
    if not all(":" in column for column in header):
        raise DataError(f"data: {place} line 1 must name columns as name:type between tabs, got {header!r}")
    return [column.partition(":")[0] for column in header]


def _item(row: dict[str, str], where: str) -> Item:
    item_id = row["item_id"].strip()
    if not item_id:
        raise DataError(f"data: {where} must hold an item id, got {row!r}")
    title, year = split_year(_first(row, TITLES) or item_id)
    written = _first(row, YEARS).partition(".")[0]
    if written.isdecimal() and FIRST_YEAR <= int(written) <= LAST_YEAR:
        year = int(written)
    written = _first(row, GENRES)
    genres = [genre.strip() for genre in (written.split(",") if "," in written else written.split())]
    return Item(item_id, readable(title), year, tuple(genre for genre in genres if genre not in NO_GENRES))


def _first(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((clean(row[name]) for name in names if name in row), "")
