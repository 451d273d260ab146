"""A worker whose offsets have left retention: what is gone is told and counted, and the rest is answered."""

import json
import os
import subprocess
import sys

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from agents.worker.recovery import StateRecovery
from streams.kafka.clients import blocking_admin, blocking_consumer
from streams.reading.range_reader import range_reader
from streams.records.records import Origin, Watch
from streams.redis.connection import connect
from streams.state.keys import PartitionKeys
from streams.state.store import State

TS = 1_700_000_000_000


@pytest.fixture
def cut(install):
    """Return an installation whose group has committed 3 of 20 events of a partition that begins at 8 by now."""
    installation = install()
    settings = installation.settings
    events = [{"event_id": f"e{n}", "user_id": "u", "item_id": f"i{n}", "ts": TS + n, "progress": 1} for n in range(20)]
    for event in events:
        installation.send("watch-events", "u", event, partition=0)
    installation.producer.flush(30)
    at = TopicPartition(settings.prefix + "watch-events", 0)
    consumer = blocking_consumer(settings, "test", group_id=settings.prefix + "reelstream-worker")
    consumer.assign([at])
    consumer.commit({at: OffsetAndMetadata(3, "", -1)})
    consumer.close()
    admin = blocking_admin(settings, "test")
    admin.delete_records({at: 8})
    admin.close()
    return installation


def test_what_is_gone_is_told_and_counted_and_the_rest_counts(cut, until):
    """Redis lacks the three that the group had read, and five more were never read: eight are told, twelve count."""
    with cut.process("worker", "--id", "w") as worker:
        worker.await_ready()
        until(lambda: cut.counts("watches") == {"u": 12}, 20, worker.said)
        until(lambda: any(report.get("lost") == 8 for report in cut.reports("worker")), 10, worker.said)
        health = [sys.executable, "-m", "reelstream", "health", "worker", "--json"]
        environment = os.environ | cut.settings.environment()
        asked = subprocess.run(health, env=environment, capture_output=True, text=True, check=True, timeout=30)
        shown = json.loads(asked.stdout)
        assert [report["lost"] for report in shown["alive"].values()] == [8]
        said = [line for line in worker.said().splitlines() if "level=ERROR" in line and "events.lost" in line]
        place = f"{cut.settings.prefix}watch-events[0]"
        # At once, or in two parts where the worker compares with Redis before the group is told of the first one kept.
        assert [line.partition("events.lost ")[2].partition(" are no longer")[0] for line in said] in (
            [f"worker: 8 offsets of {place} from 0 on"],
            [f"worker: 3 offsets of {place} from 0 on", f"worker: 5 offsets of {place} from 3 on"],
        )


async def test_what_left_retention_after_it_was_applied_is_not_lost(cut):
    """Behind a failover the lists of ten applied events are made again, of the two that are kept, and none is lost."""
    client = connect(cut.settings.redis, prefix=cut.settings.prefix)
    state = State(client)
    await state.install()
    await state.know_servers()
    topic = cut.settings.prefix + "watch-events"
    events = [(Origin(topic, 0, n), Watch(f"e{n}", "u", f"i{n}", TS + n, 1.0), ()) for n in range(10)]
    await state.apply(events)
    await client.hset(PartitionKeys.of(0).at, "server", "another")
    recovery = StateRecovery(cut.settings, "unused", state, lambda: frozenset({(topic, 0)}), lambda one: one.offset)
    recovery.note(origin for origin, *_ in events)
    ranges = await recovery.check_positions()
    async with range_reader(cut.settings) as reader:
        batches = [records for one in ranges async for records in recovery.read(reader, one)]
    await client.aclose()
    assert ([record.origin.offset for records in batches for record in records], recovery.lost) == ([8, 9], 0)
