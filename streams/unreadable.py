"""A batch that nobody can read: what it is, where it stands, and how to get past it, in one line.

A client that meets a batch with a wrong checksum, or compressed in a way that it does not know, raises an error
that names no offset, mostly not even the partition, and meets the same batch at every start. Here the partition is
found by asking for each by itself.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    KafkaError,
    RecordTooLargeError,
    UnsupportedCodecError,
)

from streams.errors import TopicError

__all__ = ["get_many", "is_unreadable", "unreadable", "where_unreadable"]

_OF_A_BATCH = (CorruptRecordException, RecordTooLargeError, UnsupportedCodecError)
_PROBE_MS = 3_000  # for one partition; what was fetched is fetched once more

Fetch = Callable[[TopicPartition], Awaitable[Any]]


def is_unreadable(error: Exception) -> bool:
    """Return whether an error of a fetch is about the bytes of a batch rather than about the cluster.

    Decompressors and parsers raise errors of their own, which share nothing but that they are not the client's.
    """
    return isinstance(error, _OF_A_BATCH) or not isinstance(error, KafkaError | ConsumerStoppedError | OSError)


def unreadable(who: str, at: TopicPartition | None, offset: int | None, error: Exception) -> TopicError:
    """Return the line about a batch.

    Parameters
    ----------
    who : the part that reads, the first word of the message.
    at, offset : where the batch stands; None where it was not found again.
    error : of the client.
    """
    place = "its topics" if at is None else f"{at.topic}[{at.partition}] at offset {offset}"
    return TopicError(
        f"{who}: records in a form that Kafka's clients can read (gzip, snappy, lz4, zstd or none) are required in "
        f"{place}, got {error!r}; see whether the broker's disk is sound and what wrote them, then remove them "
        "with kafka-delete-records.sh up to the next offset that can be read"
    )


async def where_unreadable(
    who: str, consumer: AIOKafkaConsumer, places: Iterable[TopicPartition], error: Exception, fetch: Fetch
) -> TopicError:
    """Return the line about the batch that made a fetch fail, after asking for each partition by itself.

    What the asking returns is dropped, so the consumer is of no further use.

    Parameters
    ----------
    who : the part that reads.
    consumer : whose fetch failed.
    places : partitions it reads.
    error : with which it failed.
    fetch : fetches from one partition.
    """
    for at in sorted(places):
        try:
            await fetch(at)
        except Exception as again:  # noqa: BLE001 - whatever the batch makes a decompressor raise
            if is_unreadable(again):
                return unreadable(who, at, await consumer.position(at), again)
    return unreadable(who, None, None, error)


async def get_many(who: str, consumer: AIOKafkaConsumer, *places: TopicPartition, **options: Any) -> dict[Any, Any]:
    """Return what ``consumer.getmany`` returns.

    Raises
    ------
    TopicError
        If a batch cannot be read; the message names its place.
    """
    try:
        found: dict[Any, Any] = await consumer.getmany(*places, **options)
    except Exception as error:
        if not is_unreadable(error):
            raise
        raise await where_unreadable(
            who,
            consumer,
            places or consumer.assignment(),
            error,
            lambda at: consumer.getmany(at, timeout_ms=_PROBE_MS, max_records=1),
        ) from error
    return found
