"""Event times: what each counts as, which are in another unit, and that old ones in the right unit pass."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records.times import EARLIEST_MS, LATEST_MS, bounded_ts, in_other_unit

NOW = 1_764_313_200_000  # 2025-11-28T07:00:00Z
DAY_MS = 86_400_000
TICKS_OF_NOW = 638_999_100_000_000_000  # (1,764,313,200 + 62,135,596,800) s * 10^7, the second from the year 1 to 1970


@pytest.mark.parametrize(
    ("ts", "recorded", "counts_as"),
    [
        (5, NOW, 5),
        (0, NOW, 0),
        (-1, NOW, 0),
        (-(2**63), NOW, 0),
        (NOW - 1, NOW, NOW - 1),
        (NOW, NOW, NOW),
        (NOW + 1, NOW, NOW),
        (2**63 - 1, NOW, NOW),
        (NOW, NOW // 1000, NOW),  # the producer stamped its records in seconds: 1970 is no measure
        (EARLIEST_MS + 1, EARLIEST_MS, EARLIEST_MS),
        (EARLIEST_MS + 1, EARLIEST_MS - 1, EARLIEST_MS + 1),
        (LATEST_MS, 0, LATEST_MS),
        (LATEST_MS + 1, 0, LATEST_MS),
        (2**63 - 1, -1, LATEST_MS),
        (2**63 - 1, LATEST_MS, LATEST_MS),
        (2**63 - 1, 2**63 - 1, LATEST_MS),
    ],
)
def test_no_event_is_later_than_its_record(ts, recorded, counts_as):
    """Below 0 is 0; the record's own time is the latest, 2100 where it has none; both ends and one beyond."""
    assert bounded_ts(ts, recorded) == counts_as


@pytest.mark.parametrize(
    ("ts", "unit"),
    [
        (NOW // 1000, "seconds"),
        (NOW * 1000, "microseconds"),
        (NOW * 1_000_000, "nanoseconds"),
        (TICKS_OF_NOW, "ticks of .NET"),
        (20251128070000, "YYYYMMDDHHMMSS"),
        (20251128070000000, "YYYYMMDDHHMMSSmmm"),
    ],
)
@pytest.mark.parametrize("recorded", [NOW, NOW + 3_600_000, NOW + 20 * 365 * DAY_MS, NOW - DAY_MS, 0, NOW // 1000])
def test_a_time_in_another_unit_is_told_with_the_number_to_send(ts, unit, recorded):
    """Now in each other unit is named as that, with its date and the milliseconds that it should have been."""
    assert in_other_unit(ts, recorded) == (
        f"ts must be milliseconds since the epoch, got {ts}, which looks like {unit}: as such it is "
        f"2025-11-28T07:00:00Z; send {NOW}"
    )


def test_a_day_written_out_is_its_first_millisecond():
    """20251128 was meant for 2025-11-28T00:00:00Z, which is 7 hours before NOW."""
    said = in_other_unit(20251128, NOW)
    assert said is not None
    assert said.endswith(f"looks like YYYYMMDD: as such it is 2025-11-28T00:00:00Z; send {NOW - 7 * 3_600_000}")


@pytest.mark.parametrize(
    ("ts", "recorded"),
    [
        (789_652_004_000, NOW),  # the first rating of MovieLens 20M, 1995-01-09
        (1_046_454_590_000, NOW),  # the last one of MovieLens 1M, 2003-02-28
        (EARLIEST_MS, NOW),
        (NOW + DAY_MS, NOW),
        (NOW + 365 * DAY_MS, NOW),  # ahead, but in no other unit a time between 1980 and the day after the record
        (0, NOW),
        (-5, NOW),
        (-(2**63), NOW),
        (2**63 - 1, NOW),  # nanoseconds of 2262
        (5000, NOW),
        (19_791_231, NOW),  # a day before 1980
        (20_251_301, NOW),  # no day
        (20_251_130, NOW),  # a day after the day after the record
        (EARLIEST_MS // 1000 - 1, NOW),  # seconds of 1979
        (NOW // 1000 + 86_401, NOW),  # seconds of the day after the day after the record
        (4_000_000_000_000, NOW),  # a clock of 2096
        (LATEST_MS, 0),
        (LATEST_MS + 1, 0),
    ],
)
def test_what_is_no_time_in_another_unit_either_passes(ts, recorded):
    """Old events of a replay, broken clocks and numbers without any meaning are not refused, but bounded."""
    assert in_other_unit(ts, recorded) is None


def test_the_borders_of_the_other_units_are_those_of_the_milliseconds():
    """The last refused second is the one a day after the record, the first is 1980; without a record it is 2100."""
    assert in_other_unit(NOW // 1000 + 86_400, NOW)
    assert in_other_unit(EARLIEST_MS // 1000, NOW)
    assert in_other_unit(LATEST_MS // 1000, 0)
    assert in_other_unit(LATEST_MS // 1000 + 1, 0) is None
    assert in_other_unit(19_800_101, NOW)


@given(st.integers(EARLIEST_MS, NOW), st.integers(0, 20 * 365 * DAY_MS))
def test_a_time_in_milliseconds_is_never_taken_for_another_unit(ts, later):
    """Whatever lies between 1980 and the record passes and counts as itself, whenever the record was written."""
    assert in_other_unit(ts, ts + later) is None
    assert bounded_ts(ts, ts + later) == ts


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_any_numbers_give_a_time_or_one_printable_line(ts, recorded):
    """Nothing overflows, a time that counts lies between 0 and 2100, and a reason names a date."""
    assert 0 <= bounded_ts(ts, recorded) <= LATEST_MS
    said = in_other_unit(ts, recorded)
    assert said is None or (said.isprintable() and len(said) < 250)


def test_the_constants_are_their_dates():
    """1980 and 2100 begin where they are said to."""
    assert datetime.fromtimestamp(EARLIEST_MS / 1000, UTC) == datetime(1980, 1, 1, tzinfo=UTC)
    assert datetime.fromtimestamp(LATEST_MS / 1000, UTC) == datetime(2100, 1, 1, tzinfo=UTC)
