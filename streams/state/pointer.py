"""The model pointer ``model:current``: which version serves, and what is still to be announced of it.

Both are fields of one hash, changed by one call, so whoever dies after a move leaves what it had to say beside it.
``streams.serving.promotion`` says it; readers outside find the fields in docs/reference/redis.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from redis import Redis

from streams.errors import StateError
from streams.records.codec import encode
from streams.records.records import ModelVersion
from streams.redis.connection import answered
from streams.state.calls import LIBRARY
from streams.state.keys import MODEL

__all__ = [
    "ANNOUNCING",
    "ANY_VERSION",
    "ModelPointer",
    "announced_call",
    "decode_announcing",
    "find_pointer",
    "move_call",
    "read_pointer",
]

ANY_VERSION = "*"  # no version is called so
ANNOUNCING = "announcing"
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ModelPointer:
    """The model that workers follow; ``promoted_at`` in milliseconds of the wall clock."""

    version: str
    uri: str
    promoted_at: int


def find_pointer(client: Redis) -> ModelPointer | None:
    """Return the model that serves for somebody who looks it up, or None before the first.

    Parameters
    ----------
    client : synchronous, and decodes what it reads.
    """
    with answered("model: reading the current version"):
        found: Any = client.hgetall(MODEL)
    return read_pointer(found)


def read_pointer(found: Mapping[Any, Any]) -> ModelPointer | None:
    """Return the pointer that the fields of its hash describe, as bytes or as text; None where there are none."""
    fields = {_text(name): _text(value) for name, value in found.items()}
    return ModelPointer(fields["version"], fields["uri"], int(fields["promoted_at"])) if fields else None


def decode_announcing(value: bytes) -> ModelVersion:
    """Return the record that is to be announced; raise StateError if it is none."""
    try:
        return ModelVersion(**orjson.loads(value))
    except (TypeError, ValueError) as error:
        raise StateError(
            f"state: a record of model-versions is required in the field {ANNOUNCING} of {MODEL}, "
            f"got {value[:_SHOWN]!r}: {error}; delete that field"
        ) from error


def move_call(
    pointer: ModelPointer, expected: ModelPointer | str | None, announcing: ModelVersion | None
) -> tuple[Any, ...]:
    """Move the pointer if what is expected serves, and put what is to be announced beside it; answered by 1 if so."""
    version, since = (
        (expected.version, expected.promoted_at) if isinstance(expected, ModelPointer) else (expected or "", "")
    )
    said = b"" if announcing is None else encode(announcing)
    where = (pointer.version, pointer.uri, pointer.promoted_at)
    return ("FCALL", f"{LIBRARY}_move_model", 1, MODEL, version, *where, since, said)


def announced_call(version: str, promoted_at: int) -> tuple[Any, ...]:
    """Remove what is to be announced of this version, if it has been the one that serves since then."""
    return ("FCALL", f"{LIBRARY}_model_announced", 1, MODEL, version, promoted_at)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
