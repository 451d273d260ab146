"""Batches of raw records: what is an event, what is set aside, and in which order."""

from streams.inbox import RawRecord, decode_batch
from streams.records import Origin, Rating, Watch

WATCH = b'{"event_id":"e1","user_id":"u","item_id":7,"ts":5,"progress":0.5,"unknown":1}'
RATING = b'{"event_id":"e2","user_id":"u","item_id":"i","ts":6,"rating":4}'


def record(topic, offset, value):
    """Return a record of partition 0 under the prefix ``x-``."""
    return RawRecord(Origin(f"x-{topic}", 0, offset), b"u", value)


def test_each_topic_is_read_by_its_contract():
    """A watch and a rating become their nouns, with their origins and in the order of the batch."""
    records = [record("rate-events", 3, RATING), record("watch-events", 9, WATCH)]
    decoded = decode_batch(records, "x-")
    assert decoded.events == (
        (Origin("x-rate-events", 0, 3), Rating("e2", "u", "i", 6, 4.0)),
        (Origin("x-watch-events", 0, 9), Watch("e1", "u", "7", 5, 0.5)),
    )
    assert decoded.rejected == ()


def test_a_bad_record_is_set_aside_whole_and_the_rest_stays():
    """Of five records the three bad ones are kept as they came, each with its cause; the two good ones are events."""
    bad = [record("watch-events", 1, b"{"), record("watch-events", 3, RATING), record("rate-events", 4, None)]
    good = [record("watch-events", 0, WATCH), record("rate-events", 2, RATING)]
    decoded = decode_batch([good[0], bad[0], good[1], bad[1], bad[2]], "x-")
    assert [origin for origin, _ in decoded.events] == [one.origin for one in good]
    assert [one.record for one in decoded.rejected] == bad
    assert [one.cause for one in decoded.rejected] == ["not_json", "missing_field", "empty"]
    assert "progress is required" in decoded.rejected[1].detail


def test_nothing_yields_nothing():
    """An empty batch has no events and no rejects."""
    assert decode_batch([]) == decode_batch(iter(()), "x-")
    assert decode_batch([]).events == decode_batch([]).rejected == ()
