"""From raw Kafka records to events, with what cannot be read set aside instead of raised."""

from collections.abc import Iterable
from dataclasses import dataclass

from streams.codec import DECODERS, BadRecord
from streams.records import Event, Origin

__all__ = ["Decoded", "RawRecord", "Rejected", "decode_batch"]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as Kafka delivered it; ``topic`` in ``origin`` carries the prefix."""

    origin: Origin
    key: bytes | None
    value: bytes | None


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
    """Decode event records, each by the contract of its topic.

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
        except BadRecord as error:
            rejected.append(Rejected(record, error.cause, error.detail))
        else:
            events.append((record.origin, event))
    return Decoded(tuple(events), tuple(rejected))
