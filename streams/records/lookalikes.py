"""What a value that is no record looks like, and what to do about it: the end of a dead letter's reason.

Whoever connects a new producer sees the first dead letter and should need no second try. Nothing here is read or
decompressed, only recognised: by its first bytes, by the names of its fields, or by its shape.
"""

from collections.abc import Mapping
from typing import Any

from streams.records.wrapping import behind_frame

__all__ = ["describe_bytes", "describe_fields", "describe_json"]

COMPRESS = "send plain JSON and let the producer compress it (compression.type)"
UTF_8 = "encode it as UTF-8 without a byte order mark"
JSON = "use a JSON serializer or converter"
BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip body", COMPRESS),
    (b"\x28\xb5\x2f\xfd", "a zstd body", COMPRESS),
    (b"\x04\x22\x4d\x18", "an lz4 body", COMPRESS),
    (b"\x82SNAPPY\x00", "a snappy body", COMPRESS),
    (b"\xff\x06\x00\x00sNaPpY", "a snappy body", COMPRESS),
    (b"\xef\xbb\xbf", "text behind a byte order mark", UTF_8),
    (b"\xff\xfe", "UTF-16", UTF_8),
    (b"\xfe\xff", "UTF-16", UTF_8),
    (b"{\x00", "UTF-16", UTF_8),
    (b"\x00{", "UTF-16", UTF_8),
    (b"\xac\xed\x00\x05", "a serialized Java object", JSON),
    (b"\x80\x04", "a Python pickle", JSON),
    (b"\x80\x05", "a Python pickle", JSON),
    (b"Obj\x01", "an Avro file", JSON),
    (b"\x03\x00", "the frame of AWS Glue's registry", "use a serializer that sends plain JSON"),
    (b"\x03\x05", "the compressed frame of AWS Glue's registry", "use a serializer that sends plain JSON"),
    (b"{'", "a Python dict as text", "write it with json.dumps"),
    (b"<", "XML", JSON),
)
LONG_FRAME = 9  # bytes: a zero and an id of eight, as Apicurio's serializers write where they are not told otherwise
DEBEZIUM = frozenset({"before", "after", "op"})
CLOUD_EVENT = frozenset({"specversion", "type", "source"})


def describe_bytes(value: bytes) -> str:
    """Say what bytes that are no JSON look like, and the cure; nothing where they look like nothing known."""
    for beginning, what, cure in BEGINNINGS:
        if value.startswith(beginning):
            return _told(what, cure)
    if behind_frame(value) is not None:
        if value[LONG_FRAME : LONG_FRAME + 1] == b"{":
            return _told("JSON behind a frame of nine bytes", "let the serializer write schema ids of four bytes")
        return _told("Avro or Protobuf behind a schema registry's frame", JSON)
    if b"}\n{" in value or b"}{" in value:
        return _told("several records in one", "send one record for each")
    return _told("JSON with zero bytes at its end", "cut them off") if value.endswith(b"}\x00") else ""


def describe_json(found: Any) -> str:
    """Say what JSON that is no object looks like, and the cure."""
    if found is None:
        return "; to remove an item send no value at all, which null is not"
    if isinstance(found, list):
        return _told("several records in one", "send one record for each")
    if isinstance(found, str) and found.startswith("{"):
        return _told("JSON within JSON", "serialize it once")
    if isinstance(found, str) and found.startswith("eyJ"):  # what base64 makes of {"
        return _told("JSON in base64", "send its bytes; in Connect with another converter for values")
    return ""


def describe_fields(fields: Mapping[str, Any]) -> str:
    """Say what an object without a required field looks like, and the cure."""
    if fields.keys() >= DEBEZIUM:
        return _told("a change of Debezium", "apply the transform ExtractNewRecordState")
    if fields.keys() >= CLOUD_EVENT:
        return _told("a CloudEvent", "send its data alone, as the binary content mode does")
    return ""


def _told(what: str, cure: str) -> str:
    return f"; it looks like {what}: {cure}"
