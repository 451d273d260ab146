"""Topics on a real cluster: made once, checked for ever."""

import pytest
from kafka.admin import KafkaAdminClient

from streams.errors import TopicError
from streams.kafka.topics import TOPICS, create_topics, verify_topics
from streams.settings import Settings


@pytest.fixture
def settings(stack, topic_prefix):
    """Return settings for this test's own topics, three partitions each."""
    return Settings(stack.kafka, stack.redis, "unused", topic_prefix, partitions=3)


def described(settings):
    """Return the partition count of each of this test's topics, by name without the prefix."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        return {
            found["name"].removeprefix(settings.prefix): len(found["partitions"])
            for found in admin.describe_topics()
            if found["name"].startswith(settings.prefix)
        }
    finally:
        admin.close()


def test_creating_makes_every_topic_and_creating_again_makes_none(settings):
    """The first call names all nine in order, the second nothing, and the cluster holds the stated partitions."""
    assert create_topics(settings) == tuple(settings.prefix + topic.name for topic in TOPICS)
    assert create_topics(settings) == ()
    assert described(settings) == {topic.name: topic.partitions(settings) for topic in TOPICS}
    verify_topics(settings)


def test_missing_topics_are_named_with_the_cure(settings):
    """Before they are made, verifying names them all and the command that makes them."""
    with pytest.raises(TopicError, match="reelstream topics create") as caught:
        verify_topics(settings)
    assert all(settings.prefix + topic.name in str(caught.value) for topic in TOPICS)


def test_another_partition_count_is_refused_and_not_changed(settings):
    """A cluster with 3 partitions refuses settings that say 4, on verifying and on creating."""
    create_topics(settings)
    other = Settings(settings.kafka, settings.redis, "unused", settings.prefix, partitions=4)
    for ask in (verify_topics, create_topics):
        with pytest.raises(TopicError, match=r"must have 4 partitions, got 3; .*REELSTREAM_PARTITIONS"):
            ask(other)
    assert described(settings)["watch-events"] == 3


def test_more_copies_than_brokers_are_refused(settings):
    """A replication that the cluster cannot give is told with the topic's name."""
    greedy = Settings(settings.kafka, settings.redis, "unused", settings.prefix, partitions=1, replication=15)
    with pytest.raises(TopicError, match=rf"creating {settings.prefix}watch-events"):
        create_topics(greedy)


def test_what_is_missing_is_added_beside_what_is_there(settings):
    """One topic made before is left alone, and the other seven are made."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        name = settings.prefix + "watch-events"
        admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True)
    finally:
        admin.close()
    assert create_topics(settings) == tuple(settings.prefix + topic.name for topic in TOPICS[1:])
