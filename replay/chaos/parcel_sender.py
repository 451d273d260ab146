"""Bringing the stream to Kafka in threads: idempotent or in transactions, in every codec, and no faster than allowed.

The ledger gets the address and the fingerprint of each acknowledged record, as numbers, so that a million of them fit:
they are what the cluster has promised to keep.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from replay.chaos.expected import RecordAddress
from replay.chaos.ledger import Ledger, fingerprint
from replay.chaos.mixing import CLIENTS, PlainRecords, Transaction, count_events
from replay.chaos.people.asking import DATA_REQUESTS
from replay.chaos.stream import EVENTS, StreamRecord
from replay.chaos.transacting import RECONNECT_MS, Transactor
from streams.errors import TopicError
from streams.kafka.clients import blocking_producer
from streams.records.codec import encode
from streams.settings import Compression, Settings

__all__ = ["ParcelSender", "send_items"]

MAX_RECORDS_OUT = 4000  # records that are out; enough to fill batches
DELIVERY_MS = 120_000  # for one record, retries included: a broker is away for seconds
LOOK_S = 0.01
HANG_MS = 6_000  # after which the cluster ends a transaction that hangs: a stream must feel it, and a run end soon


class ParcelSender:
    """Sends a stream; use as a context, and look at ``sent``, ``error`` and ``is_done``.

    Parameters
    ----------
    settings : where the topics are.
    parcels : what to send.
    ledger : takes what is acknowledged.
    allowance : how many event records may have been sent by now; asked again and again.
    """

    def __init__(
        self,
        settings: Settings,
        parcels: Iterable[PlainRecords | Transaction],
        ledger: Ledger,
        allowance: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._parcels = parcels
        self._ledger = ledger
        self._allowance = allowance
        self._producers: dict[Compression, KafkaProducer] = {}
        self._out: deque[tuple[int, Any]] = deque()
        self._stop = threading.Event()
        self._queues = {client: queue.Queue[Transaction | None](maxsize=1) for client in CLIENTS}
        self._threads = [
            self._thread("sender", self._run),
            *(self._thread(f"transactions of {client}", self._transact, client) for client in CLIENTS),
        ]
        self.sent = 0
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5.0)
        for producer in self._producers.values():
            try:
                producer.close(timeout=1.0)
            except KafkaError:
                producer._sender.force_close()  # noqa: SLF001 - there is no public way to drop what is out

    @property
    def is_done(self) -> bool:
        """Whether everything is acknowledged, and every transaction at its end."""
        return self.error is None and not any(thread.is_alive() for thread in self._threads)

    def _thread(self, name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
        return threading.Thread(target=self._guarded, args=(work, *arguments), name=name, daemon=True)

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for this thread
            self.error = error

    def _run(self) -> None:
        for parcel in self._parcels:
            if isinstance(parcel, PlainRecords):
                for record in parcel.records:
                    if record.topic in EVENTS and not self._is_allowed(1):
                        return
                    self._send(record, parcel.codec)
            elif not self._hand_over(parcel):
                return
        for transactions in self._queues.values():
            self._put(transactions, None)
        for producer in self._producers.values():
            producer.flush(timeout=DELIVERY_MS / 1000)
        while self._out:
            self._settle()

    def _is_allowed(self, n: int) -> bool:
        """Wait until more events may be sent, and count them; return whether that came."""
        while self.sent >= self._allowance():
            self._settle_done()  # the faults wait for what is applied, and that is counted by what is acknowledged
            if self._stop.wait(LOOK_S):
                return False
        self.sent += n
        return not self._stop.is_set()

    def _send(self, record: StreamRecord, codec: Compression) -> None:
        if codec not in self._producers:
            self._producers[codec] = _producer(self._settings, codec)
        if record.topic == DATA_REQUESTS:
            self._ledger.note_asked(record.value)
        future = self._producers[codec].send(record.topic, value=record.value, key=record.key)
        self._out.append((fingerprint(record.value), future))
        self._settle_done()
        while len(self._out) > MAX_RECORDS_OUT:
            self._settle()

    def _settle_done(self) -> None:
        while self._out and self._out[0][1].is_done:
            self._settle()

    def _settle(self) -> None:
        number, future = self._out.popleft()
        stands = future.get(timeout=DELIVERY_MS / 1000)
        self._ledger.stands({RecordAddress(stands.topic, stands.partition, stands.offset): number})

    def _hand_over(self, transaction: Transaction) -> bool:
        """Give a transaction to the thread of its client; its records count as sent with the one that commits."""
        if transaction.end == "hang":
            thread = self._thread("hung transaction", self._hang, transaction)
            self._threads.append(thread)
            thread.start()
            return True
        n = count_events(transaction.records) if transaction.end == "commit" else 0
        for record in transaction.records:
            if record.topic == DATA_REQUESTS:
                self._ledger.note_asked(record.value)
        return self._is_allowed(n) and self._put(self._queues[transaction.client], transaction)

    def _put(self, transactions: "queue.Queue[Transaction | None]", one: Transaction | None) -> bool:
        while not self._stop.is_set():
            try:
                transactions.put(one, timeout=LOOK_S)
            except queue.Full:
                self._settle_done()
            else:
                return True
        return False

    def _transact(self, client: str) -> None:
        transactor = Transactor(self._settings, self._stop)
        try:
            while not self._stop.is_set():
                try:
                    transaction = self._queues[client].get(timeout=0.1)
                except queue.Empty:
                    continue
                if transaction is None:
                    return
                transactor.complete(transaction, self._ledger.ended)
        finally:
            transactor.close()

    def _hang(self, transaction: Transaction) -> None:
        transactor = Transactor(self._settings, self._stop)
        try:
            transactor.hang(transaction, HANG_MS, self._ledger.ended)
        finally:
            transactor.close()


def _producer(settings: Settings, codec: Compression = "none") -> KafkaProducer:
    return blocking_producer(
        settings,
        "chaos",
        compression_type=None if codec == "none" else codec,
        enable_idempotence=True,
        linger_ms=10,
        batch_size=64 * 1024,
        delivery_timeout_ms=DELIVERY_MS,
        max_block_ms=DELIVERY_MS,  # the first record of a topic may come while no broker is there to tell of it
        reconnect_backoff_max_ms=RECONNECT_MS,
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
        raise TopicError(f"chaos: catalog-items at {settings.kafka} must take the items, got {error!r}") from error
    finally:
        producer.close(timeout=5.0)
