"""Every Kafka client of the project is made here, so that all of them read and write by the same rules.

Consumers read committed records only: an event of an aborted transaction never happened. Producers wait for all
replicas and compress as the settings say; all four codecs of Kafka are read, as the packages that do it are
dependencies. Offsets are never committed by reading. Faust makes its own clients, in ``streams.reading.driver``.

aiokafka's clients are for the processes that serve, kafka-python's for commands and threads.
"""

from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from streams.settings import Settings

__all__ = [
    "ANSWER_MS",
    "READ_COMMITTED",
    "admin",
    "blocking_admin",
    "blocking_consumer",
    "blocking_producer",
    "close_within",
    "cluster_client",
    "consumer",
    "producer",
]

READ_COMMITTED = "read_committed"
RECONNECT_MS = 1_000  # kafka-python waits up to 30 s for a broker that was away, which starts within two
CONNECT_MS = 10_000  # a cluster that needs longer to answer is not there for a person who waits
ANSWER_MS = 10_000  # nor is one that needs longer for one answer; the client's own 30 s look like a command that hangs
_DROP_S = 1.0  # for a thread to see that it is to end
METADATA_MS = 10_000  # for learning where a topic lies, before its first record is sent


def consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer of aiokafka, not started yet.

    Parameters
    ----------
    settings : addresses and security.
    options : further arguments, such as ``group_id``; they win over what is set here.
    """
    given = _asynchronous(settings) | _READING | options
    return AIOKafkaConsumer(**given)


def producer(settings: Settings, **options: Any) -> AIOKafkaProducer:
    """Return a producer of aiokafka, not started yet; arguments as for ``consumer``."""
    given = _asynchronous(settings) | {"acks": "all", "compression_type": settings.compression_type} | options
    return AIOKafkaProducer(**given)


def admin(settings: Settings, **options: Any) -> AIOKafkaAdminClient:
    """Return an admin client of aiokafka, not started yet; arguments as for ``consumer``."""
    given = _asynchronous(settings) | options
    return AIOKafkaAdminClient(**given)


def cluster_client(settings: Settings, **options: Any) -> AIOKafkaClient:
    """Return a client for questions about the cluster itself, not started yet; arguments as for ``consumer``."""
    given = _asynchronous(settings) | options
    return AIOKafkaClient(**given)


def blocking_consumer(settings: Settings, role: str, **options: Any) -> KafkaConsumer:
    """Return a consumer of kafka-python, connected.

    Parameters
    ----------
    settings : addresses and security.
    role : who reads, as brokers name the client.
    options : further arguments; they win over what is set here.
    """
    reading = {"allow_auto_create_topics": False, "request_timeout_ms": ANSWER_MS}
    given = _blocking(settings, role) | _READING | reading | options
    return KafkaConsumer(**given)


def blocking_producer(settings: Settings, role: str, **options: Any) -> KafkaProducer:
    """Return a producer of kafka-python, connected; arguments as for ``blocking_consumer``."""
    writing = {"acks": "all", "compression_type": settings.compression_type}
    given = (
        _blocking(settings, role) | writing | {"allow_auto_create_topics": False, "max_block_ms": METADATA_MS} | options
    )
    return KafkaProducer(**given)


def close_within(producer: KafkaProducer, seconds: float) -> None:
    """Close a producer of kafka-python; what is not delivered in time is dropped.

    Without a limit ``close`` waits for ever where the cluster does not answer. With one it raises, and leaves its
    thread and its connections behind.
    """
    try:
        producer.close(timeout=seconds)
    except KafkaError:
        producer._sender.force_close()  # noqa: SLF001 - there is no public way to drop what is out
        with suppress(KafkaError):
            producer.close(timeout=_DROP_S)


def blocking_admin(settings: Settings, role: str, **options: Any) -> KafkaAdminClient:
    """Return an admin client of kafka-python, connected; arguments as for ``blocking_consumer``."""
    given = _blocking(settings, role) | {"request_timeout_ms": ANSWER_MS} | options
    return KafkaAdminClient(**given)


_READING: dict[str, Any] = {
    "isolation_level": READ_COMMITTED,
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
}


def _asynchronous(settings: Settings) -> dict[str, Any]:
    return {"bootstrap_servers": settings.kafka_addresses, **settings.security.aiokafka()}


def _blocking(settings: Settings, role: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": settings.kafka_addresses,
        "client_id": f"reelstream-{role}",
        "bootstrap_timeout_ms": CONNECT_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
        **settings.security.kafka_python(),
    }
