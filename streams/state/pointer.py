"""The model pointer ``model:current``: which version serves, what it is measured by, and what is to be announced of it.

All are fields of one hash, changed by one call, so whoever dies after a move leaves what it had to say beside it.
``streams.serving.promotion`` says it; readers outside find the fields in docs/reference/redis.md. Where a version was
withdrawn, the pointer is there and names none.

Beside it is the history, what was decided of versions, in sorted sets by time. A decision that is noted twice, as after
a crash, is there once. What moves the pointer is kept apart from rounds that did not, as these are many.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import Redis

from model.training.standing import Standing
from streams.errors import StateError
from streams.records.codec import encode
from streams.records.positions import Offsets
from streams.records.records import ModelVersion
from streams.redis.connection import answered
from streams.state.calls import LIBRARY
from streams.state.keys import MODEL, MODEL_MOVES, MODEL_ROUNDS

__all__ = [
    "ANNOUNCING",
    "ANY_VERSION",
    "MAX_DECISIONS",
    "NO_POINTER",
    "STANDING",
    "ModelPointer",
    "ModelStanding",
    "announced_call",
    "decision_calls",
    "decode_announcing",
    "find_decisions",
    "find_pointer",
    "find_standing",
    "measured_call",
    "move_call",
    "read_pointer",
    "withdrawals_call",
]

ANY_VERSION = "*"  # no version is called so
NO_POINTER = "-"  # nor so
ANNOUNCING, STANDING = "announcing", "standing"
_SHOWN = 200
MAX_DECISIONS = 1000  # of each kind: years of promotions by hand, and hours of rounds; at most 1 MB


@dataclass(frozen=True, slots=True)
class ModelPointer:
    """The model that workers follow; ``promoted_at`` in milliseconds of the wall clock."""

    version: str
    uri: str
    promoted_at: int


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """What the version that serves is measured by; without any, it is its own anchor, and nothing is said of it yet.

    Parameters
    ----------
    anchor : version that it is measured by, None for itself.
    standing : what the rounds so far say.
    judged : topic -> partition -> offset: events before it were judged by.
    """

    anchor: str | None = None
    standing: Standing = field(default_factory=Standing)
    judged: Offsets = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return it as it is stored, JSON."""
        judged = {topic: {str(at): offset for at, offset in found.items()} for topic, found in self.judged.items()}
        return orjson.dumps({"anchor": self.anchor, "leads": self.standing.describe(), "judged": judged})

    @classmethod
    def decode(cls, value: bytes | str | None) -> "ModelStanding":
        """Return what was stored, and where nothing was what that means.

        Raises
        ------
        StateError
            If something else was stored.
        """
        if value is None:
            return cls()
        try:
            found = orjson.loads(value)
            anchor, standing = found["anchor"], Standing.restore(found["leads"])
            judged = {
                topic: {int(at): int(offset) for at, offset in partitions.items()}
                for topic, partitions in found["judged"].items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateError(
                f"state: an anchor, its leads and offsets are required in the field {STANDING} of {MODEL}, got "
                f"{value[:_SHOWN]!r}: {error}; delete that field, and the version that serves is its own anchor"
            ) from error
        return cls(anchor, standing, judged)


def find_standing(client: Redis) -> ModelStanding:
    """Return what the version that serves is measured by, for somebody who looks it up.

    Parameters
    ----------
    client : synchronous.

    Raises
    ------
    StateError
        If something else is stored.
    """
    with answered("model: reading what the current version is measured by"):
        found: Any = client.hget(MODEL, STANDING)
    return ModelStanding.decode(found)


def find_pointer(client: Redis) -> ModelPointer | None:
    """Return the model that serves for somebody who looks it up, or None where none does.

    Parameters
    ----------
    client : synchronous, and decodes what it reads.
    """
    with answered("model: reading the current version"):
        found: Any = client.hgetall(MODEL)
    return read_pointer(found)


def read_pointer(found: Mapping[Any, Any]) -> ModelPointer | None:
    """Return the pointer that the fields of its hash describe, as bytes or as text; None where they name no version."""
    fields = {_text(name): _text(value) for name, value in found.items()}
    if not fields.get("version"):
        return None
    return ModelPointer(fields["version"], fields["uri"], int(fields["promoted_at"]))


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
    pointer: ModelPointer,
    expected: ModelPointer | str | None,
    announcing: ModelVersion | None,
    standing: ModelStanding | None,
) -> tuple[Any, ...]:
    """Move the pointer if what is expected serves, and put the rest beside it; answered by 1 if so."""
    version, since = (
        (expected.version, expected.promoted_at) if isinstance(expected, ModelPointer) else (expected or "", "")
    )
    said = b"" if announcing is None else encode(announcing)
    measured = b"" if standing is None else standing.encode()
    where = (pointer.version, pointer.uri, pointer.promoted_at)
    return ("FCALL", f"{LIBRARY}_move_model", 1, MODEL, version, *where, since, said, measured)


def measured_call(pointer: ModelPointer, standing: ModelStanding) -> tuple[Any, ...]:
    """Replace what a version is measured by, if it still serves since then; answered by 1 if so."""
    where = (pointer.version, pointer.promoted_at)
    return ("FCALL", f"{LIBRARY}_model_measured", 1, MODEL, *where, standing.encode())


def announced_call(version: str, promoted_at: int) -> tuple[Any, ...]:
    """Remove what is to be announced of this version, if it has been the one that serves since then."""
    return ("FCALL", f"{LIBRARY}_model_announced", 1, MODEL, version, promoted_at)


def decision_calls(decided: ModelVersion) -> tuple[tuple[Any, ...], ...]:
    """Put a decision into the history, and forget what is beyond its bound."""
    key = MODEL_ROUNDS if decided.status in ("rejected", "held", "failed") else MODEL_MOVES
    return ("ZADD", key, decided.ts, encode(decided)), ("ZREMRANGEBYRANK", key, 0, -MAX_DECISIONS - 1)


def withdrawals_call(at: int) -> tuple[Any, ...]:
    """Return what was decided at this time and moved the pointer."""
    return ("ZRANGE", MODEL_MOVES, at, at, "BYSCORE")


def find_decisions(client: Redis, n: int, *, moves_only: bool = False) -> list[ModelVersion]:
    """Return the latest n decisions about versions, newest first, for somebody who looks them up.

    Parameters
    ----------
    client : synchronous.
    n : how many.
    moves_only : whether to leave out rounds that changed nothing.
    """
    keys = (MODEL_MOVES,) if moves_only else (MODEL_MOVES, MODEL_ROUNDS)
    with answered("model: reading the history"):
        found: list[Any] = [client.zrange(key, 0, n - 1, desc=True) for key in keys]
    decisions = [ModelVersion(**orjson.loads(one)) for some in found for one in some]
    return sorted(decisions, key=lambda one: one.ts, reverse=True)[:n]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
