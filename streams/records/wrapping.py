"""What serialisers and connectors put around a JSON value, taken off again.

A schema registry's JSON serialiser writes a zero byte and the schema's id, big-endian in four bytes, before the JSON.
Kafka Connect's JsonConverter with schemas enabled puts the value beside its schema:
``{"schema": ..., "payload": ...}``. Both are read wherever a value or a key is. What is not read, but recognised, is in
``lookalikes``.
"""

from collections.abc import Sized
from typing import Any

import orjson

__all__ = ["behind_frame", "is_envelope", "open_json"]

FRAME_BYTES = 5
MAGIC = b"\x00"
ENVELOPE = frozenset({"schema", "payload"})


def behind_frame(data: bytes) -> bytes | None:
    """Return what follows a schema registry's frame, None where there is no frame or nothing behind it."""
    return data[FRAME_BYTES:] if len(data) > FRAME_BYTES and data.startswith(MAGIC) else None


def is_envelope(found: Sized) -> bool:
    """Whether a JSON object is Connect's pair of a schema and a payload."""
    return len(found) == len(ENVELOPE) and isinstance(found, dict) and found.keys() == ENVELOPE


def open_json(data: bytes) -> Any:
    """Return the JSON value that bytes hold, without frame and envelope.

    Raises
    ------
    orjson.JSONDecodeError
        If they hold none.
    """
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        body = behind_frame(data)
        if body is None:
            raise
        found = orjson.loads(body)
    return found["payload"] if isinstance(found, dict) and is_envelope(found) else found
