"""Batches of raw records: what is an event, what it counts as, what is set aside, and in which order."""

import orjson
import pytest

from streams.records.decoding import RawRecord, RefusedRequest, Rejected, decode_batch, decode_request_record
from streams.records.records import Origin, Rating, Request, Watch
from streams.records.times import LATEST_MS

WATCH = b'{"event_id":"e1","user_id":"u","item_id":7,"ts":5,"progress":0.5,"unknown":1}'
NOW = 1_700_000_000_000
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


@pytest.mark.parametrize(
    ("ts", "recorded", "counts_as"),
    [
        (5, NOW, 5),
        (0, NOW, 0),
        (-1, NOW, 0),
        (-(2**63), NOW, 0),
        (NOW, NOW, NOW),
        (NOW + 1, NOW, NOW),
        (2**63 - 1, NOW, NOW),
        (NOW, NOW // 1000, NOW),
        (LATEST_MS, 0, LATEST_MS),
        (LATEST_MS + 1, 0, LATEST_MS),
        (2**63 - 1, -1, LATEST_MS),
        (2**63 - 1, LATEST_MS, LATEST_MS),
        (2**63 - 1, 2**63 - 1, LATEST_MS),
    ],
)
def test_event_times_are_bounded_by_the_record(ts, recorded, counts_as):
    """Below 0 is 0; the record's own time is the latest, 2100 without one; both ends and one beyond."""
    value = orjson.dumps(orjson.loads(WATCH) | {"ts": ts})
    [(_, event)] = decode_batch([RawRecord(Origin("watch-events", 0, 1, recorded), b"u", value)]).events
    assert event == Watch("e1", "u", "7", counts_as, 0.5)


@pytest.mark.parametrize("ts", [NOW // 1000, NOW * 1000, NOW * 1_000_000, 20231114, 20231114221320])
@pytest.mark.parametrize("recorded", [NOW, -1])
def test_a_time_in_another_unit_is_set_aside_with_that_reason(ts, recorded):
    """Seconds, microseconds, nanoseconds and written-out dates are wrong_unit, with the record as it came."""
    value = orjson.dumps(orjson.loads(WATCH) | {"ts": ts})
    sent = RawRecord(Origin("watch-events", 0, 1, recorded), b"u", value)
    decoded = decode_batch([sent])
    [rejected] = decoded.rejected
    assert (decoded.events, rejected.record, rejected.cause) == ((), sent, "wrong_unit")
    assert rejected.detail.startswith(f"ts must be milliseconds since the epoch, got {ts}, which looks like ")


@pytest.mark.parametrize(
    "key", [b'"u"', b'{"user_id":"u"}', b'{"schema":null,"payload":"u"}', b"\x00\x00\x00\x00\x01u"]
)
def test_the_user_in_another_form_is_a_key(key):
    """JSON, Connect's envelope and a registry's frame around the user are its key, of an event and of a request."""
    [(_, event)] = decode_batch([RawRecord(Origin("watch-events", 0, 1), key, WATCH)]).events
    assert event.user_id == "u"
    asked = RawRecord(Origin("recommendation-requests", 0, 1), key, b'{"request_id":"r","user_id":"u"}')
    assert decode_request_record(asked) == Request("r", "u")


@pytest.mark.parametrize("key", [b"", b"v", b"U", b"u ", b"u\x00", b"\xff", b'"v"', b"\x00\x00\x00\x01u"])
def test_a_key_that_is_not_the_user_is_a_wrong_key(key):
    """An event under another key is set aside with its bytes; a request is answered with what is wrong with its key."""
    sent = RawRecord(Origin("watch-events", 0, 1), key, WATCH)
    [rejected] = decode_batch([sent]).rejected
    assert (rejected.record, rejected.cause) == (sent, "wrong_key")
    asked = RawRecord(Origin("recommendation-requests", 0, 1), key, b'{"request_id":"r","user_id":"u"}')
    wish = decode_request_record(asked)
    assert isinstance(wish, RefusedRequest)
    assert (wish.origin, wish.request_id, wish.user_id) == (asked.origin, "r", "u")
    assert wish.detail.startswith("key must be the user_id 'u'")


def test_a_record_without_key_is_an_event():
    """State is right whatever the partition, so a producer may leave the key out."""
    [(_, event)] = decode_batch([RawRecord(Origin("watch-events", 3, 1), None, WATCH)]).events
    assert event.user_id == "u"
    assert decode_request_record(RawRecord(Origin("r", 0, 1), None, b'{"request_id":"r","user_id":7}')) == Request(
        "r", "7"
    )


def test_a_whole_number_of_a_user_has_its_digits_as_key():
    """The user 7 and the user "7" are one, under the key ``7``."""
    value = orjson.dumps(orjson.loads(WATCH) | {"user_id": 7})
    decoded = decode_batch([RawRecord(Origin("watch-events", 0, n), key, value) for n, key in enumerate((b"7", b"07"))])
    assert [event.user_id for _, event in decoded.events] == ["7"]
    assert [one.cause for one in decoded.rejected] == ["wrong_key"]


def test_a_bad_request_is_set_aside_with_its_cause():
    """What the codec refuses comes back as a value, not as an error."""
    record = RawRecord(Origin("r", 0, 1), b"u", b'{"user_id":"u"}')
    wish = decode_request_record(record)
    assert isinstance(wish, Rejected)
    assert (wish.record, wish.cause) == (record, "missing_field")
