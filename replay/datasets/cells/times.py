"""The times of a log, in milliseconds: of which unit they are, and which cannot be.

The size of numbers tells units from each other, and all rows must be of one: read as seconds the others would be of
1970, or far ahead.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replay.datasets.cells.numbers import NumberColumn
from streams.records.times import EARLIEST_MS, LATEST_MS

__all__ = ["MAX_SECONDS", "JudgedTimes", "in_order", "judged_times"]

MAX_SECONDS = LATEST_MS // 1000
PER_UNIT = {"seconds": 1e3, "milliseconds": 1.0, "microseconds": 1e-3, "nanoseconds": 1e-6}  # to milliseconds
FROM = {"milliseconds": 1e11, "microseconds": 1e14, "nanoseconds": 1e17}  # as seconds 1e11 is the year 5138
DAYS = (19000101, 21001231)  # numbers that may be days as YYYYMMDD
DAYS_SAID = "days as YYYYMMDD"
PRESENT_FROM = 1.0e9  # seconds, 2001: beside such a number 20231115 is a day; by itself it may be seconds of a log
FIRST_MS, STEP_MS = 946_684_800_000, 1000  # of rows without times: 2000-01-01, a second each


@dataclass(frozen=True, slots=True)
class JudgedTimes:
    """What the times of a log are.

    Parameters
    ----------
    ms : int64 (E,).
    unit : of the column, in words.
    bad : which rows have no time that can be, by cause: bool (E,) each.
    mixed : the first row of each unit, where there is more than one; then nothing else holds.
    notes : what a reader is told.
    """

    ms: NDArray[np.int64]
    unit: str
    bad: dict[str, NDArray[np.bool_]]
    mixed: dict[str, int]
    notes: tuple[str, ...] = ()


def in_order(n: int) -> JudgedTimes:
    """Return times of rows that have none: their order, a second each from 2000 on."""
    note = "no column of times: rows are taken in their order, one a second from 2000-01-01"
    return JudgedTimes(FIRST_MS + STEP_MS * np.arange(n, dtype=np.int64), "order of rows", {}, {}, (note,))


def judged_times(
    times: NumberColumn, moments: NDArray[np.float64] | None, unit: str | None, *, whole_seconds: bool
) -> JudgedTimes:
    """Return the times of a log.

    Parameters
    ----------
    times, moments : as in ``LogColumns``.
    unit : which it is, if that is said.
    whole_seconds : whether nothing but whole seconds will do.
    """
    numbers = times.numbers
    if whole_seconds and unit is None:
        unit = "seconds"
    found = {unit: 0} if unit in {*PER_UNIT, "days"} else _units(numbers, moments)
    if len(found) > 1:
        return JudgedTimes(np.empty(0, dtype=np.int64), "mixed", {}, found)
    unit = next(iter(found), "seconds")
    if unit in {"days", DAYS_SAID}:
        exact = _as_days(numbers)
    elif unit in PER_UNIT:
        exact = numbers * PER_UNIT[unit]
    else:
        exact = np.full(len(numbers), np.nan)
    if moments is not None:
        exact = np.where(np.isnan(exact), moments, exact)
    is_missing = np.isnan(exact)
    if whole_seconds:
        with np.errstate(invalid="ignore"):
            is_missing |= np.mod(exact, 1000.0) != 0
    return _judged(exact, is_missing, times.empty(), unit)


def _judged(
    exact: NDArray[np.float64], is_missing: NDArray[np.bool_], is_empty: NDArray[np.bool_], unit: str
) -> JudgedTimes:
    least, most = exact.min(initial=np.inf), exact.max(initial=-np.inf)
    if least >= EARLIEST_MS and most <= LATEST_MS and not is_missing.any():  # which says that all are numbers
        return JudgedTimes(np.rint(exact, out=exact).astype(np.int64), unit, {}, {})
    with np.errstate(invalid="ignore"):
        is_out = (exact < 0) | (exact > LATEST_MS)
        bad = {
            "no time": is_empty,
            "time cannot be read": is_missing & ~is_empty,
            "time before 1970": exact < 0,
            "time after 2100": exact > LATEST_MS,
        }
        good = ~is_missing & ~is_out
        newest = exact.max(where=good, initial=-1.0)
        oldest = exact.min(where=good, initial=float(LATEST_MS))
        if newest >= EARLIEST_MS > oldest:
            bad["time before 1980 beside later ones"] = good & (exact < EARLIEST_MS)
    ms = np.zeros(len(exact), dtype=np.int64)
    np.rint(exact, out=exact, where=good)
    np.copyto(ms, exact, where=good, casting="unsafe")
    notes: tuple[str, ...] = ()
    if 0 <= newest < EARLIEST_MS:
        notes = (f"times begin at {pd.Timestamp(oldest, unit='ms'):%Y-%m-%d %H:%M:%S}: {unit} from an unknown start",)
    return JudgedTimes(ms, unit, {cause: rows for cause, rows in bad.items() if rows.any()}, {}, notes)


def _units(numbers: NDArray[np.float64], moments: NDArray[np.float64] | None) -> dict[str, int]:
    """Return the units that there are, each with its first row."""
    edges = (0.0, *FROM.values(), np.inf)
    if len(numbers) and moments is None:
        least, most = float(numbers.min()), float(numbers.max())
        for unit, low, below in zip(PER_UNIT, edges, edges[1:], strict=False):
            if low <= least and DAYS[1] < least and most < below:  # not so where one is no number
                return {unit: 0}
    with np.errstate(invalid="ignore"):
        most = float(np.nanmax(numbers)) if (~np.isnan(numbers)).any() else 0.0
        is_day = _are_days(numbers)
        is_positive = numbers > 0
        if not np.array_equal(is_day, ~np.isnan(numbers)) and most < PRESENT_FROM and moments is None:
            is_day[:] = False
        rows = {DAYS_SAID: is_day}
        for unit, low, below in zip(PER_UNIT, edges, edges[1:], strict=False):
            rows[unit] = is_positive & ~is_day & (numbers >= low) & (numbers < below)
    if moments is not None:
        rows["dates as text"] = ~np.isnan(moments)
    return {unit: int(found.argmax()) for unit, found in rows.items() if found.any()}


def _are_days(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    may_be = (numbers >= DAYS[0]) & (numbers <= DAYS[1])
    if may_be.any():
        may_be[may_be] = ~np.isnan(_as_days(numbers[may_be]))
    return may_be


def _as_days(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the milliseconds of days that are written as YYYYMMDD; not a number where it is none."""
    different, place = np.unique(numbers, return_inverse=True)
    texts = pd.Series([f"{day:.0f}" if day == np.floor(day) else "" for day in different], dtype=object)
    days = pd.to_datetime(texts, errors="coerce", utc=True, format="%Y%m%d")
    ms = ((days - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(milliseconds=1)).to_numpy(np.float64)
    return np.asarray(ms[place], dtype=np.float64)
