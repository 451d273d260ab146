"""What decoding takes of each field that somebody else sends, as JSON Schema.

``streams.records.codec`` enforces these limits and owns their numbers. A test sends both the same values, and they must
agree. Not said here, as JSON Schema cannot: that years are in order, that a time is in milliseconds, that a key is the
record's id, that 64 KiB are the limit, and that a whole number written with a fraction (``1.0``) is none.
"""

from collections.abc import Mapping

from model.wishes.combining import MAX_WEIGHT, WEIGHTS
from model.wishes.wishes import GenreWishes
from streams.contracts.descriptions import parameters_of
from streams.contracts.json_types import Schema, nullable
from streams.records.codec import (
    MAX_AGE,
    MAX_EXCLUDE,
    MAX_GENRES,
    MAX_K,
    MAX_LIKE,
    MAX_QUERY_LENGTH,
    MAX_TAGS,
    MAX_TITLE_LENGTH,
    MAX_WAS,
    MAX_YEAR,
    MIN_YEAR,
)
from streams.records.ids import MAX_ID_LENGTH

__all__ = ["DATA_REQUEST", "EVENT", "HINTS", "ITEM", "KIND", "PROGRESS", "REQUEST", "STARS", "UNPRINTABLE", "WITHDRAWS"]

# Controls, formatting marks, line ends, and spaces but the plain one, as a class that every regular expression reads.
# Decoding refuses private and unassigned characters too, which no two libraries number alike.
UNPRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
)


def _text(longest: int) -> Schema:
    refused = {"type": "string", "pattern": f"[{UNPRINTABLE}]"}
    return {"type": "string", "minLength": 1, "maxLength": longest, "not": refused}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _number(least: float, most: float) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most}


def _list(items: Schema, longest: int) -> Schema:
    return {"type": "array", "items": items, "maxItems": longest}


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


_ID: Schema = {
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": MAX_ID_LENGTH,
    "minimum": -(2**63),  # beyond 64 bits a JSON number is read as a fraction
    "maximum": 2**64 - 1,
    "not": {"type": "string", "pattern": f"^ | $|[{UNPRINTABLE}]"},
}
_SHORT_TEXT = _text(MAX_ID_LENGTH)
_YEAR = _whole(MIN_YEAR, MAX_YEAR)
_FLAG: Schema = {"type": "boolean"}
_GENRES = _list(_SHORT_TEXT, MAX_GENRES)
_MS = _whole(-(2**63), 2**63 - 1)

PROGRESS, STARS = _number(0.0, 1.0), _number(0.5, 5.0)
KIND: Schema = {  # what must not be is said, as what "$" stands for differs where a text ends in a line end
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "not": {"type": "string", "pattern": "^[._-]|[^A-Za-z0-9._-]"},
}
EVENT: Mapping[str, Schema] = {
    "event_id": _ID,
    "user_id": _ID,
    "item_id": _ID,
    "ts": _MS,
    "rec_id": _ID,
}
WITHDRAWS = _ID
ITEM: Mapping[str, Schema] = {
    "item_id": _ID,
    "title": _text(MAX_TITLE_LENGTH),
    "year": _YEAR,
    "genres": _GENRES,
    "tags": _list(_SHORT_TEXT, MAX_TAGS),
    "released": _MS,
    "expires": _MS,
    "hidden": _FLAG,
    "was": _list(_ID, MAX_WAS),
}
HINTS: Mapping[str, Schema] = {
    "user_id": _ID,
    "age": {"description": "whole years, of which only the band counts.", **_whole(0, MAX_AGE)},
    "gender": _SHORT_TEXT,
    "occupation": _SHORT_TEXT,
}
_OFFSET = _whole(0, 2**63 - 1)
_FORGETTING: Schema = {
    "type": "object",
    "properties": {
        "request_id": {"description": "what asked for it.", **_ID},
        "ts": {"description": "when that was, milliseconds.", **_MS},
        "partition": {"description": "of the request.", **_OFFSET},
        "below": {
            "description": "event topic, without the prefix, to an offset for each partition: earlier events are gone.",
            "type": "object",
            "additionalProperties": {"type": "array", "items": _OFFSET},
        },
    },
    "required": ["request_id", "ts", "partition", "below"],
}
DATA_REQUEST: Mapping[str, Schema] = {
    "user_id": _ID,
    "request_id": _ID,
    "ts": _MS,
    "action": {"type": "string", "enum": ["forget", "merge"]},
    "forgotten": {"type": "array", "items": _FORGETTING},
    "into": _ID,
}
REQUEST: Mapping[str, Schema] = {
    "request_id": _ID,
    "user_id": _ID,
    "k": _whole(1, MAX_K),
    "genre": _SHORT_TEXT,
    "strict": _FLAG,
    "exclude": _list(_ID, MAX_EXCLUDE),
    "genres": _closed(
        {name: {"description": words, **nullable(_GENRES)} for name, words in parameters_of(GenreWishes).items()}
    ),
    "years": {"type": "array", "items": nullable(_YEAR), "minItems": 2, "maxItems": 2},
    "query": _text(MAX_QUERY_LENGTH),
    "like": _list(_ID, MAX_LIKE),
    "weights": _closed(dict.fromkeys(WEIGHTS, _number(0.0, MAX_WEIGHT))),
    "allow_seen": _FLAG,
}
