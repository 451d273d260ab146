"""Values that are no records: each is refused by a reason that names what it looks like and the cure."""

import base64
import bz2
import gzip
import pickle

import orjson
import pytest

from streams.records.codec import BadRecord, decode_item, decode_watch

WATCH = {"event_id": "e", "user_id": "u", "item_id": "i", "ts": 1_700_000_000_000, "progress": 0.5}
BODY = orjson.dumps(WATCH)
FRAME = b"\x00\x00\x00\x00\x07"
CHANGE = {"before": None, "after": WATCH, "op": "c", "source": {}, "ts_ms": 1}
LOOKS = [
    ("gzip", gzip.compress(BODY), "not_json", "a gzip body: send plain JSON and let the producer compress it"),
    ("zstd", b"\x28\xb5\x2f\xfd\x04\x58\x01", "not_json", "a zstd body: send plain JSON"),
    ("snappy", b"\x82SNAPPY\x00\x00\x00\x00\x01", "not_json", "a snappy body: send plain JSON"),
    ("a byte order mark", b"\xef\xbb\xbf" + BODY, "not_json", "text behind a byte order mark: encode it as UTF-8"),
    ("UTF-16", BODY.decode().encode("utf-16"), "not_json", "UTF-16: encode it as UTF-8"),
    ("UTF-16, little-endian", BODY.decode().encode("utf-16-le"), "not_json", "UTF-16: encode it as UTF-8"),
    ("UTF-16, big-endian", BODY.decode().encode("utf-16-be"), "not_json", "UTF-16: encode it as UTF-8"),
    (
        "Avro",
        FRAME + b"\x02e\x02u\x02i\x80\xd0\x95\xff\xbc1",
        "not_json",
        "Avro or Protobuf behind a schema registry's",
    ),
    ("Protobuf", FRAME + b"\x00\x0a\x01e\x12\x01u", "not_json", "registry's frame: use a JSON serializer or converter"),
    ("Apicurio", bytes(8) + b"\x07" + BODY, "not_json", "JSON behind a frame of nine bytes: let the serializer write"),
    ("Glue", b"\x03\x00" + bytes(16) + BODY, "not_json", "the frame of AWS Glue's registry: use a serializer that"),
    ("Java", b"\xac\xed\x00\x05sr", "not_json", "a serialized Java object: use a JSON serializer"),
    ("a pickle", pickle.dumps(WATCH, 4), "not_json", "a Python pickle: use a JSON serializer"),
    ("a dict as text", str(WATCH).encode(), "not_json", "a Python dict as text: write it with json.dumps"),
    ("lines", BODY + b"\n" + BODY, "not_json", "several records in one: send one record for each"),
    ("C", BODY + b"\x00", "not_json", "JSON with zero bytes at its end: cut them off"),
    ("a list", orjson.dumps([WATCH, WATCH]), "not_an_object", "several records in one: send one record for each"),
    ("JSON twice", orjson.dumps(BODY.decode()), "not_an_object", "JSON within JSON: serialize it once"),
    ("base64", orjson.dumps(base64.b64encode(BODY).decode()), "not_an_object", "JSON in base64: send its bytes"),
    ("Debezium", orjson.dumps(CHANGE), "missing_field", "a change of Debezium: apply the transform ExtractNewRecord"),
    (
        "Debezium beside its schema",
        FRAME + orjson.dumps({"schema": {}, "payload": CHANGE}),
        "missing_field",
        "a change of Debezium: apply the transform ExtractNewRecordState",
    ),
    (
        "a CloudEvent",
        orjson.dumps({"specversion": "1.0", "type": "w", "source": "app", "data": WATCH}),
        "missing_field",
        "a CloudEvent: send its data alone",
    ),
]


@pytest.mark.parametrize(
    ("value", "cause", "said"), [pytest.param(value, cause, said, id=name) for name, value, cause, said in LOOKS]
)
def test_what_is_recognised_is_named_with_its_cure(value, cause, said):
    """What connectors, serializers and languages write instead of JSON is told in one line of 400 characters."""
    with pytest.raises(BadRecord) as caught:
        decode_watch(value)
    assert caught.value.cause == cause
    assert "; it looks like " in caught.value.detail
    assert said in caught.value.detail
    assert len(caught.value.detail) <= 400
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize("value", [b"{", b"plain text", bz2.compress(BODY), BODY[:-1], b"\x00\x00\x00\x00\x07", b"{}x"])
def test_nothing_is_guessed(value):
    """What resembles nothing known is told as what it is not, and no more."""
    with pytest.raises(BadRecord) as caught:
        decode_watch(value)
    assert "looks like" not in caught.value.detail


def test_null_removes_no_item():
    """The JSON value null is no empty value; the reason says what one is."""
    with pytest.raises(BadRecord, match="to remove an item send no value at all") as caught:
        decode_item(b"i", b"null")
    assert caught.value.cause == "not_an_object"
