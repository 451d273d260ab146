"""Events poured into a topic at once or at a rate, and what came of them: lists, delays, processor seconds.

Nothing here knows what reads the events. It looks at topics and at ``/proc`` alone, so every lane is measured alike.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from replay.datasets.dataset import Dataset
from replay.schedule import plan
from streams.kafka.topics import EVENTS, RECOMMENDATIONS
from streams.records.codec import encode
from streams.redis.connection import connect
from streams.settings import Settings
from streams.state.keys import PartitionKeys, position_field

__all__ = ["Poured", "Record", "cpu_seconds", "pour", "records_of", "steady"]

Record = tuple[str, bytes, bytes]  # topic without prefix, key, value
QUIET_S = 1.0  # without a further list once everything is applied
GIVEN_UP_S = 15.0  # the same where positions do not tell, as another checkout may keep them elsewhere
LONGEST_S = 240.0
TICK_S = 0.02  # between two handfuls of a steady rate


@dataclass(frozen=True, slots=True)
class Poured:
    """What one pouring led to.

    Parameters
    ----------
    events, lists, degraded : numbers; of several events of a user that are answered together only the last has a list.
    seconds : from the first event to the arrival of the last list; what a list says of its time may be its event's.
    cpu_s : processor seconds of each process meanwhile.
    p50_ms, p99_ms : from an event to the arrival of its list.
    """

    events: int
    lists: int
    degraded: int
    seconds: float
    cpu_s: Mapping[str, float]
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    def cpu_ms(self, process: str) -> float:
        """Processor milliseconds for 1,000 events."""
        return 1e6 * self.cpu_s[process] / self.events


def records_of(dataset: Dataset) -> list[Record]:
    """Return a log as records, encoded beforehand."""
    return [(one.topic, one.record.user_id.encode(), encode(one.record)) for one in plan(dataset)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor seconds that some processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return ticks / os.sysconf("SC_CLK_TCK")


async def pour(settings: Settings, records: Sequence[Record], pids: Mapping[str, Sequence[int]]) -> Poured:
    """Send everything as fast as it goes and wait until no more lists come."""
    return await _sent(settings, [records], pids, 0.0)


async def steady(
    settings: Settings, records: Sequence[Record], rate: float, pids: Mapping[str, Sequence[int]]
) -> Poured:
    """Send at an even rate, a handful every 20 ms, and wait until no more lists come."""
    size = max(1, round(rate * TICK_S))
    handfuls = [records[first : first + size] for first in range(0, len(records), size)]
    return await _sent(settings, handfuls, pids, size / rate)


async def _sent(
    settings: Settings, handfuls: Sequence[Sequence[Record]], pids: Mapping[str, Sequence[int]], every_s: float
) -> Poured:
    async with _lists(settings) as consumer, _producer(settings) as producer:
        before = {name: cpu_seconds(some) for name, some in pids.items()}
        began = time.time()
        sending = asyncio.create_task(_send(producer, settings.prefix, handfuls, every_s))
        lists, degraded, delays, last_at = 0, 0, [], began
        quiet_since = time.monotonic()
        while time.time() - began < LONGEST_S:
            found = await consumer.getmany(timeout_ms=50)
            arrived = 1000 * time.time()
            for record in (one for some in found.values() for one in some):
                lists += 1
                degraded += b'"mode":"degraded"' in record.value
                last_at = arrived / 1000
                if every_s:
                    delays.append(arrived - orjson.loads(record.value).get("trigger", {}).get("timestamp", arrived))
            now = time.monotonic()
            if found or not sending.done() or not lists:
                quiet_since = now
            elif now - quiet_since > (QUIET_S if await _are_applied(settings, consumer) else GIVEN_UP_S):
                break
        await sending
        cpu = {name: cpu_seconds(some) - before[name] for name, some in pids.items()}
    p50, p99 = np.percentile(delays, [50, 99]) if delays else (float("nan"), float("nan"))
    return Poured(sum(map(len, handfuls)), lists, degraded, last_at - began, cpu, float(p50), float(p99))


async def _are_applied(settings: Settings, consumer: Any) -> bool:
    """Return whether the positions in Redis are at the end of every event topic.

    Checkouts of before prefixes stood before keys have them without it; each lane has a database to itself.
    """
    partitions = [(settings.prefix + topic, number) for topic in EVENTS for number in range(settings.partitions)]
    ends = await consumer.end_offsets([TopicPartition(*at) for at in partitions])
    applied = [-1] * len(partitions)
    for prefix in (settings.prefix, ""):
        async with connect(settings.redis, prefix=prefix) as client:
            found = [await client.hget(PartitionKeys.of(at[1]).at, position_field(*at)) for at in partitions]
        applied = [max(one, int(other or -1)) for one, other in zip(applied, found, strict=True)]
    return all(offset + 1 >= ends[TopicPartition(*at)] for offset, at in zip(applied, partitions, strict=True))


async def _send(producer: Any, prefix: str, handfuls: Sequence[Sequence[Record]], every_s: float) -> None:
    began = time.monotonic()
    for number, handful in enumerate(handfuls):
        await asyncio.sleep(max(0.0, began + number * every_s - time.monotonic()))
        for topic, key, value in handful:
            await producer.send(prefix + topic, value, key=key)
    await producer.flush()


@asynccontextmanager
async def _producer(settings: Settings) -> Any:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", linger_ms=2, max_batch_size=256 * 1024)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _lists(settings: Settings) -> Any:
    """Give a consumer of all lists that are still to come."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, max_partition_fetch_bytes=4 * 1024 * 1024)
    await consumer.start()
    topic = settings.prefix + RECOMMENDATIONS
    consumer.assign([TopicPartition(topic, partition) for partition in range(settings.partitions)])
    await consumer.seek_to_end()
    for at in consumer.assignment():
        await consumer.position(at)
    try:
        yield consumer
    finally:
        await consumer.stop()
