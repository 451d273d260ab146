"""Logs without a header whose first rows cannot be mistaken: what their cells look like is what the layout is."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

from replay.datasets.layouts.table import FIVE, STARS, Layout

__all__ = ["DAT", "HEADLESS", "NETFLIX", "NETFLIX_COLUMNS", "TAB", "Headless", "headless_of", "named_headless"]

Rows = Sequence[Sequence[str]]
DAT_SEPARATOR = "::"
NETFLIX_COLUMNS = ("movie", "user", "rating", "date")
NETFLIX = Layout(
    "netflix",
    roles={"item": "movie", "user": "user", "rating": "rating", "time": "date"},
    scale=FIVE,
    notes=("times are days, so nearly all are ties",),
)
TAB = Layout("movielens-100k", scale=STARS, whole_seconds=True)
DAT = Layout("movielens-dat", scale=STARS, whole_seconds=True)
TWEETINGS = Layout("movietweetings", scale=(0.0, 10.0), notes=("ratings are 0 to 10",))
RATED = ("user_id", "item_id", "rating", "timestamp")


def _all(rows: Rows, column: int, pattern: str) -> bool:
    return all(re.fullmatch(pattern, row[column]) for row in rows)


@dataclass(frozen=True, slots=True)
class Headless:
    """One layout.

    Parameters
    ----------
    layout : as of a log with a header.
    separator : between fields.
    columns : what they are called, in their order.
    fits : whether rows of so many fields are of it.
    shows : whether such rows together say so, where one row by itself may be of another.
    """

    layout: Layout
    separator: str
    columns: tuple[str, ...]
    fits: Callable[[Rows], bool]
    shows: Callable[[Rows], bool] = bool


FILES = {"movielens-100k": "u.data", "movielens-dat": "ratings.dat"}
NUMBER, SECONDS, STAR, TENTH = r"\d{1,12}", r"\d{9,10}", r"\d(?:\.\d)?", r"\d{1,2}(?:\.\d)?"
AMAZON_USER, AMAZON_ITEM = r"A[0-9A-Z]{9,27}", r"(?:B[0-9A-Z]{9}|\d{9}[\dX])"
AMAZON = Layout("amazon", scale=FIVE)
HEADLESS = (
    Headless(
        *(TWEETINGS, DAT_SEPARATOR, RATED),
        lambda rows: _all(rows, 1, r"0\d{6}|\d{7,8}") and _all(rows, 2, TENTH) and _all(rows, 3, SECONDS),
        lambda rows: any(row[1].startswith("0") or float(row[2]) > STARS[1] for row in rows),
    ),
    Headless(
        DAT,
        DAT_SEPARATOR,
        RATED,
        lambda rows: _all(rows, 0, NUMBER) and _all(rows, 1, NUMBER) and _all(rows, 2, STAR) and _all(rows, 3, NUMBER),
    ),
    Headless(TAB, "\t", RATED, lambda rows: _all(rows, 0, NUMBER) and _all(rows, 1, NUMBER) and _all(rows, 2, "[1-5]")),
    Headless(
        Layout(
            "lastfm-1k",
            roles={"item": "artist_id", "title": "artist"},
            without_id="--item artist takes the names of artists, which every row has, for their ids",
        ),
        "\t",
        ("user", "time", "artist_id", "artist", "track_id", "track"),
        lambda rows: _all(rows, 0, r"user_\d{6}") and _all(rows, 1, r"\d{4}-\d\d-\d\dT[\d:]{8}Z"),
    ),
    Headless(
        Layout("taobao"),
        ",",
        ("user", "item", "category", "kind", "time"),
        lambda rows: _all(rows, 3, "pv|buy|cart|fav") and _all(rows, 4, r"-?\d{1,10}"),
    ),
    Headless(
        Layout("steam-200k", roles={"item": "game"}, is_timeless=True, notes=("the name of a game is its id",)),
        ",",
        ("user", "game", "kind", "hours", "zero"),
        lambda rows: _all(rows, 2, "purchase|play") and _all(rows, 3, r"\d+(?:\.\d+)?"),
    ),
    Headless(
        *(AMAZON, ",", RATED),
        lambda rows: _all(rows, 0, AMAZON_USER) and _all(rows, 1, AMAZON_ITEM) and _all(rows, 3, SECONDS),
    ),
    Headless(
        *(AMAZON, ",", ("item_id", "user_id", "rating", "timestamp")),
        lambda rows: _all(rows, 1, AMAZON_USER) and _all(rows, 0, AMAZON_ITEM) and _all(rows, 3, SECONDS),
    ),
)


def headless_of(rows: Rows, separator: str) -> Headless | None:
    """Return the layout that the first of these rows has and at least half of them, None where none fits.

    Parameters
    ----------
    rows : cells of the first lines.
    separator : that they were cut at.
    """
    for one in HEADLESS:
        if one.separator == separator:
            fits = [len(row) == len(one.columns) and one.fits([row]) for row in rows]
            if fits and fits[0] and 2 * sum(fits) >= len(fits) and one.shows(list(compress(rows, fits))):
                return one
    return None


def named_headless(name: str) -> Headless | None:
    """Return the layout of a file that has this name in a release of MovieLens, None for any other."""
    return next((one for one in HEADLESS if FILES.get(one.layout.name) == name), None)
