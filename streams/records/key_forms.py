"""Keys as connectors and typed serialisers write them: the ids that the bytes of a key can be read as.

A producer of ours writes an id in UTF-8. Others write it in JSON quotes, as a JSON object of the one field that it is
in, with or without Connect's schema beside it, each of these also behind the frame of a schema registry, or as a
big-endian number of eight bytes (Java's ``LongSerializer``) or four (``IntegerSerializer``). A record that has a value
says itself which id it is of, so its key is right if any reading is that id; only for a removal the order decides.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from streams.records.ids import is_id
from streams.records.wrapping import behind_frame, is_envelope

__all__ = ["describe_key", "named_by", "readings"]

MAX_BYTES = 4096  # of a key that is parsed: an id of 64 characters and Connect's schema of one field are below 1 KiB
NUMBER_BYTES = (8, 4)  # bytes of Java's Long and Integer
MAX_SHOWN_CHARACTERS = 64  # characters of a reading in a message


def readings(key: bytes, name: str) -> Iterator[str]:
    """Give every id that a key can be read as, the likeliest first; not all of them need be valid ids.

    JSON in quotes or braces comes before the same bytes as text, text before a number (``b"12345678"`` is a text), and
    a number before a frame. Numbers are not framed by anybody, and would look like Avro there.

    Parameters
    ----------
    key : the bytes, as they came.
    name : the field that the id is in: the only one of a JSON object that names it.
    """
    if len(key) > MAX_BYTES:
        return
    yield from _written(key, name)
    if len(key) in NUMBER_BYTES:
        yield str(int.from_bytes(key, "big", signed=True))
    behind = behind_frame(key)
    if behind is not None:
        yield from _written(behind, name)


def named_by(key: bytes, name: str) -> str | None:
    """Return the id that a key alone names, as where an empty value removes it: the first reading that is an id.

    JSON in quotes or braces that holds none names none, though its bytes would be an id as well.
    """
    found = next(filter(is_id, readings(key, name)), None)
    behind = behind_frame(key)
    is_json = _in_json(key) is not None or (behind is not None and _in_json(behind) is not None)
    return None if found is None or (is_json and found.encode() in (key, behind)) else found


def describe_key(key: bytes, name: str) -> str:
    """Say what a key that fits no id looks like, and what to do about it: the end of a message, or nothing."""
    behind = behind_frame(key)
    found = _in_json(key if behind is None else behind)
    if isinstance(found, dict) and found.keys() != {name}:
        return f"; a JSON object must have {name} as its only field: extract it, in Connect with ExtractField$Key"
    is_text = behind is None or len(key) in NUMBER_BYTES or any(_written(behind, name))
    if behind is not None and (_is_avro_text(behind) or not is_text):
        return "; it looks like Avro or Protobuf behind a registry's frame: use a JSON or string serializer for keys"
    likeliest = next(readings(key, name), None)
    if likeliest is not None and likeliest.encode() != key:
        return f"; it can be read as {likeliest[:MAX_SHOWN_CHARACTERS]!r}"
    return "; it has space around it" if key.strip() not in (b"", key) else ""


def _written(key: bytes, name: str) -> Iterator[str]:
    found = _in_json(key)
    if isinstance(found, dict) and found.keys() == {name}:
        found = found[name]
    if isinstance(found, str) or type(found) is int:
        yield str(found)
    text = _text(key)
    if text is not None:
        yield text


def _is_avro_text(behind: bytes) -> bool:
    """Whether this is Avro's way of writing a short text: its length doubled, and its letters."""
    return behind[0] == 2 * (len(behind) - 1) and _text(behind[1:]) is not None


def _in_json(key: bytes) -> Any:
    """Return what JSON in quotes or braces holds, without an envelope; None for anything else."""
    if len(key) > MAX_BYTES or not key.startswith((b'"', b"{")):
        return None
    try:
        found = orjson.loads(key)
    except orjson.JSONDecodeError:
        return None
    return found["payload"] if isinstance(found, dict) and is_envelope(found) else found


def _text(key: bytes) -> str | None:
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
