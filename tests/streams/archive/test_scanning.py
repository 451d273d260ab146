"""From records to files: what is a duplicate, where a day ends, and that nothing depends on how records are cut."""

from itertools import pairwise

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.archive.scanning import LastIds, Scanner, day_number
from streams.records.decoding import RawRecord
from streams.records.records import Origin

DAY_MS = 86_400_000
TS = 19_675 * DAY_MS  # 2023-11-14T00:00:00Z, 19,675 days after 1970-01-01


def record(offset, event_id=None, user_id="u", timestamp=TS, value=None):
    """Return a watch at an offset, or the given bytes instead."""
    fields = {"event_id": event_id or f"e{offset}", "user_id": user_id, "item_id": "i", "ts": TS, "progress": 1}
    body = orjson.dumps(fields) if value is None else value
    return RawRecord(Origin("x-watch-events", 2, offset, timestamp), user_id.encode(), body)


def scanner(position=0, ids=None):
    """Return a scanner of one partition of an installation with the prefix ``x-``."""
    return Scanner("x-watch-events", 2, position, "x-", ids or LastIds())


def files_of(scanned):
    """Return each closed file as its range, day, and the offsets of its rows."""
    return [
        (one.first, one.last, one.date, [at for rows in one.rows for at in rows.column("offset").to_pylist()])
        for one in scanned.closed
    ]


def test_the_last_512_ids_of_a_user_are_remembered():
    """An id is a duplicate while 511 others came after it, and new once 512 did; other users do not matter."""
    ids = LastIds()
    assert ids.is_new("u", "first")
    assert all(ids.is_new("u", str(n)) for n in range(511))
    assert all(ids.is_new("v", str(n)) for n in range(1000))
    assert not ids.is_new("u", "first")
    assert ids.is_new("u", "one more")
    assert ids.is_new("u", "first")


def test_a_partition_remembers_a_bounded_number():
    """With room for three, an id is a duplicate while two others came after it, and new after three."""
    ids = LastIds(in_all=3)
    assert all(ids.is_new(user, "e") for user in "abc")
    assert not ids.is_new("a", "e")
    assert len(ids) == 3
    assert ids.is_new("d", "e")
    assert ids.is_new("a", "e")
    assert not ids.is_new("d", "e")
    assert len(ids) == 3


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("123456")), max_size=60),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(0, 60),
)
def test_memory_can_be_filled_again_from_what_was_archived(events, per_user, in_all, cut):
    """Fed with the newest archived ids after a restart anywhere, the rest of the stream is judged as without one."""
    whole = LastIds(per_user, in_all)
    archived = [event for event in events[:cut] if whole.is_new(*event)]
    again = LastIds(per_user, in_all)
    assert all(again.is_new(*event) for event in archived[-in_all:])
    assert [whole.is_new(*event) for event in events[cut:]] == [again.is_new(*event) for event in events[cut:]]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("1234")), max_size=60),
    st.integers(1, 4),
)
def test_duplicates_are_those_of_the_state(events, per_user):
    """Without the partition's bound an event is new unless its id is among its user's last counted ones."""
    ids, counted = LastIds(per_user, 1000), {}
    for user_id, event_id in events:
        expected = event_id not in counted.get(user_id, [])[-per_user:]
        assert ids.is_new(user_id, event_id) is expected
        if expected:
            counted.setdefault(user_id, []).append(event_id)


def test_bad_records_and_duplicates_are_counted_and_scanned():
    """Of five records two are events: the file ends after the last record, and says what has no row."""
    scanned = scanner(10)
    records = [record(10), record(11, value=b"?"), record(12, "e10"), record(13), record(14, "e13")]
    assert scanned.add(records) == 2
    assert (scanned.pending, scanned.position) == (5, 15)
    scanned.close()
    assert files_of(scanned) == [(10, 14, "2023-11-14", [10, 13])]
    assert (scanned.closed[0].rejected, scanned.closed[0].duplicates) == (1, 2)


def test_a_file_without_an_event_keeps_the_position():
    """Two bad records alone make a file without rows, so that they are not read again."""
    scanned = scanner()
    assert scanned.add([record(0, value=b"?"), record(1, value=b"[]")]) == 0
    scanned.close()
    assert files_of(scanned) == [(0, 1, "2023-11-14", [])]


def test_files_end_at_midnight():
    """The last millisecond of a day and the first of the next are in two files, of which the first is closed."""
    scanned = scanner()
    scanned.add([record(0), record(1, timestamp=TS + DAY_MS - 1), record(2, timestamp=TS + DAY_MS)])
    assert files_of(scanned) == [(0, 1, "2023-11-14", [0, 1])]
    scanned.close()
    assert files_of(scanned)[1:] == [(2, 2, "2023-11-15", [2])]


def test_a_record_of_an_earlier_day_opens_no_file():
    """Where clocks disagree at midnight, a record of the day before stays with those around it."""
    scanned = scanner()
    scanned.add([record(0), record(1, timestamp=TS + DAY_MS), record(2, timestamp=TS)])
    scanned.add([record(3, timestamp=TS), record(4, timestamp=TS + DAY_MS)])
    scanned.close()
    assert files_of(scanned) == [(0, 0, "2023-11-14", [0]), (1, 4, "2023-11-15", [1, 2, 3, 4])]


def test_any_timestamp_has_a_day():
    """No timestamp (-1) counts as 1970-01-01, and one beyond the calendar as 9999-12-31: 2,932,896 days later."""
    assert [day_number(at) for at in (-1, 0, DAY_MS, 2**62)] == [0, 0, 1, 2_932_896]


def test_a_gap_is_in_no_file():
    """After skipping, the file before ends where it was and the next begins where Kafka goes on."""
    scanned = scanner()
    scanned.add([record(0), record(1)])
    scanned.skip_to(7)
    scanned.add([record(7)])
    scanned.close()
    assert files_of(scanned) == [(0, 1, "2023-11-14", [0, 1]), (7, 7, "2023-11-14", [7])]


def test_closing_nothing_makes_no_file():
    """Without a new record there is no file, however often it is closed."""
    scanned = scanner()
    scanned.add([record(0)])
    scanned.close()
    scanned.close()
    assert len(scanned.closed) == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c", "bad"])), min_size=1, max_size=30),
    st.lists(st.integers(1, 29), max_size=5),
)
def test_how_records_are_cut_into_batches_does_not_matter(facts, cuts):
    """The same records make the same files in one batch and in any other batches."""
    records = [
        record(at, name, timestamp=TS + day * DAY_MS, value=b"?" if name == "bad" else None)
        for at, (day, name) in enumerate(facts)
    ]
    whole, cut = scanner(), scanner()
    whole.add(records)
    borders = sorted({0, *(at for at in cuts if at < len(records)), len(records)})
    for first, last in pairwise(borders):
        cut.add(records[first:last])
    whole.close()
    cut.close()
    assert files_of(cut) == files_of(whole)
    assert [(one.rejected, one.duplicates) for one in cut.closed] == [
        (one.rejected, one.duplicates) for one in whole.closed
    ]
