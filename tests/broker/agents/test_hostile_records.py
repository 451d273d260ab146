"""Hostile records through a real Kafka and a real worker: a dead letter each, and the worker goes on."""

import struct

import orjson
import pytest
from confluent_kafka import KafkaError, Producer

TS = 1_700_000_000_000
FRAME = b"\x00\x00\x00\x00\x07"  # of a schema registry, schema 7


def watch(event_id, user_id, **other):
    """Return the JSON of a watch to the end."""
    return orjson.dumps({"event_id": event_id, "user_id": user_id, "item_id": "i", "ts": TS, "progress": 1.0} | other)


NUISANCES = {
    "a tombstone": (b"ann", None, "empty"),
    "a tombstone without a key": (None, None, "empty"),
    "another's key": (b"bob", watch("w", "ann"), "wrong_key"),
    "a key of bytes": (b"\xff\xfe\x00", watch("w", "ann"), "wrong_key"),
    "900 kB": (b"ann", b"x" * 900_000, "too_large"),
    "a bottomless list": (b"ann", b"[" * 60_000, "not_json"),
    "a bottomless field": (b"ann", b'{"event_id":' + b"[" * 1000 + b"]" * 1000 + b"}", "bad_field"),
    "an id with a line break": (b"ann", watch("w", "ann\n"), "bad_field"),
    "a rating of 6": (b"ann", watch("w", "ann", progress=6), "bad_field"),
    "no user": (b"ann", b'{"event_id":"w"}', "missing_field"),
    "space before the user": (None, watch("w", " ann"), "bad_field"),
    "Avro": (b"ann", FRAME + b"\x02w\x06ann", "not_json"),
    "an Avro key": (FRAME + b"\x06ann", watch("w", "ann"), "wrong_key"),
    "a list of events": (b"ann", b"[" + watch("w", "ann") + b"]", "not_an_object"),
    "a change of Debezium": (b"ann", b'{"before":null,"after":' + watch("w", "ann") + b',"op":"c"}', "missing_field"),
    "seconds": (b"ann", watch("w", "ann", ts=TS // 1000), "wrong_unit"),
    "microseconds": (b"ann", watch("w", "ann", ts=TS * 1000), "wrong_unit"),
    "a day written out": (b"ann", watch("w", "ann", ts=20231114), "wrong_unit"),
}
KEYS_OF_42 = (
    *(b"42", b'"42"', b'{"user_id":42}', b'{"user_id":"42"}', struct.pack(">q", 42), struct.pack(">i", 42)),
    *(b'{"schema":{"type":"int64","optional":false},"payload":42}', FRAME + b"42", FRAME + b'{"user_id":42}'),
)


@pytest.fixture(scope="module")
def running(install):
    """Return an installation with one worker, which is still alive when the tests are over."""
    installation = install()
    with installation.process("worker") as worker:
        worker.await_ready()
        yield installation
        assert worker.child.poll() is None, worker.said()


def send(installation, topic, key, value, **more):
    """Send one record with a client that sends anything; return what was delivered, or the error."""
    answers = []
    producer = Producer({"bootstrap.servers": installation.settings.kafka})
    name = installation.settings.prefix + topic
    producer.produce(name, value, key, on_delivery=lambda error, sent: answers.append(error or sent), **more)
    producer.flush(20)
    return answers[0]


def dead_letters(installation):
    """Return topic, partition and offset of each dead letter's record, with its cause and key."""
    found = {}
    for record in installation.records("dead-letters"):
        headers = dict(record.headers)
        at = tuple(headers[name].decode() for name in ("topic", "partition", "offset"))
        found.setdefault(at, []).append((headers["cause"].decode(), record.key))
    return found


def test_each_nuisance_is_one_dead_letter_and_what_follows_is_answered(running, until):
    """Eighteen bad records yield as many dead letters of their causes under their keys, and a good event its list."""
    topic = running.settings.prefix + "watch-events"
    wanted = {}
    for key, value, cause in NUISANCES.values():
        sent = send(running, "watch-events", key, value, partition=0)
        wanted[topic, "0", str(sent.offset())] = [(cause, key)]
    send(running, "watch-events", b"ann", watch("good", "ann"), partition=0)
    running.await_value("recommendations", lambda value: value["trigger"].get("event_id") == "good")
    until(lambda: len(dead_letters(running)) >= len(wanted), 10, lambda: f"{wanted} but got {dead_letters(running)}")
    assert dead_letters(running) == wanted
    assert running.counts("watches") == {"ann": 1}


def test_headers_of_any_bytes_do_not_matter(running):
    """An event with headers of no text, of no value and of a dead letter's names is answered like any other."""
    headers = [("", b""), ("cause", b"\xff\xfe"), ("topic", b"\x00" * 1000), ("ü", b"x"), ("none", None)]
    send(running, "watch-events", b"hed", watch("h1", "hed"), headers=headers)
    running.await_value("recommendations", lambda value: value["user_id"] == "hed")


def test_a_user_is_known_by_every_form_of_the_key(running, until):
    """Under nine forms of the key 42, framed or beside a schema, all eleven watches count for the user 42."""
    before = len(dead_letters(running))
    for n, key in enumerate(KEYS_OF_42):
        send(running, "watch-events", key, watch(f"k{n}", 42))
    send(running, "watch-events", b"42", FRAME + watch("framed", 42))
    send(running, "watch-events", b"42", b'{"schema":null,"payload":' + watch("beside", 42) + b"}")
    until(lambda: running.counts("watches").get("42") == 11, 30, lambda: f"11, got {running.counts('watches')}")
    assert len(dead_letters(running)) == before


def test_a_request_under_a_connectors_key_is_answered(running):
    """A request keyed by a JSON object and sent in a frame gets its list."""
    request = FRAME + b'{"request_id":"connected","user_id":"ann"}'
    send(running, "recommendation-requests", b'{"user_id":"ann"}', request)
    running.await_value("recommendations", lambda value: value["trigger"].get("request_id") == "connected")


def test_every_letter_is_counted_with_bad_requests_and_films(running, until):
    """With a bad event, a bad request and a bad film the sign of life counts as many letters as the topic has."""
    before = len(dead_letters(running))
    for topic in ("watch-events", "recommendation-requests", "catalog-items"):
        send(running, topic, b"ann", b"{", partition=1)
    until(lambda: len(dead_letters(running)) == before + 3, 20, lambda: f"{before} and 3, got {dead_letters(running)}")
    until(lambda: running.reports("worker")[0]["rejected"] == before + 3, 20, lambda: running.reports("worker"))


@pytest.mark.parametrize(("user_id", "ts"), [("late", 2**63 - 1), ("early", -(2**63))])
def test_times_out_of_range_are_bounded_by_the_record(running, user_id, ts):
    """The end of time counts as the moment that the record was written, the beginning of time as 0."""
    sent = send(running, "watch-events", user_id.encode(), watch(f"{user_id}1", user_id, ts=ts))
    found = running.await_value("recommendations", lambda value: value["user_id"] == user_id)
    counts_as = sent.timestamp()[1] if ts > 0 else 0
    assert found["event_ts"] == counts_as
    assert running.redis.hget(f"user:{{{user_id}}}", "last_ts") == str(counts_as)


def test_kafka_itself_refuses_a_record_dated_ahead(running):
    """A record that claims to be written two hours from now is refused by the broker: the bound cannot be pushed."""
    sent = send(running, "watch-events", b"ann", watch("x", "ann"))
    ahead = sent.timestamp()[1] + 2 * 3_600_000
    refused = send(running, "watch-events", b"ann", watch("y", "ann"), timestamp=ahead)
    assert refused.code() == KafkaError.INVALID_TIMESTAMP


def test_a_catalogue_record_under_another_key_is_a_dead_letter(running, until):
    """A film under another film's key is refused; a removal by key is none, and good films are listed."""
    topic = running.settings.prefix + "catalog-items"
    film = orjson.dumps({"item_id": "f1", "title": "Heat"})
    wrong = send(running, "catalog-items", b"f2", film, partition=0)
    send(running, "catalog-items", b"f3", None, partition=0)
    send(running, "catalog-items", b"f1", film, partition=0)
    at = (topic, "0", str(wrong.offset()))
    until(lambda: at in dead_letters(running), 20, lambda: f"{at} but got {dead_letters(running)}")
    until(lambda: running.redis.hexists("catalog:items", "f1"), 20, lambda: "the good film")
    assert dead_letters(running)[at] == [("wrong_key", b"f2")]
    assert {where for where in dead_letters(running) if where[0] == topic and where[1] == "0"} == {at}


def test_a_film_comes_and_goes_under_a_connectors_key(running, until):
    """Put and removed under a key in JSON quotes, and under one of eight bytes, a film is listed and gone again."""
    for film, key in (("x 1", b'"x 1"'), ("77", struct.pack(">q", 77))):
        send(running, "catalog-items", key, orjson.dumps({"item_id": film, "title": "Film"}))
        until(lambda film=film: running.redis.hexists("catalog:items", film), 20, lambda film=film: film)
        send(running, "catalog-items", key, None)
        until(lambda film=film: not running.redis.hexists("catalog:items", film), 20, lambda film=film: film)
