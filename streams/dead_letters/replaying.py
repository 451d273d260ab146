"""Sending dead letters back: mended by a function, checked against the contract, sent once, and noted.

A note in ``dead-letters`` itself says what was sent. It lies in the letter's own partition, so it lives as long as the
letter, and it is written after the delivery. After a crash between the two, the next replay sends that burst again.
This does no harm: an event is known by its id, and an item or a request replaces itself. Two replays at the same time
do not see each other's notes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from model.catalogue import Item
from model.hints import UserHints
from model.kinds import DEFAULT_KINDS, KindTable
from streams.dead_letters.reading import Letter, LetterFilter, OriginSet, ReplayNote, replay_note_headers
from streams.errors import TopicError
from streams.kafka import topics
from streams.kafka.sender import Delivery, OutgoingRecord, UndeliveredRecord
from streams.records.codec import BadRecord, decode_hints, decode_item, decode_request, encode
from streams.records.data_requests import DataRequest, decode_data_request
from streams.records.decoding import RawRecord, decode_event
from streams.records.records import Origin
from streams.records.trace_context import TraceContext
from streams.records.wrapping import open_json
from streams.settings import Settings

__all__ = [
    "Change",
    "LetterSender",
    "MendedRecord",
    "RefusedLetter",
    "ReplayOutcome",
    "mend",
    "mend_wanted",
    "replayed_headers",
    "replayed_origins",
]

BURST_RECORDS = 500  # records between two waits for the broker; what a crash can send twice
BURST_BYTES = 16 * 1024 * 1024  # of them, before and after mending
DELIVERY_S = 20.0  # for one record with its retries: a person waits, and a broker's restart takes seconds
BY_THE_BROKER = "broker"  # the cause of what keeps its contract and the broker refuses all the same

Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class MendedRecord:
    """A record that keeps its contract, ready to go to ``topic`` (the full name)."""

    letter: Letter
    topic: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class RefusedLetter:
    """A letter that is not sent, and why; ``value`` is what mending made of it."""

    letter: Letter
    cause: str
    reason: str
    value: bytes | None = None


@dataclass(slots=True)
class ReplayOutcome:
    """What became of the letters of one replay.

    Parameters
    ----------
    fit : kept their contract; sent, unless it was a rehearsal.
    left_out : the function returned None for them.
    before : had been replayed already.
    refused : by cause.
    """

    fit: int = 0
    left_out: int = 0
    before: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def replayed_origins(entries: Iterable[Letter | ReplayNote]) -> OriginSet:
    """Return the origins that were replayed before."""
    found = OriginSet()
    for entry in entries:
        if isinstance(entry, ReplayNote):
            found.add(entry.origin)
    return found


def mend_wanted(
    entries: Iterable[Letter | ReplayNote],
    wanted: LetterFilter,
    before: OriginSet,
    change: Change | None,
    prefix: str,
    kinds: KindTable = DEFAULT_KINDS,
) -> Iterator[tuple[ReplayOutcome, MendedRecord | RefusedLetter | None]]:
    """Mend each wanted letter once, and give what became of it with the counts so far.

    Parameters
    ----------
    before : origins replayed before; those are counted and left.
    change : see ``mend``.
    prefix : topic prefix of this installation.
    kinds : of events that there are.
    """
    outcome, seen = ReplayOutcome(), OriginSet()
    for letter in entries:
        if isinstance(letter, ReplayNote) or not wanted.takes(letter) or not seen.add(letter.origin):
            continue
        result = None
        if letter.origin in before:
            outcome.before += 1
        else:
            result = mend(letter, change, prefix, kinds)
            outcome.fit += isinstance(result, MendedRecord)
            outcome.left_out += result is None
            if isinstance(result, RefusedLetter):
                outcome.refused[result.cause] += 1
        yield outcome, result


def mend(
    letter: Letter, change: Change | None, prefix: str, kinds: KindTable = DEFAULT_KINDS
) -> MendedRecord | RefusedLetter | None:
    """Return the record to send for a letter, or why there is none; None where ``change`` leaves the letter out.

    A record whose key is not the id that its topic is keyed by gets that id for its key.

    Parameters
    ----------
    change : gets the JSON value, without a frame or envelope around it, or the bytes where they are not JSON, and
        returns what to send: bytes as they are, anything else as JSON, None for nothing. Without it the letter's bytes
        are sent.
    prefix : topic prefix of this installation.
    kinds : of events that there are.
    """
    if letter.cut_from is not None:
        kept = len(letter.value or b"")
        return RefusedLetter(
            letter, "cut_off", f"the whole value is required, got the first {kept} of {letter.cut_from} bytes"
        )
    name = letter.origin.topic.removeprefix(prefix)
    if not letter.origin.topic.startswith(prefix) or name not in _ID_OF:
        return RefusedLetter(letter, "other_topic", f"a topic of {prefix!r} is required, got {letter.origin.topic!r}")
    value = letter.value
    if change is not None:
        try:
            made = change(_opened(value))
            if made is None:
                return None
            value = made if isinstance(made, bytes) else encode(made)
        except Exception as error:  # noqa: BLE001 - whatever a person's function raises is that letter's fate
            return RefusedLetter(letter, "map_failed", f"the function raised {type(error).__name__}: {error}", value)
    try:
        key = _ID_OF[name](letter, value, kinds)
    except BadRecord as error:
        return RefusedLetter(letter, error.cause, error.detail, value)
    return MendedRecord(letter, letter.origin.topic, key, value)


def _opened(value: bytes | None) -> Any:
    try:
        return open_json(value or b"")
    except orjson.JSONDecodeError:
        return value or b""


def _user_of(name: str) -> "_IdOf":
    """Return what reads the user of an event; the event's time is measured by the time of the letter."""

    def user_of(letter: Letter, value: bytes | None, kinds: KindTable) -> bytes:
        record = RawRecord(Origin(name, 0, 0, letter.timestamp), None, value)
        return decode_event(record, name, kinds).user_id.encode()

    return user_of


def _item_of(letter: Letter, value: bytes | None, _: KindTable) -> bytes:
    item = decode_item(None if value else letter.key, value)
    return (item.item_id if isinstance(item, Item) else item).encode()


def _hinted_of(letter: Letter, value: bytes | None, _: KindTable) -> bytes:
    hints = decode_hints(None if value else letter.key, value)
    return (hints.user_id if isinstance(hints, UserHints) else hints).encode()


def _requester_of(letter: Letter, value: bytes | None, _: KindTable) -> bytes:
    asked = decode_data_request(None if value else letter.key, value)
    return (asked.user_id if isinstance(asked, DataRequest) else asked).encode()


def _asker_of(_: Letter, value: bytes | None, __: KindTable) -> bytes:
    return decode_request(value).user_id.encode()


_IdOf = Callable[[Letter, bytes | None, KindTable], bytes]
_ID_OF: dict[str, _IdOf] = {
    **{name: _user_of(name) for name in topics.EVENTS},
    topics.CATALOG: _item_of,
    topics.USER_PROFILES: _hinted_of,
    topics.DATA_REQUESTS: _requester_of,
    topics.REQUESTS: _asker_of,
}


class LetterSender:
    """Sends mended records in bursts, and notes each burst when the broker has it; a context that ends with a burst.

    Records that the broker refuses are in ``refused``, are not noted, and hold up no other.

    Raises
    ------
    TopicError
        If the cluster cannot be reached or does not answer; ``sent`` counts what is sent and noted.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._delivery = Delivery(settings, "dead letters", DELIVERY_S, linger_ms=5)
        self._burst: list[MendedRecord] = []
        self._waiting = 0  # bytes of it
        self.refused: list[RefusedLetter] = []
        self.sent = 0

    def __enter__(self) -> Self:
        self._delivery.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None or issubclass(kind, KeyboardInterrupt):
                self._settle()
        finally:
            self._delivery.__exit__(kind, *rest)

    def send(self, record: MendedRecord) -> None:
        """Send a record, at the latest with the end of the context."""
        self._burst.append(record)
        self._waiting += len(record.letter.value or b"") + len(record.value or b"")
        if len(self._burst) >= BURST_RECORDS or self._waiting >= BURST_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Send what waits; when all of it is delivered or refused, note what is delivered and wait for the notes."""
        burst, self._burst, self._waiting = self._burst, [], 0
        for one in burst:
            headers = tuple(replayed_headers(one.letter))
            self._delivery.send(OutgoingRecord(one.topic, one.letter.letter_id, one.key, one.value, headers))
        refused = {one.record.name: one for one in self._answered(f"{len(burst)} mended records")}
        self.refused += [
            RefusedLetter(one.letter, BY_THE_BROKER, refused[one.letter.letter_id].reason, one.value)
            for one in burst
            if one.letter.letter_id in refused
        ]
        taken = [one for one in burst if one.letter.letter_id not in refused]
        letters = self._settings.prefix + topics.DEAD_LETTERS
        for one in taken:
            note = encode({"replayed": one.letter.letter_id, "to": one.topic})
            headers = tuple(replay_note_headers(one.letter.origin))
            self._delivery.send(
                OutgoingRecord(letters, one.letter.letter_id, one.letter.key, note, headers, one.letter.partition)
            )
        what = f"notes on {len(taken)} records, which are sent already,"
        for refusal in self._answered(what):
            raise self._stopped(what, refusal)
        self.sent += len(taken)

    def _answered(self, what: str) -> list[UndeliveredRecord]:
        """Wait until what was sent is delivered or refused, and return what was refused."""
        self._delivery.flush()
        for failure in self._delivery.failed:
            raise self._stopped(what, failure)
        refused, self._delivery.refused = self._delivery.refused, []
        return refused

    def _stopped(self, what: str, got: UndeliveredRecord) -> TopicError:
        return TopicError(
            f"dead letters: the cluster at {self._settings.kafka} must take {what} after {self.sent} others, "
            f"got {got.reason} for {got.record.name}; run the same replay again when it is whole"
        )


def replayed_headers(letter: Letter) -> list[tuple[str, bytes]]:
    """Return the headers that say where a replayed record comes from, and the trace that it belongs to."""
    origin, trace = letter.origin, TraceContext.of_headers(letter.headers)
    return [
        *({} if trace is None else trace.headers()).items(),
        ("replayed_from", f"{origin.topic}:{origin.partition}:{origin.offset}".encode()),
        ("dead_letter", letter.letter_id.encode()),
        ("cause", letter.cause.encode()),
    ]
