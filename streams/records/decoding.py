"""From raw Kafka records to events and requests: keys checked, times bounded, what cannot be read set aside.

Everybody who reads the event topics reads them through here, so a worker, a trainer, an archive and a rebuild see the
same events with the same times.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from model.kinds import DEFAULT_KINDS, KindTable
from streams.records.codec import DECODERS, BadRecord, BadRequest, check_key, decode_request
from streams.records.records import EventRecord, Origin, Request
from streams.records.times import EARLIEST_MS, LATEST_MS, bounded_ts, in_other_unit
from streams.records.trace_context import TraceContext

__all__ = [
    "DecodedBatch",
    "RawRecord",
    "RefusedRequest",
    "Rejected",
    "decode_batch",
    "decode_event",
    "decode_request_record",
]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as Kafka delivered it; ``topic`` in ``origin`` carries the prefix, and ``trace`` is of its headers."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    trace: TraceContext | None = None

    @classmethod
    def of(cls, record: Any) -> Self:
        """Take over a consumer's record, of aiokafka or kafka-python."""
        origin = Origin(record.topic, record.partition, record.offset, record.timestamp)
        return cls(origin, record.key, record.value, TraceContext.of_headers(record.headers))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that breaks its contract, why, and where it stood; becomes a dead letter."""

    record: RawRecord
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """A request that breaks its contract, who asked it, and why; it is answered with that."""

    origin: Origin
    request_id: str
    user_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """One batch, split; both parts keep the order of the batch, and withdrawals stand among the events."""

    events: tuple[tuple[Origin, EventRecord], ...]
    rejected: tuple[Rejected, ...]


def decode_batch(records: Iterable[RawRecord], prefix: str = "", kinds: KindTable = DEFAULT_KINDS) -> DecodedBatch:
    """Decode event records, each as ``decode_event`` does.

    Parameters
    ----------
    records : records of the event topics.
    prefix : topic prefix of this installation.
    kinds : of events that there are.
    """
    events: list[tuple[Origin, EventRecord]] = []
    rejected: list[Rejected] = []
    for record in records:
        try:
            events.append((record.origin, decode_event(record, record.origin.topic.removeprefix(prefix), kinds)))
        except BadRecord as error:
            rejected.append(Rejected(record, error.cause, error.detail))
    return DecodedBatch(tuple(events), tuple(rejected))


def decode_event(record: RawRecord, name: str, kinds: KindTable = DEFAULT_KINDS) -> EventRecord:
    """Decode one record of an event topic, whose ``name`` is without prefix; its time is what it counts as.

    Raises
    ------
    BadRecord
        If it breaks its contract, is under another's key, tells its time in another unit, or is of no kind there is.
    """
    event = DECODERS[name](record.value, kinds)
    check_key(record.key, "user_id", event.user_id)
    ts, recorded = event.ts, record.origin.timestamp
    if EARLIEST_MS <= ts <= recorded <= LATEST_MS:  # nearly always
        return event
    misread = in_other_unit(ts, recorded)
    if misread is not None:
        raise BadRecord("wrong_unit", misread)
    counts_as = bounded_ts(ts, recorded)
    return event if counts_as == ts else replace(event, ts=counts_as)


def decode_request_record(record: RawRecord) -> Request | RefusedRequest | Rejected:
    """Decode one record of ``recommendation-requests``.

    A bad one whose asker is known comes back as what is answered, any other one as what becomes its dead letter.
    """
    try:
        return _request_of(record)
    except BadRequest as error:
        return RefusedRequest(record.origin, error.request_id, error.user_id, error.detail)
    except BadRecord as error:
        return Rejected(record, error.cause, error.detail)


def _request_of(record: RawRecord) -> Request:
    request = decode_request(record.value)
    try:
        check_key(record.key, "user_id", request.user_id)
    except BadRecord as error:
        raise BadRequest(request.request_id, request.user_id, error) from None
    return request
