"""One transaction through one producer, with kafka-python or with aiokafka, and what came of it.

A producer that fails is dropped, and the next one takes its transactional id, by which the cluster aborts what was left
open. So nothing is decided here: a commit that was not answered is ``uncertain``, and anything before it ``aborted``.
No call waits for ever, as some of the clients' own do.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import closing, suppress
from typing import Any, Protocol, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation
from aiokafka.errors import KafkaError as AsynchronousError
from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from replay.chaos.expected import RecordAddress
from replay.chaos.ledger import Attempt, End, fingerprint
from replay.chaos.mixing import CATALOG, Transaction
from replay.chaos.stream import StreamRecord
from streams.kafka.clients import blocking_consumer, blocking_producer, producer
from streams.settings import Compression, Settings

__all__ = ["RECONNECT_MS", "Client", "Transactor", "open_client"]

T = TypeVar("T")
ANSWER_S = 45.0  # for all records of a transaction, and for its end: a broker is away for seconds
RECONNECT_MS = 1000  # at most, to a broker that was killed; by itself kafka-python waits up to half a minute
TIMEOUT_MS = 60_000  # of a transaction that goes on: longer than its records may take
CLOSE_S = 2.0
ENDS_S = 120.0  # for the cluster to end a transaction beyond its timeout: brokers may be away for long
RETRY_S = 0.5  # between two tries to reach a cluster that is away


class Client(Protocol):
    """A transactional producer; its calls raise KafkaError, also where no answer comes."""

    def begin(self) -> None:
        """Open a transaction."""

    def send(self, records: Iterable[StreamRecord]) -> dict[RecordAddress, int]:
        """Write records and return where each stands, with its fingerprint, when all are acknowledged."""

    def end(self, *, commit: bool) -> None:
        """End the transaction."""

    def close(self) -> None:
        """Drop the connection, whatever is open."""


def open_client(kind: str, settings: Settings, name: str, codec: Compression, timeout_ms: int) -> Client:
    """Return a producer of a client library.

    Parameters
    ----------
    kind : of ``mixing.CLIENTS``.
    settings : where the cluster is.
    name : its transactional id; another producer of that name is fenced.
    codec : of its batches.
    timeout_ms : after which the cluster ends a transaction that is still open.

    Raises
    ------
    KafkaError
        If the cluster does not answer.
    """
    options: dict[str, Any] = {
        "transactional_id": name,
        "transaction_timeout_ms": timeout_ms,
        "compression_type": None if codec == "none" else codec,
    }
    return _Blocking(settings, options) if kind == "kafka-python" else _Asynchronous(settings, options)


class Transactor:
    """Brings transactions to the cluster, one after the other, through producers that it keeps.

    Parameters
    ----------
    settings : where the cluster is.
    stop : set when all is to end at once.
    """

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._clients: dict[str, Client] = {}

    def complete(self, transaction: Transaction, done: Callable[[Attempt], None]) -> None:
        """Repeat a transaction until it ends as it should; ``done`` takes each attempt."""
        name = f"chaos-{transaction.client}-{transaction.codec}"
        wanted: End = "committed" if transaction.end == "commit" else "aborted"
        while not self._stop.is_set():
            client = self._client(name, transaction, TIMEOUT_MS)
            if client is None:
                return
            attempt, is_usable = _attempt(client, transaction)
            if not is_usable:
                self._drop(name)
            done(attempt)
            if attempt.end == wanted:
                return

    def hang(self, transaction: Transaction, timeout_ms: int, done: Callable[[Attempt], None]) -> None:
        """Write a transaction and leave it open until the cluster ends it; then ask for a commit, which is refused."""
        name = f"chaos-hung-{transaction.number}"
        while not self._stop.is_set():
            client = self._client(name, transaction, timeout_ms)
            if client is None:
                return
            addresses: dict[RecordAddress, int] = {}
            end: End = "aborted"
            with suppress(KafkaError):
                client.begin()
                addresses = client.send(transaction.ghosts)
                if self._stop.wait(timeout_ms / 1000) or not self._is_passed(addresses):
                    return
                end = _late(client)
            self._drop(name)
            done(Attempt(transaction.number, end, addresses, _film(transaction)))
            if end != "aborted":
                return

    def _is_passed(self, addresses: Iterable[RecordAddress]) -> bool:
        """Wait until readers of committed records get past these addresses; return whether they did before all ends."""
        ends: dict[TopicPartition, int] = {}
        for address in addresses:
            at = TopicPartition(address.topic, address.partition)
            ends[at] = max(ends.get(at, 0), address.offset + 1)
        deadline = time.monotonic() + ENDS_S
        while time.monotonic() < deadline:
            with suppress(KafkaError), closing(blocking_consumer(self._settings, "chaos")) as consumer:
                stable = consumer.end_offsets(list(ends))
                if all(stable[at] > end for at, end in ends.items()):  # the marker is passed too
                    return True
            if self._stop.wait(RETRY_S):
                return False
        return True

    def close(self) -> None:
        """Drop every producer."""
        for name in list(self._clients):
            self._drop(name)

    def _client(self, name: str, transaction: Transaction, timeout_ms: int) -> Client | None:
        """Return the producer of a name, made anew where there is none; None if all is to end."""
        while name not in self._clients:
            try:
                made = open_client(transaction.client, self._settings, name, transaction.codec, timeout_ms)
            except KafkaError:
                if self._stop.wait(RETRY_S):
                    return None
            else:
                self._clients[name] = made
        return self._clients[name]

    def _drop(self, name: str) -> None:
        self._clients.pop(name).close()


def _attempt(client: Client, transaction: Transaction) -> tuple[Attempt, bool]:
    """Go through a transaction once; return what came of it, and whether its producer can go on."""
    is_commit = transaction.end == "commit"
    addresses: dict[RecordAddress, int] = {}
    end: End = "aborted"
    is_usable = False
    with suppress(KafkaError):
        client.begin()
        addresses = client.send((*transaction.records, *transaction.ghosts))
        end = "uncertain" if is_commit else "aborted"
        client.end(commit=is_commit)
        end = "committed" if is_commit else "aborted"
        is_usable = True
    return Attempt(transaction.number, end, addresses, _film(transaction)), is_usable


def _late(client: Client) -> End:
    """Ask for a commit that comes too late, and say what came of it."""
    try:
        client.end(commit=True)
    except KafkaTimeoutError:
        return "uncertain"
    except KafkaError:
        return "hung"
    return "committed"


def _film(transaction: Transaction) -> str | None:
    return next((record.key.decode() for record in transaction.ghosts if record.topic == CATALOG), None)


def _stands(records: Iterable[StreamRecord], found: Iterable[Any]) -> dict[RecordAddress, int]:
    """Return the addresses of records that are read back; the catalogue is compacted, so its addresses say nothing."""
    return {
        RecordAddress(stands.topic, stands.partition, stands.offset): fingerprint(record.value)
        for record, stands in zip(records, found, strict=True)
        if record.topic != CATALOG
    }


_TIMEOUTS = {
    "max_block_ms": int(ANSWER_S * 1000),
    "delivery_timeout_ms": int(ANSWER_S * 1000),
    "reconnect_backoff_max_ms": RECONNECT_MS,
}


class _Blocking:
    """kafka-python."""

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self._producer: KafkaProducer = blocking_producer(settings, "chaos", linger_ms=2, **_TIMEOUTS, **options)
        try:
            self._producer.init_transactions()
        except KafkaError:
            self.close()
            raise

    def begin(self) -> None:
        self._producer.begin_transaction()

    def send(self, records: Iterable[StreamRecord]) -> dict[RecordAddress, int]:
        records = tuple(records)
        futures = [self._producer.send(record.topic, value=record.value, key=record.key) for record in records]
        self._producer.flush(timeout=ANSWER_S)
        return _stands(records, [future.get(timeout=ANSWER_S) for future in futures])

    def end(self, *, commit: bool) -> None:
        # Its own two methods wait for ever.
        transactions = self._producer._transaction_manager  # noqa: SLF001
        result = transactions.begin_commit() if commit else transactions.begin_abort()
        self._producer._sender.wakeup()  # noqa: SLF001
        if not result.wait(timeout_ms=ANSWER_S * 1000):
            raise KafkaTimeoutError(f"chaos: a transaction must end within {ANSWER_S:g} s, got no answer")

    def close(self) -> None:
        # What it has not sent is of no interest, and there is no public way to drop it.
        self._producer._sender.force_close()  # noqa: SLF001
        with suppress(KafkaError):
            self._producer.close(timeout=0)


class _Asynchronous:
    """aiokafka, in an event loop and a thread of its own."""

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aiokafka", daemon=True)
        self._thread.start()
        self._producer: AIOKafkaProducer | None = None
        try:
            self._wait(self._start(settings, options))
        except KafkaError:
            self.close()
            raise

    async def _start(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self._producer = producer(settings, client_id="reelstream-chaos", linger_ms=2, **options)
        await self._producer.start()

    def begin(self) -> None:
        self._wait(self._opened.begin_transaction())

    def send(self, records: Iterable[StreamRecord]) -> dict[RecordAddress, int]:
        records = tuple(records)
        return _stands(records, self._wait(self._send(records)))

    async def _send(self, records: tuple[StreamRecord, ...]) -> list[Any]:
        futures = [await self._opened.send(record.topic, value=record.value, key=record.key) for record in records]
        return list(await asyncio.gather(*futures))

    def end(self, *, commit: bool) -> None:
        self._wait(self._opened.commit_transaction() if commit else self._opened.abort_transaction())

    def close(self) -> None:
        with suppress(KafkaError):
            if self._producer is not None:
                self._wait(self._producer.stop(), CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)

    @property
    def _opened(self) -> AIOKafkaProducer:
        assert self._producer is not None, "made before anything is sent"
        return self._producer

    def _wait(self, work: Coroutine[Any, Any, T], within_s: float = ANSWER_S) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within_s)
        except TimeoutError:
            future.cancel()
            raise KafkaTimeoutError(f"chaos: aiokafka must answer within {within_s:g} s, got no answer") from None
        except (AsynchronousError, IllegalOperation, AssertionError) as error:  # it asserts the order of its own calls
            raise KafkaError(f"chaos: aiokafka must go through a transaction, got {error!r}") from error
