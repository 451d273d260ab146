"""Topics: the table itself; what a broker makes of it is proved in tests/broker."""

import re
import subprocess
import sys
from pathlib import Path

from streams.kafka.topics import EVENTS, TOPICS
from streams.settings import Settings

SETTINGS = Settings("127.0.0.1:1", "redis://r", "/models", partitions=6)
BY_NAME = {topic.name: topic for topic in TOPICS}


def test_there_are_eleven_topics_of_different_names():
    """No name occurs twice."""
    assert len(BY_NAME) == len(TOPICS) == 11


def test_all_event_topics_have_the_same_shape():
    """One worker owns a user on all, because key and partition count agree, and events are kept for good."""
    assert len({(topic.key, topic.partitions(SETTINGS)) for topic in map(BY_NAME.get, EVENTS)}) == 1
    for name in EVENTS:
        assert BY_NAME[name].configuration() == {"cleanup.policy": "delete", "retention.ms": "-1"}


def test_catalogue_hints_wishes_and_versions_are_compacted():
    """They are tables, of which the latest record of each key is kept; nothing else is."""
    compacted = {topic.name for topic in TOPICS if topic.configuration()["cleanup.policy"] == "compact"}
    assert compacted == {"catalog-items", "data-requests", "model-versions", "user-profiles"}


def test_only_the_versions_have_one_partition_whatever_is_set():
    """Their order matters as a whole; all others follow the settings."""
    assert {topic.name: topic.partitions(SETTINGS) for topic in TOPICS if topic.partitions(SETTINGS) != 6} == {
        "model-versions": 1
    }


def test_products_are_kept_for_a_stated_time():
    """Requests for a day, lists for seven, mode changes and dead letters for thirty, in milliseconds."""
    day = 86_400_000
    kept = {topic.name: topic.retention_ms // day for topic in TOPICS if topic.retention_ms > 0}
    assert kept == {"recommendation-requests": 1, "recommendations": 7, "mode-changes": 30, "dead-letters": 30}


def test_a_cluster_that_does_not_answer_is_told():
    """Where no broker listens there is one line that names the address."""
    program = (
        "from streams.errors import TopicError\nfrom streams.settings import Settings\n"
        "from streams.kafka.topics import verify_topics\n"
        "try:\n    verify_topics(Settings('127.0.0.1:1', 'redis://r', '/models'))\n"
        "except TopicError as error:\n    print(error)\n"
    )  # a process of its own, because kafka-python leaves sockets of failed attempts to the garbage collector
    root = Path(__file__).parents[3]
    asked = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"topics: .* required at 127\.0\.0\.1:1, got .*\n", asked.stdout)
