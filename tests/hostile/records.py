"""Hostile records: one event or one refusal each, whatever anybody puts on a topic.

``decode`` takes any bytes, reads them as decisions, builds one record from them and raises AssertionError where an
invariant does not hold. ``tests.hostile.fuzz`` feeds it from a coverage-guided fuzzer, the tests from a seeded
generator. What is acceptable is decided in docs/reference/hostile-input.md.
"""

from typing import Any

import orjson

from model.catalogue import Item
from model.kinds import DEFAULT_KINDS
from streams.records.codec import CAUSES, MAX_BYTES, BadRecord, decode_item, encode
from streams.records.decoding import RawRecord, RefusedRequest, Rejected, decode_batch, decode_request_record
from streams.records.key_forms import readings
from streams.records.records import EventRecord, Origin, Request
from streams.records.times import EARLIEST_MS, LATEST_MS
from tests.hostile.choices import LITERALS, NOW, Choices, edited

__all__ = ["GOOD", "KEYS", "KINDS", "check_decoding", "decode"]

DETAIL = 400  # characters of a dead letter's reason, whatever was sent
KINDS = ("watch-events", "rate-events", "action-events", "recommendation-requests", "catalog-items")
GOOD: dict[str, dict[str, Any]] = {
    "watch-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": NOW, "progress": 0.5, "rec_id": "r"},
    "rate-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": NOW, "rating": 4.5},
    "action-events": {"event_id": "e", "user_id": "u", "item_id": "i", "ts": NOW, "kind": "hide"},
    "recommendation-requests": {
        "request_id": "r",
        "user_id": "u",
        "k": 5,
        "genre": "War",
        "strict": True,
        "exclude": ["i"],
        "like": ["j"],
        "genres": {"must": ["War"], "never": ["Horror"]},
        "years": [1990, None],
        "query": "a war",
        "allow_seen": True,
        "weights": {"query": 2, "model": 0.5},
    },
    "catalog-items": {"item_id": "i", "title": "Heat", "year": 1995, "genres": ["War"]},
}
FRAME = b"\x00\x00\x00\x00\x07"  # of a schema registry
KEYS = (
    *(None, b"u", b"", b"7", b"i", b"\xff\xfe", b"u\n", b"{u}", b"\xef\xbb\xbfu", b"\x00" * 70_000),
    *(b'"u"', b'"i"', b'{"user_id":"u"}', b'{"item_id":"i"}', b'{"id":"u"}', (7).to_bytes(8, "big"), FRAME + b"u"),
    *(FRAME + b"\x02u", FRAME, FRAME * 2 + b"u", b'{"schema":null,"payload":"u"}', b'" u"', b"[" * 4096, b"{" * 4097),
)
TIMES = (0, -1, 1, NOW, NOW // 1000, NOW * 1000, NOW * 10**6, 20231114, 20231114221320, LATEST_MS, 2**63 - 1, -(2**63))


def decode(data: bytes) -> None:
    """Decode one hostile record of any kind."""
    choices = Choices(data)
    kind = choices.one_of(KINDS)
    recorded = choices.one_of(TIMES)
    key = choices.one_of(KEYS)
    check_decoding(kind, key, _value(choices, kind), recorded)


def check_decoding(kind: str, key: bytes | None, value: bytes | None, recorded: int = 0) -> str | None:
    """Assert that a record gives exactly one valid noun or exactly one short refusal; return the refusal's cause."""
    record = RawRecord(Origin(kind, 0, 7, recorded), key, value)
    found = _read(record)
    assert found == _read(record), "a second reading differs"
    if isinstance(found, RefusedRequest):
        assert kind == "recommendation-requests"
        assert 0 < len(found.detail) <= DETAIL
        assert found.detail.isprintable()
        assert all(0 < len(one) <= 64 and one.isprintable() for one in (found.request_id, found.user_id))
        return "refused"
    if isinstance(found, Rejected):
        assert found.record is record
        assert found.cause in CAUSES
        assert len(found.detail) <= DETAIL
        assert found.detail.isprintable()
        found.detail.encode()
        return found.cause
    assert value is not None or kind == "catalog-items"
    assert len(value or b"") <= MAX_BYTES
    again = _read(RawRecord(record.origin, key, value if isinstance(found, str) else encode(found)))
    assert again == found, f"{again!r} is not what was written, {found!r}"
    _check_noun(found, key, recorded)
    return None


def _read(record: RawRecord) -> EventRecord | Request | Item | str | Rejected | RefusedRequest:
    if record.origin.topic == "catalog-items":
        try:
            return decode_item(record.key, record.value)
        except BadRecord as error:
            return Rejected(record, error.cause, error.detail)
    if record.origin.topic == "recommendation-requests":
        return decode_request_record(record)
    decoded = decode_batch([record])
    assert len(decoded.events) + len(decoded.rejected) == 1
    return decoded.rejected[0] if decoded.rejected else decoded.events[0][1]


def _check_noun(found: EventRecord | Request | Item | str, key: bytes | None, recorded: int) -> None:
    name = "item_id" if isinstance(found, str | Item) else "user_id"
    if isinstance(found, str):
        ids: tuple[str, ...] = (found,)
    elif isinstance(found, Item):
        ids = (found.item_id,)
        assert all(0 < len(one) <= 64 and one.isprintable() for one in found.genres)
    elif isinstance(found, Request):
        ids = (found.request_id, found.user_id, *found.exclude, *found.like)
        assert 1 <= found.k <= 200
        assert found.wishes.k == found.k
    else:
        ids = (found.event_id, found.user_id, found.item_id)
        assert 0 <= found.ts <= (recorded if EARLIEST_MS <= recorded <= LATEST_MS else LATEST_MS)
        interaction = found.interaction()
        assert interaction is None or 0.0 <= interaction.weight <= 1.0
        assert found.kind in DEFAULT_KINDS.names
    assert all(0 < len(one) <= 64 and one.isprintable() and one == one.strip() and one.encode() for one in ids)
    owner = found if isinstance(found, str) else found.item_id if isinstance(found, Item) else found.user_id
    assert key is None or key == owner.encode() or owner in readings(key, name)


def _value(choices: Choices, kind: str) -> bytes | None:
    way = choices.number(7)
    if way == 0:
        return choices.bytes(70_000) or None
    fields = [(orjson.dumps(name), orjson.dumps(value)) for name, value in GOOD[kind].items()]
    for _ in range(choices.number(3)):
        place = choices.number(len(fields) - 1)
        change = choices.number(3)
        if change == 0:
            fields[place] = (fields[place][0], choices.one_of(LITERALS))
        elif change == 1:
            fields.append((fields[place][0], choices.one_of(LITERALS)))
        elif change == 2:
            fields[place] = (fields[place][0], choices.bytes(choices.number(90)))
        elif len(fields) > 1:
            del fields[place]
    body = b"{" + b",".join(name + b":" + value for name, value in fields) + b"}"
    if way == 1:
        body = edited(choices, body)
    if way == 2:
        body = choices.one_of(
            (
                *(b"\xef\xbb\xbf" + body, body + b"\x00", body * 2, b"[%s]" % body, body[:-1], b" " * 66_000),
                *(FRAME + body, FRAME + body[:-1], FRAME * 2 + body, body.decode(errors="replace").encode("utf-16")),
                *(b'{"schema":null,"payload":%s}' % body, b'{"before":null,"after":%s,"op":"c"}' % body),
            )
        )
    return body
