"""Asking for a list and waiting for the answer, as an app does it: a request goes out, and its list comes back."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from uuid import uuid4

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.errors import TopicError
from streams.kafka.clients import blocking_consumer, blocking_producer, close_within
from streams.kafka.kafka_errors import cluster_error
from streams.kafka.topics import RECOMMENDATIONS, REQUESTS
from streams.records.codec import encode
from streams.settings import Settings

__all__ = ["ask"]

_POLL_MS = 200
_CLOSE_S = 2.0  # the request is out by then, and whoever waits has the answer


def ask(settings: Settings, user_id: str, wishes: Mapping[str, Any], within_s: float) -> dict[str, Any]:
    """Send a request and return the record that answers it, a refused one as well.

    Parameters
    ----------
    settings : addresses and prefix.
    user_id : for whom.
    wishes : further fields of the request.
    within_s : seconds to wait for the answer.

    Raises
    ------
    TopicError
        If Kafka does not answer, or nobody answers the request in time.
    """
    request = {"request_id": f"ask-{uuid4().hex}", "user_id": user_id, **wishes}
    try:
        with closing(blocking_consumer(settings, "ask", group_id=None)) as reading:
            _stand_at_the_end(reading, settings)
            _send(settings, request)
            for found in _answers(reading, within_s):
                if found.get("trigger", {}).get("request_id") == request["request_id"]:
                    return found
    except KafkaError as error:
        raise cluster_error(error, f"asking for a list: a Kafka cluster is required at {settings.kafka}") from error
    raise TopicError(
        f"asking for a list: an answer to request {request['request_id']!r} is required within {within_s:g} s, "
        "got none; see with `reelstream health worker` whether a worker runs"
    )


def _stand_at_the_end(reading: KafkaConsumer, settings: Settings) -> None:
    """Read what is published from now on, in all partitions: who answers has the say in which one."""
    topic = settings.prefix + RECOMMENDATIONS
    partitions = [TopicPartition(topic, at) for at in reading.partitions_for_topic(topic) or ()]
    if not partitions:
        raise TopicError(f"asking for a list: the topic {topic} is required, got none; run `reelstream topics create`")
    reading.assign(partitions)
    for partition, end in reading.end_offsets(partitions).items():
        reading.seek(partition, end)


def _send(settings: Settings, request: Mapping[str, Any]) -> None:
    producer = blocking_producer(settings, "ask")
    try:
        sent = producer.send(settings.prefix + REQUESTS, key=request["user_id"].encode(), value=encode(request))
        sent.get(timeout=_CLOSE_S * 5)
    finally:
        close_within(producer, _CLOSE_S)


def _answers(reading: KafkaConsumer, within_s: float) -> Iterator[dict[str, Any]]:
    """Give every list that is published until the time is over."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        for records in reading.poll(timeout_ms=_POLL_MS).values():
            for record in records:
                found = orjson.loads(record.value)
                if isinstance(found, dict):
                    yield found
