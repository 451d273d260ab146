"""Bringing the stream to Kafka in a thread: idempotent, confirmed by all replicas, and no faster than allowed.

What was acknowledged, and where it then stood, is remembered as numbers, so that a million of them fit: it is what the
cluster has promised to keep.
"""

import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from replay.chaos.expected import Place, Record
from replay.chaos.stream import REQUESTS, Made
from streams.clients import blocking_producer
from streams.codec import encode
from streams.errors import TopicError
from streams.settings import Settings

__all__ = ["Sender", "fingerprint", "send_items", "verify"]

MOST_WAITING = 4000  # records that are out; enough to fill batches
DELIVERY_MS = 120_000  # for one record, retries included: a broker is away for seconds
LOOK_S = 0.01


def fingerprint(value: bytes | None) -> int:
    """Return a number that tells values apart; none for a tombstone."""
    return -1 if value is None else zlib.crc32(value)


class Sender:
    """Sends a stream; use as a context, and look at ``sent``, ``error`` and ``is_done``.

    Parameters
    ----------
    settings : where the topics are.
    records : what to send.
    allowance : how many event records may have been sent by now; asked again and again.
    """

    def __init__(self, settings: Settings, records: Iterable[Made], allowance: Callable[[], int]) -> None:
        self._producer = _producer(settings)
        self._records = records
        self._allowance = allowance
        self._out: deque[tuple[int, Any]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self.acknowledged: dict[Place, int] = {}
        self.sent = 0
        self.is_done = False
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5.0)
        try:
            self._producer.close(timeout=1.0)
        except KafkaError:
            self._producer._sender.force_close()  # noqa: SLF001 - there is no public way to drop what is out

    def _run(self) -> None:
        try:
            for made in self._records:
                if made.topic != REQUESTS:
                    while self.sent >= self._allowance():
                        if self._stop.wait(LOOK_S):
                            return
                    self.sent += 1
                if self._stop.is_set():
                    return
                self._send(made)
            self._producer.flush(timeout=DELIVERY_MS / 1000)
            while self._out:
                self._settle()
            self.is_done = True
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for this thread
            self.error = error

    def _send(self, made: Made) -> None:
        future = self._producer.send(made.topic, value=made.value, key=made.key)
        self._out.append((fingerprint(made.value), future))
        while len(self._out) > MOST_WAITING or (self._out and self._out[0][1].is_done):
            self._settle()

    def _settle(self) -> None:
        number, future = self._out.popleft()
        stands = future.get(timeout=DELIVERY_MS / 1000)
        self.acknowledged[Place(stands.topic, stands.partition, stands.offset)] = number


def _producer(settings: Settings) -> KafkaProducer:
    return blocking_producer(
        settings,
        "chaos",
        enable_idempotence=True,
        linger_ms=10,
        batch_size=64 * 1024,
        delivery_timeout_ms=DELIVERY_MS,
    )


def send_items(settings: Settings, items: Iterable[dict[str, Any]]) -> None:
    """Send the catalogue and wait until the cluster has it.

    Raises
    ------
    TopicError
        If an item is not taken.
    """
    producer = _producer(settings)
    try:
        sent = [producer.send("catalog-items", encode(item), key=item["item_id"].encode()) for item in items]
        for future in sent:
            future.get(timeout=30)
    except KafkaError as error:
        raise TopicError(f"chaos: catalog-items at {settings.kafka} must take the films, got {error!r}") from error
    finally:
        producer.close(timeout=5.0)


def verify(acknowledged: dict[Place, int], records: Iterable[Record], lost: list[Place]) -> Iterable[Record]:
    """Pass records through and, at their end, add to ``lost`` what was acknowledged and not seen as it was sent."""
    left = dict(acknowledged)
    for record in records:
        if left.get(record.place) == fingerprint(record.value):
            del left[record.place]
        yield record
    lost.extend(left)
