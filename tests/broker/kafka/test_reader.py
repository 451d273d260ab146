"""Reading all partitions by hand on a real cluster: seeking, bounds, lag and commits."""

import asyncio

import pytest
from aiokafka import TopicPartition
from kafka import TopicPartition as KafkaPartition
from kafka.admin import KafkaAdminClient

from streams.errors import TopicError
from streams.kafka.clients import producer
from streams.reading.reader import EventReader
from streams.settings import Settings


@pytest.fixture(scope="module")
def installation(install):
    """Return topics with ten records in each partition of watch-events: the value names partition and offset."""
    installation = install()
    for partition in range(2):
        for n in range(10):
            installation.send("watch-events", "u", f"{partition}-{n}".encode(), partition)
    installation.producer.flush(30)
    return installation


@pytest.fixture
async def reader(installation):
    """Return a started reader."""
    reader = EventReader(installation.settings, "test-group")
    await reader.start()
    yield reader
    await reader.stop()


async def read_to_the_end(reader, below=None):
    """Return the values by partition until nothing more comes."""
    found = {0: [], 1: []}
    while (await reader.lag()) if below is None else (await reader.is_before(below)):
        for record in await reader.read(3, 1.0, below=below):
            found[record.origin.partition].append(int(record.value.decode().partition("-")[2]))
    return found


def at(installation, first, second):
    """Return offsets of the two partitions of watch-events."""
    return {installation.settings.prefix + "watch-events": {0: first, 1: second}}


async def test_without_offsets_everything_is_read_in_order(reader):
    """From no offsets all twenty records come, each partition's in its order, and then none."""
    await reader.seek({})
    assert await reader.lag() == 20
    assert await read_to_the_end(reader) == {0: list(range(10)), 1: list(range(10))}
    assert await reader.lag() == 0
    assert await reader.read(10, 0.05) == []


async def test_reading_starts_at_the_offsets(reader, installation):
    """From offsets 7 and 10 only the last three of partition 0 are left."""
    await reader.seek(at(installation, 7, 10))
    assert await read_to_the_end(reader) == {0: [7, 8, 9], 1: []}


async def test_records_before_the_offsets_are_read_and_none_beyond(reader, installation):
    """Four back from offsets 6 and 2 are records 2 to 5 and 0 to 1; afterwards reading goes on at the offsets."""
    offsets = at(installation, 6, 2)
    await reader.seek(offsets, back=4)
    assert await read_to_the_end(reader, below=offsets) == {0: [2, 3, 4, 5], 1: [0, 1]}
    assert await reader.read(3, 0.05, below=offsets) == []
    assert await read_to_the_end(reader) == {0: [6, 7, 8, 9], 1: list(range(2, 10))}


async def test_commits_are_the_groups_and_nothing_is_committed_by_reading(reader, installation):
    """Reading leaves the group without offsets; a commit tells it just the given ones."""
    await reader.seek({})
    await reader.read(5, 1.0)
    assert {await reader._consumer.committed(place) for place in reader._partitions} == {None}
    await reader.commit(at(installation, 4, 6))
    found = {place.partition: await reader._consumer.committed(place) for place in reader._partitions[:2]}
    assert found == {0: 4, 1: 6}


async def test_a_cancelled_commit_is_made_before_its_end_is_told(installation):
    """Cancelled at any of twenty moments of a commit, the group still has the offsets, and closing takes no time."""
    for n in range(20):
        reader = EventReader(installation.settings, f"cancelled-{n}")
        await reader.start()
        committing = asyncio.create_task(reader.commit(at(installation, 4, 6)))
        await asyncio.sleep(n * 0.0005)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        found = [await reader._consumer.committed(place) for place in reader._partitions[:2]]
        await asyncio.wait_for(reader.stop(), 5.0)
        assert found == [4, 6] or (n == 0 and found == [None, None]), f"{n}: {found}"  # 0: before it had begun


async def test_what_left_the_topic_is_said_once_and_counted(install, caplog):
    """Offsets 3 to 5 are deleted before they are wanted, 8 and 9 while they wait: 3 and 2 lost, the rest is read."""
    installation = install()
    for n in range(10):
        installation.send("watch-events", "u", b"%d" % n, 0)
    installation.producer.flush(30)
    topic = installation.settings.prefix + "watch-events"
    delete(installation, 6)
    reader = EventReader(installation.settings, "test-group", role="scorekeeper", cure="they are not counted")
    await reader.start()
    try:
        await reader.seek({topic: {0: 3}})
        found = []
        while len(found) < 2:
            found += await reader.read(2, 1.0)
        delete(installation, 10)
        installation.send("watch-events", "u", b"10", 0)
        installation.producer.flush(30)
        reader._stand(TopicPartition(topic, 0), 8)  # what was fetched ahead is forgotten, as after a slow while
        while len(found) < 3:
            found += await reader.read(2, 1.0)
        assert [int(record.value) for record in found] == [6, 7, 10]
        assert reader.lost == 5
    finally:
        await reader.stop()
    said = [record for record in caplog.records if record.name == "streams.reading.lost_offsets"]
    assert [record.getMessage() for record in said] == [
        f"events.lost scorekeeper: {n} offsets of {topic}[0] from {first} on are no longer in the topic; "
        "they are not counted"
        for n, first in ((3, 3), (2, 8))
    ]
    assert {record.levelname for record in said} == {"ERROR"}


def delete(installation, before):
    """Let the first partition of watch-events forget all records before an offset, as its retention would."""
    admin = KafkaAdminClient(bootstrap_servers=installation.settings.kafka)
    admin.delete_records({KafkaPartition(installation.settings.prefix + "watch-events", 0): before})
    admin.close()


async def test_transactions_leave_gaps_that_are_no_losses(install):
    """Commits are read, an abort and an open transaction are not, and markers that were deleted are no loss."""
    installation = install()
    topic = installation.settings.prefix + "watch-events"
    transactional = producer(installation.settings, transactional_id=f"{topic}-t")
    await transactional.start()
    reader = EventReader(installation.settings, "test-group")
    await reader.start()
    try:
        await reader.seek({topic: {0: 0}})
        for n, is_kept in enumerate((True, True, False, True)):
            await transactional.begin_transaction()
            await transactional.send_and_wait(topic, b"%d" % n, partition=0)
            await (transactional.commit_transaction() if is_kept else transactional.abort_transaction())
        await transactional.begin_transaction()
        await transactional.send_and_wait(topic, b"open", partition=0)
        found = []
        async with asyncio.timeout(60):
            while reader.passed()[topic][0] < 8:
                found += await reader.read(10, 0.2)
        assert [int(record.value) for record in found] == [0, 1, 3]
        assert (await reader.lag(), reader.passed()[topic][0], await reader.unread()) == (0, 8, frozenset())
        delete(installation, 8)
        await transactional.commit_transaction()
        async with asyncio.timeout(60):
            while len(found) < 4:
                found += await reader.read(10, 0.2)
        assert (found[-1].value, reader.lost) == (b"open", 0)
    finally:
        await reader.stop()
        await transactional.stop()


async def test_no_cluster_is_a_topic_error():
    """Where no Kafka listens the error names the address."""
    reader = EventReader(Settings("127.0.0.1:1", "redis://unused", "unused"), "g")
    with pytest.raises(TopicError, match=r"Kafka cluster is required at 127\.0\.0\.1:1"):
        await reader.start()
    await reader.stop()
