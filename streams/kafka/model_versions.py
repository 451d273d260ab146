"""Telling everybody what was decided about a model version, for those who decide seldom.

A rollback, by hand or by the drift guard, connects for its one record. The trainer, which decides every few seconds,
keeps a producer of its own.
"""

import asyncio

from kafka.errors import KafkaError

from streams.errors import TopicError
from streams.kafka.clients import ANSWER_MS, blocking_producer, close_within
from streams.kafka.topics import MODEL_VERSIONS
from streams.records.codec import encode
from streams.records.records import ModelVersion
from streams.settings import Settings

__all__ = ["announce", "announce_in_thread", "key_of"]

_ACKNOWLEDGED_S = 15.0  # a broker that fails over answers within ten
_CLOSE_S = 1.0  # nothing is out any more that anybody waits for
_MOVES = ("promoted", "rolled_back", "withdrawn")


def key_of(decided: ModelVersion) -> bytes:
    """Return the record's key: ``current`` where it changes what serves from now on, else the status.

    The topic is compacted, so the latest record of each is kept for good.
    """
    return b"current" if decided.status in _MOVES else decided.status.encode()


def announce(settings: Settings, decided: ModelVersion) -> None:
    """Publish a decision on ``model-versions`` and return when the cluster holds it.

    Raises
    ------
    TopicError
        If the record could not be written.
    """
    topic = settings.prefix + MODEL_VERSIONS
    try:
        limits = {"delivery_timeout_ms": int(1000 * _ACKNOWLEDGED_S), "request_timeout_ms": ANSWER_MS}
        producer = blocking_producer(settings, "model", **limits)
        try:
            producer.send(topic, key=key_of(decided), value=encode(decided)).get(timeout=_ACKNOWLEDGED_S)
        finally:
            close_within(producer, _CLOSE_S)
    except (KafkaError, OSError, ValueError) as error:
        raise TopicError(
            f"model: the record that {decided.version} is {decided.status} must be written to {topic} at "
            f"{settings.kafka}, got {error!r}"
        ) from error


async def announce_in_thread(settings: Settings, decided: ModelVersion) -> None:
    """Publish a decision as ``announce`` does, while the event loop goes on."""
    await asyncio.to_thread(announce, settings, decided)
