"""Topics on a real Kafka while something runs: how many partitions they may have, and that they stay the same ones."""

import asyncio
import logging
import time

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from kafka import KafkaProducer

from streams.connected import connected
from streams.errors import ClusterAway, TopicError
from streams.kafka.cluster_watch import ClusterWatch, ClusterWatchConfig
from streams.kafka.topics import create_topics
from streams.reading.catalogue import CatalogueFeed
from streams.redis.connection import connect, connect_to_read
from streams.serving.known_topics import keep_ids, recognise_topics
from streams.settings import Settings

OFTEN = ClusterWatchConfig(every_s=0.1)


@pytest.fixture
def settings(stack, redis_url, topic_prefix):
    """Return settings of an installation with two partitions, with its topics."""
    settings = Settings(stack.kafka, redis_url, "unused", prefix=topic_prefix, partitions=2)
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
    for _ in range(1200):
        [found] = await admin.describe_topics([topic])
        if len(found["partitions"]) == partitions:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{topic} did not come to {partitions} partitions within a minute")


async def until(condition):
    """Poll until a condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for knows of no event
            await asyncio.sleep(0.02)


async def make_anew(admin, settings, name):
    """Delete a topic and create it again under its name."""
    topic = settings.prefix + name
    await admin.delete_topics([topic])
    await seen(admin, topic, 0)
    await asyncio.to_thread(create_topics, settings)
    await seen(admin, topic, 2)


async def once(settings):
    """Look at the cluster once, with a watch of its own."""
    watch = ClusterWatch(settings, "trainer")
    async with connected(watch):
        await watch.look()


async def ended(settings, change, **options):
    """Run a watch, change something once it has looked, and return its error."""
    watch = ClusterWatch(settings, "trainer", OFTEN, **options)
    running = asyncio.create_task(watch.run())
    await until(lambda: watch.ids)
    await change()
    with pytest.raises(TopicError) as raised:
        await asyncio.wait_for(running, 10)
    return str(raised.value)


async def test_the_count_of_the_settings_is_fine(settings):
    """With the topics as they were created nothing is raised."""
    await once(settings)


async def test_a_grown_topic_is_named_with_its_cure(admin, settings):
    """After one topic has grown from 2 to 3 partitions the error names it, both counts and the variable to set."""
    await admin.create_partitions({f"{settings.prefix}watch-events": NewPartitions(total_count=3)})
    await seen(admin, f"{settings.prefix}watch-events", 3)
    with pytest.raises(TopicError, match=r"watch-events at .*: 2 are required .* got 3; .*REELSTREAM_PARTITIONS=3"):
        await once(settings)


async def test_a_topic_that_is_gone_is_named(admin, settings):
    """After a topic was deleted the error names it and says that the state must be made anew too."""
    await admin.delete_topics([f"{settings.prefix}rate-events"])
    await seen(admin, f"{settings.prefix}rate-events", 0)
    with pytest.raises(TopicError, match=r"rate-events at .*: the topic must stay, got none; .*empty Redis"):
        await once(settings)


async def test_the_watch_ends_when_a_topic_grows(admin, settings):
    """A watch that looks every tenth of a second goes on while nothing changes and ends soon after a topic grew."""
    watch = asyncio.create_task(ClusterWatch(settings, "trainer", OFTEN).run())
    await asyncio.sleep(0.5)
    assert not watch.done()
    await admin.create_partitions({f"{settings.prefix}rate-events": NewPartitions(total_count=4)})
    with pytest.raises(TopicError, match="REELSTREAM_PARTITIONS=4"):
        await asyncio.wait_for(watch, 10)


async def test_the_watch_outlasts_an_absent_cluster(settings):
    """Where no broker listens a look raises that it may come, and the watch waits for it instead of ending."""
    watch = ClusterWatch(settings.at("127.0.0.1:1", settings.redis), "trainer", OFTEN)
    with pytest.raises(ClusterAway, match=r"no answer from 127\.0\.0\.1:1"):
        await watch.look()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.run(), 1.5)


async def test_the_time_that_the_process_itself_stood_still_is_no_absence(settings):
    """A cluster that is gone when a process wakes up after 5 s is away since then, not since before it fell asleep."""
    told = []
    quick = ClusterWatchConfig(every_s=0.1, limit_s=0.5, away_s=0.5)
    watch = ClusterWatch(settings, "trainer", quick, told=told.append)
    running = asyncio.create_task(watch.run())
    try:
        await until(lambda: watch.ids)
        watch._settings = settings.at("127.0.0.1:1", settings.redis)
        await watch.stop()
        time.sleep(5.0)  # noqa: ASYNC251 - as where the process is stopped: nothing in it goes on
        told.clear()
        await until(lambda: any(told))
        assert min(filter(None, told)) < 2.0
    finally:
        running.cancel()


async def test_event_topics_made_anew_end_what_runs_and_every_start_until_the_state_is_gone(admin, settings):
    """Both ids are told, and the cure; an emptied database takes the new topic, as does another prefix."""
    recognise_topics(settings)
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        old = client.hget("topics:ids", f"{settings.prefix}watch-events")
    said = await ended(settings, lambda: make_anew(admin, settings, "watch-events"))
    assert f"{settings.prefix}watch-events must stay the topic that the state in Redis was made of ({old})" in said
    assert "`reelstream rebuild`" in said
    for _ in range(2):
        with pytest.raises(TopicError, match=r"watch-events must stay the topic") as refused:
            recognise_topics(settings)
        assert str(refused.value) == said
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        client.flushdb()
        recognise_topics(settings)
        new = client.hget("topics:ids", f"{settings.prefix}watch-events")
    assert (new != old, f"({new})" in said) == (True, True)


async def test_a_catalogue_made_anew_is_read_again(admin, settings, caplog):
    """What runs drops the old films and has the new one, and says so; a start forgets where old bad records stood."""
    caplog.set_level(logging.WARNING)
    recognise_topics(settings)
    film = b'{"item_id": "%s", "title": "A Film", "genres": []}'
    send(settings, [(item, film % item) for item in (b"a", b"b")])
    feed = CatalogueFeed(settings, lambda _: None)
    await feed.start()
    watch = ClusterWatch(settings, "worker", OFTEN, reread={"catalog-items": feed.reread})
    running = [asyncio.create_task(watch.run()), asyncio.create_task(feed.follow())]
    try:
        await until(lambda: len(feed.catalogue) == 2 and watch.ids)
        await make_anew(admin, settings, "catalog-items")
        send(settings, [(b"c", film % b"c")])
        await until(lambda: set(feed.catalogue.items) == {"c"})
        assert not any(task.done() for task in running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await feed.stop()
    with connect_to_read(settings.redis, prefix=settings.prefix) as client:
        client.hset("catalog:rejected", "0", 7)
        recognise_topics(settings)
        assert not client.exists("catalog:rejected")
    said = f"topic.made_anew {settings.prefix}catalog-items: it is read from its first record"
    assert [record.getMessage() for record in caplog.records if record.name.startswith("streams")] == [said, said]


def send(settings, records):
    """Send films and return when the broker has them."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, acks="all")
    for key, value in records:
        producer.send(f"{settings.prefix}catalog-items", key=key, value=value).get(10)
    producer.close()


async def test_topics_that_are_read_without_positions_need_a_new_start(admin, settings):
    """Requests made anew end the process that reads them with that cure; where nobody reads them it is only said."""
    said = await ended(
        settings, lambda: make_anew(admin, settings, "recommendation-requests"), restart=("recommendation-requests",)
    )
    assert "start this process again" in said
    watch = ClusterWatch(settings, "trainer", OFTEN)
    await watch.look()
    await make_anew(admin, settings, "recommendation-requests")
    await watch.look()
    await watch.stop()
    recognise_topics(settings)


async def test_ids_that_redis_has_lost_are_written_again_and_others_left(settings):
    """A running process fills an emptied Redis with the ids that it started with, and overwrites none."""
    recognise_topics(settings)
    client = connect(settings.redis, prefix=settings.prefix)
    with connect_to_read(settings.redis, prefix=settings.prefix) as reading:
        known = reading.hgetall("topics:ids")
        watches = f"{settings.prefix}watch-events"
        reading.delete("topics:ids")
        reading.hset("topics:ids", watches, "another")
        keeping = asyncio.create_task(keep_ids(client, settings, lambda: known))
        await until(lambda: reading.hgetall("topics:ids") == known | {watches: "another"})
        keeping.cancel()
    await client.aclose()
