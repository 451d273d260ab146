r"""One table of ratings, from bytes: fast where the file is good, exact about the line where it is not.

pandas parses the whole file at once; only when something does not fit is the file read again, line by line, to
name the first line that breaks its format. Ids become categories, so a large log holds each id once.
"""

import io
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from streams.errors import DataError
from streams.records.ids import ID_RULE, is_id
from streams.records.times import LATEST_MS

__all__ = ["MAX_SECONDS", "MAX_STARS", "MIN_STARS", "Layout", "parse_ratings"]

MIN_STARS, MAX_STARS = 0.5, 5.0
MAX_SECONDS = LATEST_MS // 1000
NEEDED = ("user_id", "item_id", "rating", "seconds")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a ratings file is laid out.

    Parameters
    ----------
    separator : one byte.
    columns : every column's name in the file's order; the four of ``NEEDED`` among them.
    header : whether the first line names the columns.
    fractions : whether timestamps may have decimals (RecBole types them float).
    """

    separator: bytes
    columns: tuple[str, ...] = NEEDED
    header: bool = False
    fractions: bool = False


def parse_ratings(data: bytes, layout: Layout, place: str) -> pd.DataFrame:
    """Read a ratings table.

    Parameters
    ----------
    data : the file.
    layout : how to read it.
    place : the file, for messages.

    Returns
    -------
    Columns ``user_id``, ``item_id`` (categories of str), ``rating`` (float64), ``ts`` (int64 milliseconds).

    Raises
    ------
    DataError
        Naming the first line that breaks the format, what was required and what was got; also for no rows at all.
    """
    table = _table(data, layout)
    if table is None or not _is_good(table, data, layout):
        raise DataError(_complaint(data, layout, place))
    if table.empty:
        raise DataError(f"data: {place} must hold ratings, got no rows")
    seconds = table.pop("seconds").to_numpy()
    table["ts"] = np.rint(seconds * 1000).astype(np.int64) if layout.fractions else seconds * 1000
    return table


def _table(data: bytes, layout: Layout) -> pd.DataFrame | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.BytesIO(data),
                sep=layout.separator.decode(),
                header=None,
                names=list(layout.columns),
                skiprows=int(layout.header),
                usecols=list(NEEDED),
                dtype={
                    "user_id": str,  # not category: that would turn the id 007 into the number 7
                    "item_id": str,
                    "rating": np.float64,
                    "seconds": np.float64 if layout.fractions else np.int64,
                },
                keep_default_na=False,
                quoting=3,
                engine="c",
                low_memory=False,
            )
    except (ValueError, OverflowError, pd.errors.ParserWarning):
        return None
    return table.astype({"user_id": "category", "item_id": "category"})


def _is_good(table: pd.DataFrame, data: bytes, layout: Layout) -> bool:
    rows_start = data.find(b"\n") + 1 if layout.header else 0
    return (
        data.count(layout.separator, rows_start) == len(table) * (len(layout.columns) - 1)
        and bool(table["rating"].between(MIN_STARS, MAX_STARS).all())
        and bool(table["seconds"].between(0, MAX_SECONDS).all())
        and _are_ids(table["user_id"].cat.categories)
        and _are_ids(table["item_id"].cat.categories)
    )


def _are_ids(ids: Iterable[object]) -> bool:
    return all(is_id(str(found)) for found in ids)


def _complaint(data: bytes, layout: Layout, place: str) -> str:
    """Return the message about the first line that breaks the format."""
    for number, line in enumerate(data.splitlines(), start=1):
        if number <= int(layout.header) or not line.strip():
            continue
        required = _breach(line.decode("utf-8", "replace").split(layout.separator.decode()), layout)
        if required:
            return f"data: {place} line {number} must hold {required}, got {line[:120]!r}"
    return f"data: {place} must hold rows of {_described(layout)}, got bytes that cannot be parsed as such"


def _breach(fields: list[str], layout: Layout) -> str | None:
    if len(fields) != len(layout.columns):
        return f"{len(layout.columns)} fields: {_described(layout)}"
    row = dict(zip(layout.columns, fields, strict=True))
    if not (is_id(row["user_id"]) and is_id(row["item_id"])):
        return f"user and item ids of {ID_RULE}"
    if not _is_number(row["rating"], MIN_STARS, MAX_STARS):
        return f"a rating from {MIN_STARS} to {MAX_STARS}"
    if not _is_number(row["seconds"], 0, MAX_SECONDS) or not (layout.fractions or row["seconds"].strip().isdigit()):
        return f"a timestamp in {'' if layout.fractions else 'whole '}seconds, 0 to {MAX_SECONDS}"
    return None


def _is_number(text: str, least: float, most: float) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and least <= value <= most


def _described(layout: Layout) -> str:
    return ", ".join(layout.columns)
