"""Sending a catalogue, users' hints and a schedule to Kafka, on time and counted.

The key is the user, so that one partition holds a user's events in the order they were sent. Sending is idempotent and
waits for all replicas. A record that fails does not stop the others: the report names it with its reason
(``streams.kafka.sender``).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from model.catalogue import Catalogue
from model.hints import UserHints
from replay.schedule import PlannedDelivery
from streams.errors import TopicError
from streams.kafka.sender import Delivery, OutgoingRecord, UndeliveredRecord
from streams.kafka.topics import CATALOG, USER_PROFILES
from streams.records.codec import encode
from streams.settings import Settings

__all__ = [
    "DeliveryProgress",
    "OfferReport",
    "ReplayReport",
    "offer_catalogue",
    "offer_hints",
    "replay",
    "send_catalogue",
    "when_due",
]

LINGER_MS = 10  # fills batches at a few thousand records a second, and is small beside the worker's own batching
BATCH_BYTES = 128 * 1024
DELIVERY_S = 60.0  # for one record with its retries; a broker's restart takes seconds
SLACK_S = 0.002  # a record may leave this early; sleeping for less would cost more than it paces
DELIVERIES_PER_CALL = 500  # of the progress
DeliveryProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay delivered.

    Parameters
    ----------
    events : deliveries that were handed to the client, copies among them.
    duplicates, late : how many of them were copies, and late.
    seconds : from the first to the confirmation of the last.
    errors : how many were not delivered; the first one's reason is in ``first_error``.
    not_taken : those that were not delivered, in the order in which they failed.
    interrupted : whether it ended early, by the keyboard or because the cluster was gone.
    topics : deliveries by topic, without the prefix.
    """

    events: int
    duplicates: int
    late: int
    seconds: float
    errors: int = 0
    first_error: str | None = None
    interrupted: bool = False
    topics: Mapping[str, int] = field(default_factory=dict)
    not_taken: tuple[UndeliveredRecord, ...] = ()

    @property
    def rate(self) -> float:
        """Deliveries each second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class OfferReport:
    """How many items of a catalogue, or users with hints, were delivered, and which were not."""

    delivered: int
    not_taken: tuple[UndeliveredRecord, ...] = ()


def offer_catalogue(settings: Settings, catalogue: Catalogue) -> OfferReport:
    """Send every item and wait until each is delivered or refused.

    Raises
    ------
    TopicError
        If the cluster cannot be reached.
    """
    return _offer(settings, CATALOG, [(item.item_id, item) for item in catalogue])


def offer_hints(settings: Settings, hints: Sequence[UserHints]) -> OfferReport:
    """Send every user's hints, as ``offer_catalogue`` sends items; without any, nothing is opened."""
    return _offer(settings, USER_PROFILES, [(one.user_id, one) for one in hints]) if hints else OfferReport(0)


def send_catalogue(settings: Settings, catalogue: Catalogue) -> int:
    """Send every item and wait until all are delivered; return how many.

    Raises
    ------
    TopicError
        If the cluster cannot be reached or an item is not delivered; the others are.
    """
    sent = offer_catalogue(settings, catalogue)
    if sent.not_taken:
        first = sent.not_taken[0]
        raise TopicError(
            f"replay: {settings.prefix}{CATALOG} must take {len(catalogue)} items, "
            f"got {len(sent.not_taken)} refused, the first, {first.record.name!r}, with {first.reason}"
        )
    return sent.delivered


def replay(
    settings: Settings,
    schedule: Iterable[PlannedDelivery],
    *,
    progress: DeliveryProgress | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ReplayReport:
    """Send a schedule, each delivery when it is due, as fast as possible where it is behind.

    Parameters
    ----------
    settings : where to.
    schedule : what, and when.
    progress : called now and then with the deliveries so far and the event time of the latest, milliseconds.
    clock, sleep : of the pacing, seconds.

    Returns
    -------
    What was sent; an interrupt from the keyboard ends the sending, and the report says how far it came.

    Raises
    ------
    TopicError
        If the cluster cannot be reached.
    """
    counts = _DeliveryCounts(progress)
    started = clock()
    interrupted = False
    with _delivery(settings) as delivery:
        try:
            for planned in when_due(schedule, clock=clock, sleep=sleep):
                if delivery.has_given_up:
                    interrupted = True
                    break
                event = planned.record
                delivery.send(_outgoing(settings, planned.topic, event.event_id, event.user_id, event))
                counts.count(planned)
        except KeyboardInterrupt:
            interrupted = True
        delivery.flush()
    not_taken = (*delivery.refused, *delivery.failed)
    return ReplayReport(
        sum(counts.topics.values()),
        counts.duplicates,
        counts.late,
        clock() - started,
        len(not_taken),
        not_taken[0].reason if not_taken else None,
        interrupted,
        dict(counts.topics),
        not_taken,
    )


def when_due(
    schedule: Iterable[PlannedDelivery], *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[PlannedDelivery]:
    """Yield each delivery when it is due, at most 2 ms early, without waiting where it is overdue."""
    started = clock()
    for planned in schedule:
        ahead = planned.due_s - (clock() - started)
        if ahead > SLACK_S:
            sleep(ahead)
        yield planned


class _DeliveryCounts:
    """Counts of what was sent so far."""

    def __init__(self, progress: DeliveryProgress | None) -> None:
        self.topics: Counter[str] = Counter()
        self.duplicates = 0
        self.late = 0
        self._n = 0
        self._progress = progress

    def count(self, planned: PlannedDelivery) -> None:
        self._n += 1
        self.topics[planned.topic] += 1
        self.duplicates += planned.is_copy
        self.late += planned.is_late
        if self._progress is not None and self._n % DELIVERIES_PER_CALL == 0:
            self._progress(self._n, planned.record.ts)


def _offer(settings: Settings, topic: str, records: Sequence[tuple[str, object]]) -> OfferReport:
    with _delivery(settings) as delivery:
        for name, record in records:
            delivery.send(_outgoing(settings, topic, name, name, record))
        delivery.flush()
    not_taken = (*delivery.refused, *delivery.failed)
    return OfferReport(len(records) - len(not_taken), not_taken)


def _delivery(settings: Settings) -> Delivery:
    return Delivery(settings, "replay", DELIVERY_S, linger_ms=LINGER_MS, batch_size=BATCH_BYTES)


def _outgoing(settings: Settings, topic: str, name: str, key: str, record: object) -> OutgoingRecord:
    return OutgoingRecord(settings.prefix + topic, name, key.encode(), encode(record))
