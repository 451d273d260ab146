"""Sending records so that one which the broker refuses costs no other its delivery.

A broker refuses a record that is stamped more than an hour ahead (``message.timestamp.after.max.ms``), is larger than
its topic takes, or has no key on a compacted topic. kafka-python's idempotent producer then fails everything that it
holds, and whatever it is given later, to any topic. So ``Delivery`` keeps the records that are out, in order. After a
refusal it makes a new producer and offers again what was not taken, in halves, until one record is refused alone. It
tells of that one and delivers all others; those of a partition stay in order.

A record that was on its way to another partition at that moment may have arrived already, and then arrives twice.
"""

import contextlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from kafka import KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from kafka.producer.future import FutureRecordMetadata

from streams.errors import TopicError
from streams.kafka.clients import blocking_producer, close_within
from streams.kafka.kafka_errors import cluster_required
from streams.settings import Settings

__all__ = ["Delivery", "OutgoingRecord", "UndeliveredRecord"]

MAX_WAITING = 20_000  # records; the client itself would take any number and grow
MAX_FAILURES = 1_000  # records that failed, after which the cluster is taken for gone and sending ends
MAX_REFUSED = 100  # records refused in a row, after which it is not the records; each costs a fifth of a second
SLACK_S = 15.0  # the client gives up a record by itself, within its delivery time; later it does not answer at all
ABANDON_S = 1.0  # for closing where nothing is waited for any more
_Answer: TypeAlias = FutureRecordMetadata | KafkaError
_REFUSALS = (InvalidRecordError, InvalidTimestampError, MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to send.

    Parameters
    ----------
    topic : full name.
    name : what people know it by, such as an event's id or a letter's place.
    key, value, headers, partition : as kafka-python takes them.
    """

    topic: str
    name: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class UndeliveredRecord:
    """A record that is not on its topic, and the broker's or the client's reason."""

    record: OutgoingRecord
    reason: str


class Delivery:
    """Delivers records in order, each once, without those that the broker refuses; used as a context.

    ``refused`` holds the records that the broker refused alone. ``failed`` holds those that were not taken for another
    reason, such as a cluster that is gone; they may have arrived or not. It gives up after 1,000 failures, after 100
    refusals in a row, or after one record without any answer. Then ``has_given_up`` is true, nothing more is sent, and
    every record that is out has failed.

    Parameters
    ----------
    settings : where to.
    role : who sends, the first word of messages and a part of the client's name.
    within_s : for one record with its retries.
    options : further arguments of the producer.

    Raises
    ------
    TopicError
        If the cluster cannot be reached, or does not know a topic.
    """

    def __init__(self, settings: Settings, role: str, within_s: float, **options: Any) -> None:
        self._settings = settings
        self._role = role
        self._options = {
            "enable_idempotence": True,
            "delivery_timeout_ms": int(within_s * 1000),
            "request_timeout_ms": int(min(within_s / 2, 30.0) * 1000),  # so that a lost answer is asked for again
            **options,
        }
        self._answer_within_s = within_s + SLACK_S
        self._out: deque[tuple[OutgoingRecord, _Answer]] = deque()
        self._again: list[list[OutgoingRecord]] = []  # groups to offer again, the next one last
        self.refused: list[UndeliveredRecord] = []
        self.failed: list[UndeliveredRecord] = []
        self.has_given_up = False
        self._refused_in_row = 0
        self._is_spent = False  # the producer may have met a refusal, and fails whatever it is given

    def __enter__(self) -> Self:
        self._producer = self._made()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        close_within(self._producer, ABANDON_S if kind or self.has_given_up else self._answer_within_s)

    def send(self, record: OutgoingRecord) -> None:
        """Send a record; it is delivered, refused or failed at the latest after ``flush``."""
        if self.has_given_up:
            self.failed.append(UndeliveredRecord(record, "nothing is sent any more"))
            return
        out = self._out
        out.append((record, self._handed_over(record)))
        while out and _is_delivered(out[0][1]):
            out.popleft()
            self._refused_in_row = 0
        if out and (len(out) > MAX_WAITING or _is_answered(out[0][1])):
            self._settle()

    def flush(self) -> None:
        """Wait until every record is delivered, refused or failed."""
        self._recover()  # what an interrupt left
        with contextlib.suppress(KafkaError):  # each record's own answer is read below
            self._producer.flush(timeout=0 if self.has_given_up else self._answer_within_s)
        while self._out:
            self._settle()

    def _settle(self) -> None:
        """Read the answer to the oldest record that is out; after a refusal all that are out are looked at anew."""
        record, answer = self._out[0]
        error = self._error_of(answer)
        if error is not None and _is_refusal(error):
            back = self._not_taken(self._out)
            self._again, self._is_spent = [back], True
            self._out.clear()
            self._recover()
            return
        self._out.popleft()
        if error is None:
            self._refused_in_row = 0
        else:
            self._fail(record, error)

    def _recover(self) -> None:
        """Offer again what came back, half by half, until each record is delivered, refused alone or failed."""
        while self._again:
            group = self._again[-1]
            if self.has_given_up:
                self.failed += [UndeliveredRecord(record, "nothing is sent any more") for record in group]
                self._again.pop()
                continue
            back = self._offer(group)
            self._again.pop()  # only now, so that an interrupt loses nothing
            half = (len(back) + 1) // 2
            self._again += [part for part in (back[half:], back[:half]) if part]
        if self._is_spent:
            self._renew()

    def _offer(self, group: Iterable[OutgoingRecord]) -> list[OutgoingRecord]:
        """Send a group and wait; return what came back because one among several was refused."""
        if self._is_spent:
            self._renew()
        self._is_spent = True  # until it is known that it is not
        sent = [(record, self._handed_over(record)) for record in group]
        with contextlib.suppress(KafkaError):  # each record's own answer is read below
            self._producer.flush(timeout=self._answer_within_s)
        if len(sent) == 1:
            [(record, answer)] = sent
            error = self._error_of(answer)
            if error is not None and _is_refusal(error):
                self.refused.append(UndeliveredRecord(record, _told(error)))
                self._refused_in_row += 1
                self.has_given_up |= self._refused_in_row >= MAX_REFUSED
                return []
        back = self._not_taken(sent)
        self._is_spent = bool(back)
        self._refused_in_row = self._refused_in_row if back else 0
        return back

    def _not_taken(self, sent: Iterable[tuple[OutgoingRecord, _Answer]]) -> list[OutgoingRecord]:
        """Return the records that were not taken because one was refused; those without an answer have failed."""
        back = []
        for record, answer in sent:
            error = self._error_of(answer)
            if error is not None and _is_refusal(error):
                back.append(record)
            elif error is not None:
                self._fail(record, error)
        return back

    def _handed_over(self, record: OutgoingRecord) -> _Answer:
        """Give a record to the client; a refusal by the client itself is an answer like the broker's."""
        try:
            return self._producer.send(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
            )
        except MessageSizeTooLargeError as error:
            return error
        except KafkaError as error:
            raise TopicError(
                f"{self._role}: {record.topic} at {self._settings.kafka} must take records, got {error!r}; "
                "create the topics with `reelstream topics create`"
            ) from error

    def _error_of(self, answer: _Answer) -> KafkaError | None:
        """Wait for an answer and return its error; None where the broker has the record."""
        if isinstance(answer, KafkaError):
            return answer
        try:
            answer.get(timeout=0 if self.has_given_up else self._answer_within_s)
        except KafkaError as error:
            self.has_given_up |= not answer.is_done
            return error
        return None

    def _fail(self, record: OutgoingRecord, error: KafkaError) -> None:
        self.failed.append(UndeliveredRecord(record, _told(error)))
        self.has_given_up |= len(self.failed) >= MAX_FAILURES

    def _made(self) -> KafkaProducer:
        with cluster_required(self._role, self._settings):
            return blocking_producer(self._settings, self._role.replace(" ", "-"), **self._options)

    def _renew(self) -> None:
        """Put another producer in the place of one that has met a refusal."""
        close_within(self._producer, ABANDON_S)
        self._producer = self._made()
        self._is_spent = False


def _is_answered(answer: _Answer) -> bool:
    return isinstance(answer, KafkaError) or answer.is_done


def _is_delivered(answer: _Answer) -> bool:
    return not isinstance(answer, KafkaError) and answer.is_done and not answer.failed()


def _is_refusal(error: KafkaError) -> bool:
    """Return whether a record was refused, or came back with one that was: of a batch all others have a bare error."""
    return isinstance(error, _REFUSALS) or type(error) is KafkaError


def _told(error: KafkaError) -> str:
    """Return a broker's reason, or the error's name where it gave none."""
    text = " ".join(str(part) for part in error.args if part is not None)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
