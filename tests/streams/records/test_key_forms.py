"""Keys in the forms of other producers: which id each is read as, and what is said of the others."""

import struct

import pytest

from streams.records.codec import BadRecord, check_key, decode_item
from streams.records.key_forms import describe_key, readings

FRAME = b"\x00\x00\x00\x00\x07"  # of schema 7
SCHEMA = b'{"type":"struct","fields":[{"type":"int64","field":"user_id"}],"optional":false,"name":"Key"}'
OF_42 = {
    "text": b"42",
    "a JSON text": b'"42"',
    "an object with a number": b'{"user_id":42}',
    "an object with a text": b'{"user_id": "42"}',
    "a Long": struct.pack(">q", 42),
    "an Integer": struct.pack(">i", 42),
    "a number beside its schema": b'{"schema":{"type":"int64","optional":false},"payload":42}',
    "a text beside its schema": b'{"schema":{"type":"string","optional":false},"payload":"42"}',
    "an object beside its schema": b'{"schema":' + SCHEMA + b',"payload":{"user_id":42}}',
    "an envelope without a schema": b'{"schema":null,"payload":"42"}',
    "framed text": FRAME + b"42",
    "framed JSON text": FRAME + b'"42"',
    "a framed object": FRAME + b'{"user_id":42}',
}
OTHERS = {
    "another id": b"43",
    "another id in JSON": b'"43"',
    "another Long": struct.pack(">q", 43),
    "little-endian": struct.pack("<q", 42),
    "a double": struct.pack(">d", 42.0),
    "nothing": b"",
    "space before it": b" 42",
    "space within the quotes": b'" 42"',
    "an object of another field": b'{"id":42}',
    "an object of two fields": b'{"user_id":42,"tenant":1}',
    "a fraction": b'{"user_id":42.0}',
    "a truth": b'{"user_id":true}',
    "a list": b'["42"]',
    "an Avro number": FRAME + b"\x54",
    "an Avro text": FRAME + b"\x0442",
    "two frames": FRAME + FRAME + b"42",
    "a framed Long": FRAME + struct.pack(">q", 42),
    "half a frame": b"\x00\x00\x0042",
    "a long object": b'{"schema":"' + b"x" * 5000 + b'","payload":42}',
}


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in OF_42.items()])
def test_each_form_of_an_id_is_its_key(key):
    """The same id in thirteen forms is the key of the user 42, and of nobody else."""
    check_key(key, "user_id", "42")
    with pytest.raises(BadRecord, match="key must be the user_id '4'"):
        check_key(key, "user_id", "4")


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in OTHERS.items()])
def test_what_is_not_the_id_is_a_wrong_key(key):
    """Another id, another field, another byte order, Avro and what is merely near it are refused in one short line."""
    with pytest.raises(BadRecord) as caught:
        check_key(key, "user_id", "42")
    assert caught.value.cause == "wrong_key"
    assert len(caught.value.detail) < 400
    assert caught.value.detail.isprintable()


def test_numbers_have_a_sign_and_texts_any_letters():
    """A negative Long is the id with a minus, and JSON's escapes are what they stand for."""
    check_key(struct.pack(">q", -3), "user_id", "-3")
    check_key(struct.pack(">q", 2**63 - 1), "user_id", "9223372036854775807")
    check_key(rb'"zo\u00eb"', "user_id", "zoë")
    check_key('{"user_id":"zoë"}'.encode(), "user_id", "zoë")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (b"12345678", ["12345678", "3544952156018063160"]),  # 0x3132333435363738
        (b'"7"', ["7", '"7"']),
        (struct.pack(">q", 42), ["42"]),  # a frame's id of 0 and *, behind which three bytes are no text
        (struct.pack(">q", 0x0000000001343232), ["20197938", "422"]),  # 0x01343232, or 422 in the frame of schema 1
        (b'{"item_id":7}', ["7", '{"item_id":7}']),
        (b"\xff", []),
    ],
)
def test_the_likeliest_reading_comes_first(key, found):
    """JSON before text, text before a number, a number before a frame: so it is decided what an empty value removes."""
    assert list(readings(key, "item_id")) == found
    if found:
        assert decode_item(key, None) == found[0]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            b'{"id":42}',
            "; a JSON object must have user_id as its only field: extract it, in Connect with ExtractField$Key",
        ),
        (FRAME + b'{"id":42}', "; a JSON object must have user_id as its only field"),
        (
            FRAME + b"\x0442",
            "; it looks like Avro or Protobuf behind a registry's frame: use a JSON or string serializer",
        ),
        (FRAME + b"\x063foo", "; it looks like Avro"),
        (b'"43"', "; it can be read as '43'"),
        (struct.pack(">q", 43), "; it can be read as '43'"),
        (b" 42", "; it has space around it"),
        (b" 42 ", "; it has space around it"),
        (b"43", ""),
        (b"anna", ""),
        (b"annabell", ""),
        (b"\xff\xfe", ""),
    ],
)
def test_a_wrong_key_is_told_by_what_it_looks_like(key, said):
    """What a connector or a serializer wrote is named with its cure; another plain id needs no words."""
    assert describe_key(key, "user_id").startswith(said)
    assert bool(describe_key(key, "user_id")) == bool(said)
