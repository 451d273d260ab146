"""Reading all partitions by hand on a real cluster: seeking, bounds, lag and commits."""

import asyncio

import pytest

from streams.errors import TopicError
from streams.reader import EventReader
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


async def test_no_cluster_is_a_topic_error():
    """Where no Kafka listens the error names the address."""
    reader = EventReader(Settings("127.0.0.1:1", "redis://unused", "unused"), "g")
    with pytest.raises(TopicError, match=r"Kafka cluster is required at 127\.0\.0\.1:1"):
        await reader.start()
    await reader.stop()
