"""What `up` prints for another terminal."""

import itertools
import shlex
import subprocess
import sys
from importlib import import_module

import pytest
from kafka import KafkaProducer

from model.kinds import DEFAULT_KINDS, KindTable
from reelstream import _COMMANDS
from streams.kafka.clients import blocking_consumer
from streams.kafka.topics import create_topics
from streams.records.codec import decode_watch
from streams.security import KafkaSecurity
from streams.settings import Settings

UP = import_module(_COMMANDS["up"][0])


def exported(**settings):
    """Return the variables that the line with ``export`` sets in a shell."""
    export, *words = shlex.split(UP._export(Settings("h:9", **settings)))
    assert export == "export"
    return dict(word.split("=", 1) for word in words)


def test_addresses_are_exported():
    """The line sets both servers' addresses and the registry, also one with a space in its path."""
    assert exported(redis="redis://h:1/2", registry="/a folder/models") == {
        "REELSTREAM_KAFKA": "h:9",
        "REELSTREAM_REDIS": "redis://h:1/2",
        "REELSTREAM_REGISTRY": "/a folder/models",
    }


def test_prefix_is_exported_where_there_is_one():
    """Whoever sends beside a prefix has to know it."""
    assert exported(redis="redis://h:1", registry="m", prefix="shop-")["REELSTREAM_PREFIX"] == "shop-"


def test_what_all_processes_must_agree_on_is_exported():
    """Commands in the other terminal treat repeats, and read kinds, as the processes do."""
    kinds = KindTable.of(DEFAULT_KINDS.rows, "/a folder/kinds.toml")
    found = exported(redis="redis://h:1", registry="m", keep_repeats=True, kinds=kinds)
    assert found["REELSTREAM_KEEP_REPEATS"] == "1"
    assert found["REELSTREAM_KINDS"] == "/a folder/kinds.toml"


def test_the_lines_for_producers_are_right(stack, topic_prefix):
    """Run as they are printed, both clients send a watch event that keeps its contract, to the same partition."""
    settings = Settings(stack.kafka, "redis://unused", "unused", prefix=topic_prefix)
    create_topics(settings)
    subprocess.run([sys.executable, "-c", UP._producer_lines(settings)], check=True, timeout=60)
    reader = blocking_consumer(settings, "test", consumer_timeout_ms=30_000)
    reader.subscribe([f"{topic_prefix}watch-events"])
    first, second = itertools.islice(reader, 2)
    reader.close()
    assert first.partition == second.partition
    assert decode_watch(first.value) == decode_watch(second.value)
    assert (first.key, decode_watch(first.value).user_id) == (b"ann", "ann")


def test_the_lines_for_a_secured_kafka_say_how_to_be_let_in(monkeypatch):
    """Both clients are made as they are printed, and read the password where it stands."""
    security = KafkaSecurity("SASL_PLAINTEXT", "PLAIN", "ann", "word-1")
    lines = UP._producer_lines(Settings("127.0.0.1:1", "redis://unused", "unused", security=security))
    assert "word-1" not in lines
    monkeypatch.setenv("REELSTREAM_KAFKA_SASL_PASSWORD", "word-1")
    made = [line for line in lines.splitlines() if line.startswith(("import", "from", "producer = "))]
    told = {}
    clients = {"KafkaProducer": lambda **given: told.update(given)}
    exec("\n".join(line for line in made if "from kafka" not in line), clients)  # noqa: S102 - our own lines
    assert clients["producer"] is not None  # librdkafka knows all keys that it was given
    given = {name: value for name, value in told.items() if name != "bootstrap_servers"}
    assert given == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "ann",
        "sasl_plain_password": "word-1",
    }
    assert given.keys() <= KafkaProducer.DEFAULT_CONFIG.keys()


@pytest.mark.parametrize("address", ["redis://:word@h:1", "redis://ann:word@h:1/2", "redis://h:1?password=word"])
def test_password_is_not_printed(address):
    """An address of Redis that holds a password is left out: who gave it to `up` has it already."""
    assert exported(redis=address, registry="m").keys() == {"REELSTREAM_KAFKA", "REELSTREAM_REGISTRY"}
