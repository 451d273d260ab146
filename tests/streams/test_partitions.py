"""Partition counts on a real Kafka while something runs: what may be, and what ends a process."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streams.errors import TopicError
from streams.partitions import check_partitions, watch_partitions
from streams.settings import Settings
from streams.topics import create_topics


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings of an installation with two partitions, with its topics."""
    settings = Settings(stack.kafka, stack.redis, "unused", prefix=topic_prefix, partitions=2)
    create_topics(settings)
    return settings


@pytest.fixture
async def admin(stack):
    """Return an admin client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    yield admin
    await admin.close()


async def seen(admin, topic, partitions):
    """Wait until the broker tells of a change that it has accepted: so many partitions, none for a gone topic."""
    for _ in range(200):
        [found] = await admin.describe_topics([topic])
        if len(found["partitions"]) == partitions:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{topic} did not come to {partitions} partitions within 10 s")


async def test_the_count_of_the_settings_is_fine(admin, settings):
    """With the topics as they were created nothing is raised."""
    await check_partitions(admin, settings)


async def test_a_grown_topic_is_named_with_its_cure(admin, settings):
    """After one topic has grown from 2 to 3 partitions the error names it, both counts and the variable to set."""
    await admin.create_partitions({f"{settings.prefix}watch-events": NewPartitions(total_count=3)})
    await seen(admin, f"{settings.prefix}watch-events", 3)
    with pytest.raises(TopicError, match=r"watch-events at .*: 2 are required .* got 3; .*REELSTREAM_PARTITIONS=3"):
        await check_partitions(admin, settings)


async def test_a_topic_that_is_gone_is_named(admin, settings):
    """After a topic was deleted the error names it and says that Redis must be emptied too."""
    await admin.delete_topics([f"{settings.prefix}rate-events"])
    await seen(admin, f"{settings.prefix}rate-events", 0)
    with pytest.raises(TopicError, match=r"rate-events at .*: the topic must stay, got none; .*empty Redis"):
        await check_partitions(admin, settings)


async def test_the_watch_ends_when_a_topic_grows(admin, settings):
    """A watch that looks every tenth of a second goes on while nothing changes and ends soon after a topic grew."""
    watch = asyncio.create_task(watch_partitions(settings, every_s=0.1))
    await asyncio.sleep(0.5)
    assert not watch.done()
    await admin.create_partitions({f"{settings.prefix}rate-events": NewPartitions(total_count=4)})
    with pytest.raises(TopicError, match="REELSTREAM_PARTITIONS=4"):
        await asyncio.wait_for(watch, 10)


async def test_the_watch_outlasts_an_absent_cluster(settings):
    """Where no broker listens the watch waits for one instead of ending."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch_partitions(settings.at("127.0.0.1:1", settings.redis), every_s=0.1), 1.5)
