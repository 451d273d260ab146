"""Reading with kafka-python so that nothing hangs: what cannot be read ends the reading, and so does a silent cluster.

After a batch that it cannot unpack, be it of a codec that is not installed or a corrupt one, kafka-python raises once;
the next ``poll`` never returns, whatever its timeout. So whoever polls in this project polls here: any error closes the
consumer and becomes one line that names topic, partition, offsets and cure. No consumer of ours is given a
deserialiser, which would do the same harm: bytes are decoded after the poll.
"""

import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.errors import TopicError

__all__ = ["STALLED_S", "poll", "read_up_to"]

PolledRecords = dict[TopicPartition, list[Any]]

STALLED_S = 12.0  # without a record while there are some left: longer than a leader takes to be replaced
POLL_MS = 500


def poll(consumer: KafkaConsumer, who: str, timeout_ms: int, most: int | None = None) -> PolledRecords:
    """Return the records that have arrived, at most ``most`` of them.

    Parameters
    ----------
    who : the part that reads, the first word of the message.

    Raises
    ------
    TopicError
        If something cannot be read; the consumer is closed then.
    """
    try:
        found: PolledRecords = consumer.poll(timeout_ms=timeout_ms, max_records=most)
    except Exception as error:
        consumer.close()  # a second poll would never return
        told = _told(error)
        if told is None and not isinstance(error, KafkaError):
            raise
        raise TopicError(f"{who}: {told or f'records are required from Kafka, got {error!r}'}") from error
    return found


def read_up_to(
    consumer: KafkaConsumer, ends: Mapping[TopicPartition, int], who: str, most: int | None = None
) -> Iterator[PolledRecords]:
    """Poll an assigned consumer until it stands at the ends; give what each poll found, which may be nothing.

    Parameters
    ----------
    ends : where each partition's reading is over; records behind it may be among those given.
    who, most : see ``poll``.

    Raises
    ------
    TopicError
        If something cannot be read, or the consumer has not moved for 12 s; it is closed then.
    """
    moved, before = time.monotonic(), _left(consumer, ends)
    while before:
        yield poll(consumer, who, POLL_MS, most)
        left = _left(consumer, ends)
        if left != before:
            moved, before = time.monotonic(), left
        elif time.monotonic() - moved > STALLED_S:
            consumer.close()
            at, position = next(iter(left.items()))
            raise TopicError(
                f"{who}: records of {at.topic}/{at.partition} from {position} up to {ends[at]} are required from "
                f"Kafka, got none for {STALLED_S:g} s; see whether the cluster is whole"
            )


def _left(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the positions of the partitions that are not at their end."""
    positions = {at: _position(consumer, at) for at in ends}
    return {at: position for at, position in positions.items() if position < ends[at]}


def _position(consumer: KafkaConsumer, at: TopicPartition) -> int:
    position: int | None = consumer.position(at)
    return -1 if position is None else position


def _told(error: Exception) -> str | None:
    """Say which batch an error is about; None if it is about none.

    The exception itself does not tell; the frames that it passed hold the partition and the batch.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        at: Any = frame.f_locals.get("tp")
        batch: Any = frame.f_locals.get("batch")
        if isinstance(at, TopicPartition) and hasattr(batch, "next_offset"):
            return (
                f"a batch that can be read is required in {at.topic}/{at.partition} at offset {batch.base_offset}, "
                f"got {error!r}; install the codec's package, or give up the records before offset {batch.next_offset} "
                f"with kafka-delete-records.sh"
            )
    return None
