"""Any other log: one CSV file whose header names users, items and times, and ratings and kinds where there are any.

Exported tables differ in names, quoting and clocks. The columns are found by their usual names. The size of the numbers
tells seconds, milliseconds and days written as 20231115 from each other, and all rows must be of one unit: read as
seconds the others would be of 1970, or far ahead. An event without a rating counts in full.
"""

import io
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from replay.datasets.ratings import MAX_SECONDS, MAX_STARS, MIN_STARS
from replay.datasets.titles import text
from streams.errors import DataError
from streams.records.ids import ID_RULE, is_id

__all__ = ["log_ratings"]

USERS = ("user_id", "user", "userid", "uid", "visitorid", "visitor_id", "customer_id", "session_id")
ITEMS = (
    *("item_id", "item", "itemid", "iid", "movie_id", "movieid", "product_id", "parent_asin", "track_id"),
    "article_id",
)
TIMES = ("timestamp", "ts", "time", "datetime", "date", "unix_timestamp", "event_time", "created_at", "played_at")
RATINGS = ("rating", "stars", "score")
KINDS = ("kind", "event", "event_type", "eventtype", "behavior", "behavior_type", "action")
MILLISECONDS_FROM = 1.0e11  # as seconds that is the year 5138, as milliseconds 1973
DAYS = (19700101, 21001231)  # numbers that may be days as YYYYMMDD
PRESENT_FROM = 1.0e9  # seconds, 2001: beside such a number 20231115 is a day, and by itself it may be seconds of a log


def log_ratings(data: bytes, place: str) -> pd.DataFrame:
    """Read a CSV or TSV log.

    Parameters
    ----------
    data : the file: UTF-8 or Latin-1, a header, comma, semicolon or tab between fields, quotes where needed.
    place : the file, for messages.

    Returns
    -------
    Columns ``user_id``, ``item_id`` (categories of str), ``rating`` (float64 stars) and ``ts`` (int64 milliseconds);
    and ``kind`` (category of str), where a column tells it.

    Raises
    ------
    DataError
        Naming the first line that breaks the format, what was required and what was got; also for no rows at all.
    """
    table = _table(data, place)
    columns = {name.strip().lower(): name for name in table.columns}
    users, items, times = (_column(table, columns, names, place) for names in (USERS, ITEMS, TIMES))
    found = pd.DataFrame({"user_id": users.str.strip(), "item_id": items.str.strip()})
    for name in ("user_id", "item_id"):
        _refuse(~_each(found[name], is_id), table, place, f"{name} of {ID_RULE}")
    rated = next((columns[name] for name in RATINGS if name in columns), None)
    stars = pd.Series("", index=table.index) if rated is None else table[rated].str.strip()
    found["rating"] = pd.to_numeric(stars, errors="coerce").astype(np.float64).where(stars != "", MAX_STARS)
    wrong = ~found["rating"].between(MIN_STARS, MAX_STARS)
    _refuse(wrong, table, place, f"a rating from {MIN_STARS} to {MAX_STARS}, or no such column")
    seconds = _seconds(times, place)
    _refuse(~seconds.between(0, MAX_SECONDS), table, place, "a time in seconds, milliseconds, ISO 8601 or as YYYYMMDD")
    found["ts"] = np.rint(seconds * 1000).astype(np.int64)
    kinds = next((columns[name] for name in KINDS if name in columns), None)
    if kinds is not None:
        found["kind"] = table[kinds].str.strip()
    return found.astype({name: "category" for name in found.columns if name not in {"rating", "ts"}})


def _table(data: bytes, place: str) -> pd.DataFrame:
    """Return all cells as text."""
    header = data.partition(b"\n")[0]
    separator = max((b",", b";", b"\t"), key=header.count).decode()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of rows with more cells than the header
            table = pd.read_csv(
                io.StringIO(text(data)), sep=separator, dtype=str, keep_default_na=False, index_col=False
            )
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise DataError(f"data: {place} must be a table with a header, got {error}") from error
    if table.empty:
        raise DataError(f"data: {place} must hold events, got no rows")
    return table


def _column(table: pd.DataFrame, columns: dict[str, str], names: tuple[str, ...], place: str) -> "pd.Series[str]":
    for name in names:
        if name in columns:
            return table[columns[name]]
    raise DataError(f"data: {place} line 1 must name a column {', '.join(names)}, got {list(table.columns)!r}")


def _seconds(times: "pd.Series[str]", place: str) -> "pd.Series[float]":
    """Return each time in seconds, not a number where it cannot be told; raise DataError for more than one unit."""
    numbers = pd.to_numeric(times, errors="coerce")
    if numbers.isna().all():
        return _since_epoch(pd.to_datetime(times, errors="coerce", utc=True, format="ISO8601"))
    written = times.str.strip().where(numbers.between(*DAYS))
    days = _since_epoch(pd.to_datetime(written, errors="coerce", utc=True, format="%Y%m%d"))
    if days.notna().all():
        return days
    units = {
        "days as YYYYMMDD": days.notna() & (numbers.max() >= PRESENT_FROM),
        "seconds": days.isna() & (numbers < MILLISECONDS_FROM),
        "milliseconds": numbers >= MILLISECONDS_FROM,
    }
    shown = [f"{unit} in row {int(rows.to_numpy().argmax()) + 1}" for unit, rows in units.items() if rows.any()]
    if len(shown) > 1:
        raise DataError(
            f"data: {place} must hold times of one unit, got {', '.join(shown)} after the header; write all of them "
            "in one"
        )
    return numbers / (1000.0 if units["milliseconds"].any() else 1.0)


def _since_epoch(moments: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
    return (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)


def _each(column: "pd.Series[str]", test: Callable[[str], bool]) -> "pd.Series[bool]":
    """Return the test of every cell, asked once for each different text."""
    answers = {text: test(text) for text in column.unique()}
    return column.map(answers).astype(bool)


def _refuse(wrong: "pd.Series[bool]", table: pd.DataFrame, place: str, required: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        got = ",".join(map(str, table.iloc[row]))[:120]
        raise DataError(f"data: {place} row {row + 1} after the header must hold {required}, got {got!r}")
