"""From the columns of a log to its interactions: what cannot be is refused with its line, or left out and counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.catalogue import Item
from model.feedback import MIN_PROGRESS
from model.kinds import RATE, WATCH, KindTable
from replay.datasets.cells.coding import CodedColumn
from replay.datasets.cells.gathering import LogColumns
from replay.datasets.cells.ratings import MAX_STARS, MIN_STARS, JudgedRatings, judged_ratings, judged_shares
from replay.datasets.cells.rejects import RejectedRows
from replay.datasets.cells.times import MAX_SECONDS, JudgedTimes, in_order, judged_times
from replay.datasets.layouts.roles import ABOUT_ITEMS, Roles
from replay.datasets.layouts.shape import Shape
from replay.datasets.options import LogOptions
from replay.datasets.titles import NO_GENRES, clean, readable, split_genres, split_year
from streams.errors import DataError
from streams.records.ids import ID_RULE, is_id

__all__ = ["OUTSIDE", "JudgedLog", "judged"]

OUTSIDE = "rating outside the scale"
UNREAD_TIME = "--time-unit '%d/%m/%Y' says how times are written"
AGAINST = frozenset({"dislike", "unlike", "undislike"})  # kinds that say nothing for an item, as Yambda has them
Mask = NDArray[np.bool_]
Line = Callable[[int], tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class JudgedLog:
    """A log whose rows can all be used.

    Parameters
    ----------
    frame : columns as ``assemble`` takes them.
    items : what the log itself says of items.
    left_out : rows that were left out, by cause.
    passed_by : rows that are no events.
    notes : what a reader is told.
    unit : of the times, in words.
    scale : of the ratings, if there are any.
    """

    frame: pd.DataFrame
    items: list[Item]
    left_out: dict[str, int]
    passed_by: int
    notes: tuple[str, ...]
    unit: str
    scale: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class _Cause:
    name: str
    required: str
    rows: Mask
    cure: str = ""


def judged(
    columns: LogColumns,
    shape: Shape,
    roles: Roles,
    options: LogOptions,
    kinds: KindTable,
    rejects: RejectedRows,
    place: str,
    line: Line,
) -> JudgedLog:
    """Judge the rows of a log.

    Parameters
    ----------
    columns, shape, roles, options : the log, and what is known and said of it.
    kinds : what kinds of events say.
    rejects : rows that were passed over before.
    place : the log, for messages.
    line : returns the file, the line and the text of a row.

    Raises
    ------
    DataError
        Naming the first row that cannot be, unless such rows are left out; for more than one unit of times; for no
        rows at all.
    """
    if not columns.n and rejects.first is None:
        raise DataError(f"data: {place} must hold ratings, got no rows")
    times = _times(columns, shape, options)
    if times.mixed:
        raise DataError(_mixed(times, place, line, is_headed=shape.has_header))
    ratings = None if columns.rating is None else judged_ratings(columns.rating, shape.layout, options.scale)
    name = roles.columns.get("weight", "")
    shares = None if columns.weight is None else judged_shares(columns.weight, name)
    causes = _causes(columns, shape, roles, times, ratings, shares)
    if not options.skip_bad:
        _refuse(causes, shape, rejects, line)
    is_bad = np.zeros(columns.n, dtype=np.bool_)
    left_out: Counter[str] = Counter(rejects.counts)
    for cause in causes:
        left_out[cause.name] += int((cause.rows & ~is_bad).sum())
        is_bad |= cause.rows
    is_event = np.ones(columns.n, dtype=np.bool_) if columns.is_event is None else columns.is_event
    kept = ~is_bad & is_event
    if not kept.any():
        raise DataError(f"data: {place} must hold ratings, got none among {columns.n:,} rows: {dict(left_out)}")
    notes = (*shape.layout.notes, *times.notes, *(() if ratings is None else ratings.notes))
    frame, more = _frame(columns, roles, times.ms, ratings, None if shares is None else shares[0], kinds)
    coded = {part: columns.coded[part] for part in ("item", *ABOUT_ITEMS) if part in columns.coded}
    if not kept.all():
        frame = {part: _taken(values, kept) for part, values in frame.items()}
        coded = {part: found.take(kept) for part, found in coded.items()}
    return JudgedLog(
        pd.DataFrame({part: _series(values) for part, values in frame.items()}, copy=False),
        _items(coded),
        {cause: n for cause, n in left_out.items() if n},
        int((~is_bad & ~is_event).sum()),
        notes + more,
        times.unit,
        None if ratings is None else ratings.scale,
    )


def _taken(values: "NDArray[np.generic] | CodedColumn", kept: Mask) -> "NDArray[np.generic] | CodedColumn":
    return values.take(kept) if isinstance(values, CodedColumn) else values[kept]


def _series(values: "NDArray[np.generic] | CodedColumn") -> object:
    if isinstance(values, CodedColumn):
        return pd.Categorical.from_codes(values.codes, categories=pd.Index(values.names, dtype=object))
    return values


def _times(columns: LogColumns, shape: Shape, options: LogOptions) -> JudgedTimes:
    if columns.times is None:
        return in_order(columns.n)
    unit, is_strict = options.time_unit, shape.layout.whole_seconds
    return judged_times(columns.times, columns.moments, unit, whole_seconds=is_strict and unit is None)


def _causes(
    columns: LogColumns,
    shape: Shape,
    roles: Roles,
    times: JudgedTimes,
    ratings: JudgedRatings | None,
    shares: tuple[NDArray[np.float64], Mask] | None,
) -> list[_Cause]:
    """Return what is wrong with some row; of several reasons for one row the first counts."""
    found = []
    for part in ("user", "item"):
        column = columns.coded.get(part)
        if column is None:
            continue
        wrong = np.array([not is_id(name) for name in column.names], dtype=np.bool_)
        rows = wrong[column.codes]
        if rows.any():
            required = f"{part}_id of {ID_RULE}" if shape.has_header else f"user and item ids of {ID_RULE}"
            is_usual = part == "item" and roles.columns[part] == shape.layout.roles.get(part)
            cure = shape.layout.without_id if is_usual else ""
            found.append(_Cause(f"no {part} id", required, rows, cure))
    if ratings is not None and ratings.is_bad.any():
        least, most = ratings.scale
        cure = "" if shape.layout.scale else ", or no such column; --scale says another"
        bounds = f"{least} to {most}" if (least, most) == (MIN_STARS, MAX_STARS) else f"{least:g} to {most:g}"
        required = f"a rating from {bounds}{cure}"
        found.append(_Cause(OUTSIDE, required, ratings.is_bad))
    if shares is not None and shares[1].any():
        found.append(_Cause("share below zero or no number", "a share of 0 or more", shares[1]))
    for cause, rows in times.bad.items():
        required = "a time in seconds, milliseconds, ISO 8601 or as YYYYMMDD"
        if shape.layout.whole_seconds:
            required = f"a timestamp in whole seconds, 0 to {MAX_SECONDS}"
        required = f"{required}; this is a {cause}" if "before" in cause else required
        cure = UNREAD_TIME if cause == "time cannot be read" and not shape.layout.whole_seconds else ""
        found.append(_Cause(cause, required, rows, cure))
    return found


def _refuse(causes: list[_Cause], shape: Shape, rejects: RejectedRows, line: Line) -> None:
    """Raise DataError for the first row that cannot be."""
    # a rejected row is in no block, so that the first row of a cause has its number from there on: it comes later
    firsts = [] if rejects.first is None else [(*rejects.first, "")]
    firsts += [(int(cause.rows.argmax()), cause.required, cause.cure) for cause in causes]
    if not firsts:
        return
    row, required, cure = min(firsts, key=lambda first: first[0])
    file, _, text = line(row)
    raise DataError(
        f"data: {file} {_where(row, line, is_headed=shape.has_header)} must hold {required}, "
        f"got {text[:120]!r}; --skip-bad leaves such rows out and counts them{cure and f'; {cure}'}"
    )


def _where(row: int, line: Line, *, is_headed: bool) -> str:
    _, number, _ = line(row)
    if not number:
        return f"row {row + 1}"
    return f"line {number} (row {row + 1} after the header)" if is_headed else f"line {number}"


def _mixed(times: JudgedTimes, place: str, line: Line, *, is_headed: bool) -> str:
    shown = ", ".join(f"{unit} in row {row + 1}" for unit, row in times.mixed.items())
    rows = "; ".join(
        f"{_where(row, line, is_headed=is_headed)}: {line(row)[2][:80]!r}" for row in sorted(times.mixed.values())
    )
    return (
        f"data: {place} must hold times of one unit, got {shown}{' after the header' if is_headed else ''}; write all "
        f"of them in one, or say which with --time-unit, and with --skip-bad leave the others out. {rows}"
    )


def _frame(
    columns: LogColumns,
    roles: Roles,
    ms: NDArray[np.int64],
    ratings: JudgedRatings | None,
    shares: NDArray[np.float64] | None,
    kinds: KindTable,
) -> tuple[dict[str, "NDArray[np.generic] | CodedColumn"], tuple[str, ...]]:
    """Return the columns of the interactions, and notes on kinds."""
    person = CodedColumn(np.zeros(columns.n, dtype=np.int32), (roles.person or "",))
    frame: dict[str, NDArray[np.generic] | CodedColumn] = {
        "user_id": columns.coded.get("user", person),
        "item_id": columns.coded["item"],
        "rating": np.full(columns.n, MAX_STARS) if ratings is None else ratings.stars,
        "ts": ms,
    }
    notes: tuple[str, ...] = ()
    if roles.person is not None:
        notes = (f"no column of users: all is of {roles.person!r} (--user-id names another)",)
    told = columns.coded.get("kind")
    is_coded = ratings is not None and ratings.codes
    known = () if told is None else tuple(name for name in told.names if kinds.find(name) is not None)
    if told is not None:
        frame["kind"] = told
        against = [name for name in told.names if _is_against(name, kinds)]
        others = [name for name in told.names if name not in known and name not in against]
        if against and (ratings is None or known or is_coded):  # else the ratings tell, and kinds do not count
            named = (
                f"kind {against[0]} is no like: it weighs"
                if len(against) == 1
                else (f"kinds {', '.join(against)} are no likes: they weigh")
            )
            notes += (f"{named} nothing (a table of kinds says otherwise)",)
            known += tuple(against)
        if others:
            by_rating = ratings is not None and not known and not is_coded
            counts = "by its share" if shares is not None else "by its rating" if by_rating else "in full"
            named = f"kind {others[0]} is" if len(others) == 1 else f"kinds {', '.join(others[:8])} are"
            notes += (f"{named} in no table of kinds: each event counts {counts}",)
    elif shares is not None:
        frame["kind"] = CodedColumn(np.zeros(columns.n, dtype=np.int32), (WATCH,))
    elif is_coded:
        assert ratings is not None
        frame["kind"] = CodedColumn((~ratings.is_rated).astype(np.int32), (RATE, WATCH))
    if shares is None and not known and not is_coded:
        return frame, notes
    shares = np.ones(columns.n) if shares is None else shares
    weight = shares * _by_kind(told, kinds)
    frame["is_positive"] = (shares >= MIN_PROGRESS) & _may_be_positive(told, kinds)
    if ratings is not None:
        weight = np.where(ratings.is_rated & _may_rate(told, columns.n), ratings.stars / MAX_STARS * weight, weight)
    frame["weight"] = weight
    frame["rating"] = MAX_STARS * weight
    return frame, notes


def _by_kind(told: CodedColumn | None, kinds: KindTable) -> "NDArray[np.float64] | float":
    if told is None:
        return 1.0
    rows = [(name, kinds.find(name)) for name in told.names]
    weights = [0.0 if _is_against(name, kinds) else 1.0 if row is None else row.weight for name, row in rows]
    return np.array(weights)[told.codes]


def _may_be_positive(told: CodedColumn | None, kinds: KindTable) -> "Mask | np.bool_":
    if told is None:
        return np.True_
    rows = [(name, kinds.find(name)) for name in told.names]
    found = [not _is_against(name, kinds) if row is None else row.is_positive for name, row in rows]
    return np.array(found, dtype=np.bool_)[told.codes]


def _is_against(name: str, kinds: KindTable) -> bool:
    """Tell whether a kind that the table lacks says of itself that an item was not liked, or is no longer."""
    return kinds.find(name) is None and name.casefold() in AGAINST


def _may_rate(told: CodedColumn | None, n: int) -> Mask:
    if told is None:
        return np.ones(n, dtype=np.bool_)
    return np.array([name == RATE for name in told.names], dtype=np.bool_)[told.codes]


def _items(coded: dict[str, CodedColumn]) -> list[Item]:
    """Return what a log says of its items, each as its first row has it."""
    if "title" not in coded:
        return []
    items, rows = coded["item"], coded["item"].first_rows()
    told = {part: [coded[part].names[code] for code in coded[part].codes[rows]] for part in coded if part != "item"}
    found = []
    for at, item_id in enumerate(items.names):
        title, year = split_year(told["title"][at])
        written = told["year"][at].partition(".")[0] if "year" in told else ""
        genres = split_genres(told["genres"][at]) if "genres" in told else ()
        found.append(
            Item(
                item_id,
                readable(title) or item_id,
                int(written) if written.isdecimal() and written != "0" else year,
                tuple(clean(genre) for genre in genres if genre not in NO_GENRES),
            )
        )
    return found
