"""The schemas of what comes in say what decoding takes: both are asked about the same records."""

import re
import sys
import unicodedata
from functools import cache

import orjson
import pytest
from jsonschema import Draft202012Validator

from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from streams.contracts.documents import schema_document
from streams.contracts.incoming import UNPRINTABLE
from streams.contracts.messages import topic_messages
from streams.records.codec import (
    BadRecord,
    decode_action,
    decode_hints,
    decode_item,
    decode_rating,
    decode_request,
    decode_watch,
)
from streams.records.data_requests import decode_data_request

OWN = ("a.B-1_", "0.5", *("x" * n for n in (1, 32, 33, 50, 51, 64)))
KINDS = KindTable.of((*DEFAULT_KINDS.rows, *(EventKind(name, 0.5, is_positive=True) for name in OWN)))
DECODERS = {
    "watch-events": decode_watch,
    "rate-events": decode_rating,
    "action-events": lambda value: decode_action(value, KINDS),
    "catalog-items": lambda value: decode_item(None, value),
    "user-profiles": lambda value: decode_hints(None, value),
    "data-requests": lambda value: decode_data_request(None, value),
    "recommendation-requests": decode_request,
}
MINIMAL: dict[str, dict[str, object]] = {
    "watch-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": 1, "progress": 1},
    "rate-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": 1, "rating": 1},
    "action-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": 1, "kind": "hide"},
    "catalog-items": {"item_id": "i", "title": "t"},
    "user-profiles": {"user_id": "u"},
    "data-requests": {"user_id": "u", "request_id": "r", "ts": 1},
    "recommendation-requests": {"request_id": "r", "user_id": "u"},
}
MISSING = object()
LENGTHS = (1, 32, 33, 50, 51, 64, 65, 200, 201, 512, 513)
VALUES = (
    *(
        MISSING,
        None,
        True,
        False,
        "",
        " ",
        " x",
        "x ",
        "a b",
        "ä",
        "日本",
        "🎬",
        "x\ty",
        "x\n",
        "\u200b",
        "\u00a0x",
        "\x7f",
    ),
    *(-1, 0, 1, 10, 11, 150, 151, 200, 201, 1799, 1800, 2200, 2201, 2**53, -(2**63), 2**63 - 1, 2**63, 2**64 - 1),
    *(-0.1, 0.25, 0.49, 0.5, 1.01, 4.5, 5.1, 10.1, 1e300, "0.5", "hide", "a.B-1_", ".a", "-a"),
    *("x" * n for n in LENGTHS),
    *([], {}, [None], [1], [True], [0.5], ["x"], [""], [" x"], [[]], [{}]),
    *(["x"] * n for n in (32, 33, 50, 51, 64, 65, 1000, 1001)),
    *([1990, 1999], [None, None], [1990, None], [1990], [1990, 1995, 1999], [1799, 1900], ["1990", 1999], [True, 1990]),
    *({part: value} for part in ("must", "never") for value in (None, ["Drama"], "Drama", [None], ["x" * 65], [1])),
    *({part: value} for part in ("model", "query_genres") for value in (None, 0, 1.5, 10, 10.1, -0.1, "1", True)),
    *({"want": [], "avoid": [], "other": []}, {"other": 1}, {"like": 1, "others": 1}, {"want": ["x"] * 33}),
)


@cache
def validator(topic):
    """Return what checks values of a topic."""
    return Draft202012Validator(schema_document(topic))


def is_decoded(topic, fields):
    """Return whether decoding takes a record of these fields."""
    try:
        DECODERS[topic](orjson.dumps(fields))
    except BadRecord:
        return False
    return True


@pytest.mark.parametrize("topic", DECODERS)
def test_schema_and_decoding_agree(topic):
    """Of each field, values at, around and past every limit are taken by both or by none."""
    assert is_decoded(topic, MINIMAL[topic])
    differing, taken = [], 0
    for name in (*schema_document(topic)["properties"], "unknown"):
        for value in VALUES:
            fields = {field: given for field, given in MINIMAL[topic].items() if field != name}
            fields |= {} if value is MISSING else {name: value}
            allowed = validator(topic).is_valid(fields)
            taken += allowed
            if allowed != is_decoded(topic, fields):
                differing.append(f"{name}={str(value)[:60]!r} is {'' if allowed else 'not '}allowed")
    assert differing == []
    assert taken > len(VALUES)


@pytest.mark.parametrize("topic", DECODERS)
@pytest.mark.parametrize("value", [[], "x", 1, None, True])
def test_a_value_is_an_object(topic, value):
    """JSON of another form is neither taken nor allowed."""
    assert not validator(topic).is_valid(value)
    assert not is_decoded(topic, value)


def test_every_topic_that_comes_in_is_asked_about():
    """No topic that this program reads is left out above."""
    assert {one.topic for one in topic_messages() if one.direction == "receive"} == set(DECODERS)


def test_characters_that_schemas_refuse_are_refused():
    """No printable character is refused, and of the others only private and unassigned ones are let through."""
    refused = re.compile(f"[{UNPRINTABLE}]")
    characters = [chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n <= 0xDFFF]
    printable = [c for c in characters if refused.match(c) and c.isprintable()]
    assert printable == []
    let_through = {
        c: unicodedata.category(c)
        for c in characters
        if ord(c) < 0x10000 and not c.isprintable() and not refused.match(c)
    }
    assert set(let_through.values()) <= {"Co", "Cn"}
