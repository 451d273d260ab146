"""Bytes to records and back: strict about what is required, deaf to what is unknown.

A record that breaks its contract raises ``BadRecord`` with a ``cause`` from ``CAUSES``, so dead letters can be
counted by cause. Decoding never guesses: only whole-number ids become strings, and ``wrapping`` and ``key_forms`` name
what is taken off values and keys. An event's time is any whole number of 64 bits here. ``decoding`` decides what it
counts as and whether it is in another unit, because it knows when the record was written.

=================  ==================================================================================
cause              the record
=================  ==================================================================================
``empty``          has no value, and its topic has no meaning for that
``too_large``      is longer than ``MAX_BYTES``
``not_json``       is not JSON in UTF-8, or is nested deeper than 1,023 levels
``not_an_object``  is JSON, but no object
``missing_field``  lacks a required field, or has null there
``bad_field``      has a field of another type, length or range than its contract says
``wrong_key``      has a key that is not its ``user_id`` (for the catalogue: ``item_id``) in any known form
``wrong_unit``     has a time that is none in milliseconds, but one in another unit
``unknown_kind``   is of a kind that the table of kinds does not hold
=================  ==================================================================================
"""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from reprlib import Repr
from types import MappingProxyType
from typing import Any, TypeVar

import orjson

from model.catalogue import Item
from model.hints import UserHints, age_band
from model.kinds import DEFAULT_KINDS, KindTable
from model.wishes.combining import MAX_WEIGHT, WEIGHTS
from model.wishes.wishes import NO_GENRES, GenreWishes
from streams.errors import RecordError
from streams.kinds import KINDS_VARIABLE
from streams.records.ids import ID_RULE, MAX_ID_LENGTH, is_id
from streams.records.key_forms import describe_key, named_by, readings
from streams.records.lookalikes import describe_bytes, describe_fields, describe_json
from streams.records.records import Action, EventRecord, Rating, Request, Watch, Withdrawal
from streams.records.times import in_other_unit
from streams.records.wrapping import behind_frame, is_envelope

__all__ = [
    "CAUSES",
    "DECODERS",
    "MAX_AGE",
    "MAX_BYTES",
    "MAX_EXCLUDE",
    "MAX_GENRES",
    "MAX_K",
    "MAX_LIKE",
    "MAX_QUERY_LENGTH",
    "MAX_TAGS",
    "MAX_TITLE_LENGTH",
    "MAX_WAS",
    "MAX_YEAR",
    "MIN_YEAR",
    "BadRecord",
    "BadRequest",
    "check_key",
    "decode_action",
    "decode_hints",
    "decode_item",
    "decode_rating",
    "decode_request",
    "decode_watch",
    "encode",
    "read_id",
    "read_object",
    "removed_id",
]

MAX_BYTES = 64 * 1024  # a record of this contract is below 1 KiB; beyond 64 KiB something else was sent
CAUSES = (
    "empty",
    "too_large",
    "not_json",
    "not_an_object",
    "missing_field",
    "bad_field",
    "wrong_key",
    "wrong_unit",
    "unknown_kind",
)
MAX_K = 200
MAX_TITLE_LENGTH = 512
MAX_GENRES = 32
MAX_TAGS = 64  # words of people about an item; more than these say nothing new
MAX_WAS = 16  # ids that an item had: who renames oftener names the latest
MAX_EXCLUDE = 1000
MAX_LIKE = 50  # of a few examples a list can still resemble each
MAX_QUERY_LENGTH = 200  # characters; what reads queries takes a sentence or two
DEFAULT_K = 10
MIN_YEAR, MAX_YEAR = 1800, 2200  # of release; outside is another calendar or another field
MAX_AGE = 150  # years
MAX_SHOWN_CHARACTERS = 80  # characters of a value in a message
MAX_SHOWN_ENTRIES = 20  # entries of it
Fields = Mapping[str, Any]
T = TypeVar("T")


class BadRecord(RecordError):  # noqa: N818 - the noun that operators see in dead letters
    """A record that goes to the dead letters.

    Parameters
    ----------
    cause : one of ``CAUSES``, as this module's docstring says.
    detail : where, what was required and what was got.
    """

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class BadRequest(BadRecord):
    """A request that can be answered, though only with what is wrong with it.

    Parameters
    ----------
    request_id, user_id : who asked.
    error : what is wrong.
    """

    def __init__(self, request_id: str, user_id: str, error: BadRecord) -> None:
        super().__init__(error.cause, error.detail)
        self.request_id = request_id
        self.user_id = user_id


def encode(record: object) -> bytes:
    """Return a record (a dataclass or a plain mapping) as JSON bytes."""
    return orjson.dumps(record, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):  # a read-only view of a dict, which orjson does not know
        return dict(value)
    raise TypeError(f"encode: a dataclass or JSON values are required, got {value!r}")


def decode_watch(value: bytes | None) -> Watch | Withdrawal:
    """Read a value of ``watch-events``; raise BadRecord if it breaks the contract."""
    fields = _object(value)
    if fields.get("withdraws") is not None:
        return _withdrawal(fields)
    return Watch(
        _id(fields, "event_id"),
        _id(fields, "user_id"),
        _id(fields, "item_id"),
        _timestamp(fields),
        _number(fields, "progress", 0.0, 1.0),
        _optional(fields, "rec_id", _id),
    )


def decode_rating(value: bytes | None) -> Rating | Withdrawal:
    """Read a value of ``rate-events``; raise BadRecord if it breaks the contract."""
    fields = _object(value)
    if fields.get("withdraws") is not None:
        return _withdrawal(fields)
    return Rating(
        _id(fields, "event_id"),
        _id(fields, "user_id"),
        _id(fields, "item_id"),
        _timestamp(fields),
        _number(fields, "rating", 0.5, 5.0),
        _optional(fields, "rec_id", _id),
    )


def decode_action(value: bytes | None, kinds: KindTable = DEFAULT_KINDS) -> Action | Withdrawal:
    """Read a value of ``action-events``; raise BadRecord if it breaks the contract or the table lacks its kind."""
    fields = _object(value)
    if fields.get("withdraws") is not None:
        return _withdrawal(fields)
    return Action(
        _id(fields, "event_id"),
        _id(fields, "user_id"),
        _id(fields, "item_id"),
        _timestamp(fields),
        _kind(fields, kinds),
        _optional(fields, "rec_id", _id),
    )


def _withdrawal(fields: Fields) -> Withdrawal:
    event_id, withdraws = _id(fields, "event_id"), _id(fields, "withdraws")
    if withdraws == event_id:
        raise BadRecord(
            "bad_field", f"withdraws must be the event_id of another record than its own, got {_short(withdraws)}"
        )
    return Withdrawal(event_id, _id(fields, "user_id"), _timestamp(fields), withdraws)


def _kind(fields: Fields, kinds: KindTable) -> str:
    value = _present(fields, "kind")
    if not isinstance(value, str):
        raise BadRecord("bad_field", f"kind must be a text, got {_short(value)}")
    if value in kinds.own:
        return value
    named = f"{KINDS_VARIABLE} names {kinds.file}" if kinds.file else f"{KINDS_VARIABLE} names no table"
    elsewhere = f"; {value} has a topic of its own" if kinds.find(value) else ""
    raise BadRecord(
        "unknown_kind", f"kind must be one of {', '.join(kinds.own)} ({named}), got {_short(value)}{elsewhere}"
    )


def decode_item(key: bytes | None, value: bytes | None) -> Item | str:
    """Read a record of ``catalog-items``: the item, or its id alone where an empty value removes it.

    The removed id is the one that the record's key names; an item's own id must be one that it can be read as.
    """
    if not value:
        return _removed(key, "item_id")
    fields = _object(value)
    item_id = _id(fields, "item_id")
    check_key(key, "item_id", item_id)
    released, expires = (_optional(fields, name, _moment) for name in ("released", "expires"))
    if released is not None and expires is not None and expires <= released:
        raise BadRecord("bad_field", f"expires must be later than released, {released}, got {expires}")
    return Item(
        item_id,
        _text(fields, "title", MAX_TITLE_LENGTH),
        _optional(fields, "year", _year),
        _genres(fields, "genres"),
        tuple(_text({"tags": tag}, "tags", MAX_ID_LENGTH) for tag in _list(fields, "tags", MAX_TAGS)),
        released,
        expires,
        _flag(fields, "hidden"),
        _earlier_ids(fields, item_id),
    )


def decode_hints(key: bytes | None, value: bytes | None) -> UserHints | str:
    """Read a record of ``user-profiles``: the hints, or the user's id alone where an empty value takes them back.

    Of an age only the band is kept. Ids and keys are as in ``decode_item``. What is refused is not quoted: reasons are
    logged, and hints are personal.
    """
    try:
        return _hints(key, value) if value else _removed(key, "user_id")
    except BadRecord as error:
        required = error.detail.partition(", got ")[0]
        raise BadRecord(error.cause, f"{required}; what came is personal and not shown") from None


def decode_request(value: bytes | None) -> Request:
    """Read a value of ``recommendation-requests``; raise BadRecord if it breaks the contract.

    Who asks is read first: a :class:`BadRequest` knows whom to answer that something else is wrong.
    """
    fields = _object(value)
    request_id, user_id = _id(fields, "request_id"), _id(fields, "user_id")
    try:
        return Request(
            request_id,
            user_id,
            _whole(fields, "k", 1, MAX_K) if fields.get("k") is not None else DEFAULT_K,
            _optional(fields, "genre", _short_text),
            _flag(fields, "strict"),
            _ids(fields, "exclude", MAX_EXCLUDE),
            _genre_wishes(fields),
            _years(fields),
            _optional(fields, "query", lambda found, name: _text(found, name, MAX_QUERY_LENGTH)),
            _ids(fields, "like", MAX_LIKE),
            _weights(fields),
            _flag(fields, "allow_seen"),
        )
    except BadRecord as error:
        raise BadRequest(request_id, user_id, error) from None


def _genre_wishes(fields: Fields) -> GenreWishes:
    asked = fields.get("genres")
    if asked is None:
        return NO_GENRES
    names = ("must", "want", "avoid", "never")
    if not isinstance(asked, dict) or not asked.keys() <= set(names):
        raise BadRecord("bad_field", f"genres must be an object of {', '.join(names)}, got {_short(asked)}")
    named = {f"genres.{name}": genres for name, genres in asked.items()}
    return GenreWishes(*(_genres(named, f"genres.{name}") for name in names))


def _years(fields: Fields) -> tuple[int | None, int | None]:
    asked = fields.get("years")
    if asked is None:
        return None, None
    if not isinstance(asked, list) or len(asked) != 2:  # noqa: PLR2004 - a first and a last one
        raise BadRecord("bad_field", f"years must be a list of the first and the last year, got {_short(asked)}")
    first, last = (_optional({"years": year}, "years", _year) for year in asked)
    if first is not None and last is not None and first > last:
        raise BadRecord("bad_field", f"years must be the first and then the last, got {_short(asked)}")
    return first, last


def _weights(fields: Fields) -> Mapping[str, float]:
    asked = fields.get("weights")
    if asked is None:
        return MappingProxyType({})
    if not isinstance(asked, dict) or not asked.keys() <= WEIGHTS.keys():
        raise BadRecord("bad_field", f"weights must be an object of {', '.join(WEIGHTS)}, got {_short(asked)}")
    if None in asked.values():
        raise BadRecord("bad_field", f"weights must be numbers from 0.0 to {MAX_WEIGHT}, got {_short(asked)}")
    named = {f"weights.{name}": weight for name, weight in asked.items()}
    return MappingProxyType({name: _number(named, f"weights.{name}", 0.0, MAX_WEIGHT) for name in asked})


def check_key(key: bytes | None, name: str, value: str) -> None:
    """Raise BadRecord if a record has a key that cannot be read as the id that its field ``name`` holds."""
    if key is not None and key != value.encode() and value not in readings(key, name):
        raise BadRecord(
            "wrong_key",
            f"key must be the {name} {_short(value)} in UTF-8, in JSON or as a number of 8 bytes, or absent, "
            f"got {_short(key)}{describe_key(key, name)}",
        )


DECODERS: Mapping[str, Callable[[bytes | None, KindTable], EventRecord]] = {
    "watch-events": lambda value, _: decode_watch(value),
    "rate-events": lambda value, _: decode_rating(value),
    "action-events": decode_action,
}


def _object(value: bytes | None) -> Fields:
    if not value:
        raise BadRecord("empty", "value must be a JSON object, got nothing")
    if len(value) > MAX_BYTES:
        raise BadRecord("too_large", f"value must be at most {MAX_BYTES} bytes, got {len(value)}")
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        fields = _framed(value, error)
    if isinstance(fields, dict) and len(fields) == 2 and is_envelope(fields):  # noqa: PLR2004 - a schema and a payload
        fields = fields["payload"]
        if fields is None:
            raise BadRecord("empty", "value must be a JSON object, got an envelope without a payload")
    if not isinstance(fields, dict):
        raise BadRecord("not_an_object", f"value must be a JSON object, got {_short(fields)}{describe_json(fields)}")
    return fields


def _framed(value: bytes, error: orjson.JSONDecodeError) -> Any:
    """Return the JSON behind a schema registry's frame; raise BadRecord where there is none."""
    try:
        return orjson.loads(behind_frame(value) or b"")
    except orjson.JSONDecodeError:
        raise BadRecord(
            "not_json", f"value must be JSON in UTF-8: {error}, got {_short(value)}{describe_bytes(value)}"
        ) from None


def _present(fields: Fields, name: str) -> Any:
    value = fields.get(name)
    if value is None:
        names = _short(sorted(islice(fields, MAX_SHOWN_ENTRIES + 1)))
        raise BadRecord("missing_field", f"{name} is required, got fields {names}{describe_fields(fields)}")
    return value


def _id(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if isinstance(value, str) and is_id(value):
        return value
    if type(value) is int:
        return str(value)
    value = _present(fields, name)
    raise BadRecord("bad_field", f"{name} must be {ID_RULE}, or an integer, got {_short(value)}")


def _hints(key: bytes | None, value: bytes) -> UserHints:
    fields = _object(value)
    user_id = _id(fields, "user_id")
    check_key(key, "user_id", user_id)
    age = _optional(fields, "age", lambda found, name: _whole(found, name, 0, MAX_AGE))
    return UserHints(
        user_id,
        None if age is None else age_band(age),
        _optional(fields, "gender", _short_text),
        _optional(fields, "occupation", _short_text),
    )


def _removed(key: bytes | None, name: str) -> str:
    if key is None:
        raise BadRecord("missing_field", f"key is required where an empty value removes the {name}, got none")
    removed = named_by(key, name)
    if removed is None:
        hint = describe_key(key, name)
        raise BadRecord("bad_field", f"key must be the {name} to remove, {ID_RULE}, got {_short(key)}{hint}")
    return removed


def read_object(value: bytes | None) -> Fields:
    """Return the fields of a JSON object, as every decoder reads them; raise BadRecord if it is none."""
    return _object(value)


def read_id(fields: Fields, name: str) -> str:
    """Return a field that is an id; raise BadRecord if it is none."""
    return _id(fields, name)


def removed_id(key: bytes | None, name: str) -> str:
    """Return the id that the key of an empty record names; raise BadRecord if it names none."""
    return _removed(key, name)


def _text(fields: Fields, name: str, longest: int) -> str:
    value = _present(fields, name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise BadRecord("bad_field", f"{name} must be 1 to {longest} printable characters, got {_short(value)}")
    return value


def _short_text(fields: Fields, name: str) -> str:
    return _text(fields, name, MAX_ID_LENGTH)


def _timestamp(fields: Fields) -> int:
    value = fields.get("ts")
    if type(value) is int and value < 2**63:  # the parser gives none below -2**63
        return value
    value = _present(fields, "ts")
    raise BadRecord("bad_field", f"ts must be whole milliseconds since the epoch, in 64 bits, got {_short(value)}")


def _earlier_ids(fields: Fields, item_id: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_ids(fields, "was", MAX_WAS)))
    if item_id in found:
        raise BadRecord("bad_field", f"was must be other ids than the item's own, {item_id!r}, got {_short(found)}")
    return found


def _moment(fields: Fields, name: str) -> int:
    """Return a moment that may be long ago or to come."""
    value = _present(fields, name)
    if type(value) is not int or value >= 2**63:  # the parser gives none below -2**63
        raise BadRecord(
            "bad_field", f"{name} must be whole milliseconds since the epoch, in 64 bits, got {_short(value)}"
        )
    unit = in_other_unit(value, 0)
    if unit is not None:
        raise BadRecord("wrong_unit", f"{name}{unit.removeprefix('ts')}")
    return value


def _year(fields: Fields, name: str) -> int:
    return _whole(fields, name, MIN_YEAR, MAX_YEAR)


def _whole(fields: Fields, name: str, least: int, most: int) -> int:
    value = _present(fields, name)
    if type(value) is not int or not least <= value <= most:
        raise BadRecord("bad_field", f"{name} must be a whole number from {least} to {most}, got {_short(value)}")
    return value


def _list(fields: Fields, name: str, longest: int) -> list[Any]:
    """Return an optional list; absent and null are empty."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > longest:
        raise BadRecord("bad_field", f"{name} must be a list of at most {longest} entries, got {_short(value)}")
    if None in value:
        raise BadRecord("bad_field", f"{name} must be a list without null, got {_short(value)}")
    return value


def _genres(fields: Fields, name: str) -> tuple[str, ...]:
    return tuple(_short_text({name: genre}, name) for genre in _list(fields, name, MAX_GENRES))


def _ids(fields: Fields, name: str, longest: int) -> tuple[str, ...]:
    return tuple(_id({name: item_id}, name) for item_id in _list(fields, name, longest))


def _flag(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool | None):
        raise BadRecord("bad_field", f"{name} must be true or false, got {_short(value)}")
    return bool(value)


def _number(fields: Fields, name: str, least: float, most: float) -> float:
    value: Any = fields.get(name)
    if type(value) in (int, float) and least <= value <= most:  # which NaN is not
        return float(value)
    value = _present(fields, name)
    raise BadRecord("bad_field", f"{name} must be a number from {least} to {most}, got {_short(value)}")


def _optional(fields: Fields, name: str, read: Callable[[Fields, str], T]) -> T | None:
    return None if fields.get(name) is None else read(fields, name)


def _short(value: object) -> str:
    """Describe a value in one line, however deep, wide or long it is."""
    if isinstance(value, (str, bytes)):
        text = repr(value[:MAX_SHOWN_CHARACTERS])  # reprlib would write out all of them before it cuts
    elif isinstance(value, dict) and len(value) > MAX_SHOWN_ENTRIES:
        text = _bounded().repr(
            dict(islice(value.items(), MAX_SHOWN_ENTRIES + 1))
        )  # reprlib would sort all of them first
    else:
        text = _bounded().repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."


@cache
def _bounded() -> Repr:
    bounded = Repr()
    bounded.maxlevel = 4
    bounded.maxdict = bounded.maxlist = MAX_SHOWN_ENTRIES
    bounded.maxstring = bounded.maxother = MAX_SHOWN_CHARACTERS
    return bounded
