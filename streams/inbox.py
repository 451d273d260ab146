"""From raw Kafka records to events and requests: keys checked, times bounded, what cannot be read set aside.

Everybody who reads the event topics reads them through here, so a worker, a trainer, an archive and a rebuild see the
same events with the same times.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from streams.calls import DAY_MS
from streams.codec import DECODERS, MAX_TS, BadRecord, check_key, decode_request
from streams.records import Event, Origin, Request

__all__ = ["Decoded", "RawRecord", "Rejected", "bounded_ts", "decode_batch", "decode_wish"]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as Kafka delivered it; ``topic`` in ``origin`` carries the prefix."""

    origin: Origin
    key: bytes | None
    value: bytes | None

    @classmethod
    def of(cls, record: Any) -> Self:
        """Take over a consumer's record, of aiokafka or kafka-python."""
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        return cls(origin, record.key, record.value)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that breaks its contract, why, and where it stood; becomes a dead letter."""

    record: RawRecord
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """One batch, split; both parts keep the order of the batch."""

    events: tuple[tuple[Origin, Event], ...]
    rejected: tuple[Rejected, ...]


def decode_batch(records: Iterable[RawRecord], prefix: str = "") -> Decoded:
    """Decode event records, each by the contract of its topic; times are bounded by ``bounded_ts``.

    Parameters
    ----------
    records : records of ``watch-events`` and ``rate-events``.
    prefix : topic prefix of this installation.
    """
    events: list[tuple[Origin, Event]] = []
    rejected: list[Rejected] = []
    for record in records:
        try:
            event = DECODERS[record.origin.topic.removeprefix(prefix)](record.value)
            check_key(record.key, "user_id", event.user_id)
        except BadRecord as error:
            rejected.append(Rejected(record, error.cause, error.detail))
            continue
        ts = bounded_ts(event.ts, record.origin.timestamp)
        events.append((record.origin, event if ts == event.ts else replace(event, ts=ts)))
    return Decoded(tuple(events), tuple(rejected))


def decode_wish(record: RawRecord) -> Request | Rejected:
    """Decode one record of ``recommendation-requests``; a bad one comes back as what becomes its dead letter."""
    try:
        request = decode_request(record.value)
        check_key(record.key, "user_id", request.user_id)
    except BadRecord as error:
        return Rejected(record, error.cause, error.detail)
    return request


def bounded_ts(ts: int, recorded: int) -> int:
    """Return what an event time counts as, so that a broken clock moves the state by a day at most.

    Below 0 counts as 0. More than a day after the record's own Kafka timestamp counts as a day after it; where there
    is none, and in any case, nothing is later than ``MAX_TS``.

    Parameters
    ----------
    ts : event time, milliseconds, any whole number.
    recorded : Kafka's timestamp of the record, milliseconds; 0 or less for none.
    """
    latest = min(recorded + DAY_MS, MAX_TS) if recorded > 0 else MAX_TS
    return max(0, min(ts, latest))
