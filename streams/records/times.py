"""Event times: which numbers are milliseconds, and what a time counts as.

Everything here is a function of the record alone, so a rebuild years later decides the same. Kafka's own timestamp of
the record is the measure, where it is between 1980 and 2100; a producer that stamps its records in seconds has none.

An event cannot be later than its record: a time ahead of it counts as the moment of the record. A time before 1980, or
more than a day after the record, is no time of an event. If it would be one in another unit, the record is refused and
the reason names that unit.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from streams.records.positions import DAY_MS

__all__ = ["EARLIEST_MS", "LATEST_MS", "bounded_ts", "in_other_unit"]

EARLIEST_MS = 315_532_800_000  # 1980-01-01: older than any log of events, and as seconds beyond the year 11000
LATEST_MS = 4_102_444_800_000  # 2100-01-01; later is a broken clock or another unit
TICKS_AT_EPOCH = 621_355_968_000_000_000  # .NET counts 100 ns from the year 1
DIGITS = {8: "YYYYMMDD", 14: "YYYYMMDDHHMMSS", 17: "YYYYMMDDHHMMSSmmm"}
Reading = Callable[[int], int | None]


def bounded_ts(ts: int, recorded: int) -> int:
    """Return what an event time counts as, so that no clock moves the state beyond the record.

    Below 0 counts as 0; later than the record's own Kafka timestamp counts as that timestamp. Where there is none, and
    in any case, nothing is later than ``LATEST_MS``.

    Parameters
    ----------
    ts : event time, milliseconds, any whole number.
    recorded : Kafka's timestamp of the record, milliseconds; before 1980 or after 2100 it counts as none.
    """
    return max(0, min(ts, recorded if _is_measure(recorded) else LATEST_MS))


def in_other_unit(ts: int, recorded: int) -> str | None:
    """Return why a time is taken for one in another unit, None where it is not.

    Between 1980 and a day after the record it is milliseconds. Outside it is refused if one of the other readings
    lies between those two.

    Parameters
    ----------
    ts, recorded : as for ``bounded_ts``.
    """
    latest = min(recorded + DAY_MS, LATEST_MS) if _is_measure(recorded) else LATEST_MS
    if EARLIEST_MS <= ts <= latest:
        return None
    for unit, reading in READINGS:
        meant = reading(ts)
        if meant is not None and EARLIEST_MS <= meant <= latest:
            return (
                f"ts must be milliseconds since the epoch, got {ts}, which looks like {unit}: as such it is "
                f"{_date(meant)}; send {meant}"
            )
    return None


def _is_measure(recorded: int) -> bool:
    return EARLIEST_MS <= recorded <= LATEST_MS


def _calendar(ts: int) -> int | None:
    """Return the moment that the digits of a number write out, year first and in UTC."""
    digits = str(ts)
    if len(digits) not in DIGITS:
        return None
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hour, minute, second = (int(digits[at : at + 2] or 0) for at in (8, 10, 12))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000 + int(digits[14:] or 0)


def _written_as(length: int) -> Reading:
    return lambda ts: _calendar(ts) if len(str(ts)) == length else None


READINGS: tuple[tuple[str, Reading], ...] = (
    ("seconds", lambda ts: ts * 1000),
    ("microseconds", lambda ts: ts // 1000),
    ("ticks of .NET", lambda ts: (ts - TICKS_AT_EPOCH) // 10_000),  # before nanoseconds: today's would be of 1990
    ("nanoseconds", lambda ts: ts // 1_000_000),
    *((form, _written_as(length)) for length, form in DIGITS.items()),
)


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
