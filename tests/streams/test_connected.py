"""Clients of one process that are connected together: all of them are let go, whatever happens on the way."""

import gc
import warnings
from dataclasses import replace

import pytest

from agents.retry import Retry
from agents.trainer.announcer import Announcer
from streams.connected import connected
from streams.errors import SettingsError, TopicError
from streams.kafka.cluster_watch import ClusterWatch
from streams.kafka.topics import create_topics
from streams.reading.data_requests import DataRequestsFeed
from streams.reading.reader import EventReader
from streams.rebuild.source import KafkaLane
from streams.redis.connection import connect
from streams.security import KafkaSecurity
from streams.settings import Settings
from streams.state.store import State

NOWHERE = Settings("127.0.0.1:1", "redis://127.0.0.1:1", "models")


def announcer(settings):
    """Return an announcer, whose Redis is never asked."""
    return Announcer(settings, State(connect(settings.redis)), Retry("trainer"))


CLIENTS = {
    "reader": lambda settings: EventReader(settings, "group"),
    "announcer": announcer,
    "lane": lambda settings: KafkaLane(settings, [0]),
    "feed": DataRequestsFeed,
}


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_that_cannot_be_made_says_why(name, tmp_path):
    """Where a certificate is missing nothing is made, so nothing is there to be disconnected."""
    missing = str(tmp_path / "none.pem")
    settings = replace(NOWHERE, security=KafkaSecurity(protocol="SSL", cafile=missing))
    with pytest.raises(SettingsError, match=r"none\.pem"):
        async with connected(CLIENTS[name](settings)):
            pytest.fail("it is not connected")


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_cluster_that_is_not_there_is_one_line(name):
    """Every client says it in the same words, and leaves no connection open."""
    with warnings.catch_warnings(record=True, action="always") as told:
        with pytest.raises(TopicError, match=r"127\.0\.0\.1:1"):
            async with connected(CLIENTS[name](NOWHERE)):
                pytest.fail("it is not connected")
        gc.collect()
    assert [one for one in told if one.category is ResourceWarning] == []


async def test_a_watch_is_let_go_with_the_others(stack, topic_prefix):
    """Also where it has looked, and has not begun to run."""
    settings = Settings(stack.kafka, stack.redis, "models", prefix=topic_prefix, partitions=2)
    create_topics(settings)
    watch = ClusterWatch(settings, "trainer")
    with warnings.catch_warnings(record=True, action="always") as told:
        async with connected(watch, EventReader(settings, "group")):
            await watch.look()
        del watch
        gc.collect()
    assert [one for one in told if one.category is ResourceWarning] == []
