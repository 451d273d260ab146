"""Records that lie on topics, compared with the schemas of their topics: what breaks its contract, and how."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.contracts.documents import schema_document
from streams.contracts.messages import topic_messages
from streams.errors import TopicError
from streams.kafka.clients import blocking_consumer
from streams.kafka.kafka_errors import cluster_required
from streams.reading.polling import read_up_to
from streams.settings import Settings

__all__ = ["MAX_EXAMPLES", "CheckedTopics", "breaches", "check_topics"]

MAX_EXAMPLES = 20  # enough to see what is wrong; a topic may break its contract a million times alike


@dataclass(frozen=True, slots=True)
class CheckedTopics:
    """What a comparison found.

    Parameters
    ----------
    records : how many each topic has, without its prefix.
    broken : how many breaches of contracts there are.
    examples : the first of them, at most ``MAX_EXAMPLES``.
    """

    records: Mapping[str, int]
    broken: int
    examples: tuple[str, ...]


def breaches(topic: str, records: Iterable[Any]) -> list[str]:
    """Return where records break the contract of their topic; of dead letters, where their headers do.

    Parameters
    ----------
    topic : without its prefix.
    records : as Kafka's clients give them.
    """
    schema, is_in_headers = _schema(topic)
    broken: list[str] = []
    for one in records:
        try:
            found = _headers(one) if is_in_headers else None if one.value is None else orjson.loads(one.value)
        except orjson.JSONDecodeError as error:
            broken.append(f"{topic}: {error}")
            continue
        if found is not None:
            broken += [f"{topic}: {error.message}" for error in schema.iter_errors(found)]
    return broken


def check_topics(settings: Settings) -> CheckedTopics:
    """Read every topic to where it ends now, and compare each record with the schema of its topic.

    Raises
    ------
    TopicError
        If a topic is missing, or Kafka does not answer.
    """
    counts, broken, examples = {}, 0, list[str]()
    with cluster_required("contracts", settings):
        consumer = blocking_consumer(settings, "contracts")
    try:
        for topic in (one.topic for one in topic_messages()):
            n = 0
            for records in _records(consumer, settings.prefix + topic):
                n += len(records)
                found = breaches(topic, records)
                broken += len(found)
                examples += found[: MAX_EXAMPLES - len(examples)]
            counts[topic] = n
    except KafkaError as error:
        raise TopicError(f"contracts: reading the topics at {settings.kafka} failed: {error!r}") from error
    finally:
        consumer.close()
    return CheckedTopics(counts, broken, tuple(examples))


def _records(consumer: Any, name: str) -> Iterator[list[Any]]:
    numbers = consumer.partitions_for_topic(name)
    if not numbers:
        raise TopicError(f"contracts: the topic {name} is required, got none; `reelstream topics create` makes it")
    places = [TopicPartition(name, number) for number in sorted(numbers)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    for found in read_up_to(consumer, consumer.end_offsets(places), "contracts"):
        yield [record for records in found.values() for record in records]


def _headers(record: Any) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in record.headers}


@cache
def _schema(topic: str) -> tuple[jsonschema_rs.Draft202012Validator, bool]:
    """Return what compares with the contract of a topic, and whether that is about headers."""
    is_in_headers = next(one.is_in_headers for one in topic_messages() if one.topic == topic)
    return jsonschema_rs.Draft202012Validator(schema_document(topic)), is_in_headers
