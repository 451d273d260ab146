"""The ceiling: aiokafka's ``getmany``, the same calls to Redis, the same sends, and nothing else.

No Faust, no model, no overlap, no recovery. A list is a constant of the usual length.
"""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.flow.lanes.recommending import Recommending
from streams.kafka.topics import EVENTS, RECOMMENDATIONS
from streams.records.decoding import RawRecord
from streams.settings import Settings

BATCH = 1024  # as a worker of ours takes under a backlog
COMMIT_S = 1.0


async def run(settings: Settings) -> None:
    """Work until killed."""
    recommending = await Recommending.prepared(settings, has_model=False)
    consumer = AIOKafkaConsumer(
        *(settings.prefix + topic for topic in EVENTS),
        bootstrap_servers=settings.kafka,
        group_id=f"{settings.prefix}ceiling",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", max_batch_size=256 * 1024)
    await consumer.start()
    await producer.start()
    committed_at = time.monotonic()
    while True:
        found = await consumer.getmany(timeout_ms=200, max_records=BATCH)
        records = [RawRecord.of(one) for some in found.values() for one in some]
        if not records:
            continue
        applied = await recommending.applied(records)
        lists = await recommending.lists(applied)
        topic = settings.prefix + RECOMMENDATIONS
        sent = [await producer.send(topic, one.body, key=one.user_id.encode()) for one in lists]
        await asyncio.gather(*sent)
        await recommending.state.store_lists(lists)
        if time.monotonic() - committed_at > COMMIT_S:
            await consumer.commit()
            committed_at = time.monotonic()


if __name__ == "__main__":
    asyncio.run(run(Settings.from_environment()))
