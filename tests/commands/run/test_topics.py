"""``reelstream topics create`` on a real cluster: what it prints, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from commands.run.topics import topics
from streams.errors import TopicError
from streams.kafka.topics import TOPICS


@pytest.fixture
def invoke(stack, topic_prefix, monkeypatch):
    """Return a function that runs ``reelstream topics`` with this test's prefix."""
    monkeypatch.setenv("REELSTREAM_KAFKA", stack.kafka)
    monkeypatch.setenv("REELSTREAM_PREFIX", topic_prefix)
    return lambda *arguments: CliRunner().invoke(topics, arguments)


def test_topics_are_made_once(invoke, topic_prefix):
    """The first call creates every topic with its partitions, the second finds them there already."""
    first = json.loads(invoke("create", "--partitions", "2", "--json").stdout)["topics"]
    assert [row["topic"] for row in first] == [topic_prefix + topic.name for topic in TOPICS]
    assert all(row["created"] for row in first)
    assert {row["topic"].removeprefix(topic_prefix): row["partitions"] for row in first} == {
        topic.name: 1 if topic.name == "model-versions" else 2 for topic in TOPICS
    }
    again = json.loads(invoke("create", "--partitions", "2", "--json").stdout)["topics"]
    assert not any(row["created"] for row in again)


def test_the_text_has_a_line_for_each_topic(invoke):
    """People read a line for each topic, with name, partitions, clean-up and whether it is new."""
    lines = invoke("create", "--partitions", "2").stdout.splitlines()
    assert len(lines) == len(TOPICS) == 11
    assert all(line.endswith("created") for line in lines)
    assert all(line.endswith("there already") for line in invoke("create", "--partitions", "2").stdout.splitlines())


def test_another_partition_count_is_refused(invoke):
    """Topics with two partitions cannot be asked for with three; the error says what to set."""
    invoke("create", "--partitions", "2")
    result = invoke("create", "--partitions", "3")
    assert isinstance(result.exception, TopicError)
    assert "must have 3 partitions, got 2" in str(result.exception)
