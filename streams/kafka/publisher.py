"""Everything that leaves on a topic, through one producer, awaited until the broker has it.

The producer is anything that sends bytes and answers with an awaitable delivery, which is Faust's own
``app.producer``: going there directly skips 65 us of bookkeeping per record.
"""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from streams.kafka import topics
from streams.records.codec import encode
from streams.records.data_requests import DataRequest
from streams.records.decoding import RawRecord, Rejected
from streams.records.records import ModeChange

__all__ = ["Producer", "Publisher", "dead_letter_headers"]

MAX_BYTES = 512 * 1024  # of a dead letter: half of what brokers take by default, as copies of copies grow
MAX_KEY_BYTES = 64 * 1024  # a key of ours has at most 64 characters; with the value it must stay below that half again
Record = tuple[str, bytes | None, bytes | None, Mapping[str, bytes] | None]


class Producer(Protocol):
    """What ``Publisher`` needs of a producer: Faust's Kafka producer, or a list of sent records."""

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Mapping[str, bytes] | None,
    ) -> Awaitable[Any]:
        """Hand a record over; the returned awaitable ends when it is delivered."""


class Publisher:
    """Sends lists, mode changes and dead letters, and waits for all of a batch together."""

    def __init__(self, producer: Producer, prefix: str = "") -> None:
        self._producer = producer
        self._prefix = prefix

    async def publish(
        self,
        lists: Iterable[tuple[str, bytes]] = (),
        changes: Iterable[ModeChange] = (),
        rejected: Iterable[Rejected] = (),
        headers: Sequence[Mapping[str, bytes] | None] | None = None,
    ) -> None:
        """Send everything and return when the broker has acknowledged all of it.

        Parameters
        ----------
        lists : user id and encoded recommendation.
        changes, rejected : as made by the batch.
        headers : of each list; by default none has any.
        """
        lists = tuple(lists)
        records: list[Record] = [
            (topics.RECOMMENDATIONS, user.encode(), body, carried)
            for (user, body), carried in zip(lists, headers or (None,) * len(lists), strict=True)
        ]
        records += [(topics.MODE_CHANGES, change.user_id.encode(), encode(change), None) for change in changes]
        records += [(topics.DEAD_LETTERS, *_fitting(letter), dead_letter_headers(letter)) for letter in rejected]
        deliveries = [
            await self._producer.send(self._prefix + topic, key, value, None, None, headers)
            for topic, key, value, headers in records
        ]
        for delivery in deliveries:  # all are under way; gathering them would cost more than sending them
            await delivery

    async def answer(self, request: DataRequest, partition: int) -> None:
        """Say what became of what a user asked for, where it was asked, and return when the broker has it."""
        name, key = self._prefix + topics.DATA_REQUESTS, request.user_id.encode()
        await (await self._producer.send(name, key, encode(request), partition, None, None))


def _fitting(letter: Rejected) -> tuple[bytes | None, bytes | None]:
    """Return key and value, each cut to what is kept of it; Kafka's client takes no record without both."""
    key, value = letter.record.key, letter.record.value
    if key is None and value is None:
        return None, b""
    return key and key[:MAX_KEY_BYTES], value and value[:MAX_BYTES]


def dead_letter_headers(letter: Rejected) -> dict[str, bytes]:
    """Return the headers of a dead letter: where it stood, why it died, what was cut off, and its trace."""
    origin, trace = letter.record.origin, letter.record.trace
    died = {
        "topic": origin.topic.encode(),
        "partition": str(origin.partition).encode(),
        "offset": str(origin.offset).encode(),
        "cause": letter.cause.encode(),
        "reason": letter.detail.encode(),
    }
    return ({} if trace is None else trace.headers()) | _cuts(letter.record) | died


def _cuts(record: RawRecord) -> dict[str, bytes]:
    key, value = len(record.key or b""), len(record.value or b"")
    cuts = {"cut_from_bytes": str(value).encode()} if value > MAX_BYTES else {}
    return cuts if key <= MAX_KEY_BYTES else cuts | {"key_cut_from_bytes": str(key).encode()}
