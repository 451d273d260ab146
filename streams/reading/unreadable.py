"""A batch that nobody can read: what it is, where it stands, and how to get past it, in one line.

A client cannot read a batch with a wrong checksum, or one compressed in a way that it does not know. It raises an error
that names no offset and mostly not even the partition, it drops the sound records before the batch, and it meets the
same batch at every start. Here the sound records are read one by one and given out first, which also finds where the
batch stands.
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

__all__ = [
    "MAX_SINGLE_READS",
    "FetchPositions",
    "assignment_of",
    "get_many",
    "is_unreadable",
    "position_of",
    "read_carefully",
    "states_of",
    "unreadable",
]

_OF_A_BATCH = (CorruptRecordException, RecordTooLargeError, UnsupportedCodecError)
_PROBE_MS = 3_000  # for one partition; what was fetched is fetched once more
MAX_SINGLE_READS = 1000  # records of a partition that are read one by one at a time

FetchOne = Callable[[TopicPartition], Awaitable[list[Any]]]


class FetchPositions:
    """Where a consumer of aiokafka stands before a fetch.

    A fetch that fails at a batch of one partition has already passed records of others, and does not give them.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._assignment = assignment_of(consumer)
        self._stood = {at: state.position for at, state in states_of(consumer) if state.has_valid_position}

    @property
    def is_current(self) -> bool:
        """Whether no rebalance has given the partitions away meanwhile, be it to the same consumer."""
        return assignment_of(self._consumer) is self._assignment

    def restore(self) -> None:
        """Stand there again, as far as the consumer has moved."""
        if self.is_current:
            for at, state in states_of(self._consumer):
                if at in self._stood and state.has_valid_position and state.position != self._stood[at]:
                    self._consumer.seek(at, self._stood[at])


def assignment_of(consumer: AIOKafkaConsumer) -> Any:
    """Return the assignment that a consumer has now, another object after each rebalance; None before the first."""
    subscription = consumer._subscription.subscription  # noqa: SLF001 - there is no public view of it
    return None if subscription is None else subscription.assignment


def states_of(consumer: AIOKafkaConsumer) -> list[tuple[TopicPartition, Any]]:
    """Return the state of every partition that a consumer owns now."""
    assignment = assignment_of(consumer)
    return [] if assignment is None else [(at, assignment.state_value(at)) for at in assignment.tps]


def position_of(state: Any) -> int | None:
    """Return where a partition is read next, or None where that is not known.

    Where it is asked in another thread than the consumer's own, the position may go between a look and the reading.
    """
    try:
        return int(state.position)
    except AssertionError:  # as aiokafka says that there is none
        return None


def is_unreadable(error: Exception) -> bool:
    """Return whether an error of a fetch is about the bytes of a batch rather than about the cluster.

    Decompressors and parsers raise errors of their own, which share nothing but that they are not the client's.
    """
    return isinstance(error, _OF_A_BATCH) or not isinstance(error, KafkaError | ConsumerStoppedError | OSError)


def unreadable(who: str, at: TopicPartition, offset: int, error: Exception) -> TopicError:
    """Return the line about a batch.

    Parameters
    ----------
    who : the part that reads, the first word of the message.
    at, offset : where the batch stands.
    error : of the client.
    """
    return TopicError(
        f"{who}: records in a form that Kafka's clients can read (gzip, snappy, lz4, zstd or none) are required in "
        f"{at.topic}[{at.partition}] at offset {offset}, got {error!r}; see whether the broker's disk is sound "
        "and who wrote them, then remove them with kafka-delete-records.sh up to the next offset that can be read"
    )


async def read_carefully(
    who: str, consumer: AIOKafkaConsumer, topic_partitions: Iterable[TopicPartition], fetch: FetchOne, most: int
) -> dict[TopicPartition, list[Any]]:
    """Return the records before a batch that made a fetch fail, so that they are not lost with it.

    Parameters
    ----------
    who : the part that reads.
    consumer : whose fetch failed.
    topic_partitions : partitions it reads.
    fetch : fetches one record of a partition, none if there is none for now.
    most : records of each partition.

    Raises
    ------
    TopicError
        If that batch is the next to be read from its partition. The next reader then reads the others' records again.
    """
    ends = await consumer.end_offsets(list(topic_partitions))
    found: dict[TopicPartition, list[Any]] = {}
    for at in sorted(ends):
        if await consumer.position(at) >= ends[at]:
            continue
        try:
            while len(found.get(at, ())) < most and (records := await fetch(at)):
                found.setdefault(at, []).extend(records)
        except Exception as error:
            if not is_unreadable(error):
                raise
            if at not in found:
                raise unreadable(who, at, await consumer.position(at), error) from error
    return found


async def get_many(
    who: str,
    consumer: AIOKafkaConsumer,
    *topic_partitions: TopicPartition,
    timeout_ms: int = 0,
    max_records: int | None = None,
) -> dict[TopicPartition, list[Any]]:
    """Return what ``consumer.getmany`` returns, or the records before a batch that cannot be read.

    Raises
    ------
    TopicError
        If the next batch of a partition cannot be read; the message says where it stands.
    """
    start = FetchPositions(consumer)
    try:
        found: dict[TopicPartition, list[Any]] = await consumer.getmany(
            *topic_partitions, timeout_ms=timeout_ms, max_records=max_records
        )
    except Exception as error:
        if not is_unreadable(error):
            raise
        start.restore()

        async def one(at: TopicPartition) -> list[Any]:
            got: dict[TopicPartition, list[Any]] = await consumer.getmany(at, timeout_ms=_PROBE_MS, max_records=1)
            return got.get(at, [])

        return await read_carefully(
            who, consumer, topic_partitions or consumer.assignment(), one, max_records or MAX_SINGLE_READS
        )
    return found
