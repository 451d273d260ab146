"""Mending a dead letter: what is sent in its place, with which key, and what is refused with which reason."""

from types import SimpleNamespace

import orjson
import pytest

from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.dead_letters.reading import Letter, LetterFilter, OriginSet, ReplayNote, read_entry
from streams.dead_letters.replaying import (
    MendedRecord,
    RefusedLetter,
    ReplayOutcome,
    mend,
    mend_wanted,
    replayed_headers,
    replayed_origins,
)
from streams.kafka.publisher import dead_letter_headers
from streams.records.decoding import RawRecord, Rejected
from streams.records.records import Origin

WATCH = {"event_id": "e", "user_id": "u", "item_id": "i", "ts": 5, "progress": 0.5}


def letter(value, *, topic="x-watch-events", key=b"u", offset=0, cut_from=None):
    """Return a letter with this value; a mapping becomes JSON."""
    body = orjson.dumps(value) if isinstance(value, dict) else value
    return Letter(0, 100 + offset, 0, Origin(topic, 0, offset), key, body, "not_json", "", cut_from, {})


def unchanged(value):
    """Return what is given."""
    return value


def test_without_a_function_the_bytes_go_as_they_are():
    """A letter that keeps its contract by now is sent byte for byte to its own topic."""
    body = b' {"event_id":"e", "user_id":"u","item_id":"i","ts":5,"progress":0.5, "more":1}'
    one = letter(body)
    assert mend(one, None, "x-") == MendedRecord(one, "x-watch-events", b"u", body)


def test_a_function_gets_the_object_and_what_it_returns_is_sent():
    """A progress of 150 percent that the function divides by 100 becomes 1.5 / 1.5 = 1.0 and passes."""
    mended = mend(letter(WATCH | {"progress": 1.5}), lambda event: event | {"progress": event["progress"] / 1.5}, "x-")
    assert orjson.loads(mended.value) == WATCH | {"progress": 1.0}


@pytest.mark.parametrize(("value", "got"), [(b"{broken", b"{broken"), (None, b""), (b"", b""), (b"[1]", [1])])
def test_a_function_gets_bytes_where_there_is_no_json(value, got):
    """No JSON is handed over as bytes, an absent value as no bytes, and JSON of any kind as what it is."""
    given = []
    assert mend(letter(value), given.append, "x-") is None
    assert given == [got]


def test_bytes_from_a_function_go_as_they_are():
    """A function may return the record itself."""
    body = orjson.dumps(WATCH)
    assert mend(letter(b"{"), lambda _: body, "x-").value == body


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x00\x00\x00\x07" + orjson.dumps(WATCH | {"progress": 50}),
        orjson.dumps({"schema": None, "payload": WATCH | {"progress": 50}}),
    ],
)
def test_a_function_gets_what_is_in_a_frame_or_an_envelope(body):
    """It sees the object alone, and what it returns is sent as plain JSON."""
    mended = mend(letter(body), lambda event: event | {"progress": event["progress"] / 100}, "x-")
    assert orjson.loads(mended.value) == WATCH


def test_a_framed_value_goes_as_it_is_without_a_function():
    """Workers read it, so it keeps its contract, byte for byte."""
    body = b"\x00\x00\x00\x00\x07" + orjson.dumps(WATCH)
    assert mend(letter(body), None, "x-") == MendedRecord(letter(body), "x-watch-events", b"u", body)


def test_a_time_in_seconds_is_sent_only_when_it_is_mended():
    """As it is it would die again; a thousand times it is the time that was meant."""
    one = letter(WATCH | {"ts": 1_700_000_000})
    assert mend(one, None, "x-").cause == "wrong_unit"
    mended = mend(one, lambda event: event | {"ts": event["ts"] * 1000}, "x-")
    assert orjson.loads(mended.value)["ts"] == 1_700_000_000_000


@pytest.mark.parametrize("key", [b"somebody", None, b"\xff", b'"u"', b'{"user_id":"u"}'])
def test_the_key_becomes_the_user(key):
    """Whatever the key was, it is the user of the mended record."""
    assert mend(letter(WATCH, key=key), None, "x-").key == b"u"


def test_every_topic_has_its_contract_and_its_key():
    """A rating and a request are keyed by user, a film by item, and a removal by the item that its key names."""
    rating = {"event_id": "e", "user_id": "v", "item_id": "i", "ts": 5, "rating": 4}
    assert mend(letter(rating, topic="x-rate-events"), None, "x-").key == b"v"
    wish = {"request_id": "r", "user_id": "w"}
    assert mend(letter(wish, topic="x-recommendation-requests"), None, "x-").key == b"w"
    film = {"item_id": "f", "title": "Film"}
    assert mend(letter(film, topic="x-catalog-items"), None, "x-").key == b"f"
    assert mend(letter(None, topic="x-catalog-items", key=b"g"), None, "x-").key == b"g"
    assert mend(letter(None, topic="x-catalog-items", key=b'"g"'), None, "x-").key == b"g"


@pytest.mark.parametrize(
    ("one", "change", "cause"),
    [
        (letter(b"{"), None, "not_json"),
        (letter(WATCH | {"ts": "x"}), unchanged, "bad_field"),
        (letter(None), None, "empty"),
        (letter(WATCH), lambda event: event["absent"], "map_failed"),
        (letter(WATCH), lambda _: {1, 2}, "map_failed"),
        (letter(WATCH, cut_from=600_000), unchanged, "cut_off"),
        (letter(WATCH, topic="y-watch-events"), None, "other_topic"),
        (letter(WATCH, topic="x-recommendations"), None, "other_topic"),
        (letter(None, topic="x-catalog-items", key=None), None, "missing_field"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_cause(one, change, cause):
    """A broken contract, a failing function, a cut value and a foreign topic each have their cause, and a reason."""
    refused = mend(one, change, "x-")
    assert isinstance(refused, RefusedLetter)
    assert refused.cause == cause
    assert refused.reason


def test_each_origin_is_chosen_once_and_accounted_for():
    """Of a good one twice, one replayed before, one left out and one bad: one fits, and each other has its count."""
    entries = [
        letter(WATCH, offset=1),
        letter(WATCH, offset=1),
        letter(WATCH, offset=2),
        ReplayNote(Origin("x-watch-events", 0, 2)),
        letter(WATCH | {"event_id": "leave"}, offset=3),
        letter(b"{", offset=4),
    ]

    def change(value):
        return None if isinstance(value, dict) and value["event_id"] == "leave" else value

    results = [
        (result, outcome)
        for outcome, result in mend_wanted(entries, LetterFilter(), replayed_origins(entries), change, "x-")
    ]
    assert [type(result) for result, _ in results] == [MendedRecord, type(None), type(None), RefusedLetter]
    assert results[-1][1] == ReplayOutcome(fit=1, left_out=1, before=1, refused={"not_json": 1})


def test_a_filter_keeps_the_rest_out_of_the_account():
    """Letters that are not wanted are not counted at all."""
    wanted = LetterFilter(letter_ids=frozenset({"0:101"}))
    found = list(mend_wanted([letter(b"{", offset=1), letter(b"{", offset=2)], wanted, OriginSet(), None, "x-"))
    assert len(found) == 1


def test_a_kind_that_is_known_by_now_is_sent():
    """An action is refused while the table lacks its kind, and sent as it came once a row was added."""
    action = {"event_id": "e", "user_id": "u", "item_id": "i", "ts": 5, "kind": "like"}
    one = letter(action, topic="x-action-events")
    assert mend(one, None, "x-").cause == "unknown_kind"
    kinds = KindTable.of((*DEFAULT_KINDS.rows, EventKind("like", 1, is_positive=True)))
    assert mend(one, None, "x-", kinds) == MendedRecord(one, "x-action-events", b"u", one.value)


@pytest.mark.parametrize("more", [[], [("tracestate", b"shop=1")]])
def test_a_trace_goes_through_a_letter_and_back(more):
    """What is sent again belongs to the trace of the record that died, as its letter does."""
    trace = [("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), *more]
    sent = SimpleNamespace(topic="x-watch-events", partition=0, offset=7, timestamp=5, key=b"u", value=b"{")
    sent.headers = [("of", b"others"), *trace]
    died = dead_letter_headers(Rejected(RawRecord.of(sent), "not_json", ""))
    wrote = SimpleNamespace(partition=1, offset=3, timestamp=6, key=b"u", value=b"{", headers=list(died.items()))
    back = replayed_headers(read_entry(wrote))
    told = [("replayed_from", b"x-watch-events:0:7"), ("dead_letter", b"1:3"), ("cause", b"not_json")]
    assert back == [*trace, *told]


def test_a_letter_without_a_trace_begins_none():
    """Headers that break the standard, which somebody else may have put on a letter, are not carried on."""
    one = letter(WATCH)
    assert "traceparent" not in dict(replayed_headers(one))
    broken = Letter(0, 1, 0, one.origin, b"u", b"{", "not_json", "", None, {"traceparent": b"00-1-2-3"})
    assert "traceparent" not in dict(replayed_headers(broken))
