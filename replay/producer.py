"""Sending a catalogue and a schedule to Kafka, on time and counted.

The key is the user, so that one partition holds a user's events in the order they were sent. Sending is idempotent and
waits for all replicas; a delivery that fails after that is counted and told, never dropped in silence.
"""

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from kafka.errors import KafkaError
from kafka.producer.future import FutureRecordMetadata

from model.catalogue import Catalogue
from replay.schedule import Planned
from streams.clients import blocking_producer
from streams.codec import encode
from streams.errors import TopicError
from streams.reach import cluster_required
from streams.settings import Settings
from streams.topics import CATALOG

__all__ = ["Progress", "Sent", "paced", "replay", "send_catalogue"]

LINGER_MS = 10  # fills batches at a few thousand records a second, and is small beside the worker's own batching
BATCH_BYTES = 128 * 1024
MOST_WAITING = 20_000  # records; the client itself would take any number and grow
MOST_FAILURES = 1_000  # records refused, after which the cluster is taken for gone and sending ends
DELIVERY_MS = 60_000  # for one record with its retries; a broker's restart takes seconds
FLUSH_S = 75.0  # longer than that; a record without an answer by then means that the cluster is gone
ABANDON_S = 1.0  # for closing after an error, or a second interrupt while waiting for a dead cluster
SLACK_S = 0.002  # a record may leave this early; sleeping for less would cost more than it paces
TELL_EVERY = 500  # deliveries between two calls of the progress
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a replay delivered.

    Parameters
    ----------
    events : deliveries that were handed to the client, copies among them.
    duplicates, late : how many of them were copies, and late.
    seconds : from the first to the confirmation of the last.
    errors : how many were not delivered; the first one's text is in ``first_error``.
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

    @property
    def rate(self) -> float:
        """Deliveries each second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


def send_catalogue(settings: Settings, catalogue: Catalogue) -> int:
    """Send every item and wait until all are delivered; return how many.

    Raises
    ------
    TopicError
        If the cluster cannot be reached or an item is not delivered.
    """
    with _Sender(settings) as sender:
        for item in catalogue:
            sender.send(CATALOG, item.item_id, item)
        sender.flush()
    if sender.failures:
        raise TopicError(
            f"replay: {settings.prefix}{CATALOG} must take {len(catalogue)} items, "
            f"got {len(sender.failures)} refused, the first with {sender.failures[0]!r}"
        )
    return len(catalogue)


def replay(
    settings: Settings,
    schedule: Iterable[Planned],
    *,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Sent:
    """Send a schedule, each delivery when it is due, as fast as possible where it is behind.

    Parameters
    ----------
    settings : where to.
    schedule : what, and when.
    progress : called now and then with the deliveries so far and the event time of the latest, milliseconds.
    clock, sleep : of the pacing, seconds.

    Returns
    -------
    What was sent; an interrupt from the keyboard ends the sending, not the account of it.

    Raises
    ------
    TopicError
        If the cluster cannot be reached.
    """
    tally = _Tally(progress)
    started = clock()
    interrupted = False
    with _Sender(settings) as sender:
        try:
            for planned in paced(schedule, clock=clock, sleep=sleep):
                if sender.has_given_up:
                    interrupted = True
                    break
                sender.send(planned.topic, planned.record.user_id, planned.record)
                tally.count(planned)
        except KeyboardInterrupt:
            interrupted = True
        sender.flush()
    failures = sender.failures
    return Sent(
        sum(tally.topics.values()),
        tally.duplicates,
        tally.late,
        clock() - started,
        len(failures),
        repr(failures[0]) if failures else None,
        interrupted,
        dict(tally.topics),
    )


def paced(
    schedule: Iterable[Planned], *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Planned]:
    """Yield each delivery when it is due, at most 2 ms early, without waiting where it is overdue."""
    started = clock()
    for planned in schedule:
        ahead = planned.due_s - (clock() - started)
        if ahead > SLACK_S:
            sleep(ahead)
        yield planned


class _Tally:
    """Counts of what was sent so far."""

    def __init__(self, progress: Progress | None) -> None:
        self.topics: Counter[str] = Counter()
        self.duplicates = 0
        self.late = 0
        self._n = 0
        self._progress = progress

    def count(self, planned: Planned) -> None:
        self._n += 1
        self.topics[planned.topic] += 1
        self.duplicates += planned.is_copy
        self.late += planned.is_late
        if self._progress is not None and self._n % TELL_EVERY == 0:
            self._progress(self._n, planned.record.ts)


class _Sender:
    """A producer that is closed again and remembers what it could not deliver."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: deque[FutureRecordMetadata] = deque()
        self.failures: list[KafkaError] = []
        self.has_given_up = False

    def __enter__(self) -> Self:
        settings = self._settings
        with cluster_required("replay", settings):
            self._producer = blocking_producer(
                settings,
                "replay",
                enable_idempotence=True,
                linger_ms=LINGER_MS,
                batch_size=BATCH_BYTES,
                delivery_timeout_ms=DELIVERY_MS,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._producer.close(timeout=ABANDON_S if kind or self.has_given_up else FLUSH_S)
        except KafkaError:  # close() waits for what is out and, if that does not end, leaves the client open
            self._producer._sender.force_close()  # noqa: SLF001 - there is no public way to drop what is out
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=ABANDON_S)

    def send(self, topic: str, key: str, record: object) -> None:
        try:
            sent = self._producer.send(self._settings.prefix + topic, value=encode(record), key=key.encode())
        except KafkaError as error:
            raise TopicError(
                f"replay: {self._settings.prefix}{topic} at {self._settings.kafka} must take records, got {error!r}; "
                "create the topics with `reelstream topics create`"
            ) from error
        self._waiting.append(sent)
        if len(self._waiting) > MOST_WAITING:
            self._settle()

    def flush(self) -> None:
        """Wait until every record is delivered or given up."""
        try:
            self._producer.flush(timeout=0 if self.has_given_up else FLUSH_S)
        except KafkaError:  # each record's own answer is read below
            self.has_given_up = True
        while self._waiting:
            self._settle()

    def _settle(self) -> None:
        """Wait for the oldest record that is still out; one without an answer in time counts as not delivered."""
        oldest = self._waiting.popleft()
        try:
            oldest.get(timeout=0 if self.has_given_up else FLUSH_S)
        except KafkaError as error:
            self.failures.append(error)
        if not oldest.is_done or len(self.failures) >= MOST_FAILURES:
            self.has_given_up = True
